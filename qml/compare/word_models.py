"""Recurrent models of words, quantum and classical, with one contract for their training."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qml.baselines import WordRNN
from qml.data import WordBatch
from qml.nn import QRNN, word_loss

WordLoss = Callable[[Tensor, Tensor], Tensor]
"""A loss of probabilities (batch, time, words) and targets (batch, time)."""


@runtime_checkable
class WordModel(Protocol):
    """A model of words that can be trained, quantum or classical."""

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """Return the loss to be minimised, and the probabilities (batch, time, words)."""
        ...

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """Return the root mean square over samples of the norm of d loss / d state after each step but the last."""
        ...

    def state_dict(self) -> Any:
        """Return the weights, as any module does."""
        ...


class QuantumWords(nn.Module):
    """A QRNN that is post-selected on all targets.

    Args:
        layer: The network.
        loss: Loss of probabilities and targets; that of its paper if not given.
    """

    def __init__(self, layer: QRNN, loss: WordLoss = word_loss) -> None:
        super().__init__()
        self.layer, self.measure = layer, loss

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """Return loss and probabilities, see `WordModel`."""
        probabilities, _ = self.layer(batch.inputs, targets=batch.targets)
        if not isinstance(probabilities, Tensor):
            raise TypeError("Argument `batch` must not be packed, but is.")
        return self.measure(probabilities, batch.scored), probabilities

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """Return norms of gradients, see `WordModel`; the states are vectors of norm 1."""
        probabilities, states = self.layer.trace(batch.inputs, targets=batch.targets)
        return _norms(self.measure(probabilities, batch.scored), states)


class ClassicalWords(nn.Module):
    """An RNN or LSTM that is trained on cross-entropy."""

    def __init__(self, layer: WordRNN) -> None:
        super().__init__()
        self.layer = layer

    def loss(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """Return loss and probabilities, see `WordModel`."""
        logits = self.layer(batch.inputs)
        return _cross_entropy(logits, batch), logits.softmax(-1)

    def gradient_norms(self, batch: WordBatch) -> list[float]:
        """Return norms of gradients, see `WordModel`; the states are those that the read-out reads: of an LSTM h."""
        inputs, state, states = self.layer.bits(batch.inputs), None, []
        for step in inputs.split(1, 1):
            _, state = self.layer.layer(step, state)
            states.append(state[0] if isinstance(state, tuple) else state)
        logits = self.layer.readout(torch.stack([part[0] for part in states], 1))
        return _norms(_cross_entropy(logits, batch), states)


def _cross_entropy(logits: Tensor, batch: WordBatch) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), batch.scored.flatten(), ignore_index=-1)


def _norms(loss: Tensor, states: Sequence[Tensor]) -> list[float]:
    gradients = torch.autograd.grad(loss, list(states[:-1]), allow_unused=True)
    size = [0.0 if part is None else float(part.square().sum(-1).mean().sqrt()) for part in gradients]
    return [float(f"{value:.3g}") for value in size]
