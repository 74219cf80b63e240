"""Gates: the common contract, whatever they do.

A gate is described in one place, its class. Simulator, shift rule, analysis, drawings, OpenQASM and the converters to
other packages ask the object, so that a gate from outside this package works everywhere as well. Classes are frozen
dataclasses, whose objects can be compared and hashed. `circuits.gates` holds those of this package.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNITARITY_TOLERANCE = 1e-5  # admits matrices that were computed in float32 and multiplied once
MAX_LABEL_LENGTH = 80  # characters of a label in a drawing


@dataclass(frozen=True)
class Array:
    """A constant complex array that can be compared and hashed, as a field of a gate."""

    content: bytes
    shape: tuple[int, ...]

    @staticmethod
    def of(values: np.ndarray) -> "Array":
        """Return the array with these values."""
        values = np.ascontiguousarray(values, dtype=np.complex128)
        return Array(values.tobytes(), values.shape)

    @property
    def values(self) -> np.ndarray:
        """Return the values, read-only."""
        return np.frombuffer(self.content, dtype=np.complex128).reshape(self.shape)

    def __repr__(self) -> str:
        return f"Array(shape={self.shape})"


class Gate:
    """An entry of the gate table, unitary or not.

    Attributes:
        name: in lower case, as it is counted and as errors name it.
        n_qubits: number of qubits without controls.
        n_angles: number of angles.
    """

    name: str
    n_qubits: int
    n_angles: int = 0

    def title(self, angles: Sequence[str]) -> str:
        """Return the text of a drawing for the gate at angles that are written so."""
        return self.name.upper() + (f"({', '.join(angles)})" if angles else "")

    def labels(self, angles: Sequence[str]) -> list[str]:
        """Return the text in the box on each of the gate's qubits."""
        title = self.title(angles)
        return [title] if self.n_qubits == 1 else [f"{title}:{place}" for place in range(self.n_qubits)]


@dataclass(frozen=True)
class GatePart:
    """A gate within another one.

    Args:
        gate: the part.
        places: the qubits of the whole gate on which it acts, by number.
        angles: the angles of the whole gate that it takes, by number.
    """

    gate: "UnitaryGate"
    places: tuple[int, ...]
    angles: tuple[int, ...] = ()


class UnitaryGate(Gate):
    """A gate with a unitary matrix. Derive from one of the three kinds in `circuits.gate_kinds`."""

    @property
    def usual(self) -> "tuple[UnitaryGate, float]":
        """Return the gate at its usual scale, and the factor by which its angle is to be multiplied."""
        return self, 1.0

    def is_elementary(self) -> bool:
        """Tell whether there is at most one angle, in which the matrix has one frequency."""
        raise NotImplementedError(f"Gate {self.name} must be a ConstantGate, an ExponentialGate or a CompositeGate.")

    def parts(self) -> tuple[GatePart, ...]:
        """Return the simpler gates whose product this is exactly, the first to act first; () for a constant gate."""
        raise NotImplementedError(f"Gate {self.name} must define `parts`.")

    def matrix_at(self, *angles: float) -> np.ndarray:
        """Return the matrix at these angles, shape (2**n_qubits, 2**n_qubits)."""
        raise NotImplementedError(f"Gate {self.name} must define `matrix_at`.")


def require_square(matrix: np.ndarray, name: str) -> None:
    """Refuse an array that is not a matrix on qubits."""
    side = matrix.shape[-1]
    if matrix.ndim != 2 or matrix.shape[0] != side or side < 2 or side & (side - 1):
        raise ValueError(f"Argument `{name}` must have shape (2**n, 2**n), but has shape {matrix.shape}.")


def require_identity(matrix: np.ndarray, complaint: str) -> None:
    """Refuse a matrix that is not the identity."""
    error = float(np.abs(matrix - np.eye(len(matrix))).max())
    if not error <= UNITARITY_TOLERANCE:
        raise ValueError(
            f"{complaint} differs from 1 by {error:.2g}. Use the named methods of Circuit, which say more."
        )


def printable(label: str) -> str:
    """Return a label that may come from elsewhere on one line, without control characters, in reasonable length."""
    cut = label if len(label) <= MAX_LABEL_LENGTH else f"{label[: MAX_LABEL_LENGTH - 1]}…"
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)
