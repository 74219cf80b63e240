"""Fitting exp(sin(pi x) + y**2): a QKAN, the same extended step by step, and KANs and MLPs of their sizes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.baselines import KAN, count_parameters
from qml.compare.figures import figure_style, new_figure
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tuning import one_thread
from qml.nn import QKAN

WIDTHS = (2, 5, 1)
N_POINTS = 1000  # points to train on, and as many to test on
REPS = 3
ANGLE_FACTOR, SIZE_FACTOR = 0.6, 0.5  # times the layers' own start: chosen on seeds 100 to 111, which no table reports
EXTENSIONS = (5, 10, 15, 20)  # uploads, each trained as long as the first
GRID = 13  # intervals: as many parameters as the QKAN, 255
GRIDS = (20, 40, 60, 81)  # as many parameters as the extended one, 1275
GRID_MOVES = 5  # first steps after which a KAN's grids follow its inputs
MLP_HIDDEN, LARGE_HIDDEN = 64, 318  # 257 and 1273 parameters: as near as there is


@dataclass(frozen=True)
class FunctionSamples:
    """Points and the function's values there, float64."""

    inputs: Float[Tensor, "batch inputs"]
    values: Float[Tensor, "batch 1"]


@dataclass(frozen=True)
class FunctionSplit:
    """The points to train on, and those that are looked at once at the end."""

    train: FunctionSamples
    test: FunctionSamples


def target(inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch 1"]:
    """Compute exp(sin(pi x) + y**2)."""
    return torch.exp(torch.sin(math.pi * inputs[:, :1]) + inputs[:, 1:].square())


def split(data: None, seed: int) -> FunctionSplit:
    """Draw uniform points in [-1, 1]**2."""
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(2 * N_POINTS, 2, dtype=torch.float64, generator=generator) - 1
    parts = (FunctionSamples(part, target(part)) for part in points.split(N_POINTS))
    return FunctionSplit(*parts)


def models(options: Options) -> dict[str, Model[FunctionSplit]]:
    """Return a QKAN of 3 uploads and one extended to 20, each beside a KAN and an MLP of its size and training."""
    stages = 1 + len(EXTENSIONS)
    return {
        "qkan": Model(
            "QKAN",
            "quantum",
            f"[2, 5, 1], {REPS} uploads, everything trained from {ANGLE_FACTOR} times the usual angles and "
            f"{SIZE_FACTOR} times the usual sizes of activations, L-BFGS of rate 1 with a line search.",
            partial(_train, _qkan),
        ),
        "qkan-extended": Model(
            "QKAN, extended",
            "quantum",
            f"The same, then extended to {EXTENSIONS} uploads, with as many L-BFGS steps for each.",
            partial(_train, _extended),
        ),
        "kan": Model(
            "KAN",
            "classical",
            f"[2, 5, 1], cubic B-splines on {GRID} intervals, the same L-BFGS steps; grids moved {GRID_MOVES} times.",
            partial(_train, _kan),
        ),
        "kan-extended": Model(
            "KAN, extended",
            "classical",
            f"The same, then on {GRIDS} intervals, with as many L-BFGS steps for each.",
            partial(_train, _kan_extended),
        ),
        "mlp": Model(
            "MLP",
            "classical",
            f"2-{MLP_HIDDEN}-1, tanh, the same L-BFGS steps.",
            partial(_train, partial(_mlp, MLP_HIDDEN, 1)),
        ),
        "mlp-large": Model(
            "MLP, large",
            "classical",
            f"2-{LARGE_HIDDEN}-1, tanh, {stages} times the L-BFGS steps.",
            partial(_train, partial(_mlp, LARGE_HIDDEN, stages)),
        ),
    }


def sections(data: None, records: list[Record], options: Options) -> list[Section]:
    """Show the function, and medians with ranges over seeds."""
    names = dict.fromkeys(record.model for record in records)
    values = {name: [record.outcome.value for record in records if record.model == name] for name in names}
    text = "; ".join(
        f"{name}: median {np.median(errors):.3g}, from {min(errors):.3g} to {max(errors):.3g} over {len(errors)} seeds"
        for name, errors in values.items()
    )
    with figure_style():
        figure = new_figure(5.0, 3.6)
        axes = figure.subplots()
        side = torch.linspace(-1, 1, 81, dtype=torch.float64)
        grid = torch.cartesian_prod(side, side)
        shades = axes.pcolormesh(side.numpy(), side.numpy(), target(grid).reshape(81, 81).T.numpy(), rasterized=True)
        figure.colorbar(shades)
        axes.set_xlabel("x")
        axes.set_ylabel("y")
    return [Section("The function", f"exp(sin(pi x) + y**2) on [-1, 1]**2. {text}", figure)]


Fit = Callable[[FunctionSplit, torch.Generator, int, OnStep], nn.Module]


def _train(fit: Fit, split: FunctionSplit, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    started = time.perf_counter()
    with one_thread():
        model = fit(split, torch.Generator().manual_seed(seed), preset.n_epochs, on_step)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        errors = [_error(model, part).item() for part in (split.test, split.train)]
    return Outcome(errors[0], count_parameters(model), seconds, {"train_mse": errors[1]})


def _qkan(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> QKAN:
    model = QKAN(WIDTHS, reps=REPS, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        for layer in model.qkan_layers():
            for parameter, factor in ((layer.weights, ANGLE_FACTOR), (layer.output_weight, SIZE_FACTOR)):
                if parameter is not None:
                    parameter.mul_(factor)
    _lbfgs(model, split, steps, on_step)
    return model


def _extended(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> nn.Module:
    model = _qkan(split, generator, steps, on_step)
    for reps in EXTENSIONS:
        model = model.extended(reps)
        _lbfgs(model, split, steps, on_step)
    return model


def _kan(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> KAN:
    model = KAN(WIDTHS, grid=GRID, dtype=torch.float64, generator=generator)
    for done in range(min(GRID_MOVES, steps)):
        model.update_grids(split.train.inputs)
        _lbfgs(model, split, 1, lambda _, text, done=done: on_step((done + 1) / steps, text))
    _lbfgs(model, split, max(0, steps - GRID_MOVES), on_step)
    return model


def _kan_extended(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> nn.Module:
    model = _kan(split, generator, steps, on_step)
    for grid in GRIDS:
        model = KAN.from_network(model, split.train.inputs, grid=grid).network
        _lbfgs(model, split, steps, on_step)
    return model


def _mlp(
    hidden: int, stages: int, split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep
) -> nn.Module:
    maps = [
        nn.Linear(size, next_size, device="meta", dtype=torch.float64).to_empty(device="cpu")
        for size, next_size in pairwise((2, hidden, 1))
    ]
    for layer in maps:
        bound = 1.0 / math.sqrt(layer.in_features)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    model = nn.Sequential(maps[0], nn.Tanh(), maps[1])
    _lbfgs(model, split, stages * steps, on_step)
    return model


def _lbfgs(model: nn.Module, split: FunctionSplit, steps: int, on_step: OnStep) -> None:
    """Call torch's L-BFGS `steps` times, 20 iterations each, of rate 1 with a strong-Wolfe line search."""
    optimizer = torch.optim.LBFGS(
        model.parameters(), line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        error = _error(model, split.train)
        error.backward()
        return error

    for step in range(steps):
        error = optimizer.step(closure)
        on_step((step + 1) / steps, f"training error {float(error.detach()):.2g}")


def _error(model: nn.Module, data: FunctionSamples) -> Tensor:
    return (model(data.inputs) - data.values).square().mean()


FUNCTIONS = Task(
    name="functions",
    title="A function of two variables",
    question="How well is exp(sin(pi x) + y**2) fitted from 1000 points, as in arXiv 2509.14026? The published network "
    "reads |a| - |b| and reaches 2.87e-5 in 20 L-BFGS steps, 1.24e-7 extended to 20 uploads; here <Z> is read.",
    prepare=lambda options: None,
    split=split,
    models=models,
    presets={"full": Preset(5, 0, 20), "demo": Preset(2, 0, 4)},
    sections=sections,
    metric=Metric("test_mse", "Test MSE", larger_is_better=False, percent=False),
)
