"""Qiskit's parameter expressions as functions of torch: each different expression of a circuit fills one data slot."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from circuits import Slot
from qml.backends.convert.qiskit_angles import linear_angle, sympified

Function = Callable[[Tensor], Tensor]
"""A function of parameter values, (batch, parameters), whose values are (batch,)."""

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "asin": torch.asin, "acos": torch.acos, "atan": torch.atan,
    "exp": torch.exp, "log": torch.log, "Abs": torch.abs, "sign": torch.sign,
    "conjugate": lambda value: value, "re": lambda value: value,  # parameters are real
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Expressions:
    """The expressions of a circuit, as functions of its parameters.

    Linear expressions are rows of one matrix; the others are computed one by one.

    Attributes:
        slopes: (slots, parameters) of linear expressions, zeros for others.
        constants: (slots,).
        others: slots of expressions that are not linear, with the expressions.
    """

    slopes: Tensor
    constants: Tensor
    others: tuple[tuple[int, Any, Function], ...]

    @staticmethod
    def of(expressions: Sequence[Any], parameters: Sequence[Any]) -> "Expressions":
        """Read expressions of some parameters, which have an order.

        Raises:
            ValueError: a function that has no real value, or that this reader does not know.
        """
        places = {parameter: number for number, parameter in enumerate(parameters)}
        slots = {parameter: Slot("data", number) for parameter, number in places.items()}
        slopes = torch.zeros(len(expressions), len(parameters), dtype=torch.float64)
        constants = torch.zeros(len(expressions), dtype=torch.float64)
        others: list[tuple[int, Any, Function]] = []
        for row, expression in enumerate(expressions):
            linear = linear_angle(expression, slots)
            if linear is None:
                names = {parameter.name: number for parameter, number in places.items()}
                others.append((row, expression, _function(sympified(expression), names, expression)))
                continue
            constants[row] = linear.constant
            for slot, slope in linear.terms:
                slopes[row, slot.index] = slope
        return Expressions(slopes, constants, tuple(others))

    def values(self, parameters: Tensor) -> Tensor:
        """Return the values of the slots, (batch, slots), at values of the parameters, (batch, parameters).

        Raises:
            ValueError: an expression without a real and finite value there, such as log(x) at 0.
        """
        values = torch.addmm(self.constants, parameters, self.slopes.T)
        if not self.others:
            return values
        columns = list(values.unbind(1))
        for row, expression, function in self.others:
            columns[row] = function(parameters).expand(len(parameters))
            bad = ~columns[row].isfinite()
            if bool(bad.any()):
                number = int(bad.nonzero()[0])
                raise ValueError(
                    f"Parameter values must give {expression} a real and finite value, but row {number} does not. Keep "
                    "parameters where the expression has a value."
                )
        return torch.stack(columns, 1)


def _function(  # noqa: PLR0911 - one return a kind of node
    node: Any, names: dict[str, int], source: Any
) -> Function:
    """Return an expression of sympy as a function."""
    kind = type(node).__name__
    if node.is_Symbol:
        place = names[node.name]
        return lambda parameters: parameters[:, place]
    if node.is_number:
        return _constant(node, source)
    parts = [_function(part, names, source) for part in node.args]
    if kind == "Add":
        return lambda parameters: torch.stack([part(parameters) for part in parts]).sum(0)
    if kind == "Mul":
        return lambda parameters: torch.stack([part(parameters) for part in parts]).prod(0)
    if kind == "Pow" and node.exp.is_number:
        return _power(parts[0], node.exp, source)
    if kind == "Pow":
        return lambda parameters: torch.pow(parts[0](parameters), parts[1](parameters))
    if kind in FUNCTIONS:
        return lambda parameters: FUNCTIONS[kind](parts[0](parameters))
    raise ValueError(
        f"Argument `circuit` must have angles made of sums, products, powers and {', '.join(FUNCTIONS)}, but has "
        f"{source} with {kind}. Compute the angle outside, and give the circuit one parameter for it."
    )


def _constant(node: Any, source: Any) -> Function:
    value = complex(node)
    if value.imag != 0.0 or not math.isfinite(value.real):
        raise ValueError(f"Argument `circuit` must have real angles, but has {source}. Leave out the factor {node}.")
    return lambda parameters: parameters.new_full((len(parameters),), value.real)


def _power(base: Function, exponent: Any, source: Any) -> Function:
    """Return a power by a number; a whole one may have a negative base."""
    number = complex(exponent)
    if number.imag != 0.0:
        raise ValueError(
            f"Argument `circuit` must have real angles, but has {source}. Leave out the factor {exponent}."
        )
    power = int(number.real) if number.real.is_integer() else number.real
    return lambda parameters: base(parameters) ** power
