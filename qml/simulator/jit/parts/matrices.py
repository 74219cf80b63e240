"""Matrices and diagonals of instructions from their angles, and the derivatives by those angles."""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part
from qml.simulator.jit.instructions import (
    ANGLE,
    BY_SAMPLE,
    DATA,
    DIAGONAL,
    ENTRIES,
    FACTORS,
    KIND,
    MATRICES,
    MAX_SIDE,
    N_FACTORS,
    NO_ANGLE,
    PERMUTATION,
    PHASED,
    ROTATION,
    SIDE,
    SLOT,
    WEIGHT,
)
from qml.simulator.jit.parts.sines import write_turns


@part
def angle_of(factor: Array, data: Array, weights: Array, sample: int) -> float:
    """Return the angle of a factor."""
    if factor[ANGLE] == WEIGHT:
        return float(weights[factor[SLOT]])
    return float(data[sample, factor[SLOT]]) if factor[ANGLE] == DATA else 0.0


@part
def add_angles(
    factor: Array, frequency: float, data: Array, weights: Array, first: int, block: int, out: Array
) -> None:
    """Add the angle of a factor times a frequency, of the samples from `first` on, to `out`, (block,)."""
    slot = np.uint64(factor[SLOT])
    if factor[ANGLE] == WEIGHT:
        angle = frequency * weights[slot]
        for place in range(np.uint64(block)):
            out[place] += angle
    elif factor[ANGLE] == DATA:
        for place in range(np.uint64(block)):
            out[place] += frequency * data[np.uint64(first) + place, slot]


@part
def has_weights(step: Array, factors: Array) -> bool:
    """Tell whether a factor of an instruction has a weight as its angle."""
    found = False
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        found |= factors[number, ANGLE] == WEIGHT
    return found


@part
def factor_matrix(factor: Array, phase: float, constants: Array, size: int, out: Array) -> None:
    """Write constant + cos(phase) C + sin(phase) S into out[:size]."""
    start = factor[MATRICES]
    cosine, sine = np.cos(phase), np.sin(phase)
    for k in range(size):
        out[k] = constants[start + k]
        if factor[ANGLE] != NO_ANGLE:
            out[k] += cosine * constants[start + size + k] + sine * constants[start + 2 * size + k]


@part
def make_matrices(
    tape: tuple[Array, ...], data: Array, weights: Array, first: int, block: int, by_sample: bool, matrices: Pair
) -> None:
    """Write the matrices that the batch shares, or the diagonals of the samples from `first` on, (entries, block)."""
    table, factors, frequencies, constants = tape[:4]
    work, turns = np.empty((3, MAX_SIDE * MAX_SIDE), dtype=np.complex128), np.empty((3, block))
    for row in range(len(table)):
        side = table[row, SIDE]
        kind = table[row, KIND]
        if kind == PERMUTATION or kind == PHASED or kind == ROTATION:  # noqa: PLR1714, SIM109
            continue
        if (table[row, BY_SAMPLE] == 1) != by_sample:
            continue
        is_diagonal = table[row, KIND] == DIAGONAL
        size = side if is_diagonal else side * side
        if by_sample and table[row, N_FACTORS] == 1:
            make_one(table[row], size, tape, data, weights, first, block, turns, matrices)
            continue
        for place in range(block):
            for number in range(table[row, FACTORS], table[row, FACTORS] + table[row, N_FACTORS]):
                phase = frequencies[number] * angle_of(factors[number], data, weights, first + place)
                is_first = number == table[row, FACTORS]
                factor_matrix(factors[number], phase, constants, size, work[0 if is_first else 1])
                if is_first:
                    continue
                if is_diagonal:
                    for k in range(size):
                        work[0, k] *= work[1, k]
                    continue
                for a in range(side):
                    for b in range(side):
                        work[2, a * side + b] = 0.0
                        for c in range(side):
                            work[2, a * side + b] += work[1, a * side + c] * work[0, c * side + b]
                for k in range(size):
                    work[0, k] = work[2, k]
            for k in range(size):
                matrices[0][table[row, ENTRIES] + k, place] = work[0, k].real
                matrices[1][table[row, ENTRIES] + k, place] = work[0, k].imag


@part
def make_one(
    step: Array,
    size: int,
    tape: tuple[Array, ...],
    data: Array,
    weights: Array,
    first: int,
    block: int,
    turns: Array,
    matrices: Pair,
) -> None:
    """Write the matrices of samples that have one factor each; `turns` is (3, block)."""
    _, factors, frequencies, constants = tape[:4]
    factor, kind = factors[step[FACTORS]], matrices[0].dtype
    angles, cosines, sines = turns[0], turns[1], turns[2]
    angles[:] = 0.0
    add_angles(factor, frequencies[step[FACTORS]], data, weights, first, block, angles)
    write_turns(angles, block, (cosines, sines))
    for k in range(size):
        start, entry = factor[MATRICES] + k, step[ENTRIES] + k
        one, two, three = constants[start], constants[start + size], constants[start + 2 * size]
        real, imag = matrices[0][entry], matrices[1][entry]
        for place in range(np.uint64(block)):
            real[place] = kind.type(one.real + cosines[place] * two.real + sines[place] * three.real)
            imag[place] = kind.type(one.imag + cosines[place] * two.imag + sines[place] * three.imag)


@part
def pull_factors(
    step: Array, tape: tuple[Array, ...], data: Array, weights: Array, overlap: Array, work: Array, weight_grad: Array
) -> None:
    """Add the derivatives by the angles of a shared instruction's factors, from the last factor to the first."""
    _, factors, frequencies, constants = tape[:4]
    side, is_diagonal = step[SIDE], step[KIND] == DIAGONAL
    size = side if is_diagonal else side * side
    for k in range(size):
        work[0, k] = overlap[k, 0]
    for number in range(step[FACTORS] + step[N_FACTORS] - 1, step[FACTORS] - 1, -1):
        factor = factors[number]
        if factor[ANGLE] != NO_ANGLE:
            total = 0.0
            for k in range(size):
                total += (constants[factor[MATRICES] + 2 * size + k] * work[0, k]).real
            weight_grad[factor[SLOT]] += 2.0 * frequencies[number] * total
        if number == step[FACTORS] or is_diagonal:
            continue
        factor_matrix(factor, frequencies[number] * angle_of(factor, data, weights, 0), constants, size, work[1])
        for a in range(side):  # Y conj(F)
            for c in range(side):
                work[2, a * side + c] = 0.0
                for b in range(side):
                    work[2, a * side + c] += work[0, a * side + b] * work[1, b * side + c].conjugate()
        for a in range(side):  # F^T of that
            for c in range(side):
                work[0, a * side + c] = 0.0
                for b in range(side):
                    work[0, a * side + c] += work[1, b * side + a] * work[2, b * side + c]
