"""MNIST 4 against 9 on 121 qubits: a brick circuit with a qubit for every pixel of 11x11."""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from circuits import Circuit, Z, data, weight
from qml.baselines import LogisticRegression, MLPClassifier, hidden_size_for
from qml.compare.figures import circuit_figure
from qml.compare.task import Model, Options, Preset, Record, Section, Task
from qml.compare.tasks.digits_figures import averaged_figure
from qml.compare.training import Setting, classifier
from qml.data import Dataset, Split, load_digits, split_dataset
from qml.nn import QuantumLayer

NEGATIVE, POSITIVE = 4, 9
SIDE = 11  # 121 pixels: as many qubits fit on a device of 127
MARGIN_PIXELS = 3  # on each side of the 28x28 images: 22x22 are left
N_LAYERS = 2
SETTINGS = (Setting(0.01), Setting(0.03), Setting(0.01, weight_decay=0.1), Setting(0.003))


class BrickClassifier(nn.Module):
    """A classifier that reads every qubit of a brick circuit and adds the values up.

    A pixel p in [0, 1] becomes RY(pi p) on its qubit. Then come layers of CZ on neighbours, even pairs before odd ones,
    and RY of every qubit; pixels are neighbours along a line that winds through the image row by row.

    Args:
        side: pixels of a side of the image.
        n_layers: layers of CZ and RY.
        generator: for the initial weights.

    Shape:
        (batch, side**2) to (batch,), positive for label +1.
    """

    def __init__(self, side: int, n_layers: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.side = side
        circuit = brick_circuit(side**2, n_layers)
        observables = [Z(qubit) for qubit in range(side**2)]
        self.quantum = QuantumLayer(circuit, observables, initial="small", generator=generator)
        self.head = nn.Linear(side**2, 1)
        with torch.no_grad():
            self.head.weight.normal_(0.0, 1.0 / side, generator=generator)
            self.head.bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the scores of images."""
        rows = inputs.unflatten(-1, (self.side, self.side))
        winding = torch.where(torch.arange(self.side)[:, None] % 2 == 0, rows, rows.flip(-1))
        return self.head(self.quantum(math.pi * winding.flatten(-2))).squeeze(-1)


def brick_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build RY of the data on every qubit, then layers of CZ on neighbours and RY of a weight on every qubit."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(data(qubit), qubit)
    for layer in range(n_layers):
        for first in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2)):
            circuit.cz(first, first + 1)
        for qubit in range(n_qubits):
            circuit.ry(weight(layer * n_qubits + qubit), qubit)
    return circuit


def prepare(options: Options) -> Dataset:
    """Load both digits, cut off their empty margins, and average squares of 2x2 pixels."""
    whole = load_digits(NEGATIVE, POSITIVE)
    inner = whole.inputs.unflatten(-1, (28, 28))[..., MARGIN_PIXELS:-MARGIN_PIXELS, MARGIN_PIXELS:-MARGIN_PIXELS]
    return Dataset(functional.avg_pool2d(inner, 2).flatten(-2), whole.labels)


def split(dataset: Dataset, seed: int) -> Split:
    """Split off 20 % to test on; 80 % are to train and choose on."""
    return split_dataset(dataset, seed=seed)


def models(options: Options) -> dict[str, Model[Split]]:
    """Return the circuit, logistic regression on the same pixels, and an MLP of the circuit's size."""
    n_pixels = SIDE**2
    n_parameters = (N_LAYERS + 1) * n_pixels + 1
    hidden = hidden_size_for(n_parameters, n_pixels)
    return {
        "brick": classifier(
            "Brick circuit",
            "quantum",
            f"{n_pixels} qubits, a pixel each; {N_LAYERS} layers of CZ on neighbours and RY, exact expectation values "
            "of every Z, and a weighted sum of them.",
            lambda split, generator: BrickClassifier(SIDE, N_LAYERS, generator=generator),
            settings=SETTINGS,
        ),
        "logistic": classifier(
            "Logistic regression",
            "classical",
            f"A weight a pixel and a bias, on the same {n_pixels} pixels.",
            lambda split, generator: LogisticRegression(n_pixels, generator=generator),
            settings=SETTINGS,
        ),
        "mlp": classifier(
            "MLP",
            "classical",
            f"{n_pixels}-{hidden}-1, tanh: the circuit's number of parameters within 10 %.",
            partial(_mlp, hidden),
            settings=SETTINGS,
        ),
    }


def sections(dataset: Dataset, records: list[Record], options: Options) -> list[Section]:
    """Show the images and the circuit."""
    whole = load_digits(NEGATIVE, POSITIVE)
    return [
        Section(
            "The data",
            f"Real MNIST images of {NEGATIVE} (label -1) and {POSITIVE} (label +1), {len(dataset)} in all. Margins "
            f"of {MARGIN_PIXELS} pixels are cut off, and squares of 2x2 averaged to {SIDE}x{SIDE} pixels. The data are "
            "cut anew for every seed: 20 % to test on, a fifth of the rest to choose on, the remainder to train on.",
            averaged_figure(whole, dataset),
        ),
        Section(
            "The circuit",
            f"One of {N_LAYERS} layers, with 6 qubits in place of {SIDE**2}. No register of {SIDE**2} qubits is ever "
            "made: each value of Z depends on a handful of qubits around it, and equal handfuls run as one batch.",
            circuit_figure(brick_circuit(6, 1)),
        ),
    ]


def _mlp(hidden_size: int, split: Split, generator: torch.Generator) -> nn.Module:
    return MLPClassifier(SIDE**2, (hidden_size,), generator=generator)


WIDE = Task(
    name="wide",
    title="Handwritten digits on 121 qubits: 4 or 9?",
    question="A brick circuit with a qubit for every pixel learns to tell real MNIST images of 4 and 9 apart, beside "
    "classical models with the same images, the same splits and the same tuning budget.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 4, 30), "demo": Preset(5, 2, 15)},
    sections=sections,
    labels=(str(NEGATIVE), str(POSITIVE)),
)
