"""Angles of OpenQASM as they are written: read once into the postfix code of a stack machine.

No function calls itself, so that no text can exhaust Python's stack.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits.computed import AngleTable
from circuits.openqasm.inputs import InputArray
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.steps import LinearAngle

CONSTANTS = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e, "true": 1.0,
    "false": 0.0,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "ln": math.log,
}  # fmt: skip
OF_ONE_VERSION = {"log": 3, "arcsin": 3, "arccos": 3, "arctan": 3, "ln": 2}
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "whole /": 2, "negative": 3, "**": 4}
POWERS = {2: "^", 3: "**"}  # by version; in version 3 the sign ^ is an exclusive or
CLOSING = {"(": ")", "[": "]"}


@dataclass
class Names:
    """The meanings of names in angles: inputs, constants, parameters, and arrays of inputs.

    Args:
        scalars: the values of names.
        arrays: the arrays of inputs.
        computed: takes polynomials of inputs; where it is None, angles are linear in them.
        integers: the names of whole numbers, which are divided without a remainder.
        version: of the language, 2 or 3.
    """

    scalars: dict[str, LinearAngle] = field(default_factory=dict)
    arrays: dict[str, InputArray] = field(default_factory=dict)
    computed: AngleTable | None = None
    integers: set[str] = field(default_factory=set)
    version: int = 3


class Instruction(NamedTuple):
    """A step of the stack machine that computes an angle, with the token that it was read from."""

    kind: str  # number, name, element, function, an operator, or "("
    token: Token
    number: float = 0.0


class AngleParser:
    """Turns an angle into postfix code, operators waiting on a stack for their right operand (shunting yard)."""

    def __init__(self, cursor: Cursor, names: Names, limits: ReaderLimits) -> None:
        self.cursor, self.names, self.limits = cursor, names, limits
        self.code: list[Instruction] = []
        self.waiting: list[Instruction] = []
        self.depth = 0

    def read(self) -> list[Instruction]:
        """Return the code of the angle that stands here."""
        while True:
            while self.operand():
                pass
            while self.closed():
                pass
            token = self.cursor.here
            kind = self.operator_kind(token)
            if not kind:
                break
            self.operator(self.cursor.next(), kind)
        self.emit_above(0)
        if self.waiting:
            raise refused(token.line, f"have {CLOSING[self.waiting[-1].kind]!r} here", repr(token.text))
        return _with_whole_quotients(self.code, self.names.integers) if self.names.integers else self.code

    def operand(self) -> bool:
        """Read a sign, an opening bracket or an operand; tell whether an operand is still to come."""
        token = self.cursor.next()
        if token.kind == "symbol" and token.text in ("+", "-", "("):
            self.prefix(token)
            return True
        if token.kind == "number":
            number = computed_number(float, token, token.text.replace("_", ""))
            self.code.append(Instruction("number", token, number))
            return False
        if token.kind != "name":
            raise undeclared(token.line, token.text)
        return self.word(token)

    def word(self, token: Token) -> bool:
        """Read a name, or the start of an element or of a function's value."""
        name = token.text
        if self.cursor.accept("["):
            self.open("[", token)
            return True
        if name in self.names.scalars:
            self.code.append(Instruction("name", token))
        elif name in CONSTANTS:
            self.code.append(Instruction("number", token, CONSTANTS[name]))
        elif name in FUNCTIONS and OF_ONE_VERSION.get(name, self.names.version) == self.names.version:
            self.cursor.expect("(")
            self.open("(", token)
            return True
        else:
            raise undeclared(token.line, name)
        return False

    def prefix(self, token: Token) -> None:
        if token.text == "(":
            self.open("(", token)
        elif token.text == "-" and self.waiting and self.waiting[-1].kind == "negative":
            self.waiting.pop()  # two in a row, of which there may be thousands
        elif token.text == "-":
            self.waiting.append(Instruction("negative", token))

    def open(self, bracket: str, token: Token) -> None:
        self.depth += 1
        self.limits.require_depth(self.depth, token.line, "brackets")
        self.waiting.append(Instruction(bracket, token))

    def closed(self) -> bool:
        """Read a bracket that closes one of this angle, if it stands here."""
        token = self.cursor.here
        if self.depth == 0 or token.kind != "symbol" or token.text not in (")", "]"):
            return False
        self.emit_above(0)
        opening = self.waiting.pop()
        self.cursor.expect(CLOSING[opening.kind])
        self.depth -= 1
        if opening.kind == "[":
            self.code.append(Instruction("element", opening.token))
        elif opening.token.kind == "name":
            self.code.append(Instruction("function", opening.token))
        return True

    def operator_kind(self, token: Token) -> str:
        """Return the operator that stands here, the power as `**`; an empty text for anything else."""
        if token.kind != "symbol":
            return ""
        if token.text in POWERS.values():
            return "**" if token.text == POWERS[self.names.version] else ""
        return token.text if token.text in PRECEDENCE else ""

    def operator(self, token: Token, kind: str) -> None:
        # The power alone is read from right to left.
        self.emit_above(PRECEDENCE[kind] - (kind != "**"))
        self.waiting.append(Instruction(kind, token))

    def emit_above(self, precedence: int) -> None:
        """Move operators that bind more tightly than that to the code."""
        while self.waiting and PRECEDENCE.get(self.waiting[-1].kind, 0) > precedence:
            self.code.append(self.waiting.pop())


def _with_whole_quotients(code: list[Instruction], integers: set[str]) -> list[Instruction]:
    """Return the code where quotients of whole numbers, of which a name is one, are to leave no remainder.

    The language cuts the remainder off; so that nobody is surprised by an angle of zero, one is refused.
    """
    result, kinds = [], list[str]()  # of the values on the stack: real, digits (a whole number) or whole (with a name)
    for step in code:
        kind = "real"
        if step.kind == "number":
            kind = "digits" if step.token.text.isdecimal() else "real"
        elif step.kind == "name":
            kind = "whole" if step.token.text in integers else "real"
        elif step.kind == "negative":
            kind = kinds.pop()
        elif step.kind in ("element", "function"):
            kinds.pop()
        else:
            pair = {kinds.pop(), kinds.pop()}
            kind = "real" if "real" in pair else "whole" if "whole" in pair else "digits"
            if step.kind == "/" and kind == "whole":
                step = step._replace(kind="whole /")  # noqa: PLW2901 - the other steps stay
        kinds.append(kind)
        result.append(step)
    return result


def undeclared(line: int, name: str) -> ValueError:
    """Return the error for a name that means no number."""
    return refused(line, "use declared names and numbers as angles", repr(name))


def computed_number(function: Callable[..., float], token: Token, *arguments: float | str) -> float:
    """Return the function's value; refuse one that is not real and finite."""
    try:
        value = function(*arguments)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        value = f"{token.text} of {' and '.join(map(str, arguments))}" if token.kind != "number" else repr(token.text)
        raise refused(token.line, "have finite real angles", value)
    return value
