"""`switch` on measured bits: its target, and the values of a case; and whole numbers that statements change."""

from circuits.openqasm.angles import Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.conditions import LARGEST, MAX_DIGITS, NEVER, Condition, Logic
from circuits.openqasm.limits import refused
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
    if name not in bits:
        raise refused(token.line, "switch on a register of bits, a bit or a number made of them", repr(name))
    if not cursor.accept("["):
        return list(bits[name])
    index = Expression(cursor, scope.names, scope.limits).integer(scope.names)
    cursor.expect("]")
    if not 0 <= index < len(bits[name]):
        raise refused(token.line, f"have an index in 0..{len(bits[name]) - 1} for {name}", f"{index}")
    return bits[name][index : index + 1]


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


def read_comparison(cursor: Cursor, scope: Scope, bits: dict[str, Bits]) -> bool:
    """Read the condition of a `while`, of two whole numbers that are known, and tell whether it holds."""
    token = cursor.here
    left = _known(cursor, scope, bits)
    operator = cursor.next()
    if operator.text not in COMPARED:
        raise refused(operator.line, f"compare by {', '.join(COMPARED)} in `while`", repr(operator.text))
    right = _known(cursor, scope, bits)
    if cursor.here.text != ")":
        raise refused(token.line, "compare two whole numbers in `while`", repr(cursor.here.text), UNROLL)
    cursor.expect(")")
    return COMPARED[operator.text](left, right)


def _known(cursor: Cursor, scope: Scope, bits: dict[str, Bits]) -> int:
    token = cursor.here
    if token.text in bits or token.text in ("!", "~", "("):
        rule = "have loops whose number of runs is known"
        raise refused(token.line, rule, "a `while` on measured bits, which has no bound", UNROLL)
    return Expression(cursor, scope.names, scope.limits).integer(scope.names)


UNROLL = "Write the runs that you want one behind the other, each under `if`."
COMPARED = {
    "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, "==": int.__eq__, "!=": int.__ne__,
}  # fmt: skip
