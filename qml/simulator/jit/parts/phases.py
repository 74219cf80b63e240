"""Phases of a whole register, of which Walsh-Hadamard transforms make the angles, and their way back.

A rotation RZ(c) RY(b) RZ(a) costs twice the arithmetic of its RY, if the RZ of all qubits and the permutations beside
them are one pass.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part
from qml.simulator.jit.instructions import (
    ANGLE,
    BASES,
    BY_SAMPLE,
    DATA,
    FACTORS,
    MATRICES,
    N_BASES,
    N_FACTORS,
    PHASES,
    SLOT,
)
from qml.simulator.jit.parts.matrices import add_angles
from qml.simulator.jit.parts.rows import multiply_rows
from qml.simulator.jit.parts.sines import write_turns


@part
def walsh(values: Array, n_rows: int, block: int) -> None:
    """Replace rows by out[i] = sum_m (-1)^|i & m| in[m], column by column; (n_rows * block,)."""
    half, size = np.uint64(block), np.uint64(n_rows) * np.uint64(block)
    while half < size:
        start = half - half
        while start < size:
            for k in range(half):
                x, y = values[start + k], values[start + half + k]
                values[start + k] = x + y
                values[start + half + k] = x - y
            start += half + half
        half += half


@part
def write_phases(
    step: Array, tape: tuple[Array, ...], data: Array, weights: Array, first: int, block: int, angles: Array, out: Pair
) -> None:
    """Write the phases of an instruction into out, (n_rows * block,) each; `angles` is double and as large."""
    _, factors, frequencies, constants = tape[:4]
    n_rows, kind = step[N_BASES], out[0].dtype
    size = n_rows * block
    angles[:size] = 0.0  # of a permutation with constant phases, all of them
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        at = np.uint64(factors[number, MATRICES]) * np.uint64(block)
        add_angles(
            factors[number], frequencies[number], data, weights, first, block, angles[at : at + np.uint64(block)]
        )
    if step[N_FACTORS] > 0:
        walsh(angles, n_rows, block)
    write_turns(angles, size, out)
    if step[PHASES] < 0:
        return
    for row in range(n_rows):
        phase = constants[step[PHASES] + row]
        at = np.uint64(row) * np.uint64(block)
        c, s = kind.type(phase.real), kind.type(phase.imag)
        multiply_rows(out[0], out[1], at, np.uint64(block), c, s, out[0], out[1], at)


@part
def phased(step: Array, index: Array, state: Pair, spare: Pair, block: int, phases: Pair, inverse: bool) -> None:
    """Apply a phased permutation, or its inverse; the phases of rows, or of rows and samples."""
    (real, imag), (new_real, new_imag), (cosines, sines) = state, spare, phases
    width, n_rows = np.uint64(block), step[N_BASES]
    sign = real.dtype.type(-1 if inverse else 1)
    moves, by_sample = step[BASES] >= 0, step[BY_SAMPLE] == 1
    for row in range(n_rows):
        source = index[step[BASES] + row] if moves else row
        old = np.uint64(row if inverse else source) * width
        new = np.uint64(source if inverse else row) * width
        if by_sample:
            at = np.uint64(row) * width
            for k in range(width):
                x, y, c, s = real[old + k], imag[old + k], cosines[at + k], sign * sines[at + k]
                new_real[new + k] = c * x - s * y
                new_imag[new + k] = c * y + s * x
            continue
        multiply_rows(real, imag, old, width, cosines[row], sign * sines[row], new_real, new_imag, new)
    for k in range(np.uint64(n_rows) * width):
        real[k] = new_real[k]
        imag[k] = new_imag[k]


@part
def add_torques(step: Array, state: Pair, mu: Pair, block: int, torques: Array) -> None:
    """Add Im(conj(mu) psi) of every row, or write that of every row and sample where they differ."""
    (real, imag), (mu_real, mu_imag) = state, mu
    width = np.uint64(block)
    if step[BY_SAMPLE] == 1:
        for k in range(np.uint64(step[N_BASES]) * width):
            torques[k] = mu_real[k] * imag[k] - mu_imag[k] * real[k]
        return
    for row in range(step[N_BASES]):
        start, total = np.uint64(row) * width, real.dtype.type(0)
        for k in range(width):
            total += mu_real[start + k] * imag[start + k] - mu_imag[start + k] * real[start + k]
        torques[row] += total


@part
def pull_phases(
    step: Array,
    tape: tuple[Array, ...],
    torques: Array,
    block: int,
    first: int,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the derivatives by the angles of a phased permutation; `torques` is overwritten."""
    _, factors, frequencies = tape[:3]
    walsh(torques, step[N_BASES], block)
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        start, slot = factors[number, MATRICES] * block, factors[number, SLOT]
        for place in range(block):
            value = -2.0 * frequencies[number] * torques[start + place]
            if factors[number, ANGLE] == DATA:
                data_grad[first + place, slot] += value
            else:
                weight_grad[slot] += value
