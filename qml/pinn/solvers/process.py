"""Linear equations solved by a Gaussian process whose spectrum is trained: the kernel baseline of the networks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.pinn.conditions import QUADRATURE, Face, Observations
from qml.pinn.names import Residual
from qml.pinn.problem import Problem

JITTER = 1e-10  # of the noise's least variance, as a share of each row's own variance
LAG_DIGITS = 9  # decimals of differences of coordinates that count as equal, in units of the domain


class SpectralKernel(nn.Module):
    """A product over coordinates of k_j(d) = sum_q w_jq exp(-2 pi^2 v_jq d^2) cos(2 pi f_jq d).

    Args:
        low: least coordinates of the domain.
        high: largest ones.
        n_components: Gaussians q in the spectrum of each coordinate.
        highest: largest frequency f at the start, in periods over the domain's width, by coordinate; the others are
            spread evenly below it.

    Attributes:
        log_weights: log w, (coordinates, n_components); trained as logarithms, so that components which are not needed
            vanish.
        frequencies: f.
        log_widths: log of the deviation sqrt(v), at first the distance of neighbouring frequencies.

    Reference:
        Wilson and Adams, arXiv:1302.4245, equation 12; for differential equations, with weights as logarithms: Fang et
        al., arXiv:2311.04465, section 3.
    """

    def __init__(
        self, low: Sequence[float], high: Sequence[float], *, n_components: int, highest: Sequence[float]
    ) -> None:
        super().__init__()
        n_components = checks.as_int(n_components, "n_components", 1)
        self.scale = torch.tensor([b - a for a, b in zip(low, high, strict=True)], dtype=torch.float64)
        steps = (torch.arange(n_components, dtype=torch.float64) + 0.5) / n_components
        frequencies = torch.as_tensor(highest, dtype=torch.float64)[:, None] * steps
        self.frequencies = nn.Parameter(frequencies)
        spacing = torch.as_tensor(highest, dtype=torch.float64)[:, None] / n_components
        self.log_widths = nn.Parameter(spacing.log().expand_as(frequencies).clone())
        self.log_weights = nn.Parameter(torch.full_like(frequencies, -math.log(n_components)))

    def derivatives(self, axis: int, lags: Float[Tensor, " batch"], highest: int) -> list[Tensor]:
        """Return k_j and its derivatives up to an order, at differences of a coordinate in its own units.

        With g(d) = exp(-a d^2 / 2 + i b d) each derivative is (-a d + i b) g^(n) - n a g^(n-1).
        """
        scale = self.scale[axis]
        a = (2 * math.pi * self.log_widths[axis].exp() / scale) ** 2
        b = 2 * math.pi * self.frequencies[axis] / scale
        slope = torch.complex(-a * lags[:, None], b.expand(len(lags), -1))
        exponent = torch.complex(-a * lags[:, None] ** 2 / 2, b * lags[:, None])
        weights = self.log_weights[axis].exp().to(slope.dtype)
        orders = [exponent.exp()]
        for order in range(highest):
            following = slope * orders[-1]
            orders.append(following - order * a * orders[-2] if order else following)
        return [(value @ weights).real for value in orders]


class Functional(NamedTuple):
    """Rows that are linear in the solution: sum_a c_a(x) d^a u(x).

    Attributes:
        points: (batch, coordinates).
        terms: orders of differentiation by coordinate, with the coefficient at each point.
        target: the value of each row, (batch,).
    """

    points: Tensor
    terms: Mapping[tuple[int, ...], Tensor]
    target: Tensor


@dataclass(frozen=True)
class ProcessSolution:
    """The posterior of a linear equation's solution.

    Attributes:
        kernel: with trained spectrum.
        functionals: what it was conditioned on.
        factor: Cholesky factor of the covariance of their rows.
        solved: covariance^-1 target.
        log_likelihood: of all rows, at the start and at the end of training.
    """

    kernel: SpectralKernel
    functionals: tuple[Functional, ...]
    factor: Tensor
    solved: Tensor
    log_likelihood: tuple[float, float]

    def predict(self, points: Float[np.ndarray, "batch inputs"]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the solution at points, both (batch, 1)."""
        rows = torch.as_tensor(points, dtype=torch.float64)
        value = Functional(rows, {(0,) * rows.shape[1]: torch.ones(len(rows), dtype=torch.float64)}, rows[:, 0])
        with torch.no_grad():
            cross = torch.cat([covariance(self.kernel, value, item) for item in self.functionals], 1)
            whitened = torch.linalg.solve_triangular(self.factor, cross.T, upper=False)
            prior = self.kernel.log_weights.exp().sum(1).prod()
            variance = (prior - whitened.square().sum(0)).clamp_min(0.0)
        return (cross @ self.solved)[:, None].numpy(), variance.sqrt()[:, None].numpy()


def solve_by_process(
    problem: Problem,
    *,
    n_points: int,
    n_components: int = 30,
    highest: float | int | Sequence[float] | None = None,
    n_steps: int = 200,
    learning_rate: float = 0.05,
) -> ProcessSolution:
    """Condition a Gaussian process on a linear equation and its faces, and train its spectrum by their likelihood.

    The equation is taken at a regular grid, where equal differences of coordinates share their kernel, and the
    covariance is factorised as one matrix, (rows)^3 / 3 operations a step. The paper instead fits values on the grid,
    whose Kronecker structure reaches larger grids in the plane.

    Args:
        problem: one field, one equation that is linear in it, and Face or Observations as conditions.
        n_points: of the equation, a coordinate.
        n_components: of each coordinate's spectrum.
        highest: largest frequency at the start, in periods over the domain, for all coordinates or each; None takes
            half of what the points resolve.
        n_steps: of Adam on the log marginal likelihood.
        learning_rate: of Adam, which ends at a hundredth of it.

    Raises:
        ValueError: a problem of another kind, or rows whose covariance is not positive definite.

    Reference:
        Fang et al., arXiv:2311.04465; the likelihood of linear functionals: Raissi, Perdikaris, Karniadakis,
        arXiv:1701.02440.
    """
    box = problem.domain
    functionals = _functionals(problem, n_points)
    tops = highest if isinstance(highest, Sequence) else [highest or n_points / 4] * len(box.coordinates)
    lows, highs = zip(*box.intervals.values(), strict=True)
    kernel = SpectralKernel(lows, highs, n_components=n_components, highest=[float(top) for top in tops])
    optimizer = torch.optim.Adam(kernel.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / max(1, n_steps)))
    likelihoods = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = -_condition(kernel, functionals)[2]
        likelihoods.append(-float(loss.detach()))
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        factor, solved, likelihood = _condition(kernel, functionals)
    return ProcessSolution(
        kernel, functionals, factor, solved, ((likelihoods or [float(likelihood)])[0], float(likelihood))
    )


def covariance(kernel: SpectralKernel, left: Functional, right: Functional) -> Tensor:
    """Return the covariance of two functionals, (rows of the left, rows of the right).

    It is sum_ab c_a c_b (-1)^|b| prod_j k_j^(a_j + b_j)(x_j - x'_j).
    """
    factors = []
    for axis in range(left.points.shape[1]):
        most = [max(orders[axis] for orders in side.terms) for side in (left, right)]
        lags, places = _lags(left.points[:, axis], right.points[:, axis], float(kernel.scale[axis]))
        factors.append([values[places] for values in kernel.derivatives(axis, lags, sum(most))])
    total: Any = 0.0
    for orders, scale in left.terms.items():
        for others, other in right.terms.items():
            product = scale[:, None] * ((-1.0) ** sum(others) * other)
            for axis, values in enumerate(factors):
                product = product * values[orders[axis] + others[axis]]
            total = total + product
    return total


def _lags(left: Tensor, right: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the different differences of coordinates, and the place of each pair among them."""
    lags = left[:, None] - right
    keys = (lags / width * 10**LAG_DIGITS).round().long()
    unique, places = torch.unique(keys, return_inverse=True)
    first = torch.empty(len(unique), dtype=lags.dtype)
    first[places.flatten()] = lags.flatten()
    return first, places


def _condition(kernel: SpectralKernel, functionals: Sequence[Functional]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the Cholesky factor, covariance^-1 target, and the log likelihood."""
    blocks = [torch.cat([covariance(kernel, left, right) for right in functionals], 1) for left in functionals]
    matrix = torch.cat(blocks)
    matrix = matrix + torch.diag(JITTER * matrix.diagonal().detach())
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        raise ValueError(
            "The covariance of all rows must be positive definite, but is not to rounding. Take fewer points, or more "
            "components."
        )
    target = torch.cat([item.target for item in functionals])
    solved = torch.cholesky_solve(target[:, None], factor)[:, 0]
    likelihood = -(target @ solved) / 2 - factor.diagonal().log().sum() - len(target) / 2 * math.log(2 * math.pi)
    return factor, solved, likelihood


def _functionals(problem: Problem, n_points: int) -> tuple[Functional, ...]:
    if len(problem.fields) != 1 or len(problem.equations) != 1 or problem.scalars or problem.trial is not None:
        raise ValueError(
            f"Argument `problem` must have one field, one equation, no scalars and no trial function, but "
            f"{problem.name!r} is of another kind."
        )
    (name, equation), *_ = problem.equations.items()
    found = [_linear(problem, name, problem.equation_names[name], equation, problem.domain.grid(n_points))]
    for index, condition in enumerate(problem.conditions):
        if not isinstance(condition, Face | Observations):
            raise ValueError(f"Condition `{condition.name}` must be a Face or Observations, but is another condition.")
        points = condition.points(problem.domain, n_points, index)
        found.append(_linear(problem, condition.name, condition.names, _of_values(condition), points))
    return tuple(found)


def _of_values(condition: Face | Observations) -> Residual:
    return lambda **values: condition.residual(values)


def _linear(problem: Problem, name: str, asked: Sequence[str], residual: Residual, where: np.ndarray) -> Functional:
    """Read the coefficients of a linear residual from its values where one derivative is 1 and the others are 0."""
    rows = torch.as_tensor(where, dtype=torch.float64)
    points = rows[:, : len(problem.coordinates)]
    known = {axis: points[:, column] for column, axis in enumerate(problem.coordinates) if axis in asked}
    if QUADRATURE in asked:  # measured values
        known[QUADRATURE] = rows[:, -1]
    items = {text: item for text in asked if (item := problem.derivative(text)) is not None}

    def at(**values: float) -> Tensor:
        columns = {text: torch.full((len(points),), values.get(text, 0.0), dtype=torch.float64) for text in items}
        return residual(**known, **columns).expand(len(points))

    constant = at()
    slopes = {text: at(**{text: 1.0}) - constant for text in items}
    probe = {text: 0.7 + 0.9 * index for index, text in enumerate(items)}
    for sign in (1.0, -1.0):  # |u| is linear on one side
        values = {text: sign * factor for text, factor in probe.items()}
        expected = constant + sum(factor * slopes[text] for text, factor in values.items())
        if not torch.allclose(at(**values), expected, rtol=1e-9, atol=1e-9 * float(1 + expected.abs().max())):
            raise ValueError(f"Residual `{name}` must be linear in the field and its derivatives, but is not.")
    terms: dict[tuple[int, ...], Tensor] = {}
    for text, item in items.items():
        for axes, factor in item.terms:
            orders = tuple(axes.count(axis) for axis in problem.coordinates)
            terms[orders] = terms.get(orders, torch.zeros_like(constant)) + factor * slopes[text]
    return Functional(points, terms, -constant)
