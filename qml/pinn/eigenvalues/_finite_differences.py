"""Finite differences on a box: cells of each coordinate, the symmetric matrix of an operator, and its lowest levels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from qml.pinn.eigenvalues.linear import UnknownSpectrum

VANISHING_SHARE = 1e-6  # of the largest coefficient: below it a coefficient counts as zero
PERIODIC = "periodic"
Ends = tuple[float, float] | str
"""Of an axis: the ratio b / a in a u + b u' = 0 at its lower and upper end, 0 for u = 0; or that it is periodic."""


@dataclass(frozen=True)
class Axis:
    """Cells of one coordinate, and the flux p u' through their faces.

    Attributes:
        width: of a cell.
        fluxes: p at all faces of the cells, one more than cells.
        factor: of the second derivative by this coordinate, relative to the first coordinate's.
        ends: the conditions.
    """

    width: float
    fluxes: np.ndarray
    factor: float
    ends: Ends

    @property
    def mass(self) -> np.ndarray:
        """Return the coefficient p in the middles of the cells."""
        return np.sqrt(self.fluxes[1:] * self.fluxes[:-1])

    def bands(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Return diagonal, next diagonal and corner of the symmetric matrix of -(p u')' times the factor."""
        inner = self.factor * self.fluxes / self.width**2
        if self.ends == PERIODIC:
            if abs(self.fluxes[0] - self.fluxes[-1]) > VANISHING_SHARE * self.fluxes.max():
                raise UnknownSpectrum("the coefficients are not periodic")
            return inner[1:] + inner[:-1], -inner[1:-1], -float(inner[0])
        diagonal = np.zeros(len(self.fluxes) - 1)
        diagonal[:-1] += inner[1:-1]
        diagonal[1:] += inner[1:-1]
        below, above = (float(ratio) for ratio in self.ends)
        half = self.width / 2  # the flux at a wall, where u' follows from the condition and the half cell before it
        diagonal[0] += inner[0] * self.width / (half - below)
        diagonal[-1] += inner[-1] * self.width / (half + above)
        return diagonal, -inner[1:-1], 0.0


def symmetric_matrix(axes: list[Axis], potential: np.ndarray, weights: np.ndarray) -> Any:
    """Return the symmetric matrix whose eigenvalues are the levels."""
    from scipy import sparse

    total: Any = sparse.diags_array(potential)
    for index, axis in enumerate(axes):
        diagonal, beside, corner = axis.bands()
        n = len(diagonal)
        factor = sparse.diags_array([beside, diagonal, beside], offsets=(-1, 0, 1)).tolil()  # pyright: ignore[reportArgumentType]
        if corner:
            factor[0, n - 1] = factor[n - 1, 0] = corner
        term: Any = sparse.eye_array(1)
        for other, masses in enumerate(axes):
            term = sparse.kron(term, factor if other == index else sparse.diags_array(masses.mass))
        total = total + term
    scale = sparse.diags_array(1 / np.sqrt(weights))
    return (scale @ total @ scale).tocsc()


def lowest_levels(matrix: Any, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the lowest eigenvalues by Lanczos from below Gershgorin's bound, from a vector without symmetry."""
    from scipy.sparse.linalg import eigsh

    diagonal = matrix.diagonal()
    bound = float((diagonal - (np.abs(matrix).sum(1) - np.abs(diagonal))).min())
    start = np.random.default_rng(0).uniform(0.5, 1.5, len(diagonal))
    shift = bound - 1e-3 * (1 + abs(bound))
    levels, states = eigsh(matrix, n_levels, sigma=shift, v0=start, ncv=4 * n_levels)
    return np.sort(levels), states[:, np.argsort(levels)]


def product_on_grid(columns: list[np.ndarray]) -> np.ndarray:
    """Multiply functions of one coordinate each, on the grid of all."""
    return np.stack(np.meshgrid(*columns, indexing="ij")).prod(0).ravel()


def cell_means(column: np.ndarray, n_cells: int, parts: int, n_axes: int) -> np.ndarray:
    """Average over the parts of each cell."""
    return column.reshape((n_cells, parts) * n_axes).mean(tuple(range(1, 2 * n_axes, 2))).ravel()
