"""What a fused network works on, kept from step to step: memory, and the views of it that its operations take.

New memory costs a page fault for every 4 KiB, and a view costs as much as a small operation; a step would make some
hundred of them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from qml.pinn.tanh import Components, Scratch

KEPT = 4  # kinds of workspaces that are kept while nobody has them
LARGEST = 2**25  # numbers in one that is kept: 128 MiB in float32


class Rows(NamedTuple):
    """Components of a layer, and the same as rows of one matrix, below those of values at other points.

    Attributes:
        parts: each of shape (batch, units).
        flat: (others + components * batch, units).
    """

    parts: Components
    flat: Tensor


class Workspace:
    """Room for one pass forward and one back.

    Args:
        like: a tensor of its dtype and device.
        n_points: with derivatives.
        n_others: with values alone.
        sizes: directions, and how many of them have second derivatives.
        widths: units of the hidden layers.

    Attributes:
        hidden: each layer after tanh, kept for the way back.
        before: before tanh; layers share the memory.
        gradient: gradients of each layer; those of neighbours do not share the memory.
        scratch: products on the way; layers share the memory.
        numel: numbers in all.
    """

    def __init__(
        self, like: Tensor, n_points: int, n_others: int, sizes: tuple[int, int], widths: Sequence[int]
    ) -> None:
        n, n_products, widest = 1 + sum(sizes), Scratch.n_parts(*sizes), max(widths)
        rows = n_others + n * n_points
        lengths = [*(rows * width for width in widths), *[rows * widest] * 3, n_products * n_points * widest]
        self.numel = sum(lengths)
        *own, before, even, odd, products = like.new_empty(self.numel).split(lengths)

        def cut(piece: Tensor, width: int) -> Rows:
            flat = piece[: rows * width].view(rows, width)
            data = flat[n_others:].view(n, n_points, width)
            return Rows(Components(data, *sizes, flat[: n_others + n_points] if n_others else None), flat)

        self.hidden = [cut(piece, width) for piece, width in zip(own, widths, strict=True)]
        self.before = [cut(before, width) for width in widths]
        self.gradient = [cut((even, odd)[index % 2], width) for index, width in enumerate(widths)]
        scratch = [products[: n_products * n_points * width].view(n_products, n_points, width) for width in widths]
        self.scratch = [Scratch(memory, *sizes) for memory in scratch]


class Loan:
    """A workspace that belongs to one graph, and comes back when the graph is gone."""

    def __init__(self, key: tuple, workspace: Workspace) -> None:
        self._key, self.workspace, self._back = key, workspace, _give_back

    def __del__(self) -> None:
        self._back(self._key, self.workspace)


def lend(like: Tensor, n_points: int, n_others: int, sizes: tuple[int, int], widths: tuple[int, ...]) -> Loan:
    """A workspace that nobody else has; see there."""
    key = (n_points, n_others, sizes, widths, like.dtype, like.device)
    try:
        workspace = _FREE[key].pop()
    except (KeyError, IndexError):
        with torch.inference_mode(False):  # or nobody could train in it later
            workspace = Workspace(like, n_points, n_others, sizes, widths)
    return Loan(key, workspace)


def _give_back(key: tuple, workspace: Workspace) -> None:
    """Other threads and the garbage collector may come in between: the worst is that a workspace is made again."""
    if workspace.numel > LARGEST or key[-1].type != "cpu":  # elsewhere torch's allocator keeps memory by itself
        return
    _FREE[key] = [*_FREE.pop(key, []), workspace]
    if len(_FREE) > KEPT:
        _FREE.popitem(last=False)


_FREE: OrderedDict[tuple, list[Workspace]] = OrderedDict()
