"""Places of the steps of a packed sequence in a padded one, in the order of its data: the longest sequence first."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from qml import checks


class PackedSteps:
    """The layout of a packed sequence, which pads its data and packs results again.

    `pad_packed_sequence` and `pack_padded_sequence` would order the sequences anew, ties perhaps in another way.

    Args:
        packed: the sequence.

    Attributes:
        alive: whether a sequence has a step, shape (time, batch).

    Raises:
        TypeError, ValueError: batch sizes or indices that `pack_padded_sequence` does not make.
    """

    def __init__(self, packed: PackedSequence) -> None:
        _require_batch_sizes(packed)
        alive = torch.arange(int(packed.batch_sizes[0])) < packed.batch_sizes[:, None]
        for name in ("sorted_indices", "unsorted_indices"):
            _require_permutation(getattr(packed, name), alive.shape[1], name)
        self._packed = packed
        self._rows = alive.flatten().nonzero().squeeze(1).to(packed.data.device)
        self.alive = alive.to(packed.data.device)

    def padded(self, data: Tensor) -> Tensor:
        """Pad the data of the packed sequence, shape (steps, features), with 0 to (time, batch, features)."""
        blank = data.new_zeros(self.alive.numel(), data.shape[1])
        return blank.index_copy(0, self._rows, data).unflatten(0, self.alive.shape)

    def packed(self, outputs: Tensor) -> PackedSequence:
        """Pack outputs (time, batch, features) as a sequence of the same order."""
        _, batch_sizes, sorted_indices, unsorted_indices = self._packed
        data = outputs.flatten(0, 1).index_select(0, self._rows)
        return PackedSequence(data, batch_sizes, sorted_indices, unsorted_indices)

    def in_order(self, part: Tensor) -> Tensor:
        """Bring a part of a state, (layers, batch, size), from the user's order of sequences to that of the data."""
        indices = self._packed.sorted_indices
        return part if indices is None else part.index_select(1, indices)

    def out_of_order(self, part: Tensor) -> Tensor:
        """Bring a part of a state from the order of the data to the user's."""
        indices = self._packed.unsorted_indices
        return part if indices is None else part.index_select(1, indices)


def _require_batch_sizes(packed: PackedSequence) -> None:
    checks.require_tensor(packed.batch_sizes, "inputs.batch_sizes")
    sizes, data = packed.batch_sizes, packed.data
    if data.ndim != 2:
        raise ValueError(
            f"Argument `inputs` must have data (steps, features), but they have shape {tuple(data.shape)}."
        )
    if sizes.dtype != torch.int64 or sizes.ndim != 1 or len(sizes) == 0:
        raise ValueError(
            f"Argument `inputs` must have at least one batch size in int64, but they have shape {tuple(sizes.shape)} "
            f"and dtype {sizes.dtype}. Make it with pack_sequence or pack_padded_sequence."
        )
    if int(sizes.sum()) != len(data) or int(sizes[-1]) < 0 or bool((sizes.diff() > 0).any()):
        raise ValueError(
            f"Argument `inputs` must have descending batch sizes that add up to its {len(data)} steps, but they are "
            f"{sizes.tolist()}. Make it with pack_sequence or pack_padded_sequence."
        )


def _require_permutation(indices: Tensor | None, size: int, name: str) -> None:
    if indices is None:
        return
    checks.require_tensor(indices, f"inputs.{name}")
    if indices.shape != (size,) or not torch.equal(indices.cpu().long().sort().values, torch.arange(size)):
        raise ValueError(
            f"Argument `inputs` must have each of its {size} sequences once in `{name}`, but that is "
            f"{indices.tolist()}. Make it with pack_sequence or pack_padded_sequence."
        )
