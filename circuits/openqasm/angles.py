"""Angles of OpenQASM: read once into the code of a stack machine, and computed from the values of their names.

No function calls itself, so that no text can exhaust Python's stack; sums grow in place, so that the time is
linear in the number of their terms.
"""

import math
from collections.abc import Callable

from circuits.computed import AngleTable
from circuits.openqasm.angle_parser import FUNCTIONS, AngleParser, Instruction, Names, computed_number, undeclared
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.polynomials import MAX_DEGREE, Polynomial
from circuits.slots import Slot
from circuits.steps import LinearAngle

TERMS_PER_OPERATION = 4  # that are added or scaled in about the time of one operation
MIN_COEFFICIENT = 1e-300  # of an input, so that half of it is not zero
OUTSIDE = "Compute the angle outside, and give the program one input for it."
BY_POLYNOMIALS = " Polynomials are read by computed_from_openqasm."


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
        self.code = AngleParser(cursor, names, limits).read()
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

    def real(self, names: Names) -> float:
        """Return the number, by the values of names."""
        value = self.value(names)
        if value.terms:
            raise refused(self.line, "have a number here", "an input")
        return value.constant

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
            raise undeclared(step.token.line, f"{name}[{round(index)}]")
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
        if step.kind == "whole /" and self.constant(stack[-1], step.token) % number:
            fix = "Write i/2.0 for a fraction."
            raise refused(step.token.line, "divide whole numbers without a remainder", "a remainder", fix)
        # Not a product with 1 / number, which would round twice: 2 * pi / 3.
        self.scale(stack, lambda factor: factor / number, step.token)

    def power(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        exponent, base = self.constant(stack.pop(), step.token), stack.pop()
        if names.computed is not None and _varies(base):
            stack.append(self.raised(self.polynomial(base, names), exponent, step.token))
            return
        base = self.constant(base, step.token)
        stack.append(computed_number(math.pow, step.token, base, exponent))

    def function(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        argument = self.constant(stack.pop(), step.token)
        stack.append(computed_number(FUNCTIONS[step.token.text], step.token, argument))

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
    "whole /": Expression.quotient,
    "**": Expression.power,
}


def _too_large(line: int) -> ValueError:
    return refused(line, "have finite real angles", "one too large for a float")


def _finite(value: float, token: Token) -> float:
    if not math.isfinite(value):
        raise _too_large(token.line)
    return value
