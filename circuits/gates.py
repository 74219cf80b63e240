"""The gate table: what every operation is called, and what it does as a matrix.

Conventions, the same in the whole package: qubit 0 is the most significant bit, RX(t) = exp(-i t X / 2), angles are in
radians, Pauli strings read the first of their qubits first. `exp_pauli` alone follows Farhi and Neven
(arXiv:1802.06002, section 2): exp(+i t P), that is, the rotation about P by -2 t.

Every gate with one angle has the trigonometric form

    U(t) = A0 + cos(s t) A1 + sin(s t) A2,

with constant matrices and one frequency s. It gives the matrix, the derivative and the shift rule of the gate at once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}

FIXED_MATRICES = {
    "x": PAULIS["X"],
    "y": PAULIS["Y"],
    "z": PAULIS["Z"],
    "h": (PAULIS["X"] + PAULIS["Z"]) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "sdg": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "tdg": np.diag([1, np.exp(-0.25j * np.pi)]),
    "swap": np.eye(4, dtype=complex)[[0, 2, 1, 3]],
}

UNITARITY_TOLERANCE = 1e-5  # admits matrices that were computed in float32 and multiplied once

FIXED_INVERSES = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}


@dataclass(frozen=True)
class Fixed:
    """A gate without angles, by its name in `FIXED_MATRICES`."""

    name: str
    n_angles = 0

    def __post_init__(self) -> None:
        if self.name not in FIXED_MATRICES:
            raise ValueError(f"Argument `name` must be one of {', '.join(FIXED_MATRICES)}, but is {self.name!r}.")

    @property
    def n_qubits(self) -> int:
        """Number of qubits without controls."""
        return 2 if self.name == "swap" else 1


@dataclass(frozen=True)
class PauliRotation:
    """exp(i * factor * t * P) for a Pauli string P; factor -1/2 is the usual rotation, +1 is `exp_pauli`."""

    pauli: str
    factor: float = -0.5
    n_angles = 1

    def __post_init__(self) -> None:
        if not set(self.pauli) <= set(PAULIS):
            raise ValueError(f"Argument `pauli` must be a string over I, X, Y, Z, but is {self.pauli!r}.")
        if not math.isfinite(self.factor) or self.factor == 0.0:
            raise ValueError(f"Argument `factor` must be finite and not 0, but is {self.factor}.")

    @property
    def name(self) -> str:
        """Such as "rzx" for the usual rotation, "exp_zx" for another factor."""
        return f"r{self.pauli.lower()}" if self.factor == -0.5 else f"exp_{self.pauli.lower()}"

    @property
    def n_qubits(self) -> int:
        """Number of qubits without controls."""
        return len(self.pauli)


@dataclass(frozen=True)
class Phase:
    """diag(1, exp(i t))."""

    name = "p"
    n_qubits = 1
    n_angles = 1


@dataclass(frozen=True)
class U3:
    """P(phi) RY(theta) P(lam): the general one-qubit gate, its three angles in the order theta, phi, lam."""

    name = "u3"
    n_qubits = 1
    n_angles = 3


@dataclass(frozen=True)
class Array:
    """A constant complex array that can be compared and hashed, as a field of a gate."""

    content: bytes
    shape: tuple[int, ...]

    @staticmethod
    def of(values: np.ndarray) -> "Array":
        """The array with these values."""
        values = np.ascontiguousarray(values, dtype=np.complex128)
        return Array(values.tobytes(), values.shape)

    @property
    def values(self) -> np.ndarray:
        """The values, read-only."""
        return np.frombuffer(self.content, dtype=np.complex128).reshape(self.shape)

    def __repr__(self) -> str:
        return f"Array(shape={self.shape})"


@dataclass(frozen=True)
class Unitary:
    """An arbitrary constant unitary."""

    matrix: Array
    label: str = "U"
    name = "unitary"
    n_angles = 0

    def __post_init__(self) -> None:
        values = self.matrix.values
        _require_square(values, "matrix")
        _require_identity(values @ values.conj().T, "Argument `matrix` must be unitary, but U U^dagger")

    @property
    def n_qubits(self) -> int:
        """Number of qubits without controls."""
        return self.matrix.shape[0].bit_length() - 1


UnitaryGate = Fixed | PauliRotation | Phase | U3 | Unitary


@dataclass(frozen=True)
class StatePreparation:
    """Amplitudes on qubits that are still |0>: constants, or `2**n_qubits` real angles-as-amplitudes from slots.

    With slots the amplitudes are real; with `is_complex` the slots hold all real parts, then all imaginary parts.
    """

    n_qubits: int
    amplitudes: Array | None = None
    is_complex: bool = False
    name = "prepare"

    def __post_init__(self) -> None:
        if self.amplitudes is None:
            return
        values = self.amplitudes.values
        if values.shape != (2**self.n_qubits,):
            raise ValueError(
                f"Argument `amplitudes` must have shape ({2**self.n_qubits},), but has shape {values.shape}."
            )
        _require_identity(np.vdot(values, values).reshape(1, 1), "Argument `amplitudes` must have norm 1, but <a|a>")

    @property
    def n_angles(self) -> int:
        """Number of amplitudes' parts that come from slots."""
        return 0 if self.amplitudes is not None else 2**self.n_qubits * (2 if self.is_complex else 1)


@dataclass(frozen=True)
class Reset:
    """Discard a qubit's state and put it back to |0>."""

    name = "reset"
    n_qubits = 1
    n_angles = 0


@dataclass(frozen=True)
class Measure:
    """Measure a qubit in the Z basis into classical bit `bit`, and go on."""

    bit: int
    name = "measure"
    n_qubits = 1
    n_angles = 0

    def __post_init__(self) -> None:
        if self.bit < 0:
            raise ValueError(f"Argument `bit` must be at least 0, but is {self.bit}.")


@dataclass(frozen=True)
class PostSelect:
    """Keep only the runs in which the qubit reads `value`; the state is renormalised."""

    value: int
    name = "post_select"
    n_qubits = 1
    n_angles = 0

    def __post_init__(self) -> None:
        if self.value not in (0, 1):
            raise ValueError(f"Argument `value` must be 0 or 1, but is {self.value!r}.")


@dataclass(frozen=True)
class Channel:
    """A noise channel by its Kraus operators, stacked as (operators, side, side)."""

    kraus: Array
    label: str
    strength: float | None = None
    name = "channel"
    n_angles = 0

    def __post_init__(self) -> None:
        values = self.kraus.values
        if values.ndim != 3:
            raise ValueError(f"Argument `kraus` must have shape (operators, side, side), but has {values.shape}.")
        _require_square(values[0], "kraus")
        total = np.einsum("kji,kjl->il", values.conj(), values)
        _require_identity(total, "Argument `kraus` must preserve the trace, but sum K^dagger K")

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return self.kraus.shape[1].bit_length() - 1


def _require_square(matrix: np.ndarray, name: str) -> None:
    side = matrix.shape[-1]
    if matrix.ndim != 2 or matrix.shape[0] != side or side < 2 or side & (side - 1):
        raise ValueError(f"Argument `{name}` must have shape (2**n, 2**n), but has shape {matrix.shape}.")


def _require_identity(matrix: np.ndarray, complaint: str) -> None:
    error = float(np.abs(matrix - np.eye(len(matrix))).max())
    if not error <= UNITARITY_TOLERANCE:
        raise ValueError(
            f"{complaint} differs from 1 by {error:.2g}. Use the named methods of Circuit, which say more."
        )


Gate = UnitaryGate | StatePreparation | Reset | Measure | PostSelect | Channel


class TrigonometricForm(NamedTuple):
    """U(t) = constant + cos(frequency t) cosine + sin(frequency t) sine."""

    constant: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    frequency: float

    def matrix(self, angle: float) -> np.ndarray:
        """The gate's matrix at `angle`."""
        phase = self.frequency * angle
        return self.constant + np.cos(phase) * self.cosine + np.sin(phase) * self.sine


@lru_cache(maxsize=1024)
def pauli_matrix(pauli: str) -> np.ndarray:
    """The matrix of a Pauli string, its first letter on the most significant bit."""
    result = np.eye(1, dtype=complex)
    for letter in pauli:
        result = np.kron(result, PAULIS[letter])
    result.setflags(write=False)
    return result


@lru_cache(maxsize=1024)
def trigonometric_form(gate: PauliRotation | Phase, n_controls: int = 0) -> TrigonometricForm:
    """The trigonometric form of a one-angle gate under `n_controls` controls (most significant, all on 1)."""
    if isinstance(gate, Phase):
        zero, one = np.diag([1, 0]).astype(complex), np.diag([0, 1]).astype(complex)
        form = TrigonometricForm(zero, one, 1j * one, 1.0)
    else:
        pauli = pauli_matrix(gate.pauli)
        sign = 1j * np.sign(gate.factor)
        form = TrigonometricForm(np.zeros_like(pauli), np.eye(len(pauli)), sign * pauli, abs(gate.factor))
    if n_controls == 0:
        return form
    side = len(form.cosine)
    full = side * 2**n_controls
    lifted = [np.zeros((full, full), dtype=complex) for _ in range(3)]
    for big, small in zip(lifted, form[:3], strict=True):
        big[-side:, -side:] = small
    lifted[0][: full - side, : full - side] += np.eye(full - side)
    return TrigonometricForm(lifted[0], lifted[1], lifted[2], form.frequency)


def gate_matrix(gate: UnitaryGate, angles: tuple[float, ...] = (), n_controls: int = 0) -> np.ndarray:
    """The matrix of a unitary gate at the given angles; controls come first (most significant).

    Shape: (2**(n_controls + n_qubits),) * 2.
    """
    if isinstance(gate, (PauliRotation, Phase)):
        return trigonometric_form(gate, n_controls).matrix(angles[0])
    if isinstance(gate, U3):
        theta, phi, lam = angles
        phases = [gate_matrix(Phase(), (angle,)) for angle in (phi, lam)]
        matrix = phases[0] @ gate_matrix(PauliRotation("Y"), (theta,)) @ phases[1]
    else:
        matrix = FIXED_MATRICES[gate.name] if isinstance(gate, Fixed) else gate.matrix.values
    if n_controls == 0:
        return matrix
    result = np.eye(len(matrix) * 2**n_controls, dtype=complex)
    result[-len(matrix) :, -len(matrix) :] = matrix
    return result
