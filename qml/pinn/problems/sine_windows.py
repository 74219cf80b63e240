"""Windows of equations in a rectangle whose solutions are sums of sines: each starts from the last one's end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem
from qml.pinn.solvers.windows import State
from qml.pinn.trunks.dense import MLP, FourierFeatures
from qml.pinn.trunks.separable import Separable

TIME_SLOPE = 0.3  # largest slope and offset of the functions of time, on [-1, 1], as in `periodic_windows.py`
FINER = 2  # points of the grid that a start is taken on, for each half wave
WaveNumbers = np.ndarray  # (modes,), of x and of y not alike many


def sine_window(
    whole: Problem, of_x: WaveNumbers, of_y: WaveNumbers
) -> Callable[[float, float, State | None], Problem]:
    """Return a function that poses an equation in x, y and t for one field on a window of time.

    A window starts from sum_kn c_kn sin(a_k x) sin(b_n y), fitted to the end of the window before or to the problem's
    own initial data, and its trunk gets x, y and the time on [-1, 1]. Its sines have to fulfil the conditions on the
    sides, as those of `sine_trunk` do.

    Args:
        whole: whose reference gives the initial data.
        of_x: a, (modes,).
        of_y: b, (modes,).

    Raises:
        ValueError: other coordinates or fields, or no reference.
    """
    if whole.coordinates != ("x", "y", "t") or len(whole.fields) != 1 or whole.reference is None:
        raise ValueError(
            f"Argument `whole` must be in x, y and t, with one field and a reference, but {whole.name!r} is not."
        )
    reference = whole.reference
    places = [_midpoints(*whole.domain.intervals[axis], of) for axis, of in (("x", of_x), ("y", of_y))]
    grid = np.stack(np.meshgrid(*places, indexing="ij"), -1).reshape(-1, 2)
    back_x, back_y = (np.linalg.pinv(np.sin(np.outer(at, of))) for at, of in zip(places, (of_x, of_y), strict=True))

    def pose(low: float, high: float, before: State | None) -> Problem:
        values = (before or reference)(np.column_stack([grid, np.full(len(grid), low)]))[:, 0]
        start = _series(back_x @ values.reshape(len(places[0]), -1) @ back_y.T, of_x, of_y)
        kept = (item for item in whole.conditions if not (isinstance(item, Face) and "t" in item.at))
        initial = Face("initial", {"t": low}, lambda u, x, y: u - start(x, y), exact=True)
        return replace(
            whole,
            name=f"{whole.name}-window",
            domain=Box({**whole.domain.intervals, "t": (low, high)}),
            conditions=(*kept, initial),
            trial=lambda x, y, t, u: start(x, y) + (t - low) * u,
            features=lambda x, y, t: (x, y, (2 * t - low - high) / (high - low)),
        )

    return pose


def sine_trunk(of_x: WaveNumbers, of_y: WaveNumbers, n_times: int, generator: torch.Generator) -> Separable:
    """Build fixed features, sin(a_k x) sin(b_n y) times random tanh functions of t, with a trained affine read-out.

    See `periodic_trunk` for the functions of time. The read-out begins at 0 and has no bias, which the sides refuse.

    Args:
        of_x: a, (modes,).
        of_y: b, (modes,).
        n_times: functions of t.
        generator: of their slopes and offsets.
    """
    n_x, n_y = len(of_x), len(of_y)
    rank = n_x * n_y * n_times
    in_time = MLP(1, (n_times,), rank, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        for part in (in_time.layers[0].weight, in_time.layers[0].bias):
            part.uniform_(-TIME_SLOPE, TIME_SLOPE, generator=generator)  # pyright: ignore[reportCallIssue]
        in_time.layers[1].weight.copy_(torch.eye(n_times, dtype=torch.float64).repeat(n_x * n_y, 1))  # pyright: ignore[reportCallIssue]
    columns = torch.arange(rank) // n_times
    trunk = Separable(
        [_sines(of_x, columns // n_y, generator), _sines(of_y, columns % n_y, generator), in_time],
        dtype=torch.float64,
        generator=generator,
    )
    trunk.factors.requires_grad_(requires_grad=False)
    nn.init.zeros_(trunk.read_out.weight)  # pyright: ignore[reportArgumentType]
    trunk.read_out.bias.requires_grad = False  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType] - 0
    return trunk


def _sines(of: WaveNumbers, columns: Tensor, generator: torch.Generator) -> nn.Module:
    """Return a module from one number z to sin(of[column] z) for each column."""
    features = FourierFeatures(1, len(of), dtype=torch.float64, generator=generator)
    features.frequencies.copy_(torch.as_tensor(of)[:, None])
    chosen = MLP(2 * len(of), (len(columns),), dtype=torch.float64, generator=generator).layers[0]
    with torch.no_grad():
        chosen.weight.zero_()[torch.arange(len(columns)), len(of) + columns] = 1.0  # pyright: ignore[reportCallIssue, reportIndexIssue]
        chosen.bias.zero_()  # pyright: ignore[reportCallIssue]
    return nn.Sequential(features, chosen)


def _series(coefficients: np.ndarray, of_x: WaveNumbers, of_y: WaveNumbers) -> Callable[[Any, Any], Any]:
    """Return sum_kn c_kn sin(a_k x) sin(b_n y), for tensors and jets."""
    c, a, b = (torch.as_tensor(part, dtype=torch.float64) for part in (coefficients, of_x, of_y))
    linear: Callable[..., Any] = nn.functional.linear
    ones = torch.ones(1, len(b), dtype=torch.float64)

    def at(x: Any, y: Any) -> Any:
        by_x = linear(torch.sin(linear(torch.stack([x], -1), a[:, None])), c.T)
        total = linear(by_x * torch.sin(linear(torch.stack([y], -1), b[:, None])), ones)
        return total.squeeze(-1) if isinstance(total, Tensor) else total.column(0)

    return at


def _midpoints(low: float, high: float, of: WaveNumbers) -> np.ndarray:
    """Return a regular grid with FINER points for each half wave of the fastest sine."""
    n = FINER * int(np.ceil(of.max() * (high - low) / np.pi))
    return low + (high - low) * (np.arange(n) + 0.5) / n
