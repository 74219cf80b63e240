"""Solutions that have no short closed form, by quadrature or by scipy at tight tolerance."""

from functools import cache

import numpy as np
from jaxtyping import Float

Column = Float[np.ndarray, " batch"]

N_HERMITE = 400
N_COSINES, N_FINE = 1024, 8192  # of the series, and with the waves that only early times need
N_STEPS = 2000
SMOOTH = 0.02  # the time after which these have decayed: exp(-1e-4 (1024 pi)^2 0.02) = 1e-9, of amplitudes 4e-7
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

    The solution is even, so it is a cosine series. The slope of u(x, 0) jumps at x = 1: the series starts from exact
    coefficients and not from values, and the cube is taken on twice as many points, which adds no alias. It is good to
    1e-10 for t = 0, where the closed form is returned, and for t >= 0.02. In between, waves that are left out matter
    near x = 1; they are added as if they decayed by diffusion and by the reaction at u = -1, which is good to 1e-8.
    """
    result = np.empty_like(x)
    order = np.argsort(t, kind="stable")
    for first in range(0, len(x), CHUNK):
        part = order[first : first + CHUNK]
        times, places = np.unique(t[part], return_inverse=True)
        series = _allen_cahn_series(times)
        if times[0] < SMOOTH:
            series = np.concatenate([series, _fine_waves(times)])
        waves = np.cos(np.pi * np.outer(x[part], np.arange(len(series))))
        result[part] = (waves * series.T[places]).sum(1)
    return np.where(t == 0.0, x**2 * np.cos(np.pi * x), result)


def _allen_cahn_series(times: Column) -> np.ndarray:
    """Return the coefficients at times, (n_cosines, times), by cubic Hermite interpolation of the steps."""
    values, slopes = _allen_cahn_steps()
    step = 1.0 / N_STEPS
    before = np.minimum((times / step).astype(int), N_STEPS - 1)
    s = times / step - before
    rise = values[:, before + 1] - values[:, before]
    left, right = step * slopes[:, before] - rise, rise - step * slopes[:, before + 1]
    return values[:, before] + s * rise + s * (1 - s) * ((1 - s) * left + s * right)


@cache
def _allen_cahn_steps() -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and their slopes at equal steps, (n_cosines, steps + 1), by ETDRK4.

    Cox and Matthews, J. Comput. Phys. 176 (2002) 430, with the coefficients as means over a circle by Kassam and
    Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214.
    """
    from scipy.fft import dct, idct

    n_grid, h = 2 * N_COSINES, 1.0 / N_STEPS
    rates = -1e-4 * (np.pi * np.arange(N_COSINES)) ** 2
    halves = np.full(N_COSINES, 0.5)  # of the coefficients in scipy's transforms
    halves[0] = 1.0

    def reaction(coefficients: np.ndarray) -> np.ndarray:
        values = np.asarray(idct(2 * n_grid * halves * coefficients, type=2, n=n_grid))
        return np.asarray(dct(5 * values - 5 * values**3, type=2))[:N_COSINES] / (2 * n_grid * halves)

    z = h * rates[:, None] + np.exp(1j * np.pi * (np.arange(32) + 0.5) / 32)
    whole, half = np.exp(h * rates), np.exp(h * rates / 2)
    to_middle = h * ((np.exp(z / 2) - 1) / z).real.mean(1)
    first = h * ((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3).real.mean(1)
    middle = h * ((2 + z + np.exp(z) * (z - 2)) / z**3).real.mean(1)
    last = h * ((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3).real.mean(1)

    now = _starting_waves(np.arange(N_COSINES))
    values, slopes = (np.empty((N_COSINES, N_STEPS + 1)) for _ in range(2))
    for step in range(N_STEPS + 1):
        here = reaction(now)
        values[:, step], slopes[:, step] = now, rates * now + here
        a = half * now + to_middle * here
        at_a = reaction(a)
        at_b = reaction(half * now + to_middle * at_a)
        at_c = reaction(half * a + to_middle * (2 * at_b - here))
        now = whole * now + first * here + 2 * middle * (at_a + at_b) + last * at_c
    return values, slopes


def _fine_waves(times: Column) -> np.ndarray:
    """Return coefficients of the waves that the series leaves out, (waves, times)."""
    k = np.arange(N_COSINES, N_FINE)[:, None]
    return _starting_waves(k) * np.exp(-(1e-4 * (np.pi * k) ** 2 + 10) * times)


def _starting_waves(k: np.ndarray) -> np.ndarray:
    """Return a_k of x^2 cos(pi x) = sum_k a_k cos(k pi x), from the integrals of x^2 cos(m pi x) over [0, 1]."""

    def moment(m: np.ndarray) -> np.ndarray:
        return np.where(m == 0, 1 / 3, 2 * (-1.0) ** m / (np.pi * np.where(m == 0, 1, m)) ** 2)

    return np.where(k == 0, moment(k + 1), moment(k + 1) + moment(np.abs(k - 1)))


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
