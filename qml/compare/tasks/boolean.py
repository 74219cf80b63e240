"""Subset parity and subset majority of 8 bits: exact circuits and trained ones."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, feature_maps
from circuits.classifier import classifier_ansatz, majority_circuit, parity_ansatz, parity_circuit
from qml.baselines import LogisticRegression, MLPClassifier, SineClassifier, hidden_size_for
from qml.compare.figures import circuit_figure
from qml.compare.task import Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.boolean_figures import angles_figure
from qml.compare.training import Setting, accuracy, classifier, confusion
from qml.data import Dataset, Split, all_strings, random_subset, split_dataset, subset_majority, subset_parity
from qml.nn import QNNClassifier

N_BITS = 8
SUBSET_SIZE = {"parity": 4, "majority": 5}  # a majority needs an odd number
LABELS: dict[str, Callable[[Tensor, tuple[int, ...]], Tensor]] = {
    "parity": subset_parity,
    "majority": subset_majority,
}
CIRCUITS: dict[str, Callable[[int, tuple[int, ...]], Circuit]] = {
    "parity": parity_circuit,
    "majority": majority_circuit,
}
ANSATZES: dict[str, Callable[[int], Circuit]] = {
    "parity": parity_ansatz,
    "majority": partial(classifier_ansatz, pattern="z"),
}
FORMULAS = {
    "parity": "The paper's parity circuit with free angles: <Y> = cos(2 sum_j theta_j bit_j)",
    "majority": "One ZX gate a bit: <Y> = sin(2 sum_j theta_j z_j)",
}
# Majority is learnt from small angles. Parity's gradient vanishes there (it is of the order of angle**3): its
# angles are spread over the whole period of the prediction.
SPREAD = {"parity": math.pi / 2, "majority": 0.1}
SETTINGS = (  # for models whose prediction lies in [-1, 1]
    Setting(0.1, "scaled logistic"),
    Setting(0.1, "Farhi-Neven"),
    Setting(0.03, "scaled logistic"),
    Setting(0.03, "Farhi-Neven"),
)
CLASSICAL_SETTINGS = (Setting(0.1), Setting(0.03), Setting(0.03, weight_decay=0.1), Setting(0.01))


@dataclass(frozen=True)
class Strings:
    """The strings of 8 bits, all of them, and the name of their label function."""

    bits: Float[Tensor, "batch inputs"]
    function: str


@dataclass(frozen=True)
class BooleanSplit(Split):
    """A split of all strings under the label function of one hidden subset.

    Attributes:
        subset: The bits that the label depends on.
        function: A name in `LABELS`.
    """

    subset: tuple[int, ...]
    function: str


def prepare(function: str, options: Options) -> Strings:
    """Return all strings of 8 bits."""
    return Strings(all_strings(N_BITS), function)


def split(strings: Strings, seed: int) -> BooleanSplit:
    """Draw a subset by `seed`; three quarters of the strings are to train and choose on, the rest to test on."""
    subset = random_subset(N_BITS, SUBSET_SIZE[strings.function], seed=seed)
    data = Dataset(strings.bits, LABELS[strings.function](strings.bits, subset))
    parts = split_dataset(data, seed=seed, test=0.25)
    return BooleanSplit(parts.train, parts.validation, parts.test, subset, strings.function)


def models(function: str, options: Options) -> dict[str, Model[BooleanSplit]]:
    """Return the exact circuit, the trained QNN, and classical models."""
    hidden = hidden_size_for(N_BITS + 1, N_BITS)
    classical = partial(classifier, kind="classical", settings=CLASSICAL_SETTINGS)
    return {
        "exact": Model(
            "Exact circuit",
            "quantum",
            f"The circuit that computes the {function} of the known subset.",
            _exact,
        ),
        "qnn": classifier(
            "QNN",
            "quantum",
            f"{FORMULAS[function]}, {N_BITS} angles.",
            partial(_qnn, function),
            settings=SETTINGS,
            inspect=_angles,
        ),
        "sine": classifier(
            "Sine",
            "classical",
            "sin(w x + b) of the bits: the QNN's formula without a circuit.",
            partial(_sine, function),
            settings=SETTINGS,
        ),
        "logistic": classical("Logistic regression", recipe="A weight a bit and a bias.", build=_logistic),
        "mlp": classical(
            "MLP",
            recipe=f"{N_BITS}-{hidden}-1, tanh: as near to the QNN's size as there is.",
            build=partial(_mlp, hidden),
        ),
        "mlp16": classical(
            "MLP 16",
            recipe=f"{N_BITS}-16-1, tanh: many more parameters than the QNN.",
            build=partial(_mlp, 16),
        ),
    }


def sections(strings: Strings, records: list[Record], options: Options) -> list[Section]:
    """Show the learnt angles beside the hidden subset, and the exact circuit."""
    subset = tuple(range(SUBSET_SIZE[strings.function]))
    shown = [
        Section(
            "The exact circuit",
            f"The {strings.function} of bits {', '.join(map(str, subset))} of {N_BITS}; nothing is trained.",
            circuit_figure(CIRCUITS[strings.function](N_BITS, subset)),
        )
    ]
    learnt = angles_figure(records)
    if learnt is None:
        return shown
    text = "Each bit's trained angle, by seed. Filled: the bit is in the hidden subset; hollow: it is not."
    return [Section("What the QNN has learnt", text, learnt), *shown]


def _exact(split: BooleanSplit, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Make the circuit from the subset itself; there is nothing to train."""
    started = time.perf_counter()
    module = QNNClassifier(N_BITS, circuit=CIRCUITS[split.function](N_BITS, split.subset))
    value = accuracy(module, split.test)
    details = {"confusion": confusion(module, split.test)}
    return Outcome(value, 0, time.perf_counter() - started, {"n_test": len(split.test)}, details)


def _angles(module: nn.Module, split: Split) -> dict[str, Any]:
    """Return the learnt angles, and the subset that they should show."""
    if not (isinstance(module, QNNClassifier) and isinstance(split, BooleanSplit)):
        raise TypeError("Argument `module` must be a QNNClassifier, and `split` a BooleanSplit.")
    return {"angles": module.weights.tolist(), "subset": list(split.subset)}


def _qnn(function: str, split: Split, generator: torch.Generator) -> nn.Module:
    circuit = Circuit(N_BITS + 1).compose(feature_maps.basis(N_BITS)).compose(ANSATZES[function](N_BITS))
    model = QNNClassifier(N_BITS, circuit=circuit)
    nn.init.uniform_(model.weights, -SPREAD[function], SPREAD[function], generator=generator)
    return model


def _sine(function: str, split: Split, generator: torch.Generator) -> nn.Module:
    """Build the twin, which starts as the QNN does: its read-out turns by twice the angle, for parity as a cosine."""
    phase = math.pi / 2 if function == "parity" else 0.0
    return SineClassifier(N_BITS, spread=2 * SPREAD[function], phase=phase, generator=generator)


def _logistic(split: Split, generator: torch.Generator) -> nn.Module:
    return LogisticRegression(N_BITS, generator=generator)


def _mlp(hidden_size: int, split: Split, generator: torch.Generator) -> nn.Module:
    return MLPClassifier(N_BITS, (hidden_size,), generator=generator)


def _task(function: str, question: str) -> Task:
    return Task(
        name=function,
        title=f"Subset {function} of {N_BITS} bits",
        question=question,
        prepare=partial(prepare, function),
        split=split,
        models=partial(models, function),
        presets={"full": Preset(10, 4, 100), "demo": Preset(5, 2, 60)},
        sections=sections,
    )


PARITY = _task(
    "parity",
    f"Is the number of ones among {SUBSET_SIZE['parity']} hidden bits even? Three quarters of all 256 "
    "strings are given. A circuit computes it exactly; whether one learns it is another matter (Farhi and "
    "Neven, arXiv 1802.06002).",
)
MAJORITY = _task(
    "majority",
    f"Are most of {SUBSET_SIZE['majority']} hidden bits 0? Three quarters of all 256 strings are given. "
    "One layer of gates computes it without error, and learns it (Farhi and Neven, arXiv 1802.06002).",
)
