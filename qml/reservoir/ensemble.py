"""Forecasts with intervals from several forecasters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks
from qml.reservoir.forecaster import Forecaster, Series
from qml.reservoir.ridge import RidgeReadout


@dataclass(frozen=True)
class Forecast:
    """A forecast and its spread.

    Args:
        mean: the mean of the members' forecasts without noise, (..., horizon, outputs).
        low: lower end of the interval.
        high: upper end.
        paths: all sampled futures, (paths, ..., horizon, outputs).
    """

    mean: Tensor
    low: Tensor
    high: Tensor
    paths: Tensor


class Ensemble:
    """Forecasters that differ in their seeds; together they say how sure they are.

    Each member forecasts `n_paths` times in closed loop, with normal noise of its own leave-one-out residuals added to
    every step, which it then sees as its next input. The interval is between quantiles of all paths, so it holds the
    noise of the series, its growth through the loop, and the disagreement of the members.

    Args:
        members: two or more forecasters with as many outputs as inputs.
    """

    def __init__(self, members: Sequence[Forecaster]) -> None:
        self.members = list(members)
        if len(self.members) < 2:
            raise ValueError(f"Argument `members` must hold at least two forecasters, but holds {len(self.members)}.")

    def fit(self, series: Series, *, progress: bool = False) -> "Ensemble":
        """Fit every member to the same series; see `Forecaster.fit`."""
        for member in self.members:
            member.fit(series, progress=progress)
        return self

    def forecast(
        self,
        context: Series,
        horizon: int,
        *,
        coverage: float = 0.9,
        n_paths: int = 20,
        generator: torch.Generator | None = None,
    ) -> Forecast:
        """The next `horizon` values with an interval.

        Args:
            context: the series so far; see `Forecaster.forecast`.
            horizon: steps, at least 1.
            coverage: how much of the paths the interval holds, in (0, 1).
            n_paths: noisy futures of each member.
            generator: of the noise.
        """
        checks.as_int(n_paths, "n_paths", 1)
        if not 0.0 < coverage < 1.0:
            raise ValueError(f"Argument `coverage` must lie in (0, 1), but is {coverage}. Use for example 0.9.")
        means, paths = [], []
        for member in self.members:
            means.append(member.forecast(context, horizon))
            paths.append(self._paths(member, context, horizon, n_paths, generator))
        sampled = torch.cat(paths)
        tails = torch.tensor([(1.0 - coverage) / 2, (1.0 + coverage) / 2], dtype=sampled.dtype, device=sampled.device)
        low, high = torch.quantile(sampled, tails, 0)
        return Forecast(torch.stack(means).mean(0), low, high, sampled)

    def _paths(
        self, member: Forecaster, context: Series, horizon: int, n_paths: int, generator: torch.Generator | None
    ) -> Float[Tensor, "paths *batch horizon outputs"]:
        """All noisy futures of one member, as one batch."""
        if not isinstance(member.readout, RidgeReadout):
            raise TypeError("An ensemble's members must be fitted by ridge regression, but one learns online.")
        return member.forecast(context, horizon, noise=member.readout.noise, n_paths=n_paths, generator=generator)
