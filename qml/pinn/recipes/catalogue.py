"""Recipes that solve each problem in seconds or minutes: a small network, and Levenberg-Marquardt."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from qml.pinn.problem import Problem
from qml.pinn.recipes.poses import (
    along_reaction,
    beside_corners,
    between_ends,
    odd_half,
    odd_line,
    odd_waves,
    with_exact_faces,
    with_weight,
)
from qml.pinn.training.methods import Causal, Holdout, Polish, Resampling
from qml.pinn.training.options import Training
from qml.pinn.trunks.dense import MLP, FourierFeatures

__all__ = ["RECIPES", "Recipe", "odd_half", "recipe_of", "with_exact_faces", "with_weight"]

N_FOURIER = 16


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


ON_A_LINE = Recipe(_line(200, 40))
ON_A_PLANE = Recipe(_plane(150, 1600))
RECIPES = {
    "infinite-well": Recipe(_line(60, 40, n_polish=1500)),
    "infinite-well-energy": Recipe(_line(60, 40, n_polish=1500)),
    "finite-well": Recipe(_line(80, 40, n_polish=3000)),
    "finite-well-states": Recipe(_line(150, 20, n_held=30), (24, 24)),
    "barrier": Recipe(_line(80, 40, n_polish=1500)),
    "oscillator": Recipe(_line(120, 40, n_held=30)),
    "poisson": Recipe(_line(100, 200, n_polish=1500), frequencies=8.0, pose=odd_line),
    "klein-gordon": Recipe(
        replace(_plane(250, 400), holdout=Holdout(1000), polish=Polish(300)), (10, 10), pose=between_ends
    ),
    "lorenz": Recipe(
        replace(_line(300, 128), causal=Causal("t", epsilons=(1.0, 10.0, 100.0, 1000.0))),
        frequencies=4.0,
        pose=lambda problem: with_exact_faces(problem, lambda t, x, y, z: (0.1 + t * x, 0.1 + t * y, 0.1 + t * z)),
    ),
    "helmholtz": Recipe(replace(_plane(200, 800), holdout=Holdout(2000), polish=Polish(600)), (12, 12), pose=odd_waves),
    "burgers": Recipe(
        replace(
            _plane(80, 3000, redrawn=10),
            holdout=Holdout(),
            polish=Polish(5000, n_points=6000, redraw_every=1000),
        ),
        (20, 20, 20, 20),
        pose=odd_half,
    ),
    "allen-cahn": Recipe(replace(_plane(150, 3000, redrawn=10), holdout=Holdout()), (20, 20, 20), pose=along_reaction),
    "cavity-stream": Recipe(replace(_plane(120, 2000), polish=Polish(2500)), (24, 24), pose=beside_corners),
    "diffusivity": Recipe(_plane(80, 500)),
    "radial-diffusivity": Recipe(_plane(80, 500)),
}
RECIPES["cavity-stream-1000"] = RECIPES["cavity-stream"]  # of networks; `CavityRecipe` is the one that converges
