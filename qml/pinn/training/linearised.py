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
    """Steps by QR: J = Q R once, and for every damping above rounding that of R above sqrt(mu) I."""

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        self.values, self.jacobian, self.gradient = values, jacobian, jacobian.T @ values
        self.n_weights = jacobian.shape[1]
        self.reflectors, self.scales = torch.geqrf(jacobian)
        self.triangle = self.reflectors[: self.n_weights].triu()  # (n, weights), n = weights where J is tall
        self.largest = float(jacobian.square().sum(0).max())
        self.least = torch.finfo(jacobian.dtype).eps ** 2 * self.largest

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return the d that minimises |v - J d|^2 + mu |d|^2."""
        rotated = self.rotated(values)
        if damping <= self.least and len(rotated) == self.n_weights:  # no damping, to rounding
            change = torch.linalg.solve_triangular(self.triangle, rotated[:, None], upper=True)[:, 0]
            return change if bool(torch.isfinite(change).all()) else None
        diagonal = damping**0.5 * torch.eye(self.n_weights, dtype=values.dtype, device=values.device)
        below = torch.cat([diagonal, values.new_zeros(self.n_weights, 1)], 1)
        stacked = torch.cat([torch.cat([self.triangle, rotated[:, None]], 1), below])
        reduced = torch.geqrf(stacked)[0][: self.n_weights].triu()
        change = torch.linalg.solve_triangular(reduced[:, :-1], reduced[:, -1:], upper=True)[:, 0]
        return change if bool(torch.isfinite(change).all()) else None

    def rotated(self, values: Tensor) -> Tensor:
        """Return Q^T v, as many entries as R has rows."""
        return torch.ormqr(self.reflectors, self.scales, values[:, None], transpose=True)[: len(self.triangle), 0]


class LinearisedBySVD(LinearisedByQR):
    """Steps for any number of dampings by QR and the singular vectors of R."""

    def __init__(self, values: Tensor, jacobian: Tensor) -> None:
        super().__init__(values, jacobian)
        self.left, self.singular, self.right = torch.linalg.svd(self.triangle, full_matrices=False)

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return the step of `LinearisedByQR.solve`."""
        parts = self.left.T @ self.rotated(values)
        change = self.right.T @ (self.singular * parts / (self.singular.square() + damping))
        return change if bool(torch.isfinite(change).all()) else None


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
    """Accumulate a count sketch of residuals and Jacobian.

    Args:
        pieces: residuals and rows of J, some at a time.
        sketch: its size.
        generator: of buckets and signs, on the CPU.

    Returns:
        |r|^2 of all residuals, the sketch of r, (buckets,), and that of J, (buckets, weights).
    """
    loss, both = 0.0, torch.empty(0, 0)
    scale = sketch.n_hashes**-0.5
    for values, rows in pieces:
        loss += float(values @ values)
        table = torch.cat([rows, values[:, None]], 1)
        if not both.numel():
            n_buckets = max(1, round(sketch.n_buckets * rows.shape[1]))
            both = table.new_zeros(n_buckets, table.shape[1])
        for _ in range(sketch.n_hashes):
            buckets = torch.randint(len(both), (len(table),), generator=generator).to(table.device)
            signs = 2.0 * torch.randint(2, (len(table), 1), generator=generator).to(table) - 1.0
            both.index_add_(0, buckets, signs * table, alpha=scale)
    return loss, both[:, -1].contiguous(), both[:, :-1].contiguous()


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
