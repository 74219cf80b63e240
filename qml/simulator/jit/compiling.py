"""How functions of the kernel are compiled. This file alone imports numba, and is loaded at its first use."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit

FAST = {"contract", "reassoc", "nsz"}  # NaN and infinity stay, but for max and min of floats, which may lose NaN
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST}
Array = Any  # numba reads the types from the arguments
Pair = tuple[Array, Array]  # real and imaginary part


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; keep the result on disk where there is a folder to write to."""
    function = inspect.unwrap(function)  # numba cannot read the checks that tests wrap around what is annotated
    try:
        return njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(function)  # pyright: ignore[reportCallIssue]
    except RuntimeError:  # numba found no such folder
        return njit(no_cfunc_wrapper=True, **OPTIONS)(function)  # pyright: ignore[reportCallIssue]


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, and so needs no way in from Python."""
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(inspect.unwrap(function))  # pyright: ignore[reportCallIssue]


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Write a function into each kernel that calls it. What it calls is then compiled once less than in a `part`."""
    return njit(inline="always", **OPTIONS)(inspect.unwrap(function))
