"""Products with a constant sparse matrix that have every derivative, as those with a dense one."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from qml.checks import in_full_precision, in_functorch, needs_plain_pullback


class ConstantMatrix:
    """A square matrix in compressed rows, with its transpose, which is compressed once.

    Args:
        row_starts: where each row starts among the entries, one more than rows.
        columns: the column of each entry.
        values: the entries.
    """

    def __init__(self, row_starts: Tensor, columns: Tensor, values: Tensor) -> None:
        self.parts = row_starts, columns, values

    @cached_property
    def rows(self) -> Tensor:
        """Return the matrix as a sparse tensor."""
        size = len(self.parts[0]) - 1
        return torch.sparse_csr_tensor(*self.parts, (size, size), check_invariants=False)

    @cached_property
    def transposed(self) -> "ConstantMatrix":
        """Return the transpose."""
        rows = self.rows.mT.to_sparse_csr()
        return ConstantMatrix(rows.crow_indices(), rows.col_indices(), rows.values())

    def dense(self) -> Tensor:
        """Return the matrix with its zeros, by operations that torch.func has too."""
        row_starts, columns, values = self.parts
        size = len(row_starts) - 1
        rows = torch.repeat_interleave(torch.arange(size, device=values.device), row_starts.diff().long())
        return values.new_zeros(size, size).index_put((rows, columns.long()), values, accumulate=True)


class SparseStep(torch.autograd.Function):
    """A function that adds a matrix times a vector or columns; torch's own pulls back no batch of gradients."""

    @staticmethod
    def forward(ctx: Any, step: Tensor, matrix: ConstantMatrix, columns: Tensor) -> Tensor:
        """Compute step + matrix @ columns."""
        ctx.matrix = matrix
        return (torch.addmv if columns.ndim == 1 else torch.addmm)(step, matrix.rows, columns)

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Multiply by the transpose, which is as differentiable; many gradients at once take the dense matrix."""
        (grad,) = grads
        if not needs_plain_pullback(grad):
            return grad, None, ctx.matrix.transposed.rows @ grad
        if torch.is_grad_enabled() and not in_functorch():
            return grad, None, SparseStep.apply(torch.zeros_like(grad), ctx.matrix.transposed, grad)
        return grad, None, ctx.matrix.dense().mT @ grad
