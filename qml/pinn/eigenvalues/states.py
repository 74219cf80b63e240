"""Say which state a trained eigenvalue belongs to, and whether it is the one that was asked for."""

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qml.pinn.conditions import Condition, Integral, Observations
from qml.pinn.eigenvalues.linear import UnknownSpectrum, eigenvalue_equations
from qml.pinn.eigenvalues.spectrum import OperatorSpectrum, extra_conditions, spectra

if TYPE_CHECKING:
    from qml.pinn.model import Pinn

NODE_AMPLITUDE = 1e-2  # of the largest |u|: below it a change of sign is no node
MATCHING_OVERLAP = 0.5  # the least squared overlap with the state that a field is taken for
CONVERGED_OVERLAP = 0.95  # the same of one that has converged: an error of about a fifth
CONVERGED_NORM = 0.1  # relative residual of a norm, of a field that has converged
LOST_NORM = 0.7  # the same, of a field that is lost
LEVEL_TOLERANCE = 2e-3  # of a level: how near to it a trained eigenvalue has to be
GAP_TOLERANCE = 1e-4  # of the distance to the next level, which counts for levels near 0
RESIDUAL_TOLERANCE = 2e-2  # the same by the residual alone, which bounds it from above
DEGENERACY_TOLERANCE = 1e-6  # of the distance between neighbouring levels, on the mean
ORTHOGONALITY_TOLERANCE = 0.5  # the largest residual of an orthogonality, for a state of norm 1
NODE_VALUE_TOLERANCE = 5e-3  # the largest residual of a value inside the domain, for a state of largest value 1


class StateWarning(UserWarning):
    """A trained eigenvalue is another state's than the one asked for, is none's, or could not be identified."""


@dataclass(frozen=True)
class State:
    """The state of a trained eigenvalue, identified by finite differences of the same operator.

    States are numbered from 0 in the order of their levels, away from the end where the spectrum begins: the ground
    state is 0. On a line a state has as many nodes as its number says, but for periodic conditions.

    Attributes:
        name: of the scalar.
        value: the trained one.
        asked: number of the state asked for: by `Problem.states`, else the nearest to the start in `Problem.scalars`
            among the states that fulfil all conditions. None if it is unknown, as of an equation that is not linear.
        found: number of the state whose level and shape the scalar and its field have; None if there is none.
        asked_level: the eigenvalue asked for, by finite differences; None if unknown.
        level: that of the state found, likewise.
        nodes: of the trained field on a line; None elsewhere.
        converged: whether the value agrees with the level to 0.2 %, the field has the shape of that state, and nothing
            about it is unknown.
        reason: why something is unknown or has not converged; empty if all is known and has.
    """

    name: str
    value: float
    asked: int | None = None
    found: int | None = None
    asked_level: float | None = None
    level: float | None = None
    nodes: int | None = None
    converged: bool = False
    reason: str = ""

    @property
    def is_asked(self) -> bool | None:
        """Tell whether the state found is the one asked for; None if one of them is unknown."""
        return None if self.asked is None or self.found is None else self.asked == self.found

    @property
    def is_right(self) -> bool:
        """Return True if the state asked for was found, and the value agrees with its level."""
        return bool(self.is_asked) and self.converged

    def __str__(self) -> str:
        """Describe the state in words."""
        asked = "" if self.asked is None else f"state {self.asked}{_level(self.asked_level)}"
        if self.is_right:
            return f"state {self.found}, as asked"
        if self.is_asked:
            return f"nearest to {asked}, as asked, but {self.reason}"
        if self.found is None:
            return f"of unknown state ({self.reason}){f', asked for {asked}' if asked else ''}"
        identified = f"state {self.found}{_level(self.level)}"
        if self.asked is None:
            return f"{identified}, {self.reason}"
        more = f" ({self.reason})" if self.reason else ""
        return f"{identified} instead of {asked}, which was asked for{more}"

    def as_json(self) -> dict[str, Any]:
        """Return the attributes, and whether the state is the one asked for."""
        return asdict(self) | {"is_asked": self.is_asked}


class Eigenstates:
    """The eigenvalues among the trained scalars of a model, and their states.

    Args:
        model: before it is trained; its problem says which states are asked for.
    """

    def __init__(self, model: "Pinn") -> None:
        self.model = model
        trained = {name for name, value in model.scalars.items() if value.requires_grad}
        equations_of = eigenvalue_equations(model) if trained else {}
        self.equations = {name: equations for name, equations in equations_of.items() if name in trained}
        unchecked = {name for name, state in model.problem.states.items() if state is None}
        self._checked = {name: part for name, part in self.equations.items() if name not in unchecked}

    def identify(self) -> dict[str, State]:
        """Return the state of each eigenvalue as the model is now."""
        values = self.model.found_scalars()
        return {name: self._identify(name, values[name]) for name in self._checked}

    def starts(self) -> dict[str, float]:
        """Return the start for each state asked for by number whose level is not the nearest to the given start."""
        starts = {}
        for name in self._checked:
            spectrum, start = self._spectra[name], self.model.problem.scalars[name]
            if self.model.problem.states.get(name) is None or isinstance(spectrum, UnknownSpectrum):
                continue
            asked, levels, _, _ = self._asked(name, spectrum)
            if _nearest(levels, spectrum.place_of(start)) != asked:
                starts[name] = spectrum.value_at(levels[asked])
        return starts

    def asked_levels(self) -> dict[str, float]:
        """Return the level of each state asked for that is known."""
        asked_levels = {}
        for name in self._checked:
            spectrum = self._spectra[name]
            if isinstance(spectrum, OperatorSpectrum):
                asked, levels, _, _ = self._asked(name, spectrum)
                asked_levels[name] = spectrum.value_at(levels[asked])
        return asked_levels

    @cached_property
    def _spectra(self) -> dict[str, OperatorSpectrum | UnknownSpectrum]:
        return spectra(self.model, self._checked)

    def _identify(self, name: str, value: float) -> State:
        spectrum = self._spectra[name]
        if not math.isfinite(value):
            return State(name, value, reason="it is not finite")
        if isinstance(spectrum, UnknownSpectrum):
            return self._by_nodes(name, value, str(spectrum))
        try:
            asked, levels, errors, states = self._asked(name, spectrum, spectrum.place_of(value))
        except UnknownSpectrum as error:
            return State(name, value, self.model.problem.states.get(name), reason=str(error))
        field = self._field(spectrum.field, spectrum.points)
        number, agrees, reason = _match(spectrum, value, field, levels, errors, states)
        missing, why = self._missing_norm(spectrum.field)
        if missing > CONVERGED_NORM:
            number, agrees, reason = number if missing < LOST_NORM else None, False, why
        if number is not None and asked in _group(levels, errors, number):
            number = asked
        return State(
            name,
            value,
            asked,
            number,
            asked_level=spectrum.value_at(levels[asked]),
            level=None if number is None else spectrum.value_at(levels[number]),
            nodes=count_nodes(field) if len(self.model.problem.coordinates) == 1 else None,
            converged=agrees,
            reason=reason,
        )

    def _by_nodes(self, name: str, value: float, why: str) -> State:
        """Identify a state without levels: on a line its number of nodes tells it, for an equation of second order."""
        problem, asked = self.model.problem, self.model.problem.states.get(name)
        (axis, *others), equations = problem.coordinates, self._checked[name]
        fields = {
            item.field
            for equation in equations
            for asked_for in problem.equation_names[equation]
            if (item := problem.derivative(asked_for)) is not None
        }
        if others or len(fields) != 1 or problem.orders[next(iter(fields))].get(axis, 0) != 2:
            return State(name, value, asked, reason=f"its level cannot be computed by finite differences: {why}")
        points = np.linspace(*problem.domain.intervals[axis], 2001)[1:-1, None]
        nodes = count_nodes(self._field(next(iter(fields)), points))
        missing, lost = self._missing_norm(next(iter(fields)))
        off = self._off(name, value, points) / max(abs(value), 1e-300)
        if missing > CONVERGED_NORM or not off <= RESIDUAL_TOLERANCE:
            reason = lost if missing > CONVERGED_NORM else f"its residual leaves {name} open by {off:.1%}"
            return State(name, value, asked, None if missing > LOST_NORM else nodes, nodes=nodes, reason=reason)
        reason = "" if asked is not None else f"by its nodes alone, since {why}; ask by a number in `states`"
        return State(name, value, asked, nodes, nodes=nodes, converged=asked is not None, reason=reason)

    def _off(self, name: str, value: float, points: np.ndarray) -> float:
        """Return |r| / |dr/dE| of the residual r of the equations of E: how far from E an eigenvalue may be."""
        problem, rows = self.model.problem, self.model.as_points(points)
        squares = np.zeros(2)
        for equation in self._checked[name]:
            values = self.model.evaluate(rows, problem.equation_names[equation])
            step = 1e-3 * max(1.0, abs(value))
            residual, shifted = (
                problem.equations[equation](**(values | {name: values[name] + shift})).detach() for shift in (0.0, step)
            )
            squares += [float(residual.square().mean()), float(((shifted - residual) / step).square().mean())]
        return math.sqrt(squares[0] / squares[1]) if squares[1] else math.inf

    def _missing_norm(self, field: str) -> tuple[float, str]:
        """Return the largest relative residual of conditions that keep a field from vanishing, and a reason with it."""
        problem, worst = self.model.problem, (0.0, "")
        for condition in problem.conditions:
            fields = {item.field for name in condition.names if (item := problem.derivative(name)) is not None}
            if fields != {field} or not isinstance(condition, Integral | Observations):
                continue
            size = abs(condition.value) if isinstance(condition, Integral) else float(np.abs(condition.measured).max())
            if size == 0.0:
                continue
            points = self.model.as_points(condition.points(problem.domain, 1, 0))
            residual = condition.residual(self.model.evaluate(points, condition.names)).detach()
            missing = float(residual.square().mean().sqrt()) / size
            if missing > worst[0]:
                worst = missing, f"its field misses condition `{condition.name}` by {missing:.2g} of its value"
        return worst

    def _field(self, name: str, points: np.ndarray) -> np.ndarray:
        return self.model.predict(points)[:, self.model.problem.fields.index(name)]

    def _asked(
        self, name: str, spectrum: OperatorSpectrum, *places: float
    ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Return the number asked for, and levels, errors and states that reach it and the values f(E).

        Raises:
            UnknownSpectrum: too many levels.
        """
        problem = self.model.problem
        start, number = spectrum.place_of(problem.scalars[name]), problem.states.get(name)
        levels, errors, states = spectrum.levels(start, *places)
        while number is not None and number >= len(levels) - 1:
            levels, errors, states = spectrum.levels(float(levels[-1]))
        if number is not None:
            return number, levels, errors, states
        allowed = self._allowed(spectrum, states)
        while not allowed[:-1].any():
            levels, errors, states = spectrum.levels(float(levels[-1]))
            allowed = self._allowed(spectrum, states)
        distances = np.where(allowed, np.abs(levels - start), math.inf)
        return int(distances.argmin()), levels, errors, states

    def _allowed(self, spectrum: OperatorSpectrum, states: np.ndarray) -> np.ndarray:
        """Tell which states fulfil the conditions that single out some of them."""
        allowed = np.ones(states.shape[1], bool)
        for condition in extra_conditions(self.model, spectrum.field):
            residuals = [self._residual(condition, spectrum, column) for column in spectrum.fields_of(states).T]
            allowed &= np.array(residuals) < 1.0
        return allowed

    def _residual(self, condition: Condition, spectrum: OperatorSpectrum, values: np.ndarray) -> float:
        """Return the residual of a condition for a state, over what is taken for zero."""
        from scipy.interpolate import RegularGridInterpolator

        problem, model = self.model.problem, self.model
        points = condition.points(problem.domain, 9, 0)
        axes = [np.unique(column) for column in spectrum.points.T]
        shaped = values.reshape([len(axis) for axis in axes])
        beyond: Any = None  # extrapolates to the faces, half a cell away
        grid = RegularGridInterpolator(axes, shaped, bounds_error=False, fill_value=beyond)
        column = grid(points[:, : len(axes)])
        known = {name: model.as_points(points[:, index]) for index, name in enumerate(problem.coordinates)}
        known |= {name: torch.full_like(next(iter(known.values())), start) for name, start in problem.scalars.items()}
        norm = 1.0
        if points.shape[1] > len(axes):
            known["quadrature_weight"] = model.as_points(points[:, -1])
            norm = math.sqrt(float(points[:, -1] @ column**2))
        known[spectrum.field] = model.as_points(column / norm)
        if any(name not in known for name in condition.names):
            raise UnknownSpectrum(f"condition `{condition.name}` asks for derivatives")
        with torch.no_grad():
            residual = condition.residual({name: known[name] for name in condition.names})
        limit = ORTHOGONALITY_TOLERANCE if points.shape[1] > len(axes) else NODE_VALUE_TOLERANCE
        return float(torch.as_tensor(residual).abs().max()) / limit


def count_nodes(values: np.ndarray) -> int:
    """Count changes of sign along a line, where a function exceeds a hundredth of its largest value."""
    seen = values[np.abs(values) > NODE_AMPLITUDE * np.abs(values).max()]
    return int((np.sign(seen[1:]) != np.sign(seen[:-1])).sum())


def _match(
    spectrum: OperatorSpectrum,
    value: float,
    field: np.ndarray,
    levels: np.ndarray,
    errors: np.ndarray,
    states: np.ndarray,
) -> tuple[int | None, bool, str]:
    """Return the state that a value and a field belong to, whether they agree, and what is amiss."""
    place, shares = spectrum.place_of(value), spectrum.shares(field, states)
    groups = [_group(levels, errors, index) for index in range(len(levels))]
    grouped = np.array([shares[group].sum() for group in groups])
    alike, near = int(grouped.argmax()), _nearest(levels, place)
    alike = max(groups[alike], key=lambda index: shares[index])
    if not grouped[alike] >= MATCHING_OVERLAP:
        return None, False, f"its field has no more than {grouped[alike]:.0%} of any state"
    level = spectrum.value_at(levels[alike])
    spacings = np.abs(np.delete(levels, groups[alike]) - levels[alike])
    unit = abs(spectrum.value_at(levels[alike] + 1e-3) - level) / 1e-3 if math.isfinite(level) else math.nan
    limit = LEVEL_TOLERANCE * abs(level) + unit * (GAP_TOLERANCE * spacings.min(initial=math.inf) + 2 * errors[alike])
    if abs(value - level) <= limit:
        settled = bool(grouped[alike] >= CONVERGED_OVERLAP)
        return alike, settled, "" if settled else f"its field has only {grouped[alike]:.0%} of that state"
    if near not in groups[alike]:
        return None, False, f"{value:.6g} is nearest to state {near}, but its field resembles state {alike}"
    return alike, False, f"{value:.6g} is not its level {level:.6g}"


def _group(levels: np.ndarray, errors: np.ndarray, index: int) -> list[int]:
    """Return the states whose levels are the same up to the errors of both."""
    limits = DEGENERACY_TOLERANCE * (levels[-1] - levels[0]) / max(1, len(levels) - 1) + errors + errors[index]
    return [int(other) for other in np.flatnonzero(np.abs(levels - levels[index]) <= limits)]


def _nearest(levels: np.ndarray, place: float) -> int:
    return int(np.abs(levels - place).argmin())


def _level(value: float | None) -> str:
    return "" if value is None else f" ({value:.6g})"
