"""What a device's noise costs a trained classifier, and what wins it back: mitigation, and training with the noise.

A later family joins by one entry in `LAYERS`: how its layer is built for the data's features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from qml.backends import IBM, Backend, Native, NoisyNative
from qml.baselines import LogisticRegression
from qml.compare.figures import circuit_figure
from qml.compare.task import Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.training import Setting, accuracy, classifier, fit_classifier
from qml.data import Dataset, Split, downsample, load_digits, split_dataset
from qml.nn import QNNClassifier

DEVICE = "fake_torino"  # 133 qubits, with the errors of a day in 2024
SHOTS = 2000
ZNE = (1, 3)
SIDE = 2
N_IMAGES = 300
NEGATIVE, POSITIVE = 3, 6
PATTERN = "zx"
SETTINGS = (Setting(0.05, "scaled logistic"), Setting(0.02, "scaled logistic"))
CLASSICAL_SETTINGS = (Setting(0.05), Setting(0.02))


def _qnn(split: Split, generator: torch.Generator, backend: Backend) -> nn.Module:
    return QNNClassifier(split.train.inputs.shape[1], PATTERN, backend=backend, generator=generator)


LAYERS: dict[str, tuple[str, Callable[[Split, torch.Generator, Backend], nn.Module]]] = {
    "qnn": (f"Farhi-Neven classifier on {SIDE**2} + 1 qubits, {PATTERN.upper()} gates", _qnn),
}
"""For each layer what it is, and how it is built on a backend."""


@dataclass(frozen=True)
class Place:
    """Where a layer is trained and where it is tested.

    Args:
        title: in the table.
        recipe: in words.
        train: makes the backend of training.
        test: makes the backend of testing.
    """

    title: str
    recipe: str
    train: Callable[[], Backend]
    test: Callable[[], Backend]


PLACES = {
    "ideal": Place("ideal", "trained and tested without noise, exactly", Native, Native),
    "noisy": Place(
        "noisy",
        f"trained without noise, tested on {DEVICE} with {SHOTS} shots",
        Native,
        partial(IBM, DEVICE, shots=SHOTS),
    ),
    "mitigated": Place(
        "mitigated",
        f"the same, with the Runtime client's read-out mitigation and zero-noise extrapolation at factors {ZNE}",
        Native,
        partial(IBM, DEVICE, shots=SHOTS, readout_mitigation=True, zne=ZNE),
    ),
    "trained": Place(
        "trained with noise",
        f"trained on the noise model of {DEVICE} in our density-matrix simulator, tested as the noisy one",
        partial(NoisyNative, DEVICE),
        partial(IBM, DEVICE, shots=SHOTS),
    ),
}


def prepare(options: Options) -> Dataset:
    """The first images of each digit, averaged to 2x2 pixels and stretched to [0, 1]."""
    whole = load_digits(NEGATIVE, POSITIVE)
    pixels = downsample(whole.inputs, SIDE)
    chosen = torch.cat([torch.nonzero(whole.labels == label)[: N_IMAGES // 2, 0] for label in (-1.0, 1.0)])
    return Dataset(pixels[chosen] / pixels.max(), whole.labels[chosen])


def split(data: Dataset, seed: int) -> Split:
    """Two thirds to train and choose on, one third to test on."""
    return split_dataset(data, seed=seed, test=1 / 3)


def models(options: Options) -> dict[str, Model]:
    """Every layer at every place, and logistic regression."""
    offered = {
        f"{name}-{where}": Model(
            f"{name.upper()}, {place.title}",
            "quantum",
            f"{about}; {place.recipe}.",
            partial(_train, build, place),
            SETTINGS,
        )
        for name, (about, build) in LAYERS.items()
        for where, place in PLACES.items()
    }
    offered["logistic"] = classifier(
        "Logistic regression",
        "classical",
        f"A weight a pixel and a bias, on the same {SIDE**2} pixels.",
        _logistic,
        settings=CLASSICAL_SETTINGS,
    )
    return offered


def _train(
    build: Callable[[Split, torch.Generator, Backend], nn.Module],
    place: Place,
    split: Split,
    seed: int,
    preset: Preset,
    on_step: OnStep,
) -> Outcome:
    """Train at one place, choose on the validation part there, and test once at the other."""

    def test(module: nn.Module, split: Split) -> dict[str, Any]:
        module.to_backend(place.test())  # pyright: ignore[reportCallIssue]  # every layer of LAYERS has it
        return {"tested": accuracy(module, split.test)}

    def start(split: Split, generator: torch.Generator) -> nn.Module:
        return build(split, generator, place.train())

    outcome = fit_classifier(start, SETTINGS, test, split, seed, preset, on_step)
    where_trained = {"test_accuracy_where_trained": outcome.value}
    return replace(outcome, value=outcome.details["tested"], extras=outcome.extras | where_trained)


def sections(data: Dataset, records: list[Record], options: Options) -> list[Section]:
    """The device and the circuit."""
    return [
        Section(
            "The device and the circuit",
            f"{DEVICE} is a snapshot of a device of 133 qubits: Aer plays its gates, couplings and errors. "
            "Circuits are placed by its couplings alone, not by its error rates. Mitigation is the "
            "Runtime client's; Mitiq 1.1 asks for numpy < 2.3 and cannot be installed beside what is tested here. "
            f"Images of {NEGATIVE} and {POSITIVE} as {SIDE}x{SIDE} pixels: small enough for a noisy density matrix.",
            circuit_figure(QNNClassifier(SIDE**2, PATTERN).circuit),
        ),
    ]


def _logistic(split: Split, generator: torch.Generator) -> nn.Module:
    return LogisticRegression(split.train.inputs.shape[1], generator=generator)


BACKENDS = Task(
    name="backends",
    title="One classifier on every backend",
    question=f"A quantum neural network after Farhi and Neven (arXiv 1802.06002) learns real MNIST images of "
    f"{NEGATIVE} and {POSITIVE} without noise, and is then tested on a noisy device: what does the noise cost, "
    "and what do mitigation and training with the noise win back?",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(5, 2, 20), "demo": Preset(3, 1, 8)},
    sections=sections,
    labels=(str(NEGATIVE), str(POSITIVE)),
)
