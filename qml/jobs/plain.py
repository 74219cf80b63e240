"""Any answer of a service as JSON values and arrays that can be stored, so that nothing that was paid for is lost."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

NESTING_LIMIT = 20  # lists in lists; deeper ones are kept as text
INT_LIMIT = 2**63  # ints from here on are written in hexadecimal, as Python limits the length of decimals
TEXT_ERRORS = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)


def as_json(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON: NumPy's numbers as numbers, times in ISO 8601, and other objects as their `repr`."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if depth < NESTING_LIMIT and isinstance(value, Mapping):
        return {name_of(key): as_json(value[key], depth + 1) for key in value}
    if depth < NESTING_LIMIT and isinstance(value, list | tuple | set | frozenset):
        return [as_json(item, depth + 1) for item in value]
    return _as_scalar(value)


def as_array(value: Any) -> np.ndarray:
    """Return an array of numbers, or of one text: the `repr` of a value that makes no array of numbers."""
    try:
        array = np.asarray(value, order="C")
    except TEXT_ERRORS:
        return np.array(text_of(value))
    if array.dtype.kind in "fc" and array.dtype.itemsize > (8 if array.dtype.kind == "f" else 16):
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.complex128)
    if array.dtype.kind in "biufc":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.array(text_of(array.tolist()))


def name_of(key: Any) -> str:
    """Return a key as a name that can be stored."""
    return key.encode("utf-8", "backslashreplace").decode() if isinstance(key, str) else text_of(key)


def text_of(value: Any) -> str:
    """Return an object's `repr`, or Python's own if that fails."""
    try:
        text = repr(value)
    except TEXT_ERRORS:
        text = object.__repr__(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _as_scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, float):  # subclasses, such as enums, become the plain thing
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, int) and abs(value) < INT_LIMIT:
        return int(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return hex(value) if isinstance(value, int) else text_of(value)
