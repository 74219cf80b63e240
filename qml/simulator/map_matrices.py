"""The constant matrices of a linear map, one by one, and the map with others in their place."""

import numpy as np

from qml.simulator.linear import Linear


def matrices_of(linear: Linear) -> list[np.ndarray]:
    """Return the constant matrix, then the cosine and sine matrix of every frequency."""
    return [linear.constant, *(matrix for _, *pair in linear.terms for matrix in pair)]


def with_matrices(linear: Linear, sites: tuple[int, ...], matrices: list[np.ndarray]) -> Linear:
    """Return a map with the frequencies and the slot of `linear`, but other sites and matrices in the same order."""
    terms = tuple(
        (frequency, matrices[1 + 2 * k], matrices[2 + 2 * k]) for k, (frequency, _, _) in enumerate(linear.terms)
    )
    return Linear(sites, matrices[0], terms, linear.slot)
