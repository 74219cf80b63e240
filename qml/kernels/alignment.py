"""The alignment of a kernel with labels, which trainable kernels are trained to raise."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks
from qml.kernels.matrices import require_gram

CENTRING_ERROR = 16.0  # rounding steps, relative to the norm of the matrix, that means of rows may leave of a constant


def target_alignment(gram: Any, labels: Any, *, centred: bool = True) -> Float[Tensor, ""]:  # tensors, checked below
    r"""Compute the cosine of the angle between a kernel matrix and the ideal one of the labels, in [-1, 1].

    A(K, T) = <K, T> / (|K| |T|) in the Frobenius product, where T_ij is 1 for samples of the same class and
    -1 / (classes - 1) for others. It is differentiable: maximise it over a kernel's weights.

    Args:
        gram: Kernel matrix of the samples with themselves.
        labels: Class of each sample: integers, or floating numbers such as -1.0 and +1.0.
        centred: Whether both matrices lose the means of their rows and columns first, so that a kernel that is constant
            has no alignment, and classes of different size count alike.

    Shape:
        (batch, batch) and (batch,) to ().

    Raises:
        ValueError: If the matrix is not square, symmetric and finite, if there is not a label for each row, if all
            samples have one class, or if all entries of the kernel matrix are equal (where `centred`).

    Reference:
        Cristianini et al., NIPS 14 (2001); centred: Cortes, Mohri and Rostamizadeh, JMLR 13 (2012) 795, Definition 4;
        of quantum kernels: Hubregtsen et al., arXiv:2105.02276, equation (22).
    """
    gram, centred = require_gram(gram), checks.as_flag(centred, "centred")
    checks.require_tensor(labels, "labels")
    if labels.shape != gram.shape[:1]:
        raise ValueError(
            f"Argument `labels` must hold one label a row of `gram`, shape ({len(gram)},), but has shape "
            f"{tuple(labels.shape)}."
        )
    classes, members = torch.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("Argument `labels` must hold two classes or more, but holds one. Pass samples of each class.")
    same = members[:, None] == members[None, :]
    ideal = torch.where(same, 1.0, -1.0 / (len(classes) - 1)).to(gram)
    rounding = CENTRING_ERROR * torch.finfo(gram.dtype).eps * gram.norm() if centred else 0.0
    if centred:
        gram, ideal = _centred(gram), _centred(ideal)
    norm = gram.norm() * ideal.norm()
    if not bool(gram.norm() > rounding):
        raise ValueError(
            "Argument `gram` must have entries that differ, but all are equal: this kernel tells no samples apart. "
            "Start from other weights or scale the inputs."
        )
    return (gram * ideal).sum() / norm


def _centred(gram: Tensor) -> Tensor:
    return gram - gram.mean(0, keepdim=True) - gram.mean(1, keepdim=True) + gram.mean()
