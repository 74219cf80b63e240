"""Words of a recurrent network: integers or bits in, integers inside; padded batches and packed sequences alike."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from qml import checks

INTEGERS = (
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip
BITS = (torch.bool, torch.float64, torch.float32, torch.float16, torch.bfloat16)


def as_words(values: Tensor, n_bits: int, name: str, *, unknown: bool = False) -> Tensor:
    """Return words as int64: integers as they are, bool or floating bits (..., n_bits), the first most significant.

    Where values cannot be read, because a transform maps them or torch.compile traces them, what is no word becomes
    2**n_bits, which no table has: torch raises an IndexError when the program runs.

    Args:
        values: integers in 0..2**n_bits - 1, or bits 0 and 1 along the last dimension.
        n_bits: bits of a word.
        name: what the argument is called, for messages.
        unknown: whether -1 may stand for a word that is not known.

    Raises:
        TypeError: no dense tensor, or a complex one.
        ValueError: words out of range, bits other than 0 and 1, another number of bits.
    """
    checks.require_tensor(values, name)
    if values.dtype in INTEGERS:
        words, lowest = values.long(), -1 if unknown else 0
        if checks.hides_values_of(words):
            return torch.where(words < 0, 2**n_bits, words)
        if words.numel() and not _within(words, lowest, 2**n_bits - 1):
            raise ValueError(
                f"Argument `{name}` must hold words in {lowest}..{2**n_bits - 1} for {n_bits} bits, but holds "
                f"{words.min().item()}..{words.max().item()}. Give the layer more bits, or map the words."
            )
        return words
    if values.dtype not in BITS:
        raise TypeError(f"Argument `{name}` must hold integer words or bits, but is {values.dtype}.")
    checks.require_last_dimension(values, n_bits, name)
    are_bits, is_hidden = (values == 0) | (values == 1), checks.hides_values_of(values)
    if not is_hidden and not bool(are_bits.all()):
        raise ValueError(
            f"Argument `{name}` must hold bits 0 and 1 where it is not of an integer type, but holds other values. "
            "Round them, or use QRNNRegressor for continuous features."
        )
    places = 2 ** torch.arange(n_bits - 1, -1, -1, device=values.device)
    words = (values.long() * places).sum(-1)
    return torch.where(are_bits.all(-1), words, 2**n_bits) if is_hidden else words


def as_bits(words: Tensor, n_bits: int) -> Tensor:
    """Return words as bits, the first the most significant: (...) to (..., n_bits), int64."""
    shifts = torch.arange(n_bits - 1, -1, -1, device=words.device)
    return (words[..., None] >> shifts) & 1


def as_angles(words: Tensor, n_bits: int, dtype: torch.dtype) -> Tensor:
    """Return the angles in radians that write words on qubits in |0>, pi times each bit: (...) to (..., n_bits)."""
    return math.pi * as_bits(words, n_bits).to(dtype)


def _within(words: Tensor, low: int, high: int) -> bool:
    smallest, largest = torch.aminmax(words)
    return bool(smallest >= low) and bool(largest <= high)


@dataclass(frozen=True)
class Steps:
    """The words of a batch of sequences, which lie one step after another: step t holds the first `sizes[t]` sequences.

    Attributes:
        words: all words, shape (sum of sizes,).
        sizes: sequences that reach each step, never growing.
        packed: the packed sequence they come from, None for a padded batch.
        is_batched: whether the padded batch had a batch dimension.
        batch_first: whether it came first.
    """

    words: Tensor
    sizes: tuple[int, ...]
    packed: PackedSequence | None = None
    is_batched: bool = True
    batch_first: bool = False

    @staticmethod
    def of(values: Tensor | PackedSequence, n_bits: int, name: str, *, batch_first: bool) -> "Steps":
        """Read a padded batch, one sequence, or a packed sequence."""
        if isinstance(values, PackedSequence):
            words = as_words(values.data, n_bits, name)
            _require_steps(words.ndim == 1 and len(words) > 0, values.data, name)
            return Steps(words, tuple(values.batch_sizes.tolist()), values)
        words = as_words(values, n_bits, name)
        _require_steps(words.ndim in (1, 2), values, name)
        is_batched = words.ndim == 2
        ordered = words[:, None] if not is_batched else words.mT if batch_first else words
        n_steps, batch = ordered.shape
        _require_steps(n_steps > 0, values, name)
        return Steps(ordered.reshape(-1), (batch,) * n_steps, None, is_batched, batch_first)

    @property
    def batch(self) -> int:
        """Return the number of sequences."""
        return self.sizes[0]

    def alike(self, values: Tensor | PackedSequence, n_bits: int, name: str) -> Tensor:
        """Read other words of the same form, -1 for unknown ones; shape (sum of sizes,)."""
        if isinstance(values, PackedSequence) != (self.packed is not None):
            raise TypeError(f"Argument `{name}` must be a packed sequence exactly where `inputs` is one, but is not.")
        if isinstance(values, PackedSequence):
            words = as_words(values.data, n_bits, name, unknown=True)
            same = tuple(values.batch_sizes.tolist()) == self.sizes and words.ndim == 1
            if not same or not _same_order(values, self.packed):
                raise ValueError(f"Argument `{name}` must be packed as `inputs` is, but has other lengths or order.")
            return words
        words = as_words(values, n_bits, name, unknown=True)
        shape = self.shape
        if words.shape != shape:
            raise ValueError(
                f"Argument `{name}` must hold one word for each of `inputs`, shape {shape} (and bits), but has shape "
                f"{tuple(values.shape)}."
            )
        return (words.mT if self.batch_first and self.is_batched else words).reshape(-1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the words of a padded batch."""
        n_steps = len(self.sizes)
        if not self.is_batched:
            return (n_steps,)
        return (self.batch, n_steps) if self.batch_first else (n_steps, self.batch)

    def restore(self, values: Tensor) -> Tensor | PackedSequence:
        """Return one value (or row) a word in the form in which the words came."""
        if self.packed is not None:
            return self.packed._replace(data=values)
        rows = values.unflatten(0, (len(self.sizes), self.batch))
        return rows.squeeze(1) if not self.is_batched else rows.transpose(0, 1) if self.batch_first else rows

    def into_order(self, states: Tensor) -> Tensor:
        """Bring rows, one a sequence, from the caller's order into that of the steps."""
        indices = None if self.packed is None else self.packed.sorted_indices
        return states if indices is None else states.index_select(0, indices)

    def out_of_order(self, states: Tensor) -> Tensor:
        """Invert `into_order`."""
        indices = None if self.packed is None else self.packed.unsorted_indices
        return states if indices is None else states.index_select(0, indices)


def _same_order(first: PackedSequence, second: PackedSequence | None) -> bool:
    if second is None:
        return False
    orders = [packed.sorted_indices for packed in (first, second)]
    known = [order for order in orders if order is not None]
    if len(known) == 2:
        return torch.equal(known[0], known[1])
    return all(torch.equal(order, torch.arange(len(order), device=order.device)) for order in known)  # None: as given


def _require_steps(holds: bool, values: Tensor, name: str) -> None:
    if not holds:
        raise ValueError(
            f"Argument `{name}` must be words (time,) or (time, batch), or bits with one more dimension, with at least "
            f"one step, but has shape {tuple(values.shape)} and dtype {values.dtype}."
        )
