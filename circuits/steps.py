"""Operations whose angles are linear in the slots: what every reader of a foreign circuit produces.

Qiskit, PennyLane and OpenQASM 3 allow angles such as 2*a - b + pi/2, and gates under inverses and controls. A
circuit has one slot or constant an angle, so a rotation by such a sum is written as one rotation for each
term: they commute, and `PauliRotation.factor` holds each coefficient exactly.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from circuits.circuit import Circuit
from circuits.gates import FIXED_INVERSES, U3, Array, Fixed, Gate, PauliRotation, Phase, Unitary
from circuits.slots import Angle, Slot

GLOBAL_PHASE = PauliRotation("", factor=1.0)  # exp(i t) on no qubits


MAX_STEPS = 10**6  # of one power


@dataclass(frozen=True)
class Linear:
    """The angle constant + sum_k coefficient_k slot_k.

    Args:
        constant: in radians.
        terms: pairs (slot, coefficient), no slot twice and no coefficient zero.
    """

    constant: float = 0.0
    terms: tuple[tuple[Slot, float], ...] = ()

    @staticmethod
    def of(angle: Angle) -> "Linear":
        """A constant or a slot as a linear angle."""
        return Linear(0.0, ((angle, 1.0),)) if isinstance(angle, Slot) else Linear(float(angle))

    def __add__(self, other: "Linear") -> "Linear":
        merged = dict(self.terms)
        for slot, coefficient in other.terms:
            merged[slot] = merged.get(slot, 0.0) + coefficient
        return Linear(self.constant + other.constant, tuple(pair for pair in merged.items() if pair[1] != 0.0))

    def __sub__(self, other: "Linear") -> "Linear":
        return self + other.scaled(-1.0)

    def scaled(self, factor: float) -> "Linear":
        """The angle times a number."""
        terms = tuple((slot, factor * coefficient) for slot, coefficient in self.terms if factor != 0.0)
        return Linear(factor * self.constant, terms)

    @property
    def plain(self) -> Angle | None:
        """The slot or the constant that this is, or None."""
        if not self.terms:
            return self.constant
        if self.constant == 0.0 and len(self.terms) == 1 and self.terms[0][1] == 1.0:
            return self.terms[0][0]
        return None


@dataclass(frozen=True)
class Step:
    """A gate on qubits with linear angles; the gate `GLOBAL_PHASE` has no qubits."""

    gate: Gate
    qubits: tuple[int, ...] = ()
    controls: tuple[int, ...] = ()
    angles: tuple[Linear, ...] = ()


def circuit_of(n_qubits: int, steps: Iterable[Step]) -> Circuit:
    """The circuit of the steps; a global phase becomes exp(i t I) on qubit 0."""
    circuit = Circuit(n_qubits)
    for step in steps:
        for gate, qubits, controls, angles in _emitted(step):
            circuit.append(gate, qubits, controls=controls, angles=angles)
    return circuit


def controlled(steps: Iterable[Step], controls: Sequence[int], *, values: Sequence[int] | None = None) -> list[Step]:
    """The steps where every control reads its value (default: 1), as controls on 1 between X gates."""
    values = [1] * len(controls) if values is None else values
    flips = [Step(Fixed("x"), (qubit,)) for qubit, value in zip(controls, values, strict=True) if not value]
    inner = [replace(step, controls=(*controls, *step.controls)) for step in steps]
    return flips + inner + flips


def inverted(steps: Sequence[Step], *, refuse: Callable[[str], Exception]) -> list[Step]:
    """The inverse of unitary steps; `refuse(name)` makes the error for any other."""
    return [_inverse(step, refuse) for step in reversed(steps)]


def powered(steps: Sequence[Step], power: float | int, *, refuse: Callable[[str], Exception]) -> list[Step]:
    """A whole power of unitary steps, written out; `refuse(name)` makes the error for any other."""
    count = round(power)
    if count != power or len(steps) * abs(count) > MAX_STEPS:
        raise refuse(f"a power that is not whole or makes more than {MAX_STEPS} operations")
    return (inverted(steps, refuse=refuse) if count < 0 else list(steps)) * abs(count)


def _inverse(step: Step, refuse: Callable[[str], Exception]) -> Step:
    gate, angles = step.gate, tuple(angle.scaled(-1.0) for angle in step.angles)
    if isinstance(gate, Fixed):
        return replace(step, gate=Fixed(FIXED_INVERSES.get(gate.name, gate.name)))
    if isinstance(gate, (PauliRotation, Phase)):
        return replace(step, angles=angles)
    if isinstance(gate, U3):
        return replace(step, angles=(angles[0], angles[2], angles[1]))
    if isinstance(gate, Unitary):
        return replace(step, gate=replace(gate, matrix=Array.of(gate.matrix.values.conj().T)))
    raise refuse(gate.name)


Emitted = tuple[Gate, tuple[int, ...], tuple[int, ...], tuple[Angle, ...]]


def _emitted(step: Step) -> Iterator[Emitted]:
    gate, angles = step.gate, step.angles
    if gate == GLOBAL_PHASE and step.controls:
        yield from _emitted(Step(Phase(), step.controls[-1:], step.controls[:-1], angles))
    elif gate == GLOBAL_PHASE:
        yield from _emitted(Step(PauliRotation("I", factor=1.0), (0,), (), angles))
    elif isinstance(gate, PauliRotation):
        yield from _rotations(gate, step, angles[0])
    elif isinstance(gate, Phase) and angles[0].plain is None:
        # P(t) = exp(i t / 2) RZ(t)
        yield from _rotations(PauliRotation("Z"), step, angles[0])
        yield from _rotations(PauliRotation("I", factor=0.5), step, angles[0])
    elif isinstance(gate, U3) and any(angle.plain is None for angle in angles):
        theta, phi, lam = angles
        for part, angle in ((Phase(), lam), (PauliRotation("Y"), theta), (Phase(), phi)):
            yield from _emitted(replace(step, gate=part, angles=(angle,)))
    else:
        plain = tuple(angle.plain for angle in angles)
        yield gate, step.qubits, step.controls, tuple(angle for angle in plain if angle is not None)


def _rotations(gate: PauliRotation, step: Step, angle: Linear) -> Iterator[Emitted]:
    for slot, coefficient in angle.terms:
        yield replace(gate, factor=gate.factor * coefficient), step.qubits, step.controls, (slot,)
    if angle.constant != 0.0 or not angle.terms:
        yield gate, step.qubits, step.controls, (angle.constant,)


def unitary_step(matrix: np.ndarray, qubits: Sequence[int], *, label: str = "U") -> Step:
    """A step for an arbitrary unitary, the first qubit the most significant; on no qubits it is a global phase."""
    if not qubits:
        return Step(GLOBAL_PHASE, angles=(Linear(float(np.angle(matrix.item()))),))
    return Step(Unitary(Array.of(matrix), label), tuple(qubits))
