"""Training a two-class model: the same loop and the same tuning budget for quantum and classical ones."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.baselines import count_parameters
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.tuning import Merit, Trial, try_settings
from qml.data import Dataset, Split
from qml.nn.losses import farhi_neven_loss, logistic_loss

BATCH_SIZE = 32
Build = Callable[[Split, torch.Generator], nn.Module]
Inspect = Callable[[nn.Module, Split], dict[str, Any]]
Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "Farhi-Neven": farhi_neven_loss,
    "logistic": partial(logistic_loss, scale=1.0),  # for logits
    "scaled logistic": partial(logistic_loss, scale=4.0),  # for predictions in [-1, 1]: logits in [-4, 4]
}


@dataclass(frozen=True)
class Setting:
    """A setting of the training that the validation part may choose.

    Attributes:
        learning_rate: Adam's first step.
        loss: A name in `LOSSES`.
        weight_decay: Decoupled decay (AdamW).
    """

    learning_rate: float
    loss: str = "logistic"
    weight_decay: float = 0.0

    def __str__(self) -> str:
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        return f"{self.loss} loss, learning rate {self.learning_rate:g}{decay}"


@dataclass(frozen=True)
class RateSetting:
    """A setting whose learning rate is all that the validation part chooses.

    Attributes:
        learning_rate: Adam's first step.
    """

    learning_rate: float

    def __str__(self) -> str:
        return f"learning rate {self.learning_rate:g}"


@dataclass(frozen=True)
class TrainingRun:
    """A finished training run, with the weights of its best epoch."""

    module: nn.Module
    setting: Setting
    curves: dict[str, list[float]]
    best_epoch: int
    seconds: float


def classifier(
    title: str,
    kind: str,
    recipe: str,
    build: Build,
    *,
    settings: tuple[Setting, ...],
    inspect: Inspect | None = None,
) -> Model[Split]:
    """Return a competitor that `fit_classifier` trains.

    Args:
        title: Its name in figures.
        kind: "quantum" or "classical".
        recipe: Its description in words.
        build: Makes an untrained module for a split; its scores are positive for label +1.
        settings: The settings that the validation part chooses among.
        inspect: Returns more numbers of the chosen module, as JSON values for the figures.
    """
    return Model(title, kind, recipe, partial(fit_classifier, build, settings, inspect), settings)


def fit_classifier(
    build: Build,
    settings: tuple[Setting, ...],
    inspect: Inspect | None,
    split: Split,
    seed: int,
    preset: Preset,
    on_step: OnStep,
) -> Outcome:
    """Train once with each setting, keep the best on the validation part, and test that one.

    The epoch with the highest validation accuracy is kept; ties go to the higher training accuracy, then to
    the lower validation loss. So it is between settings, where the last tie goes to the higher mean accuracy.
    """
    started = time.perf_counter()

    def run(trial: Trial[Setting]) -> tuple[Merit, TrainingRun]:
        generator = torch.Generator().manual_seed(1000 * seed + trial.number)  # every setting has its own start
        module = build(split, generator)
        finished = train_run(module, trial.setting, split, preset.n_epochs, generator=generator, on_step=trial.on_step)
        return _merit(finished), finished

    tried = try_settings(settings, run, on_step, n_trials=preset.n_settings, seed=seed)
    best = tried.result
    return Outcome(
        value=accuracy(best.module, split.test),
        n_parameters=count_parameters(best.module),
        seconds=best.seconds,
        extras={
            "train_accuracy": accuracy(best.module, split.train),
            "validation_accuracy": best.curves["validation_accuracy"][best.best_epoch],
            "setting": str(best.setting),
            "n_settings": tried.n_trials,
            "epoch": best.best_epoch + 1,
            "tuning_seconds": time.perf_counter() - started,
            "n_train": len(split.train),
            "n_test": len(split.test),
        },
        details={"curves": best.curves, "confusion": confusion(best.module, split.test)}
        | (inspect(best.module, split) if inspect else {}),
    )


def train_run(
    module: nn.Module,
    setting: Setting,
    split: Split,
    n_epochs: int,
    *,
    generator: torch.Generator,
    on_step: OnStep,
) -> TrainingRun:
    """Train `module` by AdamW, steps falling as a cosine, and put the weights of the best epoch back."""
    loss_function = LOSSES[setting.loss]
    optimizer = torch.optim.AdamW(module.parameters(), setting.learning_rate, weight_decay=setting.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    curves: dict[str, list[float]] = {"train_loss": [], "train_accuracy": [], "validation_accuracy": []}
    best = (-1.0, 0.0, 0.0)
    best_epoch, best_state = 0, module.state_dict()
    started = time.perf_counter()
    for epoch in range(n_epochs):
        loss, hits = _train_epoch(module, optimizer, loss_function, split.train, generator)
        schedule.step()
        with torch.no_grad():
            scores = module(split.validation.inputs)
            validation_loss = float(loss_function(scores, split.validation.labels))
        validation = _accuracy(scores, split.validation.labels)
        for name, value in zip(curves, (loss, hits, validation), strict=True):
            curves[name].append(round(value, 6))
        merit = (validation, hits, -validation_loss)
        if merit > best:
            best, best_epoch, best_state = merit, epoch, copy.deepcopy(module.state_dict())
        on_step((epoch + 1) / n_epochs, f"validation {100 * validation:.1f} %")
    module.load_state_dict(best_state)
    return TrainingRun(module, setting, curves, best_epoch, time.perf_counter() - started)


def accuracy(module: nn.Module, data: Dataset) -> float:
    """Compute the share of samples whose score has the sign of their label."""
    with torch.no_grad():
        return _accuracy(module(data.inputs), data.labels)


def confusion(module: nn.Module, data: Dataset) -> list[list[int]]:
    """Count samples by label (rows: -1, +1) and prediction (columns: -1, +1)."""
    with torch.no_grad():
        positive = module(data.inputs) > 0
    return [
        [int(((data.labels > 0) == label)[positive == predicted].sum()) for predicted in (False, True)]
        for label in (False, True)
    ]


def _train_epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_function: Loss,
    data: Dataset,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Train for one pass; return the mean loss and accuracy of its batches as they were met."""
    total, hits = 0.0, 0.0
    for batch in torch.randperm(len(data), generator=generator).split(BATCH_SIZE):
        labels = data.labels[batch]
        scores = module(data.inputs[batch])
        loss = loss_function(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(batch)
        hits += _accuracy(scores.detach(), labels) * len(batch)
    return total / len(data), hits / len(data)


def _merit(run: TrainingRun) -> Merit:
    validation, train = run.curves["validation_accuracy"], run.curves["train_accuracy"]
    return -validation[run.best_epoch], -train[run.best_epoch], -sum(validation) / len(validation)


def _accuracy(scores: Float[Tensor, " batch"], labels: Float[Tensor, " batch"]) -> float:
    return int(((scores > 0) == (labels > 0)).sum()) / len(labels)
