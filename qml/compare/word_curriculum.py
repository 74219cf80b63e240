"""When words count as learnt, and the curriculum that makes sequences longer until then."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from qml.data import Draw, WordBatch

RECENT = 3  # mini-batches whose answers are counted together


@dataclass(frozen=True)
class Goal:
    """A condition for words to count as learnt, judged on mini-batches that were never seen before.

    Attributes:
        loss: Bound that `word_loss` of one mini-batch must fall below, whatever loss the model is trained on.
        share: Least share of right answers over `RECENT` mini-batches in a row; None to judge by the loss.
    """

    loss: float = 0.0
    share: float | None = None

    def __str__(self) -> str:
        if self.share is None:
            return f"`word_loss` of a mini-batch never seen before is below {self.loss:g}"
        return f"of the answers to {RECENT} mini-batches never seen before {100 * self.share:g} % are right"

    def reached(self, losses: Sequence[float], shares: Sequence[float]) -> bool:
        """Tell whether the last mini-batches meet the goal."""
        if self.share is None:
            return losses[-1] < self.loss
        return len(shares) >= RECENT and sum(shares[-RECENT:]) >= RECENT * self.share


@dataclass
class Lengthening:
    """A curriculum: short sequences, and longer ones each time that they are known; every mini-batch counts.

    Effects of a step on a state add up over a sequence, so that the learning rate falls as the length grows.

    Attributes:
        draw: Draws a mini-batch of a `length`.
        longest: Final length.
        first: First length.
        factor: Ratio of one length to the one before, above 1.
        share: Share of a mini-batch's answers that must be right.
        length: Present length.
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
        """Return a curriculum of one length: mini-batches as `draw` makes them."""
        return cls(lambda generator, length: draw(generator), longest=1, first=1)

    def __call__(self, generator: torch.Generator) -> WordBatch:
        """Draw the next mini-batch."""
        return self.draw(generator, length=self.length)

    @property
    def finished(self) -> bool:
        """Tell whether sequences have reached their final length."""
        return self.length == self.longest

    def last(self, generator: torch.Generator) -> WordBatch:
        """Draw a mini-batch of the final length; `generator` goes on as if nothing had been drawn."""
        return self.draw(generator.clone_state(), length=self.longest)

    def lengthen(self, share: float) -> bool:
        """Make sequences longer if `share` of the last answers is enough, and tell whether that happened."""
        if share < self.share or self.finished:
            return False
        self.length = min(self.longest, math.ceil(self.factor * self.length))
        return True
