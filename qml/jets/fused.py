"""An MLP of tanh units on the coordinates themselves, as one function of torch with a backward pass of its own.

Its first layer meets jets whose derivatives are the same at all points, so that only values need a matrix product
there; one function keeps torch's bookkeeping to one node, and what it works on stays from call to call
(`workspace.py`). It computes what the layers one by one compute.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.jets.jet import CoordinateJet, Jet
from qml.jets.orders import Components
from qml.jets.rules import require_first_order
from qml.jets.tanh import bend, tanh_backward, tanh_forward, times_slope
from qml.jets.workspace import Activations, Layout, Rows, Workspace, activations, borrowed


def fused_mlp(inputs: CoordinateJet, layers: Sequence[nn.Linear], others: Tensor | None = None) -> tuple[Jet, Tensor]:
    """Layers of tanh units and an affine read-out.

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
    layout = Layout(points.shape[0], others.shape[0], inputs.orders, widths)
    hidden = activations(points, layout)
    data, plain = _FusedMLP.apply(points, others, inputs.directions, layout, hidden, *parameters)  # pyright: ignore[reportGeneralTypeIssues]
    hidden.release(recorded=data.requires_grad)
    return inputs.like(data), plain


class _FusedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        points: Tensor,
        others: Tensor,
        directions: Tensor,
        layout: Layout,
        hidden: Activations,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        weights, biases = parameters[0::2], parameters[1::2]
        n_values = layout.n_others + layout.n_points
        places = torch.cat([others, points]) if layout.n_others else points
        layers = hidden.layers
        with _full_precision(points), borrowed(points, layout) as room:
            turned = [weight.T for weight in weights]
            argument = torch.addmm(biases[0], places, turned[0])
            _first_layer(layers[0].parts, argument, directions, turned[0])
            for index in range(1, len(layers)):
                _layer(room, layers, index, turned[index], biases[index])
            result = torch.mm(layers[-1].flat, turned[-1])
        result[:n_values].add_(biases[-1])
        ctx.save_for_backward(places, directions, hidden.alias(), *weights)
        ctx.kept = layout, hidden  # pyright: ignore[reportAttributeAccessIssue]
        plain, data = result[: layout.n_others], result[layout.n_others :]
        return data.view(layout.orders.n_components, layout.n_points, weights[-1].shape[0]), plain

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        places, directions, saved, *weights = ctx.saved_tensors
        layout, hidden = ctx.kept
        layers = hidden.layers_of(saved, layout)
        flat = gradients[0].flatten(0, 1)
        flat = torch.cat([gradients[1], flat]) if layout.n_others else flat
        turned, of_values = flat.T, flat[: places.shape[0]].T
        found: list[Tensor] = []
        with _full_precision(places), borrowed(places, layout) as room:
            for index in range(len(weights) - 1, 0, -1):
                below, upper = room.gradient[index - 1], layers[index - 1]
                if flat.shape[1] == 1:  # one field: torch's product of matrices is slow at vectors
                    of_weight = torch.mv(upper.turned, flat.squeeze(1)).unsqueeze(0)
                    torch.mul(flat, weights[index], out=below.flat)
                else:
                    of_weight = torch.mm(turned, upper.flat)
                    torch.mm(flat, weights[index], out=below.flat)
                found += [torch.mv(of_values, room.ones), of_weight]
                tanh_backward(upper.parts, below.parts, below.parts, room.scratch[index - 1])
                flat, turned, of_values = below.flat, below.turned, below.values_turned
            lowest = room.gradient[0].parts
            of_weight = torch.mm(places.T, lowest.values).T  # thrice as quick as the other way round
            if directions.shape[0]:  # the first layer's derivatives are the same at all points
                of_weight = torch.addmm(of_weight, lowest.derivatives.sum(1).T, directions)
            found += [torch.mv(of_values, room.ones), of_weight]
            of_others = of_points = None
            if any(ctx.needs_input_grad[:2]):
                of_others, of_points = torch.mm(lowest.values, weights[0]).split([layout.n_others, layout.n_points])
        return of_points, of_others, None, None, None, *reversed(found)


def _full_precision(like: Tensor) -> AbstractContextManager:
    """What is written into memory of one precision cannot be cast to another on the way: autocast stays outside."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _first_layer(hidden: Components, argument: Tensor, directions: Tensor, turned: Tensor) -> None:
    """Tanh of an argument (batch, units) whose derivatives are the same at all points."""
    torch.tanh(argument, out=hidden.values)
    if not directions.shape[0]:
        return
    slopes = torch.mm(directions, turned).unbind()
    drifts = slopes[hidden.orders.n_first :]
    for slope, first in zip(slopes, hidden.firsts_apart, strict=False):
        times_slope(slope, hidden.value, out=first)
    for form, second, drift in zip(hidden.orders.forms, hidden.seconds_apart, drifts, strict=True):
        bent, scale = bend(form, slopes, slopes)
        torch.addcmul(drift, hidden.value, bent, value=-2.0 * scale, out=second)
    if drifts:
        times_slope(hidden.seconds, hidden.value, out=hidden.seconds)


def _layer(room: Workspace, hidden: Sequence[Rows], index: int, turned: Tensor, bias: Tensor) -> None:
    """The affine map and tanh of a layer above the first."""
    layer = hidden[index]
    torch.mm(hidden[index - 1].flat, turned, out=layer.flat)
    layer.parts.values.add_(bias)
    tanh_forward(layer.parts, layer.parts, room.scratch[index])
