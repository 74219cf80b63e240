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
OF_WHOLE_NUMBERS: dict[str, Callable[[float], float | int]] = {
    "ceiling": math.ceil, "floor": math.floor, "int": math.trunc, "uint": math.trunc, "bool": bool, "float": float,
    "popcount": lambda value: as_whole(value).bit_count(),
}  # fmt: skip
PAIRS = {"pow": "**", "mod": "%"}  # functions of two numbers, and the operators that they are
OF_ONE_VERSION = {"ln": 2} | dict.fromkeys(("log", "arcsin", "arccos", "arctan", *OF_WHOLE_NUMBERS, *PAIRS), 3)
CASTS = ("int", "uint", "float", "bool")  # which may have a width
PRECEDENCE = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "whole /": 10, "%": 10, "negative": 11, "not": 11, "**": 12,
}  # fmt: skip
ARITHMETIC = 8  # the precedence of operators whose values are numbers; those below are none of a comparison's sides
POWERS = {2: "^", 3: "**"}  # by version; in version 3 the sign ^ is an exclusive or
CLOSING = {"(": ")", "[": "]"}
LARGEST = 2**53  # whole number that a float holds exactly
DEFAULT_WIDTH = 32.0  # of an int or uint that says nothing
MAX_WIDTH = 128


@dataclass
class Names:
    """The meanings of names in angles: inputs, constants, parameters, and arrays of inputs.

    Args:
        scalars: the values of names.
        arrays: the arrays of inputs.
        computed: takes polynomials of inputs; where it is None, angles are linear in them.
        integers: the names of whole numbers, which are divided without a remainder.
        version: of the language, 2 or 3.
        constants: those of the whole program, which bodies of gates see.
        n_gates: in a body, how many gates were defined before it: constants that came later are not seen there.
            Elsewhere it is -1: there constants are among the scalars.
        unknown: names of numbers that differ from branch to branch.
    """

    scalars: dict[str, LinearAngle] = field(default_factory=dict)
    arrays: dict[str, InputArray] = field(default_factory=dict)
    computed: AngleTable | None = None
    integers: set[str] = field(default_factory=set)
    version: int = 3
    constants: "dict[str, GlobalConstant]" = field(default_factory=dict)
    n_gates: int = -1
    unknown: set[str] = field(default_factory=set)


class GlobalConstant(NamedTuple):
    """A constant that is declared outside of all blocks."""

    value: float
    is_whole: bool
    n_gates: int  # that were defined before it


class Instruction(NamedTuple):
    """A step of the stack machine that computes an angle, with the token that it was read from."""

    kind: str  # number, name, element, function, pair, an operator, or "("
    token: Token
    number: float = 0.0


class AngleParser:
    """Turns an angle into postfix code, operators waiting on a stack for their right operand (shunting yard).

    Args:
        cursor: where it stands.
        names: their meanings.
        limits: of the program.
        is_side: whether it is a side of a comparison, which ends at `==`, `&` and the like outside of brackets.
    """

    def __init__(self, cursor: Cursor, names: Names, limits: ReaderLimits, *, is_side: bool = False) -> None:
        self.cursor, self.names, self.limits, self.is_side = cursor, names, limits, is_side
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
            if self.separated():
                continue
            kind = self.operator_kind(token)
            if not kind:
                break
            self.operator(self.cursor.next(), kind)
        self.emit_above(0)
        if self.waiting:
            raise refused(token.line, f"have {CLOSING[self.waiting[-1].kind]!r} here", repr(token.text))
        return _with_whole_quotients(self.code, self.names)

    def operand(self) -> bool:
        """Read a sign, an opening bracket or an operand; tell whether an operand is still to come."""
        token = self.cursor.next()
        is_not = token.text == "!" and self.names.version == 3
        if token.kind == "symbol" and (token.text in ("+", "-", "(") or is_not):
            self.prefix(token)
            return True
        if token.kind == "number":
            self.code.append(Instruction("number", token, self.literal(token)))
            return False
        if token.kind != "name":
            raise undeclared(token.line, token.text)
        return self.word(token)

    def literal(self, token: Token) -> float:
        """Return a number as it is written; those of a base are whole."""
        digits = token.text.replace("_", "")
        if digits[:1] != "0" or digits[1:2].lower() not in ("x", "o", "b"):
            return computed_number(float, token, digits)
        if self.names.version == 2 or not digits[2:]:
            raise undeclared(token.line, token.text)
        if len(digits) > 2 + 53 or int(digits, 0) > LARGEST:
            raise refused(token.line, "compute whole numbers up to 2**53", "a larger one")
        return float(int(digits, 0))

    def word(self, token: Token) -> bool:
        """Read a name, or the start of an element or of a function's value."""
        name = token.text
        is_shadowed, width = name in self.names.scalars, 0.0
        if name in CASTS and not is_shadowed and self.names.version == 3:
            width = _width(self.cursor.skip_to("]"), token) if self.cursor.accept("[") else DEFAULT_WIDTH
        if self.cursor.accept("["):
            self.open("[", token)
            return True
        if is_shadowed:
            self.code.append(Instruction("name", token))
        elif (known := self.names.constants.get(name)) is not None and known.n_gates <= self.names.n_gates:
            self.code.append(Instruction("number", token, known.value))
        elif name in CONSTANTS:
            self.code.append(Instruction("number", token, CONSTANTS[name]))
        elif self.is_function(name):
            self.cursor.expect("(")
            self.open("(", token, width)
            return True
        elif name in self.names.unknown:
            raise refused(token.line, "use numbers that are the same in all branches on bits", repr(name))
        else:
            raise undeclared(token.line, name)
        return False

    def is_function(self, name: str) -> bool:
        """Tell whether the version of the language has the function."""
        is_known = name in FUNCTIONS or name in OF_WHOLE_NUMBERS or name in PAIRS
        return is_known and OF_ONE_VERSION.get(name, self.names.version) == self.names.version

    def is_known(self, name: str) -> bool:
        """Tell whether a name means a number or a function."""
        return (
            name in self.names.unknown
            or name in self.names.scalars
            or name in self.names.arrays
            or name in CONSTANTS
            or self.is_function(name)
        )

    def separated(self) -> bool:
        """Read the comma between the two arguments of a function, if one stands here."""
        if not self.depth or self.cursor.here.text != ",":
            return False
        self.emit_above(0)
        opening = self.waiting[-1]
        if opening.kind != "(" or opening.token.text not in PAIRS or opening.number or not self.cursor.accept(","):
            return False
        self.waiting[-1] = opening._replace(number=1.0)
        return True

    def prefix(self, token: Token) -> None:
        if token.text == "(":
            self.open("(", token)
        elif token.text == "!":
            self.waiting.append(Instruction("not", token))
        elif token.text == "-" and self.waiting and self.waiting[-1].kind == "negative":
            self.waiting.pop()  # two in a row, of which there may be thousands
        elif token.text == "-":
            self.waiting.append(Instruction("negative", token))

    def open(self, bracket: str, token: Token, width: float = 0.0) -> None:
        self.depth += 1
        self.limits.require_depth(self.depth, token.line, "brackets")
        self.waiting.append(Instruction(bracket, token, width))

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
        elif opening.token.text in PAIRS and not opening.number:
            raise refused(token.line, f"give {opening.token.text!r} two numbers", "one")
        elif opening.token.kind == "name":
            kind = "pair" if opening.token.text in PAIRS else "function"
            self.code.append(Instruction(kind, opening.token, opening.number))
        return True

    def operator_kind(self, token: Token) -> str:
        """Return the operator that stands here, the power as `**`; an empty text for anything else."""
        if token.kind != "symbol":
            return ""
        if token.text == POWERS[self.names.version]:
            return "**"
        if self.names.version == 2:
            return token.text if token.text in ("+", "-", "*", "/") else ""
        lowest = ARITHMETIC if self.is_side and not self.depth else 1
        return token.text if PRECEDENCE.get(token.text, 0) >= lowest else ""

    def operator(self, token: Token, kind: str) -> None:
        # The power alone is read from right to left.
        self.emit_above(PRECEDENCE[kind] - (kind != "**"))
        self.waiting.append(Instruction(kind, token))

    def emit_above(self, precedence: int) -> None:
        """Move operators that bind more tightly than that to the code."""
        while self.waiting and PRECEDENCE.get(self.waiting[-1].kind, 0) > precedence:
            self.code.append(self.waiting.pop())


def _with_whole_quotients(code: list[Instruction], names: Names) -> list[Instruction]:
    """Return the code where quotients of whole numbers, of which a name is one, are to leave no remainder.

    The language cuts the remainder off; so that nobody is surprised by an angle of zero, one is refused.
    """
    if not names.integers and not names.constants:
        return code
    result, kinds = [], list[str]()  # of the values on the stack: real, digits (a whole number) or whole (with a name)
    for step in code:
        kind, name = "real", step.token.text
        if step.kind == "number":
            is_whole = step.token.kind == "name" and name in names.constants and names.constants[name].is_whole
            kind = "whole" if is_whole else "digits" if _is_whole_literal(name) else "real"
        elif step.kind == "name":
            kind = "whole" if name in names.integers else "real"
        elif step.kind in ("negative", "not"):
            kind = kinds.pop()
        elif step.kind in ("element", "function"):
            kinds.pop()
            kind = "whole" if name in ("int", "uint", "popcount") else "real"
        else:
            pair = {kinds.pop(), kinds.pop()}
            kind = "real" if "real" in pair else "whole" if "whole" in pair else "digits"
            if step.kind == "/" and kind == "whole":
                step = step._replace(kind="whole /")  # noqa: PLW2901 - the other steps stay
        kinds.append(kind)
        result.append(step)
    return result


def _is_whole_literal(text: str) -> bool:
    return text.replace("_", "").isdecimal() or text[:2].lower() in ("0x", "0o", "0b")


def _width(tokens: list[Token], where: Token) -> float:
    """Return the width of a cast."""
    text = tokens[0].text if len(tokens) == 1 else "something else"
    if not text.isdecimal() or not 0 < int(text[:4]) <= MAX_WIDTH or len(text) > 3:
        raise refused(where.line, f"have a whole number up to {MAX_WIDTH} as the width of a cast", repr(text))
    return float(int(text))


def as_whole(value: float | int) -> int:
    """Return a number that is whole and not negative as such; raise ValueError for others."""
    if value != round(value) or not 0 <= value <= LARGEST:
        raise ValueError(value)
    return round(value)


def undeclared(line: int, name: str) -> ValueError:
    """Return the error for a name that means no number."""
    return refused(line, "use declared names and numbers as angles", repr(name))


def computed_number(function: Callable[..., float | int], token: Token, *arguments: float | str) -> float:
    """Return the function's value; refuse one that is not real and finite."""
    try:
        value = float(function(*arguments))
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        value = f"{token.text} of {' and '.join(map(str, arguments))}" if token.kind != "number" else repr(token.text)
        raise refused(token.line, "have finite real angles", value)
    return value
