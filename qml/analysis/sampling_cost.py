"""The cost of finite shots, and of a device's noise beneath them, to a reservoir."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.reservoir import Forecaster, Reservoir
from qml.reservoir.ridge import DEFAULT_ALPHAS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class SamplingCost(ShowsPlot):
    """The errors by the number of shots; rows are numbers of shots, columns repetitions with seeds of their own.

    Args:
        shots: Shots of each qubit at each step.
        features: Root mean square difference of the features from those of the exact reservoir without noise.
        fitted: Error of the next value, root mean square over its standard deviation, by a read-out that was fitted
            to features with shots.
        transferred: Error by a read-out that was fitted to exact features without noise.
        limit: `fitted` with infinitely many shots, the noise included.
        ideal: `fitted` with infinitely many shots and no noise.
    """

    shots: np.ndarray
    features: np.ndarray
    fitted: np.ndarray
    transferred: np.ndarray
    limit: float
    ideal: float

    @property
    def exponent(self) -> float:
        """Fit p of feature error ~ shots^p by least squares of logarithms; -1/2 where shots alone make the error."""
        return float(np.polyfit(np.log(self.shots), np.log(np.median(self.features, 1)), 1)[0])

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw medians over repetitions and their ranges, on logarithmic axes."""
        axes = axes_of(ax)
        for name in ("features", "fitted", "transferred"):
            values = getattr(self, name)
            (line,) = axes.loglog(self.shots, np.median(values, 1), "o-", ms=4, label=name)
            axes.fill_between(self.shots, values.min(1), values.max(1), color=line.get_color(), alpha=0.2, lw=0)
        axes.axhline(self.limit, color="grey", ls="--", lw=0.9, label="fitted, infinitely many shots")
        axes.axhline(self.ideal, color="black", ls=":", lw=0.9, label="the same without noise")
        axes.set(xlabel="shots", ylabel="error", title="What shots and noise cost")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]


@torch.no_grad()
def sampling_cost(
    build: Callable[[int | None, int], Reservoir],
    train: Float[Tensor, "series time 1"],
    test: Float[Tensor, "others _ 1"],
    *,
    ideal: Reservoir | None = None,
    shots: Sequence[int] = (100, 1000, 10_000),
    n_repeats: int = 3,
    alphas: float | Sequence[float] = DEFAULT_ALPHAS,
    washout: int = 0,
) -> SamplingCost:
    """Measure how the errors of features, and of the prediction of the next value, fall with shots.

    Args:
        build: Builds a reservoir from `(shots, seed)`, with its noise, if any; shots None for exact features.
        train: Series to fit read-outs to.
        test: Series to predict, with the same reset.
        ideal: The reservoir without noise; None for `build(None, 0)`.
        shots: Numbers of shots, at least two.
        n_repeats: Repetitions at each number.
        alphas: Ridge penalties that leave-one-out chooses from.
        washout: Number of steps at the beginning of every series that do not count.

    Raises:
        ValueError: If there are fewer than two different numbers of shots, one is below 1, there is no repetition, or
            the test series is constant or ends within the washout.

    Example:
        >>> import torch
        >>> from qml.nn import PersistentRing, QuantumReservoir
        >>> wave = torch.sin(torch.arange(120, dtype=torch.float64) / 3)[None, :, None]
        >>> def build(shots, seed):
        ...     return QuantumReservoir(PersistentRing(3, 2), shots=shots, seed=seed)
        >>> cost = sampling_cost(build, wave, wave, shots=(100, 10_000), washout=10)
        >>> -0.6 < cost.exponent < -0.4
        True
    """
    checks.require_function(build, "build", "from shots and a seed to a Reservoir")
    n_repeats = checks.as_int(n_repeats, "n_repeats", 1)
    shots = checks.as_ints(shots, "shots", 1, at_least=2)
    if len(set(shots)) < 2:
        raise ValueError(f"Argument `shots` must hold at least two different numbers, but is {list(shots)}.")
    washout = checks.as_int(washout, "washout", 0)
    _require_test(test, washout)
    exact = build(None, 0)
    ideal = exact if ideal is None else ideal
    options = {"alphas": alphas, "washout": washout}
    reference = Forecaster(ideal, **options).fit(train)
    limit = _error(Forecaster(exact, **options).fit(train), test, washout)
    features = ideal(test)[0][:, washout:]
    errors = np.empty((3, len(shots), n_repeats))
    for row, count in enumerate(shots):
        for repeat in range(n_repeats):
            sampled = build(count, repeat)
            difference = sampled(test)[0][:, washout:] - features
            model = Forecaster(sampled, **options).fit(train)
            errors[:, row, repeat] = (
                float(difference.square().mean().sqrt()),
                _error(model, test, washout),
                _error(_with_readout(sampled, reference), test, washout),
            )
    features_off, fitted, transferred = errors
    error = _error(reference, test, washout)
    return SamplingCost(np.array(shots), features_off, fitted, transferred, limit, error)


def _require_test(test: Tensor, washout: int) -> None:
    """Refuse series without a scale behind the washout."""
    checks.require_tensor(test, "test")
    checks.require_finite(test, "test")
    counted = test[:, washout + 1 :] if test.ndim == 3 else test[:0]
    if counted.numel() < 2 or not float(counted.std(correction=0)) > 0.0:
        raise ValueError(
            f"Argument `test` must have shape (series, time, 1) and vary behind the washout of {washout} steps and one "
            f"to predict, but has shape {tuple(test.shape)} and {counted.numel()} such values, or equal ones."
        )


def _with_readout(reservoir: Reservoir, fitted: Forecaster) -> Forecaster:
    """Put another reservoir's fitted read-out on this one."""
    model = Forecaster(reservoir)
    model.readout = fitted.readout
    return model


def _error(model: Forecaster, test: Tensor, washout: int) -> float:
    """Compute the root mean square error of the next value over its standard deviation."""
    target = test[:, washout + 1 :]
    predicted = torch.as_tensor(model.predict(test[:, :-1]))[:, washout:]
    return float((predicted - target).square().mean().sqrt() / target.std(correction=0))
