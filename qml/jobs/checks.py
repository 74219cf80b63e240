"""Checks of arguments at the border of the jobs, and of objects that belong to somebody else."""

import inspect
import math
import numbers
from typing import Any


def as_int(value: Any, name: str, *, least: int) -> int:
    """An int from Python or NumPy that is at least `least`.

    Raises:
        TypeError: another kind of thing, bools and strings among them.
        ValueError: it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"Argument `{name}` must be an int, but is {type(value).__name__}.")
    if value < least:
        raise ValueError(f"Argument `{name}` must be at least {least}, but is {value}.")
    return int(value)


def as_number(value: Any, name: str) -> float:
    """A real number from Python or NumPy, as a float; it may be infinite or NaN.

    Raises:
        TypeError: another kind of thing, bools and strings among them.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"Argument `{name}` must be a number, but is {type(value).__name__}.")
    return float(value)


def as_time(value: Any, name: str) -> float:
    """A finite time in seconds, not negative.

    Raises:
        TypeError: no number.
        ValueError: it is negative, infinite or NaN.
    """
    seconds = as_number(value, name)
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise ValueError(f"Argument `{name}` must be a time of at least 0 s, but is {value}.")
    return seconds


def as_text(value: Any, name: str) -> str:
    """Text that is not empty.

    Raises:
        TypeError: no str.
        ValueError: it is empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"Argument `{name}` must be a str, but is {type(value).__name__}.")
    if not value:
        raise ValueError(f"Argument `{name}` must not be empty.")
    return value


def as_texts(values: Any, name: str) -> tuple[str, ...]:
    """Several texts; one alone is refused, as its letters would be taken for texts.

    Raises:
        TypeError: no sequence of str.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise TypeError(f"Argument `{name}` must be a list of str, but is {type(values).__name__}.")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"Argument `{name}` must hold str, but holds {type(text).__name__}.")
    return texts


def require_kind(value: Any, name: str, kind: type) -> None:
    """Refuse anything but an instance of `kind`.

    Raises:
        TypeError: another kind of thing.
    """
    if not isinstance(value, kind):
        found = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"Argument `{name}` must be {article} {kind.__name__}, but is {found}.")


def has_members(value: Any, *names: str) -> bool:
    """Whether an object has attributes of these names, none of which is evaluated.

    `isinstance` with a runtime-checkable protocol evaluates properties on Python 3.11, and a property may contact an
    account.
    """
    missing = object()
    return all(inspect.getattr_static(value, name, missing) is not missing for name in names)
