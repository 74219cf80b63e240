"""Steady problems whose solutions were chosen first: Poisson in one and two dimensions, Helmholtz."""

import math
from collections.abc import Callable

import numpy as np
import torch

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

PI = math.pi
LAPLACIAN = {"laplacian": {"u_xx": 1.0, "u_yy": 1.0}}


def poisson() -> Problem:
    """Pose u'' = f on [-1, 1] with u = sin(5 pi x) cos(3 pi x) + tanh(20 x): waves and a steep front."""

    def solution(points: np.ndarray) -> np.ndarray:
        return np.sin(5 * PI * points) * np.cos(3 * PI * points) + np.tanh(20 * points)

    def equation(u_xx: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        # sin(5a) cos(3a) = (sin(8a) + sin(2a)) / 2
        waves = -2 * PI**2 * (16 * torch.sin(8 * PI * x) + torch.sin(2 * PI * x))
        front = torch.tanh(20 * x)
        return u_xx - waves + 800 * front * (1 - front**2)

    ends = {place: float(solution(np.array([[place]]))[0, 0]) for place in (-1.0, 1.0)}
    return Problem(
        name="poisson",
        domain=Box({"x": (-1.0, 1.0)}),
        fields=("u",),
        equations={"poisson": equation},
        conditions=(
            Face("left", {"x": -1.0}, lambda u: u - ends[-1.0]),
            Face("right", {"x": 1.0}, lambda u: u - ends[1.0]),
        ),
        reference=solution,
        source="manufactured, as in arXiv:2605.19263",
    )


def poisson_2d() -> Problem:
    """Pose u_xx + u_yy = f on [0, 1]^2 with u = sin(pi x) sin(pi y)."""

    def equation(laplacian: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return laplacian + 2 * PI**2 * torch.sin(PI * x) * torch.sin(PI * y)

    return Problem(
        name="poisson-2d",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("u",),
        equations={"poisson": equation},
        operators=LAPLACIAN,
        conditions=_zero_faces((0.0, 1.0)),
        reference=_product(PI, PI),
        source="manufactured",
    )


def helmholtz() -> Problem:
    """Pose u_xx + u_yy + u = f on [-1, 1]^2 with u = sin(pi x) sin(4 pi y)."""

    def equation(u: torch.Tensor, laplacian: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return laplacian + u + (17 * PI**2 - 1) * torch.sin(PI * x) * torch.sin(4 * PI * y)

    return Problem(
        name="helmholtz",
        domain=Box({"x": (-1.0, 1.0), "y": (-1.0, 1.0)}),
        fields=("u",),
        equations={"helmholtz": equation},
        operators=LAPLACIAN,
        conditions=_zero_faces((-1.0, 1.0)),
        reference=_product(PI, 4 * PI),
        source="manufactured, arXiv:2001.04536, section 4.1, with k = 1",
    )


def _zero_faces(ends: tuple[float, float]) -> tuple[Face, ...]:
    """Return the conditions u = 0 on the four sides of a square."""
    sides = [("left", "x", 0), ("right", "x", 1), ("bottom", "y", 0), ("top", "y", 1)]
    return tuple(Face(name, {axis: ends[end]}, lambda u: u) for name, axis, end in sides)


def _product(k_x: float, k_y: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda points: np.sin(k_x * points[:, :1]) * np.sin(k_y * points[:, 1:])
