"""The state of a program of OpenQASM that is being read, and its declarations."""

from collections.abc import Iterable, Sequence

from circuits.computed import AngleTable
from circuits.openqasm.angle_parser import Names
from circuits.openqasm.angles import Expression
from circuits.openqasm.blocks import Block, NumberType
from circuits.openqasm.calls import Definition, Scope, read_operand
from circuits.openqasm.conditions import ALWAYS, NEVER, Condition
from circuits.openqasm.deferral import Span
from circuits.openqasm.gates import VERSION_2
from circuits.openqasm.inlining import Inliner
from circuits.openqasm.inputs import Inputs, read_inputs
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token, tokens_of
from circuits.steps import LinearAngle, LinearStep


class DeclarationReader:
    """Reads declarations; `ProgramReader` reads all statements."""

    def __init__(self, text: str, data: Iterable[str], limits: ReaderLimits, *, is_computed: bool = False) -> None:
        self.cursor, self.limits = Cursor(tokens_of(text)), limits
        self.is_version_2 = _is_version_2(self.cursor.tokens)
        inputs = Inputs({}, {}) if self.is_version_2 else read_inputs(self.cursor.tokens, data)
        scalars = {name: LinearAngle.of(slot) for name, slot in inputs.scalars.items()}
        self.computed = AngleTable(inputs.n_data) if is_computed else None
        self.scope = Scope(limits, Names(scalars, inputs.arrays, self.computed))
        if self.is_version_2:
            self.scope.dialect, self.scope.names.version = VERSION_2, 2
        self.n_qubits = self.n_bits = 0
        self.bits: dict[str, list[Condition]] = {}  # when each bit of a register is 1
        self.copies: dict[str, list[Condition]] = {}  # whole numbers that hold the bits of a register
        self.changeable: dict[str, NumberType] = {}  # numbers without `const`, by name
        self.valid: dict[str, Condition] = {}  # where numbers have their value, for those changed under a condition
        self.steps: list[LinearStep] = []
        self.inliner = Inliner(self.scope, self.steps)
        self.measured: list[tuple[int, str, int, Condition, int]] = []  # (step, register, bit, previous value, line)
        self.post_select: int | None = None
        self.blocks: list[Block] = []
        self.condition = ALWAYS
        self.spans: list[Span] = []

    def measure(self, name: str, bits: Sequence[int], token: Token) -> None:
        """Read the qubits of a measurement into these bits."""
        raise NotImplementedError("ProgramReader reads measurements.")

    def version(self, token: Token) -> None:
        if self.cursor.place > 1:
            raise refused(token.line, "say its version first", "it after other statements")
        major, _, minor = self.cursor.next().text.partition(".")
        self.cursor.expect(";")
        if major not in ("2", "3") or (major == "2" and minor not in ("", "0")):
            raise refused(token.line, "be OpenQASM 2.0 or 3", f"version {major}.{minor}")
        self.scope.is_phased = major == "3" and minor not in ("", "0")

    def include(self, token: Token) -> None:
        name = self.cursor.next().text.strip("\"'")
        self.cursor.expect(";")
        file = self.scope.dialect.file
        if name != file:
            raise refused(token.line, f"include {file} only", repr(name), "Paste the file's gates into the text.")
        self.scope.has_library = True

    def qubit(self, token: Token) -> None:
        name, size = self.register(token)
        if self.scope.n_hardware_qubits:
            raise refused(token.line, "declare qubits or use those of a device", f"{name!r} after $0, $1, ...")
        self.limits.require_qubits(self.n_qubits + size, token.line)
        self.scope.qubits[name] = range(self.n_qubits, self.n_qubits + size)
        self.n_qubits += size
        self.cursor.expect(";")

    def bit(self, token: Token) -> None:
        name, size = self.register(token)
        self.limits.require_qubits(self.n_bits + size, token.line, noun="bits")
        self.bits[name] = [NEVER] * size
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

    def require_new(self, name: str, token: Token, *, shadows: bool = False) -> None:
        """Refuse a name that is taken; `shadows` where a number in a block may hide another one."""
        names = self.scope.names
        registers, numbers = (self.scope.qubits, self.bits, names.arrays), (self.copies, names.scalars, self.changeable)
        if any(name in known for known in registers) or (not shadows and any(name in known for known in numbers)):
            raise refused(token.line, "declare a name once", f"{name!r} again")

    def input(self, token: Token) -> None:
        """Skip the declaration, which `read_inputs` has read."""
        del token
        self.cursor.skip_to(";")

    def output(self, token: Token) -> None:
        """Read `output bit[2] c;`: all bits are kept."""
        if not self.cursor.accept("bit"):
            raise refused(token.line, "have outputs of type bit", repr(self.cursor.here.text))
        self.bit(token)

    def alias(self, token: Token) -> None:
        """Read `let a = q[0:2] ++ r;`, another name for qubits."""
        name = self.cursor.name()
        self.require_new(name, token)
        self.cursor.expect("=")
        qubits = read_operand(self.cursor, self.scope)
        if self.cursor.here.text == "++":
            joined = [*qubits]
            while self.cursor.accept("++"):
                joined += read_operand(self.cursor, self.scope)
                self.limits.spend(len(joined), token.line)
            if len(set(joined)) < len(joined):
                raise refused(token.line, "name a qubit once in an alias", f"{name!r}")
            qubits = joined
        self.cursor.expect(";")
        self.scope.qubits[name] = qubits

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
        # The library of version 2 differs from tool to tool: there the text's own definition counts.
        if name in self.scope.gates or (not self.is_version_2 and self.scope.has_library and self.scope.is_known(name)):
            raise refused(token.line, "define a gate once", f"{name!r} again")
        end = Token("end", "}", body[-1].line if body else token.line)
        self.scope.gates[name] = Definition(name, len(self.scope.gates), parameters, qubits, [*body, end])

    def opaque(self, token: Token) -> None:
        """Read the declaration of a gate without a definition, which no statement may use."""
        self.scope.opaque.add(self.cursor.name())
        if self.cursor.accept("("):
            self.names(")")
        self.names(";")

    def names(self, closing: str) -> list[str]:
        result = []
        while not self.cursor.accept(closing):
            if result:
                self.cursor.expect(",")
            result.append(self.cursor.name())
        return result


def _is_version_2(tokens: list[Token]) -> bool:
    """Tell whether a program says so, or says nothing and begins with the library of version 2."""
    if len(tokens) < 2 or tokens[0].text == "include":
        return len(tokens) > 1 and tokens[1].text.strip("\"'") == VERSION_2.file
    return tokens[0].text == "OPENQASM" and tokens[1].text.partition(".")[0] == "2"
