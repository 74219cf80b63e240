"""Steady flow past a circular cylinder in a ring, with all walls built in, and its spectral reference."""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from qml import checks
from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

PI = math.pi
OUTER = 2.0  # logarithm of the ring's outer radius, in radii of the cylinder
N_RADIAL, N_ANGULAR = 24, 36  # Chebyshev polynomials and sines of the reference
FIRST_REYNOLDS, REYNOLDS_STEP = 5.0, 2.0  # Newton's method starts from the flow at a lower Reynolds number
NEWTON_TOLERANCE, MAX_NEWTON = 1e-11, 20


def cylinder(reynolds: float | int = 20.0) -> Problem:
    """Pose steady flow past a cylinder in coordinates s = log r and a, the angle from the downstream axis.

    With stream function q and vorticity w, speeds q_a / r and -q_s / r: q_ss + q_aa = -r^2 w and
    q_a w_s - q_s w_a = (2 / Re) (w_ss + w_aa), in the upper half of the ring 1 < r < e^2, Re by the diameter. On the
    cylinder the fluid rests, on the axis it has no vorticity and does not cross, and at the outer radius it crosses as
    potential flow does: all of this is built in. In the loss is a condition on the vorticity at the outer radius,
    (1 + cos a)^2 w_s + (1 - cos a)^2 w = 0, which is w = 0 upstream, where the flow enters, and w_s = 0 downstream; and
    w = -q_ss on the cylinder, which follows from the first equation. Residuals are multiplied by 1 / r^2 and 1 / r.

    Args:
        reynolds: from 1 to 40, where the flow is steady and the reference converges.

    Reference:
        Hard boundary conditions without data: arXiv:2511.14497. The flow: Dennis and Chang, J. Fluid Mech. 42 (1970)
        471, there with an outer radius so large that it has no effect.
    """
    reynolds = _require_reynolds(reynolds)
    viscosity = 2 / reynolds

    def stream(s: Any, a: Any, q: Any, w: Any) -> tuple[Any, Any]:
        free = torch.exp(s) - torch.exp(-s) - 2 * s * (1 - s / OUTER)
        return torch.sin(a) * (free + s**2 * (OUTER - s) * q), 3 * torch.sin(a) * w

    def vorticity_outside(w: Any, w_s: Any, a: Any) -> Any:
        leaves, enters = shares(torch.cos(a))
        return leaves * w_s + enters * w

    axis = (("a = 0", 0.0), ("a = pi", PI))
    return Problem(
        name="cylinder",
        domain=Box({"s": (0.0, OUTER), "a": (0.0, PI)}),
        fields=("q", "w"),
        equations={
            "vorticity": lambda lap_q, w, s: lap_q * torch.exp(-2 * s) + w,
            "transport": lambda q_s, q_a, w_s, w_a, lap_w, s: (
                (q_a * w_s - q_s * w_a - viscosity * lap_w) * torch.exp(-s)
            ),
        },
        operators={"lap_q": {"q_ss": 1.0, "q_aa": 1.0}, "lap_w": {"w_ss": 1.0, "w_aa": 1.0}},
        conditions=(
            Face("cylinder", {"s": 0.0}, lambda q: q, exact=True),
            Face("no slip", {"s": 0.0}, lambda q_s: q_s, exact=True),
            Face("outer radius", {"s": OUTER}, lambda q, a: q - 2 * math.sinh(OUTER) * torch.sin(a), exact=True),
            *(Face(f"q at {name}", {"a": place}, lambda q: q, exact=True) for name, place in axis),
            *(Face(f"w at {name}", {"a": place}, lambda w: w, exact=True) for name, place in axis),
            Face("wall", {"s": 0.0}, lambda w, q_ss: w + q_ss),
            Face("vorticity outside", {"s": OUTER}, vorticity_outside),
        ),
        trial=stream,
        features=lambda s, a: (2 * s / OUTER - 1, torch.cos(a)),
        reference=lambda points: solve_cylinder(reynolds).fields(points),
        judged=("q", "w"),
        source=f"spectral: {N_RADIAL} Chebyshev polynomials of log r and {N_ANGULAR} sines, by Newton's method",
    )


def shares(cosine: Any) -> tuple[Any, Any]:
    """Return the shares of w_s and of w in the condition at the outer radius, which networks follow as it is smooth."""
    return (1 + cosine) ** 2 / 4, (1 - cosine) ** 2 / 4


class CylinderFlow(NamedTuple):
    """Steady flow past a cylinder.

    Attributes:
        reynolds: by the diameter.
        outer: logarithm of the outer radius.
        stream: coefficients of T_k(2 s / outer - 1) sin(n a), (k, n from 1).
        vorticity: likewise.
    """

    reynolds: float
    outer: float
    stream: np.ndarray
    vorticity: np.ndarray

    def fields(self, points: Float[np.ndarray, "batch 2"]) -> Float[np.ndarray, "batch 2"]:
        """Return stream function and vorticity at points (s, a)."""
        s, a = points.T
        radial = np.polynomial.chebyshev.chebvander(2 * s / self.outer - 1, len(self.stream) - 1)
        angular = np.sin(np.outer(a, np.arange(1, self.stream.shape[1] + 1)))
        return np.stack([((radial @ part) * angular).sum(1) for part in (self.stream, self.vorticity)], 1)

    def separation_angle(self) -> float:
        """Return the angle from the downstream axis, in degrees, where the flow leaves the wall; 0 if nowhere."""
        angles = np.linspace(0.01, PI / 2, 2000)
        wall = self.fields(np.column_stack([np.zeros_like(angles), angles]))[:, 1]
        turns = np.flatnonzero(np.diff(np.sign(wall)))
        return float(np.degrees(angles[turns[-1]])) if len(turns) else 0.0

    def wake_length(self) -> float:
        """Return the length of the eddies behind the cylinder, from its rear, in radii; 0 without eddies."""
        s = np.linspace(0.01, self.outer, 4000)
        near_axis = self.fields(np.column_stack([s, np.full_like(s, 1e-4)]))[:, 0]
        back = np.flatnonzero(near_axis < 0)
        return float(np.exp(s[back[-1]]) - 1) if len(back) else 0.0


@cache
def solve_cylinder(
    reynolds: float, outer: float = OUTER, n_radial: int = N_RADIAL, n_angular: int = N_ANGULAR
) -> CylinderFlow:
    """Solve the equations of `cylinder` by collocation: Chebyshev points in s and sines in a, and Newton's method.

    Dense: (2 n_radial n_angular)^3 operations a step of Newton. The sines decide: at Re = 20 stream function and
    vorticity of 24 polynomials and 32 sines differ from those of 32 and 32 by 5e-6 and 2e-5 (relative L2 on a grid),
    those of 32 and 24 by 5e-4 and 1.5e-3.

    Raises:
        ValueError: Newton's method does not converge.
    """
    easier = max(FIRST_REYNOLDS, reynolds / REYNOLDS_STEP)
    n_nodes = n_radial * n_angular
    system = _System(outer, n_radial, n_angular)
    if easier < reynolds:
        before = solve_cylinder(easier, outer, n_radial, n_angular)
        guess = np.concatenate([system.at_nodes(part) for part in (before.stream, before.vorticity)])
    else:
        guess = np.zeros(2 * n_nodes)
    for _ in range(MAX_NEWTON):
        residual, jacobian = system.linearised(guess, 2 / reynolds)
        change = np.linalg.solve(jacobian, residual)
        guess = guess - change
        if float(np.abs(change).max()) < NEWTON_TOLERANCE * (1 + float(np.abs(guess).max())):
            stream, vorticity = (system.coefficients(part) for part in (guess[:n_nodes], guess[n_nodes:]))
            return CylinderFlow(reynolds, outer, stream, vorticity)
    raise ValueError(
        f"Newton's method must end within {MAX_NEWTON} steps, but does not at Re = {reynolds:g} with {n_radial} and "
        f"{n_angular} modes."
    )


class _System:
    """The discrete equations: unknowns are q and w at the nodes, radial index first."""

    def __init__(self, outer: float, n_radial: int, n_angular: int) -> None:
        x = np.cos(PI * np.arange(n_radial) / (n_radial - 1))[::-1]
        self.angles = PI * np.arange(1, n_angular + 1) / (n_angular + 1)
        self.radii = np.exp((x + 1) * outer / 2)
        self.n_radial, self.n_angular = n_radial, n_angular
        numbers = np.arange(1, n_angular + 1)
        polynomials = np.polynomial.chebyshev.chebvander(x, n_radial - 1)
        self.inverse_radial = np.linalg.inv(polynomials)
        slopes = [
            np.polynomial.chebyshev.chebval(x, np.polynomial.chebyshev.chebder(np.eye(n_radial), order)).T
            * (2 / outer) ** order
            @ self.inverse_radial
            for order in (1, 2)
        ]
        sines = np.sin(np.outer(self.angles, numbers))
        self.inverse_angular = np.linalg.inv(sines)
        turn = np.cos(np.outer(self.angles, numbers)) * numbers @ self.inverse_angular
        bend = -sines * numbers**2 @ self.inverse_angular
        one_radial, one_angular = np.eye(n_radial), np.eye(n_angular)
        self.by_s, self.by_a = np.kron(slopes[0], one_angular), np.kron(one_radial, turn)
        self.laplacian = np.kron(slopes[1], one_angular) + np.kron(one_radial, bend)
        self.free = 2 * math.sinh(outer) * np.sin(self.angles)

    def at_nodes(self, coefficients: np.ndarray) -> np.ndarray:
        """Return values at the nodes from coefficients of as many modes."""
        return (np.linalg.inv(self.inverse_radial) @ coefficients @ np.linalg.inv(self.inverse_angular).T).ravel()

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """Return coefficients from values at the nodes."""
        return self.inverse_radial @ values.reshape(self.n_radial, self.n_angular) @ self.inverse_angular.T

    def linearised(self, unknowns: np.ndarray, viscosity: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the residuals and their Jacobian; rows of both ends of the radius hold the boundary conditions."""
        n_nodes, n_angular = self.n_radial * self.n_angular, self.n_angular
        q, w = unknowns[:n_nodes], unknowns[n_nodes:]
        squares = np.repeat(self.radii**2, n_angular)
        q_s, q_a, w_s, w_a = self.by_s @ q, self.by_a @ q, self.by_s @ w, self.by_a @ w
        residual = np.concatenate(
            [self.laplacian @ q + squares * w, q_a * w_s - q_s * w_a - viscosity * (self.laplacian @ w)]
        )
        jacobian = np.zeros((2 * n_nodes, 2 * n_nodes))
        jacobian[:n_nodes, :n_nodes] = self.laplacian
        jacobian[:n_nodes, n_nodes:] = np.diag(squares)
        jacobian[n_nodes:, :n_nodes] = w_s[:, None] * self.by_a - w_a[:, None] * self.by_s
        jacobian[n_nodes:, n_nodes:] = q_a[:, None] * self.by_s - q_s[:, None] * self.by_a - viscosity * self.laplacian
        wall, outside = np.arange(n_angular), np.arange(n_nodes - n_angular, n_nodes)
        for rows in (wall, outside, n_nodes + wall, n_nodes + outside):
            jacobian[rows] = 0.0
        jacobian[wall, wall], jacobian[outside, outside] = 1.0, 1.0
        residual[wall], residual[outside] = q[wall], q[outside] - self.free
        jacobian[n_nodes + wall, :n_nodes] = self.by_s[wall]
        residual[n_nodes + wall] = q_s[wall]
        leaves, enters = shares(np.cos(self.angles))
        jacobian[n_nodes + outside, n_nodes:] = leaves[:, None] * self.by_s[outside]
        jacobian[n_nodes + outside, n_nodes + outside] += enters
        residual[n_nodes + outside] = leaves * w_s[outside] + enters * w[outside]
        return residual, jacobian


def _require_reynolds(reynolds: float | int) -> float:
    value = checks.as_number(reynolds, "reynolds")
    if not 1 <= value <= 40:
        raise ValueError(f"Argument `reynolds` must lie between 1 and 40, but is {value:g}.")
    return float(value)
