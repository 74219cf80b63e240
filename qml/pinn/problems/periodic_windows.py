"""Windows of equations on a period: each starts from the Fourier series of the last one's end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qml.pinn.conditions import Face, Periodic
from qml.pinn.domain import Box
from qml.pinn.names import Residual
from qml.pinn.problem import Problem
from qml.pinn.solvers.windows import State
from qml.pinn.trunks.dense import MLP, FourierFeatures
from qml.pinn.trunks.separable import Separable

TIME_SLOPE = 0.3  # largest slope and offset of the functions of time, on [-1, 1]: smooth as polynomials
N_WINDOW_WAVES = 32  # of the Fourier series of a window's initial data


def periodic_window(
    whole: Problem, *, n_start: int = N_WINDOW_WAVES, weight: float | None = None
) -> Callable[[float, float, State | None], Problem]:
    """Return a function that poses an equation of `dispersive.py` on a window of time.

    The window starts from a Fourier series of u at the end of the window before, the first one from the problem's own
    initial data. Exact data keep the errors of their highest waves, whose fourth derivatives the equation then cannot
    balance; soft ones (`weight`) let the window correct them. The trunk gets x and the time on [-1, 1], and has to be
    periodic in x itself, as `periodic_trunk` is.

    Args:
        whole: with the field u, or with u and w = u_xx, whose reference is u.
        n_start: waves of the series, no more than the trunk has: what it cannot damp would stay.
        weight: of the initial data in the loss; None makes them exact.

    Raises:
        ValueError: a problem with other fields, or without a reference.
    """
    if whole.fields not in {("u",), ("u", "w")} or whole.reference is None:
        raise ValueError(
            f"Argument `whole` must have a field u, perhaps w too, and a reference, but {whole.name!r} has not."
        )
    first, interval, mixed = whole.reference, whole.domain.intervals["x"], len(whole.fields) > 1
    length = interval[1] - interval[0]
    sharpness = (n_start / 4 * 2 * np.pi / length) ** 2  # of w to u, about

    def pose(low: float, high: float, before: State | None) -> Problem:
        n = 4 * n_start
        places = interval[0] + length * np.arange(n) / n
        values = (before or first)(np.column_stack([places, np.full(n, low)]))[:, 0]
        modes = np.fft.rfft(values)[: n_start + 1] / n * np.where(np.arange(n_start + 1) == 0, 1.0, 2.0)
        start = _series(modes.real, -modes.imag, interval[0], 2 * np.pi / length)

        def both(x: Any, t: Any, u: Any, w: Any) -> tuple[Any, Any]:
            value, second = start(x)
            return value + later(t) * u, second + later(t) * sharpness * w

        def later(t: Any) -> Any:
            return t - low if weight is None else 1.0

        is_exact = weight is None
        faces = [Face("initial", {"t": low}, lambda u, x: u - start(x)[0], weight or 1.0, is_exact)]
        if mixed and is_exact:
            faces.append(Face("initial curvature", {"t": low}, lambda w, x: w - start(x)[1], exact=True))
        return replace(
            whole,
            name=f"{whole.name}-window",
            domain=Box({"x": interval, "t": (low, high)}),
            # Of values alone: rounding of the derivatives of a steep series is above what an exact condition may leave.
            conditions=(Periodic("periodic", "x", whole.fields, exact=True), *faces),
            trial=both if mixed else lambda x, t, u: start(x)[0] + later(t) * u,
            features=lambda x, t: (x, (2 * t - low - high) / (high - low)),
        )

    return pose


def periodic_trunk(problem: Problem, *, n_waves: int, n_times: int, generator: torch.Generator) -> Separable:
    """Build fixed features, waves in x times random tanh functions of t, with a trained affine read-out, in float64.

    Gauss-Newton steps converge quadratically where only the read-out is trained. The functions of time are
    tanh(a t + b) with |a|, |b| < 0.3 and t on [-1, 1], which span almost the polynomials: 6 of them with |a|, |b| < 1
    do not even hold a constant to better than 1e-3. They are close to linearly dependent: take `Orthogonal`.

    Args:
        problem: of `periodic_window`.
        n_waves: cosines, and sines.
        n_times: functions of t.
        generator: of their slopes and offsets, and of the read-out.

    Reference:
        Dong and Li, local extreme learning machines with block time marching, arXiv:2012.02895.
    """
    low, high = problem.domain.intervals["x"]
    like: dict[str, Any] = {"dtype": torch.float64, "generator": generator}
    waves = FourierFeatures(1, n_waves, **like)
    waves.frequencies.copy_(2 * np.pi / (high - low) * torch.arange(1, n_waves + 1, dtype=torch.float64)[:, None])
    n_x = 2 * n_waves + 1
    in_space = MLP(2 * n_waves, (n_x * n_times,), **like).layers[0]
    in_time = MLP(1, (n_times,), n_x * n_times, **like)
    with torch.no_grad():
        in_space.weight.copy_(torch.eye(n_x, dtype=torch.float64)[:, 1:].repeat_interleave(n_times, 0))  # pyright: ignore[reportCallIssue, reportArgumentType]
        in_space.bias.zero_()[:n_times] = 1.0  # pyright: ignore[reportCallIssue, reportIndexIssue]
        in_time.layers[0].weight.uniform_(-TIME_SLOPE, TIME_SLOPE, generator=generator)  # pyright: ignore[reportCallIssue]
        in_time.layers[0].bias.uniform_(-TIME_SLOPE, TIME_SLOPE, generator=generator)  # pyright: ignore[reportCallIssue]
        in_time.layers[1].weight.copy_(torch.eye(n_times, dtype=torch.float64).repeat(n_x, 1))  # pyright: ignore[reportCallIssue]
    trunk = Separable([nn.Sequential(waves, in_space), in_time], len(problem.fields), **like)
    trunk.factors.requires_grad_(requires_grad=False)
    return trunk


def _series(cosines: np.ndarray, sines: np.ndarray, low: float, wave_number: float) -> Callable[[Any], tuple[Any, Any]]:
    """Return sum_n a_n cos(n k (x - low)) + b_n sin(n k (x - low)) and its second derivative, for tensors and jets."""
    k = wave_number * torch.arange(len(cosines), dtype=torch.float64)
    weights = torch.as_tensor(np.concatenate([cosines, sines]), dtype=torch.float64)
    both = torch.stack([weights, -weights * torch.cat([k, k]) ** 2])

    def at(x: Any) -> tuple[Any, Any]:
        phases = linear(torch.stack([x - low], -1), k[:, None])
        waves = torch.cat([torch.cos(phases), torch.sin(phases)], -1)
        values = linear(waves, both)
        return (values[..., 0], values[..., 1]) if isinstance(values, Tensor) else tuple(values.columns())

    return at


linear: Residual = torch.nn.functional.linear
