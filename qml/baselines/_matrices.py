"""Matrices and numbers that echo state networks are made from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from qml import checks


def sparse_normal(generator: np.random.Generator, units: int, density: float) -> Any:
    """Draw a matrix in compressed rows, of which a share `density` of the entries is normal and the others are 0."""
    from scipy.sparse import csr_array

    entries = generator.standard_normal((units, units))
    if density < 1.0:
        entries *= generator.random((units, units)) < density
    return csr_array(entries)


def draw_input_weight(generator: np.random.Generator, units: int, n_inputs: int, bias_scaling: float) -> np.ndarray:
    """Draw W_in, uniform in [-1, 1], its first column of biases scaled."""
    weight = generator.uniform(-1.0, 1.0, (units, 1 + n_inputs))
    weight[:, 0] *= bias_scaling
    return weight


def as_share(value: Any, name: str) -> float:
    """Return `value` as a float in (0, 1]."""
    share = checks.as_number(value, name)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"Argument `{name}` must lie in (0, 1], but is {share}.")
    return share


def as_seed(seed: Any) -> Any:
    """Return a seed as an int of at least 0, or None."""
    return None if seed is None else checks.as_int(seed, "seed", 0)


def as_numbers(values: Any, name: str) -> tuple[float, ...]:
    """Return a sequence of numbers as a tuple of floats."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"Argument `{name}` must be a sequence of numbers, but is {type(values).__name__}.")
    return tuple(checks.as_number(value, name) for value in values)


def as_matrix(matrix: Any, name: str) -> Any:
    """Return a matrix of real numbers as float64, in NumPy or SciPy."""
    from scipy.sparse import issparse

    if isinstance(matrix, Tensor):
        checks.require_tensor(matrix, name)
        if matrix.is_meta:
            raise ValueError(f"Argument `{name}` must have values, but is on the meta device.")
        matrix = matrix.detach().cpu().numpy()
    matrix = matrix if issparse(matrix) else np.asarray(matrix)
    if matrix.dtype.kind not in "fiu":
        raise TypeError(f"Argument `{name}` must be a matrix of real numbers, but holds {matrix.dtype}.")
    return matrix.astype(float)
