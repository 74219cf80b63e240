"""A program of rotations as a list of multiply-adds: <Z>, and its slope by the angle of every rotation.

What knows no input is computed once for all points ("narrow", shape (inputs, outputs)), the rest point by point
("wide", shape (points, inputs, outputs)). Signs, zeros and ones are carried symbolically, so that they cost nothing;
intermediate results share a few registers, so that a chunk of points stays in cache.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from qml.nn.qkan.points.program import ActivationProgram, Rotation


class ScheduleStep(NamedTuple):
    """out = first * second; or out = first + factor * second * third; or, without a second, out = factor * first."""

    out: int
    first: int
    second: int | None
    third: int | None
    factor: int


@dataclass(frozen=True)
class Schedule:
    """A program as a list of multiply-adds; see `make_schedule`. Slots are numbered: narrow ones, registers, outputs.

    Attributes:
        order: the rotations' places in the program: those that upload first.
        n_wide: how many of them upload.
        narrow: steps that no point enters. Slots 2 k and 2 k + 1 hold cosine and sine of the k-th rotation that does
            not upload; each step fills the next slot.
        n_narrow: slots up to here are narrow.
        n_registers: of one chunk; the first n_wide hold the cosines, the next n_wide the sines of the uploads.
        wide: steps of a chunk; the outputs' slots are <Z> and, where wanted, one slope a rotation in `order`.
        signs: the factor 1 or -1 of each slope.
    """

    order: tuple[int, ...]
    n_wide: int
    narrow: tuple[ScheduleStep, ...]
    n_narrow: int
    n_registers: int
    wide: tuple[ScheduleStep, ...]
    signs: tuple[int, ...]


@lru_cache(maxsize=256)
def make_schedule(program: ActivationProgram, *, slopes: bool) -> Schedule:
    """Make the steps for <Z>, and for its slopes where they are wanted."""
    uploads = [place for place, rotation in enumerate(program.rotations) if rotation.upload]
    others = [place for place, rotation in enumerate(program.rotations) if not rotation.upload]
    algebra = _Algebra(2 * len(program.rotations), {2 * place for place in uploads} | {2 * p + 1 for p in uploads})
    value, all_slopes = _derive(program, algebra)
    order = (*uploads, *others)
    wanted = [value, *(all_slopes[place] for place in order)] if slopes else [value]
    return _Layout(algebra, uploads, others).place(order, wanted)


class _Term(NamedTuple):
    """sign * variable; the number `sign` where there is no variable."""

    sign: int
    name: int | None = None


_ZERO, _ONE = _Term(0), _Term(1)
_Vector = list[_Term]


class _Algebra:
    """Steps on variables that are set once; variables 2 k and 2 k + 1 are cosine and sine of rotation k.

    Args:
        n_variables: number of variables at the start.
        wide: those that depend on the point.
    """

    def __init__(self, n_variables: int, wide: set[int]) -> None:
        self.wide, self.steps, self._next = wide, list[ScheduleStep](), n_variables

    def times(self, one: _Term, other: _Term) -> _Term:
        """Return the product of two terms."""
        sign = one.sign * other.sign
        if sign == 0 or one.name is None or other.name is None:
            return _Term(sign, (other.name if one.name is None else one.name) if sign else None)
        return _Term(sign, self._emit(one.name, other.name, None, 1))

    def plus(self, value: _Term, one: _Term, other: _Term, sign: int = 1) -> _Term:
        """Return value + sign * one * other."""
        factor = sign * one.sign * other.sign
        if factor == 0:
            return value
        if value.sign == 0:
            product = self.times(one, other)
            return _Term(sign * product.sign, product.name)
        if value.name is None or one.name is None or other.name is None:
            raise ValueError("A program must not start with a rotation about the vector that it starts from.")
        return _Term(value.sign, self._emit(value.name, one.name, other.name, value.sign * factor))

    def products(self, *factors: tuple[_Term, _Term, int]) -> _Term:
        """Sum products one * other * sign, one of positive sign first, so that the sum seldom has a sign."""
        total = _ZERO
        for one, other, sign in sorted(factors, key=lambda product: -product[0].sign * product[1].sign * product[2]):
            total = self.plus(total, one, other, sign)
        return total

    def scaled(self, term: _Term, filler: int) -> int:
        """Return a fresh variable equal to the term. A constant 0 is `filler`, any wide variable, times 0."""
        return self._emit(filler if term.name is None else term.name, None, None, term.sign, wide=True)

    def _emit(self, first: int, second: int | None, third: int | None, factor: int, *, wide: bool = False) -> int:
        out, self._next = self._next, self._next + 1
        self.steps.append(ScheduleStep(out, first, second, third, factor))
        if wide or self.wide & {first, second, third}:
            self.wide.add(out)
        return out


def _derive(program: ActivationProgram, algebra: _Algebra) -> tuple[_Term, list[_Term]]:
    """Derive <Z> = u' v and its slopes, the observable u turned back through the rotations behind the last upload."""
    rotations = list(enumerate(program.rotations))
    last = 1 + max(place for place, rotation in rotations if rotation.upload)
    vector: _Vector = [_Term(entry) for entry in program.start]
    vectors = []
    for place, rotation in rotations[:last]:
        vector = _rotated(algebra, vector, place, rotation, 1)
        vectors.append(vector)
    observable, observables = [_ZERO, _ZERO, _ONE], []
    for place, rotation in reversed(rotations[last:]):
        observables.append(observable)
        observable = _rotated(algebra, observable, place, rotation, -1)
    value = algebra.products(*((one, other, 1) for one, other in zip(observable, vector, strict=True)))
    slopes: dict[int, _Term] = {}
    behind = vector
    for (place, rotation), seen in zip(rotations[last:], reversed(observables), strict=True):
        behind = _rotated(algebra, behind, place, rotation, 1)
        slopes[place] = _wedge(algebra, behind, seen, rotation)
    for (place, rotation), seen in zip(reversed(rotations[:last]), reversed(vectors), strict=True):
        slopes[place] = _wedge(algebra, seen, observable, rotation)
        observable = _rotated(algebra, observable, place, rotation, -1)
    return value, [slopes[place] for place, _ in rotations]


def _rotated(algebra: _Algebra, vector: _Vector, place: int, rotation: Rotation, direction: int) -> _Vector:
    first, second = (rotation.axis + 1) % 3, (rotation.axis + 2) % 3
    cosine, sine = _Term(1, 2 * place), _Term(direction, 2 * place + 1)
    result = list(vector)
    result[first] = algebra.plus(algebra.times(cosine, vector[first]), sine, vector[second], -1)
    result[second] = algebra.plus(algebra.times(cosine, vector[second]), sine, vector[first], 1)
    return result


def _wedge(algebra: _Algebra, vector: _Vector, observable: _Vector, rotation: Rotation) -> _Term:
    """Derive the slope of u' R v by the angle of R, from u and R v."""
    first, second = (rotation.axis + 1) % 3, (rotation.axis + 2) % 3
    return algebra.products((observable[second], vector[first], 1), (observable[first], vector[second], -1))


class _Layout:
    """An assignment of slots to the variables that the outputs need."""

    def __init__(self, algebra: _Algebra, uploads: list[int], others: list[int]) -> None:
        self._algebra, self._uploads, self._others = algebra, uploads, others

    def place(self, order: tuple[int, ...], outputs: list[_Term]) -> Schedule:
        """Return the schedule that computes the outputs; <Z>, the first of them, with its sign."""
        algebra = self._algebra
        names = self._named(outputs)
        kept = _needed(algebra.steps, names)
        narrow = [step for step in kept if step.out not in algebra.wide]
        slots = {2 * place + part: 2 * k + part for k, place in enumerate(self._others) for part in (0, 1)}
        slots |= {step.out: 2 * len(self._others) + k for k, step in enumerate(narrow)}
        n_narrow, n_wide = len(slots), len(self._uploads)
        wide = [step for step in kept if step.out in algebra.wide]
        registers = {2 * place + part: k + part * n_wide for k, place in enumerate(self._uploads) for part in (0, 1)}
        n_registers = _assign(wide, registers, set(names))
        slots |= {name: n_narrow + register for name, register in registers.items()}
        slots |= {name: n_narrow + n_registers + k for k, name in enumerate(names)}
        return Schedule(
            order,
            n_wide,
            tuple(_renamed(step, slots) for step in narrow),
            n_narrow,
            n_registers,
            tuple(_renamed(step, slots) for step in wide),
            tuple(term.sign or 1 for term in outputs[1:]),
        )

    def _named(self, outputs: list[_Term]) -> list[int]:
        """Return a wide variable of its own for every output."""
        algebra = self._algebra
        fresh = {step.out for step in algebra.steps}
        names: list[int] = []
        for index, term in enumerate(outputs):
            own = term.name in fresh and term.name in algebra.wide and term.name not in names
            if own and term.name is not None and (index > 0 or term.sign > 0):
                names.append(term.name)
            else:
                kept = term if index == 0 else _Term(abs(term.sign), term.name)
                names.append(algebra.scaled(kept, 2 * self._uploads[0]))
        return names


def _needed(steps: list[ScheduleStep], names: list[int]) -> list[ScheduleStep]:
    """Return the steps that the variables `names` depend on."""
    wanted, kept = set(names), []
    for step in reversed(steps):
        if step.out in wanted:
            kept.append(step)
            wanted |= _read(step)
    return kept[::-1]


def _assign(steps: list[ScheduleStep], registers: dict[int, int], outputs: set[int]) -> int:
    """Give a register to every wide variable that is no output, free again behind its last use; return their number."""
    last_use = {name: index for index, step in enumerate(steps) for name in _read(step)}
    free: list[int] = []
    total = len(registers)
    for index, step in enumerate(steps):
        free += [registers[name] for name in _read(step) if name in registers and last_use[name] == index]
        if step.out not in outputs:
            if not free:
                free.append(total)
                total += 1
            registers[step.out] = free.pop()
    return total


def _read(step: ScheduleStep) -> set[int]:
    return {name for name in (step.first, step.second, step.third) if name is not None}


def _renamed(step: ScheduleStep, slots: dict[int, int]) -> ScheduleStep:
    first, second, third = (None if name is None else slots[name] for name in step[1:4])
    return ScheduleStep(slots[step.out], first or 0, second, third, step.factor)
