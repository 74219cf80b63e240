"""A layer of activations as one series in a basis, and the weights of its edges."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from qml.nn.qkan.series.bases import Basis


class EdgeWeights(NamedTuple):
    """The weights of a layer's edges, 0 where an edge is pruned.

    Attributes:
        scale: v, shape (outputs, inputs).
        is_one: True if v is 1 on every edge, and every edge has an activation of its own.
        bias: sum_i v c, shape (outputs,), or None for 0.
        base_weight: u, shape (inputs, outputs), or None without a residual activation.
        base: the residual activation, or None.
    """

    scale: Tensor
    is_one: bool
    bias: Tensor | None
    base_weight: Tensor | None
    base: Callable[[Tensor], Tensor] | None

    def plus_base(self, inputs: Tensor, result: Tensor) -> Tensor:
        """Return `result`, (batch, outputs), plus the bias and the residual activation of inputs (batch, inputs)."""
        if self.bias is not None:
            result = result + self.bias
        if self.base_weight is None or self.base is None:
            return result
        return torch.addmm(result, self.base(inputs), self.base_weight)


class LayerSeries(NamedTuple):
    """A layer y_j = sum_i [ sum_k c_kij f_k(x_i) + u_ij base(x_i) ] + bias_j, exact on an interval.

    Attributes:
        basis: the functions f_k.
        coefficients: c, shape (basis.size, inputs, outputs).
        bias: shape (outputs,), or None for 0.
        base_weight: u, shape (inputs, outputs), or None without a residual activation.
        base: the residual activation, or None.
    """

    basis: Basis
    coefficients: Tensor
    bias: Tensor | None
    base_weight: Tensor | None
    base: Callable[[Tensor], Tensor] | None


def edge_weights(
    mask: Tensor,
    v: Tensor | None,
    c: Tensor | None,
    u: Tensor | None,
    base: Callable[[Tensor], Tensor] | None,
    *,
    shared: bool,
    visible: bool,
) -> EdgeWeights:
    """Return the weights of a layer's edges.

    Args:
        mask: 0 for pruned edges, as v, c and u of shape (outputs, inputs).
        v: None for 1.
        c: None for 0.
        u: None without a residual activation.
        base: the residual activation.
        shared: True if outputs share their activations.
        visible: True if the mask's values can be looked at, not so in torch.func transforms and torch.compile.
    """
    whole = mask.is_cpu and visible and bool(mask.all())
    scale = mask if v is None else v if whole else v * mask
    bias = None if c is None else (scale * c).sum(1)
    base_weight = None if u is None else (u if whole else u * mask).mT
    return EdgeWeights(scale, whole and v is None and not shared, bias, base_weight, base)
