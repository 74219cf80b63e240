"""Solutions that have no short closed form, by quadrature or by scipy at tight tolerance."""

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Float

Column = Float[np.ndarray, " batch"]

N_HERMITE = 400
N_COSINES = 1024
RELATIVE, ABSOLUTE = 1e-12, 1e-12
CHUNK = 2048  # points whose cosines are held at once


def burgers_solution(x: Column, t: Column, viscosity: float) -> Column:
    """Return u of u_t + u u_x = nu u_xx, u(x, 0) = -sin(pi x), by the transform of Cole and Hopf.

    u = -int sin(pi y) f(y) g(x - y) dy / int f(y) g(x - y) dy with f(y) = exp(-cos(pi y) / (2 pi nu)) and the heat
    kernel g, substituted y = x - sqrt(4 nu t) z for Gauss-Hermite nodes z.
    """
    from scipy.special import roots_hermite

    nodes, weights = roots_hermite(N_HERMITE)
    y = x[:, None] - np.sqrt(4 * viscosity * t)[:, None] * nodes
    exponent = -np.cos(np.pi * y) / (2 * np.pi * viscosity)
    factor = weights * np.exp(exponent - exponent.max(1, keepdims=True))
    return -(factor * np.sin(np.pi * y)).sum(1) / factor.sum(1)


def allen_cahn_solution(x: Column, t: Column) -> Column:
    """Return u of u_t = 1e-4 u_xx - 5 u^3 + 5 u, periodic on [-1, 1], u(x, 0) = x^2 cos(pi x).

    The solution is even, so it is a cosine series; its coefficients move by DOP853, the cube is taken on a grid.
    """
    times, places = np.unique(t, return_inverse=True)
    series = _allen_cahn_series()(times).T
    result = np.empty_like(x)
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        waves = np.cos(np.pi * np.outer(x[part], np.arange(N_COSINES)))
        result[part] = (waves * series[places[part]]).sum(1)
    return result


@cache
def _allen_cahn_series() -> Callable[[Column], np.ndarray]:
    """Return the coefficients of the series at times, (n_cosines, times)."""
    from scipy.fft import dct, idct
    from scipy.integrate import solve_ivp

    grid = (np.arange(N_COSINES) + 0.5) / N_COSINES
    decay = 1e-4 * (np.pi * np.arange(N_COSINES)) ** 2
    scale = np.full(N_COSINES, 1.0 / N_COSINES)  # from a type-2 DCT to the coefficients of the series
    scale[0] /= 2

    def slope(time: float, coefficients: np.ndarray) -> np.ndarray:
        values = np.asarray(idct(coefficients, type=2))
        return -decay * coefficients + np.asarray(dct(5 * values - 5 * values**3, type=2))

    start = np.asarray(dct(grid**2 * np.cos(np.pi * grid), type=2))
    result = solve_ivp(slope, (0.0, 1.0), start, method="DOP853", rtol=1e-9, atol=1e-9, dense_output=True)
    return lambda times: scale[:, None] * result.sol(times)


def lorenz_solution(t: Column, sigma: float, rho: float, beta: float) -> Float[np.ndarray, "batch outputs"]:
    """Return x, y and z from (1, 1, 1) at t = 0."""
    from scipy.integrate import solve_ivp

    def slope(time: float, state: np.ndarray) -> np.ndarray:
        x, y, z = state
        return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    times, places = np.unique(t, return_inverse=True)
    span = (0.0, max(float(times[-1]), np.finfo(float).eps))
    result = solve_ivp(slope, span, np.ones(3), method="DOP853", t_eval=times, rtol=RELATIVE, atol=ABSOLUTE)
    return result.y.T[places]
