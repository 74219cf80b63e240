"""One step of a circuit: a gate, the qubits it acts on, its controls and its angles."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from circuits import _checks
from circuits.gates import (
    Array,
    Channel,
    ConstantGate,
    ExponentialGate,
    Frequencies,
    Gate,
    Measure,
    PostSelect,
    Reset,
    StatePreparation,
    UnitaryGate,
    gate_matrix,
)
from circuits.slots import Angle, Slot


@dataclass(frozen=True)
class Operation:
    """A gate on qubits of a circuit.

    Args:
        gate: an object of `circuits.gates`, or of a class from outside.
        qubits: the qubits of the gate's matrix, most significant first.
        controls: further qubits that must all read 1 for the gate to act.
        angles: constants or slots, as many as the gate takes.
    """

    gate: Gate
    qubits: tuple[int, ...]
    controls: tuple[int, ...] = ()
    angles: tuple[Angle, ...] = ()

    @property
    def all_qubits(self) -> tuple[int, ...]:
        """Return the controls, then the gate's own qubits: the order of `matrix`."""
        return self.controls + self.qubits

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return the angles that are slots."""
        return tuple(angle for angle in self.angles if isinstance(angle, Slot))

    @property
    def is_unitary(self) -> bool:
        """Tell whether the operation is a unitary gate (no reset, measurement, post-selection or noise)."""
        return isinstance(self.gate, UnitaryGate)

    @property
    def is_mid_circuit(self) -> bool:
        """Tell whether it resets, measures or post-selects."""
        return isinstance(self.gate, (Reset, Measure, PostSelect))

    @property
    def is_noise(self) -> bool:
        """Tell whether it is a noise channel."""
        return isinstance(self.gate, Channel)

    @property
    def is_preparation(self) -> bool:
        """Tell whether it prepares given amplitudes."""
        return isinstance(self.gate, StatePreparation)

    @property
    def name(self) -> str:
        """Return the gate's name with one c for each control, such as "ccx"."""
        return "c" * len(self.controls) + self.gate.name

    def elementary(self) -> "tuple[Operation, ...]":
        """Return the same operation as gates of at most one angle and one frequency: U3 becomes P, RY, P, X is X."""
        gate = self.gate
        if not isinstance(gate, UnitaryGate) or gate.is_elementary():
            return (self,)
        return tuple(elementary for part in self.parts() for elementary in part.elementary())

    def parts(self) -> "tuple[Operation, ...]":
        """Return the parts of a unitary gate as operations under the same controls; () for a constant gate."""
        parts = self.gate.parts() if isinstance(self.gate, UnitaryGate) else ()
        return tuple(
            Operation(
                part.gate,
                tuple(self.qubits[place] for place in part.places),
                self.controls,
                tuple(self.angles[k] for k in part.angles),
            )
            for part in parts
        )

    def frequencies(self) -> Frequencies:
        """Return the frequencies of expectation values in the one angle of an elementary gate.

        Raises:
            ValueError: the gate is not elementary, or takes no angle.
        """
        if not isinstance(self.gate, ExponentialGate):
            raise ValueError(f"Operation `{self.name}` must be a gate with one angle to have frequencies, but is not.")
        return self.gate.frequencies(is_controlled=bool(self.controls))

    def matrix(self) -> np.ndarray:
        """Return the unitary on `all_qubits`, for an operation whose angles are constants.

        Raises:
            ValueError: the operation is not unitary, or has an unfilled slot.
        """
        gate = self.gate
        if not isinstance(gate, UnitaryGate):
            raise ValueError(f"Operation `{self.name}` must be a unitary gate to have a matrix, but is not.")
        values = []
        for angle in self.angles:
            if isinstance(angle, Slot):
                raise ValueError(f"Operation `{self.name}` has the unfilled slot {angle}. Call Circuit.bind first.")
            values.append(float(angle))
        return gate_matrix(gate, tuple(values), len(self.controls))

    def with_angles(self, angles: tuple[Any, ...]) -> "Operation":
        """Return the same operation at these angles; amplitudes from slots become constants.

        Raises:
            ValueError: amplitudes whose norm is not 1.
        """
        gate = self.gate
        if not isinstance(gate, StatePreparation) or gate.amplitudes is not None:
            return replace(self, angles=angles)
        values = np.array(angles)
        if gate.is_complex:
            values = values[: len(values) // 2] + 1j * values[len(values) // 2 :]
        values = _checks.as_amplitudes(values, gate.n_qubits)
        return replace(self, gate=StatePreparation(gate.n_qubits, Array.of(values)), angles=())

    def inverse(self) -> "tuple[Operation, ...]":
        """Return the inverse of a unitary gate as operations, the first to act first.

        The angle of a slot cannot change its sign, so that the gate changes its scale. One without a scale is written
        as its parts, and a gate of several angles or frequencies likewise: at a slot, P(t) becomes RZ(-t) and a phase
        exp(-i t / 2).

        Raises:
            ValueError: it is not unitary.
        """
        gate = self.gate
        if isinstance(gate, ConstantGate):
            return (replace(self, gate=gate.inverse()),)
        if isinstance(gate, ExponentialGate) and gate.is_elementary():
            (angle,) = self.angles
            if not isinstance(angle, Slot):
                return (replace(self, angles=(-angle,)),)
            opposite = gate.scaled(-1.0)
            if opposite is not None:
                return (replace(self, gate=opposite),)
        if isinstance(gate, UnitaryGate):
            return tuple(inverse for part in reversed(self.parts()) for inverse in part.inverse())
        raise ValueError(
            f"Circuit.inverse must find only unitary gates, but found {self.name}. Leave out noise, resets, "
            "measurements and prepared states."
        )
