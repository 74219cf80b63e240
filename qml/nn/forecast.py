"""Forecasts with intervals from any model that foretells the next value, by its errors on data it has not learnt."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.nn.modes import in_evaluation
from qml.reservoir.ensemble import Forecast

OneStep = Callable[[Tensor], Tensor]
"""From windows (batch, time, columns) to the next values (batch, columns)."""


@torch.no_grad()
def forecast_with_interval(
    one_step: OneStep,
    context: Float[Tensor, "time columns"],
    horizon: int,
    *,
    calibration: Float[Tensor, "others columns"],
    window: int,
    coverage: float = 0.9,
    stride: int = 1,
) -> Forecast:
    """Forecast a series by feeding predictions back, with an interval from forecasts of a part that was held out.

    The model forecasts `horizon` steps from many places of the calibration part. The interval at step h lies between
    quantiles of the errors at step h, with the correction of split conformal prediction for their number: for n
    exchangeable errors it holds the truth with at least the coverage. Errors of overlapping windows are not quite
    exchangeable, nor are those of a series that changes its habits, so the coverage is nearly, not exactly, kept.

    Args:
        one_step: the trained model as a function of windows, for example
            `lambda windows: head(layer(windows)[0][:, -1])`. A module is put into evaluation and back.
        context: the series so far, (time, columns); its last `window` steps are read.
        horizon: steps to forecast, at least 1.
        calibration: a part of the series that the model was not trained on, on the same scale; not the one that
            hyperparameters were chosen on.
        window: steps that the model reads, at least 1.
        coverage: of the interval at every step by itself, in (0, 1).
        stride: steps between the places of the calibration part that are forecast from.

    Returns:
        A `Forecast`: the closed loop as `mean`, the interval, and as `paths` the mean plus every error, (places,
        horizon, columns). `in_range` is None, since the range of the training is not known here.

    Raises:
        TypeError: no function, or no floating tensors.
        ValueError: a calibration part with too few places for the coverage; other shapes; values that are not finite.

    Reference:
        Lei et al., "Distribution-free predictive inference for regression", arXiv:1604.04173, algorithm 2, here with
        signed errors, each tail by itself, a step at a time.

    Example:
        >>> import torch
        >>> from qml.nn import forecast_with_interval
        >>> wave = torch.sin(torch.arange(200.0) / 5)[:, None]
        >>> result = forecast_with_interval(lambda w: w[:, -1], wave, 3, calibration=wave[100:], window=4)
        >>> result.mean.shape, bool((result.low <= result.high).all())
        (torch.Size([3, 1]), True)
    """
    checks.require_function(one_step, "one_step", "from windows to the next values")
    horizon, window = checks.as_int(horizon, "horizon", 1), checks.as_int(window, "window", 1)
    stride, alpha = checks.as_int(stride, "stride", 1), 1.0 - _as_coverage(coverage)
    for series, name, least in ((context, "context", window), (calibration, "calibration", window + horizon)):
        _require_series(series, name, least)
    if context.shape[1] != calibration.shape[1]:
        raise ValueError(
            f"Argument `calibration` must have {context.shape[1]} columns as the context, but has "
            f"{calibration.shape[1]}."
        )
    pieces = calibration.unfold(0, window + horizon, stride).transpose(1, 2)
    low, high = _ranks(len(pieces), alpha)
    with in_evaluation(one_step) if isinstance(one_step, nn.Module) else nullcontext():
        errors = pieces[:, window:] - _closed_loop(one_step, pieces[:, :window], horizon)
        mean = _closed_loop(one_step, context[None, -window:], horizon)[0]
    ordered = errors.sort(0).values
    return Forecast(mean, mean + ordered[low], mean + ordered[high], mean + errors)


def _closed_loop(one_step: OneStep, windows: Tensor, horizon: int) -> Float[Tensor, "batch horizon columns"]:
    values = []
    for step in range(horizon):
        value = one_step(windows)
        expected = (len(windows), windows.shape[2])
        if not isinstance(value, Tensor) or value.shape != expected:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"Argument `one_step` must return the next values of shape {expected} for windows of shape "
                f"{tuple(windows.shape)}, but returns {shape}."
            )
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"Argument `one_step` must stay finite in closed loop, but diverges after {step} steps.")
        values.append(value)
        windows = torch.cat([windows[:, 1:], value[:, None]], 1)
    return torch.stack(values, 1)


def _ranks(n: int, alpha: float) -> tuple[int, int]:
    """Return the places of the interval's ends among n errors in order."""
    rank = math.floor((n + 1) * alpha / 2 + 1e-9)
    if rank < 1:
        needed = math.ceil(2 / alpha - 1e-9) - 1
        raise ValueError(
            f"Argument `calibration` must give at least {needed} places to forecast from for a coverage of "
            f"{1 - alpha:g}, but gives {n}. Pass a longer part, a smaller stride or a smaller coverage."
        )
    return rank - 1, n - rank


def _as_coverage(coverage: Any) -> float:
    coverage = checks.as_number(coverage, "coverage")
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"Argument `coverage` must lie in (0, 1), but is {coverage}. Use for example 0.9.")
    return coverage


def _require_series(series: Any, name: str, least: int) -> None:
    checks.require_tensor(series, name)
    if series.ndim != 2 or not series.is_floating_point():
        raise ValueError(
            f"Argument `{name}` must be a floating tensor of shape (time, columns), but has shape "
            f"{tuple(series.shape)} and dtype {series.dtype}."
        )
    if len(series) < least:
        raise ValueError(f"Argument `{name}` must hold at least {least} steps, but holds {len(series)}.")
    checks.require_finite(series, name)
