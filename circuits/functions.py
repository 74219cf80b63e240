"""The functions of one real number that may stand in angles, and their values in NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan,
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "reciprocal": np.reciprocal,
}  # fmt: skip
SHOWN = 120  # characters of an expression in an error


def value_of(name: str, argument: float | int) -> float:
    """Return the value of a function at a number.

    Raises:
        ValueError: the value is not real and finite.
    """
    return float(values_of(name, np.float64(argument), f"{name}({argument!r})"))


def values_of(name: str, argument: np.ndarray | np.float64, text: str) -> np.ndarray:
    """Return the values of a function, element by element.

    Args:
        name: of the function.
        argument: real numbers.
        text: the expression, for the error.

    Raises:
        ValueError: a value that is not real and finite, such as the logarithm of 0.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(FUNCTIONS[name](argument))
    if not np.isfinite(values).all():
        worst = float(np.asarray(argument)[~np.isfinite(values)].reshape(-1)[0])
        raise no_value(name, worst, text)
    return values


def no_value(name: str, argument: float, text: str) -> ValueError:
    """Return the error for an expression without a real and finite value."""
    shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 20]}...{text[-10:]}"
    problem = "1 divided by" if name == "reciprocal" else f"{name} of"
    size = f"{argument:.6g}" if math.isfinite(argument) else "a number that is not finite"
    return ValueError(
        f"Argument `inputs` must give {shown} a real and finite value, but it is {problem} {size}. Keep inputs and "
        "weights where the function has a value."
    )
