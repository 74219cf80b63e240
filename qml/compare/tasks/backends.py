"""The cost of a device's noise to trained layers of every family, and two remedies: mitigation, training with it.

A family is a module with its data, its splits and its models; it joins by one entry in `FAMILIES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

from qml.compare.figures import circuit_figure
from qml.compare.task import (
    DataT,
    Metric,
    Model,
    OnStep,
    Options,
    Outcome,
    Preset,
    Record,
    Section,
    SplitT,
    Task,
)
from qml.compare.tasks import backends_forecast as forecast
from qml.compare.tasks import backends_images as images
from qml.compare.tasks import backends_rings as rings
from qml.compare.tasks import backends_threshold as threshold
from qml.compare.tasks import backends_words as words
from qml.compare.tasks.backends_places import DEVICE
from qml.nn import QNNClassifier


@dataclass(frozen=True)
class Family(Generic[DataT, SplitT]):
    """A group of layers that share a data set.

    Args:
        prepare: Loads the data.
        split: Draws the parts that its models are given, by `(data, seed)`.
        models: Its competitors.
    """

    prepare: Callable[[], DataT]
    split: Callable[[DataT, int], SplitT]
    models: Callable[[], dict[str, Model[SplitT]]]


FAMILIES: dict[str, Family[Any, Any]] = {
    "images": Family(images.prepare, images.split, images.models),
    "threshold": Family(threshold.prepare, threshold.split, threshold.models),
    "words": Family(words.prepare, words.split, words.models),
    "forecast": Family(forecast.prepare, forecast.split, lambda: forecast.models() | rings.models()),
}
Parts = Mapping[str, Any]  # data or a split of each family


def prepare(options: Options) -> Parts:
    """Load the data of every family."""
    return {name: family.prepare() for name, family in FAMILIES.items()}


def split(data: Parts, seed: int) -> Parts:
    """Split the data of each family."""
    return {name: family.split(data[name], seed) for name, family in FAMILIES.items()}


def models(options: Options) -> dict[str, Model[Parts]]:
    """Return the models of all families."""
    return {
        key: replace(model, train=partial(_on_its_data, name, model), family=name)
        for name, family in FAMILIES.items()
        for key, model in family.models().items()
    }


def _on_its_data(family: str, model: Model, parts: Parts, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    return model.train(parts[family], seed, preset, on_step)


def sections(data: Parts, records: list[Record], options: Options) -> list[Section]:
    """Explain the numbers, the cells that are missing and why, the device and the circuit."""
    text = (
        "What is counted. Classifiers: the share of test images with the right label. Recurrent networks: the share of "
        "right last words among the runs whose ancillas read 0, as a mean over all sequences. Reservoirs: the share of "
        "the variance of the next value that is explained (R2), which a bad forecast makes negative. "
        "What is missing. 700 images, mitigated: 64 circuits an image take minutes. Recurrent networks, mitigated: the "
        "client mitigates expectation values alone, not samples. Recurrent networks, trained with noise: our simulator "
        "takes a device's noise for circuits without measurements inside. Reservoirs, mitigated: a forecast is a "
        "job a step, of 384 circuits each with read-out mitigation alone; it was tried once and changed nothing. "
        "Persistent rings keep their register for a whole series, which is one circuit with measurements inside: all "
        "series are one job, and there is nothing that the client could mitigate. "
        f"The device. {DEVICE} is a snapshot of a device of 133 qubits: Aer plays its gates, couplings and errors. "
        "Circuits are placed on the qubits with the least calibrated errors. Mitigation is the "
        "Runtime client's; Mitiq 1.1 asks for numpy < 2.3 and cannot be installed beside what is tested here. "
        f"The classifier's images of {images.NEGATIVE} and {images.POSITIVE} have {images.SIDE}x{images.SIDE} pixels: "
        "small enough for a noisy density matrix. Its circuit:"
    )
    figure = circuit_figure(QNNClassifier(images.SIDE**2, images.PATTERN).circuit)
    return [Section("What is counted, what is missing, and the device", text, figure)]


BACKENDS = Task(
    name="backends",
    title="Trained layers on a noisy device",
    question=f"Layers are trained without noise and then tested on {DEVICE}: what does the noise cost, and what do "
    "mitigation and training with the noise win back? The score is the share of right answers, and of a forecast the "
    "share of the variance that is explained.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(5, 2, 60), "demo": Preset(1, 1, 40)},
    sections=sections,
    metric=Metric("score", "Score"),  # see sections
    labels=(str(images.NEGATIVE), str(images.POSITIVE)),
)
