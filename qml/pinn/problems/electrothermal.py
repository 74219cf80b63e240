"""Steady flow of a fluid that is heated by a current and conducts it: five coupled fields with a chosen solution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Condition, Face
from qml.pinn.domain import Box
from qml.pinn.names import named
from qml.pinn.problem import Problem

PI = math.pi
PRANDTL, RAYLEIGH, JOULE, SLOPE = 0.71, 100.0, 2.0, 0.5  # Pr, Ra, J, and b of the conductivity 1 + b T
FIELDS = ("u", "v", "p", "T", "P")
Term = tuple[float, float, float, float, float]
STREAM: tuple[Term, ...] = tuple(  # sin^2(pi x) sin^2(pi y) / pi in sines: its slopes vanish on all sides
    (sign / (4 * PI), k, PI / 2, n, PI / 2)
    for k, n, sign in ((0.0, 0.0, 1.0), (2 * PI, 0.0, -1.0), (0.0, 2 * PI, -1.0), (2 * PI, 2 * PI, 1.0))
)
WAVES: dict[str, tuple[Term, ...]] = {
    "p": ((0.5, PI, PI / 2, PI, PI / 2), (0.2, 2 * PI, 0.0, PI, 0.3)),
    "T": ((0.5, PI, PI / 2, 0.0, PI / 2), (0.3, PI, 0.0, PI, 0.0)),
    "P": ((1.0, PI / 2, PI / 2, 0.0, PI / 2), (0.3, PI, 0.0, 2 * PI, 0.4)),
}
"""Terms (A, k, a, n, b) of A sin(k x + a) sin(n y + b), by field."""
NAMES = {
    "mass": ("u_x", "v_y"),
    "momentum x": ("u", "v", "u_x", "u_y", "p_x", "lap_u"),
    "momentum y": ("u", "v", "v_x", "v_y", "p_y", "lap_v", "T"),
    "heat": ("u", "v", "T_x", "T_y", "lap_T", "P_x", "P_y"),
    "charge": ("T", "T_x", "T_y", "P_x", "P_y", "lap_P"),
}


def electrothermal() -> Problem:
    """Pose steady electrothermal flow on [0, 1]^2: velocity (u, v), pressure p, temperature T and potential P.

    u_x + v_y = 0, u u_x + v u_y + p_x = Pr lap u + f_1, u v_x + v v_y + p_y = Pr lap v + Ra Pr T + f_2,
    u T_x + v T_y = lap T + J |grad P|^2 + f_3, div((1 + b T) grad P) = f_4, with sources f that give the solution: the
    stream function sin^2(pi x) sin^2(pi y) / pi and waves for p, T and P. The fluid rests on the walls, which is built
    in; T and P are given there, and p in a corner.
    """
    conditions: list[Condition] = [
        Face(f"{field} at {axis} = {end:g}", {axis: end}, lambda u: u, exact=True)
        if field == "u"
        else Face(f"{field} at {axis} = {end:g}", {axis: end}, lambda v: v, exact=True)
        for axis in ("x", "y")
        for end in (0.0, 1.0)
        for field in ("u", "v")
    ]
    conditions += [
        Face(f"{field} at {axis} = {end:g}", {axis: end}, named(_minus_known(field), (field, "x", "y")), weight=10.0)
        for axis in ("x", "y")
        for end in (0.0, 1.0)
        for field in ("T", "P")
    ]
    conditions.append(Face("gauge", {"x": 0.0, "y": 0.0}, named(_minus_known("p"), ("p", "x", "y"))))
    return Problem(
        name="electrothermal",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=FIELDS,
        equations={name: named(_residual(name), (*asked, "x", "y")) for name, asked in NAMES.items()},
        operators={f"lap_{name}": {f"{name}_xx": 1.0, f"{name}_yy": 1.0} for name in ("u", "v", "T", "P")},
        conditions=tuple(conditions),
        trial=lambda x, y, u, v, p, T, P: (
            16 * x * (1 - x) * y * (1 - y) * u,
            16 * x * (1 - x) * y * (1 - y) * v,
            p,
            T,
            P,
        ),
        features=lambda x, y: (2 * x - 1, 2 * y - 1),
        reference=lambda points: np.column_stack([known(name, points[:, 0], points[:, 1], np) for name in FIELDS]),
        source="manufactured; the coupled fields of arXiv:2604.14201",
    )


def known(name: str, x: Any, y: Any, library: Any = torch) -> Any:
    """Return a field of the solution, a derivative (`T_x`) or a Laplacian (`lap_T`) at places.

    Args:
        name: of what is asked for.
        x: places.
        y: places.
        library: torch or numpy, as the places.
    """
    if name.startswith("lap_"):
        field = name.removeprefix("lap_")
        return known(f"{field}_xx", x, y, library) + known(f"{field}_yy", x, y, library)
    field, _, axes = name.partition("_")
    terms, sign = WAVES.get(field, STREAM), 1.0
    if field in ("u", "v"):  # u = psi_y, v = -psi_x
        axes, sign = axes + ("y" if field == "u" else "x"), 1.0 if field == "u" else -1.0
    by_x, by_y = axes.count("x"), axes.count("y")
    total = 0.0 * x
    for size, k, a, n, b in terms:
        along_x = k**by_x * library.sin(k * x + a + by_x * PI / 2)
        total = total + sign * size * along_x * n**by_y * library.sin(n * y + b + by_y * PI / 2)
    return total


def balance(name: str, values: dict[str, Any]) -> Any:
    """Return what an equation sets equal to its source, from the values it asks for."""
    get = values.__getitem__
    if name == "mass":
        return get("u_x") + get("v_y")
    if name == "momentum x":
        return get("u") * get("u_x") + get("v") * get("u_y") + get("p_x") - PRANDTL * get("lap_u")
    if name == "momentum y":
        inertia = get("u") * get("v_x") + get("v") * get("v_y")
        return inertia + get("p_y") - PRANDTL * get("lap_v") - RAYLEIGH * PRANDTL * get("T")
    if name == "heat":
        heated = get("lap_T") + JOULE * (get("P_x") ** 2 + get("P_y") ** 2)
        return get("u") * get("T_x") + get("v") * get("T_y") - heated
    drift = get("T_x") * get("P_x") + get("T_y") * get("P_y")
    return (1 + SLOPE * get("T")) * get("lap_P") + SLOPE * drift


def _residual(name: str) -> Callable[..., Any]:
    asked = NAMES[name]

    def residual(*values: Any) -> Any:
        *given, x, y = values
        source = balance(name, {item: known(item, x, y) for item in asked})
        return balance(name, dict(zip(asked, given, strict=True))) - source

    return residual


def _minus_known(field: str) -> Callable[..., Any]:
    return lambda value, x, y: value - known(field, x, y)
