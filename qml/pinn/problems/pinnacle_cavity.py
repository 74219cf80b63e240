"""The cavity of the benchmark PINNacle, whose lid moves at 4 x (1 - x), and its spectral reference."""

import math
from typing import Any

import torch

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.problems.cavity_reference import N_MODES, SMALL, Cavity, CornerVorticity, fade, solve_under_lid

PI = math.pi
SOURCE = f"PINNacle, arXiv:2306.08827; stream function by Galerkin's method with {N_MODES}^2 Chebyshev polynomials"
VORTICITY_SCALE = 10.0


def pinnacle_cavity(reynolds: float | int = 100.0) -> Problem:
    """Pose steady flow in a square under a lid of speed 4 x (1 - x), by stream function and vorticity.

    It is "NS2d-C" there, in velocities and pressure at Re = 100; here u = psi_y and v = -psi_x. The velocity is
    continuous, and its slopes jump in the upper corners: psi = s + 16 (x (1 - x) y (1 - y))^2 N with s of
    `parabolic_stream`, which has the walls' values and slopes and that jump, so that all conditions are exact. The
    field w is the vorticity of the rest, that of the flow plus Laplace s.
    """
    reynolds = float(reynolds)
    parts = CornerVorticity(reynolds, parabolic_stream)

    def vorticity(laplacian: Any, w: Any, x: Any, y: Any) -> Any:
        return laplacian - parts(x, y)[0] + w

    def transport(psi_x: Any, psi_y: Any, w_x: Any, w_y: Any, friction: Any, x: Any, y: Any) -> Any:
        _, by_x, by_y, spread = parts(x, y)
        return psi_y * (w_x - by_x) - psi_x * (w_y - by_y) + friction + spread / reynolds

    def trial(x: Any, y: Any, psi: Any, w: Any) -> tuple[Any, Any]:
        inside = x * (1 - x) * (y * (1 - y))
        return parabolic_stream(x, y, reynolds) + 16 * inside * inside * psi, VORTICITY_SCALE * w

    sides = {"left": {"x": 0.0}, "right": {"x": 1.0}, "bottom": {"y": 0.0}, "lid": {"y": 1.0}}
    slips = {
        "left": lambda psi_x: psi_x,
        "right": lambda psi_x: psi_x,
        "bottom": lambda psi_y: psi_y,
        "lid": lambda psi_y, x: psi_y - 4 * x * (1 - x),
    }
    return Problem(
        name="pinnacle-cavity",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("psi", "w"),
        equations={"vorticity": vorticity, "transport": transport},
        operators={
            "laplacian": {"psi_xx": 1.0, "psi_yy": 1.0},
            "friction": {"w_xx": -1.0 / reynolds, "w_yy": -1.0 / reynolds},
        },
        conditions=(
            *(Face(f"{side} wall", at, lambda psi: psi, exact=True) for side, at in sides.items()),
            *(Face(f"{side} speed", at, slips[side], exact=True) for side, at in sides.items()),
        ),
        trial=trial,
        reference=lambda points: solve_pinnacle_cavity(reynolds).stream(points)[:, None],
        judged=("psi",),
        source=SOURCE,
    )


def solve_pinnacle_cavity(reynolds: float | int = 100.0, n_modes: int = N_MODES) -> Cavity:
    """Solve the flow under this lid by `solve_under_lid`; its `velocity` gives u and v."""
    return solve_under_lid(float(reynolds), parabolic_stream, n_modes)


def parabolic_stream(x: Any, y: Any, reynolds: float) -> Any:
    """Return a stream function with a lid of speed 4 x (1 - x) and walls at rest, for tensors and jets.

    Near an upper corner the lid has speed 4 r, and Stokes' flow is psi = r^2 f(theta) with theta from the lid,
    f(0) = f(pi / 2) = f'(pi / 2) = 0 and f'(0) = -4, so that f = pi / 2 - 2 theta - (pi / 2) cos(2 theta)
    - sin(2 theta). Both are faded out, and a polynomial brings the speed between them to 4 x (1 - x).
    Inertia drives parts of order r^4 only.

    Args:
        x: tensor or jet.
        y: as x.
        reynolds: takes no part.
    """
    depth, speed, total = 1 - y, 4 * x * (1 - x), 0.0
    for across in (x, 1 - x):
        squared = across**2 + depth**2 + SMALL
        radius = squared * torch.rsqrt(squared)
        angle = 2 * torch.atan(depth / (radius + across))  # in [0, pi / 2], also where x = 0
        stokes = PI / 2 - 2 * angle - (PI / 2) * torch.cos(2 * angle) - torch.sin(2 * angle)
        faded = fade(across)
        total = faded * fade(depth) * (squared * stokes) + total
        speed = speed - 4 * across * faded
    return total - speed * (y**2 * depth)
