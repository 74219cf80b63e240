"""An OpenQASM program, read statement by statement into steps."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from circuits import gates, steps
from circuits.circuit import Circuit
from circuits.computed import ComputedCircuit
from circuits.openqasm.blocks import TYPES, Block
from circuits.openqasm.calls import MODIFIERS, read_call, read_operand, skip_barrier
from circuits.openqasm.conditions import ALWAYS, NEVER, outcome, size_of
from circuits.openqasm.deferral import Measured, Span, without_conditions
from circuits.openqasm.limits import refused
from circuits.openqasm.loops import LoopReader
from circuits.openqasm.registers import read_places
from circuits.openqasm.switches import read_case, read_target
from circuits.openqasm.syntax import Token
from circuits.steps import LinearStep

POST_SELECT = "@qml.post_select"
REFUSED_WORDS = {
    "else", "case", "default", "def", "extern", "defcal", "defcalgrammar", "cal", "return", "complex", "duration",
    "stretch", "array", "durationof", "nop",
}  # fmt: skip
AT_THE_TOP = {"OPENQASM", "include", "qubit", "qreg", "bit", "creg", "input", "output", "let", "gate", "opaque"}
WORDS_OF_VERSION_2 = {"OPENQASM", "include", "qreg", "creg", "gate", "opaque", "reset", "barrier", "measure", "if"}
UNROLL_ADVICE = "Unroll or remove it first."


class ProgramReader(LoopReader):
    """A program of OpenQASM that is read statement by statement; `circuit()` returns its circuit.

    With `is_computed`, angles may be polynomials of the inputs, and `computed_circuit()` returns them too.
    """

    def circuit(self) -> Circuit:
        """Return the circuit of the program. Bits are numbered through the registers that are measured into."""
        self.read()
        return steps.circuit_of(self.n_qubits, self.steps)

    def computed_circuit(self) -> ComputedCircuit:
        """Return the circuit of the program, and the polynomials that it needs."""
        self.read()
        if self.computed is None:
            raise TypeError("Argument `is_computed` must be True for polynomials, but is False.")
        return self.computed.circuit(self.n_qubits, self.steps)

    def read(self) -> None:
        """Read all statements."""
        while self.cursor.here.kind != "end":
            if self.blocks and self.blocks[-1].is_braced and self.cursor.accept("}"):
                has_ended = self.end_block()
            else:
                n_blocks = len(self.blocks)
                self.statement()
                has_ended = len(self.blocks) == n_blocks
            while has_ended and self.blocks and not self.blocks[-1].is_braced:
                has_ended = self.end_block()
        if self.blocks:
            raise refused(self.blocks[-1].token.line, "close every block", f"{self.blocks[-1].kind!r} without an end")
        self.n_qubits = self.n_qubits or self.scope.n_hardware_qubits
        if self.n_qubits == 0:
            raise refused(self.cursor.here.line, "declare qubits", "none so far")
        self.finish()

    def finish(self) -> None:
        """Number the bits, and put controls in place of conditions."""
        starts, total, written = {}, 0, {name for _, name, *_ in self.measured}
        for name, bits in self.bits.items():
            if name in written:
                starts[name], total = total, total + len(bits)
        if not self.spans:
            for place, name, bit, *_ in self.measured:
                self.steps[place] = replace(self.steps[place], gate=gates.Measure(starts[name] + bit))
            return
        measured = [
            Measured(place, starts[name] + bit, previous, self.bits[name][bit] == outcome(number), line)
            for number, (place, name, bit, previous, line) in enumerate(self.measured)
        ]
        self.n_qubits, self.steps = without_conditions(self.n_qubits, self.steps, self.spans, measured, self.limits)

    def statement(self) -> None:
        """Read one statement, or the start of one that holds others."""
        token, n_steps = self.cursor.here, len(self.steps)
        if token.kind == "annotation":
            self.annotation()
            return
        if self.blocks and self.blocks[-1].kind == "switch":
            self.case(self.blocks[-1])
            return
        self.require_allowed(token)
        if token.text in STATEMENTS and not (self.is_version_2 and token.text not in WORDS_OF_VERSION_2):
            self.cursor.next()
            STATEMENTS[token.text](self, token)
        elif token.text in self.bits:
            self.assignment()
        elif token.text in self.changeable:
            self.number_assignment()
        elif not self.cursor.accept(";"):
            self.inliner.add(read_call(self.cursor, self.scope))
        if self.post_select is not None:
            raise refused(token.line, f"have a measurement after {POST_SELECT}", "another statement")
        if self.condition == NEVER:
            del self.steps[n_steps:]
        elif self.condition != ALWAYS and len(self.steps) > n_steps:
            self.limits.spend(size_of(self.condition), token.line)
            self.spans.append(Span(n_steps, len(self.steps), self.condition, token.line))

    def require_allowed(self, token: Token) -> None:
        """Refuse statements that are not read, and declarations in blocks."""
        if self.is_version_2 and token.text in WORDS_OF_VERSION_3 and token.text not in self.scope.gates:
            raise refused(token.line, "hold statements of OpenQASM 2 only", repr(token.text), "Declare OPENQASM 3.0;")
        if token.kind == "pragma" or (token.text in REFUSED_WORDS and not self.is_version_2):
            rule = "hold gates, inputs, resets, measurements, conditions and loops only"
            raise refused(token.line, rule, repr(token.text), UNROLL_ADVICE)
        if self.blocks and token.text in AT_THE_TOP:
            raise refused(token.line, "declare registers, inputs and gates outside of blocks", repr(token.text))

    def annotation(self) -> None:
        token = self.cursor.next()
        name, _, value = token.text.partition(" ")
        if name != POST_SELECT:
            return  # annotations of others are theirs, and leave the program as it is
        if value.strip() not in ("0", "1"):
            raise refused(token.line, f"have 0 or 1 after {POST_SELECT}", repr(value.strip()))
        self.post_select = int(value)

    # --- operations -----------------------------------------------------------------------------------------

    def reset(self, token: Token) -> None:
        qubits = read_operand(self.cursor, self.scope)
        self.limits.spend(len(qubits), token.line)
        self.steps += [LinearStep(gates.Reset(), (qubit,)) for qubit in qubits]
        self.cursor.expect(";")

    def barrier(self, token: Token) -> None:
        del token
        skip_barrier(self.cursor, self.scope)

    def delay(self, token: Token) -> None:
        """Read a time in which nothing happens."""
        self.cursor.expect("[")
        self.cursor.skip_to("]")
        self.barrier(token)

    # --- statements with a body -----------------------------------------------------------------------------

    def end_block(self) -> bool:
        """End a body; tell whether nothing of its statement follows."""
        block = self.blocks[-1]
        self.end_names(block)
        if block.kind == "for" and self.next_value(block):
            return False
        if block.kind == "while" and self.next_run(block):
            return False
        self.blocks.pop()
        self.move_to(block.outside, block.token)
        if block.kind != "if" or self.is_version_2 or not self.cursor.accept("else"):
            return True
        logic = self.logic(block.token)
        self.move_to(logic.both(block.outside, logic.negated(block.own)), block.token)
        self.start_block(Block("else", block.token, 0, False, block.outside))
        return False

    def if_(self, token: Token) -> None:
        self.cursor.expect("(")
        own = self.read_condition()
        block = Block("if", token, 0, False, self.condition, own)
        self.condition = self.logic(token).both(self.condition, own)
        self.start_block(block)

    def switch(self, token: Token) -> None:
        self.cursor.expect("(")
        target = read_target(self.cursor, self.scope, self.bits, self.copies)
        self.cursor.expect(")")
        block = Block("switch", token, 0, False, self.condition, NEVER, target=target)
        self.start_block(block)
        if not block.is_braced:
            raise refused(token.line, "have '{' after the target of a `switch`", repr(self.cursor.here.text))

    def case(self, switch: Block) -> None:
        """Read `case 1, 2` or `default`, and start the body behind it."""
        token, logic = self.cursor.next(), self.logic(self.cursor.here)
        if token.text not in ("case", "default") or switch.is_complete:
            rule = "hold cases, and at most one default behind them, in a `switch`"
            raise refused(token.line, rule, repr(token.text))
        if token.text == "case":
            found = read_case(self.cursor, self.scope, switch.target, logic)
            if logic.both(switch.own, found) != NEVER:
                raise refused(token.line, "name a value in one case of a `switch`", "one again")
            switch.own, own = switch.own + found, found
        else:
            switch.is_complete, own = True, logic.negated(switch.own)
        block = Block("case", token, 0, False, switch.outside, own)
        self.condition = logic.both(switch.outside, own)
        self.start_block(block)
        if not block.is_braced:
            raise refused(token.line, "have '{' behind a case", repr(self.cursor.here.text))

    def box(self, token: Token) -> None:
        if self.cursor.accept("["):
            self.cursor.skip_to("]")
        self.start_block(Block("box", token, 0, False, self.condition))

    # --- measurements ---------------------------------------------------------------------------------------

    def arrow(self, token: Token) -> None:
        """Read `measure q -> c;`."""
        start = self.cursor.place
        read_operand(self.cursor, self.scope)
        if not self.cursor.accept("->"):
            raise refused(token.line, "measure into a bit", "a measurement without one", "Declare a bit for it.")
        name, bits = self.bits_here()
        after, self.cursor.place = self.cursor.place, start
        self.measure(name, bits, token)
        self.cursor.place = after
        self.cursor.expect(";")

    def assignment(self) -> None:
        """Read `c = measure q;`."""
        token = self.cursor.here
        name, bits = self.bits_here()
        self.cursor.expect("=")
        self.cursor.expect("measure")
        self.measure(name, bits, token)
        self.cursor.expect(";")

    def bits_here(self) -> tuple[str, Sequence[int]]:
        token = self.cursor.here
        name = self.cursor.name()
        if name not in self.bits:
            raise refused(token.line, "measure into declared bits", repr(name))
        size = len(self.bits[name])
        if not self.cursor.accept("["):
            return name, range(size)
        return name, read_places(self.cursor, self.scope.names, self.limits, size, name)

    def measure(self, name: str, bits: Sequence[int], token: Token) -> None:
        qubits = read_operand(self.cursor, self.scope)
        if len(qubits) != len(bits):
            raise refused(token.line, "measure into as many bits as qubits", f"{len(bits)} for {len(qubits)}")
        self.limits.spend(len(qubits), token.line)
        if self.post_select is not None:
            self.keep(self.post_select, name, bits, qubits, token)
            return
        for qubit, bit in zip(qubits, bits, strict=True):
            if self.condition != NEVER:
                self.measured.append((len(self.steps), name, bit, self.bits[name][bit], token.line))
                self.bits[name][bit] = outcome(len(self.measured) - 1)
            self.steps.append(LinearStep(gates.Measure(bit), (qubit,)))

    def keep(self, value: int, name: str, bits: Sequence[int], qubits: Sequence[int], token: Token) -> None:
        """Append a post-selection, after which the bits are known."""
        if self.condition != ALWAYS:
            raise refused(token.line, "post-select outside of conditions", f"{POST_SELECT} under one")
        self.steps += [LinearStep(gates.PostSelect(value), (qubit,)) for qubit in qubits]
        for bit in bits:
            self.bits[name][bit] = ALWAYS if value else NEVER
        self.post_select = None


STATEMENTS: dict[str, Callable[[ProgramReader, Token], None]] = {
    "OPENQASM": ProgramReader.version,
    "include": ProgramReader.include,
    "qubit": ProgramReader.qubit,
    "qreg": ProgramReader.qubit,
    "bit": ProgramReader.bit,
    "creg": ProgramReader.bit,
    "input": ProgramReader.input,
    "output": ProgramReader.output,
    "let": ProgramReader.alias,
    "const": ProgramReader.constant,
    **dict.fromkeys(TYPES, ProgramReader.constant),
    "gate": ProgramReader.definition,
    "opaque": ProgramReader.opaque,
    "if": ProgramReader.if_,
    "for": ProgramReader.for_,
    "while": ProgramReader.while_,
    "break": ProgramReader.break_,
    "continue": ProgramReader.break_,
    "end": ProgramReader.end,
    "switch": ProgramReader.switch,
    "box": ProgramReader.box,
    "delay": ProgramReader.delay,
    "reset": ProgramReader.reset,
    "barrier": ProgramReader.barrier,
    "measure": ProgramReader.arrow,
}
WORDS_OF_VERSION_3 = (STATEMENTS.keys() | REFUSED_WORDS | set(MODIFIERS) | {"gphase"}) - WORDS_OF_VERSION_2
