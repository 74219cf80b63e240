"""Coefficients times features: a layer as one matrix product, forward and backward."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from qml.nn._daruan.bases import Basis
from qml.nn._daruan.scratch import SCRATCH

NARROW = 32  # outputs up to which a product is quicker with its factors exchanged


def expand(basis: Basis, inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None = None) -> Tensor:
    """sum_i [ sum_k coefficients[k, i, j] f_k(inputs[b, i]) + base_weight[i, j] silu(inputs[b, i]) ].

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
    wanted = torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves)
    return _Expand.apply(basis, wanted, *leaves)


class _Expand(torch.autograd.Function):
    """Features lie as (size, inputs, batch): in long contiguous rows."""

    @staticmethod
    def forward(
        ctx: Any, basis: Basis, wanted: bool, inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None
    ) -> Tensor:
        columns = inputs.mT.contiguous()
        shape = (basis.size, *columns.shape)
        features = columns.new_empty(shape) if wanted else SCRATCH.take(1, shape, columns)[0][0]
        basis.features(columns, out=features)
        silu = None if base_weight is None else functional.silu(columns)
        result = _product(coefficients.flatten(0, 1), features.flatten(0, 1), base_weight, silu)
        if wanted:
            ctx.basis, ctx.features, ctx.columns = basis, features, columns
            ctx.save_for_backward(inputs, coefficients, base_weight)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        if torch.is_grad_enabled():  # a second derivative is wanted
            return None, None, *_differentiable(ctx, gradient)
        inputs, coefficients, base_weight = ctx.saved_tensors
        features, columns = ctx.features, ctx.columns
        of_inputs = of_coefficients = of_base = None
        rows = gradient.mT.contiguous()
        if ctx.needs_input_grad[2]:
            slopes = (ctx.basis.derivative(inputs) @ coefficients.flatten(1)).view_as(coefficients)
            back = (slopes.flatten(0, 1) @ rows).view_as(features)
            of_inputs = back.mul_(features).sum(0)
            if base_weight is not None:
                of_inputs += torch.ops.aten.silu_backward(base_weight @ rows, columns)
            of_inputs = of_inputs.mT
        if ctx.needs_input_grad[3]:
            of_coefficients = _outer(features.flatten(0, 1), gradient, rows).view_as(coefficients)
        if base_weight is not None and ctx.needs_input_grad[4]:
            of_base = functional.silu(columns) @ gradient
        return None, None, of_inputs, of_coefficients, of_base


def _product(coefficients: Tensor, features: Tensor, base_weight: Tensor | None, base: Tensor | None) -> Tensor:
    """features (n, batch) and base (inputs, batch), each times its coefficients: (batch, outputs)."""
    if coefficients.shape[1] > NARROW:
        result = features.mT @ coefficients
        return result if base_weight is None or base is None else result.addmm_(base.mT, base_weight)
    result = coefficients.mT @ features
    if base_weight is not None and base is not None:
        result.addmm_(base_weight.mT, base)
    return result.mT.contiguous()


def _outer(features: Tensor, gradient: Tensor, rows: Tensor) -> Tensor:
    """features (n, batch) times gradient (batch, outputs), whose transpose is `rows`."""
    if rows.shape[0] > NARROW:
        return features @ gradient
    return (rows @ features.mT).mT.contiguous()


def _differentiable(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    leaves, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
    inputs, coefficients, base_weight = leaves
    result = ctx.basis.plain_features(inputs.mT).flatten(0, 1).mT @ coefficients.flatten(0, 1)
    if base_weight is not None:
        result = result + functional.silu(inputs) @ base_weight
    asked = [leaf for leaf, wanted in zip(leaves, needed, strict=True) if wanted]
    found = iter(torch.autograd.grad(result, asked, gradient, create_graph=True, materialize_grads=True))
    return [next(found) if wanted else None for wanted in needed]
