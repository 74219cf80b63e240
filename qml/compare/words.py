"""Training recurrent models on words drawn anew for every mini-batch, until they know them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qml.baselines import WordRNN
from qml.compare.task import OnStep
from qml.compare.training import RateSetting
from qml.compare.tuning import one_thread
from qml.data import Draw, WordBatch
from qml.nn import QRNN, word_loss

MAX_NORM = 0.5  # of gradients, as the published code clips them


@runtime_checkable
class WordModel(Protocol):
    """A model of words, quantum or classical."""

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """What is minimised, and the probabilities (batch, time, words)."""
        ...

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """Root mean square over samples of the norm of d loss / d state after each step but the last."""
        ...


class QuantumWords(nn.Module):
    """A QRNN, post-selected on all targets, on the loss of its paper."""

    def __init__(self, layer: QRNN) -> None:
        super().__init__()
        self.layer = layer

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """See `WordModel`."""
        probabilities, _ = self.layer(batch.inputs, targets=batch.targets)
        if not isinstance(probabilities, Tensor):
            raise TypeError("Argument `batch` must not be packed, but is.")
        return word_loss(probabilities, batch.scored), probabilities

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """See `WordModel`; the states are vectors of norm 1."""
        probabilities, states = self.layer.trace(batch.inputs, targets=batch.targets)
        return _norms(word_loss(probabilities, batch.scored), states)


class ClassicalWords(nn.Module):
    """An RNN or LSTM on cross-entropy."""

    def __init__(self, layer: WordRNN) -> None:
        super().__init__()
        self.layer = layer

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """See `WordModel`."""
        logits = self.layer(batch.inputs)
        return _cross_entropy(logits, batch), logits.softmax(-1)

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """See `WordModel`; the states are what the read-out reads, of an LSTM h alone."""
        inputs, state, states = self.layer.bits(batch.inputs), None, []
        for step in inputs.split(1, 1):
            _, state = self.layer.layer(step, state)
            states.append(state[0] if isinstance(state, tuple) else state)
        logits = self.layer.readout(torch.stack([part[0] for part in states], 1))
        return _norms(_cross_entropy(logits, batch), states)


@dataclass(frozen=True)
class WordRun:
    """A training run.

    Attributes:
        losses: `word_loss` of each mini-batch before the model was trained on it.
        seconds: Of training.
        norms_before: Gradient norms over time at the start.
        norms_after: The same at the end.
    """

    losses: list[float]
    seconds: float
    norms_before: list[float]
    norms_after: list[float]


def train_words(
    model: nn.Module,
    draw: Draw,
    setting: RateSetting,
    *,
    n_batches: int,
    goal: float,
    generator: torch.Generator,
    on_step: OnStep,
    watch: Callable[[int], bool] = lambda _: False,
) -> WordRun:
    """Train by AdamW until the loss of a mini-batch that was never seen is below `goal`, or all batches are used.

    Args:
        model: A `WordModel`.
        draw: The next mini-batch.
        setting: How it is trained.
        n_batches: The most mini-batches.
        goal: Of `word_loss`, whatever loss the model is trained on.
        generator: Of the mini-batches.
        on_step: Hears of progress.
        watch: Called with the number of batches so far; whether to stop.
    """
    if not isinstance(model, WordModel):
        raise TypeError(f"Argument `model` must be a WordModel, but is {type(model).__name__}.")
    optimizer = torch.optim.AdamW(model.parameters(), setting.learning_rate, weight_decay=0.0)
    losses: list[float] = []
    batch = draw(generator)
    before = model.gradient_norms(batch)
    started = time.perf_counter()
    with one_thread():
        for index in range(n_batches):
            loss, probabilities = model.loss(batch)
            losses.append(float(word_loss(probabilities.detach(), batch.scored)))
            if losses[-1] < goal or watch(index):
                break
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            on_step((index + 1) / n_batches, f"loss {losses[-1]:.3g}")
            batch = draw(generator)
    return WordRun(losses, time.perf_counter() - started, before, model.gradient_norms(batch))


def thinned(values: Sequence[float], most: int = 200) -> list[tuple[int, float]]:
    """At most about `most` points (number, value) of a curve, the last one kept."""
    every = max(1, math.ceil(len(values) / most))
    points = list(range(0, len(values), every))
    if points[-1] != len(values) - 1:
        points.append(len(values) - 1)
    return [(point + 1, float(f"{values[point]:.4g}")) for point in points]


def _cross_entropy(logits: Tensor, batch: WordBatch) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), batch.scored.flatten(), ignore_index=-1)


def _norms(loss: Tensor, states: Sequence[Tensor]) -> list[float]:
    gradients = torch.autograd.grad(loss, list(states[:-1]), allow_unused=True)
    size = [0.0 if part is None else float(part.square().sum(-1).mean().sqrt()) for part in gradients]
    return [float(f"{value:.3g}") for value in size]
