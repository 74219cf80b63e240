"""Jets through layers of functions on edges, by the series that such a layer has of them."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.jets import EdgeSeries, Jet, JetError, JetModule, Orders, require_first_order
from qml.jets.jet import Array
from qml.pinn.derivatives import along

SERIES_SIZE_LIMIT = 256  # functions of a series; a longer one is not worth its cost
PROBE_INTERVAL = 1e-6  # width of an interval on which every layer's series is short, if it has one


class EdgeJets(JetModule):
    """A layer of functions on edges, as `qml.nn.QKANLayer`, that takes jets too.

    A nested reverse pass differentiates the circuits again for every order. A jet needs the coefficients of the series
    once, and those of its derivatives by a matrix: one product of matrices then gives all orders at all points. Where
    inputs lie so far apart that the series would be too long, as after a step of training that went too far, nested
    forward mode takes its place.

    Args:
        layer: with the methods of `EdgeSeries`, in float64: derivatives of a series lose digits of single precision.

    Shape:
        As of the layer.

    Raises:
        TypeError: a layer without a series.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        if not isinstance(layer, EdgeSeries):
            raise TypeError(f"Argument `layer` must have a series of its edges, but is a {type(layer).__name__}.")
        self.layer = layer

    def jet_children(self) -> Iterable[nn.Module]:
        """Return no module: the layer itself never meets a jet."""
        return ()

    def forward(self, inputs: Array) -> Array:
        """Return the layer's outputs, of tensors or jets.

        Raises:
            JetError: single precision, a residual activation other than silu, or a layer without a series.
        """
        layer: Any = self.layer
        if not isinstance(inputs, Jet):
            return layer(inputs)
        value = inputs.value.detach()
        if value.dtype != torch.float64 or getattr(layer, "base", "silu") not in ("silu", None):
            raise JetError(f"Jets have no rule for this {type(layer).__name__}: it has no series in float64.")
        low, high = map(float, value.aminmax()) if value.numel() else (0.0, 0.0)
        if not math.isfinite(low + high):  # a training that diverges finds it in its loss
            n_outputs = layer(value.new_zeros(1, value.shape[-1])).shape[-1]
            return inputs.like(
                (math.nan * inputs.data.sum(-1, keepdim=True)).expand(*inputs.data.shape[:-1], n_outputs)
            )
        series = layer.series_on(low, high, most=SERIES_SIZE_LIMIT)
        if series is None and layer.series_on(0.0, PROBE_INTERVAL, most=SERIES_SIZE_LIMIT) is None:
            raise JetError(f"Jets have no rule for this {type(layer).__name__}: it has no series in float64.")
        if series is None:
            return _by_forward_mode(layer, inputs)
        arguments = inputs.orders, series.basis
        result: Any = inputs.like(
            _ThroughEdges.apply(inputs.data, series.coefficients, series.base_weight, *arguments)  # pyright: ignore[reportArgumentType]
        )
        return result if series.bias is None else result + series.bias


def _by_forward_mode(layer: Callable[[Tensor], Tensor], inputs: Jet) -> Jet:
    """Move a jet through any function that torch.func differentiates twice."""
    point, *moved = inputs.components
    orders = inputs.orders
    firsts = [along(layer, direction)(point) for direction in moved[: orders.n_first]]
    seconds = [along(layer, second)(point) for second in moved[orders.n_first :]]
    for index, first, scale in orders.second_order_terms:
        curvature = along(along(layer, moved[first]), moved[first])
        seconds[index] = seconds[index] + scale * curvature(point)
    return inputs.like(torch.stack([layer(point), *firsts, *seconds]))


class _ThroughEdges(torch.autograd.Function):
    """A jet through functions phi_ij on edges.

    The sums over i of phi(x_i), phi' d_k x_i and phi'' sum_k c_k (d_k x_i)^2 + phi' Q x_i, for a form Q = sum_k c_k
    d_k^2, with the base u silu in phi. Coefficients are differentiated, and not functions: these are taken at the
    points once, and one product of matrices gives phi and three derivatives, of which the third is for the way back.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        data: Tensor,
        coefficients: Tensor,
        base: Tensor | None,
        orders: Orders,
        basis: Any,
    ) -> Tensor:
        matrix = basis.derivative(coefficients)
        series = [coefficients.permute(1, 0, 2)]  # (inputs, size, outputs)
        for _ in range(3):
            series.append(matrix @ series[-1])
        columns = data[0].mT.contiguous()
        functions = basis.features(columns).permute(1, 2, 0)  # (inputs, batch, size)
        orders_of_phi = (functions @ torch.stack(series, 2).flatten(2)).unflatten(2, (4, -1))
        waves = None if base is None else _silu_orders(columns)  # (inputs, batch, 4)
        if waves is not None and base is not None:
            orders_of_phi.addcmul_(waves.unsqueeze(-1), base[:, None, None])
        value, slope, curvature, _ = orders_of_phi.unbind(2)
        moved = data[1:].transpose(1, 2).unsqueeze(-1)  # (derivatives, inputs, batch, 1)
        products = moved * slope
        for index, first, scale in orders.second_order_terms:
            products[orders.n_first + index].addcmul_(moved[first].square(), curvature, value=scale)
        ctx.save_for_backward(moved, functions, orders_of_phi, waves, matrix)  # pyright: ignore[reportArgumentType]
        ctx.orders = orders  # pyright: ignore[reportAttributeAccessIssue]
        return torch.cat([value.sum(0)[None], products.sum(1)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        moved, functions, orders_of_phi, waves, matrix = ctx.saved_tensors
        orders: Orders = ctx.orders
        of_derivatives = gradient[1:, None]  # (derivatives, 1, batch, outputs)
        by_phi = torch.empty_like(orders_of_phi[:, :, :3])  # in phi and its first two derivatives
        by_phi[:, :, 0] = gradient[0]
        by_phi[:, :, 1] = (moved * of_derivatives).sum(0)
        by_phi[:, :, 2] = 0.0
        for index, first, scale in orders.second_order_terms:
            by_phi[:, :, 2].addcmul_(moved[first].square(), of_derivatives[orders.n_first + index], value=scale)
        zeroth, first, second = (functions.mT @ by_phi.flatten(2)).unflatten(2, (3, -1)).unbind(2)
        of_coefficients = zeroth + matrix.mT @ (first + matrix.mT @ second)
        of_base = None
        if waves is not None:
            of_base = (waves[:, :, :3].reshape(len(waves), 1, -1) @ by_phi.flatten(1, 2)).squeeze(1)
        of_data = None
        if ctx.needs_input_grad[0]:
            slope, curvature = orders_of_phi[:, :, 1], orders_of_phi[:, :, 2]
            of_value = _row_sums((by_phi * orders_of_phi[:, :, 1:]).flatten(2))
            of_moved = _row_sums(of_derivatives * slope)
            for index, first, scale in orders.second_order_terms:
                rows = _row_sums(of_derivatives[orders.n_first + index] * curvature)
                of_moved[first].addcmul_(moved[first, ..., 0], rows, value=2.0 * scale)
            of_data = torch.cat([of_value[None], of_moved]).mT
        return of_data, of_coefficients.permute(1, 0, 2), of_base, None, None


def _row_sums(values: Tensor) -> Tensor:
    """Sum over the last dimension, as a product: quicker than torch's sum of short rows."""
    return values @ values.new_ones(values.shape[-1])


def _silu_orders(x: Tensor) -> Tensor:
    """Compute silu(x) = x p with p = sigmoid(x), and its first three derivatives, along a last dimension."""
    p = torch.sigmoid(x)
    q, r = p - p * p, 1 - 2 * p  # p' and p'' / p'
    bracket = 2 + x * r
    return torch.stack([x * p, p + x * q, q * bracket, q * (r * (bracket + 1) - 2 * x * q)], -1)
