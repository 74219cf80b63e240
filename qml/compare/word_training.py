"""Training recurrent models on words drawn anew for every mini-batch, until they know them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from qml.compare.task import OnStep
from qml.compare.tuning import one_thread
from qml.compare.word_curriculum import Goal, Lengthening
from qml.compare.word_models import WordModel
from qml.data import Draw, WordBatch
from qml.nn import word_loss


@dataclass(frozen=True)
class SoapSetting:
    """A setting of the training of a model of words.

    SOAP is Adam in the eigenvectors of the gradients' second moments (Vyas et al., arXiv:2409.11321). A neuron's
    weights belong to overlapping subsets of its sources, so that their gradients go together, which Adam does not see.

    Attributes:
        learning_rate: Learning rate of SOAP.
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
        """Return SOAP on the model's parameters."""
        from pytorch_optimizer import SOAP

        trained = [parameter for parameter in model.parameters() if parameter.numel()]
        return SOAP(trained, lr=self.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, precondition_frequency=5)

    def averaged(self, model: nn.Module) -> AveragedModel | None:
        """Return a copy of the model for averaged weights, or None without averaging."""
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.averaging)) if self.averaging else None


@dataclass(frozen=True)
class WordRun:
    """A finished training run.

    Attributes:
        losses: `word_loss` of the answers to each mini-batch before the model was trained on it.
        learnt: Whether the goal was reached.
        seconds: Duration of the training.
        norms_before: Gradient norms over time at the start.
        norms_after: Gradient norms over time at the end.
        answering: The model that answers: the one that was trained, or its averaged copy.
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
        draw: Draws the next mini-batch; a `Lengthening` is told the share of right answers.
        setting: Learning rate, clipping and averaging.
        n_batches: The largest number of mini-batches.
        goal: The condition to stop; None uses all mini-batches, and the learning rate falls to 0 as a cosine.
        generator: Source of the mini-batches.
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
    """Reduce a curve to about `most` points (number, value), the last one included."""
    every = max(1, math.ceil(len(values) / most))
    points = list(range(0, len(values), every))
    if points[-1] != len(values) - 1:
        points.append(len(values) - 1)
    return [(point + 1, float(f"{values[point]:.4g}")) for point in points]


def _share_right(probabilities: Tensor, batch: WordBatch) -> float:
    right = probabilities.detach().argmax(-1) == batch.targets
    return float(right[batch.counted].float().mean())
