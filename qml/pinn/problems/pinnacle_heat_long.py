"""PINNacle's heat equation over a long time, with a source that is driven and saturates, and its spectral reference."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from qml.pinn.conditions import Face, Periodic
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.problems.spectral import exponential_steps, nearest_snapshots

PI = math.pi
DIFFUSIVITY, STRENGTH = 1e-3, 5.0
LONGEST = 100.0  # the duration there
PERIOD = 8.0  # of the source
N_X, N_Y, STEPS_A_UNIT, STEPS_A_SNAPSHOT = 24, 256, 100, 4  # of the reference
FINER = 2  # points of its grid for each mode
CHUNK = 256  # points that are evaluated at once
SOURCE = (
    f"PINNacle, arXiv:2306.08827; {N_X} x {N_Y} sines in space and exponential Runge-Kutta steps of "
    f"{1 / STEPS_A_UNIT:g} in time"
)
Points = Float[np.ndarray, "batch 3"]


def pinnacle_heat_long(duration: float | int = PERIOD) -> Problem:
    """Pose u_t = lap u / 1000 + 5 sin(u^2) (1 + 2 sin(pi t / 4)) sin(4 pi x) sin(2 pi y) on [0, 1]^2, 0 on all sides.

    It is "Heat2d-LT" there, u = sin(4 pi x) sin(3 pi y) at t = 0. The source drives u to plateaus at the root of pi and
    back to almost 0 in every period of 8. In x the solution has the period 1/2, is odd about 0 and even about 1/8: its
    sines are those of 4 pi (2 k + 1) x.

    Args:
        duration: one period of the source, or up to 100, as there.

    Raises:
        ValueError: a longer duration, or none.
    """
    if not 0 < duration <= LONGEST:
        raise ValueError(f"Argument `duration` must be above 0 and at most {LONGEST:g}, but is {duration}.")

    def heat(u: Any, flow: Any, x: Any, y: Any, t: Any) -> Any:
        drive = (1 + 2 * torch.sin(PI / 4 * t)) * torch.sin(4 * PI * x) * torch.sin(2 * PI * y)
        return (flow - STRENGTH * torch.sin(u * u) * drive) / STRENGTH

    def reference(points: np.ndarray) -> np.ndarray:
        return heat_long_solution(float(duration))(points)

    sides = (("left", "x", 0.0), ("right", "x", 1.0), ("bottom", "y", 0.0), ("top", "y", 1.0))
    return Problem(
        name="pinnacle-heat-long",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0), "t": (0.0, float(duration))}),
        fields=("u",),
        equations={"heat": heat},
        operators={"flow": {"u_t": 1.0, "u_xx": -DIFFUSIVITY, "u_yy": -DIFFUSIVITY}},
        conditions=(
            *(Face(name, {axis: end}, lambda u: u, exact=True) for name, axis, end in sides),
            Face("initial", {"t": 0.0}, lambda u, x, y: u - torch.sin(4 * PI * x) * torch.sin(3 * PI * y), exact=True),
            Periodic("repeats", "x", ("u",), exact=True),
        ),
        trial=lambda x, y, t, u: torch.sin(4 * PI * x) * torch.sin(PI * y) * (_third_wave(y) + t * u),
        features=lambda x, y, t: (torch.cos(8 * PI * x), 2 * y - 1, 2 * t / float(duration) - 1),
        reference=reference,
        source=SOURCE,
    )


def _third_wave(y: Any) -> Any:
    """Return sin(3 pi y) / sin(pi y)."""
    return 1 + 2 * torch.cos(2 * PI * y)


@dataclass(frozen=True)
class SineSeries:
    """Sums of sin(a_k x) sin(b_n y) at equal steps of time, u at points by interpolation between them.

    Attributes:
        of_x: a, (modes,).
        of_y: b, (modes,).
        duration: time of the last snapshot.
        coefficients: (snapshots, modes of x, modes of y).
    """

    of_x: np.ndarray
    of_y: np.ndarray
    duration: float
    coefficients: np.ndarray

    def __call__(self, points: Points) -> Float[np.ndarray, "batch 1"]:
        """Return u at points (x, y, t)."""
        n_snapshots = len(self.coefficients)
        result = np.empty(len(points))
        for first in range(0, len(points), CHUNK):
            x, y, t = points[first : first + CHUNK].T
            nodes, weights = nearest_snapshots(t / self.duration * (n_snapshots - 1), n_snapshots)
            in_x, in_y = np.sin(np.outer(x, self.of_x)), np.sin(np.outer(y, self.of_y))
            by_x = np.einsum("ps,pk,pskn->pn", weights, in_x, self.coefficients[nodes], optimize=True)
            result[first : first + CHUNK] = (by_x * in_y).sum(1)
        return result[:, None]


@cache
def heat_long_solution(duration: float, n_x: int = N_X, n_y: int = N_Y, steps: int = STEPS_A_UNIT) -> SineSeries:
    """Solve the equation by sines in space and `exponential_steps` in time; the source is taken on a grid.

    Over t <= 8, 12 x 128 sines are within 1.1e-4 (relative L2) of 20 x 256, 16 x 192 within 1.7e-5, and steps half as
    long change u by 3e-6. With 24 x 256 the residual in the fronts is 5e-5 of the equation's terms.

    Args:
        duration: of t; full steps of 2 / `steps` fill it, the last one beyond it.
        n_x: sines of x.
        n_y: sines of y.
        steps: a unit of time.
    """
    x, y = (np.arange(FINER * n_x) + 0.5) / (FINER * n_x) / 8, (np.arange(FINER * n_y) + 0.5) / (FINER * n_y)
    of_x, of_y = 4 * PI * (2 * np.arange(n_x) + 1), PI * (1 + np.arange(n_y))
    in_x, in_y = np.sin(np.outer(x, of_x)), np.sin(np.outer(y, of_y))
    back_x, back_y = 2 * in_x.T / len(x), 2 * in_y.T / len(y)
    drive = STRENGTH * np.outer(np.sin(4 * PI * x), np.sin(2 * PI * y))

    def change(v: np.ndarray, time: float) -> np.ndarray:
        u = in_x @ v @ in_y.T
        return back_x @ (np.sin(u * u) * drive * (1 + 2 * math.sin(PI / 4 * time))) @ back_y.T

    start = np.zeros((n_x, n_y))
    start[0, 2] = 1.0
    symbol = -DIFFUSIVITY * (of_x[:, None] ** 2 + of_y**2)
    n_steps = STEPS_A_SNAPSHOT * math.ceil(duration * steps / STEPS_A_SNAPSHOT)
    snapshots = exponential_steps(start, symbol, change, n_steps / steps, n_steps, STEPS_A_SNAPSHOT)
    return SineSeries(of_x, of_y, n_steps / steps, snapshots)
