"""Helmholtz' equation with many waves in a square."""

import math
from typing import Any

import numpy as np
import torch

from qml import checks
from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

PI = math.pi


def helmholtz_waves(n_waves: int = 12) -> Problem:
    """Pose u_xx + u_yy + k^2 u = f on [0, 1]^2, u = 0 on all sides, with k = n pi / 2 and n half waves a side.

    u = sin(n pi x) sin(n pi y) + sin(pi x) sin(2 pi y). The equation is divided by 2 (n pi)^2, and the sides are built
    in by u = 16 x (1 - x) y (1 - y) N.

    Args:
        n_waves: n, at least 1.
    """
    fast = checks.as_int(n_waves, "n_waves", 1) * PI
    square = (fast / 2) ** 2

    def equation(u: Any, laplacian: Any, x: Any, y: Any) -> Any:
        source = (square - 2 * fast**2) * torch.sin(fast * x) * torch.sin(fast * y)
        source = source + (square - 5 * PI**2) * torch.sin(PI * x) * torch.sin(2 * PI * y)
        return (laplacian + square * u - source) / (2 * fast**2)

    def solution(points: np.ndarray) -> np.ndarray:
        x, y = points[:, :1], points[:, 1:]
        return np.sin(fast * x) * np.sin(fast * y) + np.sin(PI * x) * np.sin(2 * PI * y)

    sides = (("left", "x", 0.0), ("right", "x", 1.0), ("bottom", "y", 0.0), ("top", "y", 1.0))
    return Problem(
        name="helmholtz-waves",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("u",),
        equations={"helmholtz": equation},
        operators={"laplacian": {"u_xx": 1.0, "u_yy": 1.0}},
        conditions=tuple(Face(name, {axis: end}, lambda u: u, exact=True) for name, axis, end in sides),
        trial=lambda x, y, u: 16 * x * (1 - x) * y * (1 - y) * u,
        reference=solution,
        source="manufactured; two scales, arXiv:2311.04465 has such sums of sines",
    )
