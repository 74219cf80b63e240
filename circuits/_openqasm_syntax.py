"""Tokens and expressions of OpenQASM 3, as far as circuits need them."""

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from circuits.steps import Linear

TOKENS = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<annotation>@[A-Za-z_][\w.]*[^\n]*)"
    r"|(?P<pragma>(?:\#pragma|pragma)\b[^\n]*)"
    r"|(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)"
    r'|(?P<text>"[^"\n]*"|\'[^\'\n]*\')'
    r"|(?P<name>\$?\w+)"
    r"|(?P<symbol>\*\*|->|==|\+\+|[-+*/%@,;:=()\[\]{}<>!&|^~])",
    re.DOTALL,
)
CONSTANTS = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e, "true": 1.0,
    "false": 0.0,
}  # fmt: skip
FUNCTIONS = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "exp": math.exp, "log": math.log, "sqrt": math.sqrt,
}  # fmt: skip


class Token(NamedTuple):
    """A piece of the text; `kind` is annotation, pragma, number, text, name, symbol or end."""

    kind: str
    text: str
    line: int


def refused(line: int, rule: str, value: str, fix: str = "") -> ValueError:
    """The error for a line of the program."""
    return ValueError(f"Argument `text` must {rule}, but line {line} has {value}.{' ' + fix if fix else ''}")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a program, comments left out, an `end` token last."""
    result, place, line = [], 0, 1
    while place < len(text):
        match = TOKENS.match(text, place)
        if match is None or (match.lastgroup == "annotation" and _is_modifier(text, place)):
            if match is None:
                raise refused(line, "be OpenQASM 3", repr(text[place]))
            result.append(Token("symbol", "@", line))
            place += 1
            continue
        if match.lastgroup != "skip":
            result.append(Token(str(match.lastgroup), match.group().strip(), line))
        line += match.group().count("\n")
        place = match.end()
    return [*result, Token("end", "the end of the text", line)]


def _is_modifier(text: str, place: int) -> bool:
    """Whether the @ here belongs to a modifier such as `ctrl@x`, that is, does not start its line."""
    return bool(text[:place].rpartition("\n")[2].strip())


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: list[Token], place: int = 0) -> None:
        self.tokens, self.place = tokens, place

    @property
    def here(self) -> Token:
        """The token at this place."""
        return self.tokens[self.place]

    def next(self) -> Token:
        """The token at this place; the place moves on."""
        token = self.here
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept(self, *texts: str) -> bool:
        """Move on and say so, if the token here is one of the texts."""
        found = self.here.kind in ("symbol", "name") and self.here.text in texts
        if found:
            self.next()
        return found

    def expect(self, text: str) -> None:
        """Move on over this text."""
        token = self.here
        if not self.accept(text):
            raise refused(token.line, f"have {text!r} here", repr(token.text))

    def name(self) -> str:
        """The name at this place; the place moves on."""
        token = self.next()
        if token.kind != "name":
            raise refused(token.line, "have a name here", repr(token.text))
        return token.text

    def skip_to(self, *closing: str) -> list[Token]:
        """The tokens up to the first of the texts, which is skipped."""
        result = []
        while not self.accept(*closing):
            if self.here.kind == "end":
                raise refused(self.here.line, f"have {closing[0]!r}", self.here.text)
            result.append(self.next())
        return result


class Expression:
    """Reads one angle: numbers, constants, functions of constants, and sums of inputs times constants."""

    def __init__(self, cursor: Cursor, values: Mapping[str, Linear]) -> None:
        self.cursor, self.values = cursor, values

    def integer(self) -> int:
        """The whole number here."""
        line = self.cursor.here.line
        value = self.sum()
        if value.terms or value.constant != round(value.constant):
            raise refused(line, "have a whole number here", "something else")
        return round(value.constant)

    def sum(self) -> Linear:
        """A sum of products."""
        line = self.cursor.here.line
        result = self.product()
        while self.cursor.here.text in ("+", "-"):
            sign = 1.0 if self.cursor.next().text == "+" else -1.0
            result = result + self.product().scaled(sign)
        for number in (result.constant, *(factor for _, factor in result.terms)):
            if not math.isfinite(number):
                raise refused(line, "have finite real angles", "one too large for a float")
        return result

    def product(self) -> Linear:
        """A product of powers, of which one at most has inputs, and not behind a division."""
        result = self.signed()
        while self.cursor.here.text in ("*", "/"):
            operator = self.cursor.next()
            other = self.signed()
            if operator.text == "*" and not result.terms:
                result, other = other, result
            number = self.constant(other, operator)
            if operator.text == "/" and number == 0.0:
                raise refused(operator.line, "not divide by zero", "a division by zero")
            result = result.scaled(number) if operator.text == "*" else _divided(result, number)
        return result

    def signed(self) -> Linear:
        """A power, with its sign."""
        if self.cursor.accept("-"):
            return self.signed().scaled(-1.0)
        if self.cursor.accept("+"):
            return self.signed()
        base = self.atom()
        operator = self.cursor.here
        if not self.cursor.accept("**"):
            return base
        exponent = self.signed()
        return _computed(math.pow, operator, self.constant(base, operator), self.constant(exponent, operator))

    def atom(self) -> Linear:
        """A number, a constant, an input or its element, a function's value, or a sum in parentheses."""
        token = self.cursor.next()
        if token.text == "(" and token.kind == "symbol":
            result = self.sum()
            self.cursor.expect(")")
            return result
        if token.kind == "number":
            return _computed(float, token, token.text.replace("_", ""))
        name = token.text
        if token.kind == "name" and self.cursor.accept("["):
            name = f"{name}[{self.integer()}]"
            self.cursor.expect("]")
        if name in self.values:
            return self.values[name]
        if name in CONSTANTS:
            return Linear(CONSTANTS[name])
        if name in FUNCTIONS:
            self.cursor.expect("(")
            argument = self.constant(self.sum(), token)
            self.cursor.expect(")")
            return _computed(FUNCTIONS[name], token, argument)
        raise refused(token.line, "use declared names and numbers as angles", repr(name))

    def constant(self, value: Linear, where: Token) -> float:
        """The value of an expression without inputs."""
        if value.terms:
            raise refused(
                where.line,
                "have angles linear in the inputs",
                f"an input under {where.text!r}",
                "Compute the angle outside, and give the program one input for it.",
            )
        return value.constant


def _computed(function: Callable[..., float], token: Token, *arguments: float | str) -> Linear:
    """The function's value, or an error where it has none that is real and finite."""
    try:
        value = function(*arguments)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        what = f"{token.text} of {' and '.join(map(str, arguments))}" if token.kind != "number" else repr(token.text)
        raise refused(token.line, "have finite real angles", what)
    return Linear(value)


def _divided(value: Linear, number: float) -> Linear:
    # Not scaled(1 / number), which would round twice: 2 * pi / 3.
    return Linear(value.constant / number, tuple((slot, factor / number) for slot, factor in value.terms))
