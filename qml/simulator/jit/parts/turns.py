"""Real rotations and permutations with signs, and their way back.

Real and imaginary parts turn alike, so that these functions take one of them, a plane, at a time.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, part
from qml.simulator.jit.instructions import (
    ANGLE,
    BASES,
    BY_SAMPLE,
    DATA,
    FACTORS,
    MATRICES,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OFFSETS,
    PHASES,
    RUN,
    SLOT,
)


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
