"""First derivatives from rows: the shift rule, and simultaneous perturbation as the cheap option.

How a budget of shots is split by variance: the gradient is a sum of coefficient times mean over runs. At a fixed number
of runs the variance of the sum is least where each circuit gets runs in proportion to |coefficient| times the standard
deviation of one run (Neyman allocation, J. R. Stat. Soc. 97, 558 (1934), equation for optimum allocation; for
observables: Arrasmith et al., arXiv:2004.06252). Here the coefficient is the shift rule's times the incoming gradient,
and the deviation sum_m |g_m| sigma_m is the one that earlier backward passes of the same circuit measured for the same
shift (`Spread`); for the first pass it is its bound, the observable's norm. The bases of one row, in a forward pass
too, get shots in proportion to their coefficients (`qml.backends.shift.sampled`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from qml.backends.shift.expanded import Expanded

Part = tuple[np.ndarray, int | None]
Means = tuple[np.ndarray, np.ndarray | None]
"""Means (rows, columns) of a part, and their standard errors, where there are shots."""
Shift = tuple[int, float]
"""A use of a slot, and how far it is shifted."""

PRIOR_SHOTS = 1.0  # that the bound of a deviation counts for: a few equal outcomes do not make it zero
KEPT = 0.5  # of what earlier passes measured, with every further one: weights move
LEVELS_AN_OCTAVE = 2  # shot numbers are rounded to powers of sqrt(2), so that few parts differ


@dataclass(frozen=True, eq=False)
class SPSA:
    """Gradients by simultaneous perturbation: all angles of a sample move together, in random directions.

    Two rows a sample and direction, whatever the number of angles; unbiased up to O(radius**2), with a variance that
    grows with the number of angles.

    Args:
        generator: of the directions.
        directions: how many are averaged.
        radius: how far, in radians.

    Reference:
        Spall, IEEE Trans. Autom. Control 37, 332 (1992), equation 2.2.
    """

    generator: torch.Generator = field(default_factory=torch.Generator)
    directions: int = 1
    radius: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.directions, bool) or not isinstance(self.directions, int) or self.directions < 1:
            raise ValueError(f"Argument `directions` must be an int of at least 1, but is {self.directions!r}.")
        if not 0.0 < self.radius < np.inf:
            raise ValueError(f"Argument `radius` must be positive and finite, but is {self.radius!r}.")


@dataclass(eq=False)
class Spread:
    """What backward passes have measured of the deviation of one run at each shift, for one circuit and its columns.

    Args:
        bounds: of the deviations, (columns,).
    """

    bounds: np.ndarray
    _seen: dict[Shift, tuple[float, np.ndarray]] = field(default_factory=dict)

    def deviations(self, shift: Shift) -> np.ndarray:
        """Of one run, (columns,)."""
        n, squares = self._seen.get(shift, (0.0, np.zeros_like(self.bounds)))
        return np.sqrt((squares + PRIOR_SHOTS * self.bounds**2) / (n + PRIOR_SHOTS))

    def add(self, shift: Shift, shots: np.ndarray, errors: np.ndarray) -> None:
        """Take in the standard errors (rows, columns) of means over `shots` (rows,) runs."""
        n, squares = self._seen.get(shift, (0.0, np.zeros_like(self.bounds)))
        # errors**2 * shots is the variance of one run, and it is weighed by the number of runs
        found = (errors**2 * shots[:, None] ** 2).sum(0)
        self._seen[shift] = KEPT * n + float(shots.sum()), KEPT * squares + found


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One circuit whose rows can be run.

    Args:
        expanded: the circuit.
        run: parts of rows to means and their standard errors each, in one job.
        shots: of each row; None where values are exact.
        gradient: how derivatives are taken.
        spread: what is known of the deviations, to divide shots by them in a backward pass; None divides equally.
    """

    expanded: Expanded
    run: Callable[[Sequence[Part]], list[Means]]
    shots: int | None
    gradient: Literal["shift"] | SPSA
    spread: Spread | None

    def values(self, points: np.ndarray) -> np.ndarray:
        """Values (points, columns) in one job, equal points once."""
        return self.measured(points, None)[0]

    def measured(self, points: np.ndarray, importance: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (points, columns) in one job, equal points once, their standard errors, and shots (points,).

        Args:
            points: angles and amplitudes.
            importance: (points,), |coefficient| times deviation; None divides the shots equally.
        """
        rows, scale = self.expanded.rows(points)
        distinct, place = _distinct(rows)
        parts = [np.arange(len(distinct))]
        shots: list[int | None] = [self.shots]
        if importance is not None and self.shots is not None:
            weight = np.zeros(len(distinct))
            np.add.at(weight, place, importance * scale)
            parts, shots = split_shots(weight, self.shots)
        found = self.run([(distinct[part], count) for part, count in zip(parts, shots, strict=True)])
        values = np.empty((len(distinct), found[0][0].shape[1]))
        errors, taken = np.zeros_like(values), np.zeros(len(distinct))
        for part, (means, some), count in zip(parts, found, shots, strict=True):
            values[part], taken[part] = means, count or 0
            errors[part] = 0.0 if some is None else some
        return values[place] * scale[:, None], errors[place], taken[place]


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and which of them each row is."""
    if rows.shape[1] == 0:
        return rows[:1], np.zeros(len(rows), int)
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    return distinct, place.reshape(-1)


def split_shots(weight: np.ndarray, shots: int) -> tuple[list[np.ndarray], list[int | None]]:
    """Circuits grouped by their shots: in proportion to their weights, `shots` on average, at least one each.

    Args:
        weight: for each circuit, |coefficient| times standard deviation, up to a factor.
        shots: the average.
    """
    largest = weight.max(initial=0.0)
    if largest <= 0.0:
        return [np.arange(len(weight))], [shots]
    level = np.maximum(np.round(LEVELS_AN_OCTAVE * np.log2(np.maximum(weight / largest, 1e-6))), -20)
    share = 2.0 ** (level / LEVELS_AN_OCTAVE)
    counts = np.maximum(1, np.floor(share * shots * len(weight) / share.sum())).astype(int)
    return [np.flatnonzero(counts == count) for count in np.unique(counts)], [int(count) for count in np.unique(counts)]


class Values(torch.autograd.Function):
    """The values of an evaluation at every sample, once differentiable."""

    @staticmethod
    def forward(evaluation: Evaluation, data: Tensor, weights: Tensor) -> Tensor:
        """Shape (batch, columns), in the dtype of the data."""
        points = evaluation.expanded.points(*_arrays(data, weights))
        return torch.from_numpy(evaluation.values(points)).to(data)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Evaluation, Tensor, Tensor], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.evaluation = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        """The vector-Jacobian product, as a function that refuses to be differentiated itself."""
        data, weights = ctx.saved_tensors
        needs = ctx.needs_input_grad[1], ctx.needs_input_grad[2]
        by_data, by_weights = Pullback.apply(ctx.evaluation, needs, grads[0], data, weights)
        return None, by_data if needs[0] else None, by_weights if needs[1] else None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """Refuse: a device runs batches, and nothing inside of them."""
        raise RuntimeError("torch.func.vmap must go over Native(), which has it. Here, pass a batch instead.")


class Pullback(torch.autograd.Function):
    """The vector-Jacobian product. `once_differentiable` would not do: a constant `grad` makes it silently zero."""

    @staticmethod
    def forward(
        evaluation: Evaluation, needs: tuple[bool, bool], grad: Tensor, data: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients by data and by weights; zeros where they are not needed."""
        arrays = _arrays(data, weights)
        take = shifted if evaluation.gradient == "shift" else perturbed
        found = take(evaluation, grad.detach().cpu().double().numpy(), *arrays, needs)
        return torch.from_numpy(found[0]).to(grad), torch.from_numpy(found[1]).to(grad)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Refuse."""
        raise RuntimeError(
            "Backends that run rows of angles are only once differentiable (capability `derivative_order`). Use "
            "Native(), which has derivatives of any order."
        )

    vmap = Values.vmap


def shifted(
    evaluation: Evaluation, grad: np.ndarray, data: np.ndarray, weights: np.ndarray, needs: tuple[bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """The vector-Jacobian product by the shift rule, all shifts of all samples in one job.

    Samples to which no gradient comes back, and slots whose gradient nobody wants, are not run.
    """
    gradients = np.zeros_like(data), np.zeros_like(weights)
    samples = np.flatnonzero(np.abs(grad).sum(1))
    uses = evaluation.expanded.uses
    terms = [
        (column, shift, coefficient)
        for column, use in enumerate(uses)
        if needs[use.slot.kind == "weight"]
        for shift, coefficient in use.shifts()
    ]
    if not terms or not len(samples):
        return gradients
    base = evaluation.expanded.points(data[samples], weights)
    points = np.repeat(base[None], len(terms), axis=0)
    coefficients = np.array([coefficient for _, _, coefficient in terms])
    for number, (column, shift, _) in enumerate(terms):
        points[number, :, column] += shift
    importance, spread = None, evaluation.spread
    if spread is not None:
        deviations = np.array([spread.deviations((column, shift)) for column, shift, _ in terms])
        importance = (np.abs(coefficients)[:, None] * (deviations @ np.abs(grad[samples]).T)).reshape(-1)
    values, errors, shots = evaluation.measured(points.reshape(-1, base.shape[1]), importance)
    by_term = (len(terms), len(samples))
    if spread is not None:
        found = zip(terms, shots.reshape(by_term), errors.reshape(*by_term, -1), strict=True)
        for (column, shift, _), counts, some in found:
            spread.add((column, shift), counts, some)
    slopes = np.einsum("tbm,bm->tb", values.reshape(*by_term, -1), grad[samples])
    for (column, _, coefficient), slope in zip(terms, slopes, strict=True):
        slot = uses[column].slot
        if slot.kind == "data":
            gradients[0][samples, slot.index] += coefficient * slope
        else:
            gradients[1][slot.index] += coefficient * slope.sum()
    return gradients


def perturbed(
    evaluation: Evaluation, grad: np.ndarray, data: np.ndarray, weights: np.ndarray, needs: tuple[bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """An estimate of the vector-Jacobian product: both sides of random directions, one for each sample, in one job."""
    spsa = evaluation.gradient
    if not isinstance(spsa, SPSA):
        raise TypeError(f"Argument `gradient` must be an SPSA object, but is {spsa!r}.")
    shapes = (spsa.directions, *data.shape), (spsa.directions, len(data), len(weights))
    signs = [
        (2.0 * torch.randint(0, 2, shape, generator=spsa.generator) - 1.0).double().numpy() * float(needed)
        for shape, needed in zip(shapes, needs, strict=True)
    ]
    points = [
        evaluation.expanded.points(data + side * spsa.radius * by_data, weights + side * spsa.radius * by_weights)
        for by_data, by_weights in zip(*signs, strict=True)
        for side in (1.0, -1.0)
    ]
    values = evaluation.values(np.concatenate(points)).reshape(spsa.directions, 2, len(data), -1)
    slopes = np.einsum("dbm,bm->db", values[:, 0] - values[:, 1], grad) / (2.0 * spsa.radius)
    by_data, by_weights = (slopes[..., None] * sign for sign in signs)
    return by_data.mean(0), by_weights.sum(1).mean(0)


def _arrays(data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return data.detach().cpu().double().numpy(), weights.detach().cpu().double().numpy()
