"""Rotations of single sites that differ between samples: products of rotations about X, Y and Z by data and weights.

A product of rotations is a matrix [[a, -b*], [b, a*]], held as the four real numbers Re a, Im a, Re b, Im b. A rotation
exp(-i t P) from the left turns two pairs of them by t, whichever Pauli matrix P is. On the way back the three numbers
Im <mu| (Z, Y, X) |psi> give the derivatives by the angles of all factors: from one factor to the one before, they turn
about the axis of that factor.
"""

from typing import Any

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, inlined, part
from qml.simulator.jit.instructions import (
    ANGLE,
    AXIS,
    BASES,
    DATA,
    FACTORS,
    KIND,
    N_BASES,
    N_FACTORS,
    NO_ANGLE,
    OFFSETS,
    ROTATION,
    RUN,
    SLOT,
    WEIGHT,
    Y_AXIS,
    Z_AXIS,
)
from qml.simulator.jit.parts.matrices import add_angles
from qml.simulator.jit.parts.sines import write_turns


@part
def share_sines(tape: tuple[Array, ...], weights: Array, sines: Pair) -> None:
    """Write cosines and sines of the angles that all samples share, (factors,) each."""
    table, factors, frequencies = tape[:3]
    angles = np.zeros(len(factors))
    for row in range(len(table)):
        if table[row, KIND] != ROTATION:
            continue
        for number in range(table[row, FACTORS], table[row, FACTORS] + table[row, N_FACTORS]):
            if factors[number, ANGLE] == WEIGHT:
                angles[number] = frequencies[number] * weights[factors[number, SLOT]]
            elif factors[number, ANGLE] == NO_ANGLE:
                angles[number] = frequencies[number]
    write_turns(angles, len(angles), sines)


@inlined
def make_products_room(n_turned: int, n_factors: int, block: int, kind: Any) -> tuple[Array, ...]:
    """Return room: cosines and sines that samples share, those of each, products, and the numbers of the way back."""
    shared = np.empty(n_factors), np.empty(n_factors)
    sines, work = np.empty((2, n_turned, block)), np.empty((5, block))
    return shared, sines, work, np.empty((4, block), dtype=kind), np.empty((3, block), dtype=kind)


@part
def make_product(
    step: Array, tape: tuple[Array, ...], given: Pair, span: tuple[int, int], room: tuple[Array, ...]
) -> None:
    """Write the product of an instruction's factors for the samples of a span, and their cosines and sines."""
    (data, weights), (first, block) = given, span
    shared, sines, work, rotation = room[0], room[1], room[2], room[3]
    factors, frequencies = tape[1], tape[2]
    angles, width = work[4], np.uint64(block)
    for place in range(width):
        work[0, place] = 1.0
    work[1:4] = 0.0
    for number in range(step[N_FACTORS]):
        at = step[FACTORS] + number
        cosine, sine = sines[0, number], sines[1, number]
        if factors[at, ANGLE] == DATA:
            angles[:] = 0.0
            add_angles(factors[at], frequencies[at], data, weights, first, block, angles)
            write_turns(angles, block, (cosine, sine))
        else:
            cosine[:] = shared[0][at]
            sine[:] = shared[1][at]
        axis = factors[at, AXIS]
        p, q = work[0], work[axis]
        r, s = work[2 if axis == Z_AXIS else 1], work[3 if axis <= Y_AXIS else 2]
        sign = -1.0 if axis == Y_AXIS else 1.0
        for place in range(width):
            c, d, e = cosine[place], sine[place], sign * sine[place]
            x, y, z, w = p[place], q[place], r[place], s[place]
            p[place] = c * x + e * y
            q[place] = c * y - e * x
            r[place] = c * z - d * w
            s[place] = c * w + d * z
    kind = rotation.dtype
    for k in range(4):
        for place in range(width):
            rotation[k, place] = kind.type(work[k, place])


@part
def rotate(step: Array, index: Array, state: Pair, block: int, rotation: Array) -> None:
    """Apply a rotation of each sample."""
    real, imag = state
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    a, b, c, d = rotation[0], rotation[1], rotation[2], rotation[3]
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        for _ in range(step[RUN]):
            j = i + distance
            for k in range(width):
                x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
                real[i + k] = a[k] * x - b[k] * y - c[k] * z - d[k] * w
                imag[i + k] = a[k] * y + b[k] * x - c[k] * w + d[k] * z
                real[j + k] = c[k] * x - d[k] * y + a[k] * z + b[k] * w
                imag[j + k] = c[k] * y + d[k] * x + a[k] * w - b[k] * z
            i += width


@part
def pull_rotation(
    step: Array, index: Array, state: Pair, mu: Pair, block: int, rotation: Array, moments: Array
) -> None:
    """Write Im <mu| (Z, Y, X) |psi>, (3, block), and apply the adjoint of a rotation to psi and mu, in one pass."""
    (real, imag), (mu_real, mu_imag) = state, mu
    width = np.uint64(block)
    distance = np.uint64(index[step[OFFSETS] + 1]) * width
    a, b, c, d = rotation[0], rotation[1], rotation[2], rotation[3]
    along_z, along_y, along_x = moments[0], moments[1], moments[2]
    moments[:] = 0.0
    for number in range(step[N_BASES]):
        i = np.uint64(index[step[BASES] + number]) * width
        for _ in range(step[RUN]):
            j = i + distance
            for k in range(width):
                x, y, z, w = real[i + k], imag[i + k], real[j + k], imag[j + k]
                p, q, r, s = mu_real[i + k], mu_imag[i + k], mu_real[j + k], mu_imag[j + k]
                along_z[k] += p * y - q * x - r * w + s * z
                along_y[k] += r * x + s * y - p * z - q * w
                along_x[k] += p * w - q * z + r * y - s * x
                real[i + k] = a[k] * x + b[k] * y + c[k] * z + d[k] * w
                imag[i + k] = a[k] * y - b[k] * x + c[k] * w - d[k] * z
                real[j + k] = a[k] * z - b[k] * w - c[k] * x + d[k] * y
                imag[j + k] = a[k] * w + b[k] * z - c[k] * y - d[k] * x
                mu_real[i + k] = a[k] * p + b[k] * q + c[k] * r + d[k] * s
                mu_imag[i + k] = a[k] * q - b[k] * p + c[k] * s - d[k] * r
                mu_real[j + k] = a[k] * r - b[k] * s - c[k] * p + d[k] * q
                mu_imag[j + k] = a[k] * s + b[k] * r - c[k] * q - d[k] * p
            i += width


@part
def pull_angles(
    step: Array, tape: tuple[Array, ...], span: tuple[int, int], room: tuple[Array, ...], grads: Pair
) -> None:
    """Add the derivatives by the angles of an instruction's factors, from the last to the first."""
    first, block = span
    sines, moments, (data_grad, weight_grad) = room[1], room[4], grads
    factors, frequencies = tape[1], tape[2]
    width = np.uint64(block)
    for number in range(step[N_FACTORS] - 1, -1, -1):
        at = step[FACTORS] + number
        axis, slot, scale = factors[at, AXIS], factors[at, SLOT], 2.0 * frequencies[at]
        own, left, right = moments[axis - 1], moments[(axis + 1) % 3], moments[axis % 3]
        cosine, sine = sines[0, number], sines[1, number]
        if factors[at, ANGLE] == DATA:
            for place in range(width):
                data_grad[np.uint64(first) + place, np.uint64(slot)] += scale * own[place]
        elif factors[at, ANGLE] == WEIGHT:
            total = 0.0
            for place in range(width):
                total += own[place]
            weight_grad[slot] += scale * total
        if number == 0:
            continue
        for place in range(width):
            c, s = cosine[place], sine[place]
            x, y = left[place], right[place]
            double_cosine, double_sine = c * c - s * s, 2.0 * c * s
            left[place] = x * double_cosine + y * double_sine
            right[place] = y * double_cosine - x * double_sine
