"""Angles of OpenQASM 3: read once into the code of a stack machine, and computed from the values of their names.

No function calls itself, so that no text can exhaust Python's stack; sums grow in place, so that the time is
linear in the number of their terms.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits.computed import AngleTable
from circuits.openqasm.inputs import InputArray
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.polynomials import MAX_DEGREE, Polynomial
from circuits.slots import Slot
from circuits.steps import LinearAngle

CONSTANTS = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e, "true": 1.0,
    "false": 0.0,
}  # fmt: skip
FUNCTIONS = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "exp": math.exp, "log": math.log, "sqrt": math.sqrt,
}  # fmt: skip
TERMS_PER_OPERATION = 4  # that are added or scaled in about the time of one operation
MIN_COEFFICIENT = 1e-300  # of an input, so that half of it is not zero
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "negative": 3, "**": 4}
CLOSING = {"(": ")", "[": "]"}
OUTSIDE = "Compute the angle outside, and give the program one input for it."
BY_POLYNOMIALS = " Polynomials are read by computed_from_openqasm."


@dataclass
class Names:
    """The meanings of names in angles: inputs, constants, parameters, and arrays of inputs.

    `computed` takes polynomials of inputs; where it is None, angles are linear in them.
    """

    scalars: dict[str, LinearAngle] = field(default_factory=dict)
    arrays: dict[str, InputArray] = field(default_factory=dict)
    computed: AngleTable | None = None


class Instruction(NamedTuple):
    """A step of the stack machine that computes an angle, with the token that it was read from."""

    kind: str  # number, name, element, function, an operator, or "("
    token: Token
    number: float = 0.0


class _Sum:
    """constant + sum_k coefficient_k slot_k, which grows in place."""

    __slots__ = ("constant", "terms")

    def __init__(self, angle: LinearAngle) -> None:
        self.constant, self.terms = angle.constant, dict[Slot, float](angle.terms)

    def linear(self) -> LinearAngle:
        return LinearAngle(self.constant, tuple(pair for pair in self.terms.items() if pair[1] != 0.0))


_Value = float | _Sum | Polynomial


class Expression:
    """An angle: numbers, constants, functions of constants, and sums of inputs times constants."""

    def __init__(self, cursor: Cursor, names: Names, limits: ReaderLimits) -> None:
        self.line = cursor.here.line
        self.limits = limits
        self.code = _Parser(cursor, names, limits).read()
        if not any(step.kind in ("name", "element") for step in self.code):
            self.code = [Instruction("number", self.code[0].token, self.value(names).constant)]

    @property
    def is_constant(self) -> bool:
        """Return True if neither an input nor a parameter occurs."""
        return self.code[0].kind == "number" and len(self.code) == 1

    def value(self, names: Names) -> LinearAngle:
        """Return the angle, by the values of names."""
        first = self.code[0]
        if len(self.code) == 1:
            return LinearAngle(first.number) if first.kind == "number" else names.scalars[first.token.text]
        stack: list[_Value] = []
        for step in self.code:
            _MACHINE[step.kind](self, stack, step, names)
        (result,) = stack
        if isinstance(result, Polynomial):
            angle = _table(names).angle(result)
        else:
            angle = result.linear() if isinstance(result, _Sum) else LinearAngle(result)
        for number in (angle.constant, *(factor for _, factor in angle.terms)):
            if not math.isfinite(number):
                raise _too_large(self.line)
        if any(abs(factor) < MIN_COEFFICIENT for _, factor in angle.terms):
            rule = f"have inputs times at least {MIN_COEFFICIENT} in angles"
            raise refused(self.line, rule, "less, which is no angle")
        return angle

    def integer(self, names: Names) -> int:
        """Return the whole number, by the values of names."""
        value = self.value(names)
        if value.terms or value.constant != round(value.constant):
            raise refused(self.line, "have a whole number here", "something else")
        return round(value.constant)

    # --- the stack machine ----------------------------------------------------------------------------------

    def number(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        stack.append(step.number)

    def name(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        self.push(stack, names.scalars[step.token.text])

    def element(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        index, name = self.constant(stack.pop(), step.token), step.token.text
        if index != round(index):
            raise refused(step.token.line, "have a whole number here", "something else")
        slot = names.arrays[name].slot(round(index)) if name in names.arrays else None
        if slot is None:
            raise _undeclared(step.token.line, f"{name}[{round(index)}]")
        self.push(stack, LinearAngle.of(slot))

    def push(self, stack: list[_Value], angle: LinearAngle) -> None:
        self.spend(len(angle.terms))
        stack.append(_Sum(angle) if angle.terms else angle.constant)

    def negative(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        self.scale(stack, lambda number: -number, step.token)

    def sum(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        sign = 1.0 if step.kind == "+" else -1.0
        right, left = stack.pop(), stack.pop()
        if isinstance(left, Polynomial) or isinstance(right, Polynomial):
            pair = self.polynomial(left, names), self.polynomial(right, names)
            self.limits.spend(sum(len(part.terms) for part in pair), step.token.line)
            stack.append(_guarded(lambda: pair[0] + sign * pair[1], step.token))
            return
        if not isinstance(left, _Sum) and not isinstance(right, _Sum):
            stack.append(_finite(left + sign * right, step.token))
            return
        total = left if isinstance(left, _Sum) else _Sum(LinearAngle(left))
        if isinstance(right, _Sum):
            self.spend(len(right.terms))
            total.constant += sign * right.constant
            for slot, factor in right.terms.items():
                total.terms[slot] = total.terms.get(slot, 0.0) + sign * factor
        else:
            total.constant += sign * right
        stack.append(total)

    def product(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        right, left = stack.pop(), stack.pop()
        if not _varies(left):
            right, left = left, right
        if names.computed is not None and _varies(right):
            stack.append(self.multiplied(self.polynomial(left, names), self.polynomial(right, names), step.token))
            return
        number = self.constant(right, step.token)
        stack.append(left)
        self.scale(stack, lambda factor: factor * number, step.token)

    def quotient(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        number = self.constant(stack.pop(), step.token)
        if number == 0.0:
            raise refused(step.token.line, "not divide by zero", "a division by zero")
        # Not a product with 1 / number, which would round twice: 2 * pi / 3.
        self.scale(stack, lambda factor: factor / number, step.token)

    def power(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        exponent, base = self.constant(stack.pop(), step.token), stack.pop()
        if names.computed is not None and _varies(base):
            stack.append(self.raised(self.polynomial(base, names), exponent, step.token))
            return
        base = self.constant(base, step.token)
        stack.append(_computed(math.pow, step.token, base, exponent))

    def function(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        argument = self.constant(stack.pop(), step.token)
        stack.append(_computed(FUNCTIONS[step.token.text], step.token, argument))

    def scale(self, stack: list[_Value], factor: Callable[[float], float], where: Token) -> None:
        """Apply a linear function to the value on top."""
        value = stack.pop()
        if isinstance(value, Polynomial):
            terms = tuple((factor(coefficient), monomial) for coefficient, monomial in value.terms)
            stack.append(_guarded(lambda: Polynomial(terms), where))
            return
        if not isinstance(value, _Sum):
            stack.append(_finite(factor(value), where))
            return
        self.spend(len(value.terms))
        value.constant = factor(value.constant)
        value.terms = {slot: factor(coefficient) for slot, coefficient in value.terms.items()}
        stack.append(value)

    def constant(self, value: _Value, where: Token) -> float:
        """Return the value of an expression without inputs."""
        if isinstance(value, float | int):
            return value
        if isinstance(value, Polynomial) and value.degree:
            rule = "have angles that are polynomials of the inputs"
            raise refused(where.line, rule, f"an input under {where.text!r}", OUTSIDE)
        if isinstance(value, Polynomial):
            return value.terms[0][0] if value.terms else 0.0
        if any(factor != 0.0 for factor in value.terms.values()):
            rule = "have angles linear in the inputs"
            raise refused(where.line, rule, f"an input under {where.text!r}", OUTSIDE + BY_POLYNOMIALS)
        return _finite(value.constant, where)

    # --- polynomials ----------------------------------------------------------------------------------------

    def polynomial(self, value: _Value, names: Names) -> Polynomial:
        if isinstance(value, Polynomial):
            return value
        return _table(names).polynomial(value.linear() if isinstance(value, _Sum) else LinearAngle(value))

    def multiplied(self, left: Polynomial, right: Polynomial, where: Token) -> Polynomial:
        if left.degree + right.degree > MAX_DEGREE:
            raise refused(where.line, f"have angles of a degree of at most {MAX_DEGREE}", "a higher one", OUTSIDE)
        self.limits.spend(len(left.terms) * len(right.terms), where.line)
        return _guarded(lambda: left * right, where)

    def raised(self, base: Polynomial, exponent: float, where: Token) -> Polynomial:
        if exponent != round(exponent) or not 0 <= exponent <= MAX_DEGREE:
            rule = f"have inputs to whole powers from 0 to {MAX_DEGREE} only"
            raise refused(where.line, rule, f"the power {exponent:g}", OUTSIDE)
        result = Polynomial.of(1.0)
        for _ in range(round(exponent)):
            result = self.multiplied(result, base, where)
        return result

    def spend(self, n_terms: int) -> None:
        self.limits.spend(n_terms // TERMS_PER_OPERATION, self.line)


def _varies(value: _Value) -> bool:
    return isinstance(value, Polynomial | _Sum)


def _table(names: Names) -> AngleTable:
    if names.computed is None:
        raise TypeError("Argument `names` must have a table for polynomials, but has none.")
    return names.computed


def _guarded(make: Callable[[], Polynomial], where: Token) -> Polynomial:
    """Return a polynomial; refuse one whose coefficients are not finite by the line of the program."""
    try:
        return make()
    except ValueError as error:
        raise _too_large(where.line) from error


_MACHINE: dict[str, Callable[[Expression, list[_Value], Instruction, Names], None]] = {
    "number": Expression.number,
    "name": Expression.name,
    "element": Expression.element,
    "function": Expression.function,
    "negative": Expression.negative,
    "+": Expression.sum,
    "-": Expression.sum,
    "*": Expression.product,
    "/": Expression.quotient,
    "**": Expression.power,
}


class _Parser:
    """Turns an angle into postfix code, operators waiting on a stack for their right operand (shunting yard)."""

    def __init__(self, cursor: Cursor, names: Names, limits: ReaderLimits) -> None:
        self.cursor, self.names, self.limits = cursor, names, limits
        self.code: list[Instruction] = []
        self.waiting: list[Instruction] = []
        self.depth = 0

    def read(self) -> list[Instruction]:
        while True:
            while self.operand():
                pass
            while self.closed():
                pass
            token = self.cursor.here
            if token.kind != "symbol" or token.text not in PRECEDENCE:
                break
            self.operator(self.cursor.next())
        self.emit_above(0)
        if self.waiting:
            raise refused(token.line, f"have {CLOSING[self.waiting[-1].kind]!r} here", repr(token.text))
        return self.code

    def operand(self) -> bool:
        """Read a sign, an opening bracket or an operand; whether an operand is still to come."""
        token = self.cursor.next()
        if token.kind == "symbol" and token.text in ("+", "-", "("):
            self.prefix(token)
            return True
        if token.kind == "number":
            number = _computed(float, token, token.text.replace("_", ""))
            self.code.append(Instruction("number", token, number))
            return False
        if token.kind != "name":
            raise _undeclared(token.line, token.text)
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
        elif name in FUNCTIONS:
            self.cursor.expect("(")
            self.open("(", token)
            return True
        else:
            raise _undeclared(token.line, name)
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

    def operator(self, token: Token) -> None:
        # The power alone is read from right to left.
        self.emit_above(PRECEDENCE[token.text] - (token.text != "**"))
        self.waiting.append(Instruction(token.text, token))

    def emit_above(self, precedence: int) -> None:
        """Move operators that bind more tightly than that to the code."""
        while self.waiting and PRECEDENCE.get(self.waiting[-1].kind, 0) > precedence:
            self.code.append(self.waiting.pop())


def _undeclared(line: int, name: str) -> ValueError:
    return refused(line, "use declared names and numbers as angles", repr(name))


def _too_large(line: int) -> ValueError:
    return refused(line, "have finite real angles", "one too large for a float")


def _finite(value: float, token: Token) -> float:
    if not math.isfinite(value):
        raise _too_large(token.line)
    return value


def _computed(function: Callable[..., float], token: Token, *arguments: float | str) -> float:
    """Return the function's value; refuse one that is not real and finite."""
    try:
        value = function(*arguments)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        value = f"{token.text} of {' and '.join(map(str, arguments))}" if token.kind != "number" else repr(token.text)
        raise refused(token.line, "have finite real angles", value)
    return value
