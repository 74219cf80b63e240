"""Jets: a value with directional derivatives and sums of second ones, moved through a network together.

A jet is one tensor of components [value, first derivatives, those of second order], so that a linear layer is one
product of matrices for all of them, and an activation one pass. Training then needs a single reverse pass, where nested
reverse differentiation runs a graph that doubles with every order. The activations and products have derivatives of
their own, written out, which save the values they need and nothing else.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, Union

import torch
from torch import Tensor

from qml.jets.orders import Orders

JET_ORDER = 2
RULES: dict[str, Callable[..., Any]] = {}
"""For the name of a function of torch what it does to a jet; `qml.jets.rules` fills it."""


class JetError(NotImplementedError):
    """A function was applied to a jet that has no rule for it."""


class NoJetMethodError(JetError, AttributeError):
    """A jet was asked for a method that tensors have."""


class Jet:
    """Values with derivatives along directions, and sums of second ones.

    Functions of torch that have a rule here take a jet where they take a tensor: linear, tanh, sin, cos, exp, sigmoid,
    relu, atan, reciprocal, cat, stack, chunk, sums, products, quotients and powers with integer exponents. Tensors that
    join in are constants: they do not depend on the coordinates. Derivatives of a jet in weights are of first order; a
    second one raises.

    Args:
        data: (n_components, ...).
        orders: of the components.

    Raises:
        JetError: by whatever function has no rule.
    """

    data: Tensor

    def __init__(self, data: Tensor, orders: Orders) -> None:
        self.data, self.orders = data, orders

    @property
    def shape(self) -> torch.Size:
        """Of the value."""
        return self.data.shape[1:]

    @cached_property
    def components(self) -> tuple[Tensor, ...]:
        """All of them apart; whose gradients come together in one operation."""
        return self.data.unbind(0)

    @property
    def value(self) -> Tensor:
        """Without derivatives."""
        return self.components[0]

    def like(self, data: Tensor) -> "Jet":
        """The same directions with other components."""
        return Jet(data, self.orders)

    def through(self, layer: "JetLayer", *arguments: Any) -> "Jet":
        """What becomes of it in a layer that has a rule of its own.

        Raises:
            JetError: a layer without one as it is.
        """
        try:
            return self.like(layer.jet(self.data, self.orders, *arguments))
        except NotImplementedError as error:
            raise JetError(f"Jets have no rule for this {type(layer).__name__}: {error}") from error

    def column(self, index: int) -> "Jet":
        """One entry of the last dimension."""
        return self.like(self.data[..., index])

    def columns(self) -> tuple["Jet", ...]:
        """All entries of the last dimension."""
        if self.shape[-1] == 1:  # a view, whose gradient need not be copied
            return (self.like(self.data.squeeze(-1)),)
        return tuple(self.like(part) for part in self.data.unbind(-1))

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: Mapping | None = None
    ) -> Any:
        """Where torch's functions look for the rule of a jet."""
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
        raise NoJetMethodError(
            f"Jets have no `{name}`. Functions have rules where methods have none: torch.{name}(...)."
        )

    def __add__(self, other: "Array | Number") -> "Jet":
        return RULES["add"](self, other)

    __radd__ = __add__

    def __neg__(self) -> "Jet":
        return self.like(-self.data)

    def __sub__(self, other: "Array | Number") -> "Jet":
        return RULES["add"](self, -other)

    def __rsub__(self, other: "Array | Number") -> "Jet":
        return RULES["add"](-self, other)

    def __mul__(self, other: "Array | Number") -> "Jet":
        return RULES["mul"](self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: "Array | Number") -> "Jet":
        return RULES["div"](self, other)

    def __rtruediv__(self, other: "Array | Number") -> "Jet":
        return RULES["div"](other, self)

    def __pow__(self, exponent: "Number") -> "Jet":
        if not isinstance(exponent, int) or exponent < 1:
            raise JetError(f"Jets have a rule for powers with positive integers, but the exponent is {exponent!r}.")
        power = self
        for _ in range(exponent - 1):
            power = power * self
        return power


class JetLayer(Protocol):
    """A layer with a rule of its own, as `qml.nn.QuantumLayer`."""

    def jet(self, inputs: Tensor, orders: Orders, /, *arguments: Any) -> Tensor:
        """The components of the outputs, from those of the inputs."""
        ...


class CoordinateJet(Jet):
    """The coordinates themselves, whose derivatives are the same at all points.

    Args:
        points: (batch, coordinates).
        directions: (n_first + n_second, coordinates): how fast the coordinates move along each direction, and what the
            terms of first order of each component of second order make of them.
        orders: of the components.
    """

    def __init__(self, points: Tensor, directions: Tensor, orders: Orders) -> None:
        self.points, self.directions, self.orders = points, directions, orders

    @cached_property
    def data(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All components, made when they are asked for."""
        return torch.cat([self.points[None], self.directions[:, None].expand(-1, *self.points.shape)])

    @property
    def shape(self) -> torch.Size:
        """Of the points."""
        return self.points.shape


Number = int | float


Array = Union[Tensor, Jet]  # noqa: UP007 - `|` has no meaning for a class that is being defined elsewhere
