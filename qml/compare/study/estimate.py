"""The cost of a study before it runs: fits counted, seconds from a few steps of each model and size."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from qml.compare.study.competitors import MAKERS, TRAINED, architecture, fit
from qml.compare.study.data import N_FOLDS, Part, StudySet, study_set
from qml.compare.study.grids import Setting, candidates
from qml.compare.study.images import study_cnn
from qml.compare.study.run import Study

BATCH = 32
N_TIMED = 3
ENOUGH_SECONDS = 1.0  # a step that takes longer is timed once
TYPICAL_STEPS = {  # means over learning rates and data sets of four features and less
    "circuit-centric": 750, "re-uploading": 1200, "dressed": 2500, "iqp": 900, "metric": 900, "boltzmann": 2600,
    "tree": 650, "separable": 800, "boltzmann-separable": 1800,
}  # fmt: skip
USUAL_STEPS = 1200  # of others
FEW = 3  # features, up to which the next table holds: means over the grids of hidden manifold with two and three
STEPS_OF_FEW = {
    "circuit-centric": 590, "re-uploading": 800, "dressed": 730, "iqp": 550, "metric": 660, "boltzmann": 1420,
    "tree": 570, "separable": 680, "boltzmann-separable": 1400,
}  # fmt: skip
LONGEST = 1.8  # steps of the longest training of a stack over the mean, 1.7 to 2.1 there
COSTLY = ("n_input_copies", "n_layers", "encoding_layers", "kernel_shape")  # hyperparameters that change a step's time
SHARED = {"projected-kernel": 12, "iqp-kernel": 4, "separable-kernel": 4}  # candidates that share kernels or features
TIMED_ONCE = ("mlp", "svc", "kitchen-sinks", "separable-kernel")  # whose time hardly depends on the features
GROWTH = {"projected-kernel": 2.0}  # of a fit with each further qubit
MOST_FEATURES = 11  # larger sizes of these models are extrapolated


@dataclass(frozen=True)
class Cost:
    """The estimated work of one model.

    Attributes:
        model: Name in `ENTRIES`.
        n_fits: Number of fits, those of searches included.
        hours: Processor hours.
        is_extrapolated: Whether sizes above those that were timed are part of it.
    """

    model: str
    n_fits: int
    hours: float
    is_extrapolated: bool


def estimate(study: Study) -> list[Cost]:
    """Time a few steps of each model at each number of features, and count what the study has to do in all.

    Trained models are timed at every architecture of their grid and take a typical number of steps; others are fitted
    at the first and the last candidate. What an earlier run has stored is not taken off.
    """
    costs = []
    for model in study.models:
        n_fits, seconds, is_extrapolated, timed = 0, 0.0, False, {}
        n_rates = len(
            {one.get("learning_rate") for one in candidates(model)} if study.amount.n_candidates != 0 else {0}
        )
        for data_set in study.data_sets:
            if model not in study.runs(data_set):
                continue
            data = study_set(*data_set, study.files_of(data_set))
            size = 0 if model in TIMED_ONCE else data.whole.n_features
            if size not in timed:
                timed[size] = _timed(model, data, timed, n_rates)
            numbers = () if study.amount.n_candidates == 0 else study.numbers(model)
            n_fits += study.amount.n_seeds + N_FOLDS * len(numbers)
            n_trained = study.amount.n_seeds + N_FOLDS * n_different(model, numbers, data.whole.n_features)
            seconds += n_trained * timed[size] / SHARED.get(model, 1)
            is_extrapolated |= model in GROWTH and size > MOST_FEATURES
        if n_fits:
            costs.append(Cost(model, n_fits, seconds / 3600.0, is_extrapolated))
    return costs


def n_different(model: str, numbers: Sequence[int], n_features: int) -> int:
    """Return the number of candidates that are trained, as one stands for those that are the same model."""
    settings = [candidates(model)[number] for number in numbers]
    return len({(one.get("learning_rate"), architecture(model, one, n_features, True)) for one in settings})


def _timed(model: str, data: StudySet, timed: dict[int, float], n_rates: int) -> float:
    """Return the processor seconds of one fit."""
    size, settings = data.whole.n_features, candidates(model)
    ends = (settings[0], settings[-1])
    if model in GROWTH and size > MOST_FEATURES and timed:
        return timed[max(timed)] * GROWTH[model] ** (size - max(timed))
    if model not in TRAINED:
        return sum(fit(model, setting, data.folds[0], seed=0, is_published=True).seconds for setting in ends) / 2
    chosen = ends if model == "quanvolutional" else architectures(model)
    return sum(fit_seconds(model, setting, data.whole, n_rates) for setting in chosen) / len(chosen)


def architectures(model: str) -> list[Setting]:
    """Return a candidate for each combination of the hyperparameters that change the time of a step."""
    chosen = {tuple(value for name, value in one.items() if name in COSTLY): one for one in candidates(model)}
    return list(chosen.values())


def fit_seconds(model: str, setting: Setting, part: Part, n_rates: int) -> float:
    """Return the processor seconds of one training of those that are one stack: five folds at each learning rate.

    A step of the stack takes a part of its time whatever it holds, which ends with the longest training, and a part for
    each training. Stacks of five and of ten tell them apart.

    Args:
        model: Name of a trained model.
        setting: A candidate of its grid.
        part: The samples.
        n_rates: Number of learning rates.
    """
    n_steps = typical_steps(model, part.n_features)
    if model == "quanvolutional":
        return n_steps * step_seconds(_step_on_filtered(setting, part))
    five, ten = (step_seconds(_step(model, setting, part, n * N_FOLDS)) for n in (1, 2))
    own = min(max(ten - five, 0.0), five) / N_FOLDS
    shared = five - N_FOLDS * own
    return n_steps * (own + LONGEST * shared / (N_FOLDS * n_rates))


def typical_steps(model: str, n_features: int) -> int:
    """Return the mean number of steps of a training in a search."""
    table = STEPS_OF_FEW if n_features <= FEW else TYPICAL_STEPS
    return table.get(model, USUAL_STEPS)


def step_seconds(step: Callable[[], Any]) -> float:
    """Return the processor seconds of a training step on batches of 32, the first step left out."""
    step()
    seconds: list[float] = []
    while len(seconds) < N_TIMED and sum(seconds) < ENOUGH_SECONDS:
        started = time.process_time()
        step()
        seconds.append(time.process_time() - started)
    return sorted(seconds)[len(seconds) // 2]


def _step(model: str, setting: Setting, part: Part, n_trainings: int) -> Callable[[], Any]:
    from qml.estimators.layers import begin_together
    from qml.estimators.together import Stack
    from qml.estimators.training import drawn

    pairs = [(part.fit_inputs, part.fit_labels)] * n_trainings
    models = [MAKERS[model](model, setting, part.n_features, 0, True) for _ in pairs]
    if model == "metric":
        problems = [one.begin(*pair) for one, pair in zip(models, pairs, strict=True)]
        loops = [one.loop for one in models]
    else:
        problems, loops = begin_together(models, pairs)
    stack = Stack(problems, [loop.learning_rate for loop in loops])
    return lambda: stack.step([drawn(len(one.rows), loops[0], one.generator) for one in problems])


def _step_on_filtered(setting: Setting, part: Part) -> Callable[[], None]:
    """Return a step of the network behind quantum filters, which act once, before the training."""
    model = MAKERS["quanvolutional"]("quanvolutional", setting, part.n_features, 0, True)
    rows, labels = torch.from_numpy(model.fit_filters(part.fit_inputs)), torch.from_numpy(part.fit_labels)
    generator = torch.Generator().manual_seed(0)
    make = study_cnn(setting["kernel_shape"], setting["n_qchannels"])
    layer = make(rows.shape[1], dtype=torch.float64, generator=generator)
    optimiser = torch.optim.Adam(layer.parameters(), setting["learning_rate"])

    def step() -> None:
        chosen = torch.randint(len(rows), (BATCH,), generator=generator)
        optimiser.zero_grad()
        layer.loss(rows[chosen], labels[chosen]).backward()
        optimiser.step()

    return step


def total_hours(costs: Sequence[Cost]) -> float:
    """Return the processor hours of all models."""
    return sum(cost.hours for cost in costs)
