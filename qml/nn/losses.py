"""Losses of binary classifiers whose prediction lies in [-1, 1] with labels -1 and +1, and of predicted words."""

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from qml import checks

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def farhi_neven_loss(prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Compute the mean of 1 - l <Y_r>, in [0, 2] (Farhi and Neven, arXiv:1802.06002, section 2).

    Args:
        prediction: <Y_r> in [-1, 1].
        labels: -1 or +1.
    """
    _require_binary(prediction, labels)
    return (1.0 - labels * prediction).mean()


def logistic_loss(
    prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"], *, scale: float | int = 4.0
) -> Float[Tensor, ""]:
    """Compute the mean of log(1 + exp(-scale l <Y_r>)), the cross-entropy with the logit scale * <Y_r>.

    Args:
        prediction: <Y_r> in [-1, 1].
        labels: -1 or +1.
        scale: of the logit.
    """
    _require_binary(prediction, labels)
    scale = checks.as_number(scale, "scale")
    return torch.nn.functional.softplus(-scale * labels * prediction).mean()


def hinge_loss(
    prediction: Float[Tensor, "*batch"], labels: Float[Tensor, "*batch"], *, margin: float | int = 1.0
) -> Float[Tensor, ""]:
    """Compute the mean of max(0, margin - l <Y_r>).

    Args:
        prediction: <Y_r> in [-1, 1].
        labels: -1 or +1.
        margin: value of l <Y_r> from which on the loss is 0.
    """
    _require_binary(prediction, labels)
    margin = checks.as_number(margin, "margin")
    return (margin - labels * prediction).clamp_min(0.0).mean()


def superposition_loss(positive: Float[Tensor, ""], negative: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Compute 1 - (<+1|U' Y U|+1> - <-1|U' Y U|-1>) / 2, in [0, 2].

    The loss of superpositions of all samples of a class (Farhi and Neven, arXiv:1802.06002).

    Args:
        positive: the prediction for the uniform superposition of all samples labelled +1.
        negative: the same for -1; see `QNNClassifier.expectation_of_states`.
    """
    for value, name in ((positive, "positive"), (negative, "negative")):
        _require_floating(value, name)
    return 1.0 - (positive - negative) / 2.0


def word_loss(probabilities: Float[Tensor, "*batch words"], targets: Integer[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Compute the cross-entropy of probability vectors as logits, less its lowest value; 0 for certain targets.

    The loss of recurrent quantum networks (Bausch, arXiv:2006.14619): logits in [0, 1] keep the gradient bounded where
    a target's probability is small. The lowest value for n words is ln(n - 1 + e) - 1.

    Args:
        probabilities: rows that add up to 1.
        targets: the right words, 0 to n - 1; negative ones are left out.

    Raises:
        ValueError: probabilities hold NaN; targets have another shape, or lie beyond n - 1.
        TypeError: probabilities are not floating, or targets are not integer.
    """
    counted = _counted(probabilities, targets)
    n_words = probabilities.shape[-1]
    loss = torch.nn.functional.cross_entropy(probabilities.reshape(-1, n_words), counted, ignore_index=-1)
    return loss - (math.log(n_words - 1 + math.e) - 1.0)


def floored_likelihood_loss(
    probabilities: Float[Tensor, "*batch words"], targets: Integer[Tensor, "*batch"], *, floor: float = 0.15
) -> Float[Tensor, ""]:
    """Compute the mean of log(1 + floor) - log(p + floor) over the probabilities p of the targets.

    A likelihood with a floor: it is 0 where every target is certain, and its slope is at most 1 / floor. The slope
    grows as p falls, which that of `word_loss` hardly does, so that with ten classes or more words of small probability
    are still learned. Ours.

    Args:
        probabilities: rows that add up to 1.
        targets: the right words, 0 to n - 1; negative ones are left out.
        floor: above 0.

    Raises:
        ValueError: probabilities hold NaN; targets have another shape, or lie beyond n - 1; the floor is not above 0.
        TypeError: probabilities are not floating, or targets are not integer.
    """
    floor, counted = checks.as_number(floor, "floor", above=0.0), _counted(probabilities, targets)
    logarithms = torch.log((probabilities + floor) / (1.0 + floor)).reshape(-1, probabilities.shape[-1])
    return torch.nn.functional.nll_loss(logarithms, counted, ignore_index=-1)


def _counted(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Check the targets and return them in one row, with -1 for those that are left out."""
    _require_floating(probabilities, "probabilities")
    checks.require_tensor(targets, "targets")
    if targets.dtype in (torch.bool, torch.complex64, torch.complex128) or targets.is_floating_point():
        raise TypeError(f"Argument `targets` must be integer, but is {targets.dtype}. Convert it with targets.long().")
    if probabilities.ndim < 1:
        raise ValueError("Argument `probabilities` must have shape (..., words), but is a single number.")
    n_words = probabilities.shape[-1]
    if targets.shape != probabilities.shape[:-1]:
        raise ValueError(
            f"Argument `targets` must have shape {tuple(probabilities.shape[:-1])}, but has {tuple(targets.shape)}."
        )
    checks.require_same_device(targets, probabilities, "targets", "probabilities")
    targets = targets.long()
    if not (_hides(targets) or targets.is_meta) and targets.numel() and int(targets.max()) >= n_words:
        raise ValueError(f"Argument `targets` must be words below {n_words}, but holds {int(targets.max())}.")
    return torch.where(targets < 0, -1, targets).reshape(-1)


def _require_binary(prediction: Tensor, labels: Tensor) -> None:
    _require_floating(prediction, "prediction")
    checks.require_tensor(labels, "labels")
    if prediction.shape != labels.shape:
        raise ValueError(
            f"Argument `labels` must have the prediction's shape {tuple(prediction.shape)}, but has shape "
            f"{tuple(labels.shape)}."
        )
    checks.require_same_device(labels, prediction, "labels", "prediction")
    if labels.dtype not in FLOATING:
        raise TypeError(
            f"Argument `labels` must be floating, but is {labels.dtype}. For classes 0 and 1 pass "
            "2 * labels.float() - 1."
        )
    if labels.is_meta or _hides(labels):
        return
    if not bool((labels.detach().abs() == 1).all()):
        raise ValueError(
            "Argument `labels` must hold -1 and +1 only, but holds other values. Map classes 0 and 1 by 2 * labels - 1."
        )


def _hides(values: Tensor) -> bool:
    return checks.in_trace() or checks.hides_values_of(values)


def _require_floating(values: Tensor, name: str) -> None:
    """Refuse values that are not a floating tensor, or hold NaN."""
    checks.require_tensor(values, name)
    if values.dtype not in FLOATING:
        raise TypeError(f"Argument `{name}` must be floating, but is {values.dtype}. Convert it with {name}.float().")
    checks.require_finite(values, name)
