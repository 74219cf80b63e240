"""Series that forecasting methods are measured on: NARMA-10, Mackey-Glass, Lorenz, Henon, and real sunspots."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

NARMA_LIMIT = 10.0  # a series that grows beyond has left the stable region
LORENZ_START = (1.0, 1.0, 1.0)


def narma10(n_steps: int, *, seed: int = 0) -> tuple[Float[Tensor, "time 1"], Float[Tensor, "time 1"]]:
    """Return inputs u uniform in [0, 0.5] and the targets y of the tenth-order system, float64.

    y_{t+1} = 0.3 y_t + 0.05 y_t sum_{i=0}^{9} y_{t-i} + 1.5 u_{t-9} u_t + 0.1, started at 0. The target at step t is
    y_{t+1}: what follows from the inputs up to u_t.

    Raises:
        ValueError: the system diverges under these inputs, which happens for some long series.

    Reference:
        Atiya and Parlos, doi:10.1109/72.846741.
    """
    n_steps, seed = _as_steps(n_steps), checks.as_int(seed, "seed", 0)
    inputs = np.random.default_rng(seed).uniform(0.0, 0.5, n_steps)
    padded = np.concatenate([np.zeros(9), inputs])
    targets = np.zeros(n_steps + 10)  # ten zeros before the series
    for t in range(n_steps):
        past = targets[t : t + 10]
        now = past[-1]
        targets[t + 10] = 0.3 * now + 0.05 * now * past.sum() + 1.5 * padded[t] * padded[t + 9] + 0.1
        if abs(targets[t + 10]) > NARMA_LIMIT:
            raise ValueError(
                f"NARMA-10 must stay bounded, but diverges at step {t} with seed {seed}. Use another seed."
            )
    return torch.from_numpy(inputs)[:, None], torch.from_numpy(targets[10:].copy())[:, None]


def mackey_glass(
    n_steps: int, *, tau: float = 17.0, time_step: float = 1.0, start: float = 1.2, washout: int = 1000
) -> Float[Tensor, "time 1"]:
    """Integrate the Mackey-Glass equation y' = 0.2 y(t - tau) / (1 + y(t - tau)^10) - 0.1 y, float64.

    Fourth-order Runge-Kutta with ten steps a time step; the delayed value is interpolated linearly between them.

    Args:
        n_steps: length.
        tau: the delay; 17 is mildly chaotic.
        time_step: between the returned values.
        start: y before time 0, constant.
        washout: returned values that are left out at the beginning.

    Reference:
        Mackey and Glass, doi:10.1126/science.267326.
    """
    n_steps, washout = _as_steps(n_steps), checks.as_int(washout, "washout", 0)
    time_step = checks.as_number(time_step, "time_step", above=0.0)
    tau, start = checks.as_number(tau, "tau", above=0.0), checks.as_number(start, "start")
    fine = 10
    h = time_step / fine
    if tau < h:
        raise ValueError(
            f"Argument `tau` must be at least a tenth of the time step, {h:g}, but is {tau}. Use a smaller one."
        )
    lag = tau / h
    whole, part = int(lag), lag - int(lag)
    total = (n_steps + washout) * fine
    values = np.full(whole + 3 + total, start)
    first = whole + 2

    def delayed(index: int, shift: float) -> float:
        place = index + shift - whole - part
        below = int(np.floor(place))
        weight = place - below
        return (1.0 - weight) * values[below] + weight * values[below + 1]

    def slope(now: float, past: float) -> float:
        return 0.2 * past / (1.0 + past**10) - 0.1 * now

    for index in range(first, first + total):
        now = values[index]
        begin, middle, end = (delayed(index, shift) for shift in (0.0, 0.5, 1.0))
        k1 = slope(now, begin)
        k2 = slope(now + 0.5 * h * k1, middle)
        k3 = slope(now + 0.5 * h * k2, middle)
        k4 = slope(now + h * k3, end)
        values[index + 1 : index + 2] = now + h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
    picked = values[first + washout * fine : first + total : fine]
    return _finite(torch.from_numpy(picked.copy())[:, None])


def lorenz(n_steps: int, *, time_step: float = 0.02, washout: int = 1000) -> Float[Tensor, "time 3"]:
    """Integrate the Lorenz system (sigma 10, rho 28, beta 8/3; exponent 0.906) by Runge-Kutta from (1, 1, 1).

    Reference:
        Lorenz, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2.
    """
    n_steps, washout = _as_steps(n_steps), checks.as_int(washout, "washout", 0)
    time_step = checks.as_number(time_step, "time_step", above=0.0)
    state = torch.tensor(LORENZ_START, dtype=torch.float64)
    states = []
    for _ in range(washout + n_steps):
        state = lorenz_step(state, time_step=time_step)
        states.append(state)
    return _finite(torch.stack(states[washout:]))


def lorenz_step(state: Float[Tensor, " 3"], *, time_step: float = 0.02) -> Float[Tensor, " 3"]:
    """Take one step of fourth-order Runge-Kutta of the Lorenz system."""

    def slope(now: Tensor) -> Tensor:
        x, y, z = now
        return torch.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    k1 = slope(state)
    k2 = slope(state + 0.5 * time_step * k1)
    k3 = slope(state + 0.5 * time_step * k2)
    k4 = slope(state + time_step * k3)
    return state + time_step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0


def henon(n_steps: int, *, washout: int = 100) -> Float[Tensor, "time 2"]:
    """Iterate the Henon map x' = 1 - 1.4 x^2 + y, y' = 0.3 x from (0, 0); its exponent is 0.419.

    Reference:
        Henon, doi:10.1007/BF01608556.
    """
    n_steps, washout = _as_steps(n_steps), checks.as_int(washout, "washout", 0)
    state = torch.zeros(2, dtype=torch.float64)
    states = []
    for _ in range(washout + n_steps):
        state = henon_step(state)
        states.append(state)
    return torch.stack(states[washout:])


def henon_step(state: Float[Tensor, " 2"]) -> Float[Tensor, " 2"]:
    """Take one step of the Henon map."""
    return torch.stack([1.0 - 1.4 * state[0] ** 2 + state[1], 0.3 * state[0]])


def sunspots() -> Float[Tensor, "time 1"]:
    """Return the real yearly sunspot numbers, 1700 to 2008, as they ship inside statsmodels.

    Raises:
        ImportError: statsmodels is not installed.
    """
    try:
        from statsmodels.datasets import sunspots as data
    except ImportError as error:
        raise ImportError('Sunspots need statsmodels. Install it with: pip install "qml-circuits[data]".') from error
    table: Any = data.load_pandas().data
    return torch.from_numpy(table["SUNACTIVITY"].to_numpy(dtype=float, copy=True))[:, None]


def _as_steps(n_steps: Any) -> int:
    if isinstance(n_steps, (bool, np.bool_)) or not isinstance(n_steps, (int, np.integer)) or n_steps < 1:
        raise ValueError(f"Argument `n_steps` must be an int of at least 1, but is {n_steps!r}.")
    return int(n_steps)


def _finite(series: Tensor) -> Tensor:
    if not bool(torch.isfinite(series).all()):
        raise ValueError("Argument `time_step` must be small enough for a bounded solution, but it diverges.")
    return series
