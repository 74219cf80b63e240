"""Vortices that a stream carries, measured with noise: the speed of their transport and the viscosity are unknown."""

import math
from typing import Any

import numpy as np

from qml.pinn.conditions import Face, Observations
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

PI = math.pi
STREAM = (1.0, 0.5)
TRANSPORT, VISCOSITY = 1.0, 0.1  # what is to be found


def carried_vortices(*, noise: float | int = 0.01, n_observations: int = 250, seed: int = 0) -> Problem:
    """Pose u_t + c (u . grad) u + grad p = n lap u on [0, pi]^2 x [0, 1] with unknown c and n, and noisy velocities.

    The velocity is (1, 0.5) + (-cos X sin Y, sin X cos Y) e^(-2 n t) with X = x - t and Y = y - t / 2: vortices of
    Taylor and Green in a stream, which tells c. Without a stream the pressure balances all transport, and no velocity
    does.

    Args:
        noise: standard deviation of the measured velocities, which are of order 1.
        n_observations: of u and of v, at the same Sobol points.
        seed: of points and noise.

    Reference:
        The inverse problem of arXiv:2601.03613 and arXiv:1711.10561, which take a cylinder's wake.
    """
    domain = Box({"x": (0.0, PI), "y": (0.0, PI), "t": (0.0, 1.0)})
    seen = [
        Observations.simulated(
            field,
            domain,
            lambda points, column=column: vortices(points)[:, [column]],
            noise=noise,
            n_observations=n_observations,
            seed=seed + 1000 * column,
        )
        for column, field in enumerate(("u", "v"))
    ]
    measured = tuple(
        Observations(f"measured {item.of}", item.of, item.where, item.measured, weight=10.0) for item in seen
    )
    corner = -0.5  # p at x = y = t = 0

    def along(u: Any, v: Any, by_x: Any, by_y: Any) -> Any:
        return u * by_x + v * by_y

    return Problem(
        name="carried-vortices",
        domain=domain,
        fields=("u", "v", "p"),
        equations={
            "momentum x": lambda u, v, u_x, u_y, u_t, p_x, lap_u, c, n: (
                u_t + c * along(u, v, u_x, u_y) + p_x - n * lap_u
            ),
            "momentum y": lambda u, v, v_x, v_y, v_t, p_y, lap_v, c, n: (
                v_t + c * along(u, v, v_x, v_y) + p_y - n * lap_v
            ),
            "continuity": lambda u_x, v_y: u_x + v_y,
        },
        operators={"lap_u": {"u_xx": 1.0, "u_yy": 1.0}, "lap_v": {"v_xx": 1.0, "v_yy": 1.0}},
        conditions=(*measured, Face("gauge", {"x": 0.0, "y": 0.0, "t": 0.0}, lambda p: p - corner)),
        scalars={"c": 0.5, "n": 0.3},
        states={"c": None, "n": None},  # coefficients, though all equations are homogeneous
        features=lambda x, y, t: (2 * x / PI - 1, 2 * y / PI - 1, 2 * t - 1),
        reference=lambda points: vortices(points)[:, :2],
        judged=("u", "v"),
        reference_scalars={"c": TRANSPORT, "n": VISCOSITY},
        source="Taylor and Green's vortices in a moving frame, in closed form",
    )


def vortices(points: np.ndarray) -> np.ndarray:
    """Return u, v and p at points (x, y, t), (batch, 3)."""
    x, y, t = points.T
    moved_x, moved_y, decay = x - STREAM[0] * t, y - STREAM[1] * t, np.exp(-2 * VISCOSITY * t)
    return np.column_stack(
        [
            STREAM[0] - np.cos(moved_x) * np.sin(moved_y) * decay,
            STREAM[1] + np.sin(moved_x) * np.cos(moved_y) * decay,
            -(np.cos(2 * moved_x) + np.cos(2 * moved_y)) / 4 * decay**2,
        ]
    )
