"""An OpenQASM 3 program, read statement by statement into steps."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from circuits import gates, steps
from circuits.circuit import Circuit
from circuits.computed import AngleTable, ComputedCircuit
from circuits.openqasm.angles import Expression, Names
from circuits.openqasm.calls import Definition, Scope, read_call, read_operand, skip_barrier
from circuits.openqasm.gates import N_QUBITS
from circuits.openqasm.inlining import Inliner
from circuits.openqasm.inputs import read_inputs
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token, tokens_of
from circuits.steps import LinearAngle, LinearStep

POST_SELECT = "@qml.post_select"
REFUSED_WORDS = {
    "if", "else", "for", "while", "switch", "def", "extern", "defcal", "defcalgrammar", "cal", "box", "delay",
    "let", "return", "break", "continue", "end", "int", "uint", "bool", "float", "angle", "complex",
    "duration", "stretch", "output", "array", "durationof", "nop",
}  # fmt: skip
UNROLL_ADVICE = "Unroll or remove it first."


class ProgramReader:
    """A program of OpenQASM 3 that is read statement by statement; `circuit()` returns its circuit.

    With `is_computed`, angles may be polynomials of the inputs, and `computed_circuit()` returns them too.
    """

    def __init__(self, text: str, data: Iterable[str], limits: ReaderLimits, *, is_computed: bool = False) -> None:
        self.cursor, self.limits = Cursor(tokens_of(text)), limits
        inputs = read_inputs(self.cursor.tokens, data)
        scalars = {name: LinearAngle.of(slot) for name, slot in inputs.scalars.items()}
        self.computed = AngleTable(inputs.n_data) if is_computed else None
        self.scope = Scope(limits, Names(scalars, inputs.arrays, self.computed))
        self.n_qubits = self.n_bits = 0
        self.bits: dict[str, int] = {}  # the size of each register
        self.steps: list[LinearStep] = []
        self.inliner = Inliner(self.scope, self.steps)
        self.measured: list[tuple[int, str, int]] = []  # (place in steps, register, bit)
        self.post_select: int | None = None

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
            self.statement()
        if self.n_qubits == 0:
            raise refused(self.cursor.here.line, "declare qubits", "none so far")
        starts, total, written = {}, 0, {name for _, name, _ in self.measured}
        for name, size in self.bits.items():
            if name in written:
                starts[name], total = total, total + size
        for place, name, bit in self.measured:
            self.steps[place] = replace(self.steps[place], gate=gates.Measure(starts[name] + bit))

    def statement(self) -> None:
        """Read one statement."""
        token = self.cursor.here
        if token.kind == "annotation":
            self.annotation()
            return
        if token.kind == "pragma" or token.text in REFUSED_WORDS:
            raise refused(
                token.line, "hold gates, inputs, resets and measurements only", repr(token.text), UNROLL_ADVICE
            )
        if token.text in STATEMENTS:
            self.cursor.next()
            STATEMENTS[token.text](self, token)
        elif token.text in self.bits:
            self.assignment()
        elif not self.cursor.accept(";"):
            self.inliner.add(read_call(self.cursor, self.scope))
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
        self.scope.is_phased = minor not in ("", "0")

    def include(self, token: Token) -> None:
        name = self.cursor.next().text.strip("\"'")
        self.cursor.expect(";")
        if name != "stdgates.inc":
            raise refused(token.line, "include stdgates.inc only", repr(name), "Paste the file's gates into the text.")
        self.scope.has_library = True

    def qubit(self, token: Token) -> None:
        name, size = self.register(token)
        self.limits.require_qubits(self.n_qubits + size, token.line)
        self.scope.qubits[name] = range(self.n_qubits, self.n_qubits + size)
        self.n_qubits += size
        self.cursor.expect(";")

    def bit(self, token: Token) -> None:
        name, size = self.register(token)
        self.limits.require_qubits(self.n_bits + size, token.line, noun="bits")
        self.bits[name] = size
        self.n_bits += size
        if self.cursor.accept("="):
            self.cursor.expect("measure")
            self.measure(name, range(size), token)
        self.cursor.expect(";")

    def register(self, token: Token) -> tuple[str, int]:
        name = self.cursor.name() if token.text in ("qreg", "creg") else ""
        size = self.size() if self.cursor.here.text == "[" else 1
        name = name or self.cursor.name()
        if size < 1:
            raise refused(token.line, "have registers of at least one", f"size {size}")
        self.require_new(name, token)
        return name, size

    def size(self) -> int:
        self.cursor.expect("[")
        value = Expression(self.cursor, self.scope.names, self.limits).integer(self.scope.names)
        self.cursor.expect("]")
        return value

    def require_new(self, name: str, token: Token) -> None:
        names = self.scope.names
        if any(name in known for known in (self.scope.qubits, self.bits, names.scalars, names.arrays)):
            raise refused(token.line, "declare a name once", f"{name!r} again")

    def input(self, token: Token) -> None:
        """Skip the declaration, which `read_inputs` has read."""
        del token
        self.cursor.skip_to(";")

    def constant(self, token: Token) -> None:
        while self.cursor.here.text in ("float", "angle", "int", "uint"):
            self.cursor.next()
            if self.cursor.accept("["):
                self.cursor.skip_to("]")
        name = self.cursor.name()
        self.cursor.expect("=")
        value = Expression(self.cursor, self.scope.names, self.limits).value(self.scope.names)
        if value.terms:
            raise refused(token.line, "have constants without inputs", repr(name))
        self.require_new(name, token)
        self.scope.names.scalars[name] = value
        self.cursor.expect(";")

    def definition(self, token: Token) -> None:
        name = self.cursor.name()
        parameters = self.names(")") if self.cursor.accept("(") else []
        qubits = self.names("{")
        seen = set[str]()
        for word in (*parameters, *qubits):
            if word in seen:
                raise refused(token.line, "name each qubit and parameter once", f"{word!r} again")
            seen.add(word)
        body = self.cursor.skip_to("}")
        if name in self.scope.gates or (self.scope.has_library and name in N_QUBITS):
            raise refused(token.line, "define a gate once", f"{name!r} again")
        end = Token("end", "}", body[-1].line if body else token.line)
        self.scope.gates[name] = Definition(name, len(self.scope.gates), parameters, qubits, [*body, end])

    def names(self, closing: str) -> list[str]:
        result = []
        while not self.cursor.accept(closing):
            if result:
                self.cursor.expect(",")
            result.append(self.cursor.name())
        return result

    # --- operations -----------------------------------------------------------------------------------------

    def reset(self, token: Token) -> None:
        qubits = read_operand(self.cursor, self.scope)
        self.limits.spend(len(qubits), token.line)
        self.steps += [LinearStep(gates.Reset(), (qubit,)) for qubit in qubits]
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

    def bits_here(self) -> tuple[str, range]:
        token = self.cursor.here
        name = self.cursor.name()
        if name not in self.bits:
            raise refused(token.line, "measure into declared bits", repr(name))
        bits = range(self.bits[name])
        if self.cursor.here.text != "[":
            return name, bits
        index = self.size()
        if index not in bits:
            raise refused(token.line, f"have an index in 0..{len(bits) - 1}", f"{index}")
        return name, bits[index : index + 1]

    def measure(self, name: str, bits: range, token: Token) -> None:
        qubits = read_operand(self.cursor, self.scope)
        if len(qubits) != len(bits):
            raise refused(token.line, "measure into as many bits as qubits", f"{len(bits)} for {len(qubits)}")
        self.limits.spend(len(qubits), token.line)
        if self.post_select is not None:
            self.steps += [LinearStep(gates.PostSelect(self.post_select), (qubit,)) for qubit in qubits]
            self.post_select = None
            return
        for qubit, bit in zip(qubits, bits, strict=True):
            self.measured.append((len(self.steps), name, bit))
            self.steps.append(LinearStep(gates.Measure(bit), (qubit,)))


STATEMENTS: dict[str, Callable[[ProgramReader, Token], None]] = {
    "OPENQASM": ProgramReader.version,
    "include": ProgramReader.include,
    "qubit": ProgramReader.qubit,
    "qreg": ProgramReader.qubit,
    "bit": ProgramReader.bit,
    "creg": ProgramReader.bit,
    "input": ProgramReader.input,
    "const": ProgramReader.constant,
    "gate": ProgramReader.definition,
    "reset": ProgramReader.reset,
    "barrier": ProgramReader.barrier,
    "measure": ProgramReader.arrow,
}
