"""Residuals near the weights as they are, r - J d, and damped steps d = (J^T J + mu I)^-1 J^T r of them, in four ways.

Cholesky factors of the normal equations are the quickest for a damping or two. An orthogonal decomposition of J keeps
the digits that J^T J loses where J is worse conditioned than 1e8. Either may be decomposed once for many dampings: by
eigenvectors or singular vectors.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from qml.pinn.training.second_order import RowSketch

LEAST_DAMPING = 1e-15


@runtime_checkable
class Linearisation(Protocol):
    """The residuals near the weights as they are: r - J change.

    Attributes:
        values: r, (residuals,).
        jacobian: J, (residuals, weights).
        gradient: J^T r, (weights,).
        largest: the largest diagonal entry of the smaller one of J^T J and J J^T, or of J^T J.
        least: the least damping that rounding allows.
    """

    values: Tensor
    jacobian: Tensor
    gradient: Tensor
    largest: float
    least: float

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return (J^T J + mu I)^-1 J^T v, (weights,); None if rounding leaves no such step."""
        ...


class Linearised:
    """Steps by a Cholesky factor of the smaller one of J^T J and J J^T, computed anew for every damping."""

    least = LEAST_DAMPING

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        self.values, self.jacobian, self.gradient = values, jacobian, jacobian.T @ values
        self.matrix = gram(jacobian if _is_tall(jacobian) else jacobian.T)
        self.largest = float(self.matrix.diagonal().max())

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return (J^T J + mu I)^-1 J^T v = J^T (J J^T + mu I)^-1 v; None if rounding leaves the matrix indefinite."""
        damped = self.matrix.clone()
        damped.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if int(failed):
            return None
        if _is_tall(self.jacobian):
            return torch.cholesky_solve((self.jacobian.T @ values)[:, None], factor)[:, 0]
        return self.jacobian.T @ torch.cholesky_solve(values[:, None], factor)[:, 0]


class LinearisedByEigenvectors(Linearised):
    """Steps for any number of dampings by the eigenvectors of the smaller one of J^T J and J J^T."""

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        super().__init__(values, jacobian)
        eigenvalues, self.vectors = torch.linalg.eigh(self.matrix)  # of the lower triangle
        self.eigenvalues = eigenvalues.clamp_min(0.0)

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return the step of `Linearised.solve`."""
        tall = _is_tall(self.jacobian)
        right = self.jacobian.T @ values if tall else values
        solved = self.vectors @ ((self.vectors.T @ right) / (self.eigenvalues + damping))
        return solved if tall else self.jacobian.T @ solved


class LinearisedByQR:
    """Steps by QR of J, or of J^T where J has fewer rows than columns; once, then of its triangle for every damping.

    J = Q R, or J = R^T Q^T, in which case the step is Q z for the z that solves the problem of the triangle R^T. Each
    damping above rounding takes a QR of the triangle above sqrt(mu) I, k^3 operations for the smaller size k of J.
    """

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        self.values, self.jacobian, self.gradient = values, jacobian, jacobian.T @ values
        self.size, self.is_tall = min(jacobian.shape), _is_tall(jacobian)
        self.reflectors, self.scales = torch.geqrf(jacobian if self.is_tall else jacobian.T)
        triangle = self.reflectors[: self.size].triu()
        self.triangle = triangle if self.is_tall else triangle.T  # (k, k)
        self.largest = float(jacobian.square().sum(0).max())
        self.least = torch.finfo(jacobian.dtype).eps ** 2 * self.largest

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return the d that minimises |v - J d|^2 + mu |d|^2; of several without damping the shortest."""
        right = self.rotated(values)
        if damping <= self.least:  # no damping, to rounding
            solved = torch.linalg.solve_triangular(self.triangle, right[:, None], upper=self.is_tall)[:, 0]
            return self.step_of(solved)
        diagonal = damping**0.5 * torch.eye(self.size, dtype=values.dtype, device=values.device)
        below = torch.cat([diagonal, values.new_zeros(self.size, 1)], 1)
        stacked = torch.cat([torch.cat([self.triangle, right[:, None]], 1), below])
        reduced = torch.geqrf(stacked)[0][: self.size].triu()
        return self.step_of(torch.linalg.solve_triangular(reduced[:, :-1], reduced[:, -1:], upper=True)[:, 0])

    def rotated(self, values: Tensor) -> Tensor:
        """Return the right side of the problem of the triangle, (k,): Q^T v where J is tall, else v itself."""
        if not self.is_tall:
            return values
        return torch.ormqr(self.reflectors, self.scales, values[:, None], transpose=True)[: self.size, 0]

    def step_of(self, solved: Tensor) -> Tensor | None:
        """Return the step that belongs to a solution of the problem of the triangle; None if it is not finite."""
        if not bool(torch.isfinite(solved).all()):
            return None
        if self.is_tall:
            return solved
        padded = torch.cat([solved, solved.new_zeros(len(self.reflectors) - self.size)])
        return torch.ormqr(self.reflectors, self.scales, padded[:, None])[:, 0]


class LinearisedBySVD(LinearisedByQR):
    """Steps for any number of dampings by QR and the singular vectors of the triangle."""

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        super().__init__(values, jacobian)
        self.left, self.singular, self.right = torch.linalg.svd(self.triangle)

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return the step of `LinearisedByQR.solve`."""
        parts = self.left.T @ self.rotated(values)
        return self.step_of(self.right.T @ (self.singular * parts / (self.singular.square() + damping)))


KINDS: dict[tuple[bool, bool], Callable[[Tensor, Tensor], Linearisation]] = {
    (False, False): Linearised,
    (False, True): LinearisedByEigenvectors,
    (True, False): LinearisedByQR,
    (True, True): LinearisedBySVD,
}
"""By whether the decomposition is orthogonal, and whether it serves many dampings."""


def sketched(
    pieces: Iterable[tuple[Tensor, Tensor]], sketch: RowSketch, generator: torch.Generator
) -> tuple[float, Tensor, Tensor]:
    """Accumulate a count sketch of residuals and Jacobian, or both themselves where they have no more rows than it.

    Args:
        pieces: residuals and rows of J, some at a time.
        sketch: its size.
        generator: of buckets and signs, on the CPU.

    Returns:
        |r|^2 of all residuals, the sketch of r, (buckets,), and that of J, (buckets, weights).
    """
    loss, n_rows, waiting = 0.0, 0, list[Tensor]()  # rows that may still be fewer than those of a sketch
    both: Tensor | None = None
    for values, rows in pieces:
        loss += float(values @ values)
        waiting.append(torch.cat([rows, values[:, None]], 1))
        n_rows += len(rows)
        n_buckets = max(1, round(sketch.n_buckets * rows.shape[1]))
        if n_rows > n_buckets:
            both = rows.new_zeros(n_buckets, rows.shape[1] + 1) if both is None else both
            for table in waiting:
                _add_rows(both, table, sketch.n_hashes, generator)
            waiting.clear()
    both = torch.cat(waiting) if both is None else both
    return loss, both[:, -1].contiguous(), both[:, :-1].contiguous()


def _add_rows(both: Tensor, table: Tensor, n_hashes: int, generator: torch.Generator) -> None:
    """Add every row of a table with random signs to random rows of a sketch."""
    for _ in range(n_hashes):
        buckets = torch.randint(len(both), (len(table),), generator=generator).to(table.device)
        signs = 2.0 * torch.randint(2, (len(table), 1), generator=generator).to(table) - 1.0
        both.index_add_(0, buckets, signs * table, alpha=n_hashes**-0.5)


def gram(jacobian: Tensor) -> Tensor:
    """Compute the lower triangle of J^T J; on the CPU by BLAS's syrk, which leaves out the other half."""
    if jacobian.device.type != "cpu":
        return jacobian.T @ jacobian
    from scipy.linalg import blas

    columns = jacobian.numpy().T
    multiply = getattr(blas, "dsyrk" if jacobian.dtype == torch.float64 else "ssyrk")
    return torch.from_numpy(multiply(1.0, columns, lower=1))


def rises(logarithms: Sequence[float]) -> bool:
    """Return True if a line through the values rises, with some correlation, as DSGNAR judges dampings."""
    n = len(logarithms)
    steps = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
    values = torch.tensor(logarithms, dtype=torch.float64)
    values = values - values.mean()
    product, spread = float(steps @ values), float(values.norm() * steps.norm())
    return product / float(steps @ steps) > RISE and product > CORRELATION * spread


RISE, CORRELATION = 1e-4, 0.1  # DSGNAR's, of log10(mu) a step


def _is_tall(jacobian: Tensor) -> bool:
    return jacobian.shape[0] >= jacobian.shape[1]
