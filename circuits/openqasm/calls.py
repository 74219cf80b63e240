"""Gate calls of OpenQASM as they are written: modifiers, a gate, its angles and its operands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits import gates
from circuits.openqasm.angle_parser import Names
from circuits.openqasm.angles import Expression
from circuits.openqasm.gates import VERSION_3, Dialect
from circuits.openqasm.limits import SIZE_PER_OPERATION, ReaderLimits, refused
from circuits.openqasm.registers import picked, read_places
from circuits.openqasm.syntax import Cursor, Token

MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
MAX_POWER = 1000  # of one pow(k) @
MAX_DIGITS = 18  # of the number of a device's qubit


@dataclass
class Definition:
    """A gate of the program.

    Args:
        name: of the gate.
        place: how many were defined before: those alone may be called in its body.
        parameters: names of its angles.
        qubits: names of its qubits.
        body: the tokens of its calls, an `end` token last.
    """

    name: str
    place: int
    parameters: list[str]
    qubits: list[str]
    body: list[Token]
    calls: "list[Call] | None" = None  # the body, once it is read
    rotation: gates.PauliRotation | None = None  # that it is, if `to_openqasm` wrote it
    size: int | None = None  # operations that one call makes, at least
    depth: int = 1


@dataclass
class Scope:
    """The meanings of all names of a program (angles, registers of qubits, gates), and its dialect."""

    limits: ReaderLimits
    names: Names = field(default_factory=Names)
    qubits: dict[str, Sequence[int]] = field(default_factory=dict)
    gates: dict[str, Definition] = field(default_factory=dict)
    n_gates: int | None = None  # in a body: how many were defined before it, which alone may be called there
    dialect: Dialect = VERSION_3
    has_library: bool = False
    is_phased: bool = False  # the U of version 3.1 has a further phase exp(i theta / 2)
    opaque: set[str] = field(default_factory=set)  # gates of version 2 without a definition
    n_hardware_qubits: int = 0  # that were used so far: $0, $1, ...

    def is_known(self, name: str) -> bool:
        """Tell whether the language has the gate, or its library if that is included."""
        return name in self.dialect.builtin or (self.has_library and name in self.dialect.library)


class Controls(NamedTuple):
    """Controls that one modifier adds."""

    line: int
    value: int  # that they read
    number: Expression | None  # of controls; None: one

    def count(self, names: Names) -> int:
        """Return the number of controls."""
        result = 1 if self.number is None else self.number.integer(names)
        if result < 1:
            name = "ctrl" if self.value else "negctrl"
            fix = "Leave the modifier out for none."
            raise refused(self.line, "have at least one control", f"{name}({result})", fix)
        return result


class Modifiers(NamedTuple):
    """The modifiers of a gate: controls, inversions and powers.

    They commute, but for the order of controls, and for that of powers if one is not whole.
    """

    controls: list[Controls]
    is_inverse: bool
    power: int  # the product of all constant ones that are whole
    powers: list[tuple[int, Expression]]  # that depend on parameters, with their lines
    is_plain: bool = False  # whether there are none
    is_fractional: bool = False  # whether a constant power is not whole
    written: Sequence[tuple[int, Expression | None]] = ()  # all powers in their order; None is an inversion

    def exponent(self, names: Names) -> int:
        """Return the product of all powers, negative for an inverse."""
        result = self.power
        for line, power in self.powers:
            result *= _power(power.integer(names), line)
        return -result if self.is_inverse else result

    def fractions(self, names: Names) -> list[float]:
        """Return all powers, the innermost first, if one of them is not whole; else none."""
        if not self.is_fractional and not self.powers:
            return []
        powers = [-1.0 if power is None else _bounded(power.real(names), line) for line, power in self.written[::-1]]
        return powers if any(power != round(power) for power in powers) else []


PLAIN = Modifiers([], is_inverse=False, power=1, powers=[], is_plain=True)


class Call(NamedTuple):
    """A gate call as it is written; operands are numbers of qubits in the surrounding gate or program."""

    token: Token
    definition: Definition | None
    modifiers: Modifiers
    angles: list[Expression]
    operands: list[Sequence[int]]
    size: int  # operations that it counts as, without those of the definition


def read_call(cursor: Cursor, scope: Scope) -> Call:
    """Read one gate call."""
    start = cursor.place
    modifiers = _modifiers(cursor, scope)
    token = cursor.here
    cursor.name()
    angles = _angles(cursor, scope) if cursor.accept("(") else []
    operands = [] if cursor.here.text == ";" else [read_operand(cursor, scope)]
    while cursor.accept(","):
        operands.append(read_operand(cursor, scope))
    cursor.expect(";")
    sizes = {len(operand) for operand in operands} - {1}
    if len(sizes) > 1:
        raise refused(token.line, "broadcast over registers of one size", f"sizes {sorted(sizes)}")
    if not sizes:
        require_distinct(token, [operand[0] for operand in operands])
    size = 1 if scope.n_gates is None else 1 + (cursor.place - start) // SIZE_PER_OPERATION
    return Call(token, _gate(token, scope), modifiers, angles, operands, size)


def require_distinct(token: Token, qubits: Sequence[int]) -> None:
    """Refuse a gate that names a qubit twice."""
    if len(set(qubits)) != len(qubits):
        raise refused(token.line, "name a qubit once in a gate", f"{token.text!r} on {list(qubits)}")


def _gate(token: Token, scope: Scope) -> Definition | None:
    """Return the definition of a gate, None for one of the language or its library."""
    name = token.text
    definition = scope.gates.get(name)
    is_reserved = name == "gphase" and scope.dialect.version == 3
    if not is_reserved and definition is not None and (scope.n_gates is None or definition.place < scope.n_gates):
        return definition
    if scope.is_known(name):
        return None
    if name in scope.opaque:
        fix = "Replace `opaque` by a `gate` with a body."
        raise refused(token.line, "use gates with a definition", f"the opaque gate {name!r}", fix)
    is_missing = name in scope.dialect.library and not scope.has_library
    fix = f'Begin the text with: include "{scope.dialect.file}";' if is_missing else "Define it before its use."
    raise refused(token.line, "use defined gates", f"the gate {name!r}", fix)


def _modifiers(cursor: Cursor, scope: Scope) -> Modifiers:  # noqa: C901 - one case a modifier and kind of number
    if cursor.here.text not in MODIFIERS or scope.dialect.version == 2:
        return PLAIN
    controls: list[Controls] = []
    powers: list[tuple[int, Expression]] = []
    written: list[tuple[int, Expression | None]] = []
    is_inverse, is_fractional, product = False, False, 1
    while cursor.here.text in MODIFIERS:
        line, name, number = cursor.here.line, cursor.name(), None
        if name == "pow" or (name != "inv" and cursor.here.text == "("):
            cursor.expect("(")
            number = Expression(cursor, scope.names, scope.limits)
            cursor.expect(")")
        if name in ("inv", "pow"):
            written.append((line, number))
        if name == "inv":
            is_inverse = not is_inverse
        elif name != "pow":
            controls.append(Controls(line, int(name == "ctrl"), number))
            if number is None or number.is_constant:
                controls[-1].count(scope.names)
        elif number is not None and number.is_constant and (value := number.real(scope.names)) != round(value):
            is_fractional = _bounded(value, line) == value
        elif number is not None and number.is_constant:
            product *= _power(number.integer(scope.names), line)
            product = min(max(product, -scope.limits.max_operations - 1), scope.limits.max_operations + 1)
        elif number is not None:
            powers.append((line, number))
        cursor.expect("@")
    return Modifiers(
        controls,
        is_inverse,
        product,
        powers,
        is_fractional=is_fractional,
        written=written if powers or is_fractional else (),
    )


def _power(number: int, line: int) -> int:
    return round(_bounded(number, line))


def _bounded(number: float | int, line: int) -> float | int:
    if abs(number) > MAX_POWER:
        fix = "Put the power into an angle: rx(2000*a) for pow(2000) @ rx(a)."
        raise refused(line, f"have powers of at most {MAX_POWER}", f"pow({number})", fix)
    return number


def _angles(cursor: Cursor, scope: Scope) -> list[Expression]:
    if cursor.accept(")"):
        return []
    result = [Expression(cursor, scope.names, scope.limits)]
    while cursor.accept(","):
        result.append(Expression(cursor, scope.names, scope.limits))
    cursor.expect(")")
    return result


def read_operand(cursor: Cursor, scope: Scope) -> Sequence[int]:
    """Read the qubits of a register, one of them, or some."""
    token = cursor.here
    name = cursor.name()
    if name.startswith("$") and not scope.qubits:
        return _hardware_qubit(token, scope)
    if name not in scope.qubits:
        raise refused(token.line, "use declared qubits", repr(name))
    register = scope.qubits[name]
    while cursor.accept("["):
        register = picked(register, read_places(cursor, scope.names, scope.limits, len(register), name))
    return register


def _hardware_qubit(token: Token, scope: Scope) -> range:
    """Return the qubit of a program without declared ones that names those of a device: $0, $1, ..."""
    digits = token.text[1:]
    if not digits.isdecimal() or len(digits) > MAX_DIGITS:
        raise refused(token.line, "name qubits of a device by $ and a number", repr(token.text))
    scope.limits.require_qubits(int(digits) + 1, token.line)
    scope.n_hardware_qubits = max(scope.n_hardware_qubits, int(digits) + 1)
    return range(int(digits), int(digits) + 1)


def skip_barrier(cursor: Cursor, scope: Scope) -> None:
    """Read the operands of a barrier, which leaves no operation."""
    if cursor.accept(";"):
        return
    read_operand(cursor, scope)
    while not cursor.accept(";"):
        cursor.expect(",")
        read_operand(cursor, scope)
