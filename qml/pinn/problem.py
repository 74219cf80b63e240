"""A problem to be solved: equations, a domain, conditions, and a reference to judge by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from keyword import iskeyword
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.plain_checks import as_texts, require_kind, shown
from qml.pinn.conditions import QUADRATURE, Condition, Observations, Periodic
from qml.pinn.domain import Box
from qml.pinn.names import Residual, Wanted, arguments_of, operator, parse, require_bound

Reference = Callable[[Float[np.ndarray, "batch inputs"]], Float[np.ndarray, "batch outputs"]]


@dataclass(frozen=True)
class Problem:
    """Differential equations with conditions on a box.

    Residuals are functions whose argument names say what they need: a field (`u`), a derivative of any order (`u_t`,
    `u_xx`, `u_xy`), a coordinate (`x`), a trainable scalar (`E`), an operator. They get (batch,) tensors.

    Args:
        name: on the command line.
        domain: the box.
        fields: names of the unknown functions.
        equations: name to residual, which vanishes in the whole domain.
        conditions: beside the equations, the exactly fulfilled ones too.
        scalars: trainable numbers and where they start: eigenvalues, coefficients.
        operators: sums of derivatives of one field with constant coefficients, by a name of your own, as in
            `{"laplacian": {"u_xx": 1.0, "u_yy": 1.0}}`. The trunk carries such a sum as one quantity, in place of every
            term: a quarter less work for two terms where the terms are asked for nowhere else.
        trial: from coordinates and the network's outputs, named as the fields, to the fields: one, or a tuple.
            Functions of torch on columns, as in `lambda x, u: x * (1 - x) * u`.
        features: from coordinates to a tuple of the trunk's inputs, as in `lambda x, t: (torch.cos(x), t)`. None takes
            the coordinates.
        reference: the solution, from a closed form or another numerical method, never from a network.
        judged: the fields whose columns the reference has, in order; () for all.
        reference_scalars: likewise.
        sign_free: whether minus a field is a solution where the field is one, as of eigenfunctions.
        source: what the reference is and where the problem is from.
        odd: a coordinate whose interval begins at 0 and in which all fields are odd: they are solved for on that half,
            and a model continues them to negative values, u(-x) = -u(x). None for no such symmetry.
        states: the number of the state asked for, 0 for the ground state, by scalar that is an eigenvalue. One that is
            not named asks for the state whose level is nearest to its start. None leaves the state unchecked. See
            `State`.

    Raises:
        ValueError: a residual that asks for what the problem does not have, a condition outside the domain, conditions
            that are too few for the order of the equations, names that are taken twice, operators that are not sums of
            derivatives of one field.

    Example:
        >>> from qml.pinn import Box, Face, Problem
        >>> Problem(
        ...     name="decay",
        ...     domain=Box({"t": (0.0, 1.0)}),
        ...     fields=("u",),
        ...     equations={"decay": lambda u, u_t: u_t + u},
        ...     conditions=(Face("start", {"t": 0.0}, lambda u: u - 1.0),),
        ... ).orders["u"]
        {'t': 1}
    """

    name: str
    domain: Box
    fields: tuple[str, ...]
    equations: Mapping[str, Residual]
    conditions: tuple[Condition, ...]
    scalars: Mapping[str, float] = field(default_factory=dict)
    operators: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trial: Residual | None = None
    features: Residual | None = None
    reference: Reference | None = None
    judged: tuple[str, ...] = ()
    reference_scalars: Mapping[str, float] = field(default_factory=dict)
    sign_free: bool = False
    source: str = ""
    states: Mapping[str, Any] = field(default_factory=dict)
    odd: str | None = None

    def __post_init__(self) -> None:
        _require_kinds(self)
        _require_distinct(self)
        for name in self.operators:
            self._require_operator(name)
        for name, equation in self.equations.items():
            self._require_bound(equation, name)
        for condition in self.conditions:
            condition.require_inside(self.domain)
            known = (*self.fields, *self.coordinates, *self.scalars, QUADRATURE)
            for asked in condition.names:
                if asked not in known and self.derivative(asked) is None:
                    raise ValueError(
                        f"Condition `{condition.name}` must ask for fields ({', '.join(self.fields)}), their "
                        f"derivatives, coordinates, scalars or operators, but asks for `{asked}`, which is unbound."
                    )
        if self.trial is not None:
            require_bound(self.trial, "trial", fields=self.fields, coordinates=self.coordinates, scalars=())
        if self.features is not None:
            require_bound(self.features, "features", fields=("",), coordinates=self.coordinates, scalars=())
        _require_enough(self)
        _require_states(self)
        if self.odd is not None:
            _require_odd(self, self.odd)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Return the coordinates in the order of the points' columns."""
        return self.domain.coordinates

    @property
    def whole(self) -> Box:
        """Return the box on which a model knows the fields: the domain, with its mirror image if they are odd."""
        if self.odd is None:
            return self.domain
        mirrored = tuple(-place for place in reversed(self.domain.breaks.get(self.odd, ())))
        breaks = {
            axis: (*mirrored, *places) if axis == self.odd else places for axis, places in self.domain.breaks.items()
        }
        high = self.domain.intervals[self.odd][1]
        return Box({**self.domain.intervals, self.odd: (-high, high)}, breaks)

    @property
    def n_features(self) -> int:
        """Return the number of inputs of the trunk."""
        if self.features is None:
            return len(self.coordinates)
        asked = arguments_of(self.features, "features")
        return len(self.features(**{name: torch.zeros(1) for name in asked}))

    def derivative(self, name: str) -> Wanted | None:
        """Return the field, derivative or operator of that name; None for another name."""
        if name not in self._parsed:
            self._parsed[name] = (
                operator(name, self.operators[name], self.fields, self.coordinates)
                if name in self.operators
                else parse(name, self.fields, self.coordinates)
            )
        return self._parsed[name]

    @cached_property
    def _parsed(self) -> dict[str, Wanted | None]:
        """Return the names that have been parsed: a step of training asks for the same again."""
        return {}

    @cached_property
    def equation_names(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names that each equation asks for."""
        return {name: self._require_bound(equation, name) for name, equation in self.equations.items()}

    @cached_property
    def orders(self) -> Mapping[str, Mapping[str, int]]:
        """Map field to coordinate to the highest order by it in the equations."""
        orders: dict[str, dict[str, int]] = {name: {} for name in self.fields}
        for names in self.equation_names.values():
            for item in filter(None, map(self.derivative, names)):
                for axes, _ in item.terms:
                    for axis in axes:
                        orders[item.field][axis] = max(orders[item.field].get(axis, 0), axes.count(axis))
        return orders

    def _require_bound(self, function: Residual, name: str) -> tuple[str, ...]:
        return require_bound(
            function,
            name,
            fields=self.fields,
            coordinates=self.coordinates,
            scalars=tuple(self.scalars),
            operators=tuple(self.operators),
        )

    def _require_operator(self, name: str) -> None:
        plain = isinstance(name, str) and name.isidentifier() and not iskeyword(name)
        if not plain or parse(name, self.fields, self.coordinates) is not None or name == QUADRATURE:
            raise ValueError(
                f"Operator `{name}` must be called by a name that an argument can have and that means nothing else, as "
                "`laplacian`."
            )
        self.derivative(name)


def _require_kinds(problem: Problem) -> None:
    """Refuse what a first problem is easily written with: one name for the fields, a function for the equations."""
    require_kind(problem.domain, "domain", Box, ' Pass Box({"x": (0.0, 1.0)}), with an interval for each coordinate.')
    as_texts(problem.fields, "fields")
    if not isinstance(problem.equations, Mapping):
        raise TypeError(
            'Argument `equations` must be a mapping from names to residuals, such as {"heat": lambda u_t, u_xx: '
            f"u_t - u_xx}}, but is {shown(problem.equations)}."
        )


def _require_distinct(problem: Problem) -> None:
    if not problem.fields or not problem.equations:
        raise ValueError("Arguments `fields` and `equations` must hold at least one each, but one of them is empty.")
    names = [*problem.fields, *problem.coordinates, *problem.scalars, *problem.operators]
    parts = [*problem.equations, *(condition.name for condition in problem.conditions)]
    for kind, listed in (("fields, coordinates, scalars and operators", names), ("equations and conditions", parts)):
        twice = {name for name in listed if listed.count(name) > 1}
        if twice:
            raise ValueError(f"The names of {kind} must differ, but {', '.join(sorted(twice))} is there twice.")


def _require_enough(problem: Problem) -> None:
    """Refuse fewer conditions across a coordinate than the order by it; where all orders are 1, one in all suffices.

    A field that no condition names may share those of the fields that its equations hold: of a stream function and its
    vorticity, one is given twice at a wall, and the other never. A field that is measured may do with its measurements,
    as in data assimilation. This counts: it finds what is forgotten, and proves
    nothing about existence or uniqueness.
    """
    measured = {item.of for item in problem.conditions if isinstance(item, Observations)}
    for name, orders in problem.orders.items():
        if name in measured:
            continue
        fields = {name}
        if max(orders.values(), default=0) > 1 and not any(
            _mentions(problem, item, name) for item in problem.conditions
        ):
            fields = _together(problem, name)
        asking = [item for item in problem.conditions if any(_mentions(problem, item, field) for field in fields)]
        have = {axis: sum(_order_of(item, axis, order) for item in asking) for axis, order in orders.items()}
        has_integral = any(not item.fixed for item in asking)  # of the field, which fixes its constant
        if max(orders.values(), default=0) == 1 and (has_integral or any(have.values())):
            continue
        for axis, order in orders.items():
            others = sum(problem.orders[field].get(axis, 0) for field in fields - {name})
            if have[axis] < order + others:
                n_conditions = max(0, have[axis] - others)
                raise ValueError(
                    f"Argument `conditions` must hold {order} on `{name}` across {axis}, since the equations of "
                    f"{problem.name!r} are of order {order} in it, but {n_conditions} of them fix {axis}. "
                    "List exactly fulfilled ones too, with exact=True."
                )
    if problem.scalars and not any(not condition.fixed for condition in problem.conditions):
        raise ValueError(
            f"Argument `conditions` must hold an Integral or Observations, since {', '.join(problem.scalars)} of "
            f"{problem.name!r} is to be found, but holds none."
        )


def _require_states(problem: Problem) -> None:
    for name, state in problem.states.items():
        number = isinstance(state, Integral) and not isinstance(state, bool) and int(state) >= 0
        if name not in problem.scalars or not (state is None or number):
            raise ValueError(
                f"Argument `states` must map scalars ({', '.join(problem.scalars) or 'none'}) to numbers of states "
                f"from 0, or to None, but maps {name!r} to {state!r}."
            )


def _require_odd(problem: Problem, axis: str) -> None:
    """Refuse an axis that is none or does not begin at 0, and operators that are neither odd nor even in it."""
    low, _ = problem.domain.interval(axis, "`odd`")
    if low != 0.0:
        raise ValueError(f"Argument `odd` must name a coordinate that begins at 0, but {axis} begins at {low:g}.")
    for name in problem.operators:
        item = problem.derivative(name)
        if item is not None and len({axes.count(axis) % 2 for axes, _ in item.terms}) > 1:
            raise ValueError(
                f"Operator `{name}` must have derivatives of even order by {axis}, or of odd order, alone, since `odd` "
                f"is {axis!r}, but has both. Name them apart in the equation."
            )


def _together(problem: Problem, name: str) -> set[str]:
    """Return the fields that the equations of one field hold."""
    held = [
        {item.field for item in map(problem.derivative, names) if item is not None}
        for names in problem.equation_names.values()
    ]
    return {name}.union(*(fields for fields in held if name in fields))


def _mentions(problem: Problem, condition: Condition, name: str) -> bool:
    items = map(problem.derivative, condition.names)
    return any(item is not None and item.field == name for item in items)


def _order_of(condition: Condition, axis: str, order: int) -> int:
    if axis not in condition.fixed:
        return 0
    return order if isinstance(condition, Periodic) else 1
