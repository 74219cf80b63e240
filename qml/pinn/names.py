"""Fields and derivatives by name: `u`, `u_x`, `u_xt`."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

Residual = Callable[..., Any]
"""A function whose arguments are named after fields, derivatives, coordinates and trainable scalars."""


class Derivative(NamedTuple):
    """A field, and the coordinates it is differentiated by, in the problem's order; none for the field itself."""

    field: str
    coordinates: tuple[str, ...]


def arguments_of(function: Residual, name: str) -> tuple[str, ...]:
    """The names that a residual asks for.

    Raises:
        TypeError: arguments without a name.
    """
    kinds = inspect.signature(function).parameters.values()
    if any(kind.kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD, kind.POSITIONAL_ONLY) for kind in kinds):
        raise TypeError(
            f"Argument `{name}` must name each of its arguments, but its signature is {inspect.signature(function)}."
        )
    return tuple(kind.name for kind in kinds)


def parse(text: str, fields: Collection[str], coordinates: Sequence[str]) -> Derivative | None:
    """The derivative called `text`, with mixed ones in the order of the coordinates; None for another name."""
    if text in fields:
        return Derivative(text, ())
    field, _, axes = text.rpartition("_")
    if field not in fields or not axes or any(axis not in coordinates for axis in axes):
        return None
    return Derivative(field, tuple(sorted(axes, key=list(coordinates).index)))


def require_bound(
    function: Residual, name: str, *, fields: Collection[str], coordinates: Sequence[str], scalars: Collection[str]
) -> tuple[str, ...]:
    """The names that a residual asks for, all of which the problem has.

    Raises:
        ValueError: an unbound name.
    """
    names = arguments_of(function, name)
    for asked in names:
        if asked in coordinates or asked in scalars or parse(asked, fields, coordinates):
            continue
        raise ValueError(
            f"Argument `{name}` must ask for fields ({', '.join(fields)}), their derivatives by "
            f"{', '.join(coordinates)} (as in {next(iter(fields))}_{coordinates[0]}), coordinates or trainable scalars "
            f"({', '.join(scalars) or 'none'}), but asks for `{asked}`, which is unbound."
        )
    return names


def renamed(function: Residual, names: Mapping[str, str]) -> Residual:
    """A residual that asks for other names: one equation of several fields, each written once."""
    asked = arguments_of(function, "function")
    back = {names.get(name, name): name for name in asked}

    def residual(**values: Any) -> Any:
        return function(**{back[name]: value for name, value in values.items()})

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in back]
    residual.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return residual
