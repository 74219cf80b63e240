"""Forecasts with intervals from several forecasters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.reservoir.forecaster import Forecaster, Series
from qml.reservoir.ranges import warn_of_range
from qml.reservoir.ridge import RidgeReadout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Forecast(ShowsPlot):
    """A forecast, with the spread of the ensemble that made it.

    Args:
        mean: the mean of the members' forecasts without noise, (..., horizon, outputs).
        low: lower end of the interval.
        high: upper end.
        paths: all sampled futures, (paths, ..., horizon, outputs).
        in_range: whether mean and interval lie in the range that the members were fitted to, widened by a tenth of its
            width at either end, (..., horizon). Where they do not, neither is to be relied on. None where nothing is
            known of that range.
    """

    mean: Tensor
    low: Tensor
    high: Tensor
    paths: Tensor
    in_range: Tensor | None = None

    @property
    def reliable_steps(self) -> int:
        """Count the steps before the first one at which some series leaves the range of its training."""
        horizon = self.mean.shape[-2]
        if self.in_range is None:
            return horizon
        return int(self.in_range.reshape(-1, horizon).all(0).long().cumprod(0).sum())

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        context: Series | np.ndarray | None = None,
        truth: Series | np.ndarray | None = None,
        series: int = 0,
        output: int = 0,
        n_before: int = 60,
    ) -> "Figure":
        """Draw the forecast of one output with its interval, beside what came before and what came true.

        Args:
            ax: axes to draw on; a new figure without.
            context: the series so far, as given to `forecast`; its last `n_before` steps are drawn.
            truth: what came true, of the shape of `mean` but for the number of steps.
            series: which of a batch of series.
            output: which output.
            n_before: steps of the context, at least 1.

        Raises:
            ValueError: no such series or output in the forecast, the context or the truth; a series of one dimension.
        """
        series, output = checks.as_int(series, "series", 0), checks.as_int(output, "output", 0)
        n_before = checks.as_int(n_before, "n_before", 1)
        mean, low, high = (_column(part, series, output, "forecast") for part in (self.mean, self.low, self.high))
        horizon, axes = len(mean), axes_of(ax)
        if context is not None:
            before = _column(context, series, output, "context")[-n_before:]
            axes.plot(range(1 - len(before), 1), before, color="black", lw=1.2, label="so far")
        if truth is not None:
            after = _column(truth, series, output, "truth")[:horizon]
            axes.plot(range(1, len(after) + 1), after, color="black", lw=1.2, ls="--", label="what came true")
        steps = range(1, horizon + 1)
        axes.fill_between(steps, low, high, alpha=0.25, lw=0, label="interval")
        axes.plot(steps, mean, label="forecast")
        if self.reliable_steps < horizon:
            axes.axvline(self.reliable_steps + 0.5, color="grey", ls=":", label="leaves the range of its training")
        axes.set(xlabel="steps ahead", ylabel="value", title="A forecast with its interval")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]

    def __repr__(self) -> str:
        horizon, n_outputs = self.mean.shape[-2:]
        n_series = self.mean[..., 0, 0].numel()
        known = f"reliable_steps={self.reliable_steps}" + (
            "" if self.reliable_steps == horizon else " (behind them it leaves the range of its training)"
        )
        ends = f"low>={float(self.low.min()):.4g}, high<={float(self.high.max()):.4g}, " if self.low.numel() else ""
        return f"Forecast(series={n_series}, horizon={horizon}, outputs={n_outputs}, {ends}{known})"


def _column(values: Series | np.ndarray, series: int, output: int, name: str) -> np.ndarray:
    """Return one output of one series of a batch, (time,)."""
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    whole = values if isinstance(values, Tensor) else torch.stack([*values])
    if whole.ndim < 2:
        raise ValueError(
            f"Argument `{name}` must have shape (time, outputs) or (batch, time, outputs), but has shape "
            f"{tuple(whole.shape)}. Add the last dimension with [:, None]."
        )
    batch = whole.detach().reshape(-1, *whole.shape[-2:])
    for index, size, what in ((series, len(batch), "series"), (output, batch.shape[-1], "output")):
        if not 0 <= index < size:
            raise ValueError(f"Argument `{what}` must count from 0 to {size - 1} in `{name}`, but is {index}.")
    return batch[series, :, output].cpu().numpy()


class Ensemble:
    """An ensemble of forecasters that differ in their seeds, and together say how sure they are.

    Each member forecasts `n_paths` times in closed loop, with normal noise of its own leave-one-out residuals added to
    every step, which it then sees as its next input. The interval is between quantiles of all paths, so it holds the
    noise of the series, its growth through the loop, and the disagreement of the members.

    Members that differ in nothing would say nothing of that disagreement, and are refused: in a reservoir of exact
    feedback rings, for example, nothing is drawn, so that its `seed` makes no other one. Give each member rings of
    other scales.

    Args:
        members: two or more forecasters with as many outputs as inputs.

    Raises:
        TypeError: something that is no forecaster, or a member that learns online.
        ValueError: fewer than two members, or two that are the same.
    """

    def __init__(self, members: Sequence[Forecaster]) -> None:
        if isinstance(members, Forecaster) or not isinstance(members, Sequence):
            raise TypeError(f"Argument `members` must be a list of forecasters, but is {type(members).__name__}.")
        self.members = list(members)
        for place, member in enumerate(self.members):
            if not isinstance(member, Forecaster):
                raise TypeError(f"Argument `members[{place}]` must be a Forecaster, but is {type(member).__name__}.")
        if len(self.members) < 2:
            raise ValueError(f"Argument `members` must hold at least two forecasters, but holds {len(self.members)}.")
        for one, other in combinations(range(len(self.members)), 2):
            if self.members[one] is self.members[other]:
                raise ValueError(
                    f"Argument `members` must hold different forecasters, but members {one} and {other} are one object."
                )

    def fit(self, series: Series, *, progress: bool = False) -> "Ensemble":
        """Fit every member to the same series; see `Forecaster.fit`.

        Raises:
            ValueError: two members become the same, since nothing in them differs.
        """
        for member in self.members:
            member.fit(series, progress=progress)
        self._require_differences()
        return self

    @torch.no_grad()
    def forecast(
        self,
        context: Series,
        horizon: int,
        *,
        coverage: float = 0.9,
        n_paths: int = 20,
        generator: torch.Generator | None = None,
    ) -> Forecast:
        """Forecast the next `horizon` values with an interval.

        Args:
            context: the series so far; see `Forecaster.forecast`.
            horizon: steps, at least 1.
            coverage: how much of the paths the interval holds, in (0, 1).
            n_paths: noisy futures of each member.
            generator: of the noise.

        Warns:
            ForecastRangeWarning: the interval leaves the range that the members were fitted to; `Forecast.in_range`
                says where.
        """
        n_paths = checks.as_int(n_paths, "n_paths", 1)
        coverage = checks.as_number(coverage, "coverage")
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"Argument `coverage` must lie in (0, 1), but is {coverage}. Use for example 0.9.")
        self._require_differences()
        means, paths = [], []
        for member in self.members:
            means.append(member._closed_loop(context, horizon, None, None, None))
            paths.append(self._paths(member, context, horizon, n_paths, generator))
        sampled = torch.cat(paths)
        tails = torch.tensor([(1.0 - coverage) / 2, (1.0 + coverage) / 2], dtype=sampled.dtype, device=sampled.device)
        low, high = torch.quantile(sampled, tails, 0)
        mean = torch.stack(means).mean(0)
        in_range = self._in_range(mean, low, high)
        warn_of_range(in_range, "The forecast's interval")
        return Forecast(mean, low, high, sampled, in_range)

    def _paths(
        self, member: Forecaster, context: Series, horizon: int, n_paths: int, generator: torch.Generator | None
    ) -> Float[Tensor, "paths *batch horizon outputs"]:
        """Compute all noisy futures of one member, as one batch."""
        if not isinstance(member.readout, RidgeReadout):
            raise TypeError("An ensemble's members must be fitted by ridge regression, but one learns online.")
        if bool(member.readout.noise.isnan().any()):
            raise ValueError(
                "An ensemble's members must be fitted to at least two steps to know their noise, but one was fitted to "
                "one. Fit to a longer series."
            )
        return member.forecast(context, horizon, noise=member.readout.noise, n_paths=n_paths, generator=generator)

    def _in_range(self, *values: Tensor) -> Bool[Tensor, "*batch horizon"]:
        """Tell whether all values are in range for every member."""
        in_range = torch.stack([member.in_range(value) for member in self.members for value in values])
        return in_range.all(0)

    def _require_differences(self) -> None:
        """Refuse two members with the same fitted read-out; one of zeros, as a constant series gives, tells nothing."""
        readouts = [(member.readout.weight, member.readout.bias) for member in self.members]
        for one, other in combinations(range(len(readouts)), 2):
            same = all(map(torch.equal, readouts[one], readouts[other]))
            if same and bool(readouts[one][0].any()):
                raise ValueError(
                    f"Argument `members` must hold forecasters that differ, but members {one} and {other} have the "
                    "very same read-out, so the interval would not hold their disagreement. Give them reservoirs "
                    "of other seeds where something is drawn, or of other scales or sizes, as with feedback rings."
                )
