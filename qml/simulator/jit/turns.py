"""Parts of the kernel for circuits of real rotations between phases and permutations, and for amplitudes at the start.

A rotation RZ(c) RY(b) RZ(a) costs twice the arithmetic of its RY, if the RZ of all qubits and the permutations beside
them are one pass. Real and imaginary parts turn alike, so that the parts of RY take one of them, a plane, at a time.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part
from qml.simulator.jit.instructions import (
    AMPLITUDES,
    ANGLE,
    BASES,
    BY_SAMPLE,
    COMPLEX_DATA,
    DATA,
    DIGITS,
    FACTORS,
    GIVEN,
    MATRICES,
    N_AMPLITUDES,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OFFSETS,
    PHASES,
    RUN,
    SLOT,
    SOURCE,
    WEIGHT,
)


@part
def angle_of(factor: Array, data: Array, weights: Array, sample: int) -> float:
    """Return the angle of a factor."""
    if factor[ANGLE] == WEIGHT:
        return float(weights[factor[SLOT]])
    return float(data[sample, factor[SLOT]]) if factor[ANGLE] == DATA else 0.0


@part
def has_weights(step: Array, factors: Array) -> bool:
    """Tell whether a factor of an instruction has a weight as its angle."""
    found = False
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        found |= factors[number, ANGLE] == WEIGHT
    return found


# --- real rotations ---------------------------------------------------------------------------------------------------


@part
def turn(step: Array, index: Array, plane: Array, block: int, matrix: Array, back: bool) -> None:
    """Apply a real matrix of side 2, or its transpose, to one plane of the state."""
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    second, third = (2, 1) if back else (1, 2)
    if step[BY_SAMPLE] == 0:
        a, b, c, d = matrix[0, 0], matrix[second, 0], matrix[third, 0], matrix[3, 0]
        for number in range(step[N_BASES]):
            i = np.uint64(index[step[BASES] + number]) * width
            j = i + distance
            for k in range(np.uint64(step[RUN]) * width):
                x, z = plane[i + k], plane[j + k]
                plane[i + k] = a * x + b * z
                plane[j + k] = c * x + d * z
        return
    e, f, g, h = matrix[0], matrix[second], matrix[third], matrix[3]
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        for _ in range(step[RUN]):
            j = i + distance
            for k in range(width):
                x, z = plane[i + k], plane[j + k]
                plane[i + k] = e[k] * x + f[k] * z
                plane[j + k] = g[k] * x + h[k] * z
            i += width


@part
def pull_turn(step: Array, index: Array, plane: Array, mu: Array, block: int, matrix: Array, overlap: Array) -> None:
    """Add Y - Y^T of a shared rotation, over 2, to `overlap`, and apply its transpose to a plane of psi and of mu."""
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    a, b, c, d = matrix[0, 0], matrix[2, 0], matrix[1, 0], matrix[3, 0]
    cross = plane.dtype.type(0)
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        j = i + distance
        for k in range(np.uint64(step[RUN]) * width):
            x, z, p, r = plane[i + k], plane[j + k], mu[i + k], mu[j + k]
            cross += p * z - r * x
            plane[i + k] = a * x + b * z
            plane[j + k] = c * x + d * z
            mu[i + k] = a * p + b * r
            mu[j + k] = c * p + d * r
    overlap[1, 0] += 0.5 * cross
    overlap[2, 0] -= 0.5 * cross


@part
def turn_pair(step: Array, index: Array, plane: Array, block: int, one: Array, two: Array) -> None:
    """Apply real matrices of two sites to one plane, in one pass."""
    width = np.uint64(block)
    low, high = np.uint64(index[step[OFFSETS] + 1]) * width, np.uint64(index[step[OFFSETS] + 2]) * width
    a, b, c, d = one[0, 0], one[1, 0], one[2, 0], one[3, 0]
    e, f, g, h = two[0, 0], two[1, 0], two[2, 0], two[3, 0]
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        j, m, n = i + low, i + high, i + high + low
        for k in range(np.uint64(step[RUN]) * width):
            x, y, z, w = plane[i + k], plane[j + k], plane[m + k], plane[n + k]
            p, q, r, s = a * x + b * z, a * y + b * w, c * x + d * z, c * y + d * w
            plane[i + k] = e * p + f * q
            plane[j + k] = g * p + h * q
            plane[m + k] = e * r + f * s
            plane[n + k] = g * r + h * s


@part
def pull_pair(
    step: Array,
    index: Array,
    plane: Array,
    mu: Array,
    block: int,
    one: Array,
    two: Array,
    overlap: Array,
    overlap_two: Array,
) -> None:
    """Do for the matrices of two sites what `pull_turn` does for one."""
    width = np.uint64(block)
    low, high = np.uint64(index[step[OFFSETS] + 1]) * width, np.uint64(index[step[OFFSETS] + 2]) * width
    a, b, c, d = one[0, 0], one[2, 0], one[1, 0], one[3, 0]
    e, f, g, h = two[0, 0], two[2, 0], two[1, 0], two[3, 0]
    zero = plane.dtype.type(0)
    cross, cross_two = zero, zero
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        j, m, n = i + low, i + high, i + high + low
        for k in range(np.uint64(step[RUN]) * width):
            x, y, z, w = plane[i + k], plane[j + k], plane[m + k], plane[n + k]
            p, q, r, s = mu[i + k], mu[j + k], mu[m + k], mu[n + k]
            cross += p * z - r * x + q * w - s * y
            cross_two += p * y - q * x + r * w - s * z
            x, y, z, w = a * x + b * z, a * y + b * w, c * x + d * z, c * y + d * w
            p, q, r, s = a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s
            plane[i + k] = e * x + f * y
            plane[j + k] = g * x + h * y
            plane[m + k] = e * z + f * w
            plane[n + k] = g * z + h * w
            mu[i + k] = e * p + f * q
            mu[j + k] = g * p + h * q
            mu[m + k] = e * r + f * s
            mu[n + k] = g * r + h * s
    overlap[1, 0] += 0.5 * cross
    overlap[2, 0] -= 0.5 * cross
    overlap_two[1, 0] += 0.5 * cross_two
    overlap_two[2, 0] -= 0.5 * cross_two


@part
def pull_turn_by_sample(
    step: Array,
    tape: tuple[Array, ...],
    plane: Array,
    mu: Array,
    block: int,
    first: int,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the derivatives by the angles of rotations that differ between samples, all about the same axis."""
    _, factors, frequencies, constants, index = tape[:5]
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    cross = np.zeros(block, dtype=plane.dtype)
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        for _ in range(step[RUN]):
            j = i + distance
            for k in range(width):
                cross[k] += mu[i + k] * plane[j + k] - mu[j + k] * plane[i + k]
            i += width
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        if factors[number, ANGLE] == NO_ANGLE:
            continue
        start, slot = factors[number, MATRICES] + 8, factors[number, SLOT]
        scale = frequencies[number] * (constants[start + 1] - constants[start + 2]).real
        for place in range(block):
            if factors[number, ANGLE] == DATA:
                data_grad[first + place, slot] += scale * cross[place]
            else:
                weight_grad[slot] += scale * cross[place]


@part
def move(step: Array, tape: tuple[Array, ...], plane: Array, spare: Array, block: int, inverse: bool) -> None:
    """Apply a permutation with signs, or its inverse, to one plane."""
    constants, index = tape[3], tape[4]
    width, n_rows = np.uint64(block), step[N_BASES]
    for row in range(n_rows):
        source = index[step[BASES] + row] if step[BASES] >= 0 else row
        old = np.uint64(row if inverse else source) * width
        new = np.uint64(source if inverse else row) * width
        sign = plane.dtype.type(constants[step[PHASES] + row].real if step[PHASES] >= 0 else 1.0)
        for k in range(width):
            spare[new + k] = sign * plane[old + k]
    for k in range(np.uint64(n_rows) * width):
        plane[k] = spare[k]


# --- phases of whole registers ----------------------------------------------------------------------------------------


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
    angles[:size] = 0.0
    for number in range(step[FACTORS], step[FACTORS] + step[N_FACTORS]):
        start = factors[number, MATRICES] * block
        for place in range(block):
            angles[start + place] += frequencies[number] * angle_of(factors[number], data, weights, first + place)
    walsh(angles, n_rows, block)
    for row in range(n_rows):
        phase = constants[step[PHASES] + row] if step[PHASES] >= 0 else 1.0 + 0.0j
        for k in range(row * block, (row + 1) * block):
            cosine, sine = np.cos(angles[k]), np.sin(angles[k])
            out[0][k] = kind.type(cosine * phase.real - sine * phase.imag)
            out[1][k] = kind.type(cosine * phase.imag + sine * phase.real)


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
        c, s = cosines[row], sign * sines[row]
        for k in range(width):
            x, y = real[old + k], imag[old + k]
            new_real[new + k] = c * x - s * y
            new_imag[new + k] = c * y + s * x
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


# --- amplitudes at the start ------------------------------------------------------------------------------------------


@part
def amplitudes_of(start: Array, tape: tuple[Array, ...], data: Array, first: int, block: int, out: Pair) -> None:
    """Write the amplitudes of one preparation, (amplitudes, block)."""
    constants, index = tape[3], tape[4]
    size = start[N_AMPLITUDES]
    for row in range(size):
        for place in range(block):
            out[1][row, place] = 0.0
            if start[SOURCE] == GIVEN:
                out[0][row, place] = constants[start[AMPLITUDES] + row].real
                out[1][row, place] = constants[start[AMPLITUDES] + row].imag
                continue
            out[0][row, place] = data[first + place, index[start[AMPLITUDES] + row]]
            if start[SOURCE] == COMPLEX_DATA:
                out[1][row, place] = data[first + place, index[start[AMPLITUDES] + size + row]]


@part
def multiply_start(
    which: int, skipped: bool, tape: tuple[Array, ...], n_rows: int, amplitudes: Pair, state: Pair, block: int
) -> None:
    """Multiply rows by the amplitudes of a preparation, unless it is skipped; rows that start at 0 become 0."""
    starts, index = tape[7], tape[4]
    real, imag = state
    is_complex, width = len(imag) > 0, np.uint64(block)
    for row in range(n_rows):
        digit = index[starts[which, DIGITS] + row]
        at = np.uint64(row) * width
        if digit < 0:
            for k in range(width):
                real[at + k] = 0.0
                if is_complex:
                    imag[at + k] = 0.0
            continue
        if skipped:
            continue
        c, s = amplitudes[0][digit], amplitudes[1][digit]
        if not is_complex:
            for k in range(width):
                real[at + k] *= c[k]
            continue
        for k in range(width):
            x, y = real[at + k], imag[at + k]
            real[at + k] = c[k] * x - s[k] * y
            imag[at + k] = c[k] * y + s[k] * x


@part
def start_state(
    tape: tuple[Array, ...], data: Array, first: int, block: int, n_rows: int, but: int, state: Pair
) -> None:
    """Write the product of all preparations but one (-1: of all), |0...0> elsewhere."""
    starts = tape[7]
    real, imag = state
    real[:] = 0.0
    imag[:] = 0.0
    if len(starts) == 0:
        real[:block] = 1.0
        return
    real[:] = 1.0
    most = 1
    for which in range(len(starts)):
        most = max(most, starts[which, N_AMPLITUDES])
    amplitudes = np.empty((most, block), dtype=real.dtype), np.empty((most, block), dtype=real.dtype)
    for which in range(len(starts)):
        if which != but:
            amplitudes_of(starts[which], tape, data, first, block, amplitudes)
        multiply_start(which, which == but, tape, n_rows, amplitudes, state, block)


@part
def pull_start(
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
    starts, index = tape[7], tape[4]
    is_complex = len(mu[1]) > 0
    for which in range(len(starts)):
        start = starts[which]
        if start[SOURCE] == GIVEN:
            continue
        start_state(tape, data, first, block, n_rows, which, others)
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
