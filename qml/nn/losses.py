"""Losses of binary classifiers whose prediction lies in [-1, 1] and whose labels are -1 and +1."""

import torch
from jaxtyping import Float
from torch import Tensor

from qml.nn._checks import in_transform


def farhi_neven_loss(prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Mean of 1 - l <Y_r>, in [0, 2] (Farhi and Neven, arXiv:1802.06002, section 2).

    Args:
        prediction: <Y_r> in [-1, 1].
        labels: -1 or +1.
    """
    _check(prediction, labels)
    return (1.0 - labels * prediction).mean()


def logistic_loss(
    prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"], *, scale: float | int = 4.0
) -> Float[Tensor, ""]:
    """Mean of log(1 + exp(-scale l <Y_r>)): cross-entropy with the logit scale * <Y_r>."""
    _check(prediction, labels)
    return torch.nn.functional.softplus(-scale * labels * prediction).mean()


def hinge_loss(
    prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"], *, margin: float | int = 1.0
) -> Float[Tensor, ""]:
    """Mean of max(0, margin - l <Y_r>)."""
    _check(prediction, labels)
    return (margin - labels * prediction).clamp_min(0.0).mean()


def superposition_loss(positive: Float[Tensor, ""], negative: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """1 - (<+1|U' Y U|+1> - <-1|U' Y U|-1>) / 2, in [0, 2] (Farhi and Neven, arXiv:1802.06002, on superpositions).

    Args:
        positive: the prediction for the uniform superposition of all samples labelled +1.
        negative: the same for -1; see `QNNClassifier.expectation_of_states`.
    """
    return 1.0 - (positive - negative) / 2.0


def _check(prediction: Tensor, labels: Tensor) -> None:
    if prediction.shape != labels.shape:
        raise ValueError(
            f"Argument `labels` must have the prediction's shape {tuple(prediction.shape)}, but has shape "
            f"{tuple(labels.shape)}."
        )
    if not labels.dtype.is_floating_point:
        raise TypeError(f"Argument `labels` must be floating, but is {labels.dtype}. Convert it with labels.to(float).")
    if not in_transform() and not bool((labels.detach().abs() == 1).all()):
        raise ValueError(
            "Argument `labels` must hold -1 and +1 only, but holds other values. Map classes 0 and 1 by 2 * labels - 1."
        )
