"""Operations that are no unitary gates: amplitudes to start from, resets, measurements, post-selection and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from circuits.gate import Array, Gate, printable, require_identity, require_square

ZERO, ONE = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])


@dataclass(frozen=True)
class StatePreparation(Gate):
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
        require_identity(np.vdot(values, values).reshape(1, 1), "Argument `amplitudes` must have norm 1, but <a|a>")

    @property
    def n_angles(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the number of amplitudes' parts that come from slots."""
        return 0 if self.amplitudes is not None else 2**self.n_qubits * (2 if self.is_complex else 1)

    def title(self, angles: Sequence[str]) -> str:
        """Return the sign of a state, with the first and last slot."""
        return f"ψ({angles[0]}..{angles[-1]})" if angles else "|ψ⟩"


class KrausGate(Gate):
    """An operation that is not unitary and is given by its Kraus operators."""

    @property
    def kraus_operators(self) -> np.ndarray:
        """Return the operators K of rho -> sum_k K_k rho K_k^dagger, shape (operators, side, side)."""
        raise NotImplementedError(f"Gate {self.name} must define `kraus_operators`.")


@dataclass(frozen=True)
class Reset(KrausGate):
    """An operation that discards a qubit's state and puts it back to |0>."""

    name = "reset"
    n_qubits = 1

    @property
    def kraus_operators(self) -> np.ndarray:
        """Return |0><0| and |0><1|."""
        return np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]]], dtype=complex)

    def title(self, angles: Sequence[str]) -> str:
        """Return the state after it."""
        return "|0⟩"


@dataclass(frozen=True)
class Measure(KrausGate):
    """A measurement of a qubit in the Z basis into classical bit `bit`, after which the circuit goes on."""

    bit: int
    name = "measure"
    n_qubits = 1

    def __post_init__(self) -> None:
        if self.bit < 0:
            raise ValueError(f"Argument `bit` must be at least 0, but is {self.bit}.")

    @property
    def kraus_operators(self) -> np.ndarray:
        """Return the projectors onto both outcomes."""
        return np.stack([ZERO, ONE])

    def title(self, angles: Sequence[str]) -> str:
        """Return the bit."""
        return f"M→c{self.bit}"


@dataclass(frozen=True)
class PostSelect(KrausGate):
    """An operation that keeps only the runs in which the qubit reads `value`; the state is renormalised."""

    value: int
    name = "post_select"
    n_qubits = 1

    def __post_init__(self) -> None:
        if self.value not in (0, 1):
            raise ValueError(f"Argument `value` must be 0 or 1, but is {self.value!r}.")

    @property
    def kraus_operators(self) -> np.ndarray:
        """Return the one projector, which does not preserve the trace."""
        return (ONE if self.value else ZERO)[None]

    def title(self, angles: Sequence[str]) -> str:
        """Return the value."""
        return f"keep {self.value}"


@dataclass(frozen=True)
class Channel(KrausGate):
    """A noise channel by its Kraus operators, stacked as (operators, side, side)."""

    kraus: Array
    label: str
    strength: float | None = None
    name = "channel"

    def __post_init__(self) -> None:
        values = self.kraus.values
        if values.ndim != 3:
            raise ValueError(f"Argument `kraus` must have shape (operators, side, side), but has {values.shape}.")
        require_square(values[0], "kraus")
        total = np.einsum("kji,kjl->il", values.conj(), values)
        require_identity(total, "Argument `kraus` must preserve the trace, but sum K^dagger K")

    @property
    def n_qubits(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the number of qubits."""
        return self.kraus.shape[1].bit_length() - 1

    @property
    def kraus_operators(self) -> np.ndarray:
        """Return the operators."""
        return self.kraus.values

    def title(self, angles: Sequence[str]) -> str:
        """Return the label and the strength, where it is known."""
        label = printable(self.label)
        return label if self.strength is None else f"{label} {self.strength:g}"
