"""When words count as learnt, and the curriculum that makes sequences longer until then."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from qml.data import Draw, WordBatch

RECENT = 3  # mini-batches whose answers are counted together


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
