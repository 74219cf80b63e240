"""An OpenQASM 3 program, read statement by statement into steps."""

import re
from collections.abc import Callable
from dataclasses import replace

from circuits import gates, steps
from circuits._openqasm_gates import N_QUBITS, Definition, Scope, read_call, read_operand, skip_barrier
from circuits._openqasm_syntax import Cursor, Expression, Token, refused, tokens_of
from circuits.circuit import Circuit
from circuits.slots import Slot
from circuits.steps import Linear, Step

SLOT_NAME = re.compile(r"_?(data|weight)(?:_(\d+)_?|\[(\d+)\])")  # Qiskit writes the parameter data[0] as _data_0_
MAX_INPUTS = 10**6  # of one array
POST_SELECT = "@qml.post_select"
REFUSED = {
    "if", "else", "for", "while", "switch", "def", "extern", "defcal", "defcalgrammar", "cal", "box", "delay",
    "let", "return", "break", "continue", "end", "int", "uint", "bool", "float", "angle", "complex",
    "duration", "stretch", "output", "array", "durationof", "nop",
}  # fmt: skip
ADVICE = "Unroll or remove it first."


class Program:
    """A program of OpenQASM 3; `circuit()` gives what it does."""

    def __init__(self, text: str, data: tuple[str, ...]) -> None:
        self.cursor = Cursor(tokens_of(text))
        self.scope = Scope(_inputs(self.cursor.tokens, data), {}, {}, has_library=False, is_phased=False)
        self.n_qubits = 0
        self.bits: dict[str, int] = {}  # the size of each register
        self.steps: list[Step] = []
        self.measured: list[tuple[int, str, int]] = []  # (place in steps, register, bit)
        self.post_select: int | None = None

    def circuit(self) -> Circuit:
        """The circuit of the program. Bits are numbered through the registers that are measured into."""
        while self.cursor.here.kind != "end":
            self.statement()
        if self.n_qubits == 0:
            raise refused(self.cursor.here.line, "declare qubits", "none so far")
        starts, total, written = {}, 0, {name for _, name, _ in self.measured}
        for name, size in self.bits.items():
            if name in written:
                starts[name], total = total, total + size
        for place, name, bit in self.measured:
            self.steps[place] = replace(self.steps[place], gate=gates.Measure(starts[name] + bit))
        return steps.circuit_of(self.n_qubits, self.steps)

    def statement(self) -> None:
        """Read one statement."""
        token = self.cursor.here
        if token.kind == "annotation":
            self.annotation()
            return
        if token.kind == "pragma" or token.text in REFUSED:
            raise refused(token.line, "hold gates, inputs, resets and measurements only", repr(token.text), ADVICE)
        if token.text in STATEMENTS:
            self.cursor.next()
            STATEMENTS[token.text](self, token)
        elif token.text in self.bits:
            self.assignment()
        elif not self.cursor.accept(";"):
            self.steps += read_call(self.cursor, self.scope)
        if self.post_select is not None:
            raise refused(token.line, f"have a measurement after {POST_SELECT}", "another statement")

    def annotation(self) -> None:
        token = self.cursor.next()
        name, _, value = token.text.partition(" ")
        if name != POST_SELECT:
            return  # annotations of others are theirs, and leave the program as it is
        if value.strip() not in ("0", "1"):
            raise refused(token.line, f"have 0 or 1 after {POST_SELECT}", repr(value.strip()))
        self.post_select = int(value)

    # --- declarations ---------------------------------------------------------------------------------------

    def version(self, token: Token) -> None:
        major, _, minor = self.cursor.next().text.partition(".")
        self.cursor.expect(";")
        if major != "3":
            raise refused(token.line, "be OpenQASM 3", f"version {major}.{minor}", "Convert it with Qiskit first.")
        self.scope = self.scope._replace(is_phased=minor not in ("", "0"))

    def include(self, token: Token) -> None:
        name = self.cursor.next().text.strip("\"'")
        self.cursor.expect(";")
        if name != "stdgates.inc":
            raise refused(token.line, "include stdgates.inc only", repr(name), "Paste the file's gates into the text.")
        self.scope = self.scope._replace(has_library=True)

    def qubit(self, token: Token) -> None:
        name, size = self.register(token)
        self.scope.qubits[name] = list(range(self.n_qubits, self.n_qubits + size))
        self.n_qubits += size
        self.cursor.expect(";")

    def bit(self, token: Token) -> None:
        name, size = self.register(token)
        self.bits[name] = size
        if self.cursor.accept("="):
            self.cursor.expect("measure")
            self.measure([(name, k) for k in range(size)], token)
        self.cursor.expect(";")

    def register(self, token: Token) -> tuple[str, int]:
        name = self.cursor.name() if token.text in ("qreg", "creg") else ""
        size = self.index(10**6) if self.cursor.here.text == "[" else 1
        name = name or self.cursor.name()
        if size < 1:
            raise refused(token.line, "have registers of at least one", f"size {size}")
        self.require_new(name, token)
        return name, size

    def require_new(self, name: str, token: Token) -> None:
        if name in self.scope.qubits or name in self.bits or name in self.scope.values:
            raise refused(token.line, "declare a name once", f"{name!r} again")

    def input(self, token: Token) -> None:
        """Nothing: `_inputs` has read it."""
        del token
        self.cursor.skip_to(";")

    def constant(self, token: Token) -> None:
        while self.cursor.here.text in ("float", "angle", "int", "uint"):
            self.cursor.next()
            if self.cursor.accept("["):
                self.cursor.skip_to("]")
        name = self.cursor.name()
        self.cursor.expect("=")
        value = Expression(self.cursor, self.scope.values).sum()
        if value.terms:
            raise refused(token.line, "have constants without inputs", repr(name))
        self.require_new(name, token)
        self.scope.values[name] = value
        self.cursor.expect(";")

    def definition(self, token: Token) -> None:
        name = self.cursor.name()
        parameters = self.names(")") if self.cursor.accept("(") else []
        qubits = self.names("{")
        repeated = [word for k, word in enumerate(qubits) if word in (*parameters, *qubits[:k])]
        repeated += [word for k, word in enumerate(parameters) if word in parameters[:k]]
        if repeated:
            raise refused(token.line, "name each qubit and parameter once", f"{repeated[0]!r} again")
        body = self.cursor.skip_to("}")
        if name in self.scope.gates or (self.scope.has_library and name in N_QUBITS):
            raise refused(token.line, "define a gate once", f"{name!r} again")
        end = Token("end", "}", body[-1].line if body else token.line)
        self.scope.gates[name] = Definition(parameters, qubits, [*body, end], dict(self.scope.gates))

    def names(self, closing: str) -> list[str]:
        result = []
        while not self.cursor.accept(closing):
            if result:
                self.cursor.expect(",")
            result.append(self.cursor.name())
        return result

    # --- what happens ---------------------------------------------------------------------------------------

    def reset(self, token: Token) -> None:
        del token
        self.steps += [Step(gates.Reset(), (qubit,)) for qubit in read_operand(self.cursor, self.scope)]
        self.cursor.expect(";")

    def barrier(self, token: Token) -> None:
        del token
        skip_barrier(self.cursor, self.scope)

    def arrow(self, token: Token) -> None:
        """Read `measure q -> c;`."""
        start = self.cursor.place
        read_operand(self.cursor, self.scope)
        if not self.cursor.accept("->"):
            raise refused(token.line, "measure into a bit", "a measurement without one", "Declare a bit for it.")
        bits = self.bits_here()
        after, self.cursor.place = self.cursor.place, start
        self.measure(bits, token)
        self.cursor.place = after
        self.cursor.expect(";")

    def assignment(self) -> None:
        """Read `c = measure q;`."""
        token = self.cursor.here
        bits = self.bits_here()
        self.cursor.expect("=")
        self.cursor.expect("measure")
        self.measure(bits, token)
        self.cursor.expect(";")

    def bits_here(self) -> list[tuple[str, int]]:
        token = self.cursor.here
        name = self.cursor.name()
        if name not in self.bits:
            raise refused(token.line, "measure into declared bits", repr(name))
        indices = [self.index(self.bits[name])] if self.cursor.here.text == "[" else range(self.bits[name])
        return [(name, index) for index in indices]

    def index(self, size: int) -> int:
        line = self.cursor.here.line
        self.cursor.expect("[")
        value = Expression(self.cursor, self.scope.values).integer()
        self.cursor.expect("]")
        if not 0 <= value < size:
            raise refused(line, f"have an index in 0..{size - 1}", f"{value}")
        return value

    def measure(self, bits: list[tuple[str, int]], token: Token) -> None:
        qubits = read_operand(self.cursor, self.scope)
        if len(qubits) != len(bits):
            raise refused(token.line, "measure into as many bits as qubits", f"{len(bits)} for {len(qubits)}")
        if self.post_select is not None:
            self.steps += [Step(gates.PostSelect(self.post_select), (qubit,)) for qubit in qubits]
            self.post_select = None
            return
        for qubit, (name, bit) in zip(qubits, bits, strict=True):
            self.measured.append((len(self.steps), name, bit))
            self.steps.append(Step(gates.Measure(bit), (qubit,)))


STATEMENTS: dict[str, Callable[[Program, Token], None]] = {
    "OPENQASM": Program.version,
    "include": Program.include,
    "qubit": Program.qubit,
    "qreg": Program.qubit,
    "bit": Program.bit,
    "creg": Program.bit,
    "input": Program.input,
    "const": Program.constant,
    "gate": Program.definition,
    "reset": Program.reset,
    "barrier": Program.barrier,
    "measure": Program.arrow,
}


def _inputs(tokens: list[Token], data: tuple[str, ...]) -> dict[str, Linear]:
    """Every input of the program as a slot; the elements of an array as `name[k]`."""
    names = _input_names(tokens)
    slots = {name: slot for name in names if (slot := _slot(name))}
    counts = {
        kind: max((slot.index + 1 for slot in slots.values() if slot.kind == kind), default=0)
        for kind in ("data", "weight")
    }
    for wanted in data:
        chosen = [name for name in names if wanted in (name, name.partition("[")[0]) and name not in slots]
        if not chosen:
            raise ValueError(f"Argument `data` must name inputs of the program, {names}, but names {wanted!r}.")
        slots |= {name: Slot("data", counts["data"] + k) for k, name in enumerate(chosen)}
        counts["data"] += len(chosen)
    others = [name for name in names if name not in slots]
    slots |= {name: Slot("weight", counts["weight"] + k) for k, name in enumerate(others)}
    return {name: Linear.of(slot) for name, slot in slots.items()}


def _input_names(tokens: list[Token]) -> list[str]:
    names: dict[Slot | str, str] = {}
    for place, token in enumerate(tokens):
        if token.kind == "name" and token.text == "input":
            for name in _declared(Cursor(tokens, place + 1)):
                key = _slot(name) or name
                if key in names:
                    raise refused(token.line, "declare an input once", f"{name!r} after {names[key]!r}")
                names[key] = name
    return list(names.values())


def _slot(name: str) -> Slot | None:
    match = SLOT_NAME.fullmatch(name)
    return match and Slot("data" if match[1] == "data" else "weight", int(match[2] or match[3]))


def _declared(cursor: Cursor) -> list[str]:
    is_array = cursor.accept("array")
    if is_array:
        cursor.expect("[")
    line, kind, size = cursor.here.line, cursor.name(), "1"
    if kind not in ("float", "angle"):
        raise refused(line, "have inputs of type float or angle", repr(kind))
    if cursor.accept("["):
        cursor.skip_to("]")
    if is_array:
        cursor.expect(",")
        size = cursor.next().text
        cursor.expect("]")
    if not size.isdecimal() or not 0 < int(size) <= MAX_INPUTS:
        raise refused(line, f"have a whole number up to {MAX_INPUTS} as the size of an array", repr(size))
    name = cursor.name()
    cursor.expect(";")
    return [f"{name}[{k}]" for k in range(int(size))] if is_array else [name]
