"""Operations whose angles are linear in the slots, as readers of foreign circuits produce them.

Qiskit, PennyLane and OpenQASM 3 allow angles such as 2*a - b + pi/2, and gates under inverses and controls. A
circuit has one slot or constant an angle, so a rotation by such a sum is written as one rotation for each
term: they commute, and `PauliRotation.factor` holds each coefficient exactly.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from circuits.circuit import Circuit
from circuits.gates import (
    Array,
    CompositeGate,
    ConstantGate,
    ExponentialGate,
    Fixed,
    Gate,
    PauliRotation,
    Phase,
    Unitary,
    UnitaryGate,
)
from circuits.slots import Angle, Slot

GLOBAL_PHASE = PauliRotation("", factor=1.0)  # exp(i t) on no qubits
MAX_STEPS = 10**6  # of one power that is written out


@dataclass(frozen=True)
class LinearAngle:
    """The angle constant + sum_k coefficient_k slot_k.

    Args:
        constant: in radians.
        terms: pairs (slot, coefficient), no slot twice and no coefficient zero.
    """

    constant: float = 0.0
    terms: tuple[tuple[Slot, float], ...] = ()

    @staticmethod
    def of(angle: Angle) -> "LinearAngle":
        """Return a constant or a slot as a linear angle."""
        return LinearAngle(0.0, ((angle, 1.0),)) if isinstance(angle, Slot) else LinearAngle(float(angle))

    def __add__(self, other: "LinearAngle") -> "LinearAngle":
        merged = dict(self.terms)
        for slot, coefficient in other.terms:
            merged[slot] = merged.get(slot, 0.0) + coefficient
        return LinearAngle(self.constant + other.constant, tuple(pair for pair in merged.items() if pair[1] != 0.0))

    def __sub__(self, other: "LinearAngle") -> "LinearAngle":
        return self + other.scaled(-1.0)

    def scaled(self, factor: float) -> "LinearAngle":
        """Return the angle times a number."""
        terms = tuple((slot, factor * coefficient) for slot, coefficient in self.terms if factor != 0.0)
        return LinearAngle(factor * self.constant, terms)

    @property
    def plain(self) -> Angle | None:
        """Return the slot or the constant that this is, or None."""
        if not self.terms:
            return self.constant
        if self.constant == 0.0 and len(self.terms) == 1 and self.terms[0][1] == 1.0:
            return self.terms[0][0]
        return None


@dataclass(frozen=True)
class LinearStep:
    """A gate on qubits with linear angles; the gate `GLOBAL_PHASE` has no qubits."""

    gate: Gate
    qubits: tuple[int, ...] = ()
    controls: tuple[int, ...] = ()
    angles: tuple[LinearAngle, ...] = ()


def circuit_of(n_qubits: int, steps: Iterable[LinearStep]) -> Circuit:
    """Return the circuit of the steps; a global phase becomes exp(i t I) on qubit 0."""
    circuit = Circuit(n_qubits)
    for step in steps:
        for gate, qubits, controls, angles in _emitted(step):
            circuit.append(gate, qubits, controls=controls, angles=angles)
    return circuit


def controlled(
    steps: Iterable[LinearStep], controls: Sequence[int], *, values: Sequence[int] | None = None
) -> list[LinearStep]:
    """Return the steps where every control reads its value (default: 1), as controls on 1 between X gates."""
    values = [1] * len(controls) if values is None else values
    flips = [LinearStep(Fixed("x"), (qubit,)) for qubit, value in zip(controls, values, strict=True) if not value]
    inner = [replace(step, controls=(*controls, *step.controls)) for step in steps]
    return flips + inner + flips


def inverted(steps: Sequence[LinearStep], *, refuse: Callable[[str], Exception]) -> list[LinearStep]:
    """Return the inverse of unitary steps; `refuse(name)` makes the error for any other."""
    return [part for step in reversed(steps) for part in _inverse(step, refuse)]


def powered(steps: Sequence[LinearStep], power: float | int, *, refuse: Callable[[str], Exception]) -> list[LinearStep]:
    """Return a whole power of unitary steps, written out; `refuse(name)` makes the error for any other."""
    count = round(power)
    if count != power or len(steps) * abs(count) > MAX_STEPS:
        raise refuse(f"a power that is not whole or makes more than {MAX_STEPS} operations")
    return (inverted(steps, refuse=refuse) if count < 0 else list(steps)) * abs(count)


def _inverse(step: LinearStep, refuse: Callable[[str], Exception]) -> list[LinearStep]:
    gate, angles = step.gate, tuple(angle.scaled(-1.0) for angle in step.angles)
    if isinstance(gate, ConstantGate):
        return [replace(step, gate=gate.inverse())]
    if isinstance(gate, ExponentialGate):
        return [replace(step, angles=angles)]
    if isinstance(gate, CompositeGate) and gate.inverse_order is not None:
        return [replace(step, angles=tuple(angles[k] for k in gate.inverse_order))]
    if isinstance(gate, UnitaryGate):
        return inverted(_parts(step, gate), refuse=refuse)
    raise refuse(gate.name)


Emitted = tuple[Gate, tuple[int, ...], tuple[int, ...], tuple[Angle, ...]]


def _emitted(step: LinearStep) -> Iterator[Emitted]:
    gate, angles = step.gate, step.angles
    plain = tuple(angle.plain for angle in angles)
    if gate == GLOBAL_PHASE and step.controls:
        yield from _emitted(LinearStep(Phase(), step.controls[-1:], step.controls[:-1], angles))
    elif gate == GLOBAL_PHASE:
        yield from _emitted(LinearStep(PauliRotation("I", factor=1.0), (0,), (), angles))
    elif not isinstance(gate, UnitaryGate) or None not in plain:
        yield gate, step.qubits, step.controls, tuple(angle for angle in plain if angle is not None)
    elif isinstance(gate, ExponentialGate) and (terms := _terms(gate, step, angles[0])) is not None:
        yield from terms
    else:
        for part in _parts(step, gate):  # P(t) = exp(i t / 2) RZ(t), for example
            yield from _emitted(part)


def _parts(step: LinearStep, gate: UnitaryGate) -> list[LinearStep]:
    return [
        LinearStep(
            part.gate,
            tuple(step.qubits[place] for place in part.places),
            step.controls,
            tuple(step.angles[k] for k in part.angles),
        )
        for part in gate.parts()
    ]


def _terms(gate: ExponentialGate, step: LinearStep, angle: LinearAngle) -> list[Emitted] | None:
    """Return the gate once for each term of its angle, as they commute; None for a gate without a scale."""
    result: list[Emitted] = []
    for slot, coefficient in angle.terms:
        scaled = gate.scaled(coefficient)
        if scaled is None:
            return None
        result.append((scaled, step.qubits, step.controls, (slot,)))
    if angle.constant != 0.0 or not angle.terms:
        result.append((gate, step.qubits, step.controls, (angle.constant,)))
    return result


def unitary_step(matrix: np.ndarray, qubits: Sequence[int], *, label: str = "U") -> LinearStep:
    """Return a step for an arbitrary unitary, the first qubit the most significant; on no qubits a global phase."""
    if not qubits:
        return LinearStep(GLOBAL_PHASE, angles=(LinearAngle(float(np.angle(matrix.item()))),))
    return LinearStep(Unitary(Array.of(matrix), label), tuple(qubits))
