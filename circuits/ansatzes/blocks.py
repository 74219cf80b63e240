"""Circuits on two qubits of which larger ansatzes are built."""

import math
from typing import Any

from circuits import _checks
from circuits.circuit import Circuit
from circuits.slots import weight


def general_block() -> Circuit:
    """Return a circuit that can be any unitary on two qubits up to its phase.

    A general rotation RZ(c) RY(b) RZ(a) on either qubit, RXX, RYY, RZZ, and once more a rotation on either qubit.

    Returns:
        A circuit with 15 weights in the order of the gates.

    Reference:
        Kraus and Cirac, arXiv:quant-ph/0011050, equation 3.
    """
    circuit = Circuit(2)
    for qubit in (0, 1):
        _rotate(circuit, qubit)
    for letters in ("XX", "YY", "ZZ"):
        circuit.pauli_rotation(weight(circuit.n_weights), letters, (0, 1))
    for qubit in (0, 1):
        _rotate(circuit, qubit)
    return circuit


def convolution_block() -> Circuit:
    """Return the convolution of Qiskit Machine Learning's QCNN tutorial, 3 weights: any exp(-i (a XX + b YY + c ZZ)).

    Reference:
        Vatan and Williams, arXiv:quant-ph/0308006, figure 6, without the rotations of single qubits.
    """
    return pooling_block().cx(1, 0).rz(math.pi / 2, 0)


def pooling_block() -> Circuit:
    """Return the pooling of Qiskit Machine Learning's QCNN tutorial, 3 weights: qubit 0 is left out afterwards.

    Reference:
        Cong et al., arXiv:1810.03787, figure 1, whose measurement is deferred: no classical bit is needed.
    """
    circuit = Circuit(2).rz(-math.pi / 2, 1).cx(1, 0).rz(weight(0), 0).ry(weight(1), 1)
    return circuit.cx(0, 1).ry(weight(2), 1)


def tree_block() -> Circuit:
    """Return RY on either qubit and CX from qubit 0 to qubit 1, 2 weights: the usual block of tree tensor networks.

    Reference:
        Grant et al., arXiv:1804.03680, figure 3, the simpler of its blocks.
    """
    return Circuit(2).ry(weight(0), 0).ry(weight(1), 1).cx(0, 1)


def as_block(block: Any, name: str = "block") -> Circuit:
    """Return `block` if it is a circuit of weights on two qubits.

    Raises:
        TypeError: not a circuit.
        ValueError: another number of qubits, or data slots.
    """
    _checks.require_kind(block, name, Circuit)
    if block.n_qubits != 2:
        raise ValueError(f"Argument `{name}` must act on 2 qubits, but acts on {block.n_qubits}.")
    if block.n_data:
        raise ValueError(
            f"Argument `{name}` must hold weights only, but has {block.n_data} data slots. Put data in front by a "
            "feature map."
        )
    return block


def _rotate(circuit: Circuit, qubit: int) -> None:
    for axis in "ZYZ":
        circuit.pauli_rotation(weight(circuit.n_weights), axis, qubit)
