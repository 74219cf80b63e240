"""Equations with third and fourth derivatives on a period: Korteweg-de Vries and Kuramoto-Sivashinsky.

Jets carry third and fourth derivatives along one direction, so that a Jacobian of Kuramoto-Sivashinsky takes 38 ms for
600 points and 1061 weights of an MLP, where nested reverse passes take 208 ms. `mixed=True` makes w = u_xx a field of
its own, so that no derivative is above the second (44 ms): for circuits, whose jets stop there.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face, Periodic
from qml.pinn.domain import Box
from qml.pinn.names import Residual
from qml.pinn.problem import Problem
from qml.pinn.problems.spectral import PeriodicSolution, solve_periodic

PI = math.pi
N_WAVES = 4  # cosines and sines among the trunk's inputs
DISPERSION = 0.022**2
ADVECTION, GROWTH, DAMPING = 100 / 16, 100 / 16**2, 100 / 16**4


def korteweg_de_vries(*, mixed: bool = False) -> Problem:
    """Pose u_t + u u_x + 0.022^2 u_xxx = 0 on [-1, 1] x [0, 1], periodic, u(x, 0) = cos(pi x): a train of solitons."""
    equations = {
        True: {"kdv": lambda u, u_t, u_x, w_x: u_t + u * u_x + DISPERSION * w_x, "curvature": _curvature},
        False: {"kdv": lambda u, u_t, u_x, u_xxx: u_t + u * u_x + DISPERSION * u_xxx},
    }
    return _periodic(
        "kdv",
        (-1.0, 1.0),
        1.0,
        equations[mixed],
        lambda x: torch.cos(PI * x),
        lambda x: -(PI**2) * torch.cos(PI * x),
        _kdv_solution,
        source="Zabusky and Kruskal's; Fourier series in x, ETDRK4 in t",
    )


def kuramoto_sivashinsky(*, mixed: bool = False) -> Problem:
    """Pose u_t + 5 u u_x + u_xx / 2 + u_xxxx / 200 = 0 on [-1, 1] x [0, 1], periodic, u(x, 0) = -sin(pi x)."""
    equations = {
        True: {
            "ks": lambda u, u_t, u_x, w, w_xx: u_t + 5 * u * u_x + 0.5 * w + 0.005 * w_xx,
            "curvature": _curvature,
        },
        False: {"ks": lambda u, u_t, u_x, u_xx, u_xxxx: u_t + 5 * u * u_x + 0.5 * u_xx + 0.005 * u_xxxx},
    }
    return _periodic(
        "ks",
        (-1.0, 1.0),
        1.0,
        equations[mixed],
        lambda x: -torch.sin(PI * x),
        lambda x: PI**2 * torch.sin(PI * x),
        _ks_solution,
        source="arXiv:2203.07404, section 4.3, with regular data; Fourier series in x, ETDRK4 in t",
    )


def kuramoto_sivashinsky_chaotic(*, duration: float | int = 0.5, mixed: bool = False) -> Problem:
    """Pose u_t + a u u_x + b u_xx + c u_xxxx = 0 on [0, 2 pi], periodic, u(x, 0) = cos(x) (1 + sin(x)): chaos.

    a = 100 / 16, b = 100 / 16^2, c = 100 / 16^4.

    Args:
        duration: at most 1.
        mixed: whether u_xx is a field.
    """
    equations = {
        True: {
            "ks": lambda u, u_t, u_x, w, w_xx: u_t + ADVECTION * u * u_x + GROWTH * w + DAMPING * w_xx,
            "curvature": _curvature,
        },
        False: {"ks": lambda u, u_t, u_x, u_xx, u_xxxx: u_t + ADVECTION * u * u_x + GROWTH * u_xx + DAMPING * u_xxxx},
    }
    return _periodic(
        "ks-chaotic",
        (0.0, 2 * PI),
        float(duration),
        equations[mixed],
        lambda x: torch.cos(x) * (1 + torch.sin(x)),
        lambda x: -torch.cos(x) - 2 * torch.sin(2 * x),
        _chaotic_solution,
        source="arXiv:2203.07404, section 4.3, with chaotic data; Fourier series in x, ETDRK4 in t",
    )


def periodic_features(
    interval: tuple[float | int, float | int], times: tuple[float, float], n_waves: int = N_WAVES
) -> Residual:
    """Return t on [-1, 1] with cosines and sines of x, so that every trunk is periodic."""
    low, high = interval
    k, middle, half = 2 * PI / (high - low), (times[0] + times[1]) / 2, (times[1] - times[0]) / 2

    def features(x: Any, t: Any) -> tuple[Any, ...]:
        waves = (wave(n * k * (x - low)) for n in range(1, n_waves + 1) for wave in (torch.cos, torch.sin))
        return ((t - middle) / half, *waves)

    return features


def _curvature(w: Any, u_xx: Any) -> Any:
    return (w - u_xx) / PI**2


def _periodic(
    name: str,
    interval: tuple[float | int, float | int],
    duration: float,
    equations: dict[str, Residual],
    start: Callable[[Any], Any],
    bend: Callable[[Any], Any],
    solution: Callable[[], PeriodicSolution],
    *,
    source: str,
) -> Problem:
    """Pose an equation with exact initial data and exact periodicity.

    Args:
        name: of the problem.
        interval: of x.
        duration: of t.
        equations: by name; those of the mixed form hold a second one.
        start: u at t = 0, a function of torch.
        bend: its second derivative.
        solution: the reference.
        source: of the problem.
    """
    mixed = len(equations) > 1
    fields = ("u", "w") if mixed else ("u",)
    joined = ("u", "u_x", "w", "w_x") if mixed else ("u", "u_x", "u_xx", "u_xxx")
    faces = [Face("initial", {"t": 0.0}, lambda u, x: u - start(x), exact=True)]
    if mixed:
        faces.append(Face("initial curvature", {"t": 0.0}, lambda w, x: w - bend(x), exact=True))

    def both(x: Any, t: Any, u: Any, w: Any) -> tuple[Any, Any]:
        return start(x) + t * u, bend(x) + t * w

    def reference(points: np.ndarray) -> np.ndarray:
        return solution()(points[:, 0], points[:, 1])[:, None]

    return Problem(
        name=name,
        domain=Box({"x": interval, "t": (0.0, duration)}),
        fields=fields,
        equations=equations,
        conditions=(Periodic("periodic", "x", joined, exact=True), *faces),
        trial=both if mixed else lambda x, t, u: start(x) + t * u,
        features=periodic_features(interval, (0.0, duration)),
        reference=reference,
        judged=("u",) if mixed else (),
        source=source,
    )


@cache
def _kdv_solution() -> PeriodicSolution:
    return solve_periodic(
        lambda x: np.cos(PI * x), lambda k: -DISPERSION * k**3, 1.0, (-1.0, 1.0), 1.0, n_points=384, n_steps=4000
    )


@cache
def _ks_solution() -> PeriodicSolution:
    return solve_periodic(
        lambda x: -np.sin(PI * x),
        lambda k: -0.5 * k**2 - 0.005 * k**4,
        5.0,
        (-1.0, 1.0),
        1.0,
        n_points=128,
        n_steps=8000,
    )


@cache
def _chaotic_solution() -> PeriodicSolution:
    return solve_periodic(
        lambda x: np.cos(x) * (1 + np.sin(x)),
        lambda k: -GROWTH * k**2 - DAMPING * k**4,
        ADVECTION,
        (0.0, 2 * PI),
        1.0,
        n_points=384,
        n_steps=12000,
    )
