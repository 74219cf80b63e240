"""Qiskit's control flow in the converter: instructions under conditions become controlled gates, as for OpenQASM."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from circuits import gates
from circuits.openqasm.conditions import ALWAYS, NEVER, Condition, Logic, outcome, size_of
from circuits.openqasm.deferral import Measured, Span, without_conditions
from circuits.openqasm.limits import ReaderLimits
from circuits.steps import LinearStep
from qml.backends.convert.qiskit_angles import refusal
from qml.backends.convert.qiskit_flow import Branches, EndFlag, Item, SetFlag, Step
from qml.backends.convert.qiskit_reader import QiskitReader

MAX_OPERATIONS = 250_000
MAX_QUBITS = 100_000


@dataclass
class CircuitLimits(ReaderLimits):
    """The limits of a circuit that is written out."""

    max_operations: int = MAX_OPERATIONS
    max_qubits: int = MAX_QUBITS
    max_depth: int = 0  # Qiskit's own blocks are no text

    def require_room(self, count: int, line: int) -> None:
        """Refuse so many further operations if they are too many."""
        if self.n_operations + count > self.max_operations:
            raise refusal(f"loops and conditions that are more than {self.max_operations} operations when written out")

    def require_qubits(self, count: int, line: int, *, noun: str = "qubits") -> None:
        """Refuse more qubits than the limit."""
        if count > self.max_qubits:
            raise refusal(f"conditions that need more than {self.max_qubits} {noun}")


@dataclass
class ControlFlowReader:
    """A reader of control flow that has been written out.

    Args:
        reader: of single instructions.
        n_qubits: of the circuit.
        conditions: when each bit and each flag is 1, by its number; the others are 0.
    """

    reader: QiskitReader
    n_qubits: int
    conditions: dict[int, Condition] = field(default_factory=dict)
    condition: Condition = ALWAYS
    steps: list[LinearStep] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    measured: list[tuple[int, int, int, Condition]] = field(default_factory=list)  # (step, bit, its number, before)
    limits: CircuitLimits = field(default_factory=CircuitLimits)

    def __post_init__(self) -> None:
        self.logic = Logic(lambda count: self.limits.spend(count, 0))

    def circuit(self, items: Sequence[Item], bits: Sequence[Any]) -> tuple[int, list[LinearStep]]:
        """Return the number of qubits and the steps of a circuit.

        Args:
            items: what runs.
            bits: the classical bits by their numbers.
        """
        self.read(items, bits)
        measured = [
            Measured(place, bit, previous, self.conditions.get(own) == outcome(number), 0)
            for number, (place, bit, own, previous) in enumerate(self.measured)
        ]
        if not self.spans:
            return self.n_qubits, self.steps
        return without_conditions(self.n_qubits, self.steps, self.spans, measured, self.limits)

    def read(self, items: Sequence[Item], bits: Sequence[Any]) -> None:
        """Read items under the condition that holds here."""
        for item in items:
            match item:
                case Step():
                    self.step(item, bits)
                case SetFlag(flag):
                    self.conditions[flag] = self.logic.either(self.conditions.get(flag, NEVER), self.condition)
                case EndFlag(flag):
                    self.conditions.pop(flag, None)
                case Branches():
                    self.branches(item, bits)

    def branches(self, item: Branches, bits: Sequence[Any]) -> None:
        """Read blocks, each under its condition."""
        outside = self.condition
        tested = [self.conditions.get(bit, NEVER) for bit in item.tested]
        for choices, block in item.blocks:
            own = ALWAYS if len(choices) == 2 ** len(tested) else NEVER
            if own == NEVER:
                for choice in sorted(choices):
                    own += self.logic.all_of(tested, choice)
            self.condition = self.logic.both(outside, own)
            if self.condition != NEVER:
                self.read(block, bits)
            self.condition = outside

    def step(self, item: Step, bits: Sequence[Any]) -> None:
        """Append an instruction."""
        start = len(self.steps)
        read = self.reader.instruction(item.operation, list(item.qubits), [bits[bit] for bit in item.bits], pure=False)
        self.reader.used.update(item.qubits)
        for step in read:
            if isinstance(step.gate, gates.PostSelect):
                self.keep(step.gate.value, item)
            elif isinstance(step.gate, gates.Measure):
                self.measure(step.gate.bit, item)
            elif self.condition != ALWAYS and not isinstance(step.gate, gates.UnitaryGate | gates.Reset):
                raise refusal(f"{item.operation.name} under a condition")
            self.steps.append(step)
        self.limits.spend(len(read), 0)
        if self.condition != ALWAYS and len(self.steps) > start:
            self.limits.spend(size_of(self.condition), 0)
            self.spans.append(Span(start, len(self.steps), self.condition, 0))

    def measure(self, bit: int, item: Step) -> None:
        """Note a measurement."""
        if len(item.bits) != 1:
            raise refusal(f"{item.operation.name}, which measures in its definition, beside conditions")
        (own,) = item.bits
        self.measured.append((len(self.steps), bit, own, self.conditions.get(own, NEVER)))
        self.conditions[own] = outcome(len(self.measured) - 1)

    def keep(self, value: int, item: Step) -> None:
        """Note a post-selection, after which a bit is known."""
        if self.condition != ALWAYS or len(item.bits) != 1:
            raise refusal("a post-selection under a condition")
        self.conditions[item.bits[0]] = ALWAYS if value else NEVER
