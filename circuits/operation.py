"""One step of a circuit: a gate, the qubits it acts on, its controls and its angles."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from circuits import _checks
from circuits.gates import (
    FIXED_INVERSES,
    U3,
    Array,
    Channel,
    Fixed,
    Gate,
    Measure,
    PauliRotation,
    Phase,
    PostSelect,
    Reset,
    StatePreparation,
    Unitary,
    gate_matrix,
)
from circuits.slots import Angle, Slot

CONTROLLED_NAMES = {"x": "cx", "y": "cy", "z": "cz", "swap": "cswap", "p": "cp", "h": "ch"}


@dataclass(frozen=True)
class Operation:
    """A gate on qubits of a circuit.

    Args:
        gate: what happens, an entry of the gate table.
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
        """Controls first, then the gate's own qubits: the order of `matrix`."""
        return self.controls + self.qubits

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The angles that are slots."""
        return tuple(angle for angle in self.angles if isinstance(angle, Slot))

    @property
    def is_unitary(self) -> bool:
        """Whether the operation is a unitary gate (no reset, measurement, post-selection or noise)."""
        return isinstance(self.gate, (Fixed, PauliRotation, Phase, U3, Unitary))

    @property
    def is_mid_circuit(self) -> bool:
        """Whether it resets, measures or post-selects."""
        return isinstance(self.gate, (Reset, Measure, PostSelect))

    @property
    def is_noise(self) -> bool:
        """Whether it is a noise channel."""
        return isinstance(self.gate, Channel)

    @property
    def is_preparation(self) -> bool:
        """Whether it prepares given amplitudes."""
        return isinstance(self.gate, StatePreparation)

    @property
    def name(self) -> str:
        """The gate's name with one c for each control, such as "ccx"."""
        if len(self.controls) == 1:
            return CONTROLLED_NAMES.get(self.gate.name, "c" + self.gate.name)
        return "c" * len(self.controls) + self.gate.name

    def elementary(self) -> "tuple[Operation, ...]":
        """The same operation as gates of at most one angle each: U3 becomes P, RY, P; all others are themselves."""
        if not isinstance(self.gate, U3):
            return (self,)
        theta, phi, lam = self.angles
        parts: tuple[tuple[Phase | PauliRotation, Angle], ...] = (
            (Phase(), lam),
            (PauliRotation("Y"), theta),
            (Phase(), phi),
        )
        return tuple(Operation(gate, self.qubits, self.controls, (angle,)) for gate, angle in parts)

    def matrix(self) -> np.ndarray:
        """The unitary on `all_qubits`, for an operation whose angles are constants.

        Raises:
            ValueError: the operation is not unitary, or has an unfilled slot.
        """
        gate = self.gate
        if not isinstance(gate, (Fixed, PauliRotation, Phase, U3, Unitary)):
            raise ValueError(f"Operation `{self.name}` must be a unitary gate to have a matrix, but is not.")
        values = []
        for angle in self.angles:
            if isinstance(angle, Slot):
                raise ValueError(f"Operation `{self.name}` has the unfilled slot {angle}. Call Circuit.bind first.")
            values.append(float(angle))
        return gate_matrix(gate, tuple(values), len(self.controls))

    def with_angles(self, angles: tuple[Any, ...]) -> "Operation":
        """The same operation at these angles; amplitudes from slots become constants.

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

    def inverse(self) -> "Operation":
        """The inverse of a unitary gate of at most one angle; a slot keeps its sign, so its rotation turns round.

        Raises:
            ValueError: it is not unitary, or a P or U3 with a slot.
        """
        gate = self.gate
        if isinstance(gate, Fixed):
            return replace(self, gate=Fixed(FIXED_INVERSES.get(gate.name, gate.name)))
        if isinstance(gate, Unitary):
            return replace(self, gate=replace(gate, matrix=Array.of(gate.matrix.values.conj().T)))
        angle = self.angles[0] if self.angles else None
        if isinstance(gate, (PauliRotation, Phase)) and isinstance(angle, float):
            return replace(self, angles=(-angle,))
        if isinstance(gate, PauliRotation):
            return replace(self, gate=replace(gate, factor=-gate.factor))
        raise ValueError(
            f"Circuit.inverse must find only unitary gates, and no slot on P or U3, but found {self.name} with "
            f"angles {self.angles}. Bind the circuit first, or use rotations."
        )
