"""Classifiers of small images at every place of `qml compare backends`."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qml.backends import Backend, Native
from qml.baselines import LogisticRegression, MLPClassifier
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.tasks.backends_places import PLACES, Place
from qml.compare.training import Setting, classifier, fit_classifier
from qml.data import Dataset, Split, downsample, load_digits, split_dataset
from qml.nn import QKANLayer, QNNClassifier

SIDE = 2
HIDDEN = 9  # units of the MLP
N_IMAGES = 180
NEGATIVE, POSITIVE = 3, 6
PATTERN = "zx"
GAIN = 4.0  # the gain's start: logits in [-4, 4]
SETTINGS = (Setting(0.1), Setting(0.2))
Build = Callable[[Split, torch.Generator, Backend], "Logit"]


class Logit(nn.Module):
    """A module gain * layer + bias, both trained: a threshold that is not where noise shrinks predictions to.

    Noise multiplies an expectation value by less than 1. With a threshold at 0 no decision would change by that.

    Args:
        layer: A layer that returns one number for each sample, as (batch,) or (batch, 1).
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.gain = nn.Parameter(torch.tensor(GAIN))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logit of label +1, (batch,)."""
        return self.gain * self.layer(inputs).reshape(len(inputs)) + self.bias

    def to_backend(self, backend: Backend) -> "Logit":
        """Run the layer elsewhere."""
        self.layer.to_backend(backend)  # pyright: ignore[reportCallIssue]  # every layer of LAYERS has it
        return self


def _qnn(split: Split, generator: torch.Generator, backend: Backend) -> Logit:
    return Logit(QNNClassifier(split.train.inputs.shape[1], PATTERN, backend=backend, generator=generator))


def _qkan(split: Split, generator: torch.Generator, backend: Backend) -> Logit:
    return Logit(QKANLayer(split.train.inputs.shape[1], 1, reps=2, backend=backend, generator=generator))


LAYERS: dict[str, tuple[str, Build]] = {
    "qnn": (f"Farhi-Neven classifier on {SIDE**2} + 1 qubits, {PATTERN.upper()} gates, a trained gain and bias", _qnn),
    "qkan": (f"QKAN layer of {SIDE**2} edges, side by side on {SIDE**2} qubits, a trained gain and bias", _qkan),
}
"""For each layer its description, and the function that builds it on a backend."""


def prepare() -> Dataset:
    """Load the first images of each digit, averaged to 2x2 pixels and stretched to [0, 1]."""
    whole = load_digits(NEGATIVE, POSITIVE)
    pixels = downsample(whole.inputs, SIDE)
    chosen = torch.cat([torch.nonzero(whole.labels == label)[: N_IMAGES // 2, 0] for label in (-1.0, 1.0)])
    return Dataset(pixels[chosen] / pixels.max(), whole.labels[chosen])


def split(data: Dataset, seed: int) -> Split:
    """Split off one third to test on; two thirds are to train and choose on."""
    return split_dataset(data, seed=seed, test=1 / 3)


def models() -> dict[str, Model[Split]]:
    """Return every layer at every place, logistic regression, and a classical twin of each layer's size."""
    offered = {
        f"{name}-{where}": Model(
            f"{name.upper()}, {place.title}", "quantum", f"{about}; {place.recipe}.", partial(train_at, build, place),
            SETTINGS,
        )
        for name, (about, build) in LAYERS.items()
        for where, place in PLACES.items()
    }  # fmt: skip
    recipe = f"A weight a pixel and a bias, on the same {SIDE**2} pixels."
    offered["logistic"] = classifier("Logistic regression", "classical", recipe, _logistic, settings=SETTINGS)
    recipe = "A weight a pixel, one a pixel's square, and a bias: as large as the QNN but for one number."
    offered["squares"] = classifier("Regression on squares", "classical", recipe, _squares, settings=SETTINGS)
    recipe = f"{SIDE**2}-{HIDDEN}-1, tanh: as large as the QKAN layer but for one number."
    offered["mlp"] = classifier("MLP", "classical", recipe, _mlp, settings=SETTINGS)
    return offered


def train_at(build: Build, place: Place, split: Split, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train at one place, choose on the validation part there, and test once at the other."""

    def test(module: nn.Module, split: Split) -> dict[str, Any]:
        return tested(module, split, place.test())

    def start(split: Split, generator: torch.Generator) -> nn.Module:
        return build(split, generator, place.train())

    outcome = fit_classifier(start, SETTINGS, test, split, seed, preset, on_step)
    names = ("deviation", "test_seconds")
    extras = {"test_accuracy_where_trained": outcome.value} | {name: outcome.details[name] for name in names}
    return replace(outcome, value=outcome.details["tested"], extras=outcome.extras | extras)


@torch.no_grad()
def tested(module: nn.Module, split: Split, backend: Backend) -> dict[str, Any]:
    """Measure accuracy on the test part at a place, and the deviation of its logits relative to those without noise.

    Both by one run.
    """
    inputs, labels = split.test.inputs, split.test.labels
    exact = module.to_backend(Native())(inputs)  # pyright: ignore[reportCallIssue]  # a Logit has it
    module.to_backend(backend)  # pyright: ignore[reportCallIssue]
    started = time.perf_counter()
    logits = module(inputs)
    seconds = time.perf_counter() - started
    hits = int(((logits > 0) == (labels > 0)).sum())
    deviation = float((logits - exact).square().mean().sqrt() / exact.square().mean().sqrt())
    return {"tested": hits / len(labels), "deviation": deviation, "test_seconds": seconds}


class Squares(nn.Module):
    """A model of the logit that is linear in pixels and their squares."""

    def __init__(self, n_inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.regression = LogisticRegression(2 * n_inputs, generator=generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logit of label +1, (batch,)."""
        return self.regression(torch.cat([inputs, inputs.square()], -1))


def _squares(split: Split, generator: torch.Generator) -> nn.Module:
    return Squares(split.train.inputs.shape[1], generator)


def _mlp(split: Split, generator: torch.Generator) -> nn.Module:
    return MLPClassifier(split.train.inputs.shape[1], (HIDDEN,), generator=generator)


def _logistic(split: Split, generator: torch.Generator) -> nn.Module:
    return LogisticRegression(split.train.inputs.shape[1], generator=generator)
