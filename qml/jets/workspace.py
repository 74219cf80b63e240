"""What a fused network works on, kept from call to call: memory, and the views of it that its operations take.

New memory costs a page fault for every 4 KiB, and a view costs as much as a small operation; a step would make some
hundred of them.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from qml.jets.orders import Components, Orders, Scratch

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

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.n_points, self.n_others, self.orders, self.widths))

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
        self.values_turned = self.parts.values.T


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
        self._released = False

    def alias(self) -> Tensor:
        """What a graph saves."""
        alias = self._memory.view(-1)
        self._alias = weakref.ref(alias, self._free)
        return alias

    def layers_of(self, saved: Tensor, layout: Layout) -> list[Rows]:
        """The layers as a graph has saved them: these, unless somebody packed them up meanwhile."""
        alias = self._alias and self._alias()
        return self.layers if saved is alias else layout.layers(saved)

    def release(self, *, recorded: bool) -> None:
        """Free the memory as soon as nobody has its alias; called once, when a graph has been recorded or has not."""
        self._released = recorded and self._alias is not None and self._alias() is not None
        if not recorded:
            self._alias = None
            _give(self)

    def _free(self, alias: "weakref.ref[Tensor]") -> None:
        if self._released:  # or hooks on saved tensors have had it
            self._released = False
            _give(self)


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
    kept = _FREE.take(key)
    if kept is None:
        with torch.inference_mode(False):  # or nobody could train in it later
            kept = kind(like, layout)
        kept.key = key if kept.numel <= LARGEST else None
    return kept  # pyright: ignore[reportReturnType] - the key tells the type


def _give(kept: Workspace | Activations) -> None:
    if kept.key is not None:
        _FREE.give(kept)


class _Free:
    """What nobody has, by kind, the one that was used last at the end. What threads lose to each other is made again.

    Attributes:
        numel: numbers in all. Threads and finalizers may miscount, so that it is counted anew before it is believed.
    """

    def __init__(self) -> None:
        self.kinds: dict[Any, list[Workspace | Activations]] = {}
        self.numel = 0

    def take(self, key: Any) -> Workspace | Activations | None:
        """One of a kind; None where there is none."""
        try:
            kept = self.kinds[key].pop()
        except (KeyError, IndexError):
            self.count()
            return None
        self.numel -= kept.numel
        return kept

    def give(self, kept: Workspace | Activations) -> None:
        """Keep it, and throw away the oldest if that is too much."""
        kind = self.kinds.pop(kept.key, [])
        kind.append(kept)
        self.kinds[kept.key] = kind
        self.numel += kept.numel
        with suppress(KeyError, IndexError):  # of what another thread has taken meanwhile
            while self.numel > LARGEST and self.count() > LARGEST:
                oldest = next(iter(list(self.kinds)))
                if self.kinds[oldest]:
                    self.kinds[oldest].pop(0)
                else:
                    del self.kinds[oldest]

    def count(self) -> int:
        """The numbers in all. A list of a dict's values asks no key for its hash, in which a finalizer might give."""
        self.numel = sum(one.numel for kind in list(self.kinds.values()) for one in list(kind))
        return self.numel


def _scratch(products: Tensor, layout: Layout, n_products: int, width: int) -> Scratch:
    memory = products[: n_products * layout.n_points * width].view(n_products, layout.n_points, width)
    return Scratch(memory)


_FREE = _Free()
