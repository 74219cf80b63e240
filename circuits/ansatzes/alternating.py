"""Circuits that alternate between two Hamiltonians, as the quantum approximate optimisation algorithm does."""

from itertools import count

from circuits import _checks
from circuits.ansatzes.patterns import pairs_of
from circuits.circuit import Circuit
from circuits.gates import PauliRotation
from circuits.observables import Observable
from circuits.slots import data, weight


def qaoa(n_qubits: int, cost: Observable, n_layers: int = 1) -> Circuit:
    """Return Hadamard gates and layers exp(-i beta sum_j X_j) exp(-i gamma C) of a cost observable C.

    The terms of C act one after another in its order, which matters only where they do not commute. Constant terms of C
    give a global phase and are left out.

    Args:
        n_qubits: number of qubits, at least 1.
        cost: the cost C, a sum of Pauli strings.
        n_layers: number of layers, at least 1.

    Returns:
        A circuit with 2 n_layers weights: gamma of layer l is weight 2 l, and beta is weight 2 l + 1. Qiskit's
        `qaoa_ansatz` has the same angles, named γ[l] and β[l].

    Raises:
        ValueError: a cost outside the qubits, or without any term but a constant.

    Reference:
        Farhi et al., arXiv:1411.4028, equation 4.

    Example:
        >>> from circuits import Z
        >>> qaoa(3, Z(0) @ Z(1) + Z(1) @ Z(2), 2).n_weights
        4
    """
    circuit = Circuit(n_qubits)
    _checks.require_kind(cost, "cost", Observable)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    _checks.as_qubits(cost.qubits, n_qubits, "cost")
    terms = [(value, factors) for value, factors in cost.terms if factors and value != 0.0]
    if not terms:
        raise ValueError(f"Argument `cost` must hold a Pauli string, but is {cost!r}: its weights would do nothing.")
    for qubit in range(n_qubits):
        circuit.h(qubit)
    for layer in range(n_layers):
        for value, factors in terms:
            gate = PauliRotation("".join(letter for _, letter in factors), factor=-value)
            circuit.append(gate, [qubit for qubit, _ in factors], angles=(weight(2 * layer),))
        for qubit in range(n_qubits):
            circuit.append(PauliRotation("X", factor=-1.0), qubit, angles=(weight(2 * layer + 1),))
    return circuit


def qaoa_embedding(n_qubits: int, n_layers: int = 1, *, n_inputs: int | None = None, rotation: str = "y") -> Circuit:
    """Return a trainable feature map: data by RX, a ring of RZZ and rotations by turns, and once more the data.

    Qubit k is rotated by data(k); qubits beyond the inputs get a Hadamard gate in its place.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        n_inputs: number of data slots, 1 to n (default: n).
        rotation: the axis of the trainable rotations, `"x"`, `"y"` or `"z"`.

    Returns:
        A circuit with 2 n n_layers weights (3 n_layers for n = 2, where the ring is one pair). In each layer the ring's
        come first, and then the rotations': PennyLane's `QAOAEmbedding`, its weights flattened.

    Raises:
        ValueError: one qubit alone, more inputs than qubits, an unknown axis.

    Reference:
        Lloyd et al., arXiv:2001.03622, figure 4.

    Example:
        >>> circuit = qaoa_embedding(4, 2, n_inputs=3)
        >>> circuit.n_data, circuit.n_weights
        (3, 16)
    """
    pairs = pairs_of("ring", n_qubits)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    n_inputs = n_qubits if n_inputs is None else _checks.as_int(n_inputs, "n_inputs", minimum=1)
    if n_inputs > n_qubits:
        raise ValueError(f"Argument `n_inputs` must be at most {n_qubits}, one a qubit, but is {n_inputs}.")
    _checks.require_choice(rotation, "rotation", ("x", "y", "z"))
    circuit, numbers = Circuit(n_qubits), count()
    for _ in range(n_layers):
        _upload(circuit, n_inputs)
        for first, second in pairs:
            circuit.rzz(weight(next(numbers)), first, second)
        for qubit in range(n_qubits):
            circuit.pauli_rotation(weight(next(numbers)), rotation.upper(), qubit)
    _upload(circuit, n_inputs)
    return circuit


def _upload(circuit: Circuit, n_inputs: int) -> None:
    for qubit in range(circuit.n_qubits):
        if qubit < n_inputs:
            circuit.rx(data(qubit), qubit)
        else:
            circuit.h(qubit)
