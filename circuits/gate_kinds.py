"""The three kinds of unitary gates: what a class of gates must say, and what follows from it.

    ConstantGate      no angle; says its matrix.
    ExponentialGate   one angle, exp(-i t G); says its generator G (a `ScaledGate` also carries a factor of t).
    CompositeGate     several angles; says the gates of which it consists.

`Unitary` and `PauliRotation` are here because gates that a reader does not know are written as those.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from circuits.gate import UNITARITY_TOLERANCE, Array, GatePart, UnitaryGate, printable, require_identity, require_square
from circuits.generators import (
    PAULIS,
    Frequencies,
    TrigonometricForm,
    commuting_terms,
    distinct_eigenvalues,
    exponential,
    frequencies_of,
    multiplied,
    on_places,
    pauli_matrix,
    trigonometric_form_of,
)

# --- no angle -------------------------------------------------------------------------------------------------------


class ConstantGate(UnitaryGate):
    """A unitary gate without angles. Its class must have `name`, `n_qubits` and `matrix_at`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.n_angles != 0:
            raise TypeError(f"Class {cls.__name__} must have no angles, but has {cls.n_angles}. Use ExponentialGate.")

    def is_elementary(self) -> bool:
        """Return True."""
        return True

    def parts(self) -> tuple[GatePart, ...]:
        """Return ()."""
        return ()

    def inverse(self) -> "ConstantGate":
        """Return the inverse gate."""
        return Unitary(Array.of(self.matrix_at().conj().T), f"{self.title(())}†")


@dataclass(frozen=True)
class Unitary(ConstantGate):
    """An arbitrary constant unitary."""

    matrix: Array
    label: str = "U"
    name = "unitary"

    def __post_init__(self) -> None:
        values = self.matrix.values
        require_square(values, "matrix")
        require_identity(values @ values.conj().T, "Argument `matrix` must be unitary, but U U^dagger")

    @property
    def n_qubits(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the number of qubits without controls."""
        return self.matrix.shape[0].bit_length() - 1

    def title(self, angles: Sequence[str]) -> str:
        """Return the label."""
        return printable(self.label)

    def matrix_at(self, *angles: float) -> np.ndarray:
        """Return the matrix."""
        return self.matrix.values

    def inverse(self) -> "Unitary":
        """Return the conjugate transpose under the same label."""
        return replace(self, matrix=Array.of(self.matrix.values.conj().T))


# --- one angle ------------------------------------------------------------------------------------------------------


class ExponentialGate(UnitaryGate):
    """A unitary gate with one angle t, exp(-i t G). Its class must have `name`, `n_qubits` and `generator`."""

    n_angles = 1

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.n_angles != 1:
            raise TypeError(f"Class {cls.__name__} must have one angle, but has {cls.n_angles}. Use CompositeGate.")

    @property
    def generator(self) -> np.ndarray:
        """Return the Hermitian matrix G."""
        raise NotImplementedError(f"Gate {self.name} must define `generator`.")

    @property
    def eigenvalues(self) -> tuple[float, ...]:
        """Return the different eigenvalues of G, ascending."""
        return _eigenvalues_of(self)

    def frequencies(self, *, is_controlled: bool) -> Frequencies:
        """Return the frequencies of expectation values in the angle of an elementary gate."""
        return frequencies_of(self.eigenvalues, is_controlled=is_controlled)

    def scaled(self, factor: float) -> "ExponentialGate | None":
        """Return the gate whose angle is multiplied by a factor; None for a class that has no such gate."""
        del factor
        return None

    def is_elementary(self) -> bool:
        """Tell whether the matrix has one frequency."""
        return len({abs(value) for value in self.eigenvalues} - {0.0}) == 1

    def parts(self) -> tuple[GatePart, ...]:
        """Return commuting Pauli rotations, between two constant gates if they need the basis of G's eigenvectors."""
        return _pauli_parts(self)

    def matrix_at(self, *angles: float) -> np.ndarray:
        """Return the matrix at its angle."""
        (angle,) = angles
        return trigonometric_form(self).matrix(angle) if self.is_elementary() else exponential(self.generator, angle)


@dataclass(frozen=True)
class ScaledGate(ExponentialGate):
    """A gate exp(-i scale t G) with any scale but 0. Its class must have `name`, `n_qubits` and `unscaled_generator`.

    The scale holds the coefficients of sums of slots, as Qiskit, PennyLane and OpenQASM allow them, and the sign of an
    inverse.

    Attributes:
        symbol: how drawings call it; by default the name in upper case.
    """

    scale: float = 1.0
    symbol: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale) or self.scale == 0.0:
            raise ValueError(f"Argument `scale` must be finite and not 0, but is {self.scale}.")

    @property
    def unscaled_generator(self) -> np.ndarray:
        """Return the Hermitian matrix G for scale 1."""
        raise NotImplementedError(f"Gate {self.name} must define `unscaled_generator`.")

    @property
    def generator(self) -> np.ndarray:
        """Return the Hermitian matrix, scale included."""
        return self.scale * self.unscaled_generator

    @property
    def usual(self) -> tuple[UnitaryGate, float]:
        """Return the gate of scale 1, and the scale."""
        return replace(self, scale=1.0), self.scale

    def scaled(self, factor: float) -> "ScaledGate":
        """Return the gate whose angle is multiplied by a factor."""
        return replace(self, scale=self.scale * factor)

    def title(self, angles: Sequence[str]) -> str:
        """Return the symbol and the angle."""
        scale = "" if self.scale == 1.0 else f"{self.scale:.3g} "
        return f"{self.symbol or self.name.upper()}({scale}{angles[0]})"


@dataclass(frozen=True)
class PauliRotation(ExponentialGate):
    """exp(i * factor * t * P) for a Pauli string P; factor -1/2 is the usual rotation, +1 is `exp_pauli`."""

    pauli: str
    factor: float = -0.5

    def __post_init__(self) -> None:
        if not set(self.pauli) <= set(PAULIS):
            raise ValueError(f"Argument `pauli` must be a string over I, X, Y, Z, but is {self.pauli!r}.")
        if not math.isfinite(self.factor) or self.factor == 0.0:
            raise ValueError(f"Argument `factor` must be finite and not 0, but is {self.factor}.")

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return "rzx" or the like for the usual rotation, "exp_zx" for another factor."""
        return f"r{self.pauli.lower()}" if self.factor == -0.5 else f"exp_{self.pauli.lower()}"

    @property
    def n_qubits(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the number of qubits without controls."""
        return len(self.pauli)

    @property
    def generator(self) -> np.ndarray:
        """Return -factor P."""
        return -self.factor * pauli_matrix(self.pauli)

    @property
    def eigenvalues(self) -> tuple[float, ...]:
        """Return the factor with both signs, or with the one that exp(i factor t I) has."""
        return (-abs(self.factor), abs(self.factor)) if self.pauli.strip("I") else (-self.factor,)

    @property
    def usual(self) -> tuple[UnitaryGate, float]:
        """Return the usual rotation about P, and the factor of its angle."""
        return PauliRotation(self.pauli), -2.0 * self.factor

    def is_elementary(self) -> bool:
        """Return True."""
        return True

    def scaled(self, factor: float) -> "PauliRotation":
        """Return the rotation whose angle is multiplied by a factor."""
        return replace(self, factor=self.factor * factor)

    def parts(self) -> tuple[GatePart, ...]:
        """Return the rotation itself."""
        return (GatePart(self, tuple(range(self.n_qubits)), (0,)),)

    def title(self, angles: Sequence[str]) -> str:
        """Return "RZX(t)" or the like for the usual rotation, the exponential for another factor."""
        if self.factor == -0.5:
            return f"R{self.pauli}({angles[0]})"
        scale = {1.0: "i", -1.0: "-i"}.get(self.factor, f"{self.factor:.3g}i")
        return f"exp({scale} {angles[0]} {self.pauli})"

    def labels(self, angles: Sequence[str]) -> list[str]:
        """Return each qubit's letter, the first with the title."""
        title = self.title(angles)
        return [title] if self.n_qubits == 1 else [f"{self.pauli[0]}: {title}", *self.pauli[1:]]


@lru_cache(maxsize=1024)
def _eigenvalues_of(gate: ExponentialGate) -> tuple[float, ...]:
    generator = gate.generator
    require_square(generator, "generator")
    if np.abs(generator - generator.conj().T).max() > UNITARITY_TOLERANCE:
        raise ValueError(f"The generator of gate {gate.name} must be Hermitian, but is not. Leave out the factor -i.")
    return distinct_eigenvalues(generator)


@lru_cache(maxsize=256)
def _pauli_parts(gate: ExponentialGate) -> tuple[GatePart, ...]:
    places = tuple(range(gate.n_qubits))
    basis, terms = commuting_terms(gate.generator)
    rotations = tuple(GatePart(PauliRotation(pauli, -value), places, (0,)) for pauli, value in terms.items())
    if basis is None:
        return rotations
    change = Unitary(Array.of(basis.conj().T), "V†")
    return GatePart(change, places), *rotations, GatePart(replace(change.inverse(), label="V"), places)


@lru_cache(maxsize=1024)
def trigonometric_form(gate: ExponentialGate, n_controls: int = 0) -> TrigonometricForm:
    """Return the trigonometric form of a one-angle gate under `n_controls` controls (most significant, all on 1).

    Raises:
        ValueError: the gate has several frequencies; then its parts have one each.
    """
    if not gate.is_elementary():
        raise ValueError(
            f"Gate {gate.name} must have one frequency for a trigonometric form. Take its `parts` instead."
        )
    frequency = max(map(abs, gate.eigenvalues))
    return trigonometric_form_of(gate.generator, frequency).controlled(n_controls)


# --- several angles -------------------------------------------------------------------------------------------------


class CompositeGate(UnitaryGate):
    """A unitary gate that is a product of others. Its class must have `name`, `n_qubits`, `n_angles` and `parts`.

    Attributes:
        inverse_order: set if the inverse is the gate itself at its negated angles in this order.
    """

    inverse_order: tuple[int, ...] | None = None

    def is_elementary(self) -> bool:
        """Return False."""
        return False

    def matrix_at(self, *angles: float) -> np.ndarray:
        """Return the product of the parts' matrices."""
        return multiplied(
            [
                on_places(part.gate.matrix_at(*(angles[k] for k in part.angles)), part.places, self.n_qubits)
                for part in self.parts()
            ]
        )


def gate_matrix(gate: UnitaryGate, angles: tuple[float, ...] = (), n_controls: int = 0) -> np.ndarray:
    """Return the matrix of a unitary gate at the given angles; controls come first (most significant).

    Shape: (2**(n_controls + n_qubits),) * 2.
    """
    matrix = gate.matrix_at(*angles)
    if n_controls == 0:
        return matrix
    result = np.eye(len(matrix) * 2**n_controls, dtype=complex)
    result[-len(matrix) :, -len(matrix) :] = matrix
    return result
