"""Small matrices that depend on weights, built for the whole circuit at once.

Every fused block is an expression over trigonometric leaves: products, Kronecker products, row permutations. Nodes of
the same level, kind and size are evaluated together by one batched tensor operation, so that the cost in calls
is the depth of the deepest expression, whatever the number of blocks. Constant sub-expressions are folded in NumPy.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from qml.simulator.linear import NEGLIGIBLE, Linear

Kind = Literal["constant", "leaf", "product", "kron", "rows", "reorder"]


@dataclass(frozen=True, eq=False)
class Node:
    """One sub-expression; `value` holds the matrix of a constant, `table` the indices of a gather."""

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
        self.flops = 0.0

    def constant(self, matrix: np.ndarray) -> int:
        """A constant matrix; equal ones share a node."""
        key = ("constant", matrix.shape, np.ascontiguousarray(matrix, dtype=complex).tobytes())
        is_real = bool(np.abs(matrix.imag).max() < NEGLIGIBLE)
        return self._add(key, Node("constant", len(matrix), is_real, value=np.asarray(matrix)))

    def leaf(self, linear: Linear) -> int:
        """The matrix of one map, its angle taken from the weights; a constant map becomes a constant."""
        if linear.slot is None:
            return self.constant(linear.constant)
        return self._add(("leaf", id(linear)), Node("leaf", len(linear.constant), linear.is_real, leaf=linear))

    def product(self, left: int, right: int) -> int:
        """The matrix product."""
        a, b = self.nodes[left], self.nodes[right]
        if a.value is not None and b.value is not None:
            return self.constant(a.value @ b.value)
        self.flops += (2 if a.is_real and b.is_real else 8) * a.side**3
        return self._inner("product", (left, right), a.side)

    def kron(self, left: int, right: int) -> int:
        """The Kronecker product, `left` more significant."""
        a, b = self.nodes[left], self.nodes[right]
        if a.value is not None and b.value is not None:
            return self.constant(np.kron(a.value, b.value))
        self.flops += (1 if a.is_real and b.is_real else 6) * (a.side * b.side) ** 2
        return self._inner("kron", (left, right), a.side * b.side)

    def rows(self, node: int, table: np.ndarray) -> int:
        """The rows `table` of a matrix, that is, a permutation applied after it."""
        inner = self.nodes[node]
        if inner.value is not None:
            return self.constant(inner.value[table])
        return self._inner("rows", (node,), inner.side, table=table)

    def reorder(self, node: int, order: np.ndarray) -> int:
        """Rows and columns in a new order of basis states."""
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


@dataclass(frozen=True, eq=False)
class Fetch:
    """How the operands of one batched operation are collected from earlier results."""

    groups: tuple[int, ...]
    selection: slice | Tensor | None

    def __call__(self, values: list[Tensor], dtype: torch.dtype) -> Tensor:
        if len(self.groups) == 1:
            source = values[self.groups[0]].to(dtype)
        else:
            source = torch.cat([values[group].to(dtype) for group in self.groups])
        if self.selection is None:
            return source
        if isinstance(self.selection, slice):
            return source[self.selection]
        return source.index_select(0, self.selection)


@dataclass(frozen=True, eq=False)
class Group:
    """Nodes that are evaluated together, with their constants as tensors."""

    kind: Kind
    side: int
    dtype: torch.dtype
    fetches: tuple[Fetch, ...] = ()
    constants: Tensor | None = None
    index: Tensor | None = None
    frequencies: Tensor | None = None

    def __call__(self, values: list[Tensor], angles: Tensor) -> Tensor:
        if self.kind == "constant":
            return self.constants  # pyright: ignore[reportReturnType]
        if self.kind == "leaf":
            return trigonometric_matrices(angles.index_select(0, self.index), self.frequencies, self.constants)
        first = self.fetches[0](values, self.dtype)
        if self.kind == "product":
            return torch.bmm(first, self.fetches[1](values, self.dtype))
        if self.kind == "kron":
            second = self.fetches[1](values, self.dtype)
            return (first[:, :, None, :, None] * second[:, None, :, None, :]).reshape(-1, self.side, self.side)
        if self.kind == "rows":
            return first.reshape(-1, self.side).index_select(0, self.index).view(-1, self.side, self.side)
        return first.reshape(-1).index_select(0, self.index).view(-1, self.side, self.side)


def trigonometric_matrices(angles: Tensor, frequencies: Tensor, constants: Tensor) -> Tensor:
    """constant + sum_f cos(f t) C_f + sin(f t) S_f for many angles.

    Shape: angles (m,), frequencies (m, F), constants (m, 1 + 2 F, side, side) to (m, side, side).
    """
    phases = angles[:, None] * frequencies
    coefficients = torch.cat([torch.ones_like(phases[:, :1]), torch.cos(phases), torch.sin(phases)], 1)
    m, terms, side, _ = constants.shape
    if not constants.is_complex():
        return torch.bmm(coefficients[:, None], constants.view(m, terms, side * side)).view(m, side, side)
    flat = torch.view_as_real(constants).view(m, terms, 2 * side * side)
    return torch.view_as_complex(torch.bmm(coefficients[:, None], flat).view(m, side, side, 2))


@dataclass(eq=False)
class Program:
    """The batched evaluation of chosen nodes, for one dtype and device.

    Attributes:
        groups: evaluated in order.
        outputs: for each requested node its group and its place in it.
    """

    groups: list[Group] = field(default_factory=list)
    outputs: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, angles: Tensor) -> list[Tensor]:
        """All groups' matrices, each of shape (m, side, side)."""
        values: list[Tensor] = []
        for group in self.groups:
            values.append(group(values, angles))
        return values


def compile_program(
    expressions: Expressions, outputs: list[int], *, dtype: torch.dtype, device: torch.device, real: bool
) -> Program:
    """The batched program that evaluates `outputs`; `real` promises that every node is real."""
    nodes = expressions.nodes
    needed = _reachable(nodes, outputs)
    keyed: dict[tuple, list[int]] = {}
    for number in sorted(needed):
        node = nodes[number]
        n_terms = len(node.leaf.terms) if node.leaf is not None else 0
        keyed.setdefault((node.level, node.kind, node.side, node.is_real, n_terms), []).append(number)
    program, place = Program(), {}
    complex_dtype = dtype if real else dtype.to_complex()
    for key in sorted(keyed, key=lambda key: key[0]):
        members = keyed[key]
        for position, number in enumerate(members):
            place[number] = (len(program.groups), position)
        group_dtype = dtype if key[3] else complex_dtype
        program.groups.append(_group([nodes[n] for n in members], place, program.groups, group_dtype, device))
    program.outputs = [place[number] for number in outputs]
    return program


def _reachable(nodes: list[Node], outputs: list[int]) -> set[int]:
    needed, stack = set(), list(outputs)
    while stack:
        number = stack.pop()
        if number not in needed:
            needed.add(number)
            stack.extend(nodes[number].children)
    return needed


def _group(
    members: list[Node], place: dict[int, tuple[int, int]], groups: list[Group], dtype: torch.dtype, device: torch.device
) -> Group:
    first, side = members[0], members[0].side
    if first.kind == "constant":
        stacked = np.stack([node.value for node in members if node.value is not None])
        return Group("constant", side, dtype, constants=as_tensor(stacked, dtype, device))
    if first.kind == "leaf":
        return _leaf_group([node.leaf for node in members if node.leaf is not None], side, dtype, device)
    fetches = tuple(
        fetch_for([place[node.children[k]] for node in members], groups, device) for k in range(len(first.children))
    )
    index = None
    if first.kind in ("rows", "reorder"):
        tables = np.stack([node.table for node in members if node.table is not None])
        offsets = np.arange(len(members))[:, None]
        if first.kind == "rows":
            flat = tables + offsets * side
        else:
            pairs = tables[:, :, None] * side + tables[:, None, :]
            flat = pairs.reshape(len(members), -1) + offsets * side**2
        index = torch.as_tensor(flat.reshape(-1), device=device)
    return Group(first.kind, side, dtype, fetches, index=index)


def _leaf_group(leaves: list[Linear], side: int, dtype: torch.dtype, device: torch.device) -> Group:
    real_dtype = dtype.to_real()
    constants = np.stack(
        [np.stack([leaf.constant, *(t[1] for t in leaf.terms), *(t[2] for t in leaf.terms)]) for leaf in leaves]
    )
    frequencies = np.array([[term[0] for term in leaf.terms] for leaf in leaves])
    index = np.array([leaf.slot.index for leaf in leaves if leaf.slot is not None])
    return Group(
        "leaf",
        side,
        dtype,
        constants=as_tensor(constants, dtype, device),
        index=torch.as_tensor(index, device=device),
        frequencies=torch.as_tensor(frequencies, dtype=real_dtype, device=device),
    )


def fetch_for(places: list[tuple[int, int]], groups: list[Group], device: torch.device) -> Fetch:
    """How to collect the matrices at `places`, without a copy where a slice will do."""
    sources = sorted({group for group, _ in places})
    sizes = {group: _size(groups, group) for group in sources}
    starts, total = {}, 0
    for group in sources:
        starts[group] = total
        total += sizes[group]
    wanted = np.array([starts[group] + position for group, position in places])
    steps = np.unique(np.diff(wanted))
    if len(wanted) == total and np.array_equal(wanted, np.arange(total)):
        return Fetch(tuple(sources), None)
    if len(wanted) == 1:
        return Fetch(tuple(sources), slice(int(wanted[0]), int(wanted[0]) + 1))
    if len(steps) == 1 and steps[0] > 0:
        return Fetch(tuple(sources), slice(int(wanted[0]), int(wanted[-1]) + 1, int(steps[0])))
    return Fetch(tuple(sources), torch.as_tensor(wanted, device=device))


def _size(groups: list[Group], number: int) -> int:
    group = groups[number]
    if group.constants is not None:
        return len(group.constants)
    if group.index is not None:
        return len(group.index) // (group.side if group.kind == "rows" else group.side**2)
    selection = group.fetches[0].selection
    if selection is None:
        return sum(_size(groups, source) for source in group.fetches[0].groups)
    if isinstance(selection, slice):
        return len(range(selection.start, selection.stop, selection.step or 1))
    return len(selection)


def as_tensor(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A NumPy array as a tensor; its imaginary part is dropped only for a real dtype, where it is zero."""
    return torch.as_tensor(values if dtype.is_complex else values.real.copy(), device=device).to(dtype)
