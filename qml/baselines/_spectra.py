"""Matrices with eigenvalues of given moduli."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

DENSE_EIGENVALUES = 600  # units up to which all eigenvalues are computed; above, the largest by Arnoldi iteration


def annular_matrix(
    matrix: Float[np.ndarray, "units units"], inner: float, outer: float
) -> Float[np.ndarray, "units units"]:
    """Return a real matrix, its eigenvalues moved radially into inner <= |lambda| <= outer, the largest onto `outer`.

    A modulus m of the spectral radius rho becomes sqrt(inner^2 + (outer^2 - inner^2) (m / rho)^2), which maps the
    uniform disc of a large random matrix to the uniform annulus.
    """
    from scipy.linalg import schur

    # scaled first: an upper triangle far larger than the eigenvalues would make them meaningless
    largest = _largest_modulus(matrix)
    form, basis = schur(matrix * (outer / largest) if largest else matrix, output="real")[:2]
    size = len(form)
    blocks, start = [], 0
    while start < size:
        width = 2 if start + 1 < size and form[start + 1, start] != 0.0 else 1
        blocks.append(slice(start, start + width))
        start += width
    moduli = [float(np.abs(np.linalg.eigvals(form[block, block])).max()) for block in blocks]
    radius = max(*moduli, np.finfo(float).tiny)
    for block, modulus in zip(blocks, moduli, strict=True):
        wanted = math.sqrt(inner**2 + (outer**2 - inner**2) * (modulus / radius) ** 2)
        form[block, block] = form[block, block] * (wanted / modulus) if modulus > 0.0 else wanted
    return basis @ form @ basis.T


def scaled_to_radius(matrix: Any, spectral_radius: float) -> Any:
    """Scale a dense or sparse matrix so that its largest eigenvalue modulus is `spectral_radius`."""
    largest = _largest_modulus(matrix)
    if largest == 0.0:
        if spectral_radius == 0.0:
            return matrix
        raise ValueError(
            f"Argument `spectral_radius` must be 0 for a matrix without eigenvalues other than 0, but is "
            f"{spectral_radius}. Use more units or a larger density."
        )
    return matrix * (spectral_radius / largest)


def _largest_modulus(matrix: Any) -> float:
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    size = matrix.shape[0]
    if size <= DENSE_EIGENVALUES:
        return float(np.abs(np.linalg.eigvals(_dense(matrix))).max())
    try:
        start = np.full(size, size**-0.5)  # a start of its own would make the result random
        return float(np.abs(eigs(matrix, k=1, v0=start, return_eigenvectors=False)).max())
    except ArpackNoConvergence:
        return float(np.abs(np.linalg.eigvals(_dense(matrix))).max())


def _dense(matrix: Any) -> np.ndarray:
    from scipy.sparse import issparse

    return matrix.toarray() if issparse(matrix) else matrix
