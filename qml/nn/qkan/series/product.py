"""Coefficients times features: a layer as one matrix product, forward and backward."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from qml import checks
from qml.buffers import stack_loan
from qml.checks import full_precision, needs_plain_pullback
from qml.nn.qkan.series.bases import Basis
from qml.plain_pullback import plain_pullback

MAX_NARROW_OUTPUTS = 32  # outputs up to which a product is quicker with its factors exchanged


def expand(basis: Basis, inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None = None) -> Tensor:
    """Compute sum_i [ sum_k coefficients[k, i, j] f_k(inputs[b, i]) + base_weight[i, j] silu(inputs[b, i]) ].

    Differentiable to any order.

    Args:
        basis: f_k.
        inputs: (batch, inputs).
        coefficients: (basis.size, inputs, outputs).
        base_weight: (inputs, outputs), or None.

    Returns:
        (batch, outputs).
    """
    leaves = (inputs, coefficients, base_weight)
    with full_precision(inputs):
        if checks.needs_plain_operations():
            return _plain(basis, *leaves)
        if torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves):
            return _Expand.apply(basis, *leaves)
        columns = inputs.mT.contiguous()
        with stack_loan(1, (basis.size, *columns.shape), columns) as loan:
            (features,) = loan.buffer().parts
            basis.features(columns, out=features)
            base = None if base_weight is None else functional.silu(columns)
            return _product(coefficients, features, base_weight, base)


class _Expand(torch.autograd.Function):
    """The product with a backward pass of its own. Features lie as (size, inputs, batch), in long contiguous rows."""

    @staticmethod
    def forward(ctx: Any, basis: Basis, inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None) -> Tensor:
        columns = inputs.mT.contiguous()
        features = basis.features(columns)
        base = None if base_weight is None else functional.silu(columns)
        ctx.basis, ctx.features, ctx.columns, ctx.base = basis, features, columns, base
        ctx.save_for_backward(inputs, coefficients, base_weight)
        return _product(coefficients, features, base_weight, base)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        with full_precision(gradient):
            pull = _differentiable if needs_plain_pullback(gradient) else _pullback
            return None, *pull(ctx, gradient)


def _pullback(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    _, coefficients, base_weight = ctx.saved_tensors
    features, columns = ctx.features, ctx.columns
    of_inputs = of_coefficients = of_base = None
    rows = gradient.mT.contiguous()
    if ctx.needs_input_grad[1]:
        of_inputs = _of_inputs(ctx.basis, coefficients, features, rows)
        if base_weight is not None:
            of_inputs += torch.ops.aten.silu_backward(base_weight @ rows, columns)
        of_inputs = of_inputs.mT
    if ctx.needs_input_grad[2]:
        of_coefficients = _of_coefficients(features, gradient, rows)
    if base_weight is not None and ctx.needs_input_grad[3]:
        of_base = ctx.base @ gradient
    return [of_inputs, of_coefficients, of_base]


def _product(coefficients: Tensor, features: Tensor, base_weight: Tensor | None, base: Tensor | None) -> Tensor:
    """Multiply features (size, inputs, batch) and base (inputs, batch) by their coefficients, to (batch, outputs)."""
    if coefficients.shape[2] > MAX_NARROW_OUTPUTS:  # the first feature is 1: it needs no product
        result = torch.addmm(coefficients[0].sum(0), features[1:].flatten(0, 1).mT, coefficients[1:].flatten(0, 1))
        return result if base_weight is None or base is None else result.addmm_(base.mT, base_weight)
    result = coefficients.flatten(0, 1).mT @ features.flatten(0, 1)
    if base_weight is not None and base is not None:
        result.addmm_(base_weight.mT, base)
    return result.mT.clone(memory_format=torch.contiguous_format)  # never a view, which autograd would not let change


def _of_coefficients(features: Tensor, gradient: Tensor, rows: Tensor) -> Tensor:
    """Multiply features (size, inputs, batch) by the gradient (batch, outputs), whose transpose is `rows`."""
    shape = (*features.shape[:2], rows.shape[0])
    if rows.shape[0] <= MAX_NARROW_OUTPUTS:
        return (rows @ features.flatten(0, 1).mT).mT.reshape(shape)
    result = features.new_empty(shape)
    result[0] = rows.sum(1)
    torch.mm(features[1:].flatten(0, 1), gradient, out=result[1:].flatten(0, 1))
    return result


def _of_inputs(basis: Basis, coefficients: Tensor, features: Tensor, rows: Tensor) -> Tensor:
    """Compute the gradient of inputs (inputs, batch) from that of the result, whose transpose is `rows`."""
    used = basis.in_derivative
    slopes = basis.derivative(rows)[used] @ coefficients.flatten(1)
    back = slopes.view(-1, rows.shape[0]) @ rows
    return back.view_as(features[used]).mul_(features[used]).sum(0)


def _differentiable(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    return plain_pullback(partial(_plain, ctx.basis), ctx.saved_tensors, ctx.needs_input_grad[1:], [gradient])


def _plain(basis: Basis, inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None) -> Tensor:
    result = basis.plain_features(inputs.mT).flatten(0, 1).mT @ coefficients.flatten(0, 1)
    return result if base_weight is None else result + functional.silu(inputs) @ base_weight
