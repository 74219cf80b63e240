"""Read linear operators off residuals: coefficients of derivatives, and how a trained scalar enters them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qml.pinn.conditions import Condition
from qml.pinn.names import Residual

if TYPE_CHECKING:
    from qml.pinn.model import Pinn

N_PROBES = 5
PROBE_SEED = 1
# Relative to the largest coefficient: a residual that is linear up to rounding, and coefficients that vanish.
LINEARITY_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
Coefficients = Mapping[tuple[str, ...], np.ndarray]
"""Axes of a derivative of the field, () for the field itself, to its coefficient at points, (batch,)."""


class UnknownSpectrum(ValueError):
    """The eigenvalues of a problem cannot be computed by finite differences; the message says why."""


def eigenvalue_equations(model: "Pinn") -> dict[str, tuple[str, ...]]:
    """Map each trained scalar that is an eigenvalue to the equations it stands in.

    Where all equations and all conditions on faces hold for fields that vanish, a problem that is well posed has no
    other solution but at eigenvalues. The scalars of all other problems are coefficients that are fitted to data.
    """
    problem = model.problem
    if not problem.scalars:
        return {}
    points = model.as_points(problem.domain.sample(N_PROBES, PROBE_SEED))
    for name, asked in problem.equation_names.items():
        if not _vanishes(problem.equations[name](**_at_rest(model, asked, points))):
            return {}
    for condition in problem.conditions:
        if condition.fixed and not _vanishes(condition.residual(_on_condition(model, condition))):
            return {}
    equations_of = {
        scalar: tuple(name for name, asked in problem.equation_names.items() if scalar in asked)
        for scalar in problem.scalars
    }
    return {scalar: equations for scalar, equations in equations_of.items() if equations}


def coefficients(
    model: "Pinn", residual: Residual, asked: tuple[str, ...], points: Tensor, scalars: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Return the coefficients of a linear residual by name: its value where one is 1 while all others vanish.

    Raises:
        UnknownSpectrum: a residual that is not linear.
    """
    rest = _at_rest(model, asked, points) | {
        name: torch.full_like(points[:, 0], value) for name, value in scalars.items() if name in asked
    }
    unknowns = [name for name in asked if model.problem.derivative(name) is not None]
    ones = torch.ones_like(points[:, 0])
    columns = {name: _column(residual(**(rest | {name: ones})), points) for name in unknowns}
    weights = np.random.default_rng(PROBE_SEED).uniform(0.5, 2.0, len(unknowns))
    mixed = residual(**(rest | {name: weight * ones for name, weight in zip(unknowns, weights, strict=True)}))
    terms = [weight * columns[name] for name, weight in zip(unknowns, weights, strict=True)]
    scale = max((float(np.abs(term).max()) for term in terms), default=0.0)
    limit = scale * LINEARITY_TOLERANCE.get(points.dtype, LINEARITY_TOLERANCE[torch.float32])
    if not np.abs(_column(mixed, points) - sum(terms)).max() <= limit:
        raise UnknownSpectrum("the equation is not linear in the field")
    return columns


def by_axes(model: "Pinn", field: str, columns: Mapping[str, np.ndarray]) -> Coefficients:
    """Return the coefficients of the derivatives of one field, with operators resolved into their terms.

    Raises:
        UnknownSpectrum: a residual that holds another field too.
    """
    summed: dict[tuple[str, ...], np.ndarray] = {}
    for name, column in columns.items():
        item = model.problem.derivative(name)
        if item is None or item.field != field:
            raise UnknownSpectrum(f"the equation holds more fields than `{field}`")
        for axes, coefficient in item.terms:
            summed[axes] = summed.get(axes, 0.0) + coefficient * column
    return summed


def _at_rest(model: "Pinn", asked: tuple[str, ...], points: Tensor) -> dict[str, Tensor]:
    """Return the values of names where all fields vanish."""
    problem, values = model.problem, {}
    for name in asked:
        if problem.derivative(name) is not None:
            values[name] = torch.zeros_like(points[:, 0])
        elif name in problem.scalars:
            values[name] = torch.full_like(points[:, 0], problem.scalars[name])
        else:
            values[name] = points[:, problem.coordinates.index(name)]
    return values


def _on_condition(model: "Pinn", condition: Condition) -> dict[str, Tensor]:
    points = condition.points(model.problem.domain, N_PROBES + N_PROBES % 2, PROBE_SEED)
    return _at_rest(model, condition.names, model.as_points(points))


def _vanishes(residual: Any) -> bool:
    return bool((torch.as_tensor(residual) == 0.0).all())


def _column(values: Any, points: Tensor) -> np.ndarray:
    like = points[:, 0]
    column = torch.as_tensor(values, dtype=like.dtype, device=like.device).detach().expand_as(like)
    return column.double().cpu().numpy()
