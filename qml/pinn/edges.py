"""Jets through layers of functions on edges, by the series that such a layer has of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from qml.jets import EdgeSeries, Jet, JetError, JetModule, Orders, require_first_order
from qml.jets.jet import Array
from qml.jets.rules import ACTIVATIONS
from qml.jets.towers import add_activation, add_activation_gradient
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
    rows = [along(layer, direction)(point) for direction in moved]
    for index, first, scale in orders.second_order_terms:
        curvature = along(along(layer, moved[first]), moved[first])
        place = orders.n_first + index
        rows[place] = rows[place] + scale * curvature(point)
    for places in orders.tower_places:
        rows[places[2] - 1 : places[-1]] = _along_curve(layer, [point, *(moved[place - 1] for place in places)])
    return inputs.like(torch.stack([layer(point), *rows]))


def _along_curve(layer: Callable[[Tensor], Tensor], derivatives: Sequence[Tensor]) -> list[Tensor]:
    """Return the third (and fourth) derivative of a function along x(s) = sum_n x_n s^n / n! at s = 0."""
    start, one = torch.zeros_like(derivatives[0]), torch.ones_like(derivatives[0])

    def on_curve(at: Tensor) -> Tensor:
        return layer(torch.stack([part * at**n / math.factorial(n) for n, part in enumerate(derivatives)]).sum(0))

    function, orders = on_curve, []
    for _ in range(len(derivatives) - 1):
        function = along(function, one)
        orders.append(function)
    return [derivative(start) for derivative in orders[2:]]


class _ThroughEdges(torch.autograd.Function):
    """A jet through functions phi_ij on edges.

    The sums over i of phi(x_i), phi' d_k x_i and phi'' sum_k c_k (d_k x_i)^2 + phi' Q x_i, for a form Q = sum_k c_k
    d_k^2, with the base u silu in phi. Coefficients are differentiated, and not functions: these are taken at the
    points once, and one product of matrices gives phi and three derivatives, of which the third is for the way back;
    with towers it gives five.
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
        n_orders = 6 if orders.towers else 4  # of phi, the one for the way back included
        for _ in range(n_orders - 1):
            series.append(matrix @ series[-1])
        columns = data[0].mT.contiguous()
        functions = basis.features(columns).permute(1, 2, 0)  # (inputs, batch, size)
        orders_of_phi = (functions @ torch.stack(series, 2).flatten(2)).unflatten(2, (n_orders, -1))
        waves = None if base is None else _silu_orders(columns, n_orders)  # (inputs, batch, orders)
        if waves is not None and base is not None:
            orders_of_phi.addcmul_(waves.unsqueeze(-1), base[:, None, None])
        value, slope, curvature, *higher = orders_of_phi.unbind(2)
        moved = data[1:].transpose(1, 2).unsqueeze(-1)  # (derivatives, inputs, batch, 1)
        products = moved * slope
        for index, first, scale in orders.second_order_terms:
            products[orders.n_first + index].addcmul_(moved[first].square(), curvature, value=scale)
        if orders.towers:
            with_value = torch.cat([value[None], products])
            add_activation(with_value, torch.cat([moved[:1], moved]), orders, (curvature, *higher))
            products = with_value[1:]
        ctx.save_for_backward(moved, functions, orders_of_phi, waves, matrix)  # pyright: ignore[reportArgumentType]
        ctx.orders = orders  # pyright: ignore[reportAttributeAccessIssue]
        return torch.cat([value.sum(0)[None], products.sum(1)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        moved, functions, orders_of_phi, waves, matrix = ctx.saved_tensors
        orders: Orders = ctx.orders
        of_derivatives = gradient[1:, None]  # (derivatives, 1, batch, outputs)
        n_orders = orders_of_phi.shape[2] - 1
        by_phi = torch.zeros_like(orders_of_phi[:, :, :n_orders])  # in phi and its derivatives but for the highest
        by_phi[:, :, 0] = gradient[0]
        by_phi[:, :, 1] = (moved * of_derivatives).sum(0)
        for index, first, scale in orders.second_order_terms:
            by_phi[:, :, 2].addcmul_(moved[first].square(), of_derivatives[orders.n_first + index], value=scale)
        for places in orders.tower_places:
            v1, v2, v3 = (moved[place - 1] for place in places[:3])
            g3, square = of_derivatives[places[2] - 1], v1 * v1
            by_phi[:, :, 2].addcmul_(v1 * v2, g3, value=3.0)
            by_phi[:, :, 3].addcmul_(v1 * square, g3)
            if len(places) > 3:
                g4 = of_derivatives[places[3] - 1]
                by_phi[:, :, 2].addcmul_((4 * v1 * v3).addcmul_(v2, v2, value=3.0), g4)
                by_phi[:, :, 3].addcmul_(square * v2, g4, value=6.0)
                by_phi[:, :, 4].addcmul_(square * square, g4)
        *lower, of_coefficients = (functions.mT @ by_phi.flatten(2)).unflatten(2, (n_orders, -1)).unbind(2)
        for part in reversed(lower):
            of_coefficients = part + matrix.mT @ of_coefficients
        of_base = None
        if waves is not None:
            of_base = (waves[:, :, :n_orders].reshape(len(waves), 1, -1) @ by_phi.flatten(1, 2)).squeeze(1)
        of_data = None
        if ctx.needs_input_grad[0]:
            slope, curvature = orders_of_phi[:, :, 1], orders_of_phi[:, :, 2]
            of_value = _row_sums((by_phi * orders_of_phi[:, :, 1:]).flatten(2))
            of_moved = _row_sums(of_derivatives * slope)
            for index, first, scale in orders.second_order_terms:
                rows = _row_sums(of_derivatives[orders.n_first + index] * curvature)
                of_moved[first].addcmul_(moved[first, ..., 0], rows, value=2.0 * scale)
            if orders.towers:
                flow = torch.zeros_like(by_phi[:, :, 0]).repeat(orders.n_components, 1, 1, 1)
                before, after = torch.cat([moved[:1], moved]), torch.cat([of_derivatives[:1], of_derivatives])
                add_activation_gradient(flow, before, after, orders, orders_of_phi.unbind(2)[2:])
                of_moved += _row_sums(flow[1:])
            of_data = torch.cat([of_value[None], of_moved]).mT
        return of_data, of_coefficients.permute(1, 0, 2), of_base, None, None


def _row_sums(values: Tensor) -> Tensor:
    """Sum over the last dimension, as a product: quicker than torch's sum of short rows."""
    return values @ values.new_ones(values.shape[-1])


def _silu_orders(x: Tensor, n_orders: int) -> Tensor:
    """Compute silu(x) = x p with p = sigmoid(x), and its derivatives x p^(n) + n p^(n - 1), along a last dimension."""
    sigmoid = ACTIVATIONS["sigmoid"]
    value, slope = sigmoid.value_and_slope(x)
    p = (value, slope, *sigmoid.from_second(x, value, slope))[:n_orders]
    return torch.stack([x * value, *(x * high + n * low for n, (low, high) in enumerate(pairwise(p), 1))], -1)
