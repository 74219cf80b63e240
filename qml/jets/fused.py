"""An MLP of tanh units on the coordinates themselves, as one function of torch with a backward pass of its own.

The first layer meets jets whose derivatives are the same at all points, so that only values need a matrix product
there. One function is one node of torch's graph, and its buffers are used again by the next call (`layer_buffers.py`).
The result equals that of the layers applied one by one.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.jets.jet import CoordinateJet, Jet
from qml.jets.layer_buffers import (
    HiddenRows,
    LayerRows,
    PassBuffers,
    RowLayout,
    hidden_rows_loan,
    pass_buffers_loan,
)
from qml.jets.orders import Components
from qml.jets.rules import require_first_order
from qml.jets.tanh import tanh_backward, tanh_forward, times_slope, weighted_products


def fused_mlp(inputs: CoordinateJet, layers: Sequence[nn.Linear], others: Tensor | None = None) -> tuple[Jet, Tensor]:
    """Apply layers of tanh units and an affine read-out.

    Args:
        inputs: the coordinates (batch, inputs) with their derivatives.
        layers: two or more.
        others: points (others, inputs) where values suffice.

    Returns:
        The jet of the outputs, and the outputs at the other points, (others, outputs).
    """
    parameters = [part for layer in layers for part in (layer.weight, layer.bias)]
    points = inputs.points
    if others is None:
        others = points.new_empty(0, points.shape[1])
    widths = tuple(layer.out_features for layer in layers[:-1])
    layout = RowLayout(points.shape[0], others.shape[0], inputs.orders, widths)
    with hidden_rows_loan(points, layout) as loan:
        hidden = loan.buffer()
        data, plain = _FusedMLP.apply(points, others, inputs.directions, layout, hidden, *parameters)  # pyright: ignore[reportGeneralTypeIssues]
        if data.requires_grad:  # the graph was recorded, and needs the hidden layers for its backward pass
            loan.end_with(hidden.alias)
    return inputs.like(data), plain


class _FusedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        points: Tensor,
        others: Tensor,
        directions: Tensor,
        layout: RowLayout,
        hidden: HiddenRows,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        weights, biases = parameters[0::2], parameters[1::2]
        n_values = layout.n_others + layout.n_points
        all_points = torch.cat([others, points]) if layout.n_others else points
        layers = hidden.layers
        with _full_precision(points), pass_buffers_loan(points, layout) as loan:
            buffers = loan.buffer()
            transposed = [weight.T for weight in weights]
            argument = torch.addmm(biases[0], all_points, transposed[0])
            _first_layer(layers[0].components, argument, directions, transposed[0])
            for index in range(1, len(layers)):
                _layer(buffers, layers, index, transposed[index], biases[index])
            result = torch.mm(layers[-1].matrix, transposed[-1])
        result[:n_values].add_(biases[-1])
        ctx.save_for_backward(all_points, directions, hidden.new_alias(), *weights)
        ctx.kept = layout, hidden  # pyright: ignore[reportAttributeAccessIssue]
        plain, data = result[: layout.n_others], result[layout.n_others :]
        return data.view(layout.orders.n_components, layout.n_points, weights[-1].shape[0]), plain

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        all_points, directions, saved, *weights = ctx.saved_tensors
        layout, hidden = ctx.kept
        layers = hidden.layers_of(saved, layout)
        rows = gradients[0].flatten(0, 1)
        rows = torch.cat([gradients[1], rows]) if layout.n_others else rows
        transposed, of_values = rows.T, rows[: all_points.shape[0]].T
        of_parameters: list[Tensor] = []  # bias and weight by turns, the last layer first
        with _full_precision(all_points), pass_buffers_loan(all_points, layout) as loan:
            buffers = loan.buffer()
            for index in range(len(weights) - 1, 0, -1):
                gradient, layer = buffers.gradients[index - 1], layers[index - 1]
                if rows.shape[1] == 1:  # one field: torch's product of matrices is slow at vectors
                    of_weight = torch.mv(layer.transposed, rows.squeeze(1)).unsqueeze(0)
                    torch.mul(rows, weights[index], out=gradient.matrix)
                else:
                    of_weight = torch.mm(transposed, layer.matrix)
                    torch.mm(rows, weights[index], out=gradient.matrix)
                of_parameters += [torch.mv(of_values, buffers.ones), of_weight]
                components = gradient.components
                tanh_backward(layer.components, components, components, buffers.products[index - 1])
                rows, transposed, of_values = gradient.matrix, gradient.transposed, gradient.values_transposed
            first = buffers.gradients[0].components
            of_weight = torch.mm(all_points.T, first.values).T  # thrice as quick as the other way round
            if directions.shape[0]:  # the first layer's derivatives are the same at all points
                of_weight = torch.addmm(of_weight, first.derivatives.sum(1).T, directions)
            of_parameters += [torch.mv(of_values, buffers.ones), of_weight]
            of_others = of_points = None
            if any(ctx.needs_input_grad[:2]):
                of_others, of_points = torch.mm(first.values, weights[0]).split([layout.n_others, layout.n_points])
        return of_points, of_others, None, None, None, *reversed(of_parameters)


def _full_precision(like: Tensor) -> AbstractContextManager:
    """Disable autocast: what is written into memory of one precision cannot be cast to another on the way."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _first_layer(hidden: Components, argument: Tensor, directions: Tensor, weight: Tensor) -> None:
    """Apply tanh to an argument (batch, units) whose derivatives, `directions @ weight`, are the same at all points."""
    torch.tanh(argument, out=hidden.values)
    if not directions.shape[0]:
        return
    slopes = torch.mm(directions, weight).unbind()
    drifts = slopes[hidden.orders.n_first :]
    for slope, first in zip(slopes, hidden.each_first, strict=False):
        times_slope(slope, hidden.value, out=first)
    for form, second, drift in zip(hidden.orders.forms, hidden.each_second, drifts, strict=True):
        total, scale = weighted_products(form, slopes, slopes)
        torch.addcmul(drift, hidden.value, total, value=-2.0 * scale, out=second)
    if drifts:
        times_slope(hidden.seconds, hidden.value, out=hidden.seconds)


def _layer(buffers: PassBuffers, hidden: Sequence[LayerRows], index: int, weight: Tensor, bias: Tensor) -> None:
    """Apply the affine map, whose transposed weight is given, and tanh of a layer after the first."""
    layer = hidden[index]
    torch.mm(hidden[index - 1].matrix, weight, out=layer.matrix)
    layer.components.values.add_(bias)
    tanh_forward(layer.components, layer.components, buffers.products[index])
