"""The constant matrices of a linear map, the map with others in their place, and the bases to see them in."""

from typing import Literal

import numpy as np

from qml.simulator.linear import Linear

Axis = Literal["X", "Y", "Z"]
# columns: the +1 and the -1 eigenvector of each axis
AXIS_BASES: dict[Axis, np.ndarray] = {
    "Z": np.eye(2, dtype=complex),
    "X": np.array([[1, 1], [1, -1]]) / np.sqrt(2) + 0j,
    "Y": np.array([[1, 1], [1j, -1j]]) / np.sqrt(2),
}


def matrices_of(linear: Linear) -> list[np.ndarray]:
    """Return the constant matrix, then the cosine and sine matrix of every frequency."""
    return [linear.constant, *(matrix for _, *pair in linear.terms for matrix in pair)]


def with_matrices(linear: Linear, sites: tuple[int, ...], matrices: list[np.ndarray]) -> Linear:
    """Return a map with the frequencies and the slot of `linear`, but other sites and matrices in the same order."""
    terms = tuple(
        (frequency, matrices[1 + 2 * k], matrices[2 + 2 * k]) for k, (frequency, _, _) in enumerate(linear.terms)
    )
    return Linear(sites, matrices[0], terms, linear.slot)
