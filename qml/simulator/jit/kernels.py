"""The kernel: all of a forward pass, and all of a backward pass, in one call each.

States are real and imaginary parts apart, `block` samples beside each other, so that the innermost loops run over
contiguous memory and become vector instructions. Blocks of samples are taken through the whole circuit one after
another, while their states lie in the caches. The backward pass runs the circuit backwards (Jones and Gacon,
arXiv:2009.02823): with mu = sum_m g_m H_m psi after an instruction U = F_k ... F_1, the derivative by the angle of F_k
with generator K is 2 Re sum_ac K_ac Y_ac, where Y_ac = sum conj(mu_a) psi_c; then Y becomes F^T Y conj(F) for the next.

Real states have imaginary parts of length 0.

Matrices are made in double precision whatever the precision of the states. Rounding aside, `FAST` changes nothing: sums
may be taken in any order and multiplications fused with additions, but NaN and infinity stay what they are. Unsigned
indices spare the loops a look at negative ones, which would keep them from becoming vector instructions.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, kernel, part
from qml.simulator.jit.instructions import (
    ANGLE,
    BASES,
    BY_SAMPLE,
    COEFFICIENTS,
    DATA,
    DIAGONAL,
    ENTRIES,
    FACTORS,
    KIND,
    MASK,
    MATRICES,
    MAX_SIDE,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OBSERVABLE,
    OFFSETS,
    PAIR,
    PERMUTATION,
    PHASED,
    PHASES,
    RUN,
    SECOND,
    SIDE,
    SINGLE,
    SLOT,
    TURN,
)
from qml.simulator.jit.turns import (
    add_torques,
    angle_of,
    has_weights,
    move,
    phased,
    pull_pair,
    pull_phases,
    pull_start,
    pull_turn,
    pull_turn_by_sample,
    start_state,
    turn,
    turn_pair,
    write_phases,
)

VERSION = 4  # numba keeps what it compiled until this file changes: count up with changes of the files it imports
CHUNK = 64  # numbers of each row of a group that a dense matrix takes at once


# --- matrices of instructions -----------------------------------------------------------------------------------------


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
    work = np.empty((3, MAX_SIDE * MAX_SIDE), dtype=np.complex128)
    for row in range(len(table)):
        side = table[row, SIDE]
        kind = table[row, KIND]
        if kind == PERMUTATION or kind == PHASED or (table[row, BY_SAMPLE] == 1) != by_sample:  # noqa: PLR1714, SIM109
            continue
        is_diagonal = table[row, KIND] == DIAGONAL
        size = side if is_diagonal else side * side
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


# --- application to states --------------------------------------------------------------------------------------------


@part
def permute(step: Array, tape: tuple[Array, ...], state: Pair, spare: Pair, block: int, inverse: bool) -> None:
    """Apply a permutation with phases, or its inverse."""
    constants, index = tape[3], tape[4]
    (real, imag), (new_real, new_imag) = state, spare
    width, n_rows = np.uint64(block), step[N_BASES]
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
def single(step: Array, index: Array, state: Pair, block: int, matrix: Pair) -> None:
    """Apply a matrix of side 2."""
    (real, imag), (m, n) = state, matrix
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    a, b, c, d = m[0, 0], m[1, 0], m[2, 0], m[3, 0]
    e, f, g, h = n[0, 0], n[1, 0], n[2, 0], n[3, 0]
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        j = i + distance
        for k in range(np.uint64(step[RUN]) * width):
            x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
            real[i + k] = a * x - e * y + b * z - f * w
            imag[i + k] = a * y + e * x + b * w + f * z
            real[j + k] = c * x - g * y + d * z - h * w
            imag[j + k] = c * y + g * x + d * w + h * z


@part
def dense(step: Array, index: Array, state: Pair, block: int, matrix: Pair, adjoint: bool) -> None:
    """Apply a matrix of any side, or its adjoint."""
    (real, imag), (m, n) = state, matrix
    side, sign = step[SIDE], real.dtype.type(-1 if adjoint else 1)
    width = np.uint64(block)
    span = np.uint64(step[RUN]) * width
    held_real, held_imag = np.empty((side, CHUNK), dtype=real.dtype), np.empty((side, CHUNK), dtype=real.dtype)
    for number in range(step[N_BASES]):
        begin = np.uint64(index[step[BASES] + number]) * width
        end = begin + span
        while begin < end:
            length = min(np.uint64(CHUNK), end - begin)
            for a in range(side):
                for k in range(length):
                    held_real[a, k] = 0.0
                    held_imag[a, k] = 0.0
                for b in range(side):
                    entry = b * side + a if adjoint else a * side + b
                    row = begin + np.uint64(index[step[OFFSETS] + b]) * width
                    c, s = m[entry, 0], sign * n[entry, 0]
                    for k in range(length):
                        x, y = real[row + k], imag[row + k]
                        held_real[a, k] += c * x - s * y
                        held_imag[a, k] += c * y + s * x
            for a in range(side):
                row = begin + np.uint64(index[step[OFFSETS] + a]) * width
                for k in range(length):
                    real[row + k] = held_real[a, k]
                    imag[row + k] = held_imag[a, k]
            begin += length


@part
def diagonal(step: Array, index: Array, state: Pair, block: int, matrix: Pair, adjoint: bool) -> None:
    """Apply a diagonal, or its adjoint."""
    (real, imag), (m, n) = state, matrix
    sign = real.dtype.type(-1 if adjoint else 1)
    width = np.uint64(block)
    for number in range(step[N_BASES]):
        for a in range(step[SIDE]):
            row = np.uint64(index[step[BASES] + number] + index[step[OFFSETS] + a]) * width
            if step[BY_SAMPLE] == 0:
                c, s = m[a, 0], sign * n[a, 0]
                for k in range(np.uint64(step[RUN]) * width):
                    x, y = real[row + k], imag[row + k]
                    real[row + k] = c * x - s * y
                    imag[row + k] = c * y + s * x
                continue
            cosines, sines = m[a], n[a]
            for _ in range(step[RUN]):
                for k in range(width):
                    x, y, c, s = real[row + k], imag[row + k], cosines[k], sign * sines[k]
                    real[row + k] = c * x - s * y
                    imag[row + k] = c * y + s * x
                row += width


# --- observables ------------------------------------------------------------------------------------------------------


@part
def read(tape: tuple[Array, ...], state: Pair, block: int, n_rows: int, first: int, values: Array) -> None:
    """Write the expectation values of a block of samples."""
    strings, coefficients = tape[5], tape[6]
    real, imag = state
    width = np.uint64(block)
    total = np.zeros(block, dtype=real.dtype)
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
        for place in range(block):
            values[first + place, observable] += total[place]


@part
def read_real(tape: tuple[Array, ...], real: Array, block: int, n_rows: int, first: int, values: Array) -> None:
    """Write the expectation values of a block of real states, which only the real parts of coefficients reach."""
    strings, coefficients = tape[5], tape[6]
    width = np.uint64(block)
    total = np.zeros(block, dtype=real.dtype)
    for number in range(len(strings)):
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        total[:] = 0.0
        for row in range(n_rows):
            c = real.dtype.type(coefficients[start + row].real)
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                total[k] += c * real[i + k] * real[j + k]
        for place in range(block):
            values[first + place, observable] += total[place]


@part
def pull_read_real(
    tape: tuple[Array, ...], real: Array, block: int, n_rows: int, first: int, grad: Array, mu: Array
) -> None:
    """Write mu = sum_m g_m Re(H_m) psi of real states."""
    strings, coefficients = tape[5], tape[6]
    width = np.uint64(block)
    mu[:] = 0.0
    scale = np.empty(block, dtype=real.dtype)
    for number in range(len(strings)):
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        for place in range(block):
            scale[place] = grad[first + place, observable]
        for row in range(n_rows):
            c = real.dtype.type(coefficients[start + row].real)
            i, j = np.uint64(row) * width, np.uint64(row ^ mask) * width
            for k in range(width):
                mu[i + k] += scale[k] * c * real[j + k]


@part
def pull_read(tape: tuple[Array, ...], state: Pair, block: int, n_rows: int, first: int, grad: Array, mu: Pair) -> None:
    """Write mu = sum_m g_m H_m psi."""
    strings, coefficients = tape[5], tape[6]
    (real, imag), (mu_real, mu_imag) = state, mu
    width = np.uint64(block)
    mu_real[:] = 0.0
    mu_imag[:] = 0.0
    scale = np.empty(block, dtype=real.dtype)
    for number in range(len(strings)):
        mask, observable, start = strings[number, MASK], strings[number, OBSERVABLE], strings[number, COEFFICIENTS]
        for place in range(block):
            scale[place] = grad[first + place, observable]
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
def pull_single(step: Array, index: Array, state: Pair, mu: Pair, block: int, matrix: Pair, overlap: Array) -> None:
    """Add Y of a matrix of side 2 to `overlap`, and apply its adjoint to psi and mu, in one pass."""
    (real, imag), (mu_real, mu_imag), (m, n) = state, mu, matrix
    width = np.uint64(block)
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
def add_overlap(step: Array, index: Array, state: Pair, mu: Pair, block: int, overlap: Array) -> None:
    """Add Y_ac = sum conj(mu_a) psi_c of a shared instruction to `overlap`; of a diagonal only a = c."""
    (real, imag), (mu_real, mu_imag) = state, mu
    side, is_diagonal = step[SIDE], step[KIND] == DIAGONAL
    for a in range(side):
        for c in range(a if is_diagonal else 0, a + 1 if is_diagonal else side):
            total, turned = real.dtype.type(0), real.dtype.type(0)
            for number in range(step[N_BASES]):
                base = index[step[BASES] + number]
                i = np.uint64((base + index[step[OFFSETS] + a]) * block)
                j = np.uint64((base + index[step[OFFSETS] + c]) * block)
                for k in range(np.uint64(step[RUN] * block)):
                    p, q, x, y = mu_real[i + k], mu_imag[i + k], real[j + k], imag[j + k]
                    total += p * x + q * y
                    turned += p * y - q * x
            overlap[a if is_diagonal else a * side + c, 0] += total + 1j * turned


@part
def pull_diagonal(
    step: Array,
    tape: tuple[Array, ...],
    state: Pair,
    mu: Pair,
    block: int,
    first: int,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the derivatives by the angles of a diagonal that differs between samples."""
    _, factors, frequencies, constants, index = tape[:5]
    (real, imag), (mu_real, mu_imag) = state, mu
    width, side = np.uint64(block), step[SIDE]
    turned = np.empty(block, dtype=real.dtype)
    for a in range(side):
        turned[:] = 0.0
        for number in range(step[N_BASES]):
            row = np.uint64(index[step[BASES] + number] + index[step[OFFSETS] + a]) * width
            for _ in range(step[RUN]):
                for k in range(width):
                    turned[k] += mu_real[row + k] * imag[row + k] - mu_imag[row + k] * real[row + k]
                row += width
        for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
            if factors[number, ANGLE] == NO_ANGLE:
                continue
            generator = constants[factors[number, MATRICES] + 2 * side + a].imag
            scale, slot = -2.0 * frequencies[number] * generator, factors[number, SLOT]
            for place in range(block):
                if factors[number, ANGLE] == DATA:
                    data_grad[first + place, slot] += scale * turned[place]
                else:
                    weight_grad[slot] += scale * turned[place]


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


# --- the two calls ----------------------------------------------------------------------------------------------------


@part
def matrix_of(step: Array, shared: Pair, by_sample: Pair) -> Pair:
    """Return the entries of an instruction."""
    if step[BY_SAMPLE] == 0:
        return shared[0][step[ENTRIES] :], shared[1][step[ENTRIES] :]
    return by_sample[0][step[ENTRIES] :], by_sample[1][step[ENTRIES] :]


@part
def make_shared(tape: tuple[Array, ...], n_rows: int, data: Array, weights: Array, angles: Array, shared: Pair) -> None:
    """Write all matrices and phases that the samples of a group share."""
    table = tape[0]
    origin, no = len(data) - len(data), len(data) < 0  # literals would compile each function once more
    make_matrices(tape, data, weights, origin, origin + 1, no, shared)
    flat = shared[0].reshape(-1), shared[1].reshape(-1)
    for number in range(len(table)):
        step = table[number]
        if step[KIND] == PHASED and step[BY_SAMPLE] == 0:
            start = step[ENTRIES]
            out = flat[0][start : start + n_rows], flat[1][start : start + n_rows]
            write_phases(step, tape, data, weights, origin, origin + 1, angles, out)


@part
def phases_of(
    step: Array,
    tape: tuple[Array, ...],
    data: Array,
    weights: Array,
    first: int,
    block: int,
    angles: Array,
    shared: Pair,
    scratch: Pair,
) -> Pair:
    """Return the phases of a phased permutation, those that differ between samples in `scratch`."""
    if step[BY_SAMPLE] == 1:
        write_phases(step, tape, data, weights, first, block, angles, scratch)
        return scratch
    start, end = step[ENTRIES], step[ENTRIES] + step[N_BASES]
    return shared[0].reshape(-1)[start:end], shared[1].reshape(-1)[start:end]


@kernel
def forward(
    tape: tuple[Array, ...],
    sizes: tuple[int, int, int, int],
    data: Array,
    weights: Array,
    block: int,
    states: Pair,
    values: Array,
) -> None:
    """Compute expectation values, and leave the final states where there is room for those of all samples.

    Args:
        tape: the arrays of the instructions.
        sizes: rows of the register, entries that a group shares, entries of each sample, rows of phases.
        data: (groups * batch, inputs).
        weights: (groups, weights).
        block: samples of a block.
        states: for rows * samples numbers each, or rows * block where they are not kept; imaginary parts of length 0
            where states are real.
        values: zeros, (groups * batch, observables).
    """
    n_rows, n_entries, n_by_sample, n_phases = sizes
    n_samples, table, kind = len(data), tape[0], values.dtype
    batch, is_complex = n_samples // len(weights), len(states[1]) > 0
    shared = np.empty((n_entries, 1), dtype=kind), np.empty((n_entries, 1), dtype=kind)
    by_sample = np.empty((n_by_sample, block), dtype=kind), np.empty((n_by_sample, block), dtype=kind)
    spare = np.empty(n_rows * block, dtype=kind), np.empty(n_rows * block, dtype=kind)
    scratch = np.empty(n_phases * block, dtype=kind), np.empty(n_phases * block, dtype=kind)
    angles = np.empty(n_phases * block)
    origin, yes, no = n_samples - n_samples, n_samples >= 0, n_samples < 0  # literals would compile once more
    keeps = len(states[0]) >= n_rows * n_samples
    for group in range(len(weights)):
        own = weights[group]
        make_shared(tape, n_rows, data, own, angles, shared)
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            start = first * n_rows if keeps else 0
            state = states[0][start : start + n_rows * width], states[1][start : start + n_rows * width]
            make_matrices(tape, data, own, first, width, yes, by_sample)
            start_state(tape, data, first, width, n_rows, origin - 1, state)
            for number in range(len(table)):
                step = table[number]
                matrix = matrix_of(step, shared, by_sample)
                if step[KIND] == SECOND:
                    continue
                if step[KIND] == PAIR:
                    other = matrix_of(table[number + 1], shared, by_sample)
                    turn_pair(step, tape[4], state[0], width, matrix[0], other[0])
                    if is_complex:
                        turn_pair(step, tape[4], state[1], width, matrix[0], other[0])
                elif step[KIND] == TURN:
                    turn(step, tape[4], state[0], width, matrix[0], no)
                    if is_complex:
                        turn(step, tape[4], state[1], width, matrix[0], no)
                elif step[KIND] == PERMUTATION and not is_complex:
                    move(step, tape, state[0], spare[0], width, no)
                elif step[KIND] == PERMUTATION:
                    permute(step, tape, state, spare, width, no)
                elif step[KIND] == PHASED:
                    phases = phases_of(step, tape, data, own, first, width, angles, shared, scratch)
                    phased(step, tape[4], state, spare, width, phases, no)
                elif step[KIND] == SINGLE:
                    single(step, tape[4], state, width, matrix)
                elif step[KIND] == DIAGONAL:
                    diagonal(step, tape[4], state, width, matrix, no)
                else:
                    dense(step, tape[4], state, width, matrix, no)
            if is_complex:
                read(tape, state, width, n_rows, first, values)
            else:
                read_real(tape, state[0], width, n_rows, first, values)


@kernel
def backward(
    tape: tuple[Array, ...],
    sizes: tuple[int, int, int, int],
    data: Array,
    weights: Array,
    block: int,
    states: Pair,
    grad: Array,
    last_mu: Pair,
    wants_data: bool,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the gradients of data and weights, by running the circuit backwards from its final states.

    Args:
        tape: the arrays of the instructions.
        sizes: as in the forward pass.
        data: (groups * batch, inputs).
        weights: (groups, weights).
        block: samples of a block, as in the forward pass.
        states: the final states, which stay as they are, rows * samples numbers each.
        grad: of the values, (groups * batch, observables).
        last_mu: mu of the final states in the form of `states`, or arrays of length 0 where `grad` gives it.
        wants_data: whether the gradient of the data is wanted.
        data_grad: zeros, float64, (groups * batch, inputs).
        weight_grad: zeros, float64, (groups, weights).
    """
    n_rows, n_entries, n_by_sample, n_phases = sizes
    n_samples, table, kind = len(data), tape[0], grad.dtype
    batch, is_complex = n_samples // len(weights), len(states[1]) > 0
    shared = np.empty((n_entries, 1), dtype=kind), np.empty((n_entries, 1), dtype=kind)
    by_sample = np.empty((n_by_sample, block), dtype=kind), np.empty((n_by_sample, block), dtype=kind)
    overlaps, torques = np.empty((n_entries, 1), dtype=np.complex128), np.empty(n_entries)
    work = np.empty((3, MAX_SIDE * MAX_SIDE), dtype=np.complex128)
    memory = np.empty((6, n_rows * block), dtype=kind)
    spare = memory[4], memory[5]
    scratch = np.empty(n_phases * block, dtype=kind), np.empty(n_phases * block, dtype=kind)
    angles = np.empty(n_phases * block)
    origin, yes = n_samples - n_samples, n_samples >= 0  # literals would compile once more
    for group in range(len(weights)):
        own, own_grad = weights[group], weight_grad[group]
        overlaps[:] = 0.0
        torques[:] = 0.0
        make_shared(tape, n_rows, data, own, angles, shared)
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            size, start = n_rows * width, first * n_rows
            other = size if is_complex else 0
            state, mu = (memory[0][:size], memory[1][:other]), (memory[2][:size], memory[3][:other])
            for k in range(size):
                state[0][k] = states[0][start + k]
            for k in range(other):
                state[1][k] = states[1][start + k]
            make_matrices(tape, data, own, first, width, yes, by_sample)
            if len(last_mu[0]) > 0:
                for k in range(size):
                    mu[0][k] = last_mu[0][start + k]
                for k in range(other):
                    mu[1][k] = last_mu[1][start + k]
            elif is_complex:
                pull_read(tape, state, width, n_rows, first, grad, mu)
            else:
                pull_read_real(tape, state[0], width, n_rows, first, grad, mu[0])
            for number in range(len(table) - 1, -1, -1):
                step = table[number]
                matrix = matrix_of(step, shared, by_sample)
                overlap = overlaps[step[ENTRIES] :]
                if step[KIND] == SECOND:
                    continue
                if step[KIND] == PAIR:
                    last = table[number + 1]
                    two, overlap_two = matrix_of(last, shared, by_sample)[0], overlaps[last[ENTRIES] :]
                    pull_pair(step, tape[4], state[0], mu[0], width, matrix[0], two, overlap, overlap_two)
                    if is_complex:
                        pull_pair(step, tape[4], state[1], mu[1], width, matrix[0], two, overlap, overlap_two)
                    continue
                if step[KIND] == SINGLE:
                    pull_single(step, tape[4], state, mu, width, matrix, overlap)
                    continue
                if step[KIND] == PHASED:
                    phases = phases_of(step, tape, data, own, first, width, angles, shared, scratch)
                    if step[BY_SAMPLE] == 1:
                        if wants_data or has_weights(step, tape[1]):
                            add_torques(step, state, mu, width, angles)
                            pull_phases(step, tape, angles, width, first, data_grad, own_grad)
                    else:
                        add_torques(step, state, mu, width, torques[step[ENTRIES] :])
                    phased(step, tape[4], state, spare, width, phases, yes)
                    phased(step, tape[4], mu, spare, width, phases, yes)
                    continue
                if step[KIND] == TURN:
                    for plane in range(2 if is_complex else 1):
                        psi, pulled = (state[0], mu[0]) if plane == 0 else (state[1], mu[1])
                        if step[BY_SAMPLE] == 0:
                            pull_turn(step, tape[4], psi, pulled, width, matrix[0], overlap)
                            continue
                        if wants_data:
                            pull_turn_by_sample(step, tape, psi, pulled, width, first, data_grad, own_grad)
                        turn(step, tape[4], psi, width, matrix[0], yes)
                        turn(step, tape[4], pulled, width, matrix[0], yes)
                    continue
                if step[BY_SAMPLE] == 1:
                    pull_diagonal(step, tape, state, mu, width, first, data_grad, own_grad)
                elif step[KIND] != PERMUTATION:
                    add_overlap(step, tape[4], state, mu, width, overlap)
                if step[KIND] == PERMUTATION and not is_complex:
                    move(step, tape, state[0], spare[0], width, yes)
                    move(step, tape, mu[0], spare[0], width, yes)
                    continue
                for which in range(2):
                    moved = state if which == 0 else mu
                    if step[KIND] == PERMUTATION:
                        permute(step, tape, moved, spare, width, yes)
                    elif step[KIND] == DIAGONAL:
                        diagonal(step, tape[4], moved, width, matrix, yes)
                    else:
                        dense(step, tape[4], moved, width, matrix, yes)
            if wants_data:
                pull_start(tape, data, first, width, n_rows, mu, state, data_grad)
        for number in range(len(table)):
            step = table[number]
            if step[BY_SAMPLE] == 1 or step[KIND] == PERMUTATION:
                continue
            if step[KIND] == PHASED:
                own_torques = torques[step[ENTRIES] : step[ENTRIES] + n_rows]
                pull_phases(step, tape, own_torques, origin + 1, origin, data_grad, own_grad)
            else:
                pull_factors(step, tape, data, own, overlaps[step[ENTRIES] :], work, own_grad)
