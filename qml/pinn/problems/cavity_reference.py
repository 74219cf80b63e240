"""Spectral reference of the flow in a square cavity: its corner singularities in closed form, the rest by Chebyshev."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

N_MODES = 48  # polynomials for each coordinate
N_NODES_A_MODE = 2  # of the quadrature
NEWTON_TOLERANCE = 1e-10  # of psi
MAX_NEWTON = 30
REYNOLDS_STEP = 2.0  # factor between the Reynolds numbers of a continuation
FIRST_REYNOLDS = 100.0  # from which Newton's method converges from the flow at rest
TURN = 1.0 / (math.pi**2 / 4 - 1)
BEND, SHIFT = TURN * math.pi / 2, -TURN * math.pi**2 / 4
SMALL = 1e-40  # added to squares of distances under a root, so that it has derivatives in a corner
CORNER = 1e-9  # nearest distance to an upper corner that is evaluated: there the velocity has no limit
N_KNOWN = 4  # sets of points at which derivatives of a lift are kept
Points = Float[np.ndarray, "batch 2"]
Matrix = np.ndarray  # of any sizes
Lift = Callable[[Any, Any, float], Any]
"""Columns x and y and the Reynolds number to a stream function with the walls' values and slopes."""


class Cavity(NamedTuple):
    """Stream function of the cavity: psi = lift(x, y) + sum_kl coefficients_kl phi_k(x) phi_l(y).

    Attributes:
        reynolds: the Reynolds number.
        coefficients: (modes, modes), of phi_k(x) = x^2 (1 - x)^2 T_k(2 x - 1).
        lift: which moves the lid.
    """

    reynolds: float
    coefficients: Matrix
    lift: Lift

    def stream(self, points: Points) -> Float[np.ndarray, " batch"]:
        """Return psi at points of [0, 1]^2."""
        n_modes = len(self.coefficients)
        x, y = points.T
        smooth = _contract(self.coefficients, clamped_basis(x, n_modes, 0), clamped_basis(y, n_modes, 0))
        return smooth + self.lift(*_tensors(points), self.reynolds).numpy()

    def velocity(self, points: Points) -> Points:
        """Return (psi_y, -psi_x) at points of [0, 1]^2; the lid's in the upper corners, where it may have no limit."""
        n_modes = len(self.coefficients)
        values, slopes = ([clamped_basis(column, n_modes, order) for column in points.T] for order in (0, 1))
        by_x = _contract(self.coefficients, slopes[0], values[1])
        by_y = _contract(self.coefficients, values[0], slopes[1])
        s_x, s_y, _ = _parts_of(self.lift, points, self.reynolds)
        return np.stack([by_y + s_y, -by_x - s_x], 1)


def solve_cavity(reynolds: float, n_modes: int = N_MODES) -> Cavity:
    """Solve the flow under a lid of speed 1 by `solve_under_lid`, with both corners' singular parts for its lift."""
    return solve_under_lid(reynolds, singular_stream, n_modes)


@cache
def solve_under_lid(reynolds: float, lift: Lift, n_modes: int = N_MODES) -> Cavity:
    """Solve steady Navier-Stokes flow in the cavity for its stream function, by Galerkin's and Newton's methods.

    With L = Laplace psi, int L Laplace(phi) / Re + L (psi_y phi_x - psi_x phi_y) = 0 for all phi without value and
    slope on the walls, which is psi_y L_x - psi_x L_y = Laplace L / Re. Near an upper corner under a lid of speed 1,
    psi = r f(theta) +- Re r^2 g(theta) + ...: the first part is Taylor's flow under a scraper, which takes up the jump
    of the velocity; the second is what its inertia drives. `singular_stream` has both. The rest has no value or slope
    on the walls, and is of order r^3 in the corners.

    Args:
        reynolds: positive; above 100 Newton's method starts from the flow at a lower one.
        lift: a stream function that moves the lid, and holds what is singular in the corners.
        n_modes: polynomials for each coordinate. With 48 of them psi differs from that of 40 by 1.1e-7 at Re = 100,
            1.5e-6 at 400 and 1.1e-5 at 1000 (relative L2), and the error of 48 is smaller.

    Raises:
        ValueError: Newton's method does not converge, for too high a Reynolds number for this many modes.

    Reference:
        Botella and Peyret, Computers and Fluids 27 (1998) 421: the same expansion in the corners, for velocity and
        pressure.
    """
    easier = (
        None
        if reynolds <= FIRST_REYNOLDS
        else solve_under_lid(max(reynolds / REYNOLDS_STEP, FIRST_REYNOLDS), lift, n_modes)
    )
    base, weights = np.polynomial.legendre.leggauss(N_NODES_A_MODE * n_modes)
    nodes, weights = (1 + base) / 2, np.outer(weights, weights) / 4
    flat, slope, bend = (clamped_basis(nodes, n_modes, order) for order in range(3))
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    s_x, s_y, s_l = (part.reshape(weights.shape) for part in _parts_of(lift, points, reynolds))
    laplacian = ((bend, flat), (flat, bend))
    friction = sum(_assembled(weights / reynolds, test, trial) for test in laplacian for trial in laplacian)
    coefficients = np.zeros((n_modes, n_modes))
    if easier is not None:
        rest = easier.stream(points) - lift(*_tensors(points), reynolds).numpy()
        inverse = np.linalg.pinv(flat)
        coefficients = inverse @ rest.reshape(weights.shape) @ inverse.T
    for _ in range(MAX_NEWTON):
        psi_x, psi_y = slope @ coefficients @ flat.T + s_x, flat @ coefficients @ slope.T + s_y
        turn = bend @ coefficients @ flat.T + flat @ coefficients @ bend.T + s_l
        residual = sum(x.T @ (weights * turn / reynolds) @ y for x, y in laplacian)
        residual += slope.T @ (weights * turn * psi_y) @ flat - flat.T @ (weights * turn * psi_x) @ slope
        jacobian = friction + _assembled(weights * turn, (slope, flat), (flat, slope))
        jacobian -= _assembled(weights * turn, (flat, slope), (slope, flat))
        for trial in laplacian:
            jacobian += _assembled(weights * psi_y, (slope, flat), trial)
            jacobian -= _assembled(weights * psi_x, (flat, slope), trial)
        change = np.linalg.solve(jacobian, residual.ravel()).reshape(n_modes, n_modes)
        coefficients = coefficients - change
        if float(np.abs(flat @ change @ flat.T).max()) < NEWTON_TOLERANCE:
            return Cavity(reynolds, coefficients, lift)
    raise ValueError(
        f"Newton's method must end within {MAX_NEWTON} steps, but does not at Re = {reynolds:g} with {n_modes} modes."
    )


def _assembled(weights: np.ndarray, test: Sequence[np.ndarray], trial: Sequence[np.ndarray]) -> np.ndarray:
    """Return sum_xy weights t_k(x) t_l(y) u_m(x) u_n(y) as a matrix, (k, l) by (m, n)."""
    n_modes = test[0].shape[1]
    by_y = weights @ np.einsum("yl,yn->yln", test[1], trial[1]).reshape(len(weights), -1)
    by_x = np.einsum("xk,xm->xkm", test[0], trial[0]).reshape(len(weights), -1)
    both = (by_x.T @ by_y).reshape((n_modes,) * 4)
    return both.transpose(0, 2, 1, 3).reshape(n_modes**2, n_modes**2)


def clamped_basis(x: Float[np.ndarray, " batch"], n_modes: int, order: int) -> Matrix:
    """Return a derivative of phi_k(x) = x^2 (1 - x)^2 T_k(2 x - 1), (batch, modes), by Leibniz' rule."""
    from numpy.polynomial import Polynomial

    bump = Polynomial([0.0, 0.0, 1.0, -2.0, 1.0])
    total = np.zeros((len(x), n_modes))
    for split in range(order + 1):
        polynomials = np.polynomial.chebyshev.chebder(np.eye(n_modes), split) if split else np.eye(n_modes)
        waves = np.polynomial.chebyshev.chebval(2 * x - 1, polynomials).T * 2.0**split
        outer = bump.deriv(order - split) if split < order else bump
        total += math.comb(order, split) * outer(x)[:, None] * waves
    return total


def _contract(coefficients: Matrix, by_x: Matrix, by_y: Matrix) -> Float[np.ndarray, " batch"]:
    return np.einsum("nl,nl->n", by_x @ coefficients, by_y)


def singular_stream(x: Any, y: Any, reynolds: float) -> Any:
    """Return the singular parts of both corners, each faded out towards the walls that do not meet in it.

    They have the walls' values and slopes, so that the rest has none.

    Args:
        x: tensor or jet.
        y: as x.
        reynolds: the Reynolds number.
    """
    depth = 1 - y
    parts = []
    for across, sign in ((x, 1.0), (1 - x, -1.0)):
        squared = across**2 + depth**2 + SMALL
        radius = squared * torch.rsqrt(squared)
        angle = 2 * torch.atan(depth / (radius + across))  # in [0, pi / 2], also where x = 0
        part = radius * _scraper(angle) + (sign * reynolds) * squared * _driven(angle)
        parts.append(fade(across) * fade(depth) * part)
    return parts[0] + parts[1]


def corner_vorticity(
    x: Tensor, y: Tensor, reynolds: float, lift: Lift = singular_stream
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return Laplace s of a lift s, its slopes by x and by y, and its Laplacian, (batch,) each."""
    with torch.enable_grad():
        x, y = (column.detach().clone().requires_grad_() for column in (x, y))
        laplacian = _laplacian(lift(x, y, reynolds), x, y)
        by_x, by_y = torch.autograd.grad(laplacian.sum(), (x, y), create_graph=True)
        bend_x, bend_y = _grad(by_x, x), _grad(by_y, y)
    return laplacian.detach(), by_x.detach(), by_y.detach(), (bend_x + bend_y).detach()


class CornerVorticity:
    """`corner_vorticity` of a lift, which keeps its values for the last sets of points: training comes back to them.

    Args:
        reynolds: the Reynolds number.
        lift: as of `corner_vorticity`.
    """

    def __init__(self, reynolds: float, lift: Lift = singular_stream) -> None:
        self._reynolds, self._lift = reynolds, lift
        self._known: list[tuple[Tensor, Tensor, tuple[Tensor, ...]]] = []

    def __call__(self, x: Float[Tensor, " batch"], y: Float[Tensor, " batch"]) -> tuple[Tensor, ...]:
        """Return Laplace s, its slopes and its Laplacian at points, (batch,) each."""
        for at_x, at_y, parts in self._known:
            if at_x.shape == x.shape and torch.equal(at_x, x) and torch.equal(at_y, y):
                return parts
        parts = corner_vorticity(x, y, self._reynolds, self._lift)
        self._known = [(x.detach().clone(), y.detach().clone(), parts), *self._known][:N_KNOWN]
        return parts


def _laplacian(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    by_x, by_y = torch.autograd.grad(values.sum(), (x, y), create_graph=True)
    return _grad(by_x, x) + _grad(by_y, y)


def _grad(values: Tensor, at: Tensor) -> Tensor:
    return torch.autograd.grad(values.sum(), at, create_graph=True)[0]


def fade(x: Any) -> Any:
    """Return the polynomial that falls from 1 at 0 to 0 at 1, with three vanishing derivatives at either end.

    fade(x) + fade(1 - x) = 1, so that both corners together move the lid at speed 1.
    """
    return 1 - x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)


def _scraper(angle: Any) -> Any:
    """Return f of Taylor's flow r f(theta): at rest on the wall theta = pi / 2, at speed 1 on the lid theta = 0."""
    sine, cosine = torch.sin(angle), torch.cos(angle)
    return SHIFT * sine + BEND * angle * sine + TURN * angle * cosine


def _driven(angle: Any) -> Any:
    """Return g, whose derivatives fulfil g4 + 4 g2 = (f (f + f2))', with no value or slope at either wall."""
    cosine, sine = torch.cos(2 * angle), torch.sin(2 * angle)
    constant, slope, *shares = _driven_shares()
    total = constant + slope * angle
    for share, wave in zip(
        shares,
        (cosine, sine, angle * cosine, angle * sine, angle**2 * cosine, angle**2 * sine),
        strict=True,
    ):
        total = total + share * wave
    return total


@cache
def _driven_shares() -> tuple[float, ...]:
    """Return the shares of 1, t, cos 2t, sin 2t, t cos 2t, t sin 2t, t^2 cos 2t and t^2 sin 2t in g.

    f is a sum of t^n sin t and t^n cos t with n <= 1, so that these eight functions hold g exactly; least squares on
    the equation at some angles and on the four conditions gives their shares to rounding.
    """
    t, ends = np.linspace(0.0, np.pi / 2, 40), np.array([0.0, np.pi / 2])

    def derivatives(order: int, at: np.ndarray) -> np.ndarray:
        lines = (np.full_like(at, order == 0), at if order == 0 else np.full_like(at, order == 1))
        waves = (_wave_derivative(power, phase, order, at) for power in (0, 1, 2) for phase in (0.0, -np.pi / 2))
        return np.stack([*lines, *waves], 1)

    sine, cosine = np.sin(t), np.cos(t)
    f = SHIFT * sine + BEND * t * sine + TURN * t * cosine
    slope = SHIFT * cosine + BEND * (sine + t * cosine) + TURN * (cosine - t * sine)
    turn, turn_slope = 2 * (BEND * cosine - TURN * sine), -2 * (BEND * sine + TURN * cosine)  # of f + f2
    rows = np.concatenate([derivatives(4, t) + 4 * derivatives(2, t), derivatives(0, ends), derivatives(1, ends)])
    sides = np.concatenate([f * turn_slope + slope * turn, np.zeros(4)])
    return tuple(float(share) for share in np.linalg.lstsq(rows, sides, rcond=None)[0])


def _wave_derivative(power: int, phase: float, order: int, t: np.ndarray) -> np.ndarray:
    """Return a derivative of t^power cos(2 t + phase), by Leibniz' rule."""
    total = np.zeros_like(t)
    for split in range(min(order, power) + 1):
        wave = 2.0 ** (order - split) * np.cos(2 * t + phase + (order - split) * np.pi / 2)
        total += math.comb(order, split) * math.perm(power, split) * t ** (power - split) * wave
    return total


def _tensors(points: Points) -> tuple[Tensor, Tensor]:
    """Return the columns; points in an upper corner are moved along the lid."""
    x, y = torch.as_tensor(points, dtype=torch.float64).unbind(1)
    is_lid = 1 - y < CORNER
    return torch.where(is_lid, x.clamp(CORNER, 1 - CORNER), x), y


def _parts_of(lift: Lift, points: Points, reynolds: float) -> tuple[np.ndarray, ...]:
    """Return slopes of the lift, and its Laplacian."""
    with torch.enable_grad():
        x, y = (column.clone().requires_grad_() for column in _tensors(points))
        by_x, by_y = torch.autograd.grad(lift(x, y, reynolds).sum(), (x, y), create_graph=True)
        (bend_x,) = torch.autograd.grad(by_x.sum(), x, retain_graph=True)
        (bend_y,) = torch.autograd.grad(by_y.sum(), y)
    return by_x.detach().numpy(), by_y.detach().numpy(), (bend_x + bend_y).numpy()
