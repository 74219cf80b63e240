"""MNIST 3 against 6: 4x4 binary images on 16 + 1 qubits, or whole images on 784 + 1."""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from qml.baselines import LogisticRegression, MLPClassifier, hidden_size_for
from qml.compare.figures import circuit_figure
from qml.compare.task import Model, Options, Preset, Record, Section, Task
from qml.compare.tasks.digits_figures import ambiguous_figure, samples_figure
from qml.compare.training import Setting, classifier
from qml.data import Dataset, Split, binarise, downsample, load_digits, split_dataset, unambiguous
from qml.nn import QNNClassifier

PATTERN = "zxzxzx"
NEGATIVE, POSITIVE = 3, 6
WHOLE = 28
# Of 0.1, 0.15, ..., 0.5 the threshold that leaves the most images unambiguous (790 of 1000): chosen on the
# images alone, not by any model's accuracy.
THRESHOLD = 0.25
QNN_SETTINGS = (
    Setting(0.01, "scaled logistic"),
    Setting(0.003, "scaled logistic"),
    Setting(0.01, "Farhi-Neven"),
    Setting(0.03, "scaled logistic"),
)
# The product of 784 factors vanishes unless the angles stay small: papers' advice, small steps.
WHOLE_QNN_SETTINGS = (
    Setting(0.0003, "scaled logistic", weight_decay=10.0),
    Setting(0.0003, "scaled logistic"),
    Setting(0.0003, "Farhi-Neven"),
    Setting(0.0001, "scaled logistic"),
)
CLASSICAL_SETTINGS = (
    Setting(0.01),
    Setting(0.03),
    Setting(0.01, weight_decay=0.1),
    Setting(0.003),
)
WHOLE_CLASSICAL_SETTINGS = (
    Setting(0.003, weight_decay=1.0),
    Setting(0.003),
    Setting(0.01),
    Setting(0.001),
)


@dataclass(frozen=True)
class Digits:
    """The images as they ship, and as the models see them.

    Attributes:
        whole: All images of both digits, 28x28.
        seen: The same images as the models see them, ambiguous ones included.
        data: The samples of the comparison.
    """

    whole: Dataset
    seen: Dataset
    data: Dataset


def prepare(options: Options) -> Digits:
    """Load both digits; below 28 pixels a side average, binarise, and drop images seen with both labels."""
    whole = load_digits(NEGATIVE, POSITIVE)
    if options["resolution"] == WHOLE:
        return Digits(whole, whole, whole)
    pixels = binarise(downsample(whole.inputs, int(options["resolution"])), THRESHOLD)
    seen = Dataset(pixels, whole.labels)
    return Digits(whole, seen, seen[unambiguous(seen)])


def split(digits: Digits, seed: int) -> Split:
    """Split off 20 % to test on; 80 % are to train and choose on."""
    return split_dataset(digits.data, seed=seed)


def models(options: Options) -> dict[str, Model[Split]]:
    """Return the QNN, logistic regression, an MLP of 37 parameters (4x4 only), and one of the QNN's size."""
    side = int(options["resolution"])
    n_inputs = side**2
    hidden = hidden_size_for(len(PATTERN) * n_inputs, n_inputs)
    classical = partial(
        classifier,
        kind="classical",
        settings=WHOLE_CLASSICAL_SETTINGS if side == WHOLE else CLASSICAL_SETTINGS,
    )
    offered = {
        "qnn": classifier(
            "QNN",
            "quantum",
            f"Farhi-Neven classifier on {n_inputs} + 1 qubits: {PATTERN.upper()} gates from each data "
            "qubit onto the read-out qubit, exact expectation values.",
            _qnn,
            settings=WHOLE_QNN_SETTINGS if side == WHOLE else QNN_SETTINGS,
        ),
        "logistic": classical(
            "Logistic regression",
            recipe=f"A weight a pixel and a bias, on the same {n_inputs} pixels.",
            build=_logistic,
        ),
        "mlp37": classical(
            "MLP 37",
            recipe=f"{n_inputs}-2-1, tanh: the 37-parameter twin that the literature compares with.",
            build=partial(_mlp, 2),
        ),
        "mlp": classical(
            "MLP",
            recipe=f"{n_inputs}-{hidden}-1, tanh: the QNN's number of parameters within 10 %.",
            build=partial(_mlp, hidden),
        ),
    }
    if side == WHOLE:
        del offered["mlp37"]  # 784 pixels do not fit into 37 parameters
    return offered


def sections(digits: Digits, records: list[Record], options: Options) -> list[Section]:
    """Show the data, the images that were removed, and the circuit."""
    n_all, n_kept = len(digits.seen), len(digits.data)
    about = (
        f"Real MNIST images of {NEGATIVE} (label -1) and {POSITIVE} (label +1), {n_kept} in this "
        "comparison, cut anew for every seed: 20 % to test on, a fifth of the rest to choose on, the "
        "remainder to train on. "
    )
    if options["resolution"] == WHOLE:
        return [
            Section(
                "The data",
                about + "All 784 pixels are used as they are: a pixel p becomes the angle pi p of its own qubit.",
                samples_figure(digits.whole, digits.seen),
            ),
            _circuit_section(digits),
        ]
    n_patterns = len(torch.unique(digits.data.inputs, dim=0))
    return [
        Section(
            "The data",
            about + f"A pixel of 4x4 is the mean of 7x7 pixels, and 1 where that is above {THRESHOLD}. Only "
            f"{n_patterns} patterns are left, so most test images look like one that was trained on: a small "
            "problem, in which accuracies near 100 % promise nothing for harder ones.",
            samples_figure(digits.whole, digits.seen),
        ),
        Section(
            "What was removed",
            f"{n_all - n_kept} of {n_all} images have a pattern that both digits share, like these pairs. "
            "No model of 16 bits can tell them apart; they are left out, as in arXiv 1802.06002. With "
            "them, every accuracy here would be lower.",
            ambiguous_figure(digits.whole, digits.seen),
        ),
        _circuit_section(digits),
    ]


def _circuit_section(digits: Digits) -> Section:
    return Section(
        "The circuit",
        f"The first two of {len(PATTERN)} layers, with 4 data qubits instead of "
        f"{digits.data.inputs.shape[1]}: the pixels set the data qubits, then exp(i theta Z X) and "
        "exp(i theta X X) join each of them to the read-out qubit, whose Y is measured at the end.",
        circuit_figure(QNNClassifier(4, PATTERN[:2]).circuit),
    )


def _qnn(split: Split, generator: torch.Generator) -> nn.Module:
    """Build the QNN with angles from N(0, 1/(4 n_weights)): the product over data qubits starts near 1 at any size."""
    model = QNNClassifier(split.train.inputs.shape[1], PATTERN, generator=generator)
    nn.init.normal_(model.weights, std=0.5 / math.sqrt(len(model.weights)), generator=generator)
    return model


def _logistic(split: Split, generator: torch.Generator) -> nn.Module:
    return LogisticRegression(split.train.inputs.shape[1], generator=generator)


def _mlp(hidden_size: int, split: Split, generator: torch.Generator) -> nn.Module:
    return MLPClassifier(split.train.inputs.shape[1], (hidden_size,), generator=generator)


DIGITS = Task(
    name="digits",
    title="Handwritten digits: 3 or 6?",
    question="A quantum neural network after Farhi and Neven (arXiv 1802.06002) learns to tell real MNIST "
    "images of 3 and 6 apart, beside classical models with the same images, the same splits and the same "
    "tuning budget.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 4, 40), "demo": Preset(5, 2, 30)},
    sections=sections,
    options={"resolution": (4, WHOLE)},
    together=(4, WHOLE),
    labels=(str(NEGATIVE), str(POSITIVE)),
)
