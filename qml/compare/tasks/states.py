"""Quantum data: the sign of a hidden observable, from the amplitudes of random states of 4 qubits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from circuits.classifier import classifier_ansatz
from qml.baselines import LogisticRegression, MLPClassifier
from qml.compare.figures import circuit_figure
from qml.compare.task import Model, Options, Preset, Record, Section, Task
from qml.compare.tasks.states_figures import readout_figure
from qml.compare.training import Setting, classifier
from qml.data import Dataset, Split, hidden_axes, random_states, single_spins, spin_projection, split_dataset
from qml.nn import QNNClassifier

N_QUBITS = 4
N_STATES = 1000
PATTERN = "xyz"
LEAST_SPIN = 0.1  # states whose observable is smaller are left out: their label is a coin toss for any finite sample
HIDDEN = 8
N_SHOWN = 200  # states in the figure
SETTINGS = (
    Setting(0.01, "scaled logistic"),
    Setting(0.003, "scaled logistic"),
    Setting(0.01, "Farhi-Neven"),
    Setting(0.03, "scaled logistic"),
)
CLASSICAL_SETTINGS = (Setting(0.01), Setting(0.03), Setting(0.01, weight_decay=0.1), Setting(0.003))


@dataclass(frozen=True)
class StateSplit(Split):
    """A split of random states under a hidden observable.

    Attributes:
        axes: The direction of each qubit's spin in the observable.
    """

    axes: Float[Tensor, "qubits 3"]


class StateClassifier(nn.Module):
    """A QNN on states, whose amplitudes enter in place of encoded features.

    Args:
        n_qubits: Qubits of the states.
        generator: Source of the initial angles.
    """

    def __init__(self, n_qubits: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.qnn = QNNClassifier(n_qubits, PATTERN, generator=generator)

    def forward(self, states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, " batch"]:
        """Compute <Y_r> of each state."""
        return self.qnn.expectation_of_states(states)


class OnFeatures(nn.Module):
    """A classical model on numbers taken from states.

    Args:
        features: (batch, 2**n_qubits) amplitudes to (batch, n_inputs) numbers.
        model: A model of those numbers.
    """

    def __init__(self, features: Callable[[Tensor], Tensor], model: nn.Module) -> None:
        super().__init__()
        self.features, self.model = features, model

    def forward(self, states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, " batch"]:
        """Compute the logit of each state."""
        return self.model(self.features(states))


def amplitude_parts(states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, "batch inputs"]:
    """Return real and imaginary parts, 2 * 2**n_qubits numbers."""
    return torch.cat([states.real, states.imag], dim=-1)


def spins(states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, "batch inputs"]:
    """Compute <X>, <Y>, <Z> of every qubit, 3 n_qubits numbers."""
    return single_spins(states).flatten(1)


def density_entries(states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, "batch inputs"]:
    """Compute the 4**n_qubits real numbers of the density matrix, scaled to order one."""
    side = states.shape[-1]
    density = states[:, :, None] * states[:, None, :].conj()
    upper = torch.ones(side, side, dtype=torch.bool, device=states.device).triu()
    return side * torch.where(upper, density.real, density.imag).flatten(1)


def prepare(options: Options) -> None:
    """Load nothing: every seed draws its own states."""


def split(data: None, seed: int) -> StateSplit:
    """Draw states and an observable by `seed`: 40 % to train, 10 % to choose on, 50 % to test on."""
    generator = torch.Generator().manual_seed(seed)
    axes = hidden_axes(N_QUBITS, generator=generator)
    states = random_states(2 * N_STATES, N_QUBITS, generator=generator)
    spin = spin_projection(states, axes)
    clear = torch.nonzero(spin.abs() > LEAST_SPIN).flatten()[:N_STATES]
    parts = split_dataset(Dataset(states[clear], torch.sign(spin[clear])), seed=seed, test=0.5)
    return StateSplit(parts.train, parts.validation, parts.test, axes)


def models(options: Options) -> dict[str, Model[StateSplit]]:
    """Return the QNN on states, and classical models on amplitudes, spins and density matrices."""
    n_amplitudes = 2**N_QUBITS
    classical = partial(classifier, kind="classical", settings=CLASSICAL_SETTINGS)
    return {
        "qnn": classifier(
            "QNN",
            "quantum",
            f"{PATTERN.upper()} gates from each of {N_QUBITS} qubits onto the read-out, "
            f"{len(PATTERN) * N_QUBITS} angles; the state itself is the input.",
            _qnn,
            settings=SETTINGS,
            inspect=_readout,
        ),
        "logistic": classical(
            "Logistic regression",
            recipe=f"On {2 * n_amplitudes} real and imaginary parts of amplitudes.",
            build=partial(_logistic, amplitude_parts),
        ),
        "mlp": classical(
            "MLP",
            recipe=f"{2 * n_amplitudes}-{HIDDEN}-1, tanh, on the same parts: far more parameters than the QNN.",
            build=_mlp,
        ),
        "spins": classical(
            "Logistic, spins",
            recipe=f"On <X>, <Y>, <Z> of each qubit, {3 * N_QUBITS} numbers: it is told where to look.",
            build=partial(_logistic, spins),
        ),
        "density": classical(
            "Logistic, density matrix",
            recipe=f"On the {4**N_QUBITS} numbers of the density matrix, in which any observable is linear.",
            build=partial(_logistic, density_entries),
        ),
    }


def sections(data: None, records: list[Record], options: Options) -> list[Section]:
    """Show the read-out against the observable, and the circuit."""
    shown = [
        Section(
            "The circuit",
            f"The state is loaded on {N_QUBITS} qubits; gates exp(i theta P X) with P = X, Y, Z join each "
            "of them to the read-out qubit, whose Y is measured. Small angles make it a weighted sum of "
            "all 12 spins.",
            circuit_figure(classifier_ansatz(N_QUBITS, PATTERN)),
        )
    ]
    readout = readout_figure(records)
    if readout is None:
        return shown
    text = "Test states of the first seed: the hidden observable, and what the trained QNN reads out."
    return [Section("What the QNN has learnt", text, readout), *shown]


def _readout(module: nn.Module, split: Split) -> dict[str, Any]:
    """Return the observable and the read-out of a sample of test states."""
    if not isinstance(split, StateSplit):
        raise TypeError(f"Argument `split` must be a StateSplit, but is {type(split).__name__}.")
    states = split.test.inputs[:: max(1, len(split.test) // N_SHOWN)]
    with torch.no_grad():
        readout = module(states)
    return {"observable": spin_projection(states, split.axes).tolist(), "readout": readout.tolist()}


def _qnn(split: Split, generator: torch.Generator) -> nn.Module:
    return StateClassifier(N_QUBITS, generator=generator)


def _logistic(features: Callable[[Tensor], Tensor], split: Split, generator: torch.Generator) -> nn.Module:
    n_inputs = features(split.train.inputs[:1]).shape[1]
    return OnFeatures(features, LogisticRegression(n_inputs, generator=generator))


def _mlp(split: Split, generator: torch.Generator) -> nn.Module:
    return OnFeatures(amplitude_parts, MLPClassifier(2 * 2**N_QUBITS, (HIDDEN,), generator=generator))


STATES = Task(
    name="states",
    title="A label of quantum states",
    question=f"Random states of {N_QUBITS} qubits carry the sign of a hidden observable: the sum of their "
    "spins, each along an axis of its own. The QNN is given the states; the classical models are given "
    "numbers computed from the amplitudes, which a laboratory would have to measure first.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 4, 60), "demo": Preset(5, 2, 30)},
    sections=sections,
)
