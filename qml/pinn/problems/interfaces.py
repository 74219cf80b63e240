"""A family of problems in two subdomains, and the conditions that may join these: arms for a bandit."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face, Interface
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.solvers.bandit import GaussianBandit, regret, run_bandit
from qml.pinn.training.options import Training
from qml.pinn.training.train import relative_l2, solve
from qml.pinn.trunks.composed import Pieces
from qml.pinn.trunks.dense import MLP

PI = math.pi
CUT = 0.5
SHARPNESS = (1.0, 30.0)  # least and largest of the family
SLOPE, CURVATURE, TANGENT, HEAVY = "slope", "curvature", "tangent", "heavy"
ARMS: dict[str, tuple[int, int, int, int]] = {
    "value": (0, 0, 0, 0),
    "value and slope": (1, 0, 0, 0),
    "value, slope and curvature": (1, 1, 0, 0),
    "value, slope and tangent": (1, 0, 1, 0),
    "value and slope, weight 100": (1, 0, 0, 1),
    "value, slope and curvature, weight 100": (1, 1, 0, 1),
}
"""What is equal at the interface: features of the arms are slope, curvature, tangential slope, and a large weight."""
TRAINING = Training(n_adam=0, n_marquardt=30, n_points=200, n_condition_points=32)


def front(sharpness: float | int) -> Problem:
    """Pose u_xx + u_yy = f on [0, 1]^2 with u = tanh(s (x - 1/2)) sin(pi y) + x on all sides: a front at x = 1/2.

    Args:
        sharpness: s, above 0.
    """
    if not (math.isfinite(sharpness) and sharpness > 0):
        raise ValueError(f"Argument `sharpness` must be finite and above 0, but is {sharpness}.")

    def equation(laplacian: Any, x: Any, y: Any) -> Any:
        rise = torch.tanh(sharpness * (x - CUT))
        source = (-2 * sharpness**2 * rise * (1 - rise**2) - PI**2 * rise) * torch.sin(PI * y)
        return laplacian - source

    def solution(points: np.ndarray) -> np.ndarray:
        x, y = points[:, :1], points[:, 1:]
        return np.tanh(sharpness * (x - CUT)) * np.sin(PI * y) + x

    end = math.tanh(sharpness / 2)
    return Problem(
        name="front",
        domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
        fields=("u",),
        equations={"poisson": equation},
        operators={"laplacian": {"u_xx": 1.0, "u_yy": 1.0}},
        conditions=(
            Face("left", {"x": 0.0}, lambda u, y: u + end * torch.sin(PI * y)),
            Face("right", {"x": 1.0}, lambda u, y: u - end * torch.sin(PI * y) - 1.0),
            Face("bottom", {"y": 0.0}, lambda u, x: u - x),
            Face("top", {"y": 1.0}, lambda u, x: u - x),
        ),
        reference=solution,
        source="manufactured; a front of variable sharpness",
    )


def joined(problem: Problem, arm: str) -> Problem:
    """Return the problem with the interface conditions of an arm at x = 1/2.

    Raises:
        ValueError: an arm that is none of `ARMS`.
    """
    if arm not in ARMS:
        raise ValueError(f"Argument `arm` must be one of {', '.join(ARMS)}, but is {arm!r}.")
    has_slope, has_curvature, has_tangent, is_heavy = ARMS[arm]
    asked = ("u", *("u_x",) * has_slope, *("u_xx",) * has_curvature, *("u_y",) * has_tangent)
    joint = Interface("joint", "x", CUT, asked, weight=100.0 if is_heavy else 1.0)
    return replace(problem, conditions=(*problem.conditions, joint))


def interface_error(sharpness: float | int, arm: str, *, seed: int, training: Training = TRAINING) -> float:
    """Train a network of 10-10 in either half with the conditions of an arm; return the relative L2 error."""
    problem = joined(front(sharpness), arm)
    generator = torch.Generator().manual_seed(seed)
    halves = [MLP(2, (10, 10), dtype=torch.float64, generator=generator) for _ in range(2)]
    model = Pinn(problem, Pieces(halves, (CUT,)))
    solve(model, training, seed=seed)
    return relative_l2(model, problem.domain.grid(41))


@dataclass(frozen=True)
class InterfaceStudy:
    """Errors of all arms on problems of the family, and what a bandit chose.

    Attributes:
        sharpness: of the problems, (problems,).
        errors: (problems, arms), in the order of `ARMS`.
        chosen: the bandit's arm of each problem.
    """

    sharpness: np.ndarray
    errors: np.ndarray
    chosen: tuple[int, ...]

    def regrets(self) -> dict[str, float]:
        """Return the regret per problem in decades of the error: of the bandit, the best fixed arm, all, and chance."""
        rewards = -np.log10(self.errors)
        n_problems, n_arms = rewards.shape
        fixed = {name: float(regret(rewards, [index] * n_problems)[-1] / n_problems) for index, name in enumerate(ARMS)}
        return {
            "bandit": float(regret(rewards, self.chosen)[-1] / n_problems),
            "best fixed arm": min(fixed.values()),
            "random": float(np.mean([regret(rewards, [index] * n_problems)[-1] for index in range(n_arms)]))
            / n_problems,
            **fixed,
        }


def study_interfaces(
    n_problems: int = 30, *, seed: int = 0, training: Training = TRAINING, exploration: float | int = 0.5
) -> InterfaceStudy:
    """Draw problems of the family, train all arms on each, and let a bandit choose one arm of each in turn.

    The bandit is told the error of the arm that it chose alone; all others are there for the regret. A context is log s
    on a scale from -1 to 1, a reward minus the decadic logarithm of the error.
    """
    rng = np.random.default_rng(seed)
    low, high = np.log(SHARPNESS)
    logs = rng.uniform(low, high, n_problems)
    sharpness = np.exp(logs)
    errors = np.array(
        [
            [interface_error(float(value), arm, seed=seed + index, training=training) for arm in ARMS]
            for index, value in enumerate(sharpness)
        ]
    )
    contexts = [[2 * (value - low) / (high - low) - 1] for value in logs]
    bandit = GaussianBandit(tuple(ARMS.values()), exploration=exploration)
    chosen = run_bandit(bandit, contexts, lambda index, arm: -math.log10(errors[index, arm]))
    return InterfaceStudy(sharpness, errors, tuple(chosen))
