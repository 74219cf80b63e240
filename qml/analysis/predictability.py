"""The predictability of chaotic systems: Lyapunov exponents and valid prediction times."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.pictures import ShowsPlot, axes_of
from qml import checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROUNDING_SHARE = 0.05  # of a distance, that rounding may change
LEAST_DISTANCE = 1e-300  # a map may merge two states within rounding


@dataclass(frozen=True, eq=False)
class LyapunovEstimate(ShowsPlot):
    """An estimate of the largest Lyapunov exponent of a map, with its course over the steps.

    Args:
        growth: Logarithm of the factor by which a small distance grew in every step, shape (steps,).
        time_step: Time between steps.
    """

    growth: np.ndarray
    time_step: float

    @property
    def exponent(self) -> float:
        """Return the mean growth rate, in inverse time; above 0 the map is chaotic."""
        return float(self.growth.mean()) / self.time_step

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the mean over the steps so far against their number; it should be flat at the end."""
        axes = axes_of(ax)
        steps = np.arange(1, len(self.growth) + 1)
        axes.plot(steps * self.time_step, np.cumsum(self.growth) / steps / self.time_step)
        axes.axhline(self.exponent, color="grey", ls="--", lw=0.9)
        axes.set(xlabel="time averaged over", ylabel="growth rate of a distance")
        axes.set_title(f"Largest Lyapunov exponent {self.exponent:.3g}")
        return axes.figure  # pyright: ignore[reportReturnType]


def largest_lyapunov(
    step: Callable[[Tensor], Tensor],
    start: Float[Tensor, " state"],
    *,
    n_steps: int = 5000,
    washout: int = 500,
    distance: float = 1e-8,
    time_step: float = 1.0,
) -> LyapunovEstimate:
    """Estimate the largest Lyapunov exponent of a map: mean growth rate of a small distance, renewed every step.

    Args:
        step: Map from a state to the next, float64.
        start: The first state.
        n_steps: Number of steps over which the growth is averaged.
        washout: Number of steps before.
        distance: Distance of the neighbour at the start of every step.
        time_step: Time between steps; the exponent is in its inverse.

    Raises:
        ValueError: If the map leaves finite numbers or changes the state's shape or dtype, or the distance is lost in
            the rounding of the states.

    Reference:
        Benettin, Galgani, Giorgilli and Strelcyn, doi:10.1007/BF02128236.

    Example:
        >>> import torch
        >>> from qml.data import henon_step
        >>> estimate = largest_lyapunov(henon_step, torch.tensor([0.1, 0.1]))
        >>> 0.40 < estimate.exponent < 0.44
        True
    """
    checks.require_function(step, "step", "from a state to the next")
    checks.require_tensor(start, "start")
    if start.ndim != 1 or not len(start) or start.is_complex():
        raise ValueError(
            f"Argument `start` must be a real state of shape (state,), but has shape {tuple(start.shape)} and "
            f"{start.dtype}."
        )
    checks.require_finite(start, "start")
    n_steps, washout = checks.as_int(n_steps, "n_steps", 1), checks.as_int(washout, "washout", 0)
    distance = checks.as_number(distance, "distance", above=0.0)
    time_step = checks.as_number(time_step, "time_step", above=0.0)
    state = start.detach().double()
    away = distance / math.sqrt(len(state))
    neighbour = state + away
    growth = np.empty(n_steps)
    for number in range(-washout, n_steps):
        _require_distance(state, neighbour, distance)
        state, neighbour = _next(step, state), _next(step, neighbour)
        gap = neighbour - state
        size = float(torch.linalg.vector_norm(gap))
        if not math.isfinite(size):
            raise ValueError(
                f"Argument `step` must keep states finite, but leaves them after {number + washout} steps."
            )
        size = max(size, LEAST_DISTANCE)
        if number >= 0:
            growth[number] = math.log(size / distance)
        neighbour = state + (gap * (distance / size) if size > LEAST_DISTANCE else away)
    return LyapunovEstimate(growth, time_step)


def _next(step: Callable[[Tensor], Tensor], state: Tensor) -> Tensor:
    result = step(state)
    checks.require_tensor(result, "step(state)")
    if result.shape != state.shape or result.dtype != state.dtype:
        raise ValueError(
            f"Argument `step` must give states of shape {tuple(state.shape)} and {state.dtype}, as it gets, but gives "
            f"shape {tuple(result.shape)} and {result.dtype}."
        )
    return result.detach()


def _require_distance(state: Tensor, neighbour: Tensor, distance: float) -> None:
    """Refuse a distance that rounding has changed."""
    found = float(torch.linalg.vector_norm(neighbour - state))
    if not abs(found - distance) <= ROUNDING_SHARE * distance:
        raise ValueError(
            f"Argument `distance` must be far above the rounding of the states, but of {distance:g} is {found:g} left "
            f"at {float(state.abs().max()):.3g}. Choose a larger one, or a map whose states stay bounded."
        )


@dataclass(frozen=True, eq=False)
class PredictionTime(ShowsPlot):
    """The time for which a forecast is good.

    Args:
        errors: Error of the forecast at every step, over the standard deviation of the truth.
        threshold: Bound of the error of a good forecast.
        unit: Length of a step: its time, times the Lyapunov exponent where one was given.
        in_lyapunov_times: Whether an exponent was given.
    """

    errors: np.ndarray
    threshold: float
    unit: float
    in_lyapunov_times: bool

    @property
    def n_steps(self) -> int:
        """Count the steps before the first error beyond the threshold."""
        beyond = np.flatnonzero(self.errors > self.threshold)
        return int(beyond[0]) if len(beyond) else len(self.errors)

    @property
    def time(self) -> float:
        """Return the time, or the Lyapunov times; the whole length of a forecast that is good to its end."""
        return self.n_steps * self.unit

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the error against time, with the threshold and the time at which it is crossed."""
        axes = axes_of(ax)
        axes.semilogy(np.arange(len(self.errors)) * self.unit, np.maximum(self.errors, np.finfo(float).tiny))
        axes.axhline(self.threshold, color="grey", ls="--", lw=0.9, label=f"threshold {self.threshold:g}")
        axes.axvline(self.time, color="black", ls=":", lw=0.9, label=f"valid for {self.time:.3g}")
        axes.set(xlabel="Lyapunov times" if self.in_lyapunov_times else "time", ylabel="error / standard deviation")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]


def valid_prediction_time(
    truth: Float[Tensor, "time outputs"],
    forecast: Float[Tensor, "others columns"],  # of the same shape, which is checked below with a message
    *,
    threshold: float = 0.4,
    time_step: float = 1.0,
    lyapunov: float | None = None,
) -> PredictionTime:
    """Measure how long a forecast is good: until its error, over the truth's standard deviation, exceeds a threshold.

    Args:
        truth: The true series, (time, outputs).
        forecast: The forecast, of the same shape.
        threshold: Bound of |y - yhat| / sqrt(mean |y - mean y|^2), 0.4 by custom.
        time_step: Time between steps.
        lyapunov: Largest exponent; if given, the result is in Lyapunov times.

    Raises:
        ValueError: If the shapes differ, a value is NaN, or the truth is constant.

    Reference:
        Vlachas et al., doi:10.1016/j.neunet.2020.02.016, equation 26.
    """
    for series, name in ((truth, "truth"), (forecast, "forecast")):
        checks.require_tensor(series, name)
        if series.ndim != 2 or not series.is_floating_point():
            raise ValueError(
                f"Argument `{name}` must be floating of shape (time, outputs), but has shape {tuple(series.shape)} and "
                f"{series.dtype}."
            )
    if truth.shape != forecast.shape:
        raise ValueError(
            "Arguments `truth` and `forecast` must have one shape (time, outputs), but have "
            f"{tuple(truth.shape)} and {tuple(forecast.shape)}."
        )
    checks.require_finite(truth, "truth")
    checks.require_finite(forecast, "forecast")
    threshold = checks.as_number(threshold, "threshold", above=0.0)
    time_step = checks.as_number(time_step, "time_step", above=0.0)
    lyapunov = None if lyapunov is None else checks.as_number(lyapunov, "lyapunov", above=0.0)
    truth, forecast = truth.detach().cpu().double(), forecast.detach().cpu().double()
    deviations = truth - truth.mean(0)
    largest = deviations.abs().max() if truth.numel() else torch.zeros(())  # so that no square is beyond all numbers
    if not float(largest) > 0.0:
        raise ValueError("Argument `truth` must vary, but is constant: its error has no scale.")
    spread = (deviations / largest).square().sum(1).mean().sqrt()
    errors = (torch.linalg.vector_norm((truth - forecast) / largest, dim=1) / spread).numpy()
    return PredictionTime(errors, threshold, time_step * (1.0 if lyapunov is None else lyapunov), lyapunov is not None)
