"""The batched evaluation of matrix expressions, forward and backward.

Nodes of the same level, kind and size are evaluated by one batched tensor operation, so that the number of calls is the
depth of the deepest expression, whatever the number of blocks in the circuit. The pullback carries mu, the conjugate of
the gradient (see `qml.simulator.steps`): for C = A B, mu_A = mu_C B^T and mu_B = A^T mu_C.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qml.simulator.expressions import Expressions, Kind, Node
from qml.simulator.fetch import Fetch, MatrixPlace, fetch_for
from qml.simulator.linear import Linear
from qml.simulator.matrix_groups import (
    ConstantGroup,
    Evaluated,
    GatherGroup,
    Group,
    GroupGradients,
    KroneckerGroup,
    LeafGroup,
    ProductGroup,
)
from qml.simulator.tables import as_tensor, matrix_stack
from qml.simulator.trigonometry import phase_gradient, waves


@dataclass(frozen=True, eq=False)
class LeafAngles:
    """The angles of all leaves with the same number F of frequencies, and their coefficients (1, cos, sin).

    Attributes:
        index: the weight slot of each leaf.
        frequencies: shape (leaves, F).
        ones: shape (leaves, 1).
    """

    index: Tensor
    frequencies: Tensor
    ones: Tensor

    def coefficients(self, angles: Tensor) -> Tensor:
        """Compute the coefficients, (leaves, 1 + 2 F)."""
        return waves(angles.index_select(0, self.index)[:, None] * self.frequencies, self.ones)

    def pullback(self, grad: Tensor, coefficients: Tensor, angle_grad: Tensor) -> None:
        """Add the gradient of the angles to `angle_grad`."""
        of_phases = phase_gradient(grad, coefficients)
        angle_grad.index_add_(0, self.index, (of_phases * self.frequencies).sum(1))


@dataclass(frozen=True, eq=False)
class MatrixProgram:
    """A batched evaluation of chosen nodes, for one dtype and device.

    Attributes:
        groups: evaluated in order.
        leaf_angles: by number of frequencies.
        places: of each requested node.
    """

    groups: list[Group]
    leaf_angles: dict[int, LeafAngles]
    places: dict[int, MatrixPlace]

    def __call__(self, angles: Tensor) -> Evaluated:
        """Compute all matrices at these angles, shape (angles,)."""
        evaluated = Evaluated([], {n: leaves.coefficients(angles) for n, leaves in self.leaf_angles.items()})
        for group in self.groups:
            evaluated.values.append(group(evaluated))
        return evaluated

    def pullback(self, evaluated: Evaluated, grads: list[Tensor | None], n_angles: int) -> Tensor | None:
        """Compute the gradient of the angles from mu of every group (None for zero); changes `grads`."""
        collected = GroupGradients(grads, {})
        for number in range(len(self.groups) - 1, -1, -1):
            mu = grads[number]
            if mu is not None:
                self.groups[number].pullback(mu, evaluated, collected)
        if not collected.coefficients:
            return None
        first = next(iter(evaluated.coefficients.values()))
        angle_grad = first.new_zeros(n_angles)
        for n, parts in collected.coefficients.items():
            coefficients = evaluated.coefficients[n]
            total = torch.zeros_like(coefficients)
            for rows, part in parts:
                total[rows] = part
            self.leaf_angles[n].pullback(total, coefficients, angle_grad)
        return angle_grad

    def fetch(self, nodes: Sequence[int], device: torch.device) -> Fetch:
        """Plan how to collect the matrices of requested nodes."""
        return fetch_for([self.places[node] for node in nodes], [group.size for group in self.groups], device)


def compile_program(
    expressions: Expressions, outputs: list[int], *, dtype: torch.dtype, device: torch.device
) -> MatrixProgram:
    """Build the program that evaluates `outputs`, in the real dtype `dtype` and its complex twin."""
    nodes = expressions.nodes
    builder = _Builder(nodes, dtype, device)
    members: dict[_GroupKey, list[int]] = {}
    needed = sorted(_reachable(nodes, outputs))
    real = _kept_real(nodes, needed, outputs)
    for number in needed:
        members.setdefault(_group_key(nodes, number, is_real=number in real), []).append(number)
    for key in sorted(members, key=lambda key: key.level):
        builder.add(key, members[key])
    leaf_angles = {n: _leaf_angles(maps, dtype, device) for n, maps in builder.leaves.items()}
    return MatrixProgram(builder.groups, leaf_angles, {number: builder.places[number] for number in outputs})


class _GroupKey(NamedTuple):
    """A key that nodes of one group have in common."""

    level: int
    kind: Kind
    side: int
    is_real: bool
    n_frequencies: int
    child_sides: tuple[int, ...]


def _group_key(nodes: list[Node], number: int, *, is_real: bool) -> _GroupKey:
    node = nodes[number]
    n_frequencies = len(node.leaf.terms) if node.leaf is not None else 0
    child_sides = tuple(nodes[child].side for child in node.children)
    return _GroupKey(node.level, node.kind, node.side, is_real, n_frequencies, child_sides)


def _reachable(nodes: list[Node], outputs: list[int]) -> set[int]:
    """Return the nodes that the outputs are made of, themselves included."""
    needed, stack = set(), list(outputs)
    while stack:
        number = stack.pop()
        if number not in needed:
            needed.add(number)
            stack.extend(nodes[number].children)
    return needed


def _kept_real(nodes: list[Node], needed: list[int], outputs: list[int]) -> set[int]:
    """Return the real nodes worth a group of their own: results and what real nodes use. Others join complex ones."""
    wanted = set(outputs)
    for number in reversed(needed):
        if number in wanted and nodes[number].is_real:
            wanted.update(nodes[number].children)
    return {number for number in wanted if nodes[number].is_real}


@dataclass(eq=False)
class _Builder:
    """A program while it grows, group by group.

    Attributes:
        groups: so far.
        places: of the nodes in those.
        leaves: the maps of all leaves, by number of frequencies.
    """

    nodes: list[Node]
    dtype: torch.dtype
    device: torch.device
    groups: list[Group] = field(default_factory=list)
    places: dict[int, MatrixPlace] = field(default_factory=dict)
    leaves: dict[int, list[Linear]] = field(default_factory=dict)

    def add(self, key: _GroupKey, numbers: list[int]) -> None:
        """Append the group of these nodes, whose operands have places already."""
        dtype = self.dtype if key.is_real else self.dtype.to_complex()
        group = self._group(key, [self.nodes[number] for number in numbers], dtype)
        self.places |= {number: MatrixPlace(len(self.groups), entry) for entry, number in enumerate(numbers)}
        self.groups.append(group)

    def _group(self, key: _GroupKey, members: list[Node], dtype: torch.dtype) -> Group:
        if key.kind == "constant":
            stacked = np.stack([node.value for node in members if node.value is not None])
            return ConstantGroup(as_tensor(stacked, dtype, self.device))
        if key.kind == "leaf":
            return self._leaf_group(key, members, dtype)
        operands = [self._operand(members, k) for k in range(len(key.child_sides))]
        size, side = len(members), key.side
        if key.kind == "product":
            return ProductGroup(size, side, dtype, *operands)
        if key.kind == "kron":
            return KroneckerGroup(size, side, dtype, *operands)
        tables = np.stack([node.table for node in members if node.table is not None])
        if key.kind == "reorder":
            tables = (tables[:, :, None] * side + tables[:, None, :]).reshape(size, -1)
        flat = (tables + np.arange(size)[:, None] * tables.shape[1]).reshape(-1)
        index, inverse = (torch.as_tensor(values, device=self.device) for values in (flat, np.argsort(flat)))
        return GatherGroup(size, side, dtype, operands[0], side if key.kind == "rows" else 1, index, inverse)

    def _operand(self, members: list[Node], k: int) -> Fetch:
        sizes = [group.size for group in self.groups]
        return fetch_for([self.places[node.children[k]] for node in members], sizes, self.device)

    def _leaf_group(self, key: _GroupKey, members: list[Node], dtype: torch.dtype) -> LeafGroup:
        earlier = self.leaves.setdefault(key.n_frequencies, [])
        leaves = [node.leaf for node in members if node.leaf is not None]
        flat = np.stack([matrix_stack(leaf) for leaf in leaves]).reshape(len(leaves), 1 + 2 * key.n_frequencies, -1)
        table, conjugate = (_real_parts(values, dtype, self.device) for values in (flat, flat.conj()))
        rows = slice(len(earlier), len(earlier) + len(leaves))
        earlier.extend(leaves)
        return LeafGroup(len(leaves), key.side, table, conjugate, key.n_frequencies, rows, dtype.is_complex)


def _real_parts(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    tensor = as_tensor(values, dtype, device)
    return torch.view_as_real(tensor).flatten(-2) if dtype.is_complex else tensor


def _leaf_angles(leaves: list[Linear], dtype: torch.dtype, device: torch.device) -> LeafAngles:
    index = [leaf.slot.index for leaf in leaves if leaf.slot is not None]
    frequencies = np.array([[frequency for frequency, _, _ in leaf.terms] for leaf in leaves])
    table = torch.as_tensor(frequencies, dtype=dtype, device=device)
    return LeafAngles(torch.as_tensor(index, device=device), table, torch.ones_like(table[:, :1]))
