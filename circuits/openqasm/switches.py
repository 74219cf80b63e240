"""`switch` on measured bits and known numbers: its target, and the values of a case."""

from circuits.openqasm.angles import Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.conditions import ALWAYS, LARGEST, MAX_DIGITS, NEVER, Condition, Logic
from circuits.openqasm.limits import refused
from circuits.openqasm.registers import picked, read_places
from circuits.openqasm.syntax import Cursor

CASTS = ("int", "uint")
BITS_OF_A_NUMBER = 32  # of an int or uint that says nothing
Bits = list[Condition]
"""The conditions that the bits of a whole number are 1, its lowest bit first."""


def read_target(cursor: Cursor, scope: Scope, bits: dict[str, Bits], copies: dict[str, Bits]) -> Bits:
    """Read what a `switch` looks at: a register, a bit of one, a cast of them to a whole number, or a copy of them."""
    token = cursor.here
    if cursor.accept(*CASTS):
        width = BITS_OF_A_NUMBER
        if cursor.accept("["):
            width = Expression(cursor, scope.names, scope.limits).integer(scope.names)
            cursor.expect("]")
        cursor.expect("(")
        result = read_target(cursor, scope, bits, copies)
        cursor.expect(")")
        if len(result) > width - (token.text == "int"):
            rule = f"cast {len(result)} bits to a number that holds them"
            raise refused(token.line, rule, f"{token.text}[{width}]", f"Write uint[{len(result)}].")
        return result
    name = cursor.name()
    if copies.get(name):
        return copies[name]
    if name in scope.names.scalars:
        return _bits_of_number(cursor, scope)
    if name not in bits:
        raise refused(token.line, "switch on a register of bits, a bit or a number made of them", repr(name))
    if not cursor.accept("["):
        return list(bits[name])
    return list(picked(bits[name], read_places(cursor, scope.names, scope.limits, len(bits[name]), name)))


def read_case(cursor: Cursor, scope: Scope, target: Bits, logic: Logic) -> Condition:
    """Read the values of a `case`, and return the condition that the target has one of them."""
    result = NEVER
    while True:
        # Two values never hold at once, so that their cases stand side by side.
        result += logic.compared(target, "==", _value(cursor, scope))
        if not cursor.accept(","):
            return tuple(dict.fromkeys(result))


def _value(cursor: Cursor, scope: Scope) -> int:
    token = cursor.here
    if token.text.isdecimal() and len(token.text) <= MAX_DIGITS:
        return int(cursor.next().text)  # exactly, however large
    value = Expression(cursor, scope.names, scope.limits).integer(scope.names)
    if abs(value) > LARGEST:
        raise refused(token.line, "compute whole numbers up to 2**53", "a larger one")
    return value


def _bits_of_number(cursor: Cursor, scope: Scope) -> Bits:
    """Read a whole number that is known, whose name has been read, as bits."""
    cursor.place -= 1
    line = cursor.here.line
    value = Expression(cursor, scope.names, scope.limits).integer(scope.names)
    if not 0 <= value < 2**BITS_OF_A_NUMBER:
        raise refused(line, f"switch on whole numbers of up to {BITS_OF_A_NUMBER} bits", f"{value}")
    return [ALWAYS if value >> place & 1 else NEVER for place in range(BITS_OF_A_NUMBER)]
