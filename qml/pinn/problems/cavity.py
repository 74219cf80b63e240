"""Steady flow in a square whose lid moves, and its reference by finite differences."""

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

N_CELLS = 128
NEWTON_TOLERANCE = 1e-9
MAX_NEWTON = 20
SOURCE = f"stream function and vorticity on {N_CELLS}^2 cells, second-order differences, Newton's method"
CORNER_RADIUS = 0.1  # within which residuals count less
CORNER_GAP = 0.02  # how far above the corners the angles are measured, so that they have derivatives
Grid = Float[np.ndarray, "rows columns"]


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

    def near_corners(x: Any, y: Any) -> Any:
        left, right = x**2 + (1 - y) ** 2, (1 - x) ** 2 + (1 - y) ** 2
        return left / (left + CORNER_RADIUS**2) * right / (right + CORNER_RADIUS**2)

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
        reference=lambda points: _spline(_stream_function(reynolds)).ev(*points.T)[:, None],
        judged=("psi",),
        source=SOURCE,
    )


def cavity_velocity(points: Float[np.ndarray, "batch 2"], reynolds: float) -> Float[np.ndarray, "batch 2"]:
    """Compute (u, v) at points, by bicubic splines through the stream function's differences."""
    axis = np.linspace(0.0, 1.0, N_CELLS + 1)
    stream = _stream_function(reynolds)
    u = np.gradient(stream, axis, axis=1, edge_order=2)
    v = -np.gradient(stream, axis, axis=0, edge_order=2)
    u[:, 0] = u[0] = u[-1] = v[0] = v[-1] = v[:, 0] = v[:, -1] = 0.0
    u[:, -1] = 1.0
    return np.stack([_spline(values).ev(*points.T) for values in (u, v)], 1)


def _spline(values: Grid) -> Any:
    """Return the bicubic spline through values on the grid."""
    from scipy.interpolate import RectBivariateSpline

    axis = np.linspace(0.0, 1.0, N_CELLS + 1)
    return RectBivariateSpline(axis, axis, values)


@cache
def _stream_function(reynolds: float) -> Grid:
    """Return psi with u = psi_y and v = -psi_x on the grid, x first.

    Laplace psi = -w and (u w_x + v w_y) = Laplace w / Re at inner nodes; at walls psi = 0, and w there from psi next to
    it by Thom's formula, w = -2 psi_1 / h^2, at the lid -2 (psi_1 + h) / h^2.
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    # Untyped: a checker resolves the overloads of every sum and product of sparse matrices for minutes.
    kron, diags, eye, bmat = (_untyped(getattr(sparse, name)) for name in ("kron", "diags", "eye", "bmat"))
    n, h = N_CELLS - 1, 1.0 / N_CELLS
    line = eye(n)
    slope = diags([-1.0, 1.0], [-1, 1], shape=(n, n)) / (2 * h)
    bend = diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(n, n)) / h**2
    d_x, d_y, laplace = kron(slope, line), kron(line, slope), kron(bend, line) + kron(line, bend)
    first, last = np.zeros(n), np.zeros(n)
    first[0], last[-1] = 1.0, 1.0
    ends = {"left": kron(diags(first), line), "right": kron(diags(last), line)}
    ends |= {"bottom": kron(line, diags(first)), "lid": kron(line, diags(last))}
    wall = {side: -2.0 * pick / h**2 for side, pick in ends.items()}  # vorticity at the wall beside a node, from psi
    lid = -2.0 / h * (ends["lid"] @ np.ones(n * n))
    w_x = (wall["right"] - wall["left"]) / (2 * h)  # what walls add to differences of w, from psi
    w_y, w_y_lid = (wall["lid"] - wall["bottom"]) / (2 * h), lid / (2 * h)
    w_bend, w_bend_lid = sum(wall.values()) / h**2, lid / h**2
    psi, w = np.zeros(n * n), np.zeros(n * n)
    for _ in range(MAX_NEWTON):
        u, v = d_y @ psi, -(d_x @ psi)
        along_x, along_y = d_x @ w + w_x @ psi, d_y @ w + w_y @ psi + w_y_lid
        residual = np.concatenate(
            [
                laplace @ psi + w,
                u * along_x + v * along_y - (laplace @ w + w_bend @ psi + w_bend_lid) / reynolds,
            ]
        )
        by_psi = diags(along_x) @ d_y - diags(along_y) @ d_x + diags(u) @ w_x + diags(v) @ w_y - w_bend / reynolds
        by_w = diags(u) @ d_x + diags(v) @ d_y - laplace / reynolds
        change = np.asarray(spsolve(bmat([[laplace, eye(n * n)], [by_psi, by_w]]).tocsc(), residual))
        psi, w = psi - change[: n * n], w - change[n * n :]
        if float(np.abs(change[: n * n]).max()) < NEWTON_TOLERANCE:
            return np.pad(psi.reshape(n, n), 1)
    raise ValueError(f"Newton's method must end within {MAX_NEWTON} steps, but does not at Re = {reynolds:g}.")


def _untyped(function: Any) -> Any:
    return function
