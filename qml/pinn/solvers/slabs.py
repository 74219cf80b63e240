"""Time slabs of any problem: a network for each, whose initial data are the end of the slab before."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qml import checks
from qml.jets.jet import Array
from qml.pinn.conditions import Condition, Face, Periodic
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.names import Residual, arguments_of
from qml.pinn.problem import Problem
from qml.pinn.solvers.windows import Windows, march
from qml.pinn.training.options import OnStep, Training


@dataclass(frozen=True)
class Slabs:
    """Slabs of time: where they are cut, and how each begins from the one before.

    A slab's network gets time stretched to the whole interval, so that the weights of the slab before suit it. Its
    initial data are either a condition in the loss, or exact by the trial function u_before(x, t0) + (t - t0) N, with
    u_before the frozen network of the slab before. That one holds the network before it in turn: exact data of slab k
    cost k evaluations of a network without gradients.

    Args:
        edges: of the slabs, rising, from the beginning of the problem's time to its end.
        coordinate: time.
        weight: of the initial data in the loss of every slab but the first; None makes them exact.
        trial: of every slab but the first, from coordinates and the network's outputs, to the fields with a weight, or
            to N without: a function that vanishes where boundary values do. None takes the outputs.
        warm: whether a network starts from the weights of the one before, or from those of the seed.
        fresh: share of the seed's weights that is added to those, against symmetries that a network keeps.

    Reference:
        Wang, Sankaran, Perdikaris, arXiv:2203.07404, section 4, for windows of time. Webb, Jerad, Cartis,
        arXiv:2607.02194, for data in the loss, warm starts and a share of 0.01.
    """

    edges: tuple[float, ...]
    coordinate: str = "t"
    weight: float | None = 100.0
    trial: Residual | None = None
    warm: bool = True
    fresh: float = 0.01

    def __post_init__(self) -> None:
        checks.settle_numbers(self, floats=("weight", "fresh"), optional=("weight",))
        object.__setattr__(self, "edges", tuple(checks.as_number(edge, "edges") for edge in self.edges))
        if len(self.edges) < 2 or any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"Argument `edges` must hold at least two rising times, but is {self.edges}.")
        if (self.weight is not None and not self.weight > 0) or not self.fresh >= 0:
            raise ValueError(
                f"Arguments `weight` and `fresh` must be above 0 (or None) and at least 0, but are {self.weight} and "
                f"{self.fresh}."
            )

    def posed(self, problem: Problem, low: float, high: float, before: Pinn | None) -> Problem:
        """Return the problem on the slab from `low` to `high`, after the network of the slab before.

        Raises:
            ValueError: a slab outside the problem's time, a condition that cannot be cut, or initial slopes that are
                to be exact.
        """
        start, end = problem.domain.interval(self.coordinate, "`slabs`")
        if not start <= low < high <= end or (before is None and low != start):
            raise ValueError(
                f"Argument `edges` must begin where {self.coordinate} does, and lie in its interval [{start:g}, "
                f"{end:g}], but has a slab [{low:g}, {high:g}]."
            )
        for condition in problem.conditions:
            self._require_cut(condition, start)
        names = self._started(problem, start)
        conditions, trial = problem.conditions, problem.trial
        if before is not None:
            kept = (item for item in conditions if not self._begins(item, start))
            conditions = (*kept, *(self._start(problem, name, low, before) for name in names))
            trial = self._exact(problem, names, low, before) if self.weight is None else self.trial
        return replace(
            problem,
            name=f"{problem.name} [{low:g}, {high:g}]",
            domain=Box({**problem.domain.intervals, self.coordinate: (low, high)}, problem.domain.breaks),
            features=self._stretched(problem, (low, high), (start, end)),
            conditions=conditions,
            trial=trial,
        )

    def _start(self, problem: Problem, name: str, low: float, before: Pinn) -> Face:
        """Return the condition that a field, or its slope, begins as the network before ends."""
        others = tuple(axis for axis in problem.coordinates if axis != self.coordinate)

        def residual(**values: Any) -> Tensor:
            known = {self.coordinate: torch.full_like(values[name], low), **values}
            points = torch.stack([known[axis] for axis in problem.coordinates], -1).detach()
            return values[name] - before.evaluate(points, (name,))[name].detach()

        weight = 1.0 if self.weight is None else self.weight
        return Face(
            f"start {name}", {self.coordinate: low}, _naming(residual, (name, *others)), weight, self.weight is None
        )

    def _begins(self, condition: Condition, start: float) -> bool:
        return isinstance(condition, Face) and condition.at.get(self.coordinate) == start

    def _require_cut(self, condition: Condition, start: float) -> None:
        fixes_another = isinstance(condition, Face) and condition.at.get(self.coordinate, start) != start
        if not isinstance(condition, Face | Periodic) or fixes_another:
            raise ValueError(
                f"Condition `{condition.name}` must be periodic, or hold on a face at all times or at the start, to be "
                "cut into slabs. Use `train_in_windows` with a pose of your own."
            )

    def _started(self, problem: Problem, start: float) -> tuple[str, ...]:
        """Return the fields, and their slopes in time, that the initial conditions are about.

        Raises:
            ValueError: no initial condition, one of a higher derivative, or a slope where data are to be exact.
        """
        names: list[str] = []
        for condition in problem.conditions:
            items = map(problem.derivative, condition.names) if self._begins(condition, start) else ()
            for item in items:
                axes = None if item is None else tuple(axis for axes, _ in item.terms for axis in axes)
                if item is not None and axes and any(axis == self.coordinate for axis in axes):
                    if axes != (self.coordinate,) or self.weight is None:
                        raise ValueError(
                            f"Condition `{condition.name}` must ask for a field, or its first derivative in "
                            f"{self.coordinate} with a `weight` of the slabs."
                        )
                    names.append(f"{item.field}_{self.coordinate}")
                elif item is not None:
                    names.append(item.field)
        if not names:
            raise ValueError(f"Argument `problem` must have an initial condition at {self.coordinate} = {start:g}.")
        return tuple(dict.fromkeys(names))

    def _stretched(self, problem: Problem, slab: tuple[float, float], whole: tuple[float, float]) -> Residual:
        """Return the features with time stretched from the slab to the whole interval."""
        scale = (whole[1] - whole[0]) / (slab[1] - slab[0])
        asked = problem.coordinates if problem.features is None else arguments_of(problem.features, "features")

        def features(**columns: Any) -> tuple[Any, ...]:
            if self.coordinate in columns:
                columns[self.coordinate] = (columns[self.coordinate] - slab[0]) * scale + whole[0]
            return tuple(columns.values()) if problem.features is None else problem.features(**columns)

        return _naming(features, asked)

    def _exact(self, problem: Problem, names: Sequence[str], low: float, before: Pinn) -> Residual:
        """Return the trial function u_before(x, t0) + (t - t0) N."""
        frozen = copy.deepcopy(before).requires_grad_(requires_grad=False)
        trial, coordinates = self.trial, problem.coordinates
        asked = () if trial is None else arguments_of(trial, "trial")

        def fields(**values: Any) -> tuple[Array, ...]:
            time = values[self.coordinate]
            start = [time * 0.0 + low if axis == self.coordinate else values[axis] for axis in coordinates]
            known: Mapping[str, Any] = frozen.columns_at(torch.stack(start, -1))
            outputs = tuple(values[name] for name in problem.fields)
            if trial is not None:
                made = trial(**{name: values[name] for name in asked})
                outputs = made if isinstance(made, tuple) else (made,)
            return tuple(
                known[name] + (time - low) * output if name in names else output
                for name, output in zip(problem.fields, outputs, strict=True)
            )

        return _naming(fields, (*coordinates, *problem.fields))


def train_in_slabs(
    problem: Problem,
    trunk: Callable[[Problem, torch.Generator], nn.Module],
    training: Training,
    slabs: Slabs,
    *,
    seed: int,
    on_step: OnStep | None = None,
    checkpoint: Path | str | None = None,
) -> Windows:
    """Train a network for each slab of time, from the end of the one before.

    Args:
        problem: with initial conditions; other conditions are periodic or hold on faces at all times.
        trunk: from a problem to its network, which is of the same shape for every slab.
        training: of each slab.
        slabs: how time is cut.
        seed: of the first weights and of all points.
        on_step: told of progress.
        checkpoint: a .safetensors file, from whose name those of the slabs are made: "run.safetensors" becomes
            "run-0.safetensors" and so on. A run that was stopped goes on in the slab where it was.

    Raises:
        DivergenceError: the loss of a slab is not finite.
        ValueError: a problem that cannot be cut, or a checkpoint of other settings.
    """
    return march(
        lambda low, high, before: slabs.posed(problem, low, high, before),
        trunk,
        training,
        edges=slabs.edges,
        seed=seed,
        coordinate=slabs.coordinate,
        fresh=slabs.fresh if slabs.warm else None,
        on_step=on_step,
        checkpoint=checkpoint,
    )


def _naming(function: Callable[..., Any], names: Sequence[str]) -> Residual:
    """Let a function of keywords say which it takes, as residuals do by their arguments."""
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    function.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return function
