"""Expectation values, and mu = sum_m g_m H_m psi, from which the way back starts.

With rows x + iy and x' + iy', i and i ^ mask, and coefficients c + is an observable is the sum of c (x x' + y y') and
-s (x y' - y x'). Each function takes one of these products of planes, and one part of the coefficients.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, part
from qml.simulator.jit.instructions import COEFFICIENTS, MASK, OBSERVABLE, PARTS, REAL_PART


@part
def read(
    which: int,
    sign: float,
    tape: tuple[Array, ...],
    left: Array,
    right: Array,
    block: int,
    n_rows: int,
    first: int,
    values: Array,
) -> None:
    """Add the part of expectation values that two planes make with one part of the coefficients."""
    strings, coefficients = tape[5], tape[6]
    width = np.uint64(block)
    total = np.empty(block, dtype=left.dtype)
    for number in range(len(strings)):
        if strings[number, PARTS] & which == 0:
            continue
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        total[:] = 0.0
        for row in range(n_rows):
            factor = coefficients[start + row]
            c = left.dtype.type(sign * (factor.real if which == REAL_PART else factor.imag))
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                total[k] += c * left[i + k] * right[j + k]
        for place in range(block):
            values[first + place, observable] += total[place]


@part
def pull_read(
    which: int,
    sign: float,
    tape: tuple[Array, ...],
    plane: Array,
    block: int,
    n_rows: int,
    first: int,
    grad: Array,
    mu: Array,
) -> None:
    """Add to a plane of mu what a plane of psi makes with one part of the coefficients."""
    strings, coefficients = tape[5], tape[6]
    width = np.uint64(block)
    scale = np.empty(block, dtype=plane.dtype)
    for number in range(len(strings)):
        if strings[number, PARTS] & which == 0:
            continue
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        for place in range(block):
            scale[place] = grad[first + place, observable]
        for row in range(n_rows):
            factor = coefficients[start + row]
            c = plane.dtype.type(sign * (factor.real if which == REAL_PART else factor.imag))
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                mu[i + k] += scale[k] * c * plane[j + k]
