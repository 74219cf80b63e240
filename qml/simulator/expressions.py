"""Small matrices that depend on weights, as expressions: products, Kronecker products, permutations of leaves.

Constant sub-expressions are folded in NumPy. `qml.simulator.matrix_program` evaluates what is left, batched.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qml.simulator.linear import NEGLIGIBLE, Linear

Kind = Literal["constant", "leaf", "product", "kron", "rows", "reorder"]


@dataclass(frozen=True, eq=False)
class Node:
    """A sub-expression; `value` holds the matrix of a constant, `table` the indices of a gather."""

    kind: Kind
    side: int
    is_real: bool
    level: int = 0
    children: tuple[int, ...] = ()
    value: np.ndarray | None = None
    table: np.ndarray | None = None
    leaf: Linear | None = None


class Expressions:
    """A growing set of matrix expressions; every method returns the number of a node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[tuple, int] = {}

    def constant(self, matrix: np.ndarray) -> int:
        """Add a constant matrix; equal ones share a node."""
        key = ("constant", matrix.shape, np.ascontiguousarray(matrix, dtype=complex).tobytes())
        is_real = bool(np.abs(np.imag(matrix)).max() < NEGLIGIBLE)
        return self._add(key, Node("constant", len(matrix), is_real, value=np.asarray(matrix)))

    def leaf(self, linear: Linear) -> int:
        """Add the matrix of one map, its angle taken from the weights; a constant map becomes a constant."""
        if linear.slot is None:
            return self.constant(linear.constant)
        return self._add(("leaf", id(linear)), Node("leaf", len(linear.constant), linear.is_real, leaf=linear))

    def product(self, left: int, right: int) -> int:
        """Add the matrix product."""
        a, b = self.nodes[left], self.nodes[right]
        if a.value is not None and b.value is not None:
            return self.constant(a.value @ b.value)
        return self._inner("product", (left, right), a.side)

    def kron(self, left: int, right: int) -> int:
        """Add the Kronecker product, `left` more significant."""
        a, b = self.nodes[left], self.nodes[right]
        if a.value is not None and b.value is not None:
            return self.constant(np.kron(a.value, b.value))
        return self._inner("kron", (left, right), a.side * b.side)

    def rows(self, node: int, table: np.ndarray) -> int:
        """Add the rows `table` of a matrix, that is, a permutation applied after it."""
        inner = self.nodes[node]
        if inner.value is not None:
            return self.constant(inner.value[table])
        return self._inner("rows", (node,), inner.side, table=table)

    def reorder(self, node: int, order: np.ndarray) -> int:
        """Add a matrix with its rows and columns in a new order of basis states."""
        inner = self.nodes[node]
        if np.array_equal(order, np.arange(inner.side)):
            return node
        if inner.value is not None:
            return self.constant(inner.value[np.ix_(order, order)])
        return self._inner("reorder", (node,), inner.side, table=order)

    def _inner(self, kind: Kind, children: tuple[int, ...], side: int, *, table: np.ndarray | None = None) -> int:
        key = (kind, children, None if table is None else table.tobytes())
        level = 1 + max(self.nodes[child].level for child in children)
        is_real = all(self.nodes[child].is_real for child in children)
        return self._add(key, Node(kind, side, is_real, level, children, table=table))

    def _add(self, key: tuple, node: Node) -> int:
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(node)
        return self._known[key]
