"""What a circuit does, in plain NumPy: Kronecker products and the matrix exponential. Slow, and obviously right.

It reads the `Circuit` and nothing else of this project: no gate matrix, no torch, no `qml`. Every operation is a full
matrix on all qubits, every sample is run by itself.

Conventions: qubit 0 is the most significant bit, so that a Pauli string is np.kron of its letters in qubit order.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm

from circuits import Circuit, Observable, Operation, Slot
from circuits.gates import (
    U3,
    Channel,
    Measure,
    PauliRotation,
    Phase,
    PostSelect,
    Reset,
    StatePreparation,
    Unitary,
    XXPlusYY,
)

ROOT_HALF = 0.7071067811865476

LETTERS = {
    "I": np.array([[1, 0], [0, 1]], dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}

ONE_QUBIT = {
    "x": [[0, 1], [1, 0]],
    "y": [[0, -1j], [1j, 0]],
    "z": [[1, 0], [0, -1]],
    "h": [[ROOT_HALF, ROOT_HALF], [ROOT_HALF, -ROOT_HALF]],
    "s": [[1, 0], [0, 1j]],
    "sdg": [[1, 0], [0, -1j]],
    "t": [[1, 0], [0, ROOT_HALF + ROOT_HALF * 1j]],
    "tdg": [[1, 0], [0, ROOT_HALF - ROOT_HALF * 1j]],
}


def unitary_of(circuit: Circuit, data: ArrayLike = (), weights: ArrayLike = ()) -> np.ndarray:
    """The matrix of a circuit of unitary gates, for one sample: data (D,), weights (W,) -> (2**n, 2**n)."""
    result = np.eye(2**circuit.n_qubits, dtype=complex)
    for operation in circuit.operations:
        if isinstance(operation.gate, (StatePreparation, Reset, Measure, PostSelect, Channel)):
            raise ValueError(f"{operation.name} is not unitary")
        (matrix,) = full_matrices(operation, circuit.n_qubits, data, weights)
        result = matrix @ result
    return result


def state_of(circuit: Circuit, data: ArrayLike = (), weights: ArrayLike = ()) -> np.ndarray:
    """The final state vector for one sample, renormalised after post-selection: (2**n,)."""
    state = zero_state(circuit.n_qubits)
    for operation in circuit.operations:
        if isinstance(operation.gate, (Reset, Measure, Channel)):
            raise ValueError(f"{operation.name} makes a pure state mixed: use density_of")
        (matrix,) = full_matrices(operation, circuit.n_qubits, data, weights)
        state = matrix @ state
        if isinstance(operation.gate, PostSelect):
            state = state / np.linalg.norm(state)
    return state


def density_of(circuit: Circuit, data: ArrayLike = (), weights: ArrayLike = ()) -> np.ndarray:
    """The final density matrix for one sample, measurements averaged over their outcomes: (2**n, 2**n)."""
    density = unnormalised_density(circuit, data, weights)
    return density / np.trace(density)


def success_probability(circuit: Circuit, data: ArrayLike = (), weights: ArrayLike = ()) -> float:
    """The share of the runs that every post-selection keeps, for one sample."""
    return float(np.trace(unnormalised_density(circuit, data, weights)).real)


def unnormalised_density(circuit: Circuit, data: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """The sum of K rho K^dagger over the Kraus operators of each operation in turn."""
    density = np.outer(zero_state(circuit.n_qubits), zero_state(circuit.n_qubits))
    for operation in circuit.operations:
        kraus = full_matrices(operation, circuit.n_qubits, data, weights)
        density = sum(matrix @ density @ matrix.conj().T for matrix in kraus)
    return density


def expectation(circuit: Circuit, data: ArrayLike, weights: ArrayLike, observables: Sequence[Observable]) -> np.ndarray:
    """Expectation values: data (B, D), weights (W,), M observables -> (B, M)."""
    densities = densities_of(circuit, data, weights)
    result = np.zeros((len(densities), len(observables)))
    for column, observable in enumerate(observables):
        matrix = observable_matrix(observable, circuit.n_qubits)
        for row, density in enumerate(densities):
            result[row, column] = np.trace(matrix @ density).real
    return result


def probabilities(
    circuit: Circuit, data: ArrayLike, weights: ArrayLike, qubits: Sequence[int] | None = None
) -> np.ndarray:
    """Probabilities of the basis states of `qubits`, the first most significant: (B, 2**k)."""
    n = circuit.n_qubits
    places = list(range(n) if qubits is None else qubits)
    densities = densities_of(circuit, data, weights)
    result = np.zeros((len(densities), 2 ** len(places)))
    for row, density in enumerate(densities):
        for index, probability in enumerate(np.diag(density).real):
            bits = format(index, f"0{n}b")
            result[row, int("".join(bits[qubit] for qubit in places), 2)] += probability
    return result


def densities_of(circuit: Circuit, data: ArrayLike, weights: ArrayLike) -> list[np.ndarray]:
    """The final density matrix of each sample."""
    return [density_of(circuit, sample, weights) for sample in np.asarray(data, dtype=float)]


def observable_matrix(observable: Observable, n_qubits: int) -> np.ndarray:
    """The Hermitian matrix of an observable on all qubits."""
    result = np.zeros((2**n_qubits, 2**n_qubits), dtype=complex)
    for coefficient, factors in observable.terms:
        result += coefficient * pauli_product(dict(factors), n_qubits)
    return result


def full_matrices(operation: Operation, n_qubits: int, data: ArrayLike, weights: ArrayLike) -> list[np.ndarray]:
    """The Kraus operators of an operation on all qubits; a unitary gate has one."""
    gate, qubits = operation.gate, operation.qubits
    angles = [value_of(angle, data, weights) for angle in operation.angles]
    zero, one = np.array([[1, 0], [0, 0]]), np.array([[0, 0], [0, 1]])
    if isinstance(gate, Channel):
        return [on_qubits(matrix, qubits, n_qubits) for matrix in gate.kraus.values]
    if isinstance(gate, Reset):
        return [on_qubits(matrix, qubits, n_qubits) for matrix in (zero, np.array([[0, 1], [0, 0]]))]
    if isinstance(gate, Measure):
        return [on_qubits(matrix, qubits, n_qubits) for matrix in (zero, one)]
    if isinstance(gate, PostSelect):
        return [on_qubits(one if gate.value else zero, qubits, n_qubits)]
    if isinstance(gate, StatePreparation):
        column = np.zeros((2**gate.n_qubits, 2**gate.n_qubits), dtype=complex)
        column[:, 0] = amplitudes_of(gate, angles)  # the qubits are in |0...0>, so no other column matters
        return [on_qubits(column, qubits, n_qubits)]
    matrix = uncontrolled_matrix(operation, n_qubits, angles)
    for control in operation.controls:
        reads_one = on_qubits(one, (control,), n_qubits)
        matrix = (np.eye(2**n_qubits) - reads_one) + reads_one @ matrix
    return [matrix]


def uncontrolled_matrix(operation: Operation, n_qubits: int, angles: list[float]) -> np.ndarray:
    """The matrix of a unitary gate on all qubits, its controls left out."""
    gate = operation.gate
    if isinstance(gate, PauliRotation):
        pauli = pauli_product(dict(enumerate(gate.pauli)), len(gate.pauli))
        matrix = expm(1j * gate.factor * angles[0] * pauli)
    elif isinstance(gate, XXPlusYY):
        exchange = np.kron(LETTERS["X"], LETTERS["X"]) + np.kron(LETTERS["Y"], LETTERS["Y"])
        matrix = expm(-1j * gate.scale * angles[0] * exchange / 4)
    elif isinstance(gate, Phase):
        matrix = np.array([[1, 0], [0, np.exp(1j * angles[0])]])
    elif isinstance(gate, U3):
        theta, phi, lam = angles
        cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
        matrix = np.array(
            [[cosine, -np.exp(1j * lam) * sine], [np.exp(1j * phi) * sine, np.exp(1j * (phi + lam)) * cosine]]
        )
    elif isinstance(gate, Unitary):
        matrix = gate.matrix.values
    elif gate.name == "swap":
        matrix = sum(np.kron(letter, letter) for letter in LETTERS.values()) / 2
    else:
        matrix = np.array(ONE_QUBIT[gate.name])
    return on_qubits(matrix, operation.qubits, n_qubits)


def amplitudes_of(gate: StatePreparation, angles: list[float]) -> np.ndarray:
    """The prepared amplitudes: constants, real slots, or all real parts and then all imaginary parts."""
    if gate.amplitudes is not None:
        return gate.amplitudes.values
    if gate.is_complex:
        half = len(angles) // 2
        return np.array(angles[:half]) + 1j * np.array(angles[half:])
    return np.array(angles)


def value_of(angle: float | Slot, data: ArrayLike, weights: ArrayLike) -> float:
    """An angle's value for one sample."""
    if not isinstance(angle, Slot):
        return angle
    return float(np.asarray(data if angle.kind == "data" else weights)[angle.index])


def zero_state(n_qubits: int) -> np.ndarray:
    """|0...0>."""
    state = np.zeros(2**n_qubits, dtype=complex)
    state[0] = 1
    return state


def pauli_product(letters: dict[int, str], n_qubits: int) -> np.ndarray:
    """The Kronecker product of one letter a qubit, I where none is named."""
    return reduce(np.kron, [LETTERS[letters.get(qubit, "I")] for qubit in range(n_qubits)])


def on_qubits(matrix: np.ndarray, qubits: Sequence[int], n_qubits: int) -> np.ndarray:
    """A matrix on `qubits`, the first most significant, as a matrix on all qubits.

    Entry (i, j) is the small matrix's entry at the bits of i and j on `qubits`, where the other bits of i and j agree.
    """
    index = np.arange(2**n_qubits)
    bits = {qubit: index >> (n_qubits - 1 - qubit) & 1 for qubit in range(n_qubits)}
    inside, outside = np.zeros_like(index), np.zeros_like(index)
    for qubit in qubits:
        inside = 2 * inside + bits[qubit]
    for qubit in set(range(n_qubits)) - set(qubits):
        outside = 2 * outside + bits[qubit]
    same_outside = outside[:, None] == outside[None, :]
    return np.where(same_outside, np.asarray(matrix)[inside[:, None], inside[None, :]], 0)
