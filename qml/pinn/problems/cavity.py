"""Steady flow in a square whose lid moves, and its spectral reference."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.problems.cavity_reference import N_MODES, solve_cavity

SOURCE = (
    f"stream function by Galerkin's method with {N_MODES}^2 Chebyshev polynomials beside the corners' singular parts; "
    "velocities agree with those of Botella and Peyret, Computers and Fluids 27 (1998) 421"
)
CORNER_RADIUS = 0.1  # within which residuals count less
CORNER_GAP = 0.02  # how far above the corners the angles are measured, so that they have derivatives


def cavity(reynolds: float = 100.0) -> Problem:
    """Pose steady Navier-Stokes flow (u, v), p on [0, 1]^2: the lid y = 1 moves right at speed 1, other walls rest.

    The velocity jumps in the upper corners, where no smooth function can follow. The reference covers the velocity.
    """

    def walls(name: str) -> tuple[Face, ...]:
        rest = {"u": lambda u: u, "v": lambda v: v}[name]
        lid = {"u": lambda u: u - 1.0, "v": lambda v: v}[name]
        sides = (("left", {"x": 0.0}), ("right", {"x": 1.0}), ("bottom", {"y": 0.0}))
        return (*(Face(f"{side} {name}", at, rest) for side, at in sides), Face(f"lid {name}", {"y": 1.0}, lid))

    return Problem(
        name="cavity",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("u", "v", "p"),
        equations={
            "momentum x": lambda u, v, u_x, u_y, p_x, friction_u: u * u_x + v * u_y + p_x + friction_u,
            "momentum y": lambda u, v, v_x, v_y, p_y, friction_v: u * v_x + v * v_y + p_y + friction_v,
            "mass": lambda u_x, v_y: u_x + v_y,
        },
        operators={
            f"friction_{name}": {f"{name}_xx": -1.0 / reynolds, f"{name}_yy": -1.0 / reynolds} for name in ("u", "v")
        },
        conditions=(*walls("u"), *walls("v"), Face("pressure", {"x": 0.0, "y": 0.0}, lambda p: p)),
        reference=lambda points: cavity_velocity(points, reynolds),
        judged=("u", "v"),
        source=SOURCE,
    )


def cavity_stream(reynolds: float = 100.0) -> Problem:
    """Pose the same flow by stream function psi and vorticity w, with u = psi_y and v = -psi_x: no mass is lost.

    psi = 0 on the walls is built in, and psi's slopes there are the conditions; w has none. In the upper corners w is
    infinite: the trunk sees the angles around them, by which the velocity jumps there, and residuals are multiplied by
    r^2 / (r^2 + 0.1^2) for the distance r from either corner, that of the transport by its square.
    """

    def transport(psi_x: Any, psi_y: Any, w_x: Any, w_y: Any, friction: Any, x: Any, y: Any) -> Any:
        return (psi_y * w_x - psi_x * w_y + friction) * near_corners(x, y) ** 2

    def angles(x: Any, y: Any) -> tuple[Any, ...]:
        import torch

        above = 1 + CORNER_GAP - y
        return 2 * x - 1, 2 * y - 1, torch.atan(x / above), torch.atan((1 - x) / above)

    sides = {"left": {"x": 0.0}, "right": {"x": 1.0}, "bottom": {"y": 0.0}, "lid": {"y": 1.0}}
    slips = {
        "left": lambda psi_x: psi_x,
        "right": lambda psi_x: psi_x,
        "bottom": lambda psi_y: psi_y,
        "lid": lambda psi_y, x, y: (psi_y - 1) * near_corners(x, y),
    }
    return Problem(
        name="cavity-stream",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("psi", "w"),
        equations={
            "vorticity": lambda laplacian, w, x, y: (laplacian + w) * near_corners(x, y),
            "transport": transport,
        },
        operators={
            "laplacian": {"psi_xx": 1.0, "psi_yy": 1.0},
            "friction": {"w_xx": -1.0 / reynolds, "w_yy": -1.0 / reynolds},
        },
        conditions=(
            *(Face(f"{side} wall", at, lambda psi: psi, exact=True) for side, at in sides.items()),
            *(Face(f"{side} speed", at, slips[side], weight=100.0) for side, at in sides.items()),
        ),
        trial=lambda x, y, psi, w: (x * (1 - x) * y * (1 - y) * psi, 10 * w),
        features=angles,
        reference=lambda points: cavity_stream_function(points, reynolds),
        judged=("psi",),
        source=SOURCE,
    )


def cavity_stream_1000() -> Problem:
    """Pose `cavity_stream` at a Reynolds number of 1000, under a name of its own.

    The vorticity of its core is fixed by 1 / Re of the residual alone: see `qml.pinn.CavityRecipe`.
    """
    return replace(cavity_stream(1000.0), name="cavity-stream-1000")


def near_corners(x: Any, y: Any) -> Any:
    """Return the product of r^2 / (r^2 + 0.1^2) over the distances r from the upper corners."""
    left, right = x**2 + (1 - y) ** 2, (1 - x) ** 2 + (1 - y) ** 2
    return left / (left + CORNER_RADIUS**2) * right / (right + CORNER_RADIUS**2)


def cavity_velocity(points: Float[np.ndarray, "batch 2"], reynolds: float) -> Float[np.ndarray, "batch 2"]:
    """Compute (u, v) at points of [0, 1]^2 by the spectral reference; (1, 0) in the upper corners, where it jumps."""
    return solve_cavity(float(reynolds)).velocity(points)


def cavity_stream_function(points: Float[np.ndarray, "batch 2"], reynolds: float) -> Float[np.ndarray, "batch 1"]:
    """Compute psi at points of [0, 1]^2 by the spectral reference, with u = psi_y and v = -psi_x."""
    return solve_cavity(float(reynolds)).stream(points)[:, None]
