"""Coefficients times features: a layer as one matrix product, forward and backward."""

from typing import Any

import torch
from torch import Tensor

from qml.nn._daruan.bases import Basis


def expand(basis: Basis, inputs: Tensor, coefficients: Tensor) -> Tensor:
    """sum_i sum_k coefficients[k, i, j] f_k(inputs[b, i]), differentiable to any order.

    Shape:
        inputs (batch, inputs), coefficients (size, inputs, outputs) to (batch, outputs).
    """
    return _Expand.apply(basis, inputs, coefficients)


class _Expand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, basis: Basis, inputs: Tensor, coefficients: Tensor) -> Tensor:
        features = basis.features(inputs)
        ctx.basis = basis
        ctx.features = features if any(ctx.needs_input_grad) else None
        ctx.save_for_backward(inputs, coefficients)
        return features.flatten(1) @ coefficients.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        inputs, coefficients = ctx.saved_tensors
        again = torch.is_grad_enabled()  # a second derivative is wanted
        features = ctx.basis.plain_features(inputs) if again else ctx.features
        of_coefficients = of_inputs = None
        if ctx.needs_input_grad[2]:
            of_coefficients = (features.flatten(1).mT @ gradient).view_as(coefficients)
        if ctx.needs_input_grad[1]:
            slopes = (ctx.basis.derivative(inputs) @ coefficients.flatten(1)).view_as(coefficients)
            back = (gradient @ slopes.flatten(0, 1).mT).view_as(features)
            of_inputs = (back * features).sum(1)
        return None, of_inputs, of_coefficients
