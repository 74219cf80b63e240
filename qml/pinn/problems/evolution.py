"""Problems in time. Faces are called after their side, and "initial" is t = 0."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qml.pinn.conditions import Face, Observations, Periodic
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.problems.references import allen_cahn_solution, burgers_solution, lorenz_solution

PI = math.pi
UNIT = Box({"x": (0.0, 1.0), "t": (0.0, 1.0)})


def heat(diffusivity: float = 0.1) -> Problem:
    """Pose u_t = a u_xx on [0, 1]^2, zero at both ends, u(x, 0) = sin(pi x)."""
    return Problem(
        name="heat",
        domain=UNIT,
        fields=("u",),
        equations={"heat": lambda diffusion: diffusion},
        operators={"diffusion": {"u_t": 1.0, "u_xx": -diffusivity}},
        conditions=(*_zero_ends(0.0, 1.0), Face("initial", {"t": 0.0}, lambda u, x: u - torch.sin(PI * x))),
        reference=_closed(lambda x, t: np.exp(-diffusivity * PI**2 * t) * np.sin(PI * x)),
        source="closed form",
    )


def damped_wave(damping: float = 1.0) -> Problem:
    """Pose u_tt + b u_t = u_xx on [0, 1]^2, zero at both ends, at rest in the shape sin(pi x) at t = 0."""
    turn = math.sqrt(PI**2 - damping**2 / 4)

    def solution(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        swing = np.cos(turn * t) + damping / (2 * turn) * np.sin(turn * t)
        return np.exp(-damping * t / 2) * swing * np.sin(PI * x)

    return Problem(
        name="damped-wave",
        domain=UNIT,
        fields=("u",),
        equations={"wave": lambda damped_wave: damped_wave},
        operators={"damped_wave": {"u_tt": 1.0, "u_t": damping, "u_xx": -1.0}},
        conditions=(
            *_zero_ends(0.0, 1.0),
            Face("initial", {"t": 0.0}, lambda u, x: u - torch.sin(PI * x)),
            Face("at rest", {"t": 0.0}, lambda u_t: u_t),
        ),
        reference=_closed(solution),
        source="closed form",
    )


def klein_gordon() -> Problem:
    """Pose u_tt - u_xx + u^3 = f on [0, 1]^2 with u = x cos(5 pi t) + (x t)^3."""

    def equation(u: Tensor, wave_operator: Tensor, x: Tensor, t: Tensor) -> Tensor:
        wave = x * torch.cos(5 * PI * t)
        source = -25 * PI**2 * wave + 6 * x**3 * t - 6 * x * t**3 + (wave + (x * t) ** 3) ** 3
        return wave_operator + u**3 - source

    return Problem(
        name="klein-gordon",
        domain=UNIT,
        fields=("u",),
        equations={"klein-gordon": equation},
        operators={"wave_operator": {"u_tt": 1.0, "u_xx": -1.0}},
        conditions=(
            Face("left", {"x": 0.0}, lambda u: u),
            Face("right", {"x": 1.0}, lambda u, t: u - torch.cos(5 * PI * t) - t**3),
            Face("initial", {"t": 0.0}, lambda u, x: u - x),
            Face("at rest", {"t": 0.0}, lambda u_t: u_t),
        ),
        reference=_closed(lambda x, t: x * np.cos(5 * PI * t) + (x * t) ** 3),
        source="manufactured, arXiv:2001.04536, section 4.2",
    )


def burgers(viscosity: float = 0.01 / PI) -> Problem:
    """Pose u_t + u u_x = nu u_xx on [-1, 1] x [0, 1], zero at both ends, u(x, 0) = -sin(pi x): a shock forms at 0."""
    return Problem(
        name="burgers",
        domain=Box({"x": (-1.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"burgers": lambda u, u_x, diffusion: diffusion + u * u_x},
        operators={"diffusion": {"u_t": 1.0, "u_xx": -viscosity}},
        conditions=(*_zero_ends(-1.0, 1.0), Face("initial", {"t": 0.0}, lambda u, x: u + torch.sin(PI * x))),
        reference=_closed(lambda x, t: burgers_solution(x, t, viscosity)),
        source="Cole-Hopf transform, its integrals by Gauss-Hermite quadrature",
    )


def allen_cahn() -> Problem:
    """Pose u_t - 1e-4 u_xx + 5 u^3 - 5 u = 0 on [-1, 1] x [0, 1], periodic, u(x, 0) = x^2 cos(pi x)."""
    return Problem(
        name="allen-cahn",
        domain=Box({"x": (-1.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"allen-cahn": lambda u, diffusion: diffusion + 5 * u**3 - 5 * u},
        operators={"diffusion": {"u_t": 1.0, "u_xx": -1e-4}},
        conditions=(
            Periodic("periodic", "x", ("u", "u_x"), exact=True),
            Face("initial", {"t": 0.0}, lambda u, x: u - x**2 * torch.cos(PI * x)),
        ),
        features=lambda x, t: (t, *(wave(n * PI * x) for n in (1, 2, 3, 4) for wave in (torch.cos, torch.sin))),
        reference=_closed(allen_cahn_solution),
        source="arXiv:2203.07404, section 4.1; cosine series in x, ETDRK4 in time, to 1e-10",
    )


def convection(speed: float = 50.0) -> Problem:
    """Pose u_t + c u_x = 0 on [0, 2 pi] x [0, 1], periodic, u(x, 0) = sin(x)."""
    return Problem(
        name="convection",
        domain=Box({"x": (0.0, 2 * PI), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"convection": lambda along_flow: along_flow},
        operators={"along_flow": {"u_t": 1.0 / speed, "u_x": 1.0}},
        conditions=(
            Periodic("periodic", "x", ("u",)),
            Face("initial", {"t": 0.0}, lambda u, x: u - torch.sin(x)),
        ),
        reference=_closed(lambda x, t: np.sin(x - speed * t)),
        source="closed form; where a plain network fails, arXiv:2205.02902",
    )


def advection_diffusion(speed: float = 1.0, diffusivity: float = 0.01) -> Problem:
    """Pose u_t + c u_x = a u_xx on [0, 1]^2, periodic, u(x, 0) = sin(2 pi x)."""
    k = 2 * PI
    return Problem(
        name="advection-diffusion",
        domain=UNIT,
        fields=("u",),
        equations={"transport": lambda transport: transport},
        operators={"transport": {"u_t": 1.0, "u_x": speed, "u_xx": -diffusivity}},
        conditions=(
            Periodic("periodic", "x", ("u", "u_x")),
            Face("initial", {"t": 0.0}, lambda u, x: u - torch.sin(k * x)),
        ),
        reference=_closed(lambda x, t: np.exp(-diffusivity * k**2 * t) * np.sin(k * (x - speed * t))),
        source="closed form",
    )


def fisher_kpp() -> Problem:
    """Pose u_t = u_xx + u (1 - u) on [-10, 20] x [0, 4]: a front that travels at speed 5 / sqrt(6)."""

    def front(x: Tensor, t: Tensor | float) -> Tensor:
        return torch.sigmoid(-(x - 5 / math.sqrt(6) * t) / math.sqrt(6)) ** 2

    def solution(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        return (1 + np.exp((x - 5 / math.sqrt(6) * t) / math.sqrt(6))) ** -2

    return Problem(
        name="fisher-kpp",
        domain=Box({"x": (-10.0, 20.0), "t": (0.0, 4.0)}),
        fields=("u",),
        equations={"fisher-kpp": lambda u, diffusion: diffusion - u * (1 - u)},
        operators={"diffusion": {"u_t": 1.0, "u_xx": -1.0}},
        conditions=(
            Face("left", {"x": -10.0}, lambda u, x, t: u - front(x, t)),
            Face("right", {"x": 20.0}, lambda u, x, t: u - front(x, t)),
            Face("initial", {"t": 0.0}, lambda u, x: u - front(x, 0.0)),
        ),
        features=lambda x, t: ((x - 5) / 15, t / 2 - 1),
        reference=_closed(solution),
        source="Ablowitz and Zeppetella's closed form",
    )


def diffusivity(*, permeability: float = 0.2, noise: float = 0.01, n_observations: int = 200, seed: int = 0) -> Problem:
    """Pose p_t = k p_xx on [0, 1]^2, zero at both ends; k is unknown, and p is measured with noise.

    Args:
        permeability: k, the dimensionless diffusivity that is to be found; training starts from 1.
        noise: standard deviation of the measurements, whose largest value is about 1.2.
        n_observations: measurements, at Sobol points.
        seed: of points and noise.
    """

    def solution(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        rate = permeability * PI**2
        return np.exp(-rate * t) * np.sin(PI * x) + 0.5 * np.exp(-9 * rate * t) * np.sin(3 * PI * x)

    reference = _closed(solution)
    seen = Observations.simulated("p", UNIT, reference, noise=noise, n_observations=n_observations, seed=seed)
    return Problem(
        name="diffusivity",
        domain=UNIT,
        fields=("p",),
        equations={"diffusivity": lambda p_t, p_xx, k: p_t - k * p_xx},
        conditions=(
            Face("left", {"x": 0.0}, lambda p: p),
            Face("right", {"x": 1.0}, lambda p: p),
            Face("initial", {"t": 0.0}, lambda p, x: p - torch.sin(PI * x) - 0.5 * torch.sin(3 * PI * x)),
            seen,
        ),
        scalars={"k": 1.0},
        reference=reference,
        reference_scalars={"k": permeability},
        source="closed form; the inverse problem of arXiv:2309.17345 in one dimension and dimensionless",
    )


def lorenz(sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3) -> Problem:
    """Pose the Lorenz system from (1, 1, 1) over one unit of time; fields are a tenth of the usual ones."""
    names = ("x", "y", "z")

    def start(name: str) -> Callable[..., Tensor]:
        return {"x": lambda x: x - 0.1, "y": lambda y: y - 0.1, "z": lambda z: z - 0.1}[name]

    return Problem(
        name="lorenz",
        domain=Box({"t": (0.0, 1.0)}),
        fields=names,
        equations={
            "x": lambda x, y, x_t: x_t - sigma * (y - x),
            "y": lambda x, y, z, y_t: y_t - x * (rho - 10 * z) + y,
            "z": lambda x, y, z, z_t: z_t - 10 * x * y + beta * z,
        },
        conditions=tuple(Face(f"start {name}", {"t": 0.0}, start(name)) for name in names),
        reference=lambda points: lorenz_solution(points[:, 0], sigma, rho, beta) / 10,
        source="scipy's DOP853 at relative tolerance 1e-12; arXiv:2203.07404, section 4.2, over a shorter time",
    )


def _zero_ends(low: float, high: float) -> tuple[Face, Face]:
    return Face("left", {"x": low}, lambda u: u), Face("right", {"x": high}, lambda u: u)


def _closed(solution: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Turn a function of x and t into one of points, with a column for its one field."""
    return lambda points: solution(points[:, 0], points[:, 1])[:, None]
