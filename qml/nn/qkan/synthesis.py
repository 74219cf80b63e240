"""Angles that make a given trigonometric polynomial: the way back from a spectrum to a circuit.

Every real trigonometric polynomial p of degree r with |p| < 1 is the <Z> of the ansatz "pz" with r uploads. Both
(1 + p) / 2 and (1 - p) / 2 are positive, so they are |P|**2 and |Q|**2 of polynomials of degree r in exp(i x), by Fejer
and Riesz, and (P, Q) is the state at the end of the circuit. Then the gates are taken off, one upload after another,
each of which must lower the degree.

Reference:
    Yu et al., "Power and limitations of single-qubit native quantum neural networks", arXiv:2205.07848, which proves
    that such circuits are universal; the factorisation by outer functions keeps the peeling stable.
"""

import numpy as np

TRANSFORM_POINTS = (
    4096  # points of the transforms: the logarithm of a function that comes within 0.05 of 0 at degree 20
)


def angles_of(cosines: np.ndarray, sines: np.ndarray) -> np.ndarray:
    """Compute the weights of the ansatz "pz" with which <Z> = sum_k cosines_k cos(k x) + sines_k sin(k x).

    Args:
        cosines: of orders 0 to r, shape (edges, r + 1).
        sines: of the same orders, the first one unused; the polynomial's modulus must stay below 1.

    Returns:
        Angles in radians, shape (edges, 2 (r + 1)).
    """
    reps = cosines.shape[1] - 1
    spectrum = np.zeros((len(cosines), TRANSFORM_POINTS // 2 + 1), dtype=complex)
    spectrum[:, : reps + 1] = (cosines - 1j * sines) * TRANSFORM_POINTS / 2
    spectrum[:, 0] = cosines[:, 0] * TRANSFORM_POINTS
    values = np.fft.irfft(spectrum, TRANSFORM_POINTS)
    largest = np.abs(values).max()
    if not largest < 1.0:
        raise ValueError(f"A polynomial must stay below 1 to be an expectation value, but reaches {largest:.3g}.")
    state = np.stack([_outer((1 + sign * values) / 2, reps) for sign in (1, -1)], 1)  # (edges, 2, orders)
    return _peel(state)


def _outer(positive: np.ndarray, degree: int) -> np.ndarray:
    """Compute the polynomial in exp(i x) without zeros in the disc whose squared modulus is `positive`."""
    size = positive.shape[1]
    logarithm = np.fft.fft(0.5 * np.log(positive)) / size
    logarithm[:, 1 : size // 2] *= 2  # the analytic part, without negative orders
    logarithm[:, size // 2 :] = 0
    return (np.fft.fft(np.exp(np.fft.ifft(logarithm) * size)) / size)[:, : degree + 1]


def _peel(state: np.ndarray) -> np.ndarray:
    """Compute the angles of the gates that make `state`, the last ones first."""
    edges, _, blocks = state.shape
    angles = np.zeros((edges, blocks, 2))
    for block in range(blocks - 1, -1, -1):
        first = state[:, :, 0]  # the image of |0>, as the upload before it leaves order 0 to the upper part
        turn = np.angle(first[:, 1]) - np.angle(first[:, 0])  # about Z, by the next block; unseen behind the last
        tilt = 2 * np.arctan2(np.abs(first[:, 1]), np.abs(first[:, 0]))
        if block + 1 < blocks:
            angles[:, block + 1, 0] = turn
        angles[:, block, 1] = tilt if block else tilt - np.pi / 2  # the first block turns |+>
        upper, lower = state[:, 0], state[:, 1] * np.exp(-1j * turn)[:, None]
        cosine, sine = np.cos(tilt / 2)[:, None], np.sin(tilt / 2)[:, None]
        state = np.stack([(cosine * upper + sine * lower)[:, :-1], (cosine * lower - sine * upper)[:, 1:]], 1)
    return angles.reshape(edges, -1)
