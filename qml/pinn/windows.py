"""Long times by windows: a network for each, whose initial data are the end of the one before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from qml.pinn.model import Pinn
from qml.pinn.options import OnStep, Training
from qml.pinn.problem import Problem
from qml.pinn.training import Solution, train

State = Callable[[np.ndarray], np.ndarray]
"""Points (batch, coordinates) to fields (batch, fields)."""


@dataclass(frozen=True)
class Windows:
    """Solutions on windows of time that follow each other.

    Attributes:
        solutions: one a window.
        edges: of the windows, rising, one more than there are windows.
        coordinate: time.
    """

    solutions: tuple[Solution, ...]
    edges: tuple[float, ...]
    coordinate: str

    @property
    def seconds(self) -> float:
        """Return the seconds of training of all windows."""
        return sum(solution.seconds for solution in self.solutions)

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Return the fields at points (batch, coordinates), each from its own window; an edge belongs to the later."""
        problem = self.solutions[0].model.problem
        column = problem.coordinates.index(self.coordinate)
        windows = np.clip(np.searchsorted(self.edges, points[:, column], side="right") - 1, 0, len(self.solutions) - 1)
        result = np.empty((len(points), len(problem.fields)))
        for index in np.unique(windows):
            rows = windows == index
            result[rows] = self.solutions[index].model.predict(points[rows])
        return result

    def relative_l2(self, points: np.ndarray, reference: State, columns: Sequence[int] | None = None) -> float:
        """Return ||u - reference|| / ||reference|| over points and the chosen columns of fields; None is all."""
        expected, found = reference(points), self.predict(points)
        found = found if columns is None else found[:, list(columns)]
        return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def train_in_windows(
    pose: Callable[[float, float, State | None], Problem],
    trunk: Callable[[Problem, torch.Generator], nn.Module],
    training: Training,
    *,
    edges: Sequence[float],
    seed: int,
    coordinate: str = "t",
    warm: bool = True,
    on_step: OnStep | None = None,
) -> Windows:
    """Train a network for each window of time, from the end of the one before.

    Args:
        pose: from the ends of a window, and the solution of the window before (None for the first), to its problem.
        trunk: from a problem to its network.
        training: of each window.
        edges: of the windows, rising.
        seed: of the first weights and of all points.
        coordinate: time.
        warm: whether a network starts from the weights of the one before, or from those of the seed.
        on_step: told of progress.

    Raises:
        ValueError: edges that do not rise.

    Reference:
        Wang, Sankaran, Perdikaris, arXiv:2203.07404, section 4, where chaotic systems are solved window by window.
    """
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"Argument `edges` must hold at least two rising times, but is {tuple(edges)}.")
    solutions: list[Solution] = []
    previous: Pinn | None = None
    for index, (low, high) in enumerate(pairwise(edges)):
        problem = pose(low, high, None if previous is None else previous.predict)
        model = Pinn(problem, trunk(problem, torch.Generator().manual_seed(seed)))
        if previous is not None and warm:
            model.trunk.load_state_dict(previous.trunk.state_dict())
        tell = None if on_step is None else _in_window(on_step, index, len(edges) - 1)
        solutions.append(train(model, training, seed=seed + index, on_step=tell))
        previous = model
    return Windows(tuple(solutions), tuple(map(float, edges)), coordinate)


def _in_window(on_step: OnStep, index: int, n_windows: int) -> OnStep:
    return lambda share, text: on_step((index + share) / n_windows, f"window {index + 1} of {n_windows}, {text}")
