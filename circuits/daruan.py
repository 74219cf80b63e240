"""Data re-uploading activations: one-qubit circuits whose <Z> is a trigonometric polynomial of their input.

Every circuit has `reps` data slots, one for each upload of the input, and as many weight slots as the ansatz has
angles. What enters a data slot is the pre-activation w_l x + b_l (for `px` its arccosine): torch in the layer.

Reference:
    "Quantum variational activation functions empower Kolmogorov-Arnold networks", arXiv:2509.14026, whose circuits
    these are. The published package reads |a| - |b| of the state (a, b); here <Z> = |a|**2 - |b|**2 is read.
"""

from collections.abc import Callable
from typing import Any

from circuits import _checks
from circuits.circuit import Circuit
from circuits.slots import data, weight


def daruan_circuit(ansatz: str = "pz", reps: int = 3) -> Circuit:
    """Return the activation circuit of one edge.

    ======  =========================================  ======================
    ansatz  circuit                                    weights
    ======  =========================================  ======================
    `pz`    H, [RZ RY RZ(data)] * reps, RZ RY          2 (reps + 1)
    `rpz`   H, [RY RZ(data)] * reps, RY                reps + 1
    `real`  H, [X RY Z RY(data)] * reps                reps
    `px`    H, [RZ RX(data)] * reps, RZ                reps + 1
    `mix`   H, [RZ RX RY(data)] * reps, RZ RX          2 (reps + 1)
    ======  =========================================  ======================

    Args:
        ansatz: a name in `ANSATZES`.
        reps: how often the input is uploaded, at least 1.

    Returns:
        A circuit on one qubit. Weights are numbered in the order of their gates, data slots in that of the uploads.

    Raises:
        ValueError: an unknown ansatz, or `reps` below 1.

    Example:
        >>> circuit = daruan_circuit("pz", 3)
        >>> circuit.n_data, circuit.n_weights
        (3, 8)
    """
    reps = _checks.as_int(reps, "reps", minimum=1)
    if ansatz not in ANSATZES:
        raise ValueError(f"Argument `ansatz` must be one of {', '.join(ANSATZES)}, but is {ansatz!r}.")
    return ANSATZES[ansatz](reps)


def require_activation(circuit: Any) -> Circuit:
    """Return `circuit` if it can be an activation: one qubit, unitary, the input in at least one rotation.

    Raises:
        TypeError: not a circuit.
        ValueError: another number of qubits, mid-circuit operations or noise, no data slot.
    """
    if not isinstance(circuit, Circuit):
        raise TypeError(f"Argument `ansatz` must be a name or a Circuit, but is {type(circuit).__name__}.")
    if circuit.n_qubits != 1:
        raise ValueError(
            f"Argument `ansatz` must be a circuit of one qubit, but has {circuit.n_qubits}. An activation is the <Z> "
            "of a single qubit; put wider circuits into a layer of their own."
        )
    for op in circuit.operations:
        if not op.is_unitary:
            raise ValueError(f"Argument `ansatz` must be a unitary circuit, but has `{op.name}`. Leave it out.")
    if circuit.n_data == 0:
        raise ValueError(
            "Argument `ansatz` must measure something of its input, but the circuit has no data slot. Use data(0) as "
            "the angle of a rotation."
        )
    return circuit


def _pz(reps: int) -> Circuit:
    circuit = Circuit(1).h(0)
    for upload in range(reps):
        circuit.rz(weight(2 * upload), 0).ry(weight(2 * upload + 1), 0).rz(data(upload), 0)
    return circuit.rz(weight(2 * reps), 0).ry(weight(2 * reps + 1), 0)


def _rpz(reps: int) -> Circuit:
    circuit = Circuit(1).h(0)
    for upload in range(reps):
        circuit.ry(weight(upload), 0).rz(data(upload), 0)
    return circuit.ry(weight(reps), 0)


def _real(reps: int) -> Circuit:
    circuit = Circuit(1).h(0)
    for upload in range(reps):
        circuit.x(0).ry(weight(upload), 0).z(0).ry(data(upload), 0)
    return circuit


def _px(reps: int) -> Circuit:
    circuit = Circuit(1).h(0)
    for upload in range(reps):
        circuit.rz(weight(upload), 0).rx(data(upload), 0)
    return circuit.rz(weight(reps), 0)


def _mix(reps: int) -> Circuit:
    circuit = Circuit(1).h(0)
    for upload in range(reps):
        circuit.rz(weight(2 * upload), 0).rx(weight(2 * upload + 1), 0).ry(data(upload), 0)
    return circuit.rz(weight(2 * reps), 0).rx(weight(2 * reps + 1), 0)


ANSATZES: dict[str, Callable[[int], Circuit]] = {"pz": _pz, "rpz": _rpz, "real": _real, "px": _px, "mix": _mix}
