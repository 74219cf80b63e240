"""Amplitudes at the start, constants or data, and the derivatives by data."""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part
from qml.simulator.jit.instructions import (
    AMPLITUDES,
    COMPLEX_DATA,
    DIGITS,
    GIVEN,
    N_AMPLITUDES,
    SOURCE,
)

TILE = 16  # amplitudes that are turned from rows of samples to columns at once: one or two lines of the cache


@part
def amplitudes_of(
    start: Array, skipped: bool, tape: tuple[Array, ...], data: Array, first: int, block: int, out: Pair
) -> None:
    """Write the amplitudes of one preparation, (amplitudes + 1, block), or 1 where it is skipped; the last is 0."""
    constants, index = tape[3], tape[4]
    size, given = start[N_AMPLITUDES], start[SOURCE] == GIVEN
    if given or skipped:
        for row in range(size):
            value = constants[start[AMPLITUDES] + row] if given and not skipped else 1.0 + 0.0j
            for place in range(block):
                out[0][row, place] = value.real
                out[1][row, place] = value.imag
    else:
        for part in range(2 if start[SOURCE] == COMPLEX_DATA else 1):
            columns = index[start[AMPLITUDES] + part * size : start[AMPLITUDES] + (part + 1) * size]
            for begin in range(0, size, TILE):
                for place in range(block):  # a few numbers of each sample at a time, as they lie in memory
                    for row in range(begin, min(begin + TILE, size)):
                        out[part][row, place] = data[first + place, columns[row]]
        if start[SOURCE] != COMPLEX_DATA:
            out[1][:size] = 0.0
    out[0][size] = 0.0
    out[1][size] = 0.0


@part
def multiply_start(start: Array, index: Array, n_rows: int, amplitudes: Pair, state: Pair, block: int) -> None:
    """Multiply rows by the amplitudes of a preparation; rows that start at 0 become 0."""
    real, imag = state
    is_complex, width = len(imag) > 0, np.uint64(block)
    for row in range(n_rows):
        digit = index[start[DIGITS] + row]
        at = np.uint64(row) * width
        number = start[N_AMPLITUDES] if digit < 0 else digit
        c, s = amplitudes[0][number], amplitudes[1][number]
        for k in range(width):
            x = real[at + k]
            real[at + k] = c[k] * x
            if is_complex:
                y = imag[at + k]
                real[at + k] -= s[k] * y
                imag[at + k] = c[k] * y + s[k] * x


@part
def start_state(
    starts: Array, tape: tuple[Array, ...], data: Array, first: int, block: int, n_rows: int, but: int, state: Pair
) -> None:
    """Write the product of all preparations but one (-1: of all), |0...0> elsewhere."""
    real, imag = state
    real[:] = 1.0
    imag[:] = 0.0
    most = 1
    for which in range(len(starts)):
        most = max(most, starts[which, N_AMPLITUDES])
    amplitudes = np.empty((most + 1, block), dtype=real.dtype), np.empty((most + 1, block), dtype=real.dtype)
    for which in range(len(starts)):
        amplitudes_of(starts[which], which == but, tape, data, first, block, amplitudes)
        multiply_start(starts[which], tape[4], n_rows, amplitudes, state, block)


@part
def pull_start(
    starts: Array,
    tape: tuple[Array, ...],
    data: Array,
    first: int,
    block: int,
    n_rows: int,
    mu: Pair,
    others: Pair,
    data_grad: Array,
) -> None:
    """Add the derivatives by amplitudes that are data; `others` is overwritten."""
    index, is_complex = tape[4], len(mu[1]) > 0
    for which in range(len(starts)):
        start = starts[which]
        if start[SOURCE] == GIVEN:
            continue
        start_state(starts, tape, data, first, block, n_rows, which, others)
        for row in range(n_rows):
            digit = index[start[DIGITS] + row]
            if digit < 0:
                continue
            slot = index[start[AMPLITUDES] + digit]
            for place in range(block):
                k = row * block + place
                if not is_complex:
                    data_grad[first + place, slot] += 2.0 * mu[0][k] * others[0][k]
                    continue
                p, q, x, y = mu[0][k], mu[1][k], others[0][k], others[1][k]
                data_grad[first + place, slot] += 2.0 * (p * x + q * y)
                if start[SOURCE] == COMPLEX_DATA:
                    other = index[start[AMPLITUDES] + start[N_AMPLITUDES] + digit]
                    data_grad[first + place, other] += 2.0 * (q * x - p * y)
