"""The contract between jets and the modules that they move through.

A class enters a contract by naming it among its bases; the promise covers the `forward` that the class has or inherits.
A subclass keeps the promise as long as it keeps that `forward`. One with a `forward` of its own must name the contract
again (`class Gained(QuantumLayer, JetModule)`); until then it is treated as any module without the contract, which is
slower and never wrong. So ask `fulfils(module, contract)`, and not `isinstance`.
"""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from qml.jets.orders import Orders


class JetModule(nn.Module):
    """A module whose `forward` maps jets to jets, as it maps tensors to tensors.

    A `forward` made of torch's functions that have a rule for jets needs nothing else. One with a rule of its own
    calls `jet.through(self)` and has the method `jet` of `JetLayer`.
    """

    def jet_children(self) -> Iterable[nn.Module]:
        """Return the modules that `forward` passes jets on to, which must take jets too: by default all children."""
        return self.children()


class RowWeightsModule(nn.Module):
    """A module that takes weights for every row as its second argument, in place of its one parameter `weights`."""


@runtime_checkable
class JetLayer(Protocol):
    """A layer with a rule of its own for jets, as `qml.nn.QuantumLayer`."""

    def jet(self, inputs: Tensor, orders: Orders, weights: Tensor | None = None) -> Tensor:
        """Return the components of the outputs, from those of the inputs; `weights` may be given for every row."""
        ...


@runtime_checkable
class EdgeSeries(Protocol):
    """A layer of functions on edges with a series: y_j = sum_i sum_k c_kij b_k(x_i) + bias_j + sum_i u_ij silu(x_i)."""

    def series_on(self, low: float, high: float, *, most: float | int) -> Any:
        """Return the series with at most `most` functions b that is exact on [low, high]; None where there is none.

        It has `coefficients` c, (size, inputs, outputs), `bias`, (outputs,) or None, and `base_weight` u, (inputs,
        outputs) or None, differentiable in the layer's weights, and `basis` with `size`, `features(x)` (size, ...) and
        `derivative(like)`, from coefficients to the derivative's.
        """
        ...


def fulfils(module: nn.Module, contract: type[nn.Module]) -> bool:
    """Return True if the `forward` that a module has is covered by a contract, `JetModule` or `RowWeightsModule`."""
    if "forward" in vars(module):  # somebody has replaced it on this module alone
        return False
    for ancestor in type(module).__mro__:
        if contract in ancestor.__bases__:
            return True
        if "forward" in vars(ancestor):
            return False
    return False
