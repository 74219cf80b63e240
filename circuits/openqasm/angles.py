"""Angles of OpenQASM: read once into the code of a stack machine, and computed from the values of their names.

No function calls itself, so that no text can exhaust Python's stack; sums grow in place, so that the time is
linear in the number of their terms.
"""

import math
import operator
from collections.abc import Callable

from circuits.computed import AngleTable
from circuits.openqasm.angle_parser import (
    CASTS,
    FUNCTIONS,
    LARGEST,
    OF_WHOLE_NUMBERS,
    PAIRS,
    AngleParser,
    Instruction,
    Names,
    as_whole,
    computed_number,
    undeclared,
)
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.polynomials import MAX_DEGREE, MAX_NESTING, MAX_SIZE, Polynomial, function_of, power_of
from circuits.slots import Slot
from circuits.steps import LinearAngle

TERMS_PER_OPERATION = 4  # that are added or scaled in about the time of one operation
MIN_COEFFICIENT = 1e-300  # of an input, so that half of it is not zero
OUTSIDE = "Compute the angle outside, and give the program one input for it."
BY_POLYNOMIALS = " Polynomials and functions of inputs are read by computed_from_openqasm."
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&&": lambda left, right: bool(left) and bool(right), "||": lambda left, right: bool(left) or bool(right),
}  # fmt: skip
WHOLE: dict[str, Callable[[int, int], int]] = {
    "%": operator.mod, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": lambda left, right: left << min(right, 60), ">>": lambda left, right: left >> min(right, 60),
}  # fmt: skip


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

    def __init__(self, cursor: Cursor, names: Names, limits: ReaderLimits, *, is_side: bool = False) -> None:
        self.line = cursor.here.line
        self.limits = limits
        self.code = AngleParser(cursor, names, limits, is_side=is_side).read()
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
        return self.angle(result, names)

    def combined(self, sign: str, left: LinearAngle, names: Names) -> LinearAngle:
        """Return the angle behind a left side and an operator."""
        stack: list[_Value] = []
        self.push(stack, left)
        self.push(stack, self.value(names))
        _MACHINE[sign](self, stack, Instruction(sign, Token("symbol", sign, self.line)), names)
        return self.angle(stack.pop(), names)

    def angle(self, result: _Value, names: Names) -> LinearAngle:
        """Return a value as an angle; refuse one that is not finite."""
        if isinstance(result, Polynomial):
            self.limits.spend(_size_of_functions(result), self.line)
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

    def opposite(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        stack.append(float(not self.constant(stack.pop(), step.token)))

    def negative(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        self.scale(stack, lambda number: -number, step.token)

    def sum(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        sign = 1.0 if step.kind == "+" else -1.0
        right, left = stack.pop(), stack.pop()
        if isinstance(left, Polynomial) or isinstance(right, Polynomial):
            pair = self.polynomial(left, names), self.polynomial(right, names)
            self.limits.spend(sum(map(_size, pair)), step.token.line)
            stack.append(_guarded(lambda: pair[0] + sign * pair[1], step.token.line))
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

    def compared(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        del names
        right, left = self.constant(stack.pop(), step.token), self.constant(stack.pop(), step.token)
        stack.append(float(COMPARISONS[step.kind](left, right)))

    def whole(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        """Compute with two whole numbers, bit by bit or with a remainder."""
        kind = PAIRS.get(step.token.text, step.kind)
        if kind == "**":
            self.power(stack, step, names)
            return
        numbers = [self.constant(stack.pop(), step.token) for _ in range(2)][::-1]
        shown = f"{numbers[0]:g} {kind} {numbers[1]:g}"
        try:
            left, right = as_whole(numbers[0]), as_whole(numbers[1])
            value = as_whole(WHOLE[kind](left, right))
        except (ValueError, ZeroDivisionError) as error:
            rule = f"have whole numbers from 0 to 2**53 around and as the value of {kind!r}"
            raise refused(step.token.line, rule, shown) from error
        stack.append(float(value))

    def quotient(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        if names.computed is not None and _varies(stack[-1]) and self.polynomial(stack[-1], names).degree:
            inverse = self.applied("reciprocal", self.polynomial(stack.pop(), names), step.token)
            stack.append(self.multiplied(self.polynomial(stack.pop(), names), inverse, step.token))
            return
        number = self.constant(stack.pop(), step.token)
        if number == 0.0:
            raise refused(step.token.line, "not divide by zero", "a division by zero")
        if step.kind == "whole /" and self.constant(stack[-1], step.token) % number:
            fix = "Write i/2.0 for a fraction."
            raise refused(step.token.line, "divide whole numbers without a remainder", "a remainder", fix)
        # Not a product with 1 / number, which would round twice: 2 * pi / 3.
        self.scale(stack, lambda factor: factor / number, step.token)

    def power(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        exponent, base = stack.pop(), stack.pop()
        if names.computed is not None and (_varies(base) or _varies(exponent)):
            pair = self.polynomial(base, names), self.polynomial(exponent, names)
            stack.append(self.raised(*pair, step.token))
            return
        base, exponent = self.constant(base, step.token), self.constant(exponent, step.token)
        stack.append(computed_number(math.pow, step.token, base, exponent))

    def function(self, stack: list[_Value], step: Instruction, names: Names) -> None:
        argument, name = stack.pop(), step.token.text
        if name in OF_WHOLE_NUMBERS:
            self.whole_number(stack, step, argument)
        elif names.computed is not None and _varies(argument) and self.polynomial(argument, names).degree:
            own = {"ln": "log"}.get(name, name)
            stack.append(self.applied(own, self.polynomial(argument, names), step.token))
        else:
            stack.append(computed_number(FUNCTIONS[name], step.token, self.constant(argument, step.token)))

    def whole_number(self, stack: list[_Value], step: Instruction, argument: _Value) -> None:
        """Compute a cast or a function whose values are whole numbers."""
        name, width = step.token.text, int(step.number)
        if name == "float":
            stack.append(argument)
            return
        value = computed_number(OF_WHOLE_NUMBERS[name], step.token, self.constant(argument, step.token))
        if name in CASTS and name != "bool":
            lowest, highest = (0, 2**width - 1) if name == "uint" else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)
            if not max(lowest, -LARGEST) <= value <= min(highest, LARGEST):
                raise refused(step.token.line, f"cast to {name}[{width}] what fits into it", f"{value:g}")
        stack.append(float(value))

    def scale(self, stack: list[_Value], factor: Callable[[float], float], where: Token) -> None:
        """Apply a linear function to the value on top."""
        value = stack.pop()
        if isinstance(value, Polynomial):
            terms = tuple((factor(coefficient), monomial) for coefficient, monomial in value.terms)
            stack.append(_guarded(lambda: Polynomial(terms), where.line))
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
            rule = "have angles that are polynomials of the inputs and of functions of them"
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
        linear = value.linear() if isinstance(value, _Sum) else LinearAngle(value)
        return _guarded(lambda: _table(names).polynomial(linear), self.line)

    def multiplied(self, left: Polynomial, right: Polynomial, where: Token) -> Polynomial:
        if left.degree + right.degree > MAX_DEGREE:
            raise refused(where.line, f"have angles of a degree of at most {MAX_DEGREE}", "a higher one", OUTSIDE)
        sizes = _size_of_functions(left) * len(right.terms) + _size_of_functions(right) * len(left.terms)
        self.limits.spend(len(left.terms) * len(right.terms) + sizes, where.line)
        return _guarded(lambda: left * right, where.line)

    def raised(self, base: Polynomial, exponent: Polynomial, where: Token) -> Polynomial:
        """Return a power: whole ones of polynomials are multiplied out, others are functions."""
        number = 0.0 if not exponent.terms else exponent.terms[0][0]
        if exponent.degree or number != round(number) or not base.degree:
            self.limits.spend(_size(base) + _size(exponent), where.line)
            return _named(lambda: power_of(base, exponent), where, "**")
        if abs(number) > MAX_DEGREE:
            rule = f"have inputs to whole powers from -{MAX_DEGREE} to {MAX_DEGREE} only"
            raise refused(where.line, rule, f"the power {number:g}", OUTSIDE)
        factor, result = base if number >= 0 else self.applied("reciprocal", base, where), Polynomial.of(1.0)
        for _ in range(round(abs(number))):
            result = self.multiplied(result, factor, where)
        return result

    def applied(self, name: str, argument: Polynomial, where: Token) -> Polynomial:
        """Return a function of inputs."""
        self.limits.spend(_size(argument), where.line)
        return _named(lambda: function_of(name, argument), where, name)

    def spend(self, n_terms: int) -> None:
        self.limits.spend(n_terms // TERMS_PER_OPERATION, self.line)


def _varies(value: _Value) -> bool:
    return isinstance(value, Polynomial | _Sum)


def _size_of_functions(polynomial: Polynomial) -> int:
    """Return the operations in whose time the functions of a polynomial are compared once."""
    return sum([function.size for function in polynomial.functions]) // TERMS_PER_OPERATION


def _size(polynomial: Polynomial) -> int:
    return len(polynomial.terms) + _size_of_functions(polynomial)


def _named(make: Callable[[], Polynomial], where: Token, name: str) -> Polynomial:
    """Return a function of inputs; refuse one without a value, or one that is too large, by the line of the program."""
    try:
        return make()
    except ValueError as error:
        limit = f"{MAX_NESTING} of them in each other and {MAX_SIZE} parts"
        rule = f"have functions of inputs with real and finite values, of at most {limit}"
        raise refused(where.line, rule, f"another one under {name!r}", OUTSIDE) from error


def _table(names: Names) -> AngleTable:
    if names.computed is None:
        raise TypeError("Argument `names` must have a table for polynomials, but has none.")
    return names.computed


def _guarded(make: Callable[[], Polynomial], line: int) -> Polynomial:
    """Return a polynomial; refuse one whose coefficients are not finite by the line of the program."""
    try:
        return make()
    except ValueError as error:
        raise _too_large(line) from error


_MACHINE: dict[str, Callable[[Expression, list[_Value], Instruction, Names], None]] = {
    "number": Expression.number,
    "name": Expression.name,
    "element": Expression.element,
    "function": Expression.function,
    "pair": Expression.whole,
    "negative": Expression.negative,
    "not": Expression.opposite,
    **dict.fromkeys(COMPARISONS, Expression.compared),
    **dict.fromkeys(WHOLE, Expression.whole),
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
