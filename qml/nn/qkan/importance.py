"""How much the edges of a layer contribute to its outputs."""

from collections.abc import Sequence

import torch
from torch import Tensor


def importance(values: Tensor) -> Tensor:
    """Return the standard deviation of every edge's part of the output, (batch, outputs, inputs), over the batch."""
    return _over_samples(values).std(0, correction=0)


def penalty(values: Tensor, entropy: float) -> Tensor:
    """Return the sum of the edges' mean sizes plus `entropy` times the entropy of their shares.

    Args:
        values: every edge's part of the output, (batch, outputs, inputs).
        entropy: weight of the entropy.
    """
    sizes = _over_samples(values).abs().mean(0)
    shares = sizes / sizes.sum().clamp_min(torch.finfo(sizes.dtype).tiny)
    return sizes.sum() + entropy * torch.special.entr(shares).sum()


def require_edges_left(masks: Sequence[Tensor], scores: Sequence[Tensor], argument: str) -> None:
    """Refuse masks of which one leaves no edge.

    Raises:
        ValueError: a layer without edges, behind which everything is constant.
    """
    for place, (mask, score) in enumerate(zip(masks, scores, strict=True)):
        if not mask.any():
            raise ValueError(
                f"Argument `{argument}` must leave an edge in every layer, but layer {place} would have none: the "
                f"network would be a constant. Its most important edge has {float(score.max()):.3g}; pass less."
            )


def _over_samples(values: Tensor) -> Tensor:
    """Refuse an empty batch."""
    if len(values) == 0:
        raise ValueError(
            "Argument `inputs` must hold at least one sample, but is empty. Pass samples to judge edges by."
        )
    return values
