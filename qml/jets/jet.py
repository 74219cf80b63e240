"""Jets: a value with directional derivatives and sums of second ones, moved through a network together.

A jet is one tensor of components [value, first derivatives, those of second order], so that a linear layer is one
product of matrices for all of them, and an activation one pass. Training then needs a single reverse pass, where nested
reverse differentiation runs a graph that doubles with every order. The activations and products have derivatives of
their own, written out, which save the values they need and nothing else.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Union

import torch
from torch import Tensor

from qml.jets.orders import Orders
from qml.jets.protocol import JetLayer

JET_ORDER = 2  # of derivatives along any directions
TOWER_ORDER = 4  # of pure derivatives along one direction
RULES: dict[str, Callable[..., Any]] = {}
"""The rule for a jet by the name of torch's function; `qml.jets.rules` enters them, as the package is imported."""


class JetError(NotImplementedError):
    """The error that a function has no rule for jets."""


class NoJetMethodError(JetError, AttributeError):
    """The error that tensors have a method which jets have not."""


class Jet:
    """A value that carries derivatives along directions, sums of second ones, and towers of third and fourth ones.

    Functions of torch that have a rule take a jet where they take a tensor: linear, tanh, sin, cos, exp, sigmoid, relu,
    atan, erf, reciprocal, rsqrt, cat, stack, chunk, sums, products, quotients and powers with integer exponents.
    Tensors among the operands are constants: they do not depend on the coordinates. Derivatives of a jet in weights are
    of first order; a second one raises.

    Args:
        data: (n_components, ...).
        orders: of the components.

    Raises:
        JetError: a function without a rule is applied.
    """

    data: Tensor

    def __init__(self, data: Tensor, orders: Orders) -> None:
        self.data, self.orders = data, orders

    @property
    def shape(self) -> torch.Size:
        """Return the shape of the value."""
        return self.data.shape[1:]

    @cached_property
    def components(self) -> tuple[Tensor, ...]:
        """Return the components as a tuple; one operation joins their gradients."""
        return self.data.unbind(0)

    @property
    def value(self) -> Tensor:
        """Return the value, without derivatives."""
        return self.components[0]

    def like(self, data: Tensor) -> "Jet":
        """Return a jet of the same orders with other components."""
        return Jet(data, self.orders)

    def through(self, layer: JetLayer, weights: Tensor | None = None) -> "Jet":
        """Apply `layer.jet` and return the resulting jet.

        Args:
            layer: a layer with a rule of its own.
            weights: for every row, in place of the layer's; None where it uses its own.

        Raises:
            JetError: the layer has no rule as it is set up, for example on its present backend.
        """
        try:
            return self.like(layer.jet(self.data, self.orders, weights))
        except NotImplementedError as error:
            raise JetError(f"Jets have no rule for this {type(layer).__name__}: {error}") from error

    def column(self, index: int) -> "Jet":
        """Return one entry of the last dimension."""
        return self.like(self.data[..., index])

    def columns(self) -> tuple["Jet", ...]:
        """Return all entries of the last dimension."""
        if self.shape[-1] == 1:  # a view, whose gradient need not be copied
            return (self.like(self.data.squeeze(-1)),)
        return tuple(self.like(part) for part in self.data.unbind(-1))

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: Mapping | None = None
    ) -> Any:
        """Apply the rule of one of torch's functions, which call this method where an argument is a jet."""
        rule = RULES.get(function.__name__)
        if rule is None:
            raise JetError(f"Jets have no rule for torch's `{function.__name__}`.")
        if not kwargs:
            return rule(*args)
        try:
            inspect.signature(rule).bind(*args, **kwargs)
        except TypeError as error:
            asked = ", ".join(kwargs)
            raise JetError(f"Jets have no rule for torch's `{function.__name__}` with {asked}.") from error
        return rule(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        raise NoJetMethodError(f"Jets have no `{name}`. Call torch.{name}(jet) in place of jet.{name}().")

    def __add__(self, other: "Array | Number") -> "Jet":
        return _apply("add", self, other)

    __radd__ = __add__

    def __neg__(self) -> "Jet":
        return self.like(-self.data)

    def __sub__(self, other: "Array | Number") -> "Jet":
        return _apply("add", self, -other)

    def __rsub__(self, other: "Array | Number") -> "Jet":
        return _apply("add", -self, other)

    def __mul__(self, other: "Array | Number") -> "Jet":
        return _apply("mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: "Array | Number") -> "Jet":
        return _apply("div", self, other)

    def __rtruediv__(self, other: "Array | Number") -> "Jet":
        return _apply("div", other, self)

    def __pow__(self, exponent: "Number") -> "Jet":
        if not isinstance(exponent, int) or exponent < 1:
            raise JetError(f"Jets have a rule for powers with positive integers, but the exponent is {exponent!r}.")
        power = self
        for _ in range(exponent - 1):
            power = power * self
        return power


class CoordinateJet(Jet):
    """The jet of the coordinates themselves, whose derivatives are the same at all points.

    Args:
        points: (batch, coordinates).
        directions: (n_components - 1, coordinates): the direction vectors, then for each component of second order
            the vector of its terms of first order, then zeros for the towers.
        orders: of the components.
    """

    def __init__(self, points: Tensor, directions: Tensor, orders: Orders) -> None:
        self.points, self.directions, self.orders = points, directions, orders

    @cached_property
    def data(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return all components, made when they are asked for."""
        return torch.cat([self.points[None], self.directions[:, None].expand(-1, *self.points.shape)])

    @property
    def shape(self) -> torch.Size:
        """Return the shape of the points."""
        return self.points.shape


def _apply(name: str, left: "Array | Number", right: "Array | Number") -> Jet:
    return RULES[name](left, right)


Number = int | float
Array = Union[Tensor, Jet]  # noqa: UP007 - `|` has no meaning for a class that is being defined elsewhere
