"""Recipes that solve each problem in seconds or minutes: a small network, and Levenberg-Marquardt."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.methods import Causal, Holdout, Polish, Resampling
from qml.pinn.model import Pinn
from qml.pinn.names import Residual
from qml.pinn.options import Training
from qml.pinn.problem import Problem
from qml.pinn.trunks import MLP, FourierFeatures

PI = math.pi
N_FOURIER = 16
SHOCK_SLOPE = 20.0  # of Burgers' trial function at x = 0, where the slope of the solution reaches 150


@dataclass(frozen=True)
class Recipe:
    """A network, how it is trained, and how the problem is posed to it.

    Args:
        training: the optimiser and its points.
        hidden_sizes: of the MLP.
        frequencies: deviation of 16 random frequencies before the MLP; None leaves them out.
        pose: from the problem to one whose conditions are exact, or weigh more; None takes it as it is.
    """

    training: Training
    hidden_sizes: tuple[int, ...] = (16, 16)
    frequencies: float | None = None
    pose: Callable[[Problem], Problem] | None = None

    def posed(self, problem: Problem) -> Problem:
        """Return the problem as it is trained."""
        return problem if self.pose is None else self.pose(problem)

    def trunk(self, problem: Problem, generator: torch.Generator) -> nn.Module:
        """Return the network in float64."""
        n_inputs, n_fields = problem.n_features, len(problem.fields)
        if self.frequencies is None:
            return MLP(n_inputs, self.hidden_sizes, n_fields, dtype=torch.float64, generator=generator)
        features = FourierFeatures(
            n_inputs, N_FOURIER, scale=self.frequencies, dtype=torch.float64, generator=generator
        )
        network = MLP(2 * N_FOURIER, self.hidden_sizes, n_fields, dtype=torch.float64, generator=generator)
        return nn.Sequential(features, network)


def recipe_of(problem: Problem) -> Recipe:
    """Return the problem's own recipe, or one that suits problems on a line or on a plane."""
    return RECIPES.get(problem.name, ON_A_LINE if len(problem.coordinates) == 1 else ON_A_PLANE)


def with_exact_faces(problem: Problem, trial: Residual, names: Collection[str] | None = None) -> Problem:
    """Give the problem a trial function that fulfils faces exactly; a `Pinn` checks that it does.

    Args:
        problem: without a trial function.
        trial: as in `Problem`.
        names: of the faces; None is all.
    """
    conditions = tuple(
        replace(item, exact=True) if isinstance(item, Face) and (names is None or item.name in names) else item
        for item in problem.conditions
    )
    return replace(problem, trial=trial, conditions=conditions)


def with_weight(problem: Problem, weight: float) -> Problem:
    """Return the problem with another weight on all faces."""
    conditions = tuple(
        replace(item, weight=weight) if isinstance(item, Face) and not item.exact else item
        for item in problem.conditions
    )
    return replace(problem, conditions=conditions)


def odd_half(problem: Problem) -> Problem:
    """Pose Burgers' equation on the half x >= 0, which u(-x, t) = -u(x, t) continues to the other: half of the work.

    The trial function fixes u at x = 0, so that the shock cannot drift from there: on the whole domain to move it costs
    next to no residual, and error and loss part. The initial values and the end are exact too.
    """
    low, high = problem.domain.intervals["x"]
    if low != -high:
        raise ValueError(f"Argument `problem` must have x from -1 to 1, but has {low:g} to {high:g}.")
    conditions = (
        Face("middle", {"x": 0.0}, lambda u: u, exact=True),
        *(replace(item, exact=True) for item in problem.conditions if isinstance(item, Face) and item.name != "left"),
    )
    return replace(
        problem,
        domain=Box({"x": (0.0, high), "t": problem.domain.intervals["t"]}),
        conditions=conditions,
        trial=lambda x, t, u: (1 - x) * t * torch.tanh(SHOCK_SLOPE * x) * u - torch.sin(PI * x),
    )


def predict_odd(model: Pinn, points: np.ndarray) -> np.ndarray:
    """Return the fields at points (batch, coordinates); left of a domain that begins at x = 0 by oddness.

    A model on the whole domain predicts all points itself.
    """
    start = next(iter(model.problem.domain.intervals.values()))[0]
    mirrored = points[:, 0] < start
    if not mirrored.any():
        return model.predict(points)
    if start != 0.0:
        raise ValueError(f"Argument `points` must have x of at least {start:g}, where the domain begins, but has less.")
    folded = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    return np.where(mirrored, -1.0, 1.0)[:, None] * model.predict(folded)


def _line(n_steps: int, n_nodes: int, n_held: int = 0, n_polish: int = 0) -> Training:
    """Return options for a line: Gauss-Legendre nodes for all steps."""
    return Training(
        n_adam=0,
        n_marquardt=n_steps,
        n_held=n_held,
        n_points=n_nodes,
        collocation="quadrature",
        polish=Polish(n_polish) if n_polish else None,
    )


def _plane(n_steps: int, n_points: int, *, redrawn: int | None = None, n_on_faces: int = 128) -> Training:
    """Return options for a plane: points for all steps, or drawn anew where the residual is large."""
    resampling = None if redrawn is None else Resampling(every=redrawn, n_candidates=20_000)
    return Training(
        n_adam=0, n_marquardt=n_steps, n_points=n_points, n_condition_points=n_on_faces, resampling=resampling
    )


def _with_ends(problem: Problem) -> Problem:
    """Return a function of x on [-1, 1] that has the reference's values at both ends."""
    if problem.reference is None:
        raise ValueError(f"Problem {problem.name!r} must have a reference for its values at the ends.")
    left, right = (float(problem.reference(np.array([[place]]))[0, 0]) for place in (-1.0, 1.0))
    return with_exact_faces(problem, lambda x, u: (left * (1 - x) + right * (1 + x)) / 2 + (1 - x**2) * u)


ON_A_LINE = Recipe(_line(200, 40))
ON_A_PLANE = Recipe(_plane(150, 1600))
RECIPES = {
    "infinite-well": Recipe(_line(60, 40, n_polish=1500)),
    "infinite-well-energy": Recipe(_line(60, 40, n_polish=1500)),
    "finite-well": Recipe(_line(80, 40, n_polish=3000)),
    "finite-well-states": Recipe(_line(150, 20, n_held=30), (24, 24)),
    "barrier": Recipe(_line(80, 40, n_polish=1500)),
    "oscillator": Recipe(_line(120, 40, n_held=30)),
    "poisson": Recipe(_line(200, 300), frequencies=8.0, pose=_with_ends),
    "klein-gordon": Recipe(
        replace(_plane(60, 1600), holdout=Holdout(), polish=Polish(6000)),
        (20, 20),
        frequencies=3.0,
        pose=lambda problem: with_weight(problem, 100.0),
    ),
    "lorenz": Recipe(
        replace(_line(300, 128), causal=Causal("t", epsilons=(1.0, 10.0, 100.0, 1000.0))),
        frequencies=4.0,
        pose=lambda problem: with_exact_faces(problem, lambda t, x, y, z: (0.1 + t * x, 0.1 + t * y, 0.1 + t * z)),
    ),
    "helmholtz": Recipe(
        replace(_plane(40, 1600), holdout=Holdout(), polish=Polish(8000)),
        (20, 20),
        frequencies=4.0,
        pose=lambda problem: with_exact_faces(problem, lambda x, y, u: (1 - x**2) * (1 - y**2) * u),
    ),
    "burgers": Recipe(
        replace(
            _plane(80, 3000, redrawn=10),
            holdout=Holdout(),
            polish=Polish(5000, n_points=6000, redraw_every=1000),
        ),
        (20, 20, 20, 20),
        pose=odd_half,
    ),
    "allen-cahn": Recipe(
        _plane(350, 2500, redrawn=10, n_on_faces=256), (30, 30), pose=lambda problem: with_weight(problem, 100.0)
    ),
    "cavity-stream": Recipe(_plane(200, 1600, n_on_faces=256), (20, 20)),
    "diffusivity": Recipe(_plane(80, 500)),
    "radial-diffusivity": Recipe(_plane(80, 500)),
}
