"""The kernel: all of a forward pass, and all of a backward pass, in one call each. This file alone imports numba.

States are real and imaginary parts apart, `lanes` samples beside each other, so that the innermost loops run over
contiguous memory and become vector instructions. Blocks of samples are taken through the whole circuit one after
another, while their states lie in the caches. The backward pass runs the circuit backwards (Jones and Gacon,
arXiv:2009.02823): with mu = sum_m g_m H_m psi after an instruction U = F_k ... F_1, the derivative by the angle of F_k
with generator K is 2 Re sum_ac K_ac Y_ac, where Y_ac = sum conj(mu_a) psi_c; then Y becomes F^T Y conj(F) for the next.

Matrices are made in double precision whatever the precision of the states. Rounding aside, `FAST` changes nothing: sums
may be taken in any order and multiplications fused with additions, but NaN and infinity stay what they are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from qml.simulator.jit.instructions import (
    ANGLE,
    BASES,
    BY_SAMPLE,
    COEFFICIENTS,
    DATA,
    DENSE,
    DIAGONAL,
    ENTRIES,
    FACTORS,
    KIND,
    MASK,
    MATRICES,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OBSERVABLE,
    OFFSETS,
    PERMUTATION,
    PHASES,
    RUN,
    SIDE,
    SINGLE,
    SLOT,
    WEIGHT,
)

FAST = {"contract", "reassoc", "nsz"}
CHUNK = 64  # numbers of each row of a group that a dense matrix takes at once
Array = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]  # real and imaginary part


OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FAST}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; keep the result on disk where there is a folder to write to."""
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # numba found no such folder
        return njit(**OPTIONS)(function)


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, and so needs no way in from Python."""
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)


# --- matrices of instructions -----------------------------------------------------------------------------------------


@part
def factor_matrix(factor: Array, frequency: float, angle: float, constants: Array, size: int, out: Array) -> None:
    """Write constant + cos(f t) C + sin(f t) S into out[:size]."""
    start = factor[MATRICES]
    if factor[ANGLE] == NO_ANGLE:
        for k in range(size):
            out[k] = constants[start + k]
        return
    cosine, sine = np.cos(frequency * angle), np.sin(frequency * angle)
    for k in range(size):
        out[k] = constants[start + k] + cosine * constants[start + size + k] + sine * constants[start + 2 * size + k]


@part
def angle_of(factor: Array, data: Array, weights: Array, sample: int) -> float:
    """Return the angle of a factor."""
    if factor[ANGLE] == WEIGHT:
        return float(weights[factor[SLOT]])
    if factor[ANGLE] == DATA:
        return float(data[sample, factor[SLOT]])
    return 0.0


@part
def multiply(left: Array, right: Array, side: int, out: Array) -> None:
    """Write the product of two matrices into `out`."""
    for a in range(side):
        for b in range(side):
            total = 0.0j
            for c in range(side):
                total += left[a * side + c] * right[c * side + b]
            out[a * side + b] = total


@part
def step_matrix(
    step: Array, tape: tuple[Array, ...], data: Array, weights: Array, sample: int, work: Array
) -> None:
    """Write the matrix of an instruction, or its diagonal, into work[0]."""
    _, factors, frequencies, constants = tape[:4]
    side = step[SIDE]
    size = side if step[KIND] == DIAGONAL else side * side
    for k in range(step[N_FACTORS]):
        number = step[FACTORS] + k
        angle = angle_of(factors[number], data, weights, sample)
        if k == 0:
            factor_matrix(factors[number], frequencies[number], angle, constants, size, work[0])
            continue
        factor_matrix(factors[number], frequencies[number], angle, constants, size, work[1])
        if step[KIND] == DIAGONAL:
            for entry in range(size):
                work[0, entry] *= work[1, entry]
        else:
            multiply(work[1], work[0], side, work[2])
            for entry in range(size):
                work[0, entry] = work[2, entry]


@part
def make_matrices(
    tape: tuple[Array, ...], data: Array, weights: Array, first: int, lanes: int, by_sample: bool, matrices: Pair
) -> None:
    """Write the matrices that all samples share, or those of the samples from `first` on, (entries, lanes)."""
    work = np.empty((3, 256), dtype=np.complex128)
    for number in range(len(tape[0])):
        step = tape[0][number]
        if step[KIND] == PERMUTATION or (step[BY_SAMPLE] >= 0) != by_sample:
            continue
        size = step[SIDE] if step[KIND] == DIAGONAL else step[SIDE] * step[SIDE]
        start = step[BY_SAMPLE] if by_sample else step[ENTRIES]
        for lane in range(lanes):
            step_matrix(step, tape, data, weights, first + lane, work)
            for k in range(size):
                matrices[0][start + k, lane] = work[0, k].real
                matrices[1][start + k, lane] = work[0, k].imag


# --- application to states --------------------------------------------------------------------------------------------


@part
def permute(step: Array, tape: tuple[Array, ...], state: Pair, spare: Pair, lanes: int, inverse: bool) -> None:
    """Apply a permutation with phases, or its inverse."""
    constants, index = tape[3], tape[4]
    (real, imag), (new_real, new_imag) = state, spare
    width, n_rows = np.uint64(lanes), step[N_BASES]
    for row in range(n_rows):
        source = index[step[BASES] + row]
        old = np.uint64(row if inverse else source) * width
        new = np.uint64(source if inverse else row) * width
        phase = constants[step[PHASES] + row] if step[PHASES] >= 0 else 1.0 + 0.0j
        c, s = real.dtype.type(phase.real), real.dtype.type(-phase.imag if inverse else phase.imag)
        for k in range(width):
            x, y = real[old + k], imag[old + k]
            new_real[new + k] = c * x - s * y
            new_imag[new + k] = c * y + s * x
    for k in range(np.uint64(n_rows) * width):
        real[k] = new_real[k]
        imag[k] = new_imag[k]


@part
def single(step: Array, index: Array, state: Pair, lanes: int, matrix: Pair, adjoint: bool, shared: bool) -> None:
    """Apply a matrix of side 2, or its adjoint."""
    (real, imag), (m, n) = state, matrix
    sign = real.dtype.type(-1 if adjoint else 1)
    ab, ba = (2, 1) if adjoint else (1, 2)
    width = np.uint64(lanes)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    if shared:
        a, b, c, d = m[0, 0], m[ab, 0], m[ba, 0], m[3, 0]
        e, f, g, h = sign * n[0, 0], sign * n[ab, 0], sign * n[ba, 0], sign * n[3, 0]
        for number in range(step[N_BASES]):
            i = np.uint64(index[step[BASES] + number]) * width
            j = i + distance
            for k in range(np.uint64(step[RUN]) * width):
                x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
                real[i + k] = a * x - e * y + b * z - f * w
                imag[i + k] = a * y + e * x + b * w + f * z
                real[j + k] = c * x - g * y + d * z - h * w
                imag[j + k] = c * y + g * x + d * w + h * z
        return
    for number in range(step[N_BASES]):
        for row in range(step[RUN]):
            i = np.uint64(index[step[BASES] + number] + row) * width
            j = i + distance
            for k in range(width):
                x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
                a, b, c, d = m[0, k], m[ab, k], m[ba, k], m[3, k]
                e, f, g, h = sign * n[0, k], sign * n[ab, k], sign * n[ba, k], sign * n[3, k]
                real[i + k] = a * x - e * y + b * z - f * w
                imag[i + k] = a * y + e * x + b * w + f * z
                real[j + k] = c * x - g * y + d * z - h * w
                imag[j + k] = c * y + g * x + d * w + h * z


@part
def dense(step: Array, index: Array, state: Pair, lanes: int, matrix: Pair, adjoint: bool, shared: bool) -> None:
    """Apply a matrix of any side, or its adjoint."""
    (real, imag), (m, n) = state, matrix
    side, sign = step[SIDE], real.dtype.type(-1 if adjoint else 1)
    width = np.uint64(lanes)
    span = np.uint64(step[RUN]) * width if shared else width
    repeats = 1 if shared else step[RUN]
    held_real, held_imag = np.empty((side, CHUNK), dtype=real.dtype), np.empty((side, CHUNK), dtype=real.dtype)
    for number in range(step[N_BASES] * repeats):
        base = np.uint64(index[step[BASES] + number // repeats] + number % repeats) * width
        begin = np.uint64(0)
        while begin < span:
            length = min(np.uint64(CHUNK), span - begin)
            for a in range(side):
                for k in range(length):
                    held_real[a, k] = 0.0
                    held_imag[a, k] = 0.0
                for b in range(side):
                    entry = b * side + a if adjoint else a * side + b
                    row = base + np.uint64(index[step[OFFSETS] + b]) * width + begin
                    if shared:
                        c, s = m[entry, 0], sign * n[entry, 0]
                        for k in range(length):
                            x, y = real[row + k], imag[row + k]
                            held_real[a, k] += c * x - s * y
                            held_imag[a, k] += c * y + s * x
                    else:
                        for k in range(length):
                            x, y = real[row + k], imag[row + k]
                            c, s = m[entry, begin + k], sign * n[entry, begin + k]
                            held_real[a, k] += c * x - s * y
                            held_imag[a, k] += c * y + s * x
            for a in range(side):
                row = base + np.uint64(index[step[OFFSETS] + a]) * width + begin
                for k in range(length):
                    real[row + k] = held_real[a, k]
                    imag[row + k] = held_imag[a, k]
            begin += length


@part
def diagonal(step: Array, index: Array, state: Pair, lanes: int, matrix: Pair, adjoint: bool, shared: bool) -> None:
    """Apply a diagonal, or its adjoint."""
    (real, imag), (m, n) = state, matrix
    sign = real.dtype.type(-1 if adjoint else 1)
    width = np.uint64(lanes)
    for number in range(step[N_BASES]):
        for a in range(step[SIDE]):
            row = np.uint64(index[step[BASES] + number] + index[step[OFFSETS] + a]) * width
            if shared:
                c, s = m[a, 0], sign * n[a, 0]
                for k in range(np.uint64(step[RUN]) * width):
                    x, y = real[row + k], imag[row + k]
                    real[row + k] = c * x - s * y
                    imag[row + k] = c * y + s * x
                continue
            for _ in range(step[RUN]):
                for k in range(width):
                    x, y = real[row + k], imag[row + k]
                    c, s = m[a, k], sign * n[a, k]
                    real[row + k] = c * x - s * y
                    imag[row + k] = c * y + s * x
                row += width


@part
def apply(
    step: Array, tape: tuple[Array, ...], state: Pair, spare: Pair, lanes: int, matrix: Pair, adjoint: bool
) -> None:
    """Apply an instruction, or its inverse, to the states of a block of samples."""
    kind, shared = step[KIND], step[BY_SAMPLE] < 0
    if kind == PERMUTATION:
        permute(step, tape, state, spare, lanes, adjoint)
    elif kind == SINGLE:
        single(step, tape[4], state, lanes, matrix, adjoint, shared)
    elif kind == DIAGONAL:
        diagonal(step, tape[4], state, lanes, matrix, adjoint, shared)
    else:
        dense(step, tape[4], state, lanes, matrix, adjoint, shared)


# --- observables ------------------------------------------------------------------------------------------------------


@part
def read(tape: tuple[Array, ...], state: Pair, lanes: int, n_rows: int, first: int, values: Array) -> None:
    """Write the expectation values of a block of samples."""
    strings, coefficients = tape[5], tape[6]
    real, imag = state
    width = np.uint64(lanes)
    total = np.zeros(lanes, dtype=real.dtype)
    for number in range(len(strings)):
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        total[:] = 0.0
        for row in range(n_rows):
            factor = coefficients[start + row]
            c, s = real.dtype.type(factor.real), real.dtype.type(factor.imag)
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
                total[k] += c * (x * z + y * w) - s * (x * w - y * z)
        for lane in range(lanes):
            values[first + lane, observable] += total[lane]


@part
def pull_read(
    tape: tuple[Array, ...], state: Pair, lanes: int, n_rows: int, first: int, grad: Array, mu: Pair
) -> None:
    """Write mu = sum_m g_m H_m psi."""
    strings, coefficients = tape[5], tape[6]
    (real, imag), (mu_real, mu_imag) = state, mu
    width = np.uint64(lanes)
    mu_real[:] = 0.0
    mu_imag[:] = 0.0
    scale = np.empty(lanes, dtype=real.dtype)
    for number in range(len(strings)):
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        for lane in range(lanes):
            scale[lane] = grad[first + lane, observable]
        for row in range(n_rows):
            factor = coefficients[start + row]
            c, s = real.dtype.type(factor.real), real.dtype.type(factor.imag)
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                z, w = real[j + k], imag[j + k]
                mu_real[i + k] += scale[k] * (c * z - s * w)
                mu_imag[i + k] += scale[k] * (c * w + s * z)


# --- the way back -----------------------------------------------------------------------------------------------------


@part
def pull_single(
    step: Array, index: Array, state: Pair, mu: Pair, lanes: int, matrix: Pair, overlap: Array
) -> None:
    """Add Y of a shared matrix of side 2 to `overlap`, and apply its adjoint to psi and mu, in one pass."""
    (real, imag), (mu_real, mu_imag), (m, n) = state, mu, matrix
    width = np.uint64(lanes)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    a, b, c, d = m[0, 0], m[2, 0], m[1, 0], m[3, 0]
    e, f, g, h = -n[0, 0], -n[2, 0], -n[1, 0], -n[3, 0]
    zero = real.dtype.type(0)
    first, last, cross, turned = zero, zero, zero, zero
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        j = i + distance
        for k in range(np.uint64(step[RUN]) * width):
            x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
            p, q, r, s = mu_real[i + k], mu_imag[i + k], mu_real[j + k], mu_imag[j + k]
            first += p * y - q * x
            last += r * w - s * z
            cross += p * z + q * w - r * x - s * y
            turned += p * w - q * z + r * y - s * x
            real[i + k] = a * x - e * y + b * z - f * w
            imag[i + k] = a * y + e * x + b * w + f * z
            real[j + k] = c * x - g * y + d * z - h * w
            imag[j + k] = c * y + g * x + d * w + h * z
            mu_real[i + k] = a * p - e * q + b * r - f * s
            mu_imag[i + k] = a * q + e * p + b * s + f * r
            mu_real[j + k] = c * p - g * q + d * r - h * s
            mu_imag[j + k] = c * q + g * p + d * s + h * r
    # half of Y - Y^dagger, which is all that an anti-Hermitian generator sees
    overlap[0, 0] += 1j * first
    overlap[3, 0] += 1j * last
    overlap[1, 0] += 0.5 * (cross + 1j * turned)
    overlap[2, 0] += 0.5 * (-cross + 1j * turned)


@part
def add_overlap(step: Array, index: Array, state: Pair, mu: Pair, lanes: int, overlap: Array) -> None:
    """Add Y_ac = sum conj(mu_a) psi_c to `overlap`, over all samples or for each; of a diagonal only a = c."""
    (real, imag), (mu_real, mu_imag) = state, mu
    side, shared = step[SIDE], step[BY_SAMPLE] < 0
    width = np.uint64(1 if shared else lanes)
    total, turned = np.zeros(width, dtype=real.dtype), np.zeros(width, dtype=real.dtype)
    repeats = lanes * step[RUN] if shared else step[RUN]
    is_diagonal = step[KIND] == DIAGONAL
    for a in range(side):
        for c in range(side):
            if is_diagonal and a != c:
                continue
            total[:] = 0.0
            turned[:] = 0.0
            for number in range(step[N_BASES]):
                base = index[step[BASES] + number]
                i = np.uint64((base + index[step[OFFSETS] + a]) * lanes)
                j = np.uint64((base + index[step[OFFSETS] + c]) * lanes)
                if shared:
                    re, im = real.dtype.type(0), real.dtype.type(0)
                    for k in range(np.uint64(repeats)):
                        p, q, x, y = mu_real[i + k], mu_imag[i + k], real[j + k], imag[j + k]
                        re += p * x + q * y
                        im += p * y - q * x
                    total[0] += re
                    turned[0] += im
                    continue
                for _ in range(repeats):
                    for k in range(width):
                        p, q, x, y = mu_real[i + k], mu_imag[i + k], real[j + k], imag[j + k]
                        total[k] += p * x + q * y
                        turned[k] += p * y - q * x
                    i += width
                    j += width
            for lane in range(width):
                overlap[a if is_diagonal else a * side + c, lane] += total[lane] + 1j * turned[lane]


@part
def pull_factors(
    step: Array,
    tape: tuple[Array, ...],
    data: Array,
    weights: Array,
    sample: int,
    overlap: Array,
    lane: int,
    work: Array,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the derivatives by the angles of an instruction's factors, from the last factor to the first."""
    _, factors, frequencies, constants = tape[:4]
    side, is_diagonal = step[SIDE], step[KIND] == DIAGONAL
    size = side if is_diagonal else side * side
    for k in range(size):
        work[0, k] = overlap[k, lane]
    for k in range(step[N_FACTORS] - 1, -1, -1):
        number = step[FACTORS] + k
        factor = factors[number]
        if factor[ANGLE] != NO_ANGLE:
            total = 0.0
            sine = factor[MATRICES] + 2 * size
            for entry in range(size):
                total += (constants[sine + entry] * work[0, entry]).real
            total *= 2.0 * frequencies[number]
            if factor[ANGLE] == DATA:
                data_grad[sample, factor[SLOT]] += total
            else:
                weight_grad[factor[SLOT]] += total
        if k == 0 or is_diagonal:
            continue
        angle = angle_of(factor, data, weights, sample)
        factor_matrix(factor, frequencies[number], angle, constants, size, work[1])
        for a in range(side):  # Y conj(F), then F^T
            for c in range(side):
                entry_sum = 0.0j
                for b in range(side):
                    entry_sum += work[0, a * side + b] * work[1, b * side + c].conjugate()
                work[2, a * side + c] = entry_sum
        for a in range(side):
            for c in range(side):
                entry_sum = 0.0j
                for b in range(side):
                    entry_sum += work[1, b * side + a] * work[2, b * side + c]
                work[0, a * side + c] = entry_sum


# --- the two calls ----------------------------------------------------------------------------------------------------


@part
def matrix_of(step: Array, shared: Pair, by_sample: Pair) -> Pair:
    """Return the entries of an instruction."""
    if step[BY_SAMPLE] < 0:
        return shared[0][step[ENTRIES] :], shared[1][step[ENTRIES] :]
    return by_sample[0][step[BY_SAMPLE] :], by_sample[1][step[BY_SAMPLE] :]


@part
def pair_like(values: Array, n_rows: int, n_columns: int) -> Pair:
    """Return memory for real and imaginary parts."""
    return np.empty((n_rows, n_columns), dtype=values.dtype), np.empty((n_rows, n_columns), dtype=values.dtype)


@kernel
def forward(
    tape: tuple[Array, ...],
    sizes: tuple[int, int, int],
    data: Array,
    weights: Array,
    lanes: int,
    states: Pair,
    values: Array,
) -> None:
    """Compute expectation values, and leave the final states where there is room for those of all samples.

    Args:
        tape: the arrays of the instructions.
        sizes: rows of the register, entries of all matrices, entries of each sample.
        data: (batch, inputs).
        weights: (weights,).
        lanes: samples of a block.
        states: for rows * batch numbers each, or rows * lanes where they are not kept.
        values: zeros, (batch, observables).
    """
    n_rows, n_entries, n_by_sample = sizes
    batch = len(data)
    shared, by_sample = pair_like(values, n_entries, 1), pair_like(values, n_by_sample, lanes)
    spare = np.empty_like(states[0][: n_rows * lanes]), np.empty_like(states[0][: n_rows * lanes])
    origin, yes, no = batch - batch, batch >= 0, batch < 0  # literals would compile each function once more
    make_matrices(tape, data, weights, origin, origin + 1, no, shared)
    keeps = len(states[0]) >= n_rows * batch
    for first in range(0, batch, lanes):
        width = min(lanes, batch - first)
        start = first * n_rows if keeps else 0
        state = states[0][start : start + n_rows * width], states[1][start : start + n_rows * width]
        make_matrices(tape, data, weights, first, width, yes, by_sample)
        state[0][:] = 0.0
        state[1][:] = 0.0
        state[0][:width] = 1.0
        for number in range(len(tape[0])):
            step = tape[0][number]
            apply(step, tape, state, spare, width, matrix_of(step, shared, by_sample), no)
        read(tape, state, width, n_rows, first, values)


@kernel
def backward(
    tape: tuple[Array, ...],
    sizes: tuple[int, int, int],
    data: Array,
    weights: Array,
    lanes: int,
    states: Pair,
    grad: Array,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the gradients of data and weights, by running the circuit backwards from its final states.

    Args:
        tape: the arrays of the instructions.
        sizes: rows of the register, entries of all matrices, entries of each sample.
        data: (batch, inputs).
        weights: (weights,).
        lanes: samples of a block, as in the forward pass.
        states: the final states, which stay as they are, rows * batch numbers each.
        grad: of the values, (batch, observables).
        data_grad: zeros, float64, (batch, inputs).
        weight_grad: zeros, float64, (weights,).
    """
    n_rows, n_entries, n_by_sample = sizes
    batch, table = len(data), tape[0]
    shared, by_sample = pair_like(grad, n_entries, 1), pair_like(grad, n_by_sample, lanes)
    overlaps = np.zeros((n_entries, 1), dtype=np.complex128)
    own = np.empty((256, lanes), dtype=np.complex128)
    work = np.empty((3, 256), dtype=np.complex128)
    memory = np.empty((6, n_rows * lanes), dtype=grad.dtype)
    origin, yes, no = batch - batch, batch >= 0, batch < 0  # literals would compile each function once more
    make_matrices(tape, data, weights, origin, origin + 1, no, shared)
    for first in range(0, batch, lanes):
        width = min(lanes, batch - first)
        size, start = n_rows * width, first * n_rows
        state, mu = (memory[0][:size], memory[1][:size]), (memory[2][:size], memory[3][:size])
        spare = memory[4], memory[5]
        for k in range(size):
            state[0][k], state[1][k] = states[0][start + k], states[1][start + k]
        make_matrices(tape, data, weights, first, width, yes, by_sample)
        pull_read(tape, state, width, n_rows, first, grad, mu)
        for number in range(len(table) - 1, -1, -1):
            step = table[number]
            matrix = matrix_of(step, shared, by_sample)
            if step[KIND] == SINGLE and step[BY_SAMPLE] < 0:
                pull_single(step, tape[4], state, mu, width, matrix, overlaps[step[ENTRIES] :])
                continue
            is_shared = step[BY_SAMPLE] < 0
            if step[KIND] != PERMUTATION:
                overlap = overlaps[step[ENTRIES] :] if is_shared else own
                if not is_shared:
                    own[:] = 0.0
                add_overlap(step, tape[4], state, mu, width, overlap)
                if not is_shared:
                    for lane in range(width):
                        pull_factors(step, tape, data, weights, first + lane, own, lane, work, data_grad, weight_grad)
            for which in range(2):
                apply(step, tape, state if which == 0 else mu, spare, width, matrix, yes)
    for number in range(len(table)):
        step = table[number]
        if step[KIND] != PERMUTATION and step[BY_SAMPLE] < 0:
            overlap = overlaps[step[ENTRIES] :]
            pull_factors(step, tape, data, weights, origin, overlap, origin, work, data_grad, weight_grad)
