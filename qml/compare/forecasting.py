"""Training models to foretell the next value of a series: one loop and one budget for all of them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.baselines import count_parameters
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.training import RateSetting
from qml.compare.tuning import Merit, Trial, try_settings
from qml.data import SeriesSplit

VALIDATION = 0.2  # share of the training windows, the last ones, that settings are chosen on


@dataclass(frozen=True)
class Windows:
    """A batch of windows of a series, each with the value that comes next, in float32.

    Attributes:
        inputs: (windows, length, 1).
        targets: (windows, 1).
    """

    inputs: Float[Tensor, "windows length 1"]
    targets: Float[Tensor, "windows 1"]

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class ForecastSplit:
    """A series cut into three parts that follow one another in time.

    Attributes:
        train: Windows to learn from.
        validation: Windows that settings are chosen on.
        test: Windows that are looked at once.
    """

    train: Windows
    validation: Windows
    test: Windows


Build = Callable[[torch.Generator], nn.Module]
Predict = Callable[[ForecastSplit], tuple[Callable[[Tensor], Tensor], int]]
"""From the data to a function of windows and its number of parameters, without training."""


class SeriesModel(nn.Module):
    """A model that reads a recurrent layer's last output by an affine map.

    Args:
        layer: A layer with the contract of nn.LSTM or nn.GRU, batch first.
        hidden_size: Size of its outputs.
        generator: Source of the read-out's initial weights, U(-k, k) with k = 1/sqrt(hidden_size).

    Shape:
        (batch, length, 1) to (batch, 1).
    """

    def __init__(self, layer: nn.Module, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        self.readout = nn.Linear(hidden_size, 1, device="meta").to_empty(device="cpu")
        reset_uniform(self.readout, hidden_size, generator)

    def forward(self, inputs: Float[Tensor, "batch length 1"]) -> Float[Tensor, "batch 1"]:
        """Forecast the next value."""
        outputs, _ = self.layer(inputs)
        return self.readout(outputs[:, -1])


def reset_uniform(module: nn.Module, hidden_size: int, generator: torch.Generator) -> None:
    """Draw all parameters from U(-k, k) with k = 1/sqrt(hidden_size), as torch does for recurrent layers."""
    bound = 1.0 / math.sqrt(hidden_size)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def split_windows(series: SeriesSplit) -> ForecastSplit:
    """Split windows into parts; the last fifth of the training windows becomes the validation part."""
    n_train = len(series.train_inputs) - round(VALIDATION * len(series.train_inputs))
    parts = zip(
        (*series.train_inputs.float().tensor_split([n_train]), series.test_inputs.float()),
        (*series.train_targets.float().tensor_split([n_train]), series.test_targets.float()),
        strict=True,
    )
    return ForecastSplit(*(Windows(inputs, targets) for inputs, targets in parts))


def trained(
    title: str, kind: str, recipe: str, build: Build, *, settings: tuple[RateSetting, ...], batch_size: int
) -> Model[ForecastSplit]:
    """Return a competitor that `fit_forecaster` trains."""
    train = partial(fit_forecaster, build, settings, batch_size)
    return Model(title, kind, recipe, train, settings)


def untrained(title: str, recipe: str, predict: Predict) -> Model[ForecastSplit]:
    """Return a competitor that is solved for at once, or has nothing to learn."""
    return Model(title, "classical", recipe, partial(_solve, predict))


def fit_forecaster(
    build: Build,
    settings: tuple[RateSetting, ...],
    batch_size: int,
    split: ForecastSplit,
    seed: int,
    preset: Preset,
    on_step: OnStep,
) -> Outcome:
    """Train with each setting, keep the one of the least validation error, look at the test part once.

    The weights are those after the last epoch.
    """

    def run(trial: Trial[RateSetting]) -> tuple[Merit, tuple[nn.Module, dict[str, list[float]]]]:
        generator = torch.Generator().manual_seed(seed)
        model = build(generator)
        curves = _train(model, split, trial.setting, preset.n_epochs, batch_size, generator, trial.on_step)
        return (curves["log10_of_validation_mse"][-1],), (model, curves)

    best = try_settings(settings, run, on_step, n_trials=preset.n_settings, seed=seed)
    model, curves = best.result
    extras: dict[str, float | int | str] = {
        "setting": str(best.setting),
        "n_settings": best.n_trials,
        "epoch": preset.n_epochs,
    }
    return _outcome(model, split, count_parameters(model), best.seconds, extras, {"curves": curves})


def linear_on_lags(split: ForecastSplit) -> tuple[Callable[[Tensor], Tensor], int]:
    """Solve least squares on the values of the window and a constant, in float64."""
    weight = torch.linalg.lstsq(_with_constant(split.train.inputs), split.train.targets.double()).solution
    return lambda inputs: _with_constant(inputs) @ weight, len(weight)


def persistence(split: ForecastSplit) -> tuple[Callable[[Tensor], Tensor], int]:
    """Forecast the last value again."""
    return lambda inputs: inputs[:, -1], 0


def mean_squared_error(model: Callable[[Tensor], Tensor], data: Windows) -> Float[Tensor, ""]:
    """Compute the mean squared error of scaled values."""
    return (model(data.inputs) - data.targets).square().mean()


def _train(
    model: nn.Module,
    split: ForecastSplit,
    setting: RateSetting,
    n_epochs: int,
    batch_size: int,
    generator: torch.Generator,
    on_step: OnStep,
) -> dict[str, list[float]]:
    """Run Adam on the mean squared error, its rate falling to 0 as a cosine; return training and validation errors."""
    optimizer = torch.optim.Adam(model.parameters(), setting.learning_rate)
    n_steps = n_epochs * math.ceil(len(split.train) / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    curves: dict[str, list[float]] = {"log10_of_train_mse": [], "log10_of_validation_mse": []}
    for epoch in range(n_epochs):
        total = 0.0
        for batch in torch.randperm(len(split.train), generator=generator).split(batch_size):
            part = Windows(split.train.inputs[batch], split.train.targets[batch])
            loss = mean_squared_error(model, part)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(part)
        with torch.no_grad():
            validation = float(mean_squared_error(model, split.validation))
        for name, value in zip(curves, (total / len(split.train), validation), strict=True):
            curves[name].append(round(math.log10(max(value, 1e-12)), 4))
        on_step((epoch + 1) / n_epochs, f"validation error {validation:.2g}")
    return curves


def _solve(predict: Predict, split: ForecastSplit, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    started = time.perf_counter()
    model, n_parameters = predict(split)
    return _outcome(model, split, n_parameters, time.perf_counter() - started, {}, {})


def _outcome(
    model: Callable[[Tensor], Tensor],
    split: ForecastSplit,
    n_parameters: int,
    seconds: float,
    extras: dict[str, float | int | str],
    details: dict[str, Any],
) -> Outcome:
    with torch.no_grad():
        forecast = model(split.test.inputs).double()
        extras["validation_mse"] = float(mean_squared_error(model, split.validation))
    truth = split.test.targets.double()
    error = (forecast - truth).square().mean()
    extras["test_mae"] = float((forecast - truth).abs().mean())
    extras["test_r2"] = 1.0 - float(error / truth.var(correction=0))
    return Outcome(float(error), n_parameters, seconds, extras, details | {"forecast": [forecast[:, 0].tolist()]})


def _with_constant(inputs: Tensor) -> Tensor:
    return torch.cat([inputs[..., 0].double(), inputs.new_ones(len(inputs), 1, dtype=torch.float64)], 1)
