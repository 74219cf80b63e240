"""Jets through layers of functions on edges, by the series that such a layer has of them."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from qml.pinn.jets import Array, Jet, JetError, require_first_order

LONGEST = 256  # functions of a series that is still worth its cost


@runtime_checkable
class EdgeSeries(Protocol):
    """What a layer of functions on edges tells: y_j = sum_i sum_k c_kij b_k(x_i) + bias_j + sum_i u_ij silu(x_i)."""

    def basis_on(self, low: float, high: float, *, most: float | int) -> Any:
        """At most `most` functions b in which all edges are exact on [low, high]; None where there are none.

        It has `size`, `features(x)` (size, ...) and `derivative(like)`, from coefficients to the derivative's.
        """
        ...

    def edge_coefficients(self, basis: Any) -> Tensor:
        """c, (size, inputs, outputs), differentiable in the layer's weights."""
        ...

    def bias(self) -> Tensor:
        """(outputs,)."""
        ...

    def base_matrix(self) -> Tensor | None:
        """u, (inputs, outputs)."""
        ...


class EdgeJets(nn.Module):
    """A layer of functions on edges, as `qml.nn.QKANLayer`, that takes jets too.

    A nested reverse pass differentiates the circuits again for every order. A jet needs the coefficients of the series
    once, and those of its derivatives by a matrix: one product of matrices then gives all orders at all points.

    Args:
        layer: with the methods of `EdgeSeries`, in float64: derivatives of a series lose digits of single precision.

    Shape:
        As of the layer.

    Raises:
        TypeError: a layer without a series.
    """

    accepts_jets = True
    answers_for_children = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        if not isinstance(layer, EdgeSeries):
            raise TypeError(f"Argument `layer` must have a series of its edges, but is a {type(layer).__name__}.")
        self.layer = layer

    def forward(self, inputs: Array) -> Array:
        """The layer's outputs.

        Raises:
            JetError: single precision, a residual activation other than silu, or a layer without a series here.
        """
        layer: Any = self.layer
        if not isinstance(inputs, Jet):
            return layer(inputs)
        value = inputs.value.detach()
        basis = layer.basis_on(float(value.min()), float(value.max()), most=LONGEST)
        if basis is None or value.dtype != torch.float64 or getattr(layer, "base", "silu") not in ("silu", None):
            raise JetError(f"Jets have no rule for this {type(layer).__name__} here: it has no series in float64.")
        edges = _edge_values(inputs.value, layer.edge_coefficients(basis), basis)
        result: Any = _through_edges(inputs, edges)
        if (bias := layer.bias()) is not None:
            result = result + bias
        base = layer.base_matrix()
        if base is not None:
            result = result + functional.linear(inputs * torch.sigmoid(inputs), base.mT)  # pyright: ignore[reportArgumentType, reportOperatorIssue]
        return result


def _edge_values(value: Tensor, coefficients: Tensor, basis: Any) -> Tensor:
    """Every edge's function and its first two derivatives at the inputs, (inputs, batch, 3, outputs).

    Coefficients are differentiated, and not functions: these are taken at the points once.
    """
    turn = basis.derivative(coefficients)
    orders = [coefficients.permute(1, 0, 2)]  # (inputs, size, outputs)
    for _ in range(3):
        orders.append(turn @ orders[-1])
    return _Series.apply(value, torch.stack(orders, 2), basis)  # pyright: ignore[reportReturnType]


class _Series(torch.autograd.Function):
    """Sums of functions by their coefficients in several orders of derivative; the last is for the backward pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor, orders: Tensor, basis: Any) -> Tensor:
        functions = basis.features(value.mT.contiguous()).permute(1, 2, 0)  # (inputs, batch, size)
        found = (functions @ orders.flatten(2)).unflatten(2, orders.shape[2:])
        ctx.save_for_backward(functions, found)
        return found[:, :, :-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        functions, found = ctx.saved_tensors
        by_orders = (functions.mT @ gradient.flatten(2)).unflatten(2, gradient.shape[2:])
        return (gradient * found[:, :, 1:]).sum((2, 3)).mT, functional.pad(by_orders, (0, 0, 0, 1)), None


def _through_edges(inputs: Jet, edges: Tensor) -> Jet:
    """sum_i phi(x_i), sum_i phi' x_i' and sum_i (phi'' x_i'^2 + phi' x_i'')."""
    value, slope, bend = edges.unbind(2)  # (inputs, batch, outputs)
    n_first = inputs.n_first
    firsts = inputs.data[1 : 1 + n_first].transpose(1, 2).unsqueeze(-1)  # (directions, inputs, batch, 1)
    parts = [value.sum(0)[None], (slope * firsts).sum(1)]
    if inputs.n_second:
        seconds = inputs.data[1 + n_first :].transpose(1, 2).unsqueeze(-1)
        parts.append((bend * firsts[: inputs.n_second].square() + slope * seconds).sum(1))
    return inputs.like(torch.cat(parts))
