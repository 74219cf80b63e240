"""The groups of a matrix program: one class for each kind of node, with its batched forward and its pullback.

A group computes `size` matrices of shape (side, side) at once, from the results of earlier groups. Its pullback adds mu
of its operands (see `qml.simulator.matrix_program`).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from qml.simulator.fetch import Fetch


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The results of a program: the matrices of every group, and the coefficients of its leaves.

    Attributes:
        values: for every group, shape (size, side, side).
        coefficients: (1, cos, sin) of all leaves with the same number of frequencies, by that number.
    """

    values: list[Tensor]
    coefficients: dict[int, Tensor]


@dataclass(frozen=True, eq=False)
class GroupGradients:
    """The gradients that a pullback has collected so far.

    Attributes:
        values: mu of every group's matrices; None for zero.
        coefficients: by number of frequencies, rows of the coefficients and their gradients.
    """

    values: list[Tensor | None]
    coefficients: dict[int, list[tuple[slice, Tensor]]]


@runtime_checkable
class Group(Protocol):
    """Nodes that are evaluated together."""

    @property
    def size(self) -> int:
        """Return the number of matrices."""
        ...

    @property
    def side(self) -> int:
        """Return the number of rows of each."""
        ...

    def __call__(self, evaluated: Evaluated) -> Tensor:
        """Compute the matrices, (size, side, side), from the groups evaluated so far."""
        ...

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        """Add mu of the operands."""
        ...


@dataclass(frozen=True, eq=False)
class ConstantGroup:
    """Matrices of constants, shape (size, side, side)."""

    matrices: Tensor

    @property
    def size(self) -> int:
        return len(self.matrices)

    @property
    def side(self) -> int:
        return self.matrices.shape[1]

    def __call__(self, evaluated: Evaluated) -> Tensor:
        return self.matrices

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        return


@dataclass(frozen=True, eq=False)
class LeafGroup:
    """Matrices of one angle each: sums of constant matrices with trigonometric coefficients.

    Attributes:
        table: shape (size, 1 + 2 F, side * side), with real and imaginary parts as a last factor of two if complex.
        conjugate: the table, conjugated.
        n_frequencies: F, by which the coefficients are found.
        rows: which of those coefficients belong to the group.
        is_complex: whether the matrices are.
    """

    size: int
    side: int
    table: Tensor
    conjugate: Tensor
    n_frequencies: int
    rows: slice
    is_complex: bool

    def __call__(self, evaluated: Evaluated) -> Tensor:
        flat = torch.bmm(evaluated.coefficients[self.n_frequencies][self.rows].unsqueeze(1), self.table)
        if self.is_complex:
            return torch.view_as_complex(flat.view(self.size, self.side, self.side, 2))
        return flat.view(self.size, self.side, self.side)

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        flat = torch.view_as_real(mu) if mu.is_complex() else mu
        of_coefficients = torch.bmm(self.conjugate, flat.reshape(self.size, -1, 1)).squeeze(-1)
        grads.coefficients.setdefault(self.n_frequencies, []).append((self.rows, of_coefficients))


@dataclass(frozen=True, eq=False)
class ProductGroup:
    """Matrix products of two operands."""

    size: int
    side: int
    dtype: torch.dtype
    first: Fetch
    second: Fetch

    def __call__(self, evaluated: Evaluated) -> Tensor:
        return torch.bmm(self.first(evaluated.values, self.dtype), self.second(evaluated.values, self.dtype))

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        values = evaluated.values
        first, second = self.first(values, self.dtype), self.second(values, self.dtype)
        self.first.pullback(torch.bmm(mu, second.mT), values, grads.values)
        self.second.pullback(torch.bmm(first.mT, mu), values, grads.values)


@dataclass(frozen=True, eq=False)
class KroneckerGroup:
    """Kronecker products of two operands, the first the more significant."""

    size: int
    side: int
    dtype: torch.dtype
    first: Fetch
    second: Fetch

    def __call__(self, evaluated: Evaluated) -> Tensor:
        first, second = self.first(evaluated.values, self.dtype), self.second(evaluated.values, self.dtype)
        return (first[:, :, None, :, None] * second[:, None, :, None, :]).reshape(self.size, self.side, self.side)

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        values, size = evaluated.values, self.size
        first, second = self.first(values, self.dtype), self.second(values, self.dtype)
        a, b = first.shape[1], second.shape[1]
        mixed = mu.reshape(size, a, b, a, b).transpose(2, 3).reshape(size, a * a, b * b)
        mu_first = torch.bmm(mixed, second.reshape(size, b * b, 1)).view(size, a, a)
        mu_second = torch.bmm(first.reshape(size, 1, a * a), mixed).view(size, b, b)
        self.first.pullback(mu_first, values, grads.values)
        self.second.pullback(mu_second, values, grads.values)


@dataclass(frozen=True, eq=False)
class GatherGroup:
    """Operands with their rows, or their single numbers, in a new order.

    Attributes:
        width: the numbers that are moved together: `side` for rows, else 1.
        index, inverse: the indices of the gather and of its inverse.
    """

    size: int
    side: int
    dtype: torch.dtype
    operand: Fetch
    width: int
    index: Tensor
    inverse: Tensor

    def __call__(self, evaluated: Evaluated) -> Tensor:
        return self._gather(self.operand(evaluated.values, self.dtype), self.index)

    def pullback(self, mu: Tensor, evaluated: Evaluated, grads: GroupGradients) -> None:
        self.operand.pullback(self._gather(mu, self.inverse), evaluated.values, grads.values)

    def _gather(self, matrices: Tensor, index: Tensor) -> Tensor:
        return matrices.reshape(-1, self.width).index_select(0, index).view(self.size, self.side, self.side)
