"""What a fused network works on, kept from call to call: memory, and the views of it that its operations take.

New memory costs a page fault for every 4 KiB, and a view costs as much as a small operation; a step would make some
hundred of them.
"""

import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from qml.pinn.tanh import Components, Orders, Scratch

LARGEST = 2**25  # numbers in all that is kept while nobody has it: 128 MiB in float32


@dataclass(frozen=True)
class Layout:
    """How rows of a layer lie: values at other points, then components at points.

    Attributes:
        n_points: with derivatives.
        n_others: with values alone.
        orders: of the components.
        widths: units of the hidden layers.
    """

    n_points: int
    n_others: int
    orders: Orders
    widths: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        """Of all components and of the others."""
        return self.n_others + self.orders.n_components * self.n_points

    @property
    def n_hidden(self) -> int:
        """Numbers in the rows of all layers."""
        return self.n_rows * sum(self.widths)

    def rows(self, memory: Tensor, width: int) -> "Rows":
        """The first numbers of a memory as a layer's rows."""
        return Rows(memory[: self.n_rows * width].view(self.n_rows, width), self)

    def layers(self, memory: Tensor) -> list["Rows"]:
        """A memory as the rows of every layer, one after the other."""
        pieces = memory.split([self.n_rows * width for width in self.widths])
        return [self.rows(piece, width) for piece, width in zip(pieces, self.widths, strict=True)]


class Rows:
    """A layer's rows as one matrix, (rows, units), as its transpose, and as components of shape (batch, units)."""

    def __init__(self, flat: Tensor, layout: Layout) -> None:
        n_others, n_points = layout.n_others, layout.n_points
        data = flat[n_others:].view(layout.orders.n_components, n_points, flat.shape[1])
        self.flat, self.turned = flat, flat.T
        self.parts = Components(data, layout.orders, flat[: n_others + n_points] if n_others else None)


class Workspace:
    """Room for a pass forward or back, in which nothing is kept from one to the other.

    A layer's argument lies where its result will.

    Args:
        like: a tensor of its dtype and device.
        layout: of the rows.

    Attributes:
        gradient: gradients of each layer; those of neighbours do not share the memory.
        scratch: products on the way; layers share the memory.
        ones: one for every row of values.
        numel: numbers in all.
        key: where it is kept while nobody has it; None where it is not.
    """

    key: Any = None

    def __init__(self, like: Tensor, layout: Layout) -> None:
        widths, n_products = layout.widths, Scratch.n_parts(layout.orders)
        widest = max(widths)
        lengths = [*[layout.n_rows * widest] * 2, n_products * layout.n_points * widest]
        self.numel = sum(lengths)
        even, odd, products = like.new_empty(self.numel).split(lengths)
        self.gradient = [layout.rows((even, odd)[index % 2], width) for index, width in enumerate(widths)]
        self.scratch = [_scratch(products, layout, n_products, width) for width in widths]
        self.ones = like.new_ones(layout.n_others + layout.n_points)


class Activations:
    """The hidden layers of one pass forward, until nobody can ask for them any more.

    A graph that is recorded saves an alias of the memory. The memory is free again when that alias is gone, be it by
    the pass back or with the whole graph. It never is if hooks on saved tensors took the alias while it was saved; who
    takes it from the graph later must copy it.

    Args:
        like: a tensor of its dtype and device.
        layout: of the rows.

    Attributes:
        layers: their rows.
        numel: numbers in all.
        key: where it is kept while nobody has it; None where it is not.
    """

    key: Any = None

    def __init__(self, like: Tensor, layout: Layout) -> None:
        self.numel = layout.n_hidden
        self._memory = like.new_empty(self.numel)
        self.layers = layout.layers(self._memory)
        self._alias: weakref.ref[Tensor] | None = None

    def alias(self) -> Tensor:
        """What a graph saves."""
        alias = self._memory.view(-1)
        self._alias = weakref.ref(alias)
        return alias

    def layers_of(self, saved: Tensor, layout: Layout) -> list[Rows]:
        """The layers as a graph has saved them: these, unless somebody packed them up meanwhile."""
        alias = self._alias and self._alias()
        return self.layers if saved is alias else layout.layers(saved)

    def release(self, *, recorded: bool) -> None:
        """Free the memory as soon as nobody has its alias; called once, when a graph has been recorded or has not."""
        alias = self._alias and self._alias()
        if not recorded:
            _give(self)
        elif alias is not None:  # or hooks on saved tensors have it
            weakref.finalize(alias, _give, self).atexit = False


def activations(like: Tensor, layout: Layout) -> Activations:
    """Such that nobody else has."""
    return _take(Activations, like, layout)


@contextmanager
def borrowed(like: Tensor, layout: Layout) -> Iterator[Workspace]:
    """A workspace that nobody else has meanwhile."""
    workspace = _take(Workspace, like, layout)
    try:
        yield workspace
    finally:
        _give(workspace)


Kept = TypeVar("Kept", Workspace, Activations)


def _take(kind: type[Kept], like: Tensor, layout: Layout) -> Kept:
    # Not where tensors only stand for others, nor where torch's allocator keeps memory by itself.
    if type(like) is not Tensor or like.device.type != "cpu" or torch.compiler.is_compiling():
        return kind(like, layout)
    key = kind, layout, like.dtype
    try:
        return _FREE[key].pop()  # pyright: ignore[reportReturnType] - the key tells the type
    except (KeyError, IndexError):
        with torch.inference_mode(False):  # or nobody could train in it later
            made = kind(like, layout)
        made.key = key if made.numel <= LARGEST else None
        return made


def _give(kept: Workspace | Activations) -> None:
    if kept.key is None:
        return
    _FREE.setdefault(kept.key, []).append(kept)
    with suppress(KeyError, IndexError):  # of what another thread has taken meanwhile
        _FREE.move_to_end(kept.key)
        while sum(one.numel for kind in list(_FREE.values()) for one in list(kind)) > LARGEST:
            oldest = next(iter(list(_FREE)))
            if _FREE[oldest]:
                _FREE[oldest].pop(0)
            else:
                del _FREE[oldest]


def _scratch(products: Tensor, layout: Layout, n_products: int, width: int) -> Scratch:
    memory = products[: n_products * layout.n_points * width].view(n_products, layout.n_points, width)
    return Scratch(memory)


_FREE: OrderedDict[Any, list[Workspace | Activations]] = OrderedDict()
"""By kind, the one that was used last at the end. What threads lose to each other is made again."""
