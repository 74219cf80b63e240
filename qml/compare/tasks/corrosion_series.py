"""The series of the corrosion task: weather, a noisy reading, and the change of the metal loss over each horizon."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from qml.data import Corrosion, Scaler

HORIZONS = {"short": 4, "long": 28}  # steps: a day and a week
NOISE = 0.0005  # micrometres; a step's loss is about that
N_QUARTERS = 4  # each is cut by itself, so that every part has every season
TRAIN, VALIDATION = 0.6, 0.2
WASHOUT = 40


@dataclass(frozen=True)
class Series:
    """The years of both stations as models see them.

    Attributes:
        inputs: Temperature, humidity and the reading's last change, scaled on the training part, (2, time, 3).
        seen: The readings' change over each horizon from t on, which models learn from, (2, time, 2); NaN at the end.
        truth: The change of the loss itself, for the test, of the same shape.
        past: The readings' change over each horizon up to t.
        scale: Standard deviation of `seen` on the training part, (2,).
        parts: The steps of each part.
    """

    inputs: Tensor
    seen: Tensor
    truth: Tensor
    past: Tensor
    scale: Tensor
    parts: dict[str, Tensor]

    def rows(self, part: str) -> Tensor:
        """Return the steps of "train", "validation" or "test"."""
        return self.parts[part]


def split(years: list[Corrosion], seed: int) -> Series:
    """Cut every quarter: 60 % to train, then 20 % to choose on, then 20 % to test on; the seed draws the noise."""
    generator = torch.Generator().manual_seed(seed)
    loss = torch.stack([year.loss for year in years])
    reading = loss + NOISE * torch.randn(loss.shape, generator=generator, dtype=loss.dtype)
    weather = torch.stack([year.weather for year in years])
    parts = _parts(loss.shape[1])
    train = parts["train"]
    change = torch.diff(reading, dim=1, prepend=reading[:, :1])
    raw = torch.cat([weather, change[:, :, None]], -1)
    seen, truth = _ahead(reading), _ahead(loss)
    past = torch.stack([pad(reading, (h, 0), value=0.0)[:, :-h] for h in HORIZONS.values()], -1)
    scale = seen[:, train].std((0, 1))
    inputs = Scaler.fit(raw[:, train])(raw)
    return Series(inputs, seen, truth, reading[:, :, None] - past, scale, parts)


def nrmse(series: Series, predicted: Tensor, part: str) -> dict[str, float]:
    """Compute the root mean squared error over the truth's standard deviation, for each horizon, over both stations.

    Validation is judged on the readings, as a user has nothing else; the test on the loss itself.
    """
    rows = series.rows(part)
    target = (series.truth if part == "test" else series.seen)[:, rows]
    error = (predicted[:, rows] - target).square().mean((0, 1)) / target.var((0, 1), correction=0)
    return dict(zip(HORIZONS, error.sqrt().tolist(), strict=True))


def _parts(n_steps: int) -> dict[str, Tensor]:
    """Return the steps of each part whose longest forecast ends inside of it; the first of all are washed out."""
    size = n_steps // N_QUARTERS
    first, second = round(TRAIN * size), round((TRAIN + VALIDATION) * size)
    bounds = {"train": (0, first), "validation": (first, second), "test": (second, size)}
    longest, parts = max(HORIZONS.values()), {}
    for name, (start, end) in bounds.items():
        steps = torch.arange(start, end - longest)
        whole = (size * torch.arange(N_QUARTERS)[:, None] + steps).flatten()
        parts[name] = whole[whole >= WASHOUT]
    return parts


def _ahead(values: Float[Tensor, "stations time"]) -> Float[Tensor, "stations time horizons"]:
    """Compute the change over each horizon from every step on, NaN where the year ends before."""
    columns = []
    for horizon in HORIZONS.values():
        change = torch.full_like(values, math.nan)
        change[:, :-horizon] = values[:, horizon:] - values[:, :-horizon]
        columns.append(change)
    return torch.stack(columns, -1)
