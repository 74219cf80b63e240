"""Recipes of the problems in many dimensions and of fluids, beside those of `catalogue.py`; an import enters them."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from qml.pinn.problem import Problem
from qml.pinn.recipes.catalogue import RECIPES, Recipe
from qml.pinn.recipes.poses import between_sides, within_sides
from qml.pinn.training.methods import Holdout, Polish
from qml.pinn.training.options import Training
from qml.pinn.trunks.separable import Separable


@dataclass(frozen=True)
class SeparableRecipe(Recipe):
    """A recipe with a separable trunk, whose factors are MLPs of `hidden_sizes`.

    Args:
        rank: number of products.
    """

    rank: int = 8

    def trunk(self, problem: Problem, generator: torch.Generator) -> nn.Module:
        """Return the network in float64."""
        return Separable.of_mlps(
            problem.n_features,
            self.hidden_sizes,
            self.rank,
            len(problem.fields),
            dtype=torch.float64,
            generator=generator,
        )


def _steps(n_steps: int, n_points: int, n_on_faces: int = 128) -> Training:
    return Training(n_adam=0, n_marquardt=n_steps, n_points=n_points, n_condition_points=n_on_faces)


RECIPES |= {
    "swing": Recipe(Training(n_adam=0, n_marquardt=60, n_points=40, collocation="quadrature"), (16,)),
    "kovasznay": Recipe(
        replace(_steps(100, 800, 64), holdout=Holdout(2000), polish=Polish(1500)), (20, 20), pose=between_sides
    ),
    "taylor-green": SeparableRecipe(
        replace(_steps(200, 800, 64), holdout=Holdout(1000), polish=Polish(2500)), (12,), pose=within_sides, rank=4
    ),
    "poiseuille": Recipe(_steps(60, 400, 48), (10, 10)),
    "poisson-multiscale": Recipe(_steps(100, 1600), (20, 20)),
    "poisson-5d": SeparableRecipe(_steps(150, 2000), (10, 10), rank=6),
    "harmonic-10d": SeparableRecipe(_steps(150, 2000), (10,), rank=12),
}
