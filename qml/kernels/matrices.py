"""Gram matrices: their checks, and the repair of those that were measured."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

SYMMETRY_TOLERANCE = 1e-3  # of measured matrices; float32 stands far below it


def nearest_positive(gram: Any) -> Float[Tensor, "batch batch"]:  # a tensor, checked below
    """Return the positive semidefinite matrix that is nearest to a symmetric one: negative eigenvalues become 0.

    Kernel matrices that were measured by shots or on a noisy device may have negative eigenvalues, which support vector
    machines and Gaussian processes do not take.

    Args:
        gram: A symmetric matrix, floating.

    Shape:
        (batch, batch) to the same.

    Raises:
        ValueError: If the matrix is not square, not symmetric, in half precision, or holds NaN or infinity.

    Reference:
        Nearest in the Frobenius norm: Higham, Linear Algebra Appl. 103 (1988) 103, Theorem 2.1; for quantum kernels
        Hubregtsen et al., arXiv:2105.02276, section VI.
    """
    gram = require_gram(gram)
    if gram.dtype not in checks.PRECISIONS:
        raise ValueError(
            f"Argument `gram` must be float32 or float64 for its eigenvalues, but is {gram.dtype}. Pass gram.float()."
        )
    with checks.full_precision(gram):
        values, vectors = torch.linalg.eigh(gram)
        return (vectors * values.clamp_min(0.0)) @ vectors.mT


def require_gram(gram: Any, name: str = "gram") -> Tensor:
    """Return a square symmetric matrix of finite real numbers, or refuse it."""
    checks.require_tensor(gram, name)
    if not gram.is_floating_point() or gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ValueError(
            f"Argument `{name}` must be a square matrix of floating numbers, but is {gram.dtype} of shape "
            f"{tuple(gram.shape)}."
        )
    checks.require_finite(gram, name)
    if gram.numel() and not bool((gram - gram.mT).abs().max() <= SYMMETRY_TOLERANCE * gram.abs().max()):
        raise ValueError(
            f"Argument `{name}` must be symmetric, but is not. Pass the matrix of one set of inputs with itself."
        )
    return (gram + gram.mT) / 2
