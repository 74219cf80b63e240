"""Problems of the benchmark PINNacle that are boxes with a solution in closed form."""

import math
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.names import named
from qml.pinn.problem import Problem
from qml.pinn.problems.many_dimensions import LETTERS

PI = math.pi
SOURCE = "PINNacle, arXiv:2306.08827"
SLOW = 1 / (500 * PI) ** 2, 1 / PI**2  # diffusivities of the heat problem along x and y


def pinnacle_wave() -> Problem:
    """Pose u_tt = 4 u_xx on [0, 1]^2 from rest, u = sin(pi x) + sin(4 pi x) / 2 at t = 0 and 0 at both ends.

    It is "Wave1d-C" there, and u = sin(pi x) cos(2 pi t) + sin(4 pi x) cos(8 pi t) / 2. The equation is divided by 64
    pi^2.
    """

    def solution(points: np.ndarray) -> np.ndarray:
        x, t = points[:, :1], points[:, 1:]
        return np.sin(PI * x) * np.cos(2 * PI * t) + np.sin(4 * PI * x) * np.cos(8 * PI * t) / 2

    return Problem(
        name="pinnacle-wave",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"wave": lambda box_u: box_u / (64 * PI**2)},
        operators={"box_u": {"u_tt": 1.0, "u_xx": -4.0}},
        conditions=(
            Face("left", {"x": 0.0}, lambda u: u, exact=True),
            Face("right", {"x": 1.0}, lambda u: u, exact=True),
            Face("initial", {"t": 0.0}, lambda u, x: u - torch.sin(PI * x) - torch.sin(4 * PI * x) / 2),
            Face("at rest", {"t": 0.0}, lambda u_t: u_t / (8 * PI)),
        ),
        trial=lambda x, u: 4 * x * (1 - x) * u,
        reference=solution,
        source=SOURCE,
    )


def pinnacle_heat() -> Problem:
    """Pose u_t = u_xx / (500 pi)^2 + u_yy / pi^2 on [0, 1]^2 x [0, 5] from sin(20 pi x) sin(pi y), 0 on all sides.

    It is "Heat2d-MS" there, which judges by a solution on a grid; u = sin(20 pi x) sin(pi y) e^(-(0.04^2 + 1) t).
    """
    rate = (20 * PI) ** 2 * SLOW[0] + PI**2 * SLOW[1]

    def solution(points: np.ndarray) -> np.ndarray:
        x, y, t = (points[:, [column]] for column in range(3))
        return np.sin(20 * PI * x) * np.sin(PI * y) * np.exp(-rate * t)

    sides = (("left", "x", 0.0), ("right", "x", 1.0), ("bottom", "y", 0.0), ("top", "y", 1.0))
    return Problem(
        name="pinnacle-heat",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0), "t": (0.0, 5.0)}),
        fields=("u",),
        equations={"heat": lambda flow: flow},
        operators={"flow": {"u_t": 1.0, "u_xx": -SLOW[0], "u_yy": -SLOW[1]}},
        conditions=(
            *(Face(name, {axis: end}, lambda u: u, exact=True) for name, axis, end in sides),
            Face("initial", {"t": 0.0}, lambda u, x, y: u - torch.sin(20 * PI * x) * torch.sin(PI * y), weight=10.0),
        ),
        trial=lambda x, y, u: 16 * x * (1 - x) * y * (1 - y) * u,
        reference=solution,
        source=SOURCE,
    )


def pinnacle_poisson() -> Problem:
    """Pose lap u = -pi^2 / 4 sum_i sin(pi x_i / 2) on [0, 1]^5 with u = sum_i sin(pi x_i / 2) on all faces."""
    axes = LETTERS[:5]

    def solution(*columns: Any) -> Any:
        return sum(torch.sin(PI / 2 * column) for column in columns)

    return Problem(
        name="pinnacle-poisson",
        domain=Box(dict.fromkeys(axes, (0.0, 1.0))),
        fields=("u",),
        equations={
            "poisson": named(lambda lap, *columns: lap / (PI**2 / 4) + solution(*columns), ("laplacian", *axes))
        },
        operators={"laplacian": {f"u_{axis}{axis}": 1.0 for axis in axes}},
        conditions=tuple(
            Face(f"{axis} = {end:g}", {axis: end}, named(lambda u, *columns: u - solution(*columns), ("u", *axes)))
            for axis in axes
            for end in (0.0, 1.0)
        ),
        reference=lambda points: solution(*torch.as_tensor(points).T).numpy()[:, None],
        source=SOURCE,
    )
