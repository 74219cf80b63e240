"""Fields, derivatives and operators by name: `u`, `u_x`, `u_xt`, and sums of these under a name of their own."""

import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

Residual = Callable[..., Any]
"""A function whose arguments are named after fields, derivatives, coordinates and trainable scalars."""


class Derivative(NamedTuple):
    """A field, and the coordinates it is differentiated by, in the problem's order; none for the field itself."""

    field: str
    coordinates: tuple[str, ...]

    @property
    def order(self) -> int:
        """Return the order, 0 of the field itself."""
        return len(self.coordinates)

    @property
    def terms(self) -> tuple[tuple[tuple[str, ...], float], ...]:
        """Return itself as the one term of an operator."""
        return ((self.coordinates, 1.0),)


class Operator(NamedTuple):
    """A field, and a sum of its derivatives: the coordinates of each, and its coefficient."""

    field: str
    terms: tuple[tuple[tuple[str, ...], float], ...]

    @property
    def order(self) -> int:
        """Return the highest order of its terms."""
        return max(len(coordinates) for coordinates, _ in self.terms)


Wanted = Derivative | Operator


def arguments_of(function: Residual, name: str) -> tuple[str, ...]:
    """Return the names that a residual asks for.

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
    """Parse the name of a derivative; mixed ones are sorted in the order of the coordinates. None for another name."""
    if text in fields:
        return Derivative(text, ())
    field, _, axes = text.rpartition("_")
    if field not in fields or not axes or any(axis not in coordinates for axis in axes):
        return None
    return Derivative(field, tuple(sorted(axes, key=list(coordinates).index)))


def require_bound(
    function: Residual,
    name: str,
    *,
    fields: Collection[str],
    coordinates: Sequence[str],
    scalars: Collection[str],
    operators: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Return the names that a residual asks for, and refuse unbound ones; operators are None where they make no sense.

    Raises:
        ValueError: an unbound name.
    """
    names = arguments_of(function, name)
    for asked in names:
        if asked in {*coordinates, *scalars, *(operators or ())} or parse(asked, fields, coordinates):
            continue
        more = "" if operators is None else f" or operators ({', '.join(operators) or 'none'})"
        raise ValueError(
            f"Argument `{name}` must ask for fields ({', '.join(fields)}), their derivatives by "
            f"{', '.join(coordinates)} (as in {next(iter(fields))}_{coordinates[0]}), coordinates, trainable scalars "
            f"({', '.join(scalars) or 'none'}){more}, but asks for `{asked}`, which is unbound."
        )
    return names


def operator(name: str, terms: Any, fields: Collection[str], coordinates: Sequence[str]) -> Operator:
    """Return the operator that a mapping from derivatives to coefficients describes.

    Raises:
        TypeError: no mapping.
        ValueError: no terms, one that is no derivative of the same field, or one that is there twice or vanishes.
    """
    if not isinstance(terms, Mapping):
        raise TypeError(f"Operator `{name}` must be a mapping from derivatives to coefficients, but is {terms!r}.")
    items: dict[Derivative, float] = {}
    for text, coefficient in terms.items():
        item = parse(text, fields, coordinates) if isinstance(text, str) else None
        constant = isinstance(coefficient, Real) and sys.float_info.min <= abs(float(coefficient)) < math.inf
        if item is None or not item.order or item in items or not constant:
            raise ValueError(
                f"Operator `{name}` must map derivatives ({next(iter(fields))}_{coordinates[0]}), each once, to finite "
                f"numbers other than 0, which are not trained, but holds {text!r}: {coefficient!r}."
            )
        items[item] = float(coefficient)
    if len({item.field for item in items}) != 1:
        raise ValueError(f"Operator `{name}` must be a sum of derivatives of one field, but is {dict(terms)}.")
    return Operator(next(iter(items)).field, tuple((item.coordinates, value) for item, value in items.items()))


def renamed(function: Residual, names: Mapping[str, str]) -> Residual:
    """Return the same residual under other names, so that an equation of several fields is written once."""
    asked = arguments_of(function, "function")
    back = {names.get(name, name): name for name in asked}

    def residual(**values: Any) -> Any:
        return function(**{back[name]: value for name, value in values.items()})

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in back]
    residual.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return residual


def named(function: Callable[..., Any], names: Sequence[str]) -> Residual:
    """Give a function of positional arguments the names by which a problem asks for them."""

    def residual(**values: Any) -> Any:
        return function(*(values[name] for name in names))

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind) for name in names]
    residual.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return residual
