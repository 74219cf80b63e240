"""Pressure around a well, and the permeability that it tells."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from qml.pinn.conditions import Face, Observations
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

WELL = 0.1  # radius of the well over that of the reservoir
MODES = ((1.0, 0), (0.5, 1))  # amplitude and number of the modes at t = 0
ROOTS_UP_TO = 12.0  # wave numbers, of which the second mode has about 7


def radial_diffusivity(
    *, permeability: float = 0.2, noise: float = 0.01, n_observations: int = 200, seed: int = 0
) -> Problem:
    """Pose p_t = k (p_rr + p_r / r) for r in [0.1, 1], t in [0, 1], zero at the well and at the rim; k is unknown.

    Args:
        permeability: k, the dimensionless diffusivity that is to be found; training starts from 1.
        noise: standard deviation of the measurements, whose largest value is about 1.4.
        n_observations: measurements, at Sobol points.
        seed: of points and noise.
    """
    domain = Box({"r": (WELL, 1.0), "t": (0.0, 1.0)})

    def solution(points: np.ndarray) -> np.ndarray:
        r, t = points.T
        modes = [
            amplitude * _mode(r, _wave_numbers()[n]) * np.exp(-permeability * _wave_numbers()[n] ** 2 * t)
            for amplitude, n in MODES
        ]
        return np.sum(modes, 0)[:, None]

    def start(p: Tensor, r: Tensor) -> Tensor:
        initial = solution(torch.stack([r, torch.zeros_like(r)], 1).detach().double().cpu().numpy())[:, 0]
        return p - torch.as_tensor(initial, dtype=p.dtype, device=p.device)

    seen = Observations.simulated("p", domain, solution, noise=noise, n_observations=n_observations, seed=seed)
    return Problem(
        name="radial-diffusivity",
        domain=domain,
        fields=("p",),
        equations={"diffusivity": lambda p_t, p_rr, p_r, r, k: p_t - k * (p_rr + p_r / r)},
        conditions=(
            Face("well", {"r": WELL}, lambda p: p),
            Face("rim", {"r": 1.0}, lambda p: p),
            Face("initial", {"t": 0.0}, start),
            seen,
        ),
        scalars={"k": 1.0},
        reference=solution,
        reference_scalars={"k": permeability},
        source="closed form in Bessel functions; the inverse problem of arXiv:2309.17345 around a well, dimensionless",
    )


def _mode(r: np.ndarray, wave_number: float) -> np.ndarray:
    """Return J0(w r) Y0(w a) - Y0(w r) J0(w a), zero at the well r = a, over its largest value, which comes first."""
    from scipy.special import j0, y0

    def shape(at: np.ndarray) -> np.ndarray:
        return j0(wave_number * at) * y0(wave_number * WELL) - y0(wave_number * at) * j0(wave_number * WELL)

    peaks = shape(np.linspace(WELL, 1.0, 1001))
    return shape(r) / peaks[np.abs(peaks).argmax()]


@cache
def _wave_numbers() -> tuple[float, ...]:
    """Return the wave numbers up to 12 whose modes are zero at the rim too."""
    from scipy.optimize import brentq
    from scipy.special import j0, y0

    def at_the_rim(w: float) -> float:
        return float(j0(w) * y0(w * WELL) - y0(w) * j0(w * WELL))

    grid = np.linspace(0.5, ROOTS_UP_TO, 400)
    values = [at_the_rim(float(w)) for w in grid]
    brackets = [(grid[n], grid[n + 1]) for n in range(len(grid) - 1) if values[n] * values[n + 1] < 0]
    return tuple(float(brentq(at_the_rim, *ends, xtol=1e-14, rtol=1e-14)) for ends in brackets)  # pyright: ignore[reportArgumentType]
