"""Recipes of waves of high frequency and of the later flows; importing it enters them."""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from qml.pinn.problem import Problem
from qml.pinn.recipes.catalogue import RECIPES, Recipe
from qml.pinn.recipes.poses import between_walls
from qml.pinn.recipes.separable import SeparableRecipe
from qml.pinn.training.methods import Holdout, Polish
from qml.pinn.training.options import Training
from qml.pinn.trunks.dense import MLP, FourierFeatures
from qml.pinn.trunks.separable import Separable


@dataclass(frozen=True)
class FourierRecipe(Recipe):
    """A recipe with random Fourier features and an affine read-out, so that linear equations are least squares.

    Frequencies of a function on an interval of length L are told apart if they differ by 2 pi / L: the features have to
    be denser than that around the solution's own. One or two steps of Levenberg-Marquardt solve it.

    Args:
        n_frequencies: features of each coordinate.
        rank: products of functions of one coordinate, each with features of its own; None takes one coordinate.
        n_waving: coordinates that get the features, the first ones; the others' factors are MLPs of `hidden_sizes`.
            None is all.
    """

    n_frequencies: int = 400
    rank: int | None = None
    n_waving: int | None = None

    def trunk(self, problem: Problem, generator: torch.Generator) -> nn.Module:
        """Return the network in float64."""
        scale, n_fields = self.frequencies or 1.0, len(problem.fields)

        def waves(n_outputs: int) -> nn.Module:
            features = FourierFeatures(1, self.n_frequencies, scale=scale, dtype=torch.float64, generator=generator)
            affine = MLP(2 * self.n_frequencies, (n_outputs,), dtype=torch.float64, generator=generator).layers[0]
            return nn.Sequential(features, affine)

        if self.rank is None:
            return waves(n_fields)
        rank, n_waving = self.rank, problem.n_features if self.n_waving is None else self.n_waving
        factors = [
            waves(rank)
            if index < n_waving
            else MLP(1, self.hidden_sizes, rank, dtype=torch.float64, generator=generator)
            for index in range(problem.n_features)
        ]
        return Separable(factors, n_fields, dtype=torch.float64, generator=generator)


def _steps(n_steps: int, n_points: int, n_on_faces: int = 128, n_polish: int = 0) -> Training:
    polish = Polish(n_polish) if n_polish else None
    return Training(n_adam=0, n_marquardt=n_steps, n_points=n_points, n_condition_points=n_on_faces, polish=polish)


RECIPES |= {
    "poisson-waves": FourierRecipe(
        Training(n_adam=0, n_marquardt=40, n_points=1200, collocation="quadrature"), frequencies=100.0
    ),
    "helmholtz-waves": FourierRecipe(_steps(40, 1600), frequencies=8 * math.pi, n_frequencies=40, rank=2),
    "pinnacle-wave": FourierRecipe(_steps(30, 1200), frequencies=5 * math.pi, n_frequencies=30, rank=3),
    "pinnacle-heat": FourierRecipe(_steps(40, 1200, 400), (8,), 40.0, n_frequencies=40, rank=2, n_waving=1),
    "pinnacle-poisson": SeparableRecipe(_steps(60, 1000), (8,), rank=6),
    "pinnacle-cavity": Recipe(_steps(100, 1500, n_polish=1500), (20, 20)),
    "electrothermal": Recipe(replace(_steps(40, 1000, 64, 1500), holdout=Holdout(1000)), (20, 20), pose=between_walls),
    "cylinder": Recipe(replace(_steps(60, 2000, 64, 2500), holdout=Holdout(1000)), (24, 24)),
}
