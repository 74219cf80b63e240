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
        last = len(self.coefficients) - 1
        place = time / self.duration * last
        first = int(np.clip(np.floor(place) - N_NEAR // 2 + 1, 0, max(0, last + 1 - N_NEAR)))
        nodes = np.arange(first, min(first + N_NEAR, last + 1))
        differences = place - nodes
        weights = np.array(
            [np.prod(np.delete(differences, k) / np.delete(nodes[k] - nodes, k)) for k in range(len(nodes))]
        )
        return weights @ self.coefficients[nodes]


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

    Reference:
        Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214, equations 26 to 29: ETDRK4 of Cox and Matthews with
        the functions of L as means over a circle.
    """
    low, high = interval
    length, step = high - low, duration / n_steps
    waves = 2j * np.pi / length * np.arange(n_points // 2 + 1)
    symbol = linear(waves)
    circle = np.exp(2j * np.pi * (np.arange(N_CONTOUR) + 0.5) / N_CONTOUR)
    z = step * symbol[:, None] + circle
    half = step * ((np.exp(z / 2) - 1) / z).mean(1)
    first = step * ((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3).mean(1)
    middle = step * ((2 + z + np.exp(z) * (z - 2)) / z**3).mean(1)
    last = step * ((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3).mean(1)
    grow, grow_half = np.exp(step * symbol), np.exp(step * symbol / 2)
    slope = -0.5 * advection * waves * (np.arange(len(waves)) <= n_points / 3)

    def change(v: np.ndarray) -> np.ndarray:
        return slope * np.fft.rfft(np.fft.irfft(v, n_points) ** 2)

    v = np.fft.rfft(start(low + length * np.arange(n_points) / n_points))
    snapshots = [v]
    for _ in range(n_steps):
        change_v = change(v)
        a = grow_half * v + half * change_v
        change_a = change(a)
        b = grow_half * v + half * change_a
        change_b = change(b)
        change_c = change(grow_half * a + half * (2 * change_b - change_v))
        v = grow * v + first * change_v + 2 * middle * (change_a + change_b) + last * change_c
        snapshots.append(v)
    return PeriodicSolution(low, length, duration, np.array(snapshots) / n_points)
