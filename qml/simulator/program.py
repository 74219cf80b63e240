"""The batched evaluation of matrix expressions, forward and backward.

Nodes of the same level, kind and size are evaluated by one batched tensor operation, so that the number of calls is the
depth of the deepest expression, whatever the number of blocks in the circuit. The pullback carries mu, the conjugate of
the gradient (see `qml.simulator.steps`): for C = A B, mu_A = mu_C B^T and mu_B = A^T mu_C.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qml.simulator.expressions import Expressions, Kind, Node
from qml.simulator.linear import Linear


@dataclass(frozen=True, eq=False)
class Fetch:
    """How the operands of one batched operation are collected from earlier results.

    Attributes:
        groups: the earlier groups, laid behind each other.
        sizes: how many matrices each of them has.
        selection: which of those are taken: all (None), a slice, or an index.
    """

    groups: tuple[int, ...]
    sizes: tuple[int, ...]
    selection: slice | Tensor | None

    def __call__(self, values: list[Tensor], dtype: torch.dtype) -> Tensor:
        source = values[self.groups[0]]
        if len(self.groups) > 1:
            source = torch.cat([values[group].to(dtype) for group in self.groups])
        elif source.dtype != dtype:
            source = source.to(dtype)
        if self.selection is None:
            return source
        if isinstance(self.selection, slice):
            return source[self.selection]
        return source.index_select(0, self.selection)

    def pullback(self, mu: Tensor, values: list[Tensor], grads: list[Tensor | None]) -> None:
        """Add mu of what was fetched to mu of the groups it came from."""
        if len(self.groups) == 1:
            _add_selected(grads, self.groups[0], _like(values[self.groups[0]], mu), self.selection, self.sizes[0])
            return
        joined: list[Tensor | None] = [None]
        _add_selected(joined, 0, mu, self.selection, sum(self.sizes))
        start = 0
        for group, size in zip(self.groups, self.sizes, strict=True):
            part = _known(joined[0])[start : start + size]
            _add_selected(grads, group, _like(values[group], part), None, size)
            start += size


def _like(value: Tensor, mu: Tensor) -> Tensor:
    """The part of mu that a real matrix feels."""
    return mu.real if mu.is_complex() and not value.is_complex() else mu


def _add_selected(
    grads: list[Tensor | None], place: int, mu: Tensor, selection: slice | Tensor | None, size: int
) -> None:
    """grads[place][selection] += mu, where None stands for zeros."""
    known = grads[place]
    if selection is None:
        grads[place] = mu if known is None else known + mu
        return
    if known is None:
        known = mu.new_zeros(size, *mu.shape[1:])
        grads[place] = known
        if isinstance(selection, slice):
            known[selection] = mu
            return
    if isinstance(selection, slice):
        known[selection] += mu
    else:
        known.index_add_(0, selection, mu)


@dataclass(frozen=True, eq=False)
class Group:
    """Nodes that are evaluated together.

    Attributes:
        constants: the matrices of constants (m, side, side), or the tables of leaves (m, terms, side * side), for a
            complex group with real and imaginary parts as the last factor of two.
        conjugate: the tables of leaves, conjugated.
        rows: for leaves, their rows in the program's list of trigonometric coefficients.
        index, inverse: the indices of a gather and of its inverse.
    """

    kind: Kind
    side: int
    size: int
    dtype: torch.dtype
    fetches: tuple[Fetch, ...] = ()
    constants: Tensor | None = None
    conjugate: Tensor | None = None
    rows: slice | None = None
    index: Tensor | None = None
    inverse: Tensor | None = None
    n_terms: int = 0

    def __call__(self, values: list[Tensor], coefficients: dict[int, Tensor]) -> Tensor:
        side, size = self.side, self.size
        if self.kind == "constant":
            return _known(self.constants)
        if self.kind == "leaf":
            flat = torch.bmm(coefficients[self.n_terms][self.rows].unsqueeze(1), _known(self.constants))
            if self.dtype.is_complex:
                return torch.view_as_complex(flat.view(size, side, side, 2))
            return flat.view(size, side, side)
        first = self.fetches[0](values, self.dtype)
        if self.kind == "product":
            return torch.bmm(first, self.fetches[1](values, self.dtype))
        if self.kind == "kron":
            second = self.fetches[1](values, self.dtype)
            return (first[:, :, None, :, None] * second[:, None, :, None, :]).reshape(size, side, side)
        width = side if self.kind == "rows" else 1
        return first.reshape(-1, width).index_select(0, _known(self.index)).view(size, side, side)

    def pullback(self, mu: Tensor, values: list[Tensor], grads: list[Tensor | None]) -> None:
        """Add mu of the operands."""
        size, side = self.size, self.side
        if self.kind == "product":
            first, second = (fetch(values, self.dtype) for fetch in self.fetches)
            self.fetches[0].pullback(torch.bmm(mu, second.mT), values, grads)
            self.fetches[1].pullback(torch.bmm(first.mT, mu), values, grads)
        elif self.kind == "kron":
            first, second = (fetch(values, self.dtype) for fetch in self.fetches)
            a, b = first.shape[1], second.shape[1]
            mixed = mu.reshape(size, a, b, a, b).transpose(2, 3).reshape(size, a * a, b * b)
            mu_first = torch.bmm(mixed, second.reshape(size, b * b, 1)).view(size, a, a)
            mu_second = torch.bmm(first.reshape(size, 1, a * a), mixed).view(size, b, b)
            self.fetches[0].pullback(mu_first, values, grads)
            self.fetches[1].pullback(mu_second, values, grads)
        else:
            width = side if self.kind == "rows" else 1
            moved = mu.reshape(-1, width).index_select(0, _known(self.inverse)).view(size, side, side)
            self.fetches[0].pullback(moved, values, grads)

    def coefficient_gradient(self, mu: Tensor) -> Tensor:
        """For leaves: the gradient of their coefficients, shape (m, terms)."""
        flat = torch.view_as_real(mu) if mu.is_complex() else mu
        return torch.bmm(_known(self.conjugate), flat.reshape(self.size, -1, 1)).squeeze(-1)


@dataclass(frozen=True, eq=False)
class Trigonometry:
    """The leaves with the same number F of frequencies: their angles and their coefficients (1, cos, sin)."""

    index: Tensor
    frequencies: Tensor  # (leaves, F)
    ones: Tensor  # (leaves, 1)

    def __call__(self, angles: Tensor) -> Tensor:
        phases = angles.index_select(0, self.index)[:, None] * self.frequencies
        return torch.cat([self.ones, torch.cos(phases), torch.sin(phases)], 1)

    def pullback(self, grad: Tensor, coefficients: Tensor, angle_grad: Tensor) -> None:
        """Add the gradient of the angles; d cos = -sin, d sin = cos."""
        n = self.frequencies.shape[1]
        cosine, sine = coefficients[:, 1 : n + 1], coefficients[:, n + 1 :]
        phase_grad = cosine * grad[:, n + 1 :] - sine * grad[:, 1 : n + 1]
        angle_grad.index_add_(0, self.index, (phase_grad * self.frequencies).sum(1))


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The results of a program: all groups' matrices, and the coefficients of the leaves."""

    values: list[Tensor]
    coefficients: dict[int, Tensor]


@dataclass(frozen=True, eq=False)
class Program:
    """The batched evaluation of chosen nodes, for one dtype and device.

    Attributes:
        groups: evaluated in order.
        trigonometry: by number of frequencies.
        places: for each requested node its group and its place in it.
    """

    groups: list[Group]
    trigonometry: dict[int, Trigonometry]
    places: dict[int, tuple[int, int]]

    def __call__(self, angles: Tensor) -> Evaluated:
        """All matrices at these angles, shape (angles,)."""
        coefficients = {n: trigonometry(angles) for n, trigonometry in self.trigonometry.items()}
        values: list[Tensor] = []
        for group in self.groups:
            values.append(group(values, coefficients))
        return Evaluated(values, coefficients)

    def pullback(self, evaluated: Evaluated, grads: list[Tensor | None], n_angles: int) -> Tensor | None:
        """The gradient of the angles from mu of every group (None for zero); uses up `grads`."""
        collected: dict[int, list[tuple[slice, Tensor]]] = {}
        for number in range(len(self.groups) - 1, -1, -1):
            group, mu = self.groups[number], grads[number]
            if mu is None or group.kind == "constant":
                continue
            if group.kind == "leaf" and group.rows is not None:
                collected.setdefault(group.n_terms, []).append((group.rows, group.coefficient_gradient(mu)))
            else:
                group.pullback(mu, evaluated.values, grads)
        if not collected:
            return None
        first = next(iter(evaluated.coefficients.values()))
        angle_grad = first.new_zeros(n_angles)
        for n, parts in collected.items():
            coefficients = evaluated.coefficients[n]
            total = torch.zeros_like(coefficients)
            for rows, part in parts:
                total[rows] = part
            self.trigonometry[n].pullback(total, coefficients, angle_grad)
        return angle_grad


def compile_program(
    expressions: Expressions, outputs: list[int], *, dtype: torch.dtype, device: torch.device
) -> Program:
    """The batched program that evaluates `outputs`, in the real dtype `dtype` and its complex twin."""
    nodes = expressions.nodes
    needed = sorted(_reachable(nodes, outputs))
    real = _kept_real(nodes, needed, outputs)
    keyed: dict[tuple, list[int]] = {}
    for number in needed:
        node = nodes[number]
        n_terms = len(node.leaf.terms) if node.leaf is not None else 0
        child_sides = tuple(nodes[child].side for child in node.children)
        key = (node.level, node.kind, node.side, number in real, n_terms, child_sides)
        keyed.setdefault(key, []).append(number)
    groups: list[Group] = []
    place: dict[int, tuple[int, int]] = {}
    leaves: dict[int, list[Linear]] = {}
    for key in sorted(keyed, key=lambda key: key[0]):
        members = [nodes[number] for number in keyed[key]]
        group_dtype = dtype if key[3] else dtype.to_complex()
        if key[1] == "leaf":
            earlier = leaves.setdefault(key[4], [])
            group = _leaf_group(members, len(earlier), group_dtype, device)
            earlier.extend(node.leaf for node in members if node.leaf is not None)
        else:
            group = _group(members, place, groups, group_dtype, device)
        for position, number in enumerate(keyed[key]):
            place[number] = (len(groups), position)
        groups.append(group)
    trigonometry = {n: _trigonometry(maps, dtype, device) for n, maps in leaves.items()}
    return Program(groups, trigonometry, {number: place[number] for number in outputs})


def fetch_for(places: list[tuple[int, int]], groups: list[Group], device: torch.device) -> Fetch:
    """How to collect the matrices at `places`, without a copy where a slice will do."""
    sources = tuple(sorted({group for group, _ in places}))
    sizes = tuple(groups[group].size for group in sources)
    starts = dict(zip(sources, np.cumsum((0, *sizes[:-1])).tolist(), strict=True))
    wanted = np.array([starts[group] + position for group, position in places])
    steps = np.unique(np.diff(wanted))
    if np.array_equal(wanted, np.arange(sum(sizes))):
        return Fetch(sources, sizes, None)
    if len(wanted) == 1:
        return Fetch(sources, sizes, slice(int(wanted[0]), int(wanted[0]) + 1))
    if len(steps) == 1 and steps[0] > 0:
        return Fetch(sources, sizes, slice(int(wanted[0]), int(wanted[-1]) + 1, int(steps[0])))
    return Fetch(sources, sizes, torch.as_tensor(wanted, device=device))


def as_tensor(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A NumPy array as a tensor; its imaginary part is dropped only for a real dtype, where it is zero."""
    return torch.as_tensor((values if dtype.is_complex else np.real(values)).copy(), device=device).to(dtype)


def _reachable(nodes: list[Node], outputs: list[int]) -> set[int]:
    needed, stack = set(), list(outputs)
    while stack:
        number = stack.pop()
        if number not in needed:
            needed.add(number)
            stack.extend(nodes[number].children)
    return needed


def _kept_real(nodes: list[Node], needed: list[int], outputs: list[int]) -> set[int]:
    """Real nodes that are worth a group of their own: results, and what real nodes use. Others join complex ones."""
    wanted = set(outputs)
    for number in reversed(needed):
        if number in wanted and nodes[number].is_real:
            wanted.update(nodes[number].children)
    return {number for number in wanted if nodes[number].is_real}


def _group(
    members: list[Node],
    place: dict[int, tuple[int, int]],
    groups: list[Group],
    dtype: torch.dtype,
    device: torch.device,
) -> Group:
    kind, side, size = members[0].kind, members[0].side, len(members)
    if kind == "constant":
        stacked = np.stack([node.value for node in members if node.value is not None])
        return Group("constant", side, size, dtype, constants=as_tensor(stacked, dtype, device))
    fetches = tuple(
        fetch_for([place[node.children[k]] for node in members], groups, device)
        for k in range(len(members[0].children))
    )
    if kind in ("product", "kron"):
        return Group(kind, side, size, dtype, fetches)
    tables = np.stack([node.table for node in members if node.table is not None])
    if kind == "reorder":
        tables = (tables[:, :, None] * side + tables[:, None, :]).reshape(size, -1)
    flat = (tables + np.arange(size)[:, None] * tables.shape[1]).reshape(-1)
    index, inverse = (torch.as_tensor(values, device=device) for values in (flat, np.argsort(flat)))
    return Group(kind, side, size, dtype, fetches, index=index, inverse=inverse)


def _leaf_group(members: list[Node], start: int, dtype: torch.dtype, device: torch.device) -> Group:
    leaves = [node.leaf for node in members if node.leaf is not None]
    side, size = members[0].side, len(leaves)
    tables = np.stack([matrix_stack(leaf) for leaf in leaves])
    flat = tables.reshape(size, tables.shape[1], -1)
    constants, conjugate = (_real_parts(values, dtype, device) for values in (flat, flat.conj()))
    rows = slice(start, start + size)
    return Group(
        "leaf",
        side,
        size,
        dtype,
        constants=constants,
        conjugate=conjugate,
        rows=rows,
        n_terms=len(leaves[0].terms),
    )


def matrix_stack(linear: Linear) -> np.ndarray:
    """The constant, cosine and sine matrices of a map; shape (1 + 2 F, side, side)."""
    cosines, sines = ([term[k] for term in linear.terms] for k in (1, 2))
    return np.stack([linear.constant, *cosines, *sines])


def _real_parts(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    tensor = as_tensor(values, dtype, device)
    return torch.view_as_real(tensor).flatten(-2) if dtype.is_complex else tensor


def _trigonometry(leaves: list[Linear], dtype: torch.dtype, device: torch.device) -> Trigonometry:
    index = [leaf.slot.index for leaf in leaves if leaf.slot is not None]
    frequencies = np.array([[term[0] for term in leaf.terms] for leaf in leaves])
    table = torch.as_tensor(frequencies, dtype=dtype, device=device)
    return Trigonometry(torch.as_tensor(index, device=device), table, torch.ones_like(table[:, :1]))


def _known(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError("A group must have the tensor that its kind needs, but has none.")
    return tensor
