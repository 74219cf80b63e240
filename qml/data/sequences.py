"""Sequences of words that recurrent networks are asked to remember, drawn anew for every mini-batch.

A batch is inputs, targets and which targets count, each (batch, time). Where a target does not count it is still the
outcome that a quantum network is post-selected on.

Reference:
    Elman, "Finding structure in time" (1990), for the two grammars; Bausch, arXiv:2006.14619, section 4, for their
    words of bits and for the DNA task.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from qml import checks

XOR_ANY = 2  # the target of a bit that cannot be foretold
LETTERS = {"b": 0b100, "d": 0b101, "g": 0b110, "a": 0b000, "i": 0b001, "u": 0b010}
SYLLABLES = ("ba", "dii", "guuu")
ANY_CONSONANT = 0b111
MARK_WORD = 4  # the letter U among the bases G, A, T, C, which are 0 to 3


class WordBatch(NamedTuple):
    """A batch of sequences, which lie side by side.

    Attributes:
        inputs: words that are read.
        targets: words that should come out after each.
        counted: whether a target counts in the loss.
    """

    inputs: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    counted: Bool[Tensor, "batch time"]

    @property
    def scored(self) -> Int[Tensor, "batch time"]:
        """Return targets, -1 where they do not count."""
        return torch.where(self.counted, self.targets, -1)


Draw = Callable[[torch.Generator], WordBatch]
"""The next mini-batch."""


def sentences(generator: torch.Generator, *, length: int = 20) -> WordBatch:
    """Return the two sentences 444... and 0123 0123... of 3-bit words; every next word counts. Nothing is drawn."""
    length = checks.as_int(length, "length", 1)
    words = torch.stack([torch.full((length,), 4), torch.arange(length) % 4])
    return _next_words(words, words, torch.ones(2, length, dtype=torch.bool))


def elman_xor(generator: torch.Generator, *, batch: int = 16, length: int = 36) -> WordBatch:
    """Return bits a, b, a xor b, again and again: the third of each three can be foretold, and counts.

    Words of two bits: the bit, and whether the next bit but one is free (1 for a and b, 0 for their xor).
    """
    batch, length = checks.as_int(batch, "batch", 0), checks.as_int(length, "length", 1)
    n_triples = -(-length // 3)
    pairs = torch.randint(0, 2, (batch, n_triples, 2), generator=generator)
    bits = torch.cat([pairs, pairs.sum(-1, keepdim=True) % 2], -1).flatten(1)[:, :length]
    third = (torch.arange(length) % 3 == 2).expand_as(bits)
    return _next_words(2 * bits + (~third).long(), torch.where(third, bits, XOR_ANY), third)


def elman_letters(generator: torch.Generator, *, batch: int = 8, length: int = 36) -> WordBatch:
    """Return syllables ba, dii, guuu in random order; each next letter counts, any consonant being the same target."""
    batch, length = checks.as_int(batch, "batch", 1), checks.as_int(length, "length", 1)
    texts = []
    for syllables in torch.randint(0, 3, (batch, length), generator=generator).tolist():
        texts.append("".join(SYLLABLES[index] for index in syllables)[:length])
    words = torch.tensor([[LETTERS[letter] for letter in text] for text in texts])
    targets = torch.where(words >= LETTERS["b"], ANY_CONSONANT, words)
    return _next_words(words, targets, torch.ones_like(words, dtype=torch.bool))


def dna(generator: torch.Generator, *, batch: int = 128, length: int = 10) -> WordBatch:
    """Return random bases with one mark U in the first half; the base behind the mark is asked for at the last step.

    Words of three bits, bases 0 to 3 and the mark 4. The mark is asked for where it is read. (The research code of the
    paper asks for it one step before, where only the answer that never counts against it is right: always the mark.)
    Targets that do not count are 0.

    Raises:
        ValueError: fewer than 4 steps.
    """
    batch, length = checks.as_int(batch, "batch", 0), checks.as_int(length, "length", 0)
    if length < 4:
        raise ValueError(f"Argument `length` must be at least 4, but is {length}. Two halves need a mark and a base.")
    words = torch.randint(0, 4, (batch, length), generator=generator)
    places = torch.randint(0, length // 2, (batch,), generator=generator)
    rows = torch.arange(batch)
    words[rows, places] = MARK_WORD
    targets, counted = torch.zeros_like(words), words == MARK_WORD
    targets[rows, places] = MARK_WORD
    targets[:, -1] = words[rows, places + 1]
    counted[:, -1] = True
    return WordBatch(words, targets, counted)


def label_last(inputs: Int[Tensor, "batch time"], labels: Int[Tensor, " batch"]) -> WordBatch:
    """Return sequences whose class is asked for at the last step; targets before it are 0 and do not count."""
    targets, counted = torch.zeros_like(inputs), torch.zeros_like(inputs, dtype=torch.bool)
    targets[:, -1] = labels
    counted[:, -1] = True
    return WordBatch(inputs, targets, counted)


def _next_words(words: Tensor, targets: Tensor, counted: Tensor) -> WordBatch:
    """Make each word's target what `targets` says of the next one."""
    return WordBatch(words[:, :-1], targets[:, 1:].contiguous(), counted[:, 1:].contiguous())
