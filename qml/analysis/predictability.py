"""How far ahead a chaotic system can be foretold: Lyapunov exponents and valid prediction times."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks
from qml.analysis._sampling import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST = 1e-300  # of a distance: a map may merge two states within rounding


@dataclass(frozen=True, eq=False)
class LyapunovEstimate:
    """The largest Lyapunov exponent of a map, and how the estimate settled.

    Args:
        growth: logarithm of the factor by which a small distance grew in every step, shape (steps,).
        time_step: time between steps.
    """

    growth: np.ndarray
    time_step: float

    @property
    def exponent(self) -> float:
        """The mean growth rate, in inverse time; above 0 the map is chaotic."""
        return float(self.growth.mean()) / self.time_step

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """The mean over the steps so far against their number; it should be flat at the end."""
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
    """Largest Lyapunov exponent of a map: the mean growth rate of a small distance, renewed after every step.

    Args:
        step: state to next state, float64.
        start: a state.
        n_steps: steps over which the growth is averaged.
        washout: steps before.
        distance: of the neighbour, at the start of every step.
        time_step: time between steps; the exponent is in its inverse.

    Raises:
        ValueError: the map leaves finite numbers.

    Reference:
        Benettin, Galgani, Giorgilli and Strelcyn, doi:10.1007/BF02128236.

    Example:
        >>> import torch
        >>> from qml.data import henon_step
        >>> found = largest_lyapunov(henon_step, torch.tensor([0.1, 0.1]))
        >>> 0.40 < found.exponent < 0.44
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
    state = start.double()
    away = distance / math.sqrt(len(state))
    neighbour = state + away
    growth = np.empty(n_steps)
    for number in range(-washout, n_steps):
        state, neighbour = step(state), step(neighbour)
        gap = neighbour - state
        size = float(torch.linalg.vector_norm(gap))
        if not math.isfinite(size):
            raise ValueError(
                f"Argument `step` must keep states finite, but leaves them after {number + washout} steps."
            )
        size = max(size, SMALLEST)
        if number >= 0:
            growth[number] = math.log(size / distance)
        neighbour = state + (gap * (distance / size) if size > SMALLEST else away)
    return LyapunovEstimate(growth, time_step)


@dataclass(frozen=True, eq=False)
class PredictionTime:
    """How long a forecast is good.

    Args:
        errors: of the forecast at every step, over the standard deviation of the truth.
        threshold: the forecast is good until its error exceeds it.
        unit: what a step is long: its time, times the Lyapunov exponent where one was given.
        in_lyapunov_times: whether one was given.
    """

    errors: np.ndarray
    threshold: float
    unit: float
    in_lyapunov_times: bool

    @property
    def n_steps(self) -> int:
        """Steps before the first error beyond the threshold."""
        beyond = np.flatnonzero(self.errors > self.threshold)
        return int(beyond[0]) if len(beyond) else len(self.errors)

    @property
    def time(self) -> float:
        """The same as a time, or in Lyapunov times. All of a forecast that is good to its end."""
        return self.n_steps * self.unit

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """The error against time, with the threshold and where it is crossed."""
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
    """How long a forecast is good: until its error, over the standard deviation of the truth, exceeds the threshold.

    Args:
        truth: what came, (time, outputs).
        forecast: of the same shape.
        threshold: of |y - yhat| / sqrt(mean |y - mean y|^2), 0.4 by custom.
        time_step: time between steps.
        lyapunov: largest exponent; if given, the result is in Lyapunov times.

    Raises:
        ValueError: different shapes, NaN, a constant truth.

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
    spread = (truth - truth.mean(0)).square().sum(1).mean().sqrt()
    if not float(spread) > 0.0:
        raise ValueError("Argument `truth` must vary, but is constant: its error has no scale.")
    errors = (torch.linalg.vector_norm(truth - forecast, dim=1) / spread).detach().cpu().double().numpy()
    return PredictionTime(errors, threshold, time_step * (1.0 if lyapunov is None else lyapunov), lyapunov is not None)
