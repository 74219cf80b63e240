"""A machine behind a line to a strong grid: its swing equation, measured with noise, and steps of a simulation."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from qml.pinn.conditions import Face, Observations
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.training.options import Training
from qml.pinn.training.train import train

INERTIA, DAMPING, COUPLING, POWER = 0.4, 0.15, 2.0, 1.0  # m, d, B and P_m, a unit of power and of seconds
START = (0.1, 0.0)  # angle and speed at t = 0
DURATION = 4.0
TIGHT = 1e-11


def swing_solution(t: np.ndarray, inertia: float, damping: float, start: Sequence[float] = START) -> np.ndarray:
    """Return angle and speed, (batch, 2), of m a'' + d a' + B sin(a) = P at times from 0 on, by DOP853."""
    from scipy.integrate import solve_ivp

    def slope(time: float, state: np.ndarray) -> list[float]:
        angle, speed = state
        return [speed, (POWER - damping * speed - COUPLING * math.sin(angle)) / inertia]

    times, places = np.unique(t, return_inverse=True)
    span = (0.0, max(float(times[-1]), np.finfo(float).eps))
    return solve_ivp(slope, span, list(start), "DOP853", t_eval=times, rtol=TIGHT, atol=TIGHT).y.T[places]


def swing(*, noise: float = 0.01, n_observations: int = 60, seed: int = 0) -> Problem:
    """Pose m a'' + d a' + 2 sin(a) = 1 over four seconds; m and d are unknown, and the angle a is measured with noise.

    Args:
        noise: standard deviation of the measurements of a, which swings by about 1.
        n_observations: measurements, at Sobol points.
        seed: of points and noise.
    """
    domain = Box({"t": (0.0, DURATION)})

    def reference(points: np.ndarray) -> np.ndarray:
        return swing_solution(points[:, 0], INERTIA, DAMPING)[:, :1]

    seen = Observations.simulated("a", domain, reference, noise=noise, n_observations=n_observations, seed=seed)
    return Problem(
        name="swing",
        domain=domain,
        fields=("a",),
        equations={"swing": lambda a, a_t, a_tt, m, d: m * a_tt + d * a_t + COUPLING * torch.sin(a) - POWER},
        conditions=(
            Face("angle", {"t": 0.0}, lambda a: a - START[0], exact=True),
            Face("speed", {"t": 0.0}, lambda a_t: a_t - START[1], exact=True),
            seen,
        ),
        scalars={"m": 1.0, "d": 0.5},
        trial=lambda t, a: START[0] + START[1] * t + t**2 * a,
        features=lambda t: (t / 2 - 1,),
        reference=reference,
        reference_scalars={"m": INERTIA, "d": DAMPING},
        source="scipy's DOP853 at relative tolerance 1e-11; one machine and an infinite bus, arXiv:2403.13602",
    )


def swing_least_squares(measured: Observations) -> tuple[dict[str, float], dict[str, float]]:
    """Fit m and d to measurements of the angle by scipy, which integrates the equation: the baseline of the networks.

    Returns:
        The values, and their standard deviations from the Jacobian and the residuals' variance.
    """
    from scipy.optimize import least_squares

    t = measured.where[:, 0]

    def residual(guess: np.ndarray) -> np.ndarray:
        return swing_solution(t, *np.exp(guess))[:, 0] - measured.measured

    fitted = least_squares(residual, np.log([1.0, 0.5]), x_scale="jac")
    values = np.exp(fitted.x)
    variance = 2 * fitted.cost / (len(t) - 2)
    deviations = values * np.sqrt(np.diag(np.linalg.inv(fitted.jac.T @ fitted.jac)) * variance)
    names = ("m", "d")
    return dict(zip(names, map(float, values), strict=True)), dict(zip(names, map(float, deviations), strict=True))


class SwingStep(nn.Module):
    """A step of the swing equation as a network: from angle, speed and a time below its longest step to the new state.

    It holds exactly at no time: a = a_0 + h w_0 + h^2 N_a, w = w_0 + h N_w. It was trained on the equation alone, and
    takes the place of an integrator within a simulation loop.

    Args:
        model: trained on `swing_step_problem`.
        longest: step in seconds.

    Shape:
        States (batch, 2) and a step in seconds to states (batch, 2).

    Reference:
        Ventura Nadal, Chatzivasileiadis et al., arXiv:2404.13325: networks as components of a time-domain simulation.
    """

    def __init__(self, model: Pinn, longest: float) -> None:
        super().__init__()
        self.model, self.longest = model, longest

    def forward(self, states: torch.Tensor, step: float) -> torch.Tensor:
        """Return the states a step later."""
        if not 0 <= step <= self.longest:
            raise ValueError(f"Argument `step` must be at most {self.longest:g} s, but is {step:g}.")
        points = torch.cat([torch.full_like(states[:, :1], step), states], 1)
        return self.model(points)

    def simulate(self, start: Sequence[float], step: float, n_steps: int) -> np.ndarray:
        """Return the states after 0, 1, ..., n_steps steps, (n_steps + 1, 2)."""
        states = [torch.as_tensor([list(start)], dtype=torch.float64)]
        with torch.no_grad():
            for _ in range(n_steps):
                states.append(self(states[-1], step))
        return torch.cat(states).numpy()


def swing_step_problem(longest: float, angles: tuple[float, float], speeds: tuple[float, float]) -> Problem:
    """Pose the swing equation for every initial state of a box at once, over one step.

    The coordinates are time t, angle b and speed s at the beginning; the fields are angle a and speed w.
    """
    box = Box({"t": (0.0, longest), "b": angles, "s": speeds})
    middles = [(low + high) / 2 for low, high in box.intervals.values()]
    halves = [(high - low) / 2 for low, high in box.intervals.values()]

    def features(t: Any, b: Any, s: Any) -> tuple[Any, ...]:  # tensors or jets
        return tuple((axis - middle) / half for axis, middle, half in zip((t, b, s), middles, halves, strict=True))

    def reference(points: np.ndarray) -> np.ndarray:
        return np.array([swing_solution(row[:1], INERTIA, DAMPING, row[1:])[0] for row in points])

    return Problem(
        name="swing-step",
        domain=box,
        fields=("a", "w"),
        equations={
            "angle": lambda a_t, w: a_t - w,
            "speed": lambda a, w, w_t: w_t - (POWER - DAMPING * w - COUPLING * torch.sin(a)) / INERTIA,
        },
        conditions=(
            Face("angle at the start", {"t": 0.0}, lambda a, b: a - b, exact=True),
            Face("speed at the start", {"t": 0.0}, lambda w, s: w - s, exact=True),
        ),
        trial=lambda t, b, s, a, w: (b + t * s + t**2 * a, s + t * w),
        features=features,
        reference=reference,
        source="scipy's DOP853 at relative tolerance 1e-11; arXiv:2404.13325",
    )


def train_swing_step(
    trunk: Callable[[Problem], nn.Module], training: Training, *, longest: float = 0.4, seed: int = 0
) -> SwingStep:
    """Train a step for angles from -1 to 2 and speeds from -3 to 3, all that the swing from `START` passes through."""
    problem = swing_step_problem(longest, (-1.0, 2.0), (-3.0, 3.0))
    model = Pinn(problem, trunk(problem))
    train(model, training, seed=seed)
    return SwingStep(model, longest)


def trapezoidal(start: Sequence[float], step: float, n_steps: int) -> np.ndarray:
    """Return the states of the swing equation by the implicit trapezoidal rule, (n_steps + 1, 2), as a baseline."""
    states = [np.asarray(start, dtype=float)]

    def slope(state: np.ndarray) -> np.ndarray:
        angle, speed = state
        return np.array([speed, (POWER - DAMPING * speed - COUPLING * math.sin(angle)) / INERTIA])

    for _ in range(n_steps):
        old = states[-1]
        new = old + step * slope(old)
        for _ in range(20):  # Newton
            jacobian = np.array([[0.0, 1.0], [-COUPLING * math.cos(new[0]) / INERTIA, -DAMPING / INERTIA]])
            change = np.linalg.solve(np.eye(2) - step / 2 * jacobian, new - old - step / 2 * (slope(old) + slope(new)))
            new = new - change
            if np.abs(change).max() < TIGHT:
                break
        states.append(new)
    return np.array(states)
