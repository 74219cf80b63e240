"""Divide a budget of shots among circuits by variance.

The gradient is a sum of coefficient times mean over runs. At a fixed number of runs the variance of the sum is least
where each circuit gets runs in proportion to |coefficient| times the standard deviation of one run (Neyman allocation,
J. R. Stat. Soc. 97, 558 (1934), equation for optimum allocation; for observables: Arrasmith et al., arXiv:2004.06252).
Here the coefficient is the shift rule's times the incoming gradient, and the deviation is sum_m |g_m| sigma_m with the
sigma_m of `qml.backends.shift.deviations`. The bases of one row, in a forward pass too, get shots in proportion to
their coefficients (`qml.backends.shift.sampled`).
"""

import numpy as np

LEVELS_AN_OCTAVE = 2  # shares are rounded to powers of sqrt(2), so that few numbers of shots differ
LOWEST_LEVEL = -20  # the least share is 2**-10 of the largest
TINY_WEIGHT = 1e-6  # of the largest, in place of 0, whose logarithm is not finite


def split_shots(weight: np.ndarray, shots: int) -> tuple[list[np.ndarray], list[int | None]]:
    """Group circuits by their shots, which are in proportion to their weights.

    Args:
        weight: for each circuit, |coefficient| times standard deviation, up to a factor.
        shots: the average; each circuit gets at least one.

    Returns:
        The numbers of the circuits of each group, and the shots of each circuit in it.
    """
    largest = weight.max(initial=0.0)
    if largest <= 0.0:
        return [np.arange(len(weight))], [shots]
    level = np.round(LEVELS_AN_OCTAVE * np.log2(np.maximum(weight / largest, TINY_WEIGHT)))
    share = 2.0 ** (np.maximum(level, LOWEST_LEVEL) / LEVELS_AN_OCTAVE)
    counts = np.maximum(1, np.floor(share * shots * len(weight) / share.sum())).astype(int)
    return [np.flatnonzero(counts == count) for count in np.unique(counts)], [int(count) for count in np.unique(counts)]
