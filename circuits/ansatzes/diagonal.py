"""Instantaneous quantum polynomial-time circuits: gates that all commute, between Hadamard gates."""

from collections.abc import Iterable
from itertools import combinations

from circuits import _checks
from circuits.circuit import Circuit
from circuits.gates import PauliRotation
from circuits.slots import weight


def iqp(n_qubits: int, *, subsets: Iterable[Iterable[int]] | None = None) -> Circuit:
    """Return a Hadamard gate on every qubit, exp(-i w_S prod_{j in S} Z_j / 2) for subsets S, and Hadamard gates.

    That is exp(-i w_S prod_{j in S} X_j / 2) without any Hadamard gate.

    Args:
        n_qubits: number of qubits n, at least 1.
        subsets: the subsets of qubits, one weight each (default: every qubit, then every pair).

    Returns:
        A circuit with len(subsets) weights, n (n + 1) / 2 by default, in the order of the subsets: PennyLane's `IQP`
        at half these weights, and a pattern of one generator a weight.

    Raises:
        ValueError: no subset, an empty one, or a qubit outside the circuit.

    Reference:
        Shepherd and Bremner, arXiv:0809.0847, section 1.

    Example:
        >>> iqp(3).n_weights, iqp(3, subsets=[(0,), (0, 1, 2)]).n_weights
        (6, 2)
    """
    circuit = Circuit(n_qubits)
    default = [(qubit,) for qubit in range(n_qubits)] + list(combinations(range(n_qubits), 2))
    chosen = default if subsets is None else [_checks.as_qubits(subset, n_qubits, "subsets") for subset in subsets]
    if not chosen or not all(chosen):
        raise ValueError("Argument `subsets` must hold at least one subset and no empty one, but does not.")
    for qubit in range(n_qubits):
        circuit.h(qubit)
    for number, subset in enumerate(chosen):
        circuit.append(PauliRotation("Z" * len(subset)), subset, angles=(weight(number),))
    for qubit in range(n_qubits):
        circuit.h(qubit)
    return circuit
