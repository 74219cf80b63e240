"""A dynamic circuit of Qiskit as one circuit without measurements: branches become controlled gates.

Measurements are deferred (Nielsen and Chuang, Quantum Computation and Quantum Information (2010), section 4.4). A
measurement copies its qubit to the wire of the classical bit, a condition is a control on that wire, and a reset takes
a new wire in the place of the old one, so that every branch is computed, with its exact weight, in one run.

A reader either takes fresh wires (`recycles=False`: a state vector, one wire more for each reset and measurement on the
way), or uses wires again after a reset (`recycles=True`: a density matrix, one wire for each qubit and bit).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import (
    AnnotatedOperation,
    BoxOp,
    ControlFlowOp,
    ForLoopOp,
    Gate,
    IfElseOp,
    ParameterExpression,
    QuantumCircuit,
    SwitchCaseOp,
)
from qiskit.circuit.library import GlobalPhaseGate

from circuits import Slot, channels, steps
from circuits.gates import Fixed, Reset
from circuits.steps import LinearAngle, LinearStep
from qml.backends.convert.qiskit_angles import prepared, refusal
from qml.backends.convert.qiskit_conditions import condition_table, value_table
from qml.backends.convert.qiskit_flow import (
    Branches,
    Choices,
    EndFlag,
    Item,
    SetFlag,
    Step,
    cases,
    flattened_flow,
    has_loops,
    iterations,
    last_measurements_of,
    written_by,
)
from qml.backends.convert.qiskit_reader import QiskitReader
from qml.plugins.qiskit.branches import (
    PASSED_OVER,
    conditional,
    flag_steps,
    last_measurements,
    misread,
    restricted,
    written_bits,
)
from qml.plugins.qiskit.noise import PlacedNoise


class _Block(NamedTuple):
    """A block of a condition: the values of the tested bits that select it, the bits that it writes, and its reader."""

    choices: Choices
    written: set[int]
    read: Callable[[], list[LinearStep]]


class DynamicReader(QiskitReader):
    """A reader of circuits with measurements, resets and classical conditions.

    Args:
        recycles: whether wires are used again after a reset.
        noise: what happens after each instruction of a device.

    Attributes:
        wires: the wire of each qubit that something acts on.
        bit_wires: the wire of each classical bit that has been written; the others are 0.
        n_wires: number of wires.
        expressions: the slot of each expression.
        dephased: qubits whose last operation is a measurement that nothing reads again.
        last: for each bit that such a measurement writes, its qubit.
    """

    def __init__(self, *, recycles: bool, noise: PlacedNoise | None = None) -> None:
        super().__init__({}, {})
        self.recycles, self.noise = recycles, noise
        self.wires: dict[int, int] = {}
        self.bit_wires: dict[int, int] = {}
        self.n_wires = 0
        self.expressions: dict[Any, Slot] = {}
        self.dephased: set[int] = set()
        self.last: dict[int, int] = {}
        self._depth = 0  # of branches
        self._known: dict[int, int] = {}  # values of bits in the branch that is read
        self._clean: list[int] = []  # wires in |0> that can be used again
        self._dirty: list[int] = []  # wires that can be used again after a reset
        self._final: set[int] = set()  # instructions that are last measurements

    def read(self, circuit: QuantumCircuit) -> list[LinearStep]:
        """Return the steps of a circuit on wires."""
        if has_loops(circuit):
            items = flattened_flow(circuit)
            return self._flow(items, last_measurements_of(items))
        self._final = last_measurements(circuit, passed_over=PASSED_OVER if self.noise is None else PASSED_OVER[:1])
        return self.circuit(circuit, range(circuit.num_qubits), range(circuit.num_clbits), pure=False)

    # --- the walk ---------------------------------------------------------------------------------------------------

    def circuit(
        self, source: QuantumCircuit, qubits: Sequence[int], bits: Sequence[Any], *, pure: bool
    ) -> list[LinearStep]:
        """Return the steps of a circuit, a definition or a branch."""
        if pure:
            return super().circuit(source, qubits, bits, pure=True)
        places = dict(zip(source.qubits, qubits, strict=True))
        outcomes: dict[Any, int] = dict(zip(source.clbits, bits, strict=True))
        final, self._final = self._final, set()  # of this circuit alone, not of what it calls
        result = self._phase(source)
        for number, item in enumerate(source.data):
            targets = [places[qubit] for qubit in item.qubits]
            written = [outcomes[bit] for bit in item.clbits]
            if isinstance(item.operation, ControlFlowOp):
                result += self._control_flow(item.operation, targets, written, outcomes)
            elif item.name == "measure" and number in final:
                result += self._last_measurement(targets[0], written[0])
            else:
                result += self.instruction(item.operation, targets, written, pure=False)
        return result

    def _phase(self, source: QuantumCircuit) -> list[LinearStep]:
        """Return a circuit's phase, which has a meaning in a branch only."""
        phase = self.angle(source.global_phase) if self._depth else LinearAngle()
        return [LinearStep(steps.GLOBAL_PHASE, angles=(phase,))] if phase != LinearAngle() else []

    def instruction(  # noqa: PLR0911 - one return a kind of instruction
        self, op: Any, qubits: list[int], bits: list[Any], *, pure: bool
    ) -> list[LinearStep]:
        """Return the steps of an instruction; `qubits` are wires where it is part of a gate (`pure`)."""
        if pure:
            return super().instruction(op, qubits, bits, pure=True)
        if op.name in PASSED_OVER:
            return self._relaxed(op, qubits) if op.name == "delay" else []
        if op.name == "measure":
            return [*self._errors(op.name, qubits), *self._measured(qubits[0], bits[0])]
        if op.name == "reset":
            return [*self._cleared_qubit(qubits[0]), *self._errors(op.name, qubits)]
        if op.name in ("initialize", "state_preparation") and (state := self._prepared(op, qubits)) is not None:
            return state
        if op.name == "kraus":
            channel = channels.kraus(np.array(op.params))
            return [LinearStep(channel, tuple(self._wires_of(qubits)[::-1]))]
        if isinstance(op, (Gate, AnnotatedOperation)):
            gate = super().instruction(op, self._wires_of(qubits), [], pure=True)
            return [*gate, *self._errors(op.name, qubits)]
        definition = getattr(op, "definition", None)
        if definition is None:
            raise refusal(op.name)
        return self.circuit(definition, qubits, bits, pure=False)

    def angle(self, value: Any) -> LinearAngle:
        """Return an angle: a constant, or the slot of an expression."""
        if not isinstance(value, ParameterExpression) or not value.parameters:
            return LinearAngle(float(value))
        slot = self.expressions.setdefault(value, Slot("data", len(self.expressions)))
        return LinearAngle.of(slot)

    # --- wires ------------------------------------------------------------------------------------------------------

    def _fresh(self) -> int:
        return self._clean.pop() if self._clean else self._new()

    def _new(self) -> int:
        self.n_wires += 1
        return self.n_wires - 1

    def _wires_of(self, qubits: Sequence[int]) -> list[int]:
        for qubit in qubits:
            if qubit not in self.wires:
                self.wires[qubit] = self._fresh()
        return [self.wires[qubit] for qubit in qubits]

    def _spare(self) -> tuple[int, list[LinearStep]]:
        """Return a wire in |0> for a moment, and the step that puts it there."""
        if self._clean or not self._dirty:
            return self._fresh(), []
        wire = self._dirty.pop()
        return wire, [LinearStep(Reset(), (wire,))]

    def _released(self, wire: int) -> None:
        if self.recycles:
            self._dirty.append(wire)

    def _cleared(self, wire: int) -> tuple[int, list[LinearStep]]:
        """Return a wire in |0> that takes the place of another one, in this branch."""
        if self._depth:
            spare, result = self._spare()
            self._released(spare)
            return wire, [*result, LinearStep(Fixed("swap"), (wire, spare))]
        if self.recycles:
            return wire, [LinearStep(Reset(), (wire,))]
        return self._fresh(), []

    # --- what is not unitary ----------------------------------------------------------------------------------------

    def _cleared_qubit(self, qubit: int) -> list[LinearStep]:
        if qubit not in self.wires:
            return []
        self.wires[qubit], result = self._cleared(self.wires[qubit])
        return result

    def _measured(self, qubit: int, bit: int) -> list[LinearStep]:
        """Return the steps that copy a qubit to the wire of a bit."""
        result: list[LinearStep] = []
        if bit in self.bit_wires:
            self.bit_wires[bit], result = self._cleared(self.bit_wires[bit])
        else:
            self.bit_wires[bit] = self._fresh()
        wire = self.bit_wires[bit]
        result.append(LinearStep(Fixed("x"), (wire,), tuple(self._wires_of([qubit]))))
        if self.noise is not None and any(self.noise.readout_errors(qubit)):
            result.append(LinearStep(misread(*self.noise.readout_errors(qubit)), (wire,)))
        return result

    def _last_measurement(self, qubit: int, bit: int) -> list[LinearStep]:
        """Let the wire of a qubit that is not used again be that of the bit, too."""
        errors = self._errors("measure", [qubit])
        (self.bit_wires[bit],) = self._wires_of([qubit])
        self.dephased.add(qubit)
        self.last[bit] = qubit
        return errors

    def _errors(self, name: str, qubits: list[int]) -> list[LinearStep]:
        """Return the noise of an instruction of the device.

        Raises:
            ValueError: the device has no such instruction on these qubits.
        """
        if self.noise is None:
            return []
        return [
            LinearStep(channel, tuple(self._wires_of(targets)))
            for channel, targets in self.noise.channels(name, tuple(qubits))
        ]

    def _relaxed(self, delay: Any, qubits: list[int]) -> list[LinearStep]:
        """Return what a delay does on a device."""
        channel = None if self.noise is None else self.noise.relaxation(delay, qubits[0])
        return [] if channel is None else [LinearStep(channel, tuple(self._wires_of(qubits)))]

    def _prepared(self, op: Any, qubits: list[int]) -> list[LinearStep] | None:
        """Return amplitudes on wires that nothing has acted on; None where they are prepared by gates."""
        touched = [qubit for qubit in qubits if qubit in self.wires]
        if self._depth or (touched and (self.recycles or op.name != "initialize")):
            return None
        if prepared(op.params, qubits[::-1]) is None:
            return None
        for qubit in qubits:
            self.wires[qubit] = self._new()
        return prepared(op.params, [self.wires[qubit] for qubit in qubits][::-1])

    # --- control flow -----------------------------------------------------------------------------------------------

    def _control_flow(
        self, op: ControlFlowOp, qubits: list[int], bits: list[int], outcomes: Mapping[Any, int]
    ) -> list[LinearStep]:
        if isinstance(op, IfElseOp):
            table = condition_table(op.condition)
            blocks = [(table.where(bool), op.blocks[0])]
            if len(op.blocks) > 1:
                blocks.append((table.where(lambda value: not value), op.blocks[1]))
            return self._branches([outcomes[bit] for bit in table.bits], self._read_later(blocks, qubits, bits))
        if isinstance(op, SwitchCaseOp):
            table = value_table(op.target)
            tested = [outcomes[bit] for bit in table.bits]
            return self._branches(tested, self._read_later(cases(op, table), qubits, bits))
        if isinstance(op, ForLoopOp):
            return [step for body in iterations(op) for step in self.circuit(body, qubits, bits, pure=False)]
        if isinstance(op, BoxOp):
            return self.circuit(op.blocks[0], qubits, bits, pure=False)
        raise refusal(f"{op.name}, which has no branches that are known,")

    def _read_later(
        self, blocks: Sequence[tuple[Choices, QuantumCircuit]], qubits: list[int], bits: list[int]
    ) -> "list[_Block]":
        return [
            _Block(choices, set(written_bits(block, bits)), partial(self.circuit, block, qubits, bits, pure=False))
            for choices, block in blocks
        ]

    def _flow(self, items: Sequence[Item], final: Collection[int] = ()) -> list[LinearStep]:
        """Return the steps of items of control flow that has been written out; `final` are last measurements."""
        result: list[LinearStep] = []
        for number, item in enumerate(items):
            match item:
                case Step() if number in final:
                    result += self._last_measurement(item.qubits[0], item.bits[0])
                case Step() if self._depth or not isinstance(item.operation, GlobalPhaseGate):
                    result += self.instruction(item.operation, list(item.qubits), list(item.bits), pure=False)
                case SetFlag():
                    if item.flag not in self.bit_wires:
                        self.bit_wires[item.flag] = self._fresh()
                    result.append(LinearStep(Fixed("x"), (self.bit_wires[item.flag],)))
                case EndFlag() if item.flag in self.bit_wires:
                    self._released(self.bit_wires.pop(item.flag))
                case Branches():
                    blocks = [
                        _Block(choices, set(written_by(own)), partial(self._flow, own)) for choices, own in item.blocks
                    ]
                    result += self._branches(item.tested, blocks)
        return result

    def _branches(self, tested: Sequence[int], blocks: "Sequence[_Block]") -> list[LinearStep]:
        """Return blocks that run where the tested bits have one of some values; no two blocks share values."""
        known = {place: self._value_of(bit) for place, bit in enumerate(tested)}
        places = [place for place, value in known.items() if value is None]
        blocks = [block._replace(choices=restricted(block.choices, known)) for block in blocks]
        blocks = [block for block in blocks if block.choices]
        if len(blocks) == 1 and len(blocks[0].choices) == 2 ** len(places):
            return blocks[0].read()
        wires = [self.bit_wires[tested[place]] for place in places]
        overwritten = any(not block.written.isdisjoint(tested) for block in blocks)
        before: list[LinearStep] = []
        after: list[LinearStep] = []
        controls: list[tuple[list[int], list[int]]] = []
        for choices, *_ in blocks:
            if len(choices) == 1 and not overwritten:
                controls.append((wires, list(next(iter(choices)))))
                continue
            flag, cleared = self._spare()
            computed = flag_steps(flag, wires, choices)
            before += [*cleared, *computed]
            after += [] if overwritten else computed[::-1]
            controls.append(([flag], [1]))
        result = before
        for (where, values), block in zip(controls, blocks, strict=True):
            before_block = dict(self._known)
            if where is wires:
                self._known |= {tested[place]: value for place, value in zip(places, values, strict=True)}
            self._depth += 1
            inner = block.read()
            self._depth -= 1
            self._known = before_block
            result += conditional(inner, where, values)
        for where, _ in controls:
            if where is not wires:
                self._give_back(where[0], is_clean=not overwritten)
        return result + after

    def _value_of(self, bit: int) -> int | None:
        """Return the value of a bit where it is the same in the whole branch; None where it is not."""
        return 0 if bit not in self.bit_wires else self._known.get(bit)

    def _give_back(self, flag: int, *, is_clean: bool) -> None:
        if is_clean:
            self._clean.append(flag)
        else:
            self._released(flag)
