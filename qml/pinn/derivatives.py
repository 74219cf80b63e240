"""Derivatives of fields, and sums of them: by jets where every function has a rule, else by nested reverse passes."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.jets import CoordinateJet, Jet, JetModule, Orders, fulfils
from qml.jets.jet import JET_ORDER, TOWER_ORDER, Array
from qml.jets.orders import Form, Tower
from qml.pinn.constant import Constant
from qml.pinn.names import Derivative, Operator, Wanted

Values = dict[Wanted, Float[Tensor, " batch"]]
Speeds = tuple[float, ...]
"""How fast each coordinate moves."""
FieldMap = Callable[[Array], Mapping[str, Array]]
"""Points (batch, coordinates) to a (batch,) column a field; jets of points to jets of columns."""

JET_LAYERS = (nn.Sequential, nn.ModuleList, nn.Identity, nn.Linear, nn.Tanh, nn.Sigmoid, nn.ReLU)


def accepts_jets(module: nn.Module) -> bool:
    """Return True if a module can be called on a jet: torch's layers that have a rule, and classes of `JetModule`.

    Subclasses of torch's layers are not taken for them. `qml.jets.protocol` says which subclasses of a `JetModule` are.
    """
    return without_jets(module) is None


def without_jets(module: nn.Module) -> nn.Module | None:
    """Return the first module that cannot be called on a jet; None if all can."""
    if type(module) not in JET_LAYERS and not fulfils(module, JetModule):
        return module
    children = module.jet_children() if isinstance(module, JetModule) else module.children()
    refusals = (without_jets(child) for child in children)
    return next((refusal for refusal in refusals if refusal is not None), None)


class DerivativePlan:
    """The components that jets have to carry for derivatives and operators: one component each up to order 2.

    A mixed derivative comes from three pure ones: u_xy = (D_{x+y}^2 - D_x^2 - D_y^2) u / 2. A sum of derivatives of
    first order is one along a direction, and one with second ones is a quadratic form of the directions. Third and
    fourth derivatives must be pure (`carried_by_jets`), and lie above the second along the same direction.

    Args:
        coordinates: of the problem, in order.
        wanted: the derivatives and operators.
    """

    def __init__(self, coordinates: tuple[str, ...], wanted: tuple[Wanted, ...]) -> None:
        self._coordinates = coordinates
        self._speeds: list[Speeds] = []  # of directions
        parts = {item: _split_by_order(item) for item in wanted}
        lower = [low for low, _ in parts.values() if low is not None]
        axes = {axis: 0 for _, high in parts.values() for axis, _, _ in high}
        for _, high in parts.values():
            axes |= {axis: max(axes[axis], order) for axis, order, _ in high}
        firsts = {item: self._direction(self._speeds_of(item)) for item in lower if item.order == 1}
        squares = {axis: (((self._along(axis), 1.0),), (0.0,) * len(coordinates)) for axis in axes}
        bending = {item: (self._form(item), self._speeds_of(item)) for item in lower if item.order > 1}
        n_first, seconds = len(self._speeds), list(dict.fromkeys([*bending.values(), *squares.values()]))
        towers = tuple(Tower(self._along(axis), seconds.index(squares[axis]), order) for axis, order in axes.items())
        self.orders = Orders(n_first, tuple(form for form, _ in seconds), towers)
        rows = [*self._speeds, *(drift for _, drift in seconds)]
        rows += [(0.0,) * len(coordinates)] * (self.orders.n_components - 1 - len(rows))
        places = {item: 0 for item in lower if not item.order}
        places |= {item: 1 + direction for item, direction in firsts.items()}
        places |= {item: 1 + n_first + seconds.index(form) for item, form in bending.items()}
        heights = dict(zip(axes, self.orders.tower_places, strict=True))
        self._components = {
            item: (
                *(() if low is None else ((places[low], 1.0),)),
                *((heights[axis][order - 1], scale) for axis, order, scale in high),
            )
            for item, (low, high) in parts.items()
        }
        self._directions = Constant(np.array(rows).reshape(len(rows), len(coordinates)))

    def start(self, points: Float[Tensor, "batch inputs"]) -> CoordinateJet:
        """Return the jet of the coordinates."""
        return CoordinateJet(points, self._directions.like(points), self.orders)

    def read(self, jet: Jet, item: Wanted) -> Tensor:
        """Return one of the wanted derivatives, from the jet of its field."""
        (place, scale), *others = self._components[item]
        total = jet.components[place] if scale == 1.0 else scale * jet.components[place]
        for place, scale in others:
            total = total + scale * jet.components[place]
        return total

    def _speeds_of(self, item: Wanted) -> Speeds:
        """Return the coefficients of the terms of first order, by coordinate."""
        speeds = dict.fromkeys(self._coordinates, 0.0)
        for axes, coefficient in item.terms:
            if len(axes) == 1:
                speeds[axes[0]] = coefficient
        return tuple(speeds.values())

    def _along(self, *axes: str) -> int:
        """Return the index of the direction that is the sum of some coordinates."""
        return self._direction(tuple(float(axis in axes) for axis in self._coordinates))

    def _direction(self, speeds: Speeds) -> int:
        if speeds not in self._speeds:
            self._speeds.append(speeds)
        return self._speeds.index(speeds)

    def _form(self, item: Wanted) -> Form:
        """Return the terms of second order."""
        form: dict[int, float] = {}
        for axes, coefficient in item.terms:
            if len(axes) == JET_ORDER:
                one, other = axes
                pure = {one: 1.0} if one == other else {one: -0.5, other: -0.5}
                parts = {self._along(axis): share for axis, share in pure.items()}
                if one != other:
                    parts[self._along(one, other)] = 0.5
                for direction, share in parts.items():
                    form[direction] = form.get(direction, 0.0) + coefficient * share
        # The largest first, so that no other is more than a fraction of it.
        return tuple(
            sorted(((k, share) for k, share in form.items() if share), key=lambda term: (-abs(term[1]), term[0]))
        )


def carried_by_jets(item: Wanted) -> bool:
    """Return True if jets can carry a derivative or operator: its terms above the second order are pure."""
    return all(len(axes) <= JET_ORDER or (len(axes) <= TOWER_ORDER and len(set(axes)) == 1) for axes, _ in item.terms)


def _split_by_order(item: Wanted) -> tuple[Wanted | None, list[tuple[str, int, float]]]:
    """Split terms into those up to the second order and the others: (coordinate, order, coefficient)."""
    if item.order <= JET_ORDER:
        return item, []
    low = tuple(term for term in item.terms if len(term[0]) <= JET_ORDER)
    high = [(axes[0], len(axes), scale) for axes, scale in item.terms if len(axes) > JET_ORDER]
    return Operator(item.field, low) if low else None, high


def by_jets(
    fields: FieldMap,
    points: Float[Tensor, "batch inputs"],
    coordinates: tuple[str, ...],
    wanted: Sequence[Wanted],
    *,
    fused: bool = True,
) -> Values:
    """Compute the derivatives in one forward pass; gradients in weights need one backward pass, and are of first order.

    Args:
        fields: from points to columns.
        points: the coordinates' values.
        coordinates: their names.
        wanted: those of `carried_by_jets`.
        fused: whether a trunk may take all its layers in one function.
    """
    plan = _plan(coordinates, tuple(wanted))
    start = plan.start(points)
    jets = fields(start if fused and not plan.orders.towers else start.like(start.data))
    return {item: plan.read(_require_jet(jets[item.field]), item) for item in wanted}


@lru_cache(maxsize=256)
def _plan(coordinates: tuple[str, ...], wanted: tuple[Wanted, ...]) -> DerivativePlan:
    """Return the plan for a question, which every step of training asks again."""
    return DerivativePlan(coordinates, wanted)


def by_nesting(
    fields: FieldMap, points: Float[Tensor, "batch inputs"], coordinates: tuple[str, ...], wanted: Sequence[Wanted]
) -> Values:
    """Compute derivatives of any order, of any module whose rows do not mix, by a reverse pass for each order.

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
        return {item: _summed(item, lambda part: _differentiate(part, leaf, coordinates, known)) for item in wanted}


def by_forward(
    fields: FieldMap, points: Float[Tensor, "batch inputs"], coordinates: tuple[str, ...], wanted: Sequence[Wanted]
) -> Values:
    """Compute the derivatives by nested forward mode; torch.func can differentiate and batch the result."""

    def along_axis(function: Callable[[Tensor], Tensor], axis: str) -> Callable[[Tensor], Tensor]:
        direction = torch.zeros_like(points)
        direction[:, coordinates.index(axis)] = 1.0
        return along(function, direction)

    def of_field(name: str) -> Callable[[Tensor], Tensor]:
        return lambda at: fields(at)[name]  # pyright: ignore[reportReturnType]

    def derivative(item: Derivative) -> Tensor:
        function = of_field(item.field)
        for axis in item.coordinates:
            function = along_axis(function, axis)
        return function(points)

    return {item: _summed(item, derivative) for item in wanted}


def along(function: Callable[[Tensor], Tensor], direction: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the derivative of a function along a direction, by forward mode, as a function of the same points."""

    def derivative(at: Tensor) -> Tensor:
        with torch.enable_grad():  # else torch has no second derivative of some functions, as silu
            return torch.func.jvp(function, (at,), (direction,))[1]

    return derivative


def _summed(item: Wanted, derivative: Callable[[Derivative], Tensor]) -> Tensor:
    """Compute a derivative, or an operator from its terms."""
    if isinstance(item, Derivative):
        return derivative(item)
    return torch.stack([scale * derivative(Derivative(item.field, axes)) for axes, scale in item.terms]).sum(0)


def _differentiate(item: Derivative, leaf: Tensor, coordinates: tuple[str, ...], known: Values) -> Tensor:
    """Compute a derivative from the one of an order less, whose other partial derivatives become known with it."""
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


def _require_jet(column: Array) -> Jet:
    if not isinstance(column, Jet):
        raise TypeError("Argument `fields` must map a jet to jets.")
    return column
