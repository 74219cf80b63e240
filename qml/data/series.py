"""Time series for forecasting: a damped pendulum and a Bessel function (arXiv 2512.05049), cut into windows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

DAMPING, GRAVITY = 0.15, 9.81


@dataclass(frozen=True)
class SeriesSplit:
    """A series that was scaled and cut into windows in the order of time, the later ones for the test.

    Attributes:
        train_inputs: (windows, length, 1).
        train_targets: the value after each window, (windows, 1).
        test_inputs: the same of the later part.
        test_targets: the same of the later part.
        low: of the original series, what became -1.
        high: of the original series, what became +1.
    """

    train_inputs: Float[Tensor, "windows length 1"]
    train_targets: Float[Tensor, "windows 1"]
    test_inputs: Float[Tensor, "later length 1"]
    test_targets: Float[Tensor, "later 1"]
    low: float
    high: float


def damped_pendulum(n_points: int = 240, end: float | int = 20.0) -> Float[Tensor, " time"]:
    """Integrate theta'' = -0.15 theta' - 9.81 sin(theta) from (theta, theta') = (0, 3) to time `end`; return theta'.

    Shape:
        (n_points), float64.
    """
    from scipy.integrate import solve_ivp

    end = checks.as_number(end, "end", above=0.0)
    times = np.linspace(0.0, end, _at_least_two(n_points))
    solution = solve_ivp(
        lambda _, state: (state[1], -DAMPING * state[1] - GRAVITY * np.sin(state[0])),
        (0.0, end),
        (0.0, 3.0),
        t_eval=times,
        rtol=1e-10,
        atol=1e-12,
    )
    return torch.from_numpy(solution.y[1].copy())


def bessel_series(n_points: int = 256, start: float | int = 2.0, end: float | int = 100.0) -> Float[Tensor, " time"]:
    """Compute the Bessel function J_2 at equally spaced points.

    Shape:
        (n_points), float64.
    """
    from scipy.special import jv

    start, end = checks.as_number(start, "start"), checks.as_number(end, "end")
    return torch.from_numpy(jv(2, np.linspace(start, end, _at_least_two(n_points))))


def split_series(
    series: Any,  # a tensor, checked below
    *,
    length: int = 4,
    train: float = 0.67,
    leaking_scaler: bool = False,
) -> SeriesSplit:
    """Return windows s[i : i + length] with the target s[i + length], the first share of them to train on.

    The series is scaled to [-1, 1] by the least and largest value that the training windows and targets hold, so that
    the later part may exceed it.

    Args:
        series: values in the order of time, (time,).
        length: of a window.
        train: share of the windows, in (0, 1).
        leaking_scaler: scale by the range of the whole series, as the authors of arXiv 2512.05049 do: the test part
            then leaks into training. Only to reproduce their numbers.

    Raises:
        TypeError: a series that is no tensor of real numbers.
        ValueError: a share outside (0, 1), a series that is too short, constant or not finite.
    """
    _require_series(series)
    train, length = checks.as_number(train, "train"), checks.as_int(length, "length", 1)
    leaking_scaler = checks.as_flag(leaking_scaler, "leaking_scaler")
    if not 0.0 < train < 1.0:
        raise ValueError(f"Argument `train` must be a share in (0, 1), but is {train}. Pass for example 0.67.")
    n_windows = len(series) - length
    n_train = round(train * n_windows)
    if n_train < 1 or n_train >= n_windows:
        raise ValueError(
            f"Argument `series` must be long enough for windows of {length} in both parts, but has {len(series)} "
            "values."
        )
    if not torch.isfinite(series).all():
        raise ValueError("Argument `series` must be finite, but holds NaN or infinity.")
    seen = series if leaking_scaler else series[: n_train + length]
    low, high = seen.min().item(), seen.max().item()
    if not low < high:
        raise ValueError(f"Argument `series` must vary where it is trained on, but is {low} throughout.")
    scaled = 2 * (series - low) / (high - low) - 1
    windows = scaled.unfold(0, length + 1, 1).unsqueeze(-1)
    inputs, targets = windows[:, :-1], windows[:, -1]
    return SeriesSplit(inputs[:n_train], targets[:n_train], inputs[n_train:], targets[n_train:], low, high)


def _at_least_two(n_points: int) -> int:
    return checks.as_int(n_points, "n_points", 2)


def _require_series(series: Any) -> None:
    checks.require_tensor(series, "series")
    if series.dtype == torch.bool or series.is_complex():
        raise TypeError(f"Argument `series` must hold real numbers, but is {series.dtype}.")
    if series.ndim != 1:
        raise ValueError(f"Argument `series` must have shape (time,), but has shape {tuple(series.shape)}.")
