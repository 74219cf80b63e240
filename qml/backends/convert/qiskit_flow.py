"""Qiskit's control flow as branches: loops written out, and what `break` and `continue` skip under a condition.

A loop is written out once for each run that may happen. A `break` sets a flag, a classical bit of its own, and what
follows it runs where the flag is 0. Loops on measured bits are exact as long as a known variable bounds their runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qml.backends.convert.qiskit_angles import refusal
from qml.backends.convert.qiskit_conditions import Table, condition_table, value_table

try:
    from qiskit.circuit import (
        BoxOp,
        BreakLoopOp,
        ContinueLoopOp,
        ControlFlowOp,
        ForLoopOp,
        IfElseOp,
        QuantumCircuit,
        Store,
        SwitchCaseOp,
        WhileLoopOp,
    )
    from qiskit.circuit.classical import expr
    from qiskit.circuit.controlflow import CASE_DEFAULT
    from qiskit.circuit.library import GlobalPhaseGate
except ImportError as error:
    raise ImportError('Circuits in Qiskit\'s form need qiskit. Install it with: pip install "qiskit>=2.1"') from error

MAX_ITERATIONS = 10_000  # of one loop, which is written out
MAX_RUNS = 100_000  # of all loops of a circuit
LEAVING = (BreakLoopOp, ContinueLoopOp)

Choices = frozenset[tuple[int, ...]]
"""Values of some bits."""


@dataclass(frozen=True)
class Step:
    """An instruction that is no control flow, on numbered qubits and bits."""

    operation: Any
    qubits: tuple[int, ...]
    bits: tuple[int, ...] = ()


@dataclass(frozen=True)
class SetFlag:
    """A flag becomes 1."""

    flag: int


@dataclass(frozen=True)
class EndFlag:
    """A flag is not read any more."""

    flag: int


@dataclass(frozen=True)
class Branches:
    """Items that run where tested bits have one of some values; no two blocks share values."""

    tested: tuple[int, ...]
    blocks: "tuple[tuple[Choices, tuple[Item, ...]], ...]"


Item = Step | SetFlag | EndFlag | Branches


def has_control_flow(circuit: QuantumCircuit) -> bool:
    """Tell whether a circuit has control flow, or variables."""
    return any(isinstance(item.operation, (ControlFlowOp, Store, *LEAVING)) for item in circuit.data)


def has_loops(circuit: QuantumCircuit) -> bool:
    """Tell whether a circuit has control flow that `flattened_flow` alone reads: `while`, `break`, variables."""
    for item in circuit.data:
        if isinstance(item.operation, (WhileLoopOp, Store, *LEAVING)):
            return True
        if isinstance(item.operation, ForLoopOp) and isinstance(item.operation.params[1], expr.Var):
            return True
        if isinstance(item.operation, ControlFlowOp) and any(map(has_loops, item.operation.blocks)):
            return True
    return False


def written_by(items: Iterable[Item]) -> Iterator[int]:
    """Return the bits that items write, those of their branches included."""
    for item in items:
        if isinstance(item, Step):
            yield from item.bits
        elif isinstance(item, SetFlag):
            yield item.flag
        elif isinstance(item, Branches):
            for _, block in item.blocks:
                yield from written_by(block)


def last_measurements_of(items: Sequence[Item]) -> set[int]:
    """Return the numbers of the measurements whose qubit and bit no later item uses."""
    result, used = set[int](), set[tuple[str, int]]()
    for number in range(len(items) - 1, -1, -1):
        item = items[number]
        touched = set(_touched([item]))
        if isinstance(item, Step) and item.operation.name == "measure" and used.isdisjoint(touched):
            result.add(number)
        used |= touched
    return result


def _touched(items: Iterable[Item]) -> Iterator[tuple[str, int]]:
    for item in items:
        if isinstance(item, Step) and item.operation.name != "barrier":
            yield from (("qubit", qubit) for qubit in item.qubits)
            yield from (("bit", bit) for bit in item.bits)
        elif isinstance(item, Branches):
            yield from (("bit", bit) for bit in item.tested)
            for _, block in item.blocks:
                yield from _touched(block)


def flattened_flow(circuit: QuantumCircuit) -> tuple[Item, ...]:
    """Return a circuit's instructions and branches; flags are numbered behind its bits.

    Raises:
        ValueError: a loop whose number of runs is not bounded by what is known, a variable that depends on measured
            bits, or other control flow that has no finite branches.
    """
    reader = _FlowReader(circuit.num_clbits)
    return tuple(reader.block(circuit, range(circuit.num_qubits), range(circuit.num_clbits)).items)


@dataclass
class _Loop:
    """The flags of a loop that is written out; None until a `break` or `continue` under a condition needs one."""

    broken: int | None = None
    continued: int | None = None


@dataclass
class _Block:
    """Items, the flags that they may set, and whether their end is never reached."""

    items: list[Item] = field(default_factory=list)
    flags: frozenset[int] = frozenset()
    is_left: bool = False


class _FlowReader:
    """Reads blocks.

    Args:
        n_bits: number of bits and flags so far.

    Attributes:
        variables: the value of each variable that has one, and the flags that must be 0 where it has it.
        zeros: flags that are 0 in the branch that is read.
    """

    def __init__(self, n_bits: int) -> None:
        self.n_bits, self.n_runs = n_bits, 0
        self.variables: dict[Any, tuple[int, frozenset[int]]] = {}
        self.zeros: frozenset[int] = frozenset()
        self.loop: _Loop | None = None

    def block(self, source: QuantumCircuit, qubits: Sequence[int], bits: Sequence[int]) -> _Block:
        """Read a circuit, or a block of one."""
        places = {**dict(zip(source.qubits, qubits, strict=True)), **dict(zip(source.clbits, bits, strict=True))}
        result = self.items(source, places, 0)
        if source.global_phase:
            result.items.insert(0, Step(GlobalPhaseGate(source.global_phase), ()))
        return result

    def items(self, source: QuantumCircuit, places: Mapping[Any, int], first: int) -> _Block:
        """Read the instructions of a block from one on."""
        result = _Block()
        for number in range(first, len(source.data)):
            item = source.data[number]
            qubits, bits = (tuple(places[bit] for bit in part) for part in (item.qubits, item.clbits))
            found = self.instruction(item.operation, qubits, bits, places)
            result.items += found.items
            result.flags |= found.flags
            result.is_left = found.is_left
            if found.is_left:
                break
            if found.flags:
                rest = self.where_zero(found.flags, lambda number=number: self.items(source, places, number + 1))
                result.items += rest.items
                result.flags |= rest.flags
                result.is_left = rest.is_left
                break
        return result

    def where_zero(self, flags: frozenset[int], read: Any) -> _Block:
        """Read items that run where some flags are 0."""
        before, self.zeros = self.zeros, self.zeros | flags
        inner = read()
        self.zeros = before
        tested = tuple(sorted(flags))
        items = [Branches(tested, ((frozenset({(0,) * len(tested)}), tuple(inner.items)),))] if inner.items else []
        return _Block(list(items), inner.flags, inner.is_left)  # where they are not 0, the end has been left before

    def instruction(  # noqa: PLR0911 - one return a kind of instruction
        self, op: Any, qubits: tuple[int, ...], bits: tuple[int, ...], places: Mapping[Any, int]
    ) -> _Block:
        """Read one instruction."""
        match op:
            case IfElseOp():
                table = condition_table(op.condition, self.known())
                blocks = [(table.where(bool), op.blocks[0])]
                blocks += [(table.where(lambda value: not value), block) for block in op.blocks[1:]]
                return self.branches(table, blocks, qubits, bits, places)
            case SwitchCaseOp():
                table = value_table(op.target, self.known())
                return self.branches(table, cases(op, table), qubits, bits, places)
            case ForLoopOp():
                return self.counted(op, qubits, bits)
            case WhileLoopOp():
                return self.repeated(self.runs(op), qubits, bits, test=(op, places))
            case BoxOp():
                return self.block(op.blocks[0], qubits, bits)
            case BreakLoopOp() | ContinueLoopOp():
                return self.left(op)
            case Store():
                self.store(op)
                return _Block()
        if isinstance(op, ControlFlowOp):
            raise refusal(f"{op.name}, which has no branches that are known,")
        return _Block([Step(op, qubits, bits)])

    # --- branches ---------------------------------------------------------------------------------------------------

    def branches(
        self,
        table: Table,
        blocks: Sequence[tuple[Choices, QuantumCircuit]],
        qubits: tuple[int, ...],
        bits: tuple[int, ...],
        places: Mapping[Any, int],
    ) -> _Block:
        """Read blocks that run where a table has some values."""
        blocks = [(choices, block) for choices, block in blocks if choices]
        if not table.bits:
            return self.block(blocks[0][1], qubits, bits) if blocks else _Block()
        before, zeros = dict(self.variables), self.zeros
        result, read = _Block(is_left=True), []
        after = dict(before)
        for choices, source in blocks:
            self.variables = dict(before)
            inner = self.block(source, qubits, bits)
            read.append((choices, tuple(inner.items)))
            result.flags |= inner.flags
            result.is_left &= inner.is_left
            for name in before.keys() | self.variables.keys():
                if self.variables.get(name) == before.get(name):
                    continue
                if inner.is_left and name in after:  # what follows runs where its flags are 0
                    after[name] = (after[name][0], after[name][1] | inner.flags)
                else:
                    after.pop(name, None)
        result.is_left &= sum(len(choices) for choices, _ in blocks) == 2 ** len(table.bits)
        self.variables, self.zeros = after, zeros
        result.items.append(Branches(tuple(places[bit] for bit in table.bits), tuple(read)))
        return result

    def left(self, op: Any) -> _Block:
        """Read `break` or `continue`."""
        loop = self.loop
        if loop is None:
            raise refusal(f"{op.name} outside of a loop")
        if isinstance(op, BreakLoopOp):
            flag = loop.broken = self.new_flag() if loop.broken is None else loop.broken
        else:
            flag = loop.continued = self.new_flag() if loop.continued is None else loop.continued
        return _Block([SetFlag(flag)], frozenset({flag}), is_left=True)

    def new_flag(self) -> int:
        self.n_bits += 1
        return self.n_bits - 1

    # --- loops ------------------------------------------------------------------------------------------------------

    def repeated(
        self,
        bodies: Iterator[QuantumCircuit],
        qubits: tuple[int, ...],
        bits: tuple[int, ...],
        test: tuple[WhileLoopOp, Mapping[Any, int]] | None = None,
    ) -> _Block:
        """Write a loop out; `test` is the loop whose condition is read before each run, with the places of its bits."""
        outer, self.loop = self.loop, _Loop()
        zeros, loop, result, state = self.zeros, self.loop, _Block(), None
        for body in bodies:
            self.count(body)
            own = frozenset[int]() if loop.broken is None else frozenset({loop.broken})
            self.zeros = zeros | own
            if test is not None:
                known = self.known()
                table = condition_table(test[0].condition, known)
                if not any(table.values.values()):
                    break
                if known == state:
                    raise refusal(f"{test[0].name}, whose number of runs depends on what is measured,")
                state = known
                result.items += self.tested(table, test[1], own)
                own = frozenset[int]() if loop.broken is None else frozenset({loop.broken})
            loop.continued = None
            self.zeros = zeros
            if own:
                run = self.where_zero(own, lambda body=body: self.block(body, qubits, bits))
            else:
                run = self.block(body, qubits, bits)
            result.items += run.items
            result.flags |= run.flags
            if loop.continued is not None:
                result.items.append(EndFlag(loop.continued))
                result.flags -= {loop.continued}
            if run.is_left and loop.broken is not None and loop.continued is None:
                break
        if loop.broken is not None:
            result.items.append(EndFlag(loop.broken))
        self.loop, self.zeros = outer, zeros
        return _Block(result.items, result.flags - {loop.broken})

    def tested(self, table: Table, places: Mapping[Any, int], own: frozenset[int]) -> list[Item]:
        """Return what ends a loop where its condition does not hold."""
        ends = table.where(lambda value: not value)
        if not ends or self.loop is None:
            return []
        if self.loop.broken is None:
            self.loop.broken = self.new_flag()
        choices = frozenset((0,) * len(own) + choice for choice in ends)
        tested = (*own, *(places[bit] for bit in table.bits))
        return [Branches(tested, ((choices, (SetFlag(self.loop.broken),)),))]

    def counted(self, op: ForLoopOp, qubits: tuple[int, ...], bits: tuple[int, ...]) -> _Block:
        """Write a loop over values out; its variable is its own, and one of that name outside stays as it is."""
        outside = self.variables.get(op.params[1])
        result = self.repeated(self.values(op), qubits, bits)
        self.variables.pop(op.params[1], None)
        if outside is not None:
            self.variables[op.params[1]] = outside
        return result

    def values(self, op: ForLoopOp) -> Iterator[QuantumCircuit]:
        """Return the body of a loop for each of its values, which a variable may have."""
        name = op.params[1]
        for value, body in zip(op.params[0], iterations(op), strict=True):
            if isinstance(name, expr.Var):
                self.variables[name] = (int(value), self.zeros)
            yield body

    def runs(self, op: WhileLoopOp) -> Iterator[QuantumCircuit]:
        for _ in range(MAX_ITERATIONS):
            yield op.blocks[0]
        raise refusal(f"{op.name} of more than {MAX_ITERATIONS} iterations")

    def count(self, body: QuantumCircuit) -> None:
        """Count a run of a loop."""
        self.n_runs += 1 + len(body.data) // 8
        if self.n_runs > MAX_RUNS:
            raise refusal(f"loops of more than {MAX_RUNS} runs in all")

    # --- variables --------------------------------------------------------------------------------------------------

    def known(self) -> dict[Any, int]:
        """Return the variables that have one value in the branch that is read."""
        return {name: value for name, (value, flags) in self.variables.items() if flags <= self.zeros}

    def store(self, op: Any) -> None:
        """Read the new value of a variable."""
        name = op.lvalue
        if not isinstance(name, expr.Var) or not name.standalone:
            raise refusal(f"store into {name!r}, which is no variable,")
        table = value_table(op.rvalue, self.known())
        if table.bits:
            raise refusal(f"store into the variable {name.name!r} of what is measured")
        self.variables[name] = (table.values[()], self.zeros)


def cases(op: SwitchCaseOp, table: Any) -> list[tuple[Choices, QuantumCircuit]]:
    """Return the blocks of a switch, each with the values of the bits that select it and none before it."""
    result, seen = [], frozenset()
    for labels, block in op.cases_specifier():
        numbers = {int(label) for label in labels if label is not CASE_DEFAULT}
        always = any(label is CASE_DEFAULT for label in labels)
        choices = table.where(lambda value, always=always, numbers=numbers: always or value in numbers) - seen
        seen |= choices
        result.append((choices, block))
    return result


def iterations(op: ForLoopOp) -> Iterator[QuantumCircuit]:
    """Return the body of a loop for each of its values."""
    values, parameter, body = op.params
    if not isinstance(values, Sequence):
        raise refusal(f"{op.name} over {values!r}, whose values are not constant,")
    if len(values) > MAX_ITERATIONS:
        raise refusal(f"{op.name} of {len(values)} iterations, more than {MAX_ITERATIONS},")
    if parameter is not None and parameter not in body.parameters:
        parameter = None
    for value in values:
        yield body if parameter is None else body.assign_parameters({parameter: value})
