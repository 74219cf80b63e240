"""Solutions of periodic equations by Fourier series in space and exponential Runge-Kutta steps in time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Column = Float[np.ndarray, " batch"]

N_CONTOUR = 64  # points on the circle that the functions of the linear part are averaged over
N_NEAR = 8  # snapshots that a value between two of them is interpolated from
CHUNK = 4096  # points whose waves are held at once


@dataclass(frozen=True)
class PeriodicSolution:
    """A solution of u_t = L u - (a / 2) (u^2)_x that is periodic in x, known at equal steps of time.

    Attributes:
        low: least x.
        length: of the period.
        duration: time of the last snapshot.
        coefficients: of the Fourier series at each snapshot, (snapshots, modes), as from `numpy.fft.rfft` / n.
    """

    low: float | int
    length: float | int
    duration: float | int
    coefficients: np.ndarray

    def __call__(self, x: Column, t: Column, derivative: int = 0) -> Column:
        """Return u, or its derivative of some order by x, at points."""
        modes = np.arange(self.coefficients.shape[1])
        waves = 2j * np.pi / self.length * modes
        twice = np.where(modes == 0, 1.0, 2.0) * waves**derivative
        places, inverse = np.unique(t, return_inverse=True)
        series = np.stack([self._at(float(time)) for time in places]) * twice
        result = np.empty(len(x))
        for first in range(0, len(x), CHUNK):
            part = slice(first, first + CHUNK)
            phases = np.exp((x[part, None] - self.low) * waves)
            result[part] = (phases * series[inverse[part]]).sum(1).real
        return result

    def _at(self, time: float) -> np.ndarray:
        """Interpolate the coefficients in time by the polynomial through the nearest snapshots."""
        n_snapshots = len(self.coefficients)
        nodes, weights = nearest_snapshots(np.array([time / self.duration * (n_snapshots - 1)]), n_snapshots)
        return weights[0] @ self.coefficients[nodes[0]]


def solve_periodic(
    start: Callable[[Column], Column],
    linear: Callable[[np.ndarray], np.ndarray],
    advection: float,
    interval: tuple[float | int, float | int],
    duration: float,
    *,
    n_points: int,
    n_steps: int,
) -> PeriodicSolution:
    """Solve u_t = L u - (a / 2) (u^2)_x on a period, with a third of the modes kept free of aliasing.

    Args:
        start: u at t = 0.
        linear: the symbol of L, as a function of i k, k the wave number.
        advection: a.
        interval: of x.
        duration: of t.
        n_points: of the grid in x.
        n_steps: equal steps of time.
    """
    low, high = interval
    length = high - low
    waves = 2j * np.pi / length * np.arange(n_points // 2 + 1)
    slope = -0.5 * advection * waves * (np.arange(len(waves)) <= n_points / 3)
    snapshots = exponential_steps(
        np.fft.rfft(start(low + length * np.arange(n_points) / n_points)),
        linear(waves),
        lambda v, _: slope * np.fft.rfft(np.fft.irfft(v, n_points) ** 2),
        duration,
        n_steps,
    )
    return PeriodicSolution(low, length, duration, snapshots / n_points)


def exponential_steps(
    start: np.ndarray,
    symbol: np.ndarray,
    change: Callable[[np.ndarray, float], np.ndarray],
    duration: float | int,
    n_steps: int,
    every: int = 1,
) -> np.ndarray:
    """Solve v_t = L v + N(v, t) for coefficients of which L is diagonal, by equal steps of fourth order.

    Args:
        start: v at t = 0.
        symbol: the diagonal of L, in the shape of v.
        change: N.
        duration: of t.
        n_steps: equal steps of time.
        every: how many of them lie between two snapshots.

    Returns:
        The snapshots, (1 + n_steps / every, *shape of v).

    Reference:
        Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214, equations 26 to 29: ETDRK4 of Cox and Matthews with
        the functions of L as means over a circle.
    """
    step = duration / n_steps
    circle = np.exp(2j * np.pi * (np.arange(N_CONTOUR) + 0.5) / N_CONTOUR)
    z = step * symbol[..., None] + circle
    means = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3,
        (2 + z + np.exp(z) * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3,
    )
    half, first, middle, last = (step * part.mean(-1).astype(symbol.dtype) for part in map(_like(symbol), means))
    grow, grow_half = np.exp(step * symbol), np.exp(step * symbol / 2)
    v, snapshots = start, [start]
    for index in range(n_steps):
        time = index * step
        change_v = change(v, time)
        a = grow_half * v + half * change_v
        change_a = change(a, time + step / 2)
        b = grow_half * v + half * change_a
        change_b = change(b, time + step / 2)
        change_c = change(grow_half * a + half * (2 * change_b - change_v), time + step)
        v = grow * v + first * change_v + 2 * middle * (change_a + change_b) + last * change_c
        if (index + 1) % every == 0:
            snapshots.append(v)
    return np.array(snapshots)


def _like(symbol: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the real part for a real L, whose functions are real."""
    return (lambda part: part) if np.iscomplexobj(symbol) else np.real


def nearest_snapshots(places: Column, n_snapshots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which snapshots interpolate values at places in time, and with what weights, (batch, near) each.

    Args:
        places: times in units of the distance between snapshots.
        n_snapshots: how many there are.
    """
    n_near = min(N_NEAR, n_snapshots)
    first = np.clip(np.floor(places).astype(int) - n_near // 2 + 1, 0, n_snapshots - n_near)
    nodes = first[:, None] + np.arange(n_near)
    weights = np.ones((len(places), n_near))
    for k in range(n_near):
        for other in set(range(n_near)) - {k}:
            weights[:, k] *= (places - nodes[:, other]) / (k - other)
    return nodes, weights
