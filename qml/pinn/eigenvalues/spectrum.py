"""Eigenvalues of an equation by finite differences, which tell the state that a trained scalar belongs to."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qml.pinn.conditions import Condition, Face, Integral, Interface, Observations, Periodic
from qml.pinn.eigenvalues._finite_differences import (
    PERIODIC,
    VANISHING_SHARE,
    Axis,
    Ends,
    cell_means,
    lowest_levels,
    product_on_grid,
    symmetric_matrix,
)
from qml.pinn.eigenvalues.linear import Coefficients, UnknownSpectrum, by_axes, coefficients

if TYPE_CHECKING:
    from qml.pinn.model import Pinn

N_CELLS = {1: 2000, 2: 100, 3: 24}  # cells of a coordinate, by the number of coordinates
N_PARTS = {1: 25, 2: 4, 3: 2}  # parts of a cell and coordinate, over which a potential that may jump is averaged
N_LEVELS_AT_FIRST = 12  # that are computed at first
N_LEVELS_LIMIT = 200


class OperatorSpectrum:
    """Levels and states of the equation (A + f(E) B) u = 0 of one field on a box, by second-order finite differences.

    B multiplies u by a function of one sign, A is of second order and, after a factor, symmetric. On a line this is a
    Sturm-Liouville problem: the matrix is tridiagonal, and the state of number n has n nodes. Elsewhere the lowest
    levels are found by Lanczos with an inverted shift.

    Args:
        model: its problem, in whose dtype functions are evaluated.
        scalar: E.
        equation: the only one that E stands in.

    Attributes:
        field: u.
        points: middles of the cells (batch, coordinates).

    Raises:
        UnknownSpectrum: a problem that is none of this kind; the message says why.

    Reference:
        Sturm's theorem and eigenvalues by bisection: Pryce, Numerical Solution of Sturm-Liouville Problems, 1993.
    """

    def __init__(self, model: "Pinn", scalar: str, equation: str) -> None:
        self.model, self.scalar, self.equation = model, scalar, equation
        problem = model.problem
        asked = problem.equation_names[equation]
        if any(name in asked for name in problem.scalars if name != scalar):
            raise UnknownSpectrum("another trained scalar stands in the equation")
        fields = {item.field for name in asked if (item := problem.derivative(name)) is not None}
        if len(fields) != 1 or sum(_holds(model, name, fields) for name in problem.equations) != 1:
            raise UnknownSpectrum("its equation is coupled to others")
        (self.field,) = fields
        if len(problem.coordinates) not in N_CELLS:
            raise UnknownSpectrum(f"there are {len(problem.coordinates)} coordinates")
        self._n_cells = N_CELLS[len(problem.coordinates)]
        self._start = float(problem.scalars[scalar])
        self._unit = max(0.5, 0.5 * abs(self._start))
        self._solved: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}  # by number of levels
        self._ends = {axis: _ends_of(model, axis, self.field, scalar) for axis in problem.coordinates}
        self._require_affine()

    @property
    def n_nodes_count(self) -> bool:
        """Return True if the state of number n has n nodes."""
        return len(self._ends) == 1 and PERIODIC not in self._ends.values()

    @cached_property
    def points(self) -> np.ndarray:
        """Return the middles of the cells, (batch, coordinates)."""
        return self._middles(self._n_cells)

    def place_of(self, value: float) -> float:
        """Return f(E), in which levels ascend from the one of number 0: E itself up to shift, scale and sign."""
        return self._sign * self._place(value)

    def value_at(self, place: float) -> float:
        """Return E from f(E); not a number where there is none."""
        from scipy.optimize import root_scalar

        wanted = self._sign * place
        result = root_scalar(
            lambda value: self._place(value) - wanted,
            method="secant",
            x0=self._start + self._unit * wanted,
            x1=self._start + self._unit * (wanted + 1e-3),
            xtol=1e-13 * (1 + abs(self._start)),
        )
        return float(result.root) if result.converged else math.nan

    def levels(self, *places: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the lowest levels, their errors, and states (batch, levels) of norm 1, to well above some values f(E).

        Raises:
            UnknownSpectrum: there are too many.
        """
        n_levels, highest = N_LEVELS_AT_FIRST, max(places, default=-math.inf)
        while True:
            if n_levels not in self._solved:
                levels, states = self._solve(self._n_cells, n_levels)
                coarse, _ = self._solve(self._n_cells // 2, n_levels)
                self._solved[n_levels] = levels, np.abs(levels - coarse), states
            levels, errors, states = self._solved[n_levels]
            if levels[-2] > highest:
                return levels, errors, states
            if n_levels >= N_LEVELS_LIMIT:
                raise UnknownSpectrum(f"it would be above the lowest {N_LEVELS_LIMIT} levels")
            n_levels = min(N_LEVELS_LIMIT, 4 * n_levels)

    def shares(self, values: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Return squared overlaps of a field's values (batch,) with states, whose sum is 1 at most."""
        weighed = self._weights * values
        return (states.T @ (np.sqrt(self._weights) * values)) ** 2 / max(float(weighed @ values), 1e-300)

    def fields_of(self, states: np.ndarray) -> np.ndarray:
        """Return the states as values of the field, each of largest value 1."""
        values = states / np.sqrt(self._weights)[:, None]
        return values / np.abs(values).max(0)

    @cached_property
    def _weights(self) -> np.ndarray:
        return self._operator(self._n_cells)[2]

    @cached_property
    def _sign(self) -> float:
        """Return 1 where levels ascend with f(E), else -1."""
        return self._operator(self._n_cells)[3]

    def _middles(self, n_cells: int) -> np.ndarray:
        axes = [low + (high - low) * (np.arange(n_cells) + 0.5) / n_cells for low, high in self._intervals]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))

    @property
    def _intervals(self) -> list[tuple[float, float]]:
        return list(self.model.problem.domain.intervals.values())

    def _coefficients(self, points: np.ndarray, value: float) -> Coefficients:
        problem = self.model.problem
        by_name = coefficients(
            self.model,
            problem.equations[self.equation],
            problem.equation_names[self.equation],
            self.model.as_points(points),
            {self.scalar: value},
        )
        return by_axes(self.model, self.field, by_name)

    @cached_property
    def _probe(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points, coefficients at the start, and what they gain one unit further."""
        points = self.model.problem.domain.sample(64, 2)
        start, further = (_stacked(self._coefficients(points, self._start + shift * self._unit)) for shift in (0, 1))
        return points, start, further - start

    def _place(self, value: float) -> float:
        """Return f(E), which is 0 at the start and 1 a unit further."""
        points, at_start, gained = self._probe
        return float(np.vdot(_stacked(self._coefficients(points, value)) - at_start, gained) / np.vdot(gained, gained))

    def _require_affine(self) -> None:
        points, at_start, gained = self._probe
        if not np.abs(gained).max() > VANISHING_SHARE * np.abs(at_start).max():
            raise UnknownSpectrum("the equation does not depend on it")
        for shift in (-0.3, 0.4):
            value = self._start + shift * self._unit
            difference = _stacked(self._coefficients(points, value)) - at_start
            if not np.abs(difference - self._place(value) * gained).max() <= VANISHING_SHARE * np.abs(at_start).max():
                raise UnknownSpectrum("it enters the equation in more than one way")

    def _operator(self, n_cells: int) -> tuple[list[Axis], np.ndarray, np.ndarray, float]:
        """Return axes, the potential times the mass, the weight times the mass, and the sign of f(E)."""
        parts = N_PARTS[len(self._intervals)]
        points = self._middles(n_cells * parts)
        at_start = self._coefficients(points, self._start)
        further = self._coefficients(points, self._start + self._unit)
        names, axes = self.model.problem.coordinates, []
        self._require_second_order(at_start, further)
        leading = at_start[names[0], names[0]]
        shape = (n_cells * parts,) * len(names)
        for index, (name, (low, high)) in enumerate(zip(names, self._intervals, strict=True)):
            ratio = at_start[name, name] / leading
            if not (ratio.min() > 0.0 and np.ptp(ratio) <= VANISHING_SHARE * ratio.max()):
                raise UnknownSpectrum("its second derivatives have coefficients of different shape or sign")
            drift = (at_start.get((name,), np.zeros_like(leading)) / at_start[name, name]).reshape(shape)
            others = tuple(other for other in range(len(names)) if other != index)
            if others and np.ptp(drift, axis=others).max() > VANISHING_SHARE * (1 + np.abs(drift).max()):
                raise UnknownSpectrum("its first derivatives have coefficients that depend on other coordinates")
            line, width = drift.mean(others), (high - low) / n_cells
            steps = line.reshape(n_cells, parts).mean(1) * width
            fluxes = np.exp(np.append(0.0, np.cumsum(steps)) - np.cumsum(steps).max(initial=0.0))
            axes.append(Axis(width, np.maximum(fluxes, 1e-300), float(ratio.mean()), self._ends[name]))
        mass = product_on_grid([axis.mass for axis in axes])
        potential, gained = (
            cell_means(coefficient / leading, n_cells, parts, len(names)) * mass
            for coefficient in (at_start.get((), np.zeros_like(leading)), further[()] - at_start.get((), 0.0))
        )
        sign = 1.0 if gained.mean() > 0 else -1.0
        if not (sign * gained / mass).min() > VANISHING_SHARE * np.abs(gained / mass).max():
            raise UnknownSpectrum("its factor changes sign or vanishes")
        return axes, -potential, sign * gained, sign

    def _require_second_order(self, at_start: Coefficients, further: Coefficients) -> None:
        names = self.model.problem.coordinates
        allowed = {(), *((name,) for name in names), *((name, name) for name in names)}
        beyond = [axes for axes, column in at_start.items() if axes not in allowed and np.abs(column).max() > 0.0]
        if beyond or any((name, name) not in at_start for name in names):
            raise UnknownSpectrum("the equation is not of second order without mixed derivatives")
        sizes = {axes: np.abs(column) for axes, column in at_start.items()}
        changes = {axes: np.abs(further[axes] - column).max() for axes, column in at_start.items() if axes}
        if any(change > VANISHING_SHARE * sizes[axes].max() for axes, change in changes.items()):
            raise UnknownSpectrum("it multiplies derivatives")
        if not all(sizes[name, name].min() > VANISHING_SHARE * sizes[name, name].max() for name in names):
            raise UnknownSpectrum("the coefficient of a second derivative vanishes somewhere")

    def _solve(self, n_cells: int, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest levels, ascending, and their states."""
        from scipy.linalg import eigh_tridiagonal

        axes, potential, weights, _ = self._operator(n_cells)
        if self.n_nodes_count:
            diagonal, beside, _ = axes[0].bands()
            scale = np.sqrt(weights)
            levels, states = eigh_tridiagonal(
                (diagonal + potential) / weights,
                beside / (scale[1:] * scale[:-1]),
                select="i",
                select_range=(0, n_levels - 1),
            )  # pyright: ignore[reportAssignmentType]
            return np.asarray(levels), np.asarray(states)
        return lowest_levels(symmetric_matrix(axes, potential, weights), n_levels)


def extra_conditions(model: "Pinn", field: str) -> list[Condition]:
    """Return the conditions on a field that single out some states: orthogonality, and values inside the domain."""
    problem, chosen = model.problem, []
    for condition in problem.conditions:
        names = [item.field for name in condition.names if (item := problem.derivative(name)) is not None]
        inside = isinstance(condition, Face) and _side(model, condition) is None
        orthogonal = isinstance(condition, Integral) and condition.value == 0.0
        if set(names) == {field} and (inside or orthogonal):
            chosen.append(condition)
    return chosen


def _holds(model: "Pinn", equation: str, fields: set[str]) -> bool:
    asked = map(model.problem.derivative, model.problem.equation_names[equation])
    return any(item is not None and item.field in fields for item in asked)


def _side(model: "Pinn", face: Face) -> tuple[str, int] | None:
    """Return the axis of a face and its end, 0 or 1; None of a face inside, and of edges and corners."""
    if len(face.at) != 1:
        return None
    ((axis, place),) = face.at.items()
    low, high = model.problem.domain.intervals[axis]
    limit = 1e-9 * (high - low)
    return next(((axis, end) for end, wall in enumerate((low, high)) if abs(place - wall) <= limit), None)


def _ends_of(model: "Pinn", axis: str, field: str, scalar: str) -> Ends:
    """Return the conditions on a field at both ends of an axis."""
    problem, ratios = model.problem, dict[int, float]()
    for condition in problem.conditions:
        fields = {item.field for name in condition.names if (item := problem.derivative(name)) is not None}
        if isinstance(condition, Integral | Observations | Interface) or field not in fields:
            continue
        if isinstance(condition, Periodic):
            if condition.coordinate == axis:
                return PERIODIC
            continue
        side = _side(model, condition) if isinstance(condition, Face) else None
        if not isinstance(condition, Face) or fields != {field} or scalar in condition.names:
            raise UnknownSpectrum(f"condition `{condition.name}` is of a kind that finite differences do not take here")
        if side is None or side[0] != axis:
            continue
        if side[1] in ratios:
            raise UnknownSpectrum(f"there are two conditions at one end of {axis}")
        ratios[side[1]] = _ratio(model, condition, axis, field)
    if set(ratios) != {0, 1}:
        raise UnknownSpectrum(f"there is no condition at one end of {axis}")
    return ratios[0], ratios[1]


def _ratio(model: "Pinn", face: Face, axis: str, field: str) -> float:
    """Return b / a of a u + b u' = 0; infinite where a is 0."""
    points = model.as_points(face.points(model.problem.domain, 8, 3))
    by_derivative = by_axes(model, field, coefficients(model, face.equation, face.names, points, {}))
    value, slope = (by_derivative.get(axes, np.zeros(len(points))) for axes in ((), (axis,)))
    if any(axes not in ((), (axis,)) for axes in by_derivative) or not (np.abs(value) + np.abs(slope)).min() > 0.0:
        raise UnknownSpectrum(f"condition `{face.name}` is none of value and slope")
    with np.errstate(divide="ignore"):
        ratios = slope / value
    if np.isinf(ratios).all() or np.ptp(ratios) <= VANISHING_SHARE * np.abs(ratios).max():
        return float(np.abs(ratios[0])) if np.isinf(ratios[0]) else float(ratios[0])
    raise UnknownSpectrum(f"condition `{face.name}` varies along its face")


def _stacked(by_derivative: Coefficients) -> np.ndarray:
    return np.stack([by_derivative[axes] for axes in sorted(by_derivative)])


def spectra(model: "Pinn", equations: Mapping[str, tuple[str, ...]]) -> dict[str, "OperatorSpectrum | UnknownSpectrum"]:
    """Return the spectrum of each eigenvalue, or why there is none."""
    spectra_of: dict[str, OperatorSpectrum | UnknownSpectrum] = {}
    for scalar, names in equations.items():
        if len(names) != 1:
            spectra_of[scalar] = UnknownSpectrum("it stands in several equations")
            continue
        try:
            spectrum = OperatorSpectrum(model, scalar, names[0])
            spectrum.levels()
        except UnknownSpectrum as reason:
            spectra_of[scalar] = reason
        else:
            spectra_of[scalar] = spectrum
    return spectra_of
