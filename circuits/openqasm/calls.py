"""Gate calls of OpenQASM 3 as they are written: modifiers, a gate, its angles and its operands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits import gates
from circuits.openqasm.angles import Expression, Names
from circuits.openqasm.gates import N_QUBITS
from circuits.openqasm.limits import SIZE_PER_OPERATION, ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token

MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
MAX_POWER = 1000  # of one pow(k) @


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
    qubits: dict[str, range] = field(default_factory=dict)
    gates: dict[str, Definition] = field(default_factory=dict)
    n_gates: int | None = None  # in a body: how many were defined before it, which alone may be called there
    has_library: bool = False
    is_phased: bool = False  # the U of version 3.1 has a further phase exp(i theta / 2)


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
    """The modifiers of a gate: controls, inversions and powers. They commute, but for the order of controls."""

    controls: list[Controls]
    is_inverse: bool
    power: int  # the product of all constant ones
    powers: list[tuple[int, Expression]]  # that depend on parameters, with their lines
    is_plain: bool = False  # whether there are none

    def exponent(self, names: Names) -> int:
        """Return the product of all powers, negative for an inverse."""
        result = self.power
        for line, power in self.powers:
            result *= _power(power.integer(names), line)
        return -result if self.is_inverse else result


PLAIN = Modifiers([], is_inverse=False, power=1, powers=[], is_plain=True)


class Call(NamedTuple):
    """A gate call as it is written; operands are numbers of qubits in the surrounding gate or program."""

    token: Token
    definition: Definition | None
    modifiers: Modifiers
    angles: list[Expression]
    operands: list[range]
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
    if name != "gphase" and definition is not None and (scope.n_gates is None or definition.place < scope.n_gates):
        return definition
    if name in ("gphase", "U") or (scope.has_library and name in N_QUBITS):
        return None
    fix = "" if name not in N_QUBITS else 'Begin the text with: include "stdgates.inc";'
    raise refused(token.line, "use defined gates", f"the gate {name!r}", fix or "Define it before its use.")


def _modifiers(cursor: Cursor, scope: Scope) -> Modifiers:
    if cursor.here.text not in MODIFIERS:
        return PLAIN
    controls: list[Controls] = []
    powers: list[tuple[int, Expression]] = []
    is_inverse, product = False, 1
    while cursor.here.text in MODIFIERS:
        line, name, number = cursor.here.line, cursor.name(), None
        if name == "pow" or (name != "inv" and cursor.here.text == "("):
            cursor.expect("(")
            number = Expression(cursor, scope.names, scope.limits)
            cursor.expect(")")
        if name == "inv":
            is_inverse = not is_inverse
        elif name != "pow":
            controls.append(Controls(line, int(name == "ctrl"), number))
            if number is None or number.is_constant:
                controls[-1].count(scope.names)
        elif number is not None and number.is_constant:
            product *= _power(number.integer(scope.names), line)
            product = min(max(product, -scope.limits.max_operations - 1), scope.limits.max_operations + 1)
        elif number is not None:
            powers.append((line, number))
        cursor.expect("@")
    return Modifiers(controls, is_inverse, product, powers)


def _power(number: int, line: int) -> int:
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


def read_operand(cursor: Cursor, scope: Scope) -> range:
    """Read the qubits of a register, or one of them."""
    token = cursor.here
    name = cursor.name()
    if name not in scope.qubits:
        raise refused(token.line, "use declared qubits", repr(name))
    register = scope.qubits[name]
    if not cursor.accept("["):
        return register
    index = Expression(cursor, scope.names, scope.limits).integer(scope.names)
    cursor.expect("]")
    if not 0 <= index < len(register):
        raise refused(token.line, f"have an index in 0..{len(register) - 1} for {name}", f"{index}")
    return register[index : index + 1]


def skip_barrier(cursor: Cursor, scope: Scope) -> None:
    """Read the operands of a barrier, which leaves no operation."""
    if cursor.accept(";"):
        return
    read_operand(cursor, scope)
    while not cursor.accept(";"):
        cursor.expect(",")
        read_operand(cursor, scope)
