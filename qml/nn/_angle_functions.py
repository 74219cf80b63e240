"""The functions of angles in torch, for tensors and for jets, each value checked."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from circuits.functions import no_value
from circuits.polynomials import Function, Polynomial
from qml import checks
from qml.jets import Jet

Group = tuple[str, tuple[Function, ...]]
"""Functions of one name."""

TENSORS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "arcsin": torch.asin, "arccos": torch.acos,
    "arctan": torch.atan, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "abs": torch.abs,
    "reciprocal": torch.reciprocal,
}  # fmt: skip
JETS: dict[str, Callable[[Any], Any]] = TENSORS | {  # those for which jets have no rule, by others
    "tan": lambda jet: torch.sin(jet) / torch.cos(jet),
    "arccos": lambda jet: math.pi / 2 - torch.asin(jet),
    "sqrt": lambda jet: jet * torch.rsqrt(jet),
}
STEEP_ENDS: dict[str, Callable[[Tensor], Tensor]] = {  # where a function has a value, but no derivative
    "sqrt": lambda values: values == 0, "arcsin": lambda values: values.abs() == 1,
    "arccos": lambda values: values.abs() == 1,
}  # fmt: skip


def stages_of(polynomials: Sequence[Polynomial]) -> tuple[tuple[Group, ...], ...]:
    """Return the functions of polynomials, those without functions inside first, each stage grouped by name."""
    found: dict[Function, None] = {}
    waiting = [function for polynomial in polynomials for function in polynomial.functions]
    while waiting:
        function = waiting.pop()
        if function not in found:
            found[function] = None
            waiting += function.argument.functions
    ordered = sorted(found, key=lambda function: function.rank)
    stages: dict[int, dict[str, list[Function]]] = {}
    for function in ordered:
        stages.setdefault(function.depth, {}).setdefault(function.name, []).append(function)
    return tuple(tuple((name, tuple(group)) for name, group in stages[depth].items()) for depth in sorted(stages))


def applied(name: str, arguments: Tensor, functions: Sequence[Function]) -> Tensor:
    """Return the values of functions, shape (..., functions).

    Args:
        name: of all functions.
        arguments: (..., functions).
        functions: of that name, for the error.

    Raises:
        ValueError: a value that is not real and finite, or none of the derivatives that autograd asks for.
            Inside torch.func transforms and torch.compile values cannot be read: there the value is NaN or infinite.
    """
    values = TENSORS[name](arguments)
    if checks.hides_values():
        return values
    bad = ~values.isfinite()
    if name in STEEP_ENDS and arguments.requires_grad:
        bad = bad | STEEP_ENDS[name](arguments)
    _require_none(bad, arguments, functions)
    return values


def applied_to_jet(function: Function, argument: Any) -> Any:
    """Return a function of a jet.

    Raises:
        ValueError: a value or a derivative that is not real and finite.
    """
    result: Any = JETS[function.name](argument)
    if isinstance(result, Jet) and not checks.hides_values():
        bad = ~result.data.isfinite().all(0)
        _require_none(bad[..., None], argument.value[..., None], [function])
    return result


def _require_none(bad: Tensor, arguments: Tensor, functions: Sequence[Function]) -> None:
    if bool(bad.any()):
        place = bad.nonzero()[0]
        function, argument = functions[int(place[-1])], float(arguments.detach()[tuple(place)])
        text = repr(function)
        if bool(TENSORS[function.name](arguments.detach()[tuple(place)]).isfinite()):
            text = f"the derivative of {text}"
        raise no_value(function.name, argument, text)
