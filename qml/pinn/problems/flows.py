"""Flows with closed forms: Kovasznay's, Taylor and Green's, Poiseuille's; and waves of high frequency in a plane."""

import math
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.names import Residual, named
from qml.pinn.problem import Problem

PI = math.pi
FLOW = ("u", "v", "p")


def kovasznay(reynolds: float | int = 40.0) -> Problem:
    """Pose steady flow behind a row of obstacles on [-0.5, 1] x [-0.5, 1.5] with Kovasznay's velocities on all sides.

    u = 1 - e^(l x) cos(2 pi y), v = l / (2 pi) e^(l x) sin(2 pi y), p = -e^(2 l x) / 2 up to a constant, with
    l = Re / 2 - sqrt(Re^2 / 4 + 4 pi^2). The constant is fixed at a corner.
    """
    rate = reynolds / 2 - math.sqrt(reynolds**2 / 4 + 4 * PI**2)

    def solution(x: Any, y: Any, lib: Any) -> tuple[Any, Any, Any]:
        decay = lib.exp(rate * x)
        return (
            1 - decay * lib.cos(2 * PI * y),
            rate / (2 * PI) * decay * lib.sin(2 * PI * y),
            -(decay**2) / 2,
        )

    corner = {"x": -0.5, "y": -0.5}
    pressure = -math.exp(-rate) / 2
    faces = [
        Face(f"{field} at {axis} = {end:g}", {axis: end}, _known(field, ("x", "y"), solution))
        for axis, end in (("x", -0.5), ("x", 1.0), ("y", -0.5), ("y", 1.5))
        for field in ("u", "v")
    ]
    return Problem(
        name="kovasznay",
        domain=Box({"x": (-0.5, 1.0), "y": (-0.5, 1.5)}),
        fields=FLOW,
        equations={
            "momentum x": lambda u, v, u_x, u_y, p_x, lap_u: u * u_x + v * u_y + p_x - lap_u / reynolds,
            "momentum y": lambda u, v, v_x, v_y, p_y, lap_v: u * v_x + v * v_y + p_y - lap_v / reynolds,
            "continuity": lambda u_x, v_y: u_x + v_y,
        },
        operators={"lap_u": {"u_xx": 1.0, "u_yy": 1.0}, "lap_v": {"v_xx": 1.0, "v_yy": 1.0}},
        conditions=(*faces, Face("gauge", corner, lambda p: p - pressure)),
        reference=lambda points: np.column_stack(solution(points[:, 0], points[:, 1], np)),
        source="Kovasznay, Proc. Cambridge Phil. Soc. 44 (1948) 58, equation 12; closed form",
    )


def taylor_green(viscosity: float | int = 0.1) -> Problem:
    """Pose decaying vortices on [0, pi]^2 x [0, 1], a quarter of their period, with their velocities on all sides.

    u = -cos(x) sin(y) e^(-2 nu t), v = sin(x) cos(y) e^(-2 nu t), p = -(cos(2 x) + cos(2 y)) e^(-4 nu t) / 4.
    """

    def solution(x: Any, y: Any, t: Any, lib: Any) -> tuple[Any, Any, Any]:
        decay = lib.exp(-2 * viscosity * t)
        return (
            -lib.cos(x) * lib.sin(y) * decay,
            lib.sin(x) * lib.cos(y) * decay,
            -(lib.cos(2 * x) + lib.cos(2 * y)) / 4 * decay**2,
        )

    axes = ("x", "y", "t")
    sides = [("x", 0.0), ("x", PI), ("y", 0.0), ("y", PI), ("t", 0.0)]
    faces = [
        Face(f"{field} at {axis} = {end:.3g}", {axis: end}, _known(field, axes, solution))
        for axis, end in sides
        for field in ("u", "v")
    ]
    return Problem(
        name="taylor-green",
        domain=Box({"x": (0.0, PI), "y": (0.0, PI), "t": (0.0, 1.0)}),
        fields=FLOW,
        equations={
            "momentum x": lambda u, v, u_x, u_y, p_x, move_u: move_u + u * u_x + v * u_y + p_x,
            "momentum y": lambda u, v, v_x, v_y, p_y, move_v: move_v + u * v_x + v * v_y + p_y,
            "continuity": lambda u_x, v_y: u_x + v_y,
        },
        operators={
            "move_u": {"u_t": 1.0, "u_xx": -viscosity, "u_yy": -viscosity},
            "move_v": {"v_t": 1.0, "v_xx": -viscosity, "v_yy": -viscosity},
        },
        conditions=(*faces, Face("gauge", {"x": 0.0, "y": 0.0}, _known("p", axes, solution))),
        features=lambda x, y, t: (2 * x / PI - 1, 2 * y / PI - 1, 2 * t - 1),
        reference=lambda points: np.column_stack(solution(points[:, 0], points[:, 1], points[:, 2], np)),
        source="Taylor and Green, Proc. R. Soc. A 158 (1937) 499, in a plane; closed form",
    )


def poiseuille(reynolds: float | int = 10.0) -> Problem:
    """Pose steady flow through a channel [0, 2] x [0, 1] from pressures at both ends; velocities are hard at the walls.

    u = 4 y (1 - y), v = 0, p = 8 (2 - x) / Re. Walls hold exactly by u = y (1 - y) N_u and v = y (1 - y) N_v.
    """

    def solution(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        return np.column_stack([4 * y * (1 - y), np.zeros_like(x), 8 * (2 - x) / reynolds])

    walls = [
        Face(f"{field} at {end:g}", {"y": end}, named(lambda value: value, (field,)), exact=True)
        for end in (0.0, 1.0)
        for field in ("u", "v")
    ]
    ends = (
        Face("p at the inlet", {"x": 0.0}, lambda p: p - 16 / reynolds),
        Face("p at the outlet", {"x": 2.0}, lambda p: p),
        Face("u does not change at the inlet", {"x": 0.0}, lambda u_x: u_x),
        Face("u does not change at the outlet", {"x": 2.0}, lambda u_x: u_x),
        Face("v at the inlet", {"x": 0.0}, lambda v: v),
        Face("v at the outlet", {"x": 2.0}, lambda v: v),
    )
    return Problem(
        name="poiseuille",
        domain=Box({"x": (0.0, 2.0), "y": (0.0, 1.0)}),
        fields=FLOW,
        equations={
            "momentum x": lambda u, v, u_x, u_y, p_x, lap_u: u * u_x + v * u_y + p_x - lap_u / reynolds,
            "momentum y": lambda u, v, v_x, v_y, p_y, lap_v: u * v_x + v * v_y + p_y - lap_v / reynolds,
            "continuity": lambda u_x, v_y: u_x + v_y,
        },
        operators={"lap_u": {"u_xx": 1.0, "u_yy": 1.0}, "lap_v": {"v_xx": 1.0, "v_yy": 1.0}},
        conditions=(*walls, *ends),
        trial=lambda y, u, v, p: (y * (1 - y) * u, y * (1 - y) * v, p),
        reference=solution,
        source="closed form; hard boundary conditions as in arXiv:2511.14497",
    )


def poisson_waves(wave_number: float | int = 100.0) -> Problem:
    """Pose u'' = -k^2 sin(k x) on [0, 2 pi] with the values of u = sin(k x) at both ends."""
    end = math.sin(2 * PI * wave_number)
    return Problem(
        name="poisson-waves",
        domain=Box({"x": (0.0, 2 * PI)}),
        fields=("u",),
        equations={"poisson": lambda u_xx, x: u_xx / wave_number**2 + torch.sin(wave_number * x)},
        conditions=(Face("left", {"x": 0.0}, lambda u: u), Face("right", {"x": 2 * PI}, lambda u: u - end)),
        reference=lambda points: np.sin(wave_number * points),
        source="closed form; arXiv:2311.04465, section 6",
    )


def poisson_multiscale() -> Problem:
    """Pose u_xx + u_yy = f on [0, 1]^2 with u = the sum of sin(n pi x) sin(n pi y) / n^2 over n = 1, 4, 16."""
    modes = (1, 4, 16)

    def equation(laplacian: Any, x: Any, y: Any) -> Any:
        source = sum(torch.sin(n * PI * x) * torch.sin(n * PI * y) for n in modes)
        return laplacian / (2 * PI**2) + source

    def solution(points: np.ndarray) -> np.ndarray:
        x, y = points[:, :1], points[:, 1:]
        return sum(np.sin(n * PI * x) * np.sin(n * PI * y) / n**2 for n in modes) + np.zeros_like(x)

    sides = [("left", "x", 0.0), ("right", "x", 1.0), ("bottom", "y", 0.0), ("top", "y", 1.0)]
    return Problem(
        name="poisson-multiscale",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("u",),
        equations={"poisson": equation},
        operators={"laplacian": {"u_xx": 1.0, "u_yy": 1.0}},
        conditions=tuple(Face(name, {axis: end}, lambda u: u, exact=True) for name, axis, end in sides),
        trial=lambda x, y, u: x * (1 - x) * y * (1 - y) * u,
        features=lambda x, y: tuple(
            wave(n * PI * axis) for axis in (x, y) for n in modes for wave in (torch.cos, torch.sin)
        ),
        reference=solution,
        source="manufactured; three scales that the trunk's inputs hold",
    )


def _known(field: str, axes: tuple[str, ...], solution: Any) -> Residual:
    """Return the residual of one field's known value."""
    index = FLOW.index(field)
    return named(lambda value, *at: value - solution(*at, torch)[index], (field, *axes))
