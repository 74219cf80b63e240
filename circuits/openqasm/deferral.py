"""Steps under conditions on measured bits, as controlled gates.

A gate under a condition on an outcome is controlled by the measured qubit itself, as long as no gate has changed that
since. Otherwise the outcome is copied to a fresh qubit by a CX gate, which measures it (principle of deferred
measurement; Nielsen and Chuang, Quantum Computation and Quantum Information (2010), section 4.4). Under a condition, a
reset is an exchange with a fresh qubit, and a measurement writes a fresh qubit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from circuits import gates
from circuits.openqasm.conditions import ALWAYS, Case, Condition, Logic, size_of
from circuits.openqasm.limits import ReaderLimits
from circuits.steps import LinearStep

X, SWAP = gates.Fixed("x"), gates.Fixed("swap")


class Measured(NamedTuple):
    """A measurement of the program.

    Args:
        place: its step.
        bit: number of the bit that it writes.
        previous: when that bit was 1 before.
        is_last: whether the bit keeps the outcome to the end.
        line: of the program.
    """

    place: int
    bit: int
    previous: Condition
    is_last: bool
    line: int


class Span(NamedTuple):
    """Steps start..stop - 1 under a condition, which were read in a line of the program."""

    start: int
    stop: int
    condition: Condition
    line: int


def without_conditions(
    n_qubits: int,
    steps: Sequence[LinearStep],
    spans: Sequence[Span],
    measured: Sequence[Measured],
    limits: ReaderLimits,
) -> tuple[int, list[LinearStep]]:
    """Return steps without conditions, and on how many qubits they are; fresh ones follow those of the program.

    Args:
        n_qubits: of the program.
        steps: of the program, in order.
        spans: those under conditions, ascending.
        measured: all measurements, by their number in conditions.
        limits: count the operations and the qubits.
    """
    writer = _Writer(n_qubits, steps, measured, limits)
    writer.find_copied(spans)
    place = 0
    for span in spans:
        writer.write(place, span.start, ALWAYS, span.line)
        writer.write(span.start, span.stop, span.condition, span.line)
        place = span.stop
    writer.write(place, len(steps), ALWAYS, spans[-1].line)
    return writer.n_qubits, [*writer.result, *writer.at_the_end]


@dataclass
class _Writer:
    n_qubits: int
    steps: Sequence[LinearStep]
    measured: Sequence[Measured]
    limits: ReaderLimits
    numbers: dict[int, int] = field(default_factory=dict)  # of the outcomes, by the place of their step
    copied: set[int] = field(default_factory=set)  # outcomes that outlive the state of their qubit
    final: set[int] = field(default_factory=set)  # outcomes that their qubit and their bit hold to the end
    where: dict[int, int] = field(default_factory=dict)  # the qubit that holds an outcome
    result: list[LinearStep] = field(default_factory=list)
    at_the_end: list[LinearStep] = field(default_factory=list)  # measurements of the fresh qubits

    def find_copied(self, spans: Sequence[Span]) -> None:
        """Find outcomes that a condition needs after a gate has changed their qubit."""
        self.numbers = {item.place: number for number, item in enumerate(self.measured)}
        last_use = dict[int, int]()
        for span in spans:
            previous = [
                case
                for place in range(span.start, span.stop)
                if place in self.numbers
                for case in self.measured[self.numbers[place]].previous
            ]
            for case in (*span.condition, *previous):
                last_use |= {number: span.stop - 1 for number, _ in case}
        changed = dict[int, int]()  # where a qubit is changed next
        for place in reversed(range(len(self.steps))):
            step, number = self.steps[place], self.numbers.get(place)
            if number is None:
                changed |= dict.fromkeys(step.qubits, place)
            elif changed.get(step.qubits[0], len(self.steps)) <= last_use.get(number, -1):
                self.copied.add(number)
            elif step.qubits[0] not in changed and self.measured[number].is_last:
                self.final.add(number)

    def write(self, start: int, stop: int, condition: Condition, line: int) -> None:
        """Append the steps start..stop - 1 under a condition."""
        run: list[LinearStep] = []
        for place in range(start, stop):
            step = self.steps[place]
            is_special = place in self.numbers or (isinstance(step.gate, gates.Reset) and condition != ALWAYS)
            if not is_special:
                run.append(step)
                continue
            self.append(run, condition, line)
            run = []
            if place not in self.numbers:
                self.append([LinearStep(SWAP, (step.qubits[0], self.fresh(line)))], condition, line)
            else:
                self.measure(self.numbers[place], step, condition)
        self.append(run, condition, line)

    def append(self, run: Sequence[LinearStep], condition: Condition, line: int) -> None:
        """Append steps, once for each case of a condition: at most one of them acts."""
        if condition == ALWAYS:
            self.result += run
            return
        if run:
            self.limits.spend(len(run) * size_of(condition), line)
            for case in condition:
                self.result += self.controlled(run, case, line)

    def controlled(self, run: Sequence[LinearStep], case: Case, line: int) -> list[LinearStep]:
        values = dict[int, int]()
        for number, value in case:
            if values.setdefault(self.where[number], value) != value:
                return []  # two measurements of one qubit in the same state
        zeros = [qubit for qubit, value in values.items() if not value]
        self.limits.spend(2 * len(zeros), line)
        flips = [LinearStep(X, (qubit,)) for qubit in zeros]
        inner = []
        for step in run:
            if not set(zeros).intersection(step.controls):  # else one control wants 0, and another one 1
                further = tuple(qubit for qubit in values if qubit not in step.controls)
                inner.append(replace(step, controls=(*further, *step.controls)))
        return [*flips, *inner, *flips]

    def measure(self, number: int, step: LinearStep, condition: Condition) -> None:
        """Append a measurement."""
        item, (qubit,) = self.measured[number], step.qubits
        measurement = LinearStep(gates.Measure(item.bit), (qubit,))
        if condition == ALWAYS and number not in self.copied:
            self.where[number] = qubit
            # At the end nothing but gates is before it, and the state stays pure.
            (self.at_the_end if number in self.final else self.result).append(measurement)
            return
        copy = self.fresh(item.line)
        self.append([LinearStep(X, (copy,), (qubit,))], condition, item.line)
        if condition != ALWAYS:  # elsewhere the bit keeps its value
            flip = [LinearStep(X, (copy,))]
            logic = Logic(lambda count: self.limits.spend(count, item.line))
            self.append(flip, item.previous, item.line)
            self.append(flip, logic.both(item.previous, condition), item.line)
        self.where[number] = copy
        if item.is_last:
            self.at_the_end.append(replace(measurement, qubits=(copy,)))

    def fresh(self, line: int) -> int:
        """Return a further qubit."""
        self.limits.require_qubits(self.n_qubits + 1, line)
        self.n_qubits += 1
        return self.n_qubits - 1
