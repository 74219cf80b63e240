"""An MLP of tanh units on the coordinates themselves, as one function of torch with a backward pass of its own.

Its first layer meets jets whose derivatives are the same at all points, so that only values need a matrix product
there; one function keeps torch's bookkeeping to one node, and what it works on stays from step to step
(`workspace.py`). It computes what the layers one by one compute.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.pinn.jets import Jet, Seed, require_first_order
from qml.pinn.tanh import Components, tanh_backward, tanh_forward, times_slope
from qml.pinn.workspace import Workspace, lend


def fused_mlp(inputs: Seed, layers: Sequence[nn.Linear]) -> Jet:
    """The jet of layers of tanh units and an affine read-out."""
    parameters = [part for layer in layers for part in (layer.weight, layer.bias)]
    sizes = (inputs.n_first, inputs.n_second)
    return inputs.like(_FusedMLP.apply(inputs.points, inputs.directions, sizes, *parameters))  # pyright: ignore[reportArgumentType]


class _FusedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, points: Tensor, directions: Tensor, sizes: tuple[int, int], *parameters: Tensor
    ) -> Tensor:
        weights, biases = parameters[0::2], parameters[1::2]
        loan = lend(points, sizes, tuple(weight.shape[0] for weight in weights[:-1]))
        room = loan.workspace
        turned = [weight.T for weight in weights]
        _first_layer(room.hidden[0].parts, torch.addmm(biases[0], points, turned[0]), directions, turned[0])
        for index in range(1, len(weights) - 1):
            _layer(room, index, turned[index], biases[index])
        result = torch.mm(room.hidden[-1].flat, turned[-1]).view(1 + sum(sizes), points.shape[0], -1)
        result[0] += biases[-1]
        ctx.save_for_backward(points, directions, *weights)
        ctx.loan, ctx.sizes = loan, sizes  # pyright: ignore[reportAttributeAccessIssue]
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        points, directions, *weights = ctx.saved_tensors
        room: Workspace = ctx.loan.workspace
        flat, of_value = gradient.flatten(0, 1), gradient[0]
        found: list[Tensor] = []
        for index in range(len(weights) - 1, 0, -1):
            below, hidden = room.gradient[index - 1], room.hidden[index - 1]
            found += [of_value.sum(0), flat.T @ hidden.flat]
            # One field makes an outer product, which torch's product of matrices is slow at.
            (torch.mul if flat.shape[1] == 1 else torch.mm)(flat, weights[index], out=below.flat)
            tanh_backward(hidden.parts, below.parts, below.parts, room.scratch[index - 1])
            flat, of_value = below.flat, below.parts.value
        of_weight = of_value.T @ points
        if ctx.sizes[0]:  # the first layer's slopes are the same at all points
            of_weight.addmm_(room.gradient[0].parts.firsts.sum(1).T, directions)
        found += [of_value.sum(0), of_weight]
        of_points = of_value @ weights[0] if ctx.needs_input_grad[0] else None
        return of_points, None, None, *reversed(found)


def _first_layer(hidden: Components, argument: Tensor, directions: Tensor, turned: Tensor) -> None:
    """Tanh of an argument (batch, units) whose slopes are the same at all points and which does not bend."""
    torch.tanh(argument, out=hidden.value)
    if hidden.n_first:
        slopes = (directions @ turned)[:, None]
        times_slope(slopes.expand_as(hidden.firsts), hidden.value, out=hidden.firsts)
        if hidden.n_second:
            torch.mul(hidden.bent, slopes[: hidden.n_second] * -2.0, out=hidden.seconds).mul_(hidden.value)


def _layer(room: Workspace, index: int, turned: Tensor, bias: Tensor) -> None:
    """The affine map and tanh of a layer above the first."""
    before, hidden = room.before[index], room.hidden[index]
    torch.mm(room.hidden[index - 1].flat, turned, out=before.flat)
    before.parts.value.add_(bias)
    tanh_forward(before.parts, hidden.parts, room.scratch[index])
