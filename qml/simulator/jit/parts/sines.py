"""Cosines and sines of many angles."""

import math

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, part

LARGE = 1e8  # sum of squares from which angles go to the sine and cosine of the system, which reduce them exactly
HALF_PI = np.pi / 2.0
C2, C4, C6, C8, C10, C12, C14, C16 = ((-1) ** (n // 2) / math.factorial(n) for n in range(2, 17, 2))  # Taylor's
S3, S5, S7, S9, S11, S13, S15 = ((-1) ** (n // 2) / math.factorial(n) for n in range(3, 16, 2))


@part
def write_turns(angles: Array, size: int, out: Pair) -> None:
    """Write cosines and sines of angles, four or eight at a time, which calls of the system's functions cannot be.

    An angle is a number of quarter turns and a rest of at most pi / 4, of which Taylor series to the 16th power have
    all digits. The error is that of a rounding of the angle, and two roundings of the result, at most.
    """
    cosines, sines = out
    kind, total = cosines.dtype, 0.0
    for k in range(np.uint64(size)):
        total += angles[k] * angles[k]
    if not total < LARGE:  # or not a number
        for k in range(np.uint64(size)):
            cosines[k] = kind.type(np.cos(angles[k]))
            sines[k] = kind.type(np.sin(angles[k]))
        return
    for k in range(np.uint64(size)):
        quarters = np.floor(angles[k] * (1.0 / HALF_PI) + 0.5)
        r = angles[k] - quarters * HALF_PI
        z = r * r
        c = C12 + z * (C14 + z * C16)
        c = C6 + z * (C8 + z * (C10 + z * c))
        c = 1.0 + z * (C2 + z * (C4 + z * c))
        s = S11 + z * (S13 + z * S15)
        s = S5 + z * (S7 + z * (S9 + z * s))
        s = r + r * z * (S3 + z * s)
        halves = np.floor(quarters / 2.0)
        odd = quarters - 2.0 * halves  # 1 after an odd number of quarter turns: cos is -sin of the rest, and sin is cos
        sign = 1.0 - 2.0 * (halves - 2.0 * np.floor(halves / 2.0))
        cosines[k] = kind.type(sign * (c - odd * (c + s)))
        sines[k] = kind.type(sign * (s + odd * (c - s)))
