"""Products with a constant sparse matrix that have every derivative, as those with a dense one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qml.checks import in_functorch


class SparseProduct(torch.autograd.Function):
    """A sparse matrix times a vector or columns. In torch's own product no batch of gradients can be pulled back."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, dense: Callable[[], Tensor], columns: Tensor) -> Tensor:
        """The product of `matrix`, of which `dense` gives the dense form where it is wanted."""
        ctx.matrix, ctx.dense = matrix, dense
        return matrix @ columns

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The transposed product, which is as differentiable; many gradients at once take the dense matrix."""
        (grad,) = grads
        if in_functorch() or torch._C._functorch.is_legacy_batchedtensor(grad):  # pyright: ignore
            return None, None, ctx.dense().mT @ grad
        return None, None, SparseProduct.apply(ctx.matrix.mT, lambda: ctx.dense().mT, grad)


def dense_matrix(row_starts: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """A square matrix in compressed rows as a dense one, by operations that torch.func has too."""
    units = len(row_starts) - 1
    rows = torch.repeat_interleave(torch.arange(units, device=values.device), row_starts.diff().long())
    return values.new_zeros(units, units).index_put((rows, columns.long()), values, accumulate=True)
