"""Derivatives of fields by coordinates: by jets where every function has a rule, else by nested reverse passes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.pinn.jets import JET_ORDER, Array, CoordinateJet, Jet
from qml.pinn.names import Derivative

Values = dict[Derivative, Float[Tensor, " batch"]]
FieldMap = Callable[[Array], Mapping[str, Array]]
"""Points (batch, coordinates) to a (batch,) column a field; jets of points to jets of columns."""

JET_LAYERS = (nn.Sequential, nn.ModuleList, nn.Identity, nn.Linear, nn.Tanh, nn.Sigmoid, nn.ReLU)


def accepts_jets(module: nn.Module) -> bool:
    """Whether a module can be called on a jet: layers of torch that have a rule, and classes that say so themselves.

    A class says so by an attribute `accepts_jets = True`, and by `answers_for_children = True` that its children never
    see a jet. Subclasses of torch's layers are not taken for them.
    """
    return without_jets(module) is None


def without_jets(module: nn.Module) -> nn.Module | None:
    """The first module that cannot be called on a jet; None if all can."""
    own = vars(type(module))
    if type(module) not in JET_LAYERS and not own.get("accepts_jets", False):
        return module
    children = () if own.get("answers_for_children", False) else module.children()
    return next((found for part in children if (found := without_jets(part)) is not None), None)


@dataclass(frozen=True)
class Directions:
    """What jets have to carry for a set of derivatives of order 2 at most.

    A mixed derivative comes from three pure ones: u_xy = (D_{x+y}^2 u - u_xx - u_yy) / 2.

    Args:
        coordinates: of the problem, in order.
        wanted: the derivatives.
    """

    coordinates: tuple[str, ...]
    wanted: tuple[Derivative, ...]

    @cached_property
    def _speeds(self) -> list[list[float]]:
        return [[float(axis in direction) for axis in self.coordinates] for direction in self.all]

    @cached_property
    def seconds(self) -> tuple[tuple[str, ...], ...]:
        """Directions of second order: a coordinate, or the sum of two."""
        pairs = [item.coordinates for item in self.wanted if len(item.coordinates) == JET_ORDER]
        mixed = list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))
        pure = [(pair[0],) for pair in pairs if pair[0] == pair[1]] + [(axis,) for pair in mixed for axis in pair]
        return (*dict.fromkeys(pure), *mixed)

    @cached_property
    def all(self) -> tuple[tuple[str, ...], ...]:
        """Every direction, those of second order first."""
        firsts = [item.coordinates for item in self.wanted if len(item.coordinates) == 1]
        return tuple(dict.fromkeys([*self.seconds, *firsts]))

    def start(self, points: Float[Tensor, "batch inputs"]) -> CoordinateJet:
        """The coordinates, moving along each direction at unit speed."""
        directions = torch.tensor(self._speeds, dtype=points.dtype, device=points.device)
        return CoordinateJet(points, directions.view(-1, points.shape[1]), len(self.seconds))

    def read(self, jet: Jet, axes: tuple[str, ...]) -> Tensor:
        """A derivative of a field from its jet."""
        if not axes:
            return jet.value
        if len(axes) == 1:
            return jet.first(self.all.index(axes))
        if axes[0] == axes[1]:
            return jet.second(self.seconds.index(axes[:1]))
        along = jet.second(self.seconds.index(axes))
        return (along - self.read(jet, axes[:1] * 2) - self.read(jet, axes[1:] * 2)) / 2


def by_jets(
    fields: FieldMap,
    points: Float[Tensor, "batch inputs"],
    coordinates: tuple[str, ...],
    wanted: Sequence[Derivative],
    *,
    fused: bool = True,
) -> Values:
    """The derivatives in one pass forward; their gradients in weights need one pass back, and are of first order.

    Args:
        fields: from points to columns.
        points: the coordinates' values.
        coordinates: their names.
        wanted: of order 2 at most.
        fused: whether a trunk may take all its layers in one function.
    """
    directions = _directions(coordinates, tuple(wanted))
    start = directions.start(points)
    found = fields(start if fused else start.like(start.data))
    return {item: directions.read(_require_jet(found[item.field]), item.coordinates) for item in wanted}


@lru_cache(maxsize=256)
def _directions(coordinates: tuple[str, ...], wanted: tuple[Derivative, ...]) -> Directions:
    """One object a question, since it knows its answers once they have been asked for."""
    return Directions(coordinates, wanted)


def by_nesting(
    fields: FieldMap, points: Float[Tensor, "batch inputs"], coordinates: tuple[str, ...], wanted: Sequence[Derivative]
) -> Values:
    """The derivatives, of any order and of any module whose rows do not mix, by a reverse pass an order.

    Raises:
        ValueError: a field that does not depend on the points by differentiable functions.
    """
    with torch.enable_grad():
        leaf = points.detach().requires_grad_()
        known: Values = {}
        for name, column in fields(leaf).items():
            if not isinstance(column, Tensor):
                raise TypeError("Argument `fields` must map a tensor to tensors.")
            if not column.requires_grad or column.grad_fn is None:
                raise ValueError(
                    f"Field `{name}` must depend on its coordinates by differentiable functions, but has no graph. "
                    "Use a module and a backend with derivatives."
                )
            known[Derivative(name, ())] = column
        for item in wanted:
            _differentiate(item, leaf, coordinates, known)
    return {item: known[item] for item in wanted}


def by_forward(
    fields: FieldMap, points: Float[Tensor, "batch inputs"], coordinates: tuple[str, ...], wanted: Sequence[Derivative]
) -> Values:
    """The derivatives by forward mode, one nested in the other; torch.func can differentiate and batch the result."""

    def along(function: Callable[[Tensor], Tensor], axis: str) -> Callable[[Tensor], Tensor]:
        direction = torch.zeros_like(points)
        direction[:, coordinates.index(axis)] = 1.0
        return lambda at: torch.func.jvp(function, (at,), (direction,))[1]

    def of_field(name: str) -> Callable[[Tensor], Tensor]:
        return lambda at: fields(at)[name]  # pyright: ignore[reportReturnType]

    found: Values = {}
    for item in wanted:
        function = of_field(item.field)
        for axis in item.coordinates:
            function = along(function, axis)
        found[item] = function(points)
    return found


def _differentiate(item: Derivative, leaf: Tensor, coordinates: tuple[str, ...], known: Values) -> Tensor:
    """One derivative, from the one of an order less; all its partial derivatives become known with it."""
    if item not in known:
        parent = _differentiate(Derivative(item.field, item.coordinates[:-1]), leaf, coordinates, known)
        if parent.requires_grad:
            (gradient,) = torch.autograd.grad(
                parent.sum(), leaf, create_graph=True, allow_unused=True, materialize_grads=True
            )
        else:  # a constant, as the slope of a linear function
            gradient = torch.zeros_like(leaf)
        for column, axis in enumerate(coordinates):
            axes = tuple(sorted((*item.coordinates[:-1], axis), key=coordinates.index))
            known.setdefault(Derivative(item.field, axes), gradient[:, column])
    return known[item]


def _require_jet(found: Array) -> Jet:
    if not isinstance(found, Jet):
        raise TypeError("Argument `fields` must map a jet to jets.")
    return found
