"""Warnings of forecasts that leave the range of the training."""

import warnings

from jaxtyping import Bool
from torch import Tensor

RANGE_MARGIN = 0.1  # of the width of the trained range, at either end


class ForecastRangeWarning(UserWarning):
    """A warning that a forecast holds values beyond those of the training, where nothing is known of its error."""


def warn_of_range(in_range: Bool[Tensor, "*batch horizon"], forecast: str) -> None:
    """Warn where some step of some series is not in range."""
    if bool(in_range.all()):
        return
    horizon = in_range.shape[-1]
    steps = in_range.reshape(-1, horizon).all(0)
    first = int((~steps).nonzero()[0])
    series = "" if in_range.ndim == 1 else f" in {int((~in_range.all(-1)).sum())} of {in_range[..., 0].numel()} series"
    warnings.warn(
        f"{forecast} leaves the range of its training at step {first + 1} of {horizon}{series}: at "
        f"{int((~steps).sum())} steps nothing is known of its error. Use a larger `alphas`, more data, or a "
        "shorter horizon.",
        ForecastRangeWarning,
        stacklevel=4,  # who called the method that called this, which is wrapped in torch.no_grad
    )
