"""Argument checks that need no torch, for circuits and jobs; `qml.checks` has them too, for all other rooms.

A check named `as_...` returns the argument in the form that the code behind it works with; a check named `require_...`
only refuses. Each raises TypeError for a wrong kind and ValueError for a wrong value, and names the argument.
"""

import inspect
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

MAX_SHOTS = 2**31 - 1  # simulators and providers count runs in 32 bits, and jobs are stored with 64


def as_int(value: Any, name: str, minimum: float | int, why: str = "") -> int:
    """Return `value` as an int of at least `minimum`. NumPy's integers are taken; booleans and floats are refused.

    Args:
        value: the argument.
        name: the argument's name.
        minimum: the least value that is allowed.
        why: a sentence behind the refusal of a smaller value, with a space in front.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"Argument `{name}` must be an int, but is {shown(value)}.")
    if value < minimum:
        raise ValueError(f"Argument `{name}` must be at least {minimum}, but is {value}.{why}")
    return int(value)


def as_shots(value: Any, name: str = "shots") -> int:
    """Return a number of runs of a circuit, at least 1 and at most 2**31 - 1."""
    shots = as_int(value, name, 1)
    if shots > MAX_SHOTS:
        raise ValueError(f"Argument `{name}` must be at most {MAX_SHOTS}, but is {shots}. Take fewer.")
    return shots


def as_ints(values: Any, name: str, minimum: float | int, *, at_least: int = 1) -> tuple[int, ...]:
    """Return `values` as a tuple of `at_least` ints or more, each of at least `minimum`; refuse one int alone."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        fix = f" Pass [{values}]." if isinstance(values, (int, np.integer)) else ""
        raise TypeError(f"Argument `{name}` must be a sequence of ints, but is {shown(values)}.{fix}")
    result = tuple(as_int(value, f"{name}[{place}]", minimum) for place, value in enumerate(values))
    if len(result) < at_least:
        raise ValueError(f"Argument `{name}` must hold at least {at_least} ints, but holds {len(result)}.")
    return result


def as_number(
    value: Any,
    name: str,
    *,
    at_least: float | int = -math.inf,
    above: float | int = -math.inf,
    at_most: float | int = math.inf,
    below: float | int = math.inf,
) -> float:
    """Return `value` as a finite float within the bounds. NumPy's numbers are taken; booleans and strings refused."""
    number = as_float(value, name)
    if not math.isfinite(number):
        raise ValueError(f"Argument `{name}` must be finite, but is {number}.")
    if not (at_least <= number <= at_most and above < number < below):
        raise ValueError(f"Argument `{name}` must {_bounds(at_least, above, at_most, below)}, but is {number:g}.")
    return number


def as_float(value: Any, name: str) -> float:
    """Return a number from Python or NumPy as a float, which may be infinite or NaN."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"Argument `{name}` must be a number, but is {shown(value)}.")
    return float(value)


def as_interval(value: Any, name: str) -> tuple[float, float]:
    """Return `value` as (left, right), two finite numbers, the left one below the right one."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"Argument `{name}` must be (left, right), but is {shown(value)}.")
    ends = tuple(as_number(end, f"{name}[{place}]") for place, end in enumerate(value))
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"Argument `{name}` must be (left, right) with left below right, but is {value!r}.")
    return ends


def as_widths(values: Any, name: str) -> tuple[int, ...]:
    """Return the units of hidden layers, at least one layer of at least one unit; a number alone is one layer."""
    single = isinstance(values, (int, np.integer)) and not isinstance(values, (bool, np.bool_))
    return as_ints((values,) if single else values, name, 1)


def as_flag(value: Any, name: str) -> bool:
    """Return `value` as a bool; refuse anything else than True and False, since "no" counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"Argument `{name}` must be True or False, but is {shown(value)}.")
    return bool(value)


def as_text(value: Any, name: str) -> str:
    """Return text that is not empty."""
    if not isinstance(value, str):
        raise TypeError(f"Argument `{name}` must be a str, but is {shown(value)}.")
    if not value:
        raise ValueError(f"Argument `{name}` must not be empty.")
    return value


def as_texts(values: Any, name: str) -> tuple[str, ...]:
    """Return several texts as a tuple; refuse one alone, whose letters would be taken for texts."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise TypeError(f"Argument `{name}` must be a list of str, but is {shown(values)}.")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"Argument `{name}` must hold str, but holds {shown(text)}.")
    return texts


def settle_numbers(
    options: object, *, ints: tuple[str, ...] = (), floats: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> None:
    """Make the fields of a frozen dataclass plain ints and floats, where an `optional` one may be None.

    Ranges are checked by the class's own rules.
    """
    for names, settled in ((ints, lambda value, name: as_int(value, name, -math.inf)), (floats, as_number)):
        for name in names:
            value = getattr(options, name)
            if value is not None or name not in optional:
                object.__setattr__(options, name, settled(value, name))


def require_kind(value: Any, name: str, kind: type, fix: str = "") -> None:
    """Refuse anything but an instance of `kind`; `fix` is a sentence with a space in front."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        given = f"the class {value.__name__}" if isinstance(value, type) else shown(value)
        raise TypeError(f"Argument `{name}` must be {article} {kind.__name__}, but is {given}.{fix}")


def require_function(value: Any, name: str, maps: str) -> None:
    """Refuse an object that cannot be called; `maps` says in words what it maps to what."""
    if not callable(value):
        raise TypeError(f"Argument `{name}` must be a function {maps}, but is {shown(value)}.")


def require_choice(value: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Refuse a value that is not among `choices`."""
    if not any(value is choice or (isinstance(value, type(choice)) and value == choice) for choice in choices):
        raise ValueError(f"Argument `{name}` must be one of {', '.join(map(repr, choices))}, but is {value!r}.")


def has_members(value: Any, *names: str) -> bool:
    """Tell whether an object has attributes of these names, none of which is evaluated.

    `isinstance` with a runtime-checkable protocol evaluates properties on Python 3.11, and a property may contact an
    account.
    """
    missing = object()
    return all(inspect.getattr_static(value, name, missing) is not missing for name in names)


def shown(value: Any) -> str:
    """Return the kind of a value for an error message, with the value itself where it is short."""
    kind = type(value).__name__
    return f"{kind} ({value!r})" if isinstance(value, (str, bool, int, float)) and len(repr(value)) < 40 else kind


def _bounds(at_least: float | int, above: float | int, at_most: float | int, below: float | int) -> str:
    """Return the bounds of a number in words."""
    low = f"at least {at_least:g}" if at_least > above else f"above {above:g}" if above > -math.inf else ""
    high = f"at most {at_most:g}" if at_most < below else f"below {below:g}" if below < math.inf else ""
    return f"be {' and '.join(part for part in (low, high) if part)}"
