"""Buffers of a fused network: rows of its layers, and the views of them that its operations take.

They are lent by `qml.buffers`, whose head states who owns a buffer and until when. A buffer comes with all its views,
because a view costs as much as a small operation, and a training step would make some hundred of them.
"""

import weakref
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from qml.buffers import Loan, is_worth_keeping
from qml.jets.orders import Components, Orders, ProductBuffers


@dataclass(frozen=True)
class RowLayout:
    """The order of a layer's rows: values at other points, then all components at the points.

    Attributes:
        n_points: points with derivatives.
        n_others: points with values alone.
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
        """Return the number of rows of a layer."""
        return self.n_others + self.orders.n_components * self.n_points

    def rows(self, memory: Tensor, width: int) -> "LayerRows":
        """View the first numbers of a memory as the rows of a layer with `width` units."""
        return LayerRows(memory[: self.n_rows * width].view(self.n_rows, width), self)

    def layers(self, memory: Tensor) -> list["LayerRows"]:
        """View a memory as the rows of all layers, one after the other."""
        pieces = memory.split([self.n_rows * width for width in self.widths])
        return [self.rows(piece, width) for piece, width in zip(pieces, self.widths, strict=True)]


class LayerRows:
    """A layer's rows as one matrix (rows, units), as its transpose, and as components of shape (batch, units)."""

    def __init__(self, matrix: Tensor, layout: RowLayout) -> None:
        n_others, n_points = layout.n_others, layout.n_points
        data = matrix[n_others:].view(layout.orders.n_components, n_points, matrix.shape[1])
        self.matrix, self.transposed = matrix, matrix.T
        self.components = Components(data, layout.orders, matrix[: n_others + n_points] if n_others else None)
        self.values_transposed = self.components.values.T


class PassBuffers:
    """A buffer for intermediate results of one pass, forward or backward.

    Args:
        like: a tensor of its dtype and device.
        layout: of the rows.

    Attributes:
        gradients: rows for the gradient of each layer; every second layer shares the memory, neighbours do not.
        products: buffers for products of components of each layer; all layers share the memory.
        ones: a vector of one for every row of values.
        nbytes: size in bytes.
    """

    def __init__(self, like: Tensor, layout: RowLayout) -> None:
        widths, n_products = layout.widths, ProductBuffers.n_parts(layout.orders)
        widest = max(widths)
        lengths = [*[layout.n_rows * widest] * 2, n_products * layout.n_points * widest]
        memory = like.new_empty(sum(lengths))
        even, odd, products = memory.split(lengths)
        self.nbytes = memory.nbytes
        self.gradients = [layout.rows((even, odd)[index % 2], width) for index, width in enumerate(widths)]
        self.products = [
            ProductBuffers(products[: n_products * layout.n_points * width].view(n_products, layout.n_points, width))
            for width in widths
        ]
        self.ones = like.new_ones(layout.n_others + layout.n_points)


class HiddenRows:
    """A buffer for the hidden layers of one forward pass, whose graph saves it for the backward pass.

    The graph saves an alias of the memory, and the loan ends when that alias is gone.

    Args:
        like: a tensor of its dtype and device.
        layout: of the rows.

    Attributes:
        layers: the rows of each hidden layer.
        alias: refers to the tensor that the graph of the present pass has saved, without keeping it alive.
        nbytes: size in bytes.
    """

    alias: "weakref.ref[Tensor]"

    def __init__(self, like: Tensor, layout: RowLayout) -> None:
        self._memory = like.new_empty(layout.n_rows * sum(layout.widths))
        self.nbytes = self._memory.nbytes
        self.layers = layout.layers(self._memory)

    def new_alias(self) -> Tensor:
        """Return a new alias of the memory for a graph to save."""
        alias = self._memory.view(-1)
        self.alias = weakref.ref(alias)
        return alias

    def layers_of(self, saved: Tensor, layout: RowLayout) -> list[LayerRows]:
        """Return the layers as a graph has saved them: these, unless hooks on saved tensors have replaced the alias."""
        return self.layers if saved is self.alias() else layout.layers(saved)


def hidden_rows_loan(like: Tensor, layout: RowLayout) -> Loan[HiddenRows]:
    """Return a loan of hidden layers for one forward pass."""
    key = HiddenRows, layout, like.dtype
    return Loan(key, lambda: HiddenRows(like, layout), is_kept=is_worth_keeping(like))


def pass_buffers_loan(like: Tensor, layout: RowLayout) -> Loan[PassBuffers]:
    """Return a loan of intermediate results for one pass."""
    key = PassBuffers, layout, like.dtype
    return Loan(key, lambda: PassBuffers(like, layout), is_kept=is_worth_keeping(like))
