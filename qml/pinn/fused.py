"""An MLP of tanh units on the coordinates themselves, as one function of torch with a backward pass of its own.

Its first layer meets jets whose derivatives are the same at all points, so that only values need a matrix product
there; and one function keeps torch's bookkeeping to one node. It computes what the layers one by one compute.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.pinn.jets import Jet, require_first_order, tanh_backward, tanh_forward, weighed_sum


def fused_mlp(inputs: Jet, layers: Sequence[nn.Linear]) -> Jet:
    """The jet of layers of tanh units and an affine read-out, for a jet of `Directions.seed`."""
    parameters = [part for layer in layers for part in (layer.weight, layer.bias)]
    sizes = (inputs.n_first, inputs.n_second)
    return inputs.like(_FusedMLP.apply(inputs.value, inputs.directions, sizes, *parameters))  # pyright: ignore[reportArgumentType]


class _FusedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, points: Tensor, directions: Tensor, sizes: tuple[int, int], *parameters: Tensor
    ) -> Tensor:
        n_first, n_second = sizes
        weights, biases = parameters[0::2], parameters[1::2]
        slopes = directions @ weights[0].T  # of the first layer along each direction, the same at all points
        kept = _buffers(points, 1 + n_first + n_second, [len(weight) for weight in weights[:-1]])
        hidden = kept[0]
        value = torch.tanh(torch.addmm(biases[0], points, weights[0].T), out=hidden[0])
        bend = (value * value).neg_().add_(1.0)  # the slope of tanh
        torch.mul(bend, slopes[:, None], out=hidden[1 : 1 + n_first])
        if n_second:
            bend.mul_(value).mul_(-2.0)
            torch.mul(bend, slopes[:n_second, None].square(), out=hidden[1 + n_first :])
        for index, (weight, bias) in enumerate(zip(weights[1:-1], biases[1:-1], strict=True)):
            before = _affine(hidden, weight, bias, out=kept[2 * index + 1])
            hidden = tanh_forward(before, n_first, n_second, out=kept[2 * index + 2])
        ctx.save_for_backward(points, directions, slopes, *weights, *kept)
        ctx.sizes, ctx.n_layers = sizes, len(weights)  # pyright: ignore[reportAttributeAccessIssue]
        return _affine(hidden, weights[-1], biases[-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        points, directions, slopes, *rest = ctx.saved_tensors
        weights, kept = rest[: ctx.n_layers], rest[ctx.n_layers :]
        found: list[Tensor] = []
        for index in range(ctx.n_layers - 1, 0, -1):
            hidden = kept[2 * index - 2]
            flat = gradient.flatten(0, 1)
            found += [gradient[0].sum(0), flat.T @ hidden.flatten(0, 1)]
            # One field makes an outer product, which torch's product of matrices is slow at.
            gradient = (flat * weights[index] if flat.shape[1] == 1 else flat @ weights[index]).view_as(hidden)
            if index > 1:
                gradient = tanh_backward(kept[2 * index - 3], hidden[0], gradient, *ctx.sizes)
        by_value, by_slopes = _first_backward(slopes, kept[0][0], gradient, *ctx.sizes)
        found += [by_value.sum(0), by_value.T @ points + by_slopes.T @ directions]
        return None, None, None, *reversed(found)


def _buffers(points: Tensor, n_components: int, units: Sequence[int]) -> list[Tensor]:
    """Room for what is kept: of the first layer after tanh, of the others before and after it.

    In one piece, which the allocator keeps for the next step where it gives single ones back to the system: new pages
    cost a seventh of a step.
    """
    widths = [units[0], *(width for width in units[1:] for _ in range(2))]
    rows = n_components * len(points)
    pieces = points.new_empty(rows * sum(widths)).split([rows * width for width in widths])
    return [piece.view(n_components, len(points), width) for piece, width in zip(pieces, widths, strict=True)]


def _affine(hidden: Tensor, weight: Tensor, bias: Tensor, *, out: Tensor | None = None) -> Tensor:
    result = hidden.new_empty(*hidden.shape[:2], len(weight)) if out is None else out
    torch.mm(hidden.flatten(0, 1), weight.T, out=result.view(-1, len(weight)))
    result[0] += bias
    return result


def _first_backward(
    slopes: Tensor, value: Tensor, gradient: Tensor, n_first: int, n_second: int
) -> tuple[Tensor, Tensor]:
    """Gradients in the first layer's values (batch, units) and slopes (directions, units).

    With y = tanh(v), s = 1 - y^2 and a slope w: the components are y, s w and -2 y s w^2, whose derivatives by v are s,
    -2 y s w and (6 y^2 - 2) s w^2, and by w 0, s and -4 y s w.
    """
    bend = (value * value).neg_().add_(1.0)
    firsts, seconds = gradient[1 : 1 + n_first], gradient[1 + n_first :]
    by_slopes = torch.mul(firsts, bend).sum(1)
    along = weighed_sum(firsts, slopes)
    by_value = torch.addcmul(gradient[0], value, along, value=-2.0)
    if n_second:
        curved = weighed_sum(seconds, slopes[:n_second].square())
        by_value.addcmul_(curved, 4.0 - 6.0 * bend)
        by_slopes[:n_second].addcmul_(torch.mul(seconds, bend * value).sum(1), slopes[:n_second], value=-4.0)
    return by_value.mul_(bend), by_slopes
