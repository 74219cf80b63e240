"""The collocation points that a training begins with."""

import numpy as np

from qml.pinn.conditions import Periodic
from qml.pinn.problem import Problem
from qml.pinn.training.options import Training


def collocation_points(problem: Problem, training: Training, seed: int) -> np.ndarray:
    """Return scrambled Sobol points, or nodes of a quadrature, (batch, coordinates).

    Args:
        problem: whose periodic coordinates get equally spaced nodes.
        training: its `collocation` and `n_points`.
        seed: of Sobol points.
    """
    domain = problem.domain
    if training.collocation == "quadrature":
        periodic = {item.coordinate for item in problem.conditions if isinstance(item, Periodic)}
        return domain.quadrature(training.n_points, periodic)[0]
    return domain.sample(training.n_sobol, seed)
