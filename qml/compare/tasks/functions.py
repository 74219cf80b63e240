"""Fitting exp(sin(pi x) + y**2): a QKAN, the same network extended step by step, and an MLP of its size."""

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

from qml.baselines import count_parameters
from qml.compare.figures import figure_style, new_figure
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.training import one_thread
from qml.nn import QKAN

WIDTHS = (2, 5, 1)
N_POINTS = 1000  # to train on, and as many to test on
REPS = 3
EXTENSIONS = (5, 10, 15, 20)
ADAM_STEPS, ADAM_RATE = 100, 5e-3
EXTENSION_RATE = 0.5
MLP_HIDDEN = 64  # 2-64-1: 257 parameters, as near to the QKAN's 255 as there is


@dataclass(frozen=True)
class Samples:
    """Points and values, float64."""

    inputs: Float[Tensor, "batch inputs"]
    values: Float[Tensor, "batch 1"]


@dataclass(frozen=True)
class FunctionSplit:
    """What is trained on, and what is looked at once at the end."""

    train: Samples
    test: Samples


def target(inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch 1"]:
    """exp(sin(pi x) + y**2)."""
    return torch.exp(torch.sin(math.pi * inputs[:, :1]) + inputs[:, 1:].square())


def split(data: None, seed: int) -> FunctionSplit:
    """Uniform points in [-1, 1]**2."""
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(2 * N_POINTS, 2, dtype=torch.float64, generator=generator) - 1
    parts = (Samples(part, target(part)) for part in points.split(N_POINTS))
    return FunctionSplit(*parts)


def models(options: Options) -> dict[str, Model]:
    """The QKAN as the paper trains it, extended to 20 uploads, and an MLP."""
    return {
        "qkan": Model(
            "QKAN",
            "quantum",
            f"[2, 5, 1], {REPS} uploads, everything trained, L-BFGS of rate 1 with a line search.",
            partial(_train, _qkan),
        ),
        "qkan-extended": Model(
            "QKAN, extended",
            "quantum",
            f"1 upload by {ADAM_STEPS} steps of Adam, then extended to {EXTENSIONS} uploads, 5 times the L-BFGS steps "
            "each.",
            partial(_train, _extended),
        ),
        "mlp": Model(
            "MLP",
            "classical",
            f"2-{MLP_HIDDEN}-1, tanh: the QKAN's number of parameters, the same L-BFGS steps.",
            partial(_train, _mlp),
        ),
    }


def sections(data: None, records: list[Record], options: Options) -> list[Section]:
    """The function, and medians with ranges over seeds."""
    names = dict.fromkeys(record.model for record in records)
    values = {name: [record.outcome.value for record in records if record.model == name] for name in names}
    text = "; ".join(
        f"{name}: median {np.median(some):.3g}, from {min(some):.3g} to {max(some):.3g} over {len(some)} seeds"
        for name, some in values.items()
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


def _qkan(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> nn.Module:
    model = QKAN(WIDTHS, reps=REPS, dtype=torch.float64, generator=generator)
    _lbfgs(model, split, steps, 1.0, on_step)
    return model


def _extended(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> nn.Module:
    model = QKAN(WIDTHS, reps=1, dtype=torch.float64, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), ADAM_RATE)
    for _ in range(ADAM_STEPS):
        optimizer.zero_grad()
        _error(model, split.train).backward()
        optimizer.step()
    for reps in EXTENSIONS:
        model = model.extended(reps)
        _lbfgs(model, split, 5 * steps, EXTENSION_RATE, on_step)
    return model


def _mlp(split: FunctionSplit, generator: torch.Generator, steps: int, on_step: OnStep) -> nn.Module:
    maps = [
        nn.Linear(size, next_size, device="meta", dtype=torch.float64).to_empty(device="cpu")
        for size, next_size in pairwise((2, MLP_HIDDEN, 1))
    ]
    for layer in maps:
        bound = 1.0 / math.sqrt(layer.in_features)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    model = nn.Sequential(maps[0], nn.Tanh(), maps[1])
    _lbfgs(model, split, steps, 1.0, on_step)
    return model


def _lbfgs(model: nn.Module, split: FunctionSplit, steps: int, rate: float, on_step: OnStep) -> None:
    """`steps` calls of torch's L-BFGS, 20 iterations each, with a strong-Wolfe line search."""
    optimizer = torch.optim.LBFGS(
        model.parameters(), rate, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        error = _error(model, split.train)
        error.backward()
        return error

    for step in range(steps):
        error = optimizer.step(closure)
        on_step((step + 1) / steps, f"training error {float(error.detach()):.2g}")


def _error(model: nn.Module, data: Samples) -> Tensor:
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
