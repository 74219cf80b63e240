"""Complex matrices of a few sites, diagonals and permutations, and their way back."""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part
from qml.simulator.jit.instructions import (
    ANGLE,
    BASES,
    BY_SAMPLE,
    DATA,
    DIAGONAL,
    FACTORS,
    KIND,
    MATRICES,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OFFSETS,
    PHASES,
    RUN,
    SIDE,
    SLOT,
)
from qml.simulator.jit.parts.rows import multiply_rows

CHUNK = 64  # numbers of each row of a group that a dense matrix takes at once


@part
def permute(step: Array, tape: tuple[Array, ...], state: Pair, spare: Pair, block: int, inverse: bool) -> None:
    """Apply a permutation with phases, or its inverse."""
    constants, index = tape[3], tape[4]
    (real, imag), (new_real, new_imag) = state, spare
    width, n_rows = np.uint64(block), step[N_BASES]
    if step[BASES] < 0:
        multiply_by_phases(step, constants, state, block, inverse)
        return
    for row in range(n_rows):
        source = index[step[BASES] + row]
        old = np.uint64(row if inverse else source) * width
        new = np.uint64(source if inverse else row) * width
        phase = constants[step[PHASES] + row] if step[PHASES] >= 0 else 1.0 + 0.0j
        c, s = real.dtype.type(phase.real), real.dtype.type(-phase.imag if inverse else phase.imag)
        multiply_rows(real, imag, old, width, c, s, new_real, new_imag, new)
    for k in range(np.uint64(n_rows) * width):
        real[k] = new_real[k]
        imag[k] = new_imag[k]


@part
def multiply_by_phases(step: Array, constants: Array, state: Pair, block: int, inverse: bool) -> None:
    """Multiply rows by the phases of a permutation that moves none, or by their inverse, where they are not 1."""
    real, imag = state
    width = np.uint64(block)
    for row in range(step[N_BASES] if step[PHASES] >= 0 else 0):
        phase, at = constants[step[PHASES] + row], np.uint64(row) * width
        if phase != 1.0:
            c, s = real.dtype.type(phase.real), real.dtype.type(-phase.imag if inverse else phase.imag)
            multiply_rows(real, imag, at, width, c, s, real, imag, at)


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
                size = np.uint64(step[RUN]) * width
                multiply_rows(real, imag, row, size, m[a, 0], sign * n[a, 0], real, imag, row)
                continue
            cosines, sines = m[a], n[a]
            for _ in range(step[RUN]):
                for k in range(width):
                    x, y, c, s = real[row + k], imag[row + k], cosines[k], sign * sines[k]
                    real[row + k] = c * x - s * y
                    imag[row + k] = c * y + s * x
                row += width


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
