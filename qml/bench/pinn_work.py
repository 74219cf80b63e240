"""The work of the benchmark of physics-informed networks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from qml.pinn import MLP, find_problem

Build = Callable[[Generator], nn.Module]
SEED = 0
LEARNING_RATE = 1e-3
SIZES = {"burgers": (2540, 240, (20, 20, 20)), "helmholtz": (1024, 400, (50, 50, 50))}
"""Points, points of conditions, units: Burgers as in DeepXDE's example, Helmholtz as in arXiv:2001.04536."""


@dataclass(frozen=True)
class PinnWork:
    """The work that both libraries are given.

    Args:
        case: "burgers" or "helmholtz".
        points: collocation points (batch, 2), float32.
        edges: points of the conditions (batch, 2), float32.
        values: u at these points (batch,), float32.
        hidden_sizes: units of the tanh layers.
        state: weights and biases by turns, the layers in order.
    """

    case: str
    points: np.ndarray
    edges: np.ndarray
    values: np.ndarray
    hidden_sizes: tuple[int, ...]
    state: tuple[Tensor, ...]


def make_work(case: str) -> PinnWork:
    """Draw Sobol points in the domain and on its faces, values of the reference there, and Glorot's weights."""
    n_points, n_edges, hidden_sizes = SIZES[case]
    problem = find_problem(case)
    faces = [face for face in problem.conditions if face.fixed]
    each = n_edges // len(faces)
    edges = np.concatenate([face.points(problem.domain, each, SEED + n) for n, face in enumerate(faces)])
    reference = problem.reference
    if reference is None:
        raise ValueError(f"Problem {case!r} must have a reference.")
    trunk = MLP(2, hidden_sizes, generator=torch.Generator().manual_seed(SEED))
    return PinnWork(
        case=case,
        points=problem.domain.sample(n_points, SEED).astype(np.float32),
        edges=edges.astype(np.float32),
        values=reference(edges)[:, 0].astype(np.float32),
        hidden_sizes=hidden_sizes,
        state=tuple(part.detach().clone() for part in trunk.parameters()),
    )
