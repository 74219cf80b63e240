"""Windows of the Lorenz system, for `train_in_windows`, and its solution over long times."""

import math
from functools import cache

import numpy as np

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.solvers.windows import State

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
LYAPUNOV = 0.906  # largest exponent of the Lorenz system: errors grow by exp(0.906 t) on the mean
N_TAYLOR, TAYLOR_STEP = 30, 1 / 32


def lorenz_window(low: float, high: float, before: State | None) -> Problem:
    """Pose the Lorenz system between two times, exactly from the end of the window before, or from (1, 1, 1).

    Fields are a tenth of the usual ones, as in "lorenz".
    """
    begin = [0.1, 0.1, 0.1] if before is None else [float(value) for value in before(np.array([[low]]))[0]]
    x_0, y_0, z_0 = begin
    return Problem(
        name="lorenz-window",
        domain=Box({"t": (low, high)}),
        fields=("x", "y", "z"),
        equations={
            "x": lambda x, y, x_t: x_t - SIGMA * (y - x),
            "y": lambda x, y, z, y_t: y_t - x * (RHO - 10 * z) + y,
            "z": lambda x, y, z, z_t: z_t - 10 * x * y + BETA * z,
        },
        conditions=(
            Face("start x", {"t": low}, lambda x: x - x_0, exact=True),
            Face("start y", {"t": low}, lambda y: y - y_0, exact=True),
            Face("start z", {"t": low}, lambda z: z - z_0, exact=True),
        ),
        trial=lambda t, x, y, z: (x_0 + (t - low) * x, y_0 + (t - low) * y, z_0 + (t - low) * z),
        features=lambda t: ((2 * t - low - high) / (high - low),),
        reference=lambda points: lorenz_series(points[:, 0]) / 10,
        source="Taylor series of order 30 in extended precision; arXiv:2203.07404, section 4.2",
    )


def lorenz_series(t: np.ndarray) -> np.ndarray:
    """Return x, y and z from (1, 1, 1) at t = 0, (batch, 3), by Taylor series in extended precision.

    Errors of double precision would have grown to 1e-8 by t = 20; an error of 1e-12, as a solver's tolerance, to 1e-4.
    """
    last = max(1, math.ceil(float(t.max()) / TAYLOR_STEP))
    series = _lorenz_pieces(last)
    pieces = np.clip((t / TAYLOR_STEP).astype(int), 0, last - 1)
    local = (t.astype(np.longdouble) - pieces * np.longdouble(TAYLOR_STEP))[:, None]
    value = np.zeros((len(t), 3), np.longdouble)
    for order in range(N_TAYLOR, -1, -1):
        value = value * local + series[pieces, order]
    return value.astype(np.float64)


@cache
def _lorenz_pieces(n_pieces: int) -> np.ndarray:
    """Return the Taylor coefficients at the beginning of each piece, (pieces, orders, 3)."""
    state, pieces = np.ones(3, np.longdouble), []
    powers = np.longdouble(TAYLOR_STEP) ** np.arange(N_TAYLOR + 1)
    for _ in range(n_pieces):
        c = np.zeros((N_TAYLOR + 1, 3), np.longdouble)
        c[0] = state
        for n in range(N_TAYLOR):
            x, y, z = c[: n + 1].T
            slopes = (SIGMA * (y[n] - x[n]), RHO * x[n] - y[n] - x @ z[::-1], x @ y[::-1] - BETA * z[n])
            c[n + 1] = np.array(slopes) / (n + 1)
        pieces.append(c)
        state = powers @ c
    return np.array(pieces)
