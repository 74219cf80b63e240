"""Training recurrent models on words drawn anew for every mini-batch, until they know them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from qml.baselines import WordRNN
from qml.compare.task import OnStep
from qml.compare.tuning import one_thread
from qml.data import Draw, WordBatch
from qml.nn import QRNN, word_loss

WordLoss = Callable[[Tensor, Tensor], Tensor]
"""Of probabilities (batch, time, words) and targets (batch, time)."""
RECENT = 3  # mini-batches whose answers are counted together


@runtime_checkable
class WordModel(Protocol):
    """A model of words, quantum or classical."""

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """What is minimised, and the probabilities (batch, time, words)."""
        ...

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """Root mean square over samples of the norm of d loss / d state after each step but the last."""
        ...

    def state_dict(self) -> Any:
        """As of any module."""
        ...


class QuantumWords(nn.Module):
    """A QRNN, post-selected on all targets.

    Args:
        layer: the network.
        loss: of probabilities and targets; that of its paper if not given.
    """

    def __init__(self, layer: QRNN, loss: WordLoss = word_loss) -> None:
        super().__init__()
        self.layer, self.measure = layer, loss

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """See `WordModel`."""
        probabilities, _ = self.layer(batch.inputs, targets=batch.targets)
        if not isinstance(probabilities, Tensor):
            raise TypeError("Argument `batch` must not be packed, but is.")
        return self.measure(probabilities, batch.scored), probabilities

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """See `WordModel`; the states are vectors of norm 1."""
        probabilities, states = self.layer.trace(batch.inputs, targets=batch.targets)
        return _norms(self.measure(probabilities, batch.scored), states)


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
class SoapSetting:
    """How a model of words is trained.

    SOAP is Adam in the eigenvectors of the gradients' second moments (Vyas et al., arXiv:2409.11321). A neuron's
    weights belong to overlapping subsets of its sources, so that their gradients go together, which Adam does not see.

    Attributes:
        learning_rate: Of SOAP.
        max_norm: Longer gradients are clipped to this norm; the published code takes 0.5.
        averaging: Answers come from weights averaged over steps, of which those k steps ago count averaging**k; 0 for
            the last ones. Steps that are large enough to learn quickly leave single weights too rough to answer by.
    """

    learning_rate: float
    max_norm: float = math.inf
    averaging: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.averaging < 1.0:
            raise ValueError(f"Argument `averaging` must be in [0, 1), but is {self.averaging}.")

    def __str__(self) -> str:
        clipped = "" if math.isinf(self.max_norm) else f", gradients clipped at {self.max_norm:g}"
        averaged = f", answers by weights averaged at {self.averaging:g}" if self.averaging else ""
        return f"SOAP, learning rate {self.learning_rate:g}{clipped}{averaged}"

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """SOAP on the model's parameters."""
        from pytorch_optimizer import SOAP

        trained = [parameter for parameter in model.parameters() if parameter.numel()]
        return SOAP(trained, lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, precondition_frequency=5)

    def averaged(self, model: nn.Module) -> AveragedModel | None:
        """A copy of the model for averaged weights, if there are any."""
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.averaging)) if self.averaging else None


@dataclass(frozen=True)
class Goal:
    """When words count as learnt, judged on mini-batches that were never seen before.

    Attributes:
        loss: `word_loss` of one mini-batch is below this, whatever loss the model is trained on.
        share: Of the answers of `RECENT` mini-batches in a row at least this share is right; None to judge by the loss.
    """

    loss: float = 0.0
    share: float | None = None

    def __str__(self) -> str:
        if self.share is None:
            return f"`word_loss` of a mini-batch never seen before is below {self.loss:g}"
        return f"of the answers to {RECENT} mini-batches never seen before {100 * self.share:g} % are right"

    def reached(self, losses: Sequence[float], shares: Sequence[float]) -> bool:
        """Whether the last mini-batches meet it."""
        if self.share is None:
            return losses[-1] < self.loss
        return len(shares) >= RECENT and sum(shares[-RECENT:]) >= RECENT * self.share


@dataclass
class Lengthening:
    """A curriculum: short sequences, and longer ones each time that they are known; every mini-batch counts.

    What a step does to a state adds up over a sequence, so that the learning rate falls as the length grows.

    Attributes:
        draw: A mini-batch of a `length`.
        longest: Where it ends.
        first: Where it begins.
        factor: Between one length and the next, above 1.
        share: Of a mini-batch's answers that must be right.
        length: Now.
    """

    draw: Callable[..., WordBatch]
    longest: int
    first: int = 8
    factor: float = 1.35
    share: float = 0.98
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = min(self.first, self.longest)

    @classmethod
    def fixed(cls, draw: Draw) -> "Lengthening":
        """Mini-batches as `draw` makes them, of one length for good."""
        return cls(lambda generator, length: draw(generator), longest=1, first=1)

    def __call__(self, generator: torch.Generator) -> WordBatch:
        """The next mini-batch."""
        return self.draw(generator, length=self.length)

    @property
    def finished(self) -> bool:
        """Whether sequences are as long as they will be."""
        return self.length == self.longest

    def last(self, generator: torch.Generator) -> WordBatch:
        """A mini-batch as long as the last ones; `generator` goes on as if nothing had been drawn."""
        return self.draw(generator.clone_state(), length=self.longest)

    def lengthen(self, share: float) -> bool:
        """Go on to longer sequences if `share` of the last answers is enough; whether it did."""
        if share < self.share or self.finished:
            return False
        self.length = min(self.longest, math.ceil(self.factor * self.length))
        return True


@dataclass(frozen=True)
class WordRun:
    """A training run.

    Attributes:
        losses: `word_loss` of the answers to each mini-batch before the model was trained on it.
        learnt: Whether the goal was reached.
        seconds: Of training.
        norms_before: Gradient norms over time at the start.
        norms_after: The same at the end.
        answering: The model with the weights that answer: the one that was trained, or its averaged copy.
    """

    losses: list[float]
    learnt: bool
    seconds: float
    norms_before: list[float]
    norms_after: list[float]
    answering: WordModel


def train_words(
    model: nn.Module,
    draw: Draw,
    setting: SoapSetting,
    *,
    n_batches: int,
    goal: Goal | None,
    generator: torch.Generator,
    on_step: OnStep,
    watch: Callable[[int, WordModel], None] = lambda number, model: None,
) -> WordRun:
    """Train until mini-batches that were never seen are known, or all are used.

    Args:
        model: A `WordModel`.
        draw: The next mini-batch; a `Lengthening` is told how it went.
        setting: How it is trained.
        n_batches: The most mini-batches.
        goal: When to stop; None if all mini-batches are to be used: then the learning rate falls to 0 as a cosine.
        generator: Of the mini-batches.
        on_step: Hears of progress.
        watch: Called with the number of batches so far, and the model that answers.
    """
    optimizer, averaged = setting.optimizer(model), setting.averaged(model)
    answering = model if averaged is None else averaged.module
    if not isinstance(model, WordModel) or not isinstance(answering, WordModel):
        raise TypeError(f"Argument `model` must be a WordModel, but is {type(model).__name__}.")
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_batches) if goal is None else None
    losses: list[float] = []
    shares: list[float] = []
    learnt = False
    source = draw if isinstance(draw, Lengthening) else Lengthening.fixed(draw)
    before = model.gradient_norms(source.last(generator))
    batch = source(generator)
    started = time.perf_counter()
    with one_thread():
        for index in range(n_batches):
            loss, probabilities = model.loss(batch)
            if averaged is not None:
                with torch.no_grad():
                    probabilities = answering.loss(batch)[1]
            losses.append(float(word_loss(probabilities.detach(), batch.scored)))
            shares.append(_share_right(probabilities, batch))
            learnt = source.finished and goal is not None and goal.reached(losses, shares)
            if learnt:
                break
            watch(index, answering)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), setting.max_norm)
            optimizer.step()
            if averaged is not None:
                averaged.update_parameters(model)
            if schedule is not None:
                schedule.step()
            length = source.length
            if source.lengthen(shares[-1]):
                optimizer.param_groups[0]["lr"] *= length / source.length
                shares.clear()
            on_step((index + 1) / n_batches, f"loss {losses[-1]:.3g}")
            batch = source(generator)
    seconds = time.perf_counter() - started
    return WordRun(losses, learnt, seconds, before, answering.gradient_norms(source.last(generator)), answering)


def thinned(values: Sequence[float], most: int = 200) -> list[tuple[int, float]]:
    """At most about `most` points (number, value) of a curve, the last one kept."""
    every = max(1, math.ceil(len(values) / most))
    points = list(range(0, len(values), every))
    if points[-1] != len(values) - 1:
        points.append(len(values) - 1)
    return [(point + 1, float(f"{values[point]:.4g}")) for point in points]


def _cross_entropy(logits: Tensor, batch: WordBatch) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), batch.scored.flatten(), ignore_index=-1)


def _share_right(probabilities: Tensor, batch: WordBatch) -> float:
    right = probabilities.detach().argmax(-1) == batch.targets
    return float(right[batch.counted].float().mean())


def _norms(loss: Tensor, states: Sequence[Tensor]) -> list[float]:
    gradients = torch.autograd.grad(loss, list(states[:-1]), allow_unused=True)
    size = [0.0 if part is None else float(part.square().sum(-1).mean().sqrt()) for part in gradients]
    return [float(f"{value:.3g}") for value in size]
