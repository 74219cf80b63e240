"""Bodies of `if`, `else`, `for`, `while`, `case` and `box`: one statement, or several in braces.

They wait on a stack of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from circuits.openqasm.angles import Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.conditions import ALWAYS, Condition
from circuits.openqasm.limits import refused
from circuits.openqasm.syntax import Cursor, Token

TYPES = ("float", "angle", "int", "uint", "bool")


@dataclass
class Block:
    """A body that is being read.

    Args:
        kind: the word before it.
        token: that word.
        start: the place of its first statement.
        is_braced: whether it holds several statements.
        outside: the condition around it.
        own: the condition of an `if`.
        values: those of a loop's variable that are still to come.
        variable: of a loop.
        declared: constants that end with it.
        test: the place of the condition of a `while`.
        target: the bits that a `switch` looks at; its `own` is the condition that one of its cases so far holds.
        is_complete: whether a `switch` has had its default.
    """

    kind: str
    token: Token
    start: int
    is_braced: bool
    outside: Condition
    own: Condition = ALWAYS
    values: Iterator[int] = field(default_factory=lambda: iter(()))
    variable: str = ""
    declared: list[str] = field(default_factory=list)
    test: int = 0
    target: list[Condition] = field(default_factory=list)
    is_complete: bool = False


def read_type(cursor: Cursor) -> str:
    """Read the name of a type and its width; return the name, empty where none stands here."""
    result = ""
    while cursor.here.text in TYPES and cursor.here.kind == "name":
        result = cursor.name()
        if cursor.accept("["):
            cursor.skip_to("]")
    return result


def loop_values(cursor: Cursor, scope: Scope) -> range | list[int]:
    """Read the values of a loop's variable: a set in braces, or a range whose end belongs to it."""
    token = cursor.here
    if cursor.accept("{"):
        values = [_whole(cursor, scope)]
        while cursor.accept(","):
            values.append(_whole(cursor, scope))
        cursor.expect("}")
        return values
    cursor.expect("[")
    parts = [_whole(cursor, scope)]
    while cursor.accept(":"):
        parts.append(_whole(cursor, scope))
    cursor.expect("]")
    if len(parts) not in (2, 3):
        raise refused(token.line, "have ranges [first:last] or [first:step:last]", f"{len(parts)} numbers")
    first, last, step = parts[0], parts[-1], parts[1] if len(parts) == 3 else 1
    if step == 0:
        raise refused(token.line, "have steps other than 0", "a step of 0")
    scope.limits.require_room(max((last - first) // step + 1, 0), token.line)
    return range(first, last + (1 if step > 0 else -1), step)


def _whole(cursor: Cursor, scope: Scope) -> int:
    return Expression(cursor, scope.names, scope.limits).integer(scope.names)


def skip_body(cursor: Cursor) -> None:
    """Skip the body of a loop that is never run."""
    depth, start = 0, cursor.here
    while True:
        token = cursor.next()
        if token.kind == "end":
            raise refused(start.line, "close every block", "one without an end")
        if token.kind != "symbol":
            is_set = token.text == "in" and cursor.here.text == "{"  # values of an inner loop
            if is_set:
                cursor.skip_to("}")
            continue
        depth += (token.text == "{") - (token.text == "}")
        if depth == 0 and token.text in (";", "}") and cursor.here.text != "else":
            return
