"""Bodies of `if`, `else`, `for`, `while`, `case` and `box`: one statement, or several in braces.

They wait on a stack of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits.openqasm.angles import Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.conditions import ALWAYS, Condition
from circuits.openqasm.limits import refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.steps import LinearAngle

TYPES = ("float", "angle", "int", "uint", "bool")
WHOLE = ("int", "uint", "bool")
MAX_WIDTH = 128  # of a number


class NumberType(NamedTuple):
    """The type of a number that statements may change."""

    kind: str  # float, angle, int, uint or bool
    width: int

    @property
    def limits(self) -> tuple[int, int]:
        """Return the smallest and the largest whole number."""
        if self.kind == "int":
            return -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        return 0, 1 if self.kind == "bool" else 2**self.width - 1


class Hidden(NamedTuple):
    """The meaning of a name outside of the block that declares it again."""

    scalar: LinearAngle | None
    copy: list[Condition] | None
    kind: NumberType | None
    valid: Condition | None  # under which a number has its value
    is_whole: bool


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
        hidden: what its name means outside of the loop.
        declared: names that end with it, with their meanings outside.
        running: the condition under which a loop goes on.
        test: the place of the condition of a `while`.
        state: the numbers that were known when that was read last.
        n_runs: how often a `while` on measured bits has run.
        target: the bits that a `switch` looks at; its `own` is the condition that one of its cases so far holds.
        is_complete: whether a `switch` has had its default.
    """

    kind: str
    token: Token
    start: int
    is_braced: bool
    outside: Condition
    own: Condition = ALWAYS
    values: Iterator[float | int] = field(default_factory=lambda: iter(()))
    variable: str = ""
    hidden: Hidden | None = None
    declared: dict[str, Hidden] = field(default_factory=dict)
    running: Condition = ALWAYS
    test: int = 0
    state: object = None
    n_runs: int = 0
    target: list[Condition] = field(default_factory=list)
    is_complete: bool = False


def read_type(cursor: Cursor) -> tuple[str, int]:
    """Read the name of a type and its width; an empty name where none stands here, the width 0 where none is said."""
    kind, width = "", 0
    while cursor.here.text in TYPES and cursor.here.kind == "name":
        kind, width = cursor.name(), 0
        line = cursor.here.line
        if cursor.accept("["):
            text = "".join([token.text for token in cursor.skip_to("]")])
            is_number = text.isdecimal() and len(text) <= len(str(MAX_WIDTH))
            width = int(text) if is_number else 0
            if kind in ("int", "uint") and not 0 < width <= MAX_WIDTH:
                raise refused(line, f"have a whole number up to {MAX_WIDTH} as the width of {kind}", repr(text))
    return kind, width


def loop_values(cursor: Cursor, scope: Scope, *, is_real: bool = False) -> range | list[float | int]:
    """Read the values of a loop's variable: a set in braces, or a range whose end belongs to it.

    Args:
        cursor: where they stand.
        scope: the meanings of names.
        is_real: whether values of a set need not be whole.
    """
    token = cursor.here
    if cursor.accept("{"):
        read = _real if is_real else _whole
        values: list[float | int] = [read(cursor, scope)]
        while cursor.accept(","):
            values.append(read(cursor, scope))
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


def _real(cursor: Cursor, scope: Scope) -> float:
    return Expression(cursor, scope.names, scope.limits).real(scope.names)


def _whole(cursor: Cursor, scope: Scope) -> int:
    return Expression(cursor, scope.names, scope.limits).integer(scope.names)


def skip_body(cursor: Cursor) -> None:
    """Skip the body of a loop that is never run."""
    depth, brackets, start = 0, 0, cursor.here
    while True:
        token = cursor.next()
        if token.kind == "end":
            raise refused(start.line, "close every block", "one without an end")
        if token.kind != "symbol":
            is_set = token.text == "in" and cursor.here.text == "{"  # values of an inner loop
            if is_set:
                cursor.skip_to("}")
            continue
        brackets += (token.text == "[") - (token.text == "]")
        if brackets:  # a set of places, as in q[{0, 2}]
            continue
        depth += (token.text == "{") - (token.text == "}")
        if depth == 0 and token.text in (";", "}") and cursor.here.text != "else":
            return
