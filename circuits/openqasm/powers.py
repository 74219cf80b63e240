"""Powers of gates that are not whole: principal powers of their matrices.

The phase of each eigenvalue, taken from (-pi, pi], is multiplied by the exponent. So pow(0.5) @ x is the gate sx, and
pow(0.5) @ z is s.

Reference:
    OpenQASM 3 live specification, "Gate modifiers": a power of a gate is that of its matrix.
"""

from collections.abc import Sequence

import numpy as np

from circuits import steps
from circuits.generators import multiplied, on_places
from circuits.openqasm.limits import refused
from circuits.openqasm.syntax import Token
from circuits.steps import LinearStep

MAX_QUBITS = 5  # of a gate whose matrix is taken to a power
MAX_NESTING = 16  # of such powers in each other
ROUNDING = 1e-9  # of a phase that counts as pi
MIXTURES = (0.618034, -1.324718, 2.236068)  # of cosine and sine, which tell eigenvalues apart


def powered_step(
    written: Sequence[LinearStep], qubits: Sequence[int], exponents: Sequence[float], token: Token
) -> LinearStep:
    """Return the power of a gate's steps, which are on the qubits 0, 1, ..., as one step on `qubits`.

    Args:
        written: the gate, without inputs in its angles.
        qubits: where it acts, up to five.
        exponents: powers that are taken one after the other.
        token: the gate's name.
    """
    if any(angle.terms for step in written for angle in step.angles):
        fix = "Put the power into the angle: rx(a/2) for pow(0.5) @ rx(a)."
        raise refused(token.line, "have gates of constants under powers that are not whole", "an input there", fix)
    n_qubits = max(len(qubits), 1)
    circuit = steps.circuit_of(n_qubits, written)
    matrices = [on_places(op.matrix(), op.all_qubits, n_qubits) for op in circuit]
    matrix = multiplied([np.eye(2**n_qubits, dtype=complex), *matrices])
    side = 2 ** len(qubits)
    return steps.unitary_step(principal_power(matrix, exponents)[:side, :side], qubits, label=token.text)


def principal_power(matrix: np.ndarray, exponents: Sequence[float]) -> np.ndarray:
    """Return the principal power of a unitary matrix; several exponents are taken one after the other."""
    vectors = _eigenvectors(matrix)
    phases = _wrapped(np.angle(np.einsum("ik,ij,jk->k", vectors.conj(), matrix, vectors)))
    for exponent in exponents:
        phases = _wrapped(exponent * phases)
    return (vectors * np.exp(1j * phases)) @ vectors.conj().T


def _wrapped(phases: np.ndarray) -> np.ndarray:
    """Return phases in (-pi, pi], so that -1 by rounding has the phase pi on both sides of the cut."""
    turned = np.remainder(phases + np.pi, 2 * np.pi) - np.pi
    return np.where(turned < ROUNDING - np.pi, np.pi, turned)


def _eigenvectors(matrix: np.ndarray) -> np.ndarray:
    """Return orthonormal eigenvectors: those of a mixture of the Hermitian parts, which commute."""
    cosine, sine = (matrix + matrix.conj().T) / 2, (matrix - matrix.conj().T) / 2j
    candidates = [np.linalg.eigh(cosine + mixture * sine)[1] for mixture in MIXTURES]
    return min(candidates, key=lambda vectors: _residual(matrix, vectors))


def _residual(matrix: np.ndarray, vectors: np.ndarray) -> float:
    rotated = vectors.conj().T @ matrix @ vectors
    return float(np.abs(rotated - np.diag(np.diag(rotated))).max())
