"""Hermitian generators: a gate with one angle is U(t) = exp(-i t G), and G says everything about it.

Where the eigenvalues of G are among -s, 0 and s, the gate has the trigonometric form

    U(t) = A0 + cos(s t) A1 + sin(s t) A2    with A1 = G^2 / s^2, A0 = 1 - A1, A2 = -i G / s.

It gives the matrix, the derivative and the shift rule of the gate at once. Any other G is a sum of Pauli strings that
commute, if necessary in the basis of its eigenvectors, and the gate is a product of Pauli rotations.
"""

from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
ROUNDING_DIGITS = 12  # of eigenvalues and coefficients of a few matrices, relative to the largest


class Frequencies(NamedTuple):
    """Expectation values are sums of cos(k base t) and sin(k base t), k = 0..order, in the angle t of one gate."""

    base: float
    order: int


class TrigonometricForm(NamedTuple):
    """U(t) = constant + cos(frequency t) cosine + sin(frequency t) sine."""

    constant: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    frequency: float

    def matrix(self, angle: float) -> np.ndarray:
        """Return the gate's matrix at `angle`."""
        phase = self.frequency * angle
        return self.constant + np.cos(phase) * self.cosine + np.sin(phase) * self.sine

    def controlled(self, n_controls: int) -> "TrigonometricForm":
        """Return the form under further controls, which are the most significant and must all read 1."""
        if n_controls == 0:
            return self
        side = len(self.cosine)
        full = side * 2**n_controls
        lifted = [np.zeros((full, full), dtype=complex) for _ in range(3)]
        for large, small in zip(lifted, self[:3], strict=True):
            large[-side:, -side:] = small
        lifted[0][: full - side, : full - side] += np.eye(full - side)
        return TrigonometricForm(lifted[0], lifted[1], lifted[2], self.frequency)


@lru_cache(maxsize=1024)
def pauli_matrix(pauli: str) -> np.ndarray:
    """Return the matrix of a Pauli string, its first letter on the most significant bit."""
    result = np.eye(1, dtype=complex)
    for letter in pauli:
        result = np.kron(result, PAULIS[letter])
    result.setflags(write=False)
    return result


def distinct_eigenvalues(generator: np.ndarray) -> tuple[float, ...]:
    """Return the different eigenvalues of a Hermitian matrix, ascending; equal sizes are equal exactly."""
    values = np.linalg.eigvalsh(generator)
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return (0.0,)
    return tuple(sorted({largest * round(float(value) / largest, ROUNDING_DIGITS) for value in values}))


def frequencies_of(eigenvalues: Sequence[float], *, is_controlled: bool) -> Frequencies:
    """Return the frequencies of expectation values: the differences of the eigenvalues, which are among -s, 0 and s.

    A rotation exp(i f t P) has -f and f, hence the difference 2 f; under controls also f, as the identity's eigenvalue
    0 joins. A phase, controlled or not, has 0 and 1. A global phase has no difference: order 0.
    """
    values = {*eigenvalues, 0.0} if is_controlled else {*eigenvalues}
    largest = max(map(abs, values))
    base = largest if 0.0 in values or len(values) == 1 else 2.0 * largest
    return Frequencies(base, round((max(values) - min(values)) / base))


def trigonometric_form_of(generator: np.ndarray, frequency: float) -> TrigonometricForm:
    """Return the form of exp(-i t generator), whose eigenvalues are among -frequency, 0 and frequency."""
    cosine = (generator @ generator) / (frequency * frequency)
    return TrigonometricForm(np.eye(len(cosine)) - cosine, cosine, -1j * generator / frequency, frequency)


def exponential(generator: np.ndarray, angle: float) -> np.ndarray:
    """Return exp(-i angle generator) for a Hermitian generator."""
    values, vectors = np.linalg.eigh(generator)
    return (vectors * np.exp(-1j * angle * values)) @ vectors.conj().T


def pauli_terms(hermitian: np.ndarray) -> dict[str, float]:
    """Return the coefficients of the Pauli strings whose sum a Hermitian matrix is, the identity's last."""
    n_qubits = len(hermitian).bit_length() - 1
    strings = ["".join(letters) for letters in product("XYZI", repeat=n_qubits)]
    traces = {string: np.vdot(pauli_matrix(string), hermitian).real / len(hermitian) for string in strings}
    smallest = 10.0**-ROUNDING_DIGITS * np.abs(hermitian).max()
    return {string: float(value) for string, value in traces.items() if abs(value) > smallest}


def commuting_terms(generator: np.ndarray) -> tuple[np.ndarray | None, dict[str, float]]:
    """Return (V, terms): generator = V (sum of terms) V^dagger, and the terms commute. V is None for the identity."""
    terms = pauli_terms(generator)
    if all(_commute(*pair) for pair in combinations(terms, 2)):
        return None, terms
    values, vectors = np.linalg.eigh(generator)
    return vectors, pauli_terms(np.diag(values))


def _commute(left: str, right: str) -> bool:
    clashes = sum(a != b and "I" not in (a, b) for a, b in zip(left, right, strict=True))
    return clashes % 2 == 0


def on_places(matrix: np.ndarray, places: tuple[int, ...], n_qubits: int) -> np.ndarray:
    """Return a matrix on the qubits `places`, the first the most significant, as a matrix on `n_qubits`."""
    rest = [place for place in range(n_qubits) if place not in places]
    full = np.kron(matrix, np.eye(2 ** len(rest))).reshape((2,) * (2 * n_qubits))
    order = np.argsort([*places, *rest])
    return full.transpose([*order, *(n_qubits + order)]).reshape(2**n_qubits, 2**n_qubits)


def multiplied(matrices: list[np.ndarray]) -> np.ndarray:
    """Return the product of matrices that act one after the other, the first first."""
    return reduce(lambda result, matrix: matrix @ result, matrices)
