"""The loss of a problem in its parts, at points that stay until others are drawn."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qml.pinn.conditions import Condition
from qml.pinn.model import Pinn
from qml.pinn.names import Residual
from qml.pinn.training.methods import Causal


class Term(NamedTuple):
    """Residuals that one evaluation yields.

    Attributes:
        points: rows, with quadrature weights as a last column where an integral has them.
        names: of the values that are evaluated at the points.
        functions: name in the loss to residual of the values.
        n_sides: see `Condition`.
    """

    points: Tensor
    names: tuple[str, ...]
    functions: Mapping[str, Residual]
    n_sides: int


class LossParts:
    """Mean squared residuals by name: the equations at collocation points, the conditions at theirs.

    Args:
        model: the model to train.
        points: collocation points (batch, coordinates).
        n_condition_points: points on each face.
        seed: of those.
        causal: weights over slices of time, on the equations.
        only: names of the conditions that count; None is all that are not exact.
    """

    def __init__(
        self,
        model: Pinn,
        points: np.ndarray,
        *,
        n_condition_points: int,
        seed: int,
        causal: Causal | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self.model, self.causal = model, causal
        problem = model.problem
        self.names = tuple(dict.fromkeys(name for names in problem.equation_names.values() for name in names))
        self.conditions = tuple(
            condition
            for condition in problem.conditions
            if not condition.exact and (only is None or condition.name in only)
        )
        self._condition_points = [
            model.as_points(condition.points(problem.domain, n_condition_points, seed + 1 + index))
            for index, condition in enumerate(self.conditions)
        ]
        width = len(problem.coordinates)
        plain = [index for index, condition in enumerate(self.conditions) if self._is_plain(condition)]
        faces = [self._condition_points[index][:, :width] for index in plain]
        self._plain = {index: len(face) for index, face in zip(plain, faces, strict=True)}
        self._plain_points = torch.cat(faces) if faces else None
        self.epsilon_index = 0
        self.slice_weights: Tensor | None = None
        self.point_weights: Tensor | None = None
        self._is_fixed = False
        self.set_points(model.as_points(points))

    def set_points(self, points: Tensor) -> None:
        """Take other collocation points; weights of single points are forgotten."""
        self.points, self.point_weights = points, None
        if self.causal is not None:
            problem = self.model.problem
            interval = problem.domain.interval(self.causal.coordinate, "`causal`")
            times = points[:, problem.coordinates.index(self.causal.coordinate)]
            self._slices = self.causal.slices(times, interval)
            sizes = torch.bincount(self._slices, minlength=self.causal.n_slices)
            if (sizes == 0).any():
                raise ValueError(
                    f"Argument `n_points` must put points into each of {self.causal.n_slices} slices of time, but "
                    f"{len(points)} leave some empty. Pass more points, or fewer slices."
                )
            self._sizes = sizes.to(points.dtype)

    @contextmanager
    def fixed_causal_weights(self, *, renew: bool) -> Iterator[None]:
        """Keep the causal weights as they are within the block, for an optimiser that needs a fixed loss.

        Args:
            renew: whether they are computed once more at its beginning.
        """
        if renew and self.causal is not None:
            self.parts()
        self._is_fixed = True
        try:
            yield
        finally:
            self._is_fixed = False

    def residuals(self, points: Tensor) -> dict[str, Tensor]:
        """Return the residuals of each equation, (batch,)."""
        return self._residuals_of(self.model.evaluate(points, self.names))

    def parts(self) -> dict[str, Tensor]:
        """Return the mean squared residuals, equations first, before weights of conditions."""
        shared: Mapping[str, Tensor] = {}
        if self._plain_points is None:
            values = self.model.evaluate(self.points, self.names)
        else:
            values, shared = self.model.evaluate_both(self.points, self.names, self._plain_points)
        residuals = self._residuals_of(values)
        if self.causal is None and self.point_weights is None:
            parts = {name: _mean_square(residual) for name, residual in residuals.items()}
        else:
            squares = {name: residual.square() for name, residual in residuals.items()}
            weights = self.weights_of_points(squares)
            parts = {name: (square if weights is None else weights * square).mean() for name, square in squares.items()}
        of_conditions = self._condition_residuals(shared)
        return parts | {condition.name: _mean_square(residual) for condition, residual in of_conditions}

    def weights_of_points(self, squares: Mapping[str, Tensor]) -> Tensor | None:
        """Return the weights of the equations' squared residuals, (batch,); None where all are 1."""
        weights = self.point_weights
        if self.causal is not None:
            causal = self._causal_weights(squares, self.causal)
            weights = causal if weights is None else weights * causal
        return weights

    def terms(self) -> list[Term]:
        """Return the residuals as terms: one of all equations, one for each condition."""
        problem = self.model.problem

        def equation(name: str) -> Residual:
            asked = problem.equation_names[name]
            return lambda **values: problem.equations[name](**{key: values[key] for key in asked})

        equations = Term(self.points, self.names, {name: equation(name) for name in problem.equations}, 1)
        conditions = [
            Term(points, condition.names, {condition.name: _residual_of(condition)}, condition.n_sides)
            for condition, points in zip(self.conditions, self._condition_points, strict=True)
        ]
        return [equations, *conditions]

    def _residuals_of(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        problem = self.model.problem
        return {
            name: problem.equations[name](**{asked: values[asked] for asked in names})
            for name, names in problem.equation_names.items()
        }

    def _condition_residuals(self, shared: Mapping[str, Tensor]) -> Iterator[tuple[Condition, Tensor]]:
        """Yield the conditions with their residuals.

        Conditions on values alone read these from `shared`, where they stand one after the other.
        """
        sizes = list(self._plain.values())
        pieces = {name: iter(_split(values, sizes)) for name, values in shared.items()}
        for index, condition in enumerate(self.conditions):
            points = self._condition_points[index]
            if index in self._plain:
                fields = {name: next(values) for name, values in pieces.items()}
                others = [name for name in condition.names if name not in fields]
                values = {name: fields[name] for name in condition.names if name in fields}
                if others:
                    values |= self.model.evaluate(points, others)
            else:
                values = self.model.evaluate(points, condition.names)
            yield condition, condition.residual(values)

    def _is_plain(self, condition: Condition) -> bool:
        items = map(self.model.problem.derivative, condition.names)
        return all(item is None or not item.order for item in items)

    def _causal_weights(self, squares: Mapping[str, Tensor], causal: Causal) -> Tensor:
        """Return the causal weight of each point, renewed unless the weights are fixed."""
        if not self._is_fixed or self.slice_weights is None:
            total = torch.stack([square.detach() for square in squares.values()]).sum(0)
            losses = total.new_zeros(causal.n_slices).index_add_(0, self._slices, total) / self._sizes
            before = torch.cumsum(losses, 0) - losses
            self.slice_weights = torch.exp(-causal.epsilons[self.epsilon_index] * before)
            solved = float(self.slice_weights.min()) > causal.threshold
            if solved and self.epsilon_index + 1 < len(causal.epsilons):
                self.epsilon_index += 1
        return self.slice_weights[self._slices]


def weighed_total(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum of the parts, each times its weight, 1 where it has none."""
    weighed = (part if weights.get(name, 1.0) == 1.0 else weights[name] * part for name, part in parts.items())
    return reduce(torch.add, weighed)


def _split(values: Tensor, sizes: list[int]) -> Sequence[Tensor]:
    """Split rows into pieces, without a node in the graph where there is one piece."""
    return values.split(sizes) if len(sizes) > 1 else (values,)


def _mean_square(residual: Tensor) -> Tensor:
    """Call the ATen kernel directly, which skips the checks of `functional.mse_loss`."""
    return torch.ops.aten.mse_loss.default(residual, torch.zeros_like(residual))


def _residual_of(condition: Condition) -> Residual:
    return lambda **values: condition.residual(values)
