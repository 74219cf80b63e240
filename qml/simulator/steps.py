"""The steps of a plan as tensor operations on a state of shape (levels**sites, batch).

Each step has a plain forward, which autograd can follow, and a pullback. Its operand is what it takes beside the state:
a matrix that the batch shares, or the coefficients or angles of each sample. The pullback carries mu, the complex
conjugate of the gradient with respect to the state, because then no large tensor is ever conjugated: for y = M x,

    mu_x = M^T mu_y,        mu_M = mu_y x^T.

`inverse` recovers x from y for the adjoint mode; only unitary steps have one.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from qml.buffers import tensor_loan


class Reference(NamedTuple):
    """A reference to the operand of a step: some entries of one of the tables that are computed before all steps.

    Attributes:
        per_sample: whether the table is one of coefficients and angles of each sample, or of matrices that the batch
            shares.
        table: the number of the table among those.
        entry: which of its entries.
    """

    per_sample: bool
    table: int
    entry: int | slice


@dataclass(frozen=True, eq=False)
class Operands:
    """The tables to which the steps of a plan refer.

    Attributes:
        shared: for every group of the matrix program its matrices, (size, side, side).
        per_sample: for every table of data its coefficients (maps, terms, batch) or angles (angles, batch).
    """

    shared: list[Tensor]
    per_sample: list[Tensor]

    def of(self, step: "Step") -> Tensor | None:
        """Return the operand of a step; None for a step without."""
        reference = step.reference
        if reference is None:
            return None
        return (self.per_sample if reference.per_sample else self.shared)[reference.table][reference.entry]


@dataclass(frozen=True, eq=False)
class OperandGradients:
    """The gradients of all tables to which steps refer, None for zero; those of shared matrices are mu."""

    shared: list[Tensor | None]
    per_sample: list[Tensor | None]

    def add(self, reference: Reference, gradient: Tensor, operands: Operands) -> None:
        """Add the gradient of some entries of a table."""
        grads, tables = self.shared, operands.shared
        if reference.per_sample:
            grads, tables = self.per_sample, operands.per_sample
        total = grads[reference.table]
        if total is None:
            total = torch.zeros_like(tables[reference.table])
            grads[reference.table] = total
        total[reference.entry] += gradient


@runtime_checkable
class Step(Protocol):
    """A step of a plan, which maps the state before it to the state after it."""

    @property
    def reference(self) -> Reference | None:
        """Return the reference to the step's matrix, coefficients or angles; None for a step without."""
        ...

    @property
    def needs_input(self) -> bool:
        """Tell whether the pullback needs the state before the step."""
        ...

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        """Compute the state after the step, in `out` where that is given and the step can use it."""
        ...

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Compute mu before the step (in `out` where that can be used), and mu of the operand."""
        ...

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        """Recover the state before the step."""
        ...


def multiply(matrix: Tensor, x: Tensor, left: int, side: int, out: Tensor | None = None) -> Tensor:
    """Apply a (side, side) matrix to the middle digit of a state of shape (left * side * right, batch)."""
    shape = x.shape
    real_matrix = x.is_complex() and not matrix.is_complex()
    if real_matrix and x.numel() == left * side:  # rows of one number: as pairs of reals they would be too short
        matrix, real_matrix = matrix.to(x.dtype), False
    if real_matrix:
        x, out = torch.view_as_real(x), None if out is None else torch.view_as_real(out)
    right = x.numel() // (left * side)
    if left == 1:
        y = torch.mm(matrix, x.reshape(side, right), out=_viewed(out, side, right))
    elif right == 1:
        transposed = matrix.mT.contiguous()  # the transposed view is three times slower at side 8
        y = torch.mm(x.reshape(left, side), transposed, out=_viewed(out, left, side))
    else:
        y = torch.bmm(
            matrix.expand(left, side, side), x.reshape(left, side, right), out=_viewed(out, left, side, right)
        )
    if real_matrix:
        return torch.view_as_complex(y.reshape(*shape, 2))
    return y.reshape(shape)


def gather_rows(x: Tensor, table: Tensor, out: Tensor | None = None) -> Tensor:
    """Gather rows of a state; one column is gathered as a vector, which is twice as fast."""
    if x.shape[-1] == 1:
        return torch.index_select(x.reshape(-1), 0, table, out=_viewed(out, -1))[:, None]
    return torch.index_select(x, 0, table, out=out)


def _viewed(out: Tensor | None, *shape: int) -> Tensor | None:
    return None if out is None else out.view(shape)


def outer(mu: Tensor, x: Tensor, left: int, side: int) -> Tensor:
    """Sum mu x^T over all other digits: the conjugate gradient of a matrix of shape (side, side)."""
    right = x.numel() // (left * side)
    if left == 1:
        return mu.reshape(side, right) @ x.reshape(side, right).mT
    if right == 1:
        return mu.reshape(left, side).mT @ x.reshape(left, side)
    if right >= side:
        loan = tensor_loan((left, side, side), mu.dtype, mu.device)
        return torch.bmm(mu.reshape(left, side, right), x.reshape(left, side, right).mT, out=loan.buffer()).sum(0)
    loan = tensor_loan((side, left, right), mu.dtype, mu.device)
    mu_flat, x_flat = (
        loan.buffer().copy_(t.reshape(left, side, right).transpose(0, 1)).view(side, -1) for t in (mu, x)
    )
    return mu_flat @ x_flat.mT


def outer_for(matrix: Tensor, mu: Tensor, x: Tensor, left: int, side: int) -> Tensor:
    """Compute mu of `matrix`, the conjugate of its gradient; real where the matrix is real."""
    if matrix.is_complex() or not x.is_complex():
        return outer(mu, x, left, side)
    return outer(mu, x, left, side).real  # a conjugated copy of x for a real product would cost more


@dataclass(frozen=True, eq=False)
class Block:
    """A matrix shared by the batch, on neighbouring sites."""

    left: int
    side: int
    reference: Reference | None
    constant: Tensor | None = None

    @property
    def needs_input(self) -> bool:
        return self.reference is not None

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        return multiply(self._matrix(operand), x, self.left, self.side, out)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        used = self._matrix(operand)
        grad = None
        if x is not None and self.reference is not None:
            grad = outer_for(used, mu, x.expand_as(mu), self.left, self.side)
        return multiply(used.mT, mu, self.left, self.side, out), grad

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return multiply(self._matrix(operand).mH.contiguous(), y, self.left, self.side)

    def _matrix(self, operand: Tensor | None) -> Tensor:
        result = self.constant if operand is None else operand
        if result is None:
            raise ValueError("A block must have a constant or a computed matrix, but has neither.")
        return result


@dataclass(frozen=True, eq=False)
class Permutation:
    """A permutation of basis states: y[i] = x[table[i]]."""

    table: Tensor
    inverse_table: Tensor
    reference = None
    needs_input = False

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        return gather_rows(x, self.table, out)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, None]:
        return gather_rows(mu, self.inverse_table, out), None

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return gather_rows(y, self.inverse_table)


@dataclass(frozen=True, eq=False)
class Move:
    """A new order of sites: digit groups of sizes `sizes` are transposed by `order`."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]
    reference = None
    needs_input = False

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        return self._transpose(x, self.sizes, self.order, out)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, None]:
        return self._back(mu, out), None

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return self._back(y, None)

    def _back(self, y: Tensor, out: Tensor | None) -> Tensor:
        back = tuple(self.order.index(k) for k in range(len(self.order)))
        return self._transpose(y, tuple(self.sizes[k] for k in self.order), back, out)

    @staticmethod
    def _transpose(x: Tensor, sizes: tuple[int, ...], order: tuple[int, ...], out: Tensor | None) -> Tensor:
        moved = x.reshape(*sizes, x.shape[-1]).permute(*order, len(order))
        if out is None:
            return moved.reshape(x.shape)
        out.view(moved.shape).copy_(moved)
        return out


@dataclass(frozen=True, eq=False)
class DataStep:
    """A map sum_j coefficient[j, sample] A_j on neighbouring sites, with constant matrices A_j.

    `table` has shape (terms, side, side); the coefficients (1, cos, ..., sin, ...) are its operand.
    """

    left: int
    side: int
    table: Tensor
    reference: Reference | None
    needs_input = True

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        return _combine(self.parts(x), operand, x.dtype)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        before = _sum(
            [
                multiply(part.mT, mu * coefficient, self.left, self.side)
                for part, coefficient in zip(self.table, _rows(operand), strict=True)
            ]
        )
        grad = None
        if x is not None:
            grad = torch.stack([(mu * part).sum(0).real for part in self.parts(x)])
        return before, grad

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return _sum(
            [
                multiply(part.mH, y * coefficient, self.left, self.side)
                for part, coefficient in zip(self.table, _rows(operand), strict=True)
            ]
        )

    def parts(self, x: Tensor) -> list[Tensor]:
        """Compute A_j x for every j."""
        return [multiply(part, x, self.left, self.side) for part in self.table]


@dataclass(frozen=True, eq=False)
class PhaseStep:
    """A diagonal of phases exp(i sum_k W_k t_k) on neighbouring sites, with angles t of each sample.

    `frequencies` is W, shape (side, angles); the angles (angles, batch) are its operand.
    """

    left: int
    side: int
    frequencies: Tensor
    reference: Reference | None
    needs_input = True

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        return self._times(x, self._phases(operand), out)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        before = self._times(mu, self._phases(operand), out)
        if x is None:
            return before, None
        # dy = i y dphi and mu_y y = mu_x x, so dphi = Re(i mu_x x)
        overlap = (before * x).imag.reshape(self.left, self.side, -1, mu.shape[-1]).sum((0, 2))
        return before, -(self.frequencies.mT @ overlap)

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return self._times(y, self._phases(operand).conj())

    def _phases(self, angles: Tensor | None) -> Tensor:
        if angles is None:
            raise ValueError("A phase step must have angles, but has none.")
        phases = self.frequencies @ angles
        return torch.complex(torch.cos(phases), torch.sin(phases))

    def _times(self, x: Tensor, phases: Tensor, out: Tensor | None = None) -> Tensor:
        if self.left == 1 and self.side == len(x):
            return torch.mul(x, phases, out=out)
        batch = phases.shape[-1]
        return (x.reshape(self.left, self.side, -1, batch) * phases[:, None]).reshape(len(x), batch)


@dataclass(frozen=True, eq=False)
class ControlledStep:
    """A shared matrix, or a data step, on the rows of the register where all controls read 1.

    `rows` lists those rows, the gate's own sites as the most significant digits.
    """

    rows: Tensor
    inner: Block | DataStep

    @property
    def reference(self) -> Reference | None:
        return self.inner.reference

    @property
    def needs_input(self) -> bool:
        return self.inner.needs_input

    def forward(self, x: Tensor, operand: Tensor | None, out: Tensor | None = None) -> Tensor:
        selected = self.inner.forward(x.index_select(0, self.rows), operand)
        return x.expand(-1, selected.shape[-1]).index_copy(0, self.rows, selected)

    def pullback(
        self, mu: Tensor, x: Tensor | None, operand: Tensor | None, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        selected = None if x is None else x.index_select(0, self.rows)
        before, grad = self.inner.pullback(mu.index_select(0, self.rows), selected, operand)
        return mu.index_copy(0, self.rows, before), grad

    def inverse(self, y: Tensor, operand: Tensor | None) -> Tensor:
        return y.index_copy(0, self.rows, self.inner.inverse(y.index_select(0, self.rows), operand))


def _rows(coefficients: Tensor | None) -> list[Tensor]:
    if coefficients is None:
        raise ValueError("A data step must have coefficients, but has none.")
    return list(coefficients)


def _combine(parts: list[Tensor], coefficients: Tensor | None, dtype: torch.dtype) -> Tensor:
    return _sum([part * row for part, row in zip(parts, _rows(coefficients), strict=True)]).to(dtype)


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
