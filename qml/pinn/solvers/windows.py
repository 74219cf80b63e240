"""Long times by windows: a network for each, whose initial data are the end of the one before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from qml.pinn.model import EDGE_ROUNDING, Pinn
from qml.pinn.problem import Problem
from qml.pinn.training.checkpoint import require_suffix
from qml.pinn.training.options import OnStep, Training
from qml.pinn.training.train import Solution, train
from qml.pinn.trunks.separable import Separable

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
        """Return the fields at points (batch, coordinates), each from its own window; an edge belongs to the later.

        Raises:
            ValueError: points of another shape, times outside the windows, or places outside the domain.
        """
        problem = self.solutions[0].model.problem
        windows = self._windows_of(points, problem.coordinates)
        column, within = problem.coordinates.index(self.coordinate), np.array(points, dtype=float)
        edges = np.array(self.edges)
        within[:, column] = np.clip(within[:, column], edges[windows], edges[windows + 1])  # off by rounding alone
        result = np.empty((len(points), len(problem.fields)))
        for index in np.unique(windows):
            rows = windows == index
            result[rows] = self.solutions[index].model.predict(within[rows])
        return result

    def _windows_of(self, points: np.ndarray, coordinates: Sequence[str]) -> np.ndarray:
        """Return the number of each point's window."""
        if np.ndim(points) != 2 or points.shape[1] != len(coordinates):
            raise ValueError(
                f"Argument `points` must have shape (batch, {len(coordinates)}), for {', '.join(coordinates)}, but has "
                f"shape {np.shape(points)}. Stack the coordinates as columns."
            )
        times, first, last = points[:, coordinates.index(self.coordinate)], self.edges[0], self.edges[-1]
        slack = EDGE_ROUNDING * (last - first)
        outside = ~((times >= first - slack) & (times <= last + slack))  # NaN too
        if outside.any():
            raise ValueError(
                f"Argument `points` must have {self.coordinate} from {first} to {last}, where the windows are, but has "
                f"{times[outside][0]}. Train further windows: no network knows the solution there."
            )
        return np.clip(np.searchsorted(self.edges, times, side="right") - 1, 0, len(self.solutions) - 1)

    def relative_l2(self, points: np.ndarray, reference: State, columns: Sequence[int] | None = None) -> float:
        """Return ||u - reference|| / ||reference|| over points and the chosen columns of fields; None is all."""
        expected, found = reference(points), self.predict(points)
        found = found if columns is None else found[:, list(columns)]
        return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def train_in_windows(  # noqa: PLR0913 - those of `train`, and of windows
    pose: Callable[[float, float, State | None], Problem],
    trunk: Callable[[Problem, torch.Generator], nn.Module],
    training: Training,
    *,
    edges: Sequence[float],
    seed: int,
    coordinate: str = "t",
    warm: bool = True,
    on_step: OnStep | None = None,
    checkpoint: Path | str | None = None,
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
        checkpoint: a .safetensors file, from whose name those of the windows are made, as "run-0.safetensors"; a run
            that was stopped goes on in the window where it was.

    Raises:
        ValueError: edges that do not rise, or a checkpoint of other settings.

    Reference:
        Wang, Sankaran, Perdikaris, arXiv:2203.07404, section 4, where chaotic systems are solved window by window.
    """
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"Argument `edges` must hold at least two rising times, but is {tuple(edges)}.")
    return march(
        lambda low, high, before: pose(low, high, None if before is None else before.predict),
        trunk,
        training,
        edges=edges,
        seed=seed,
        coordinate=coordinate,
        fresh=0.0 if warm else None,
        on_step=on_step,
        checkpoint=checkpoint,
    )


def march(  # noqa: PLR0913 - a window needs all that a run needs
    pose: Callable[[float, float, Pinn | None], Problem],
    trunk: Callable[[Problem, torch.Generator], nn.Module],
    training: Training,
    *,
    edges: Sequence[float],
    seed: int,
    coordinate: str,
    fresh: float | None,
    on_step: OnStep | None,
    checkpoint: Path | str | None,
) -> Windows:
    """Train a network for each window, posed after the network of the window before.

    Args:
        pose: from the ends of a window and the network before to its problem.
        trunk: from a problem to its network.
        training: of each window.
        edges: of the windows, rising.
        seed: of the first weights and of all points.
        coordinate: time.
        fresh: share of the seed's weights that is added to those of the network before; None begins from them alone.
        on_step: told of progress.
        checkpoint: from whose name those of the windows are made; None writes none.
    """
    solutions: list[Solution] = []
    previous: Pinn | None = None
    n_windows = len(edges) - 1
    for index, (low, high) in enumerate(pairwise(edges)):
        problem = pose(low, high, previous)
        model = Pinn(problem, trunk(problem, torch.Generator().manual_seed(seed)))
        if previous is not None and fresh is not None:
            _carry_over(previous, model, fresh)
        solution = train(
            model,
            training,
            seed=seed + index,
            on_step=None if on_step is None else _in_window(on_step, index, n_windows),
            checkpoint=None if checkpoint is None else _of_window(Path(checkpoint), index),
        )
        _forget(model)
        solutions.append(solution)
        previous = model
    return Windows(tuple(solutions), tuple(map(float, edges)), coordinate)


def _forget(model: Pinn) -> None:
    """Drop what frozen factors computed for the window's points: else all windows together hold gigabytes."""
    for part in model.modules():
        if isinstance(part, Separable):
            part.forget()


def _carry_over(previous: Pinn, model: Pinn, fresh: float) -> None:
    """Give a model the weights of another, and add a share of those it was drawn with where they are trained."""
    drawn = {name: part.detach().clone() for name, part in model.trunk.named_parameters() if part.requires_grad}
    model.trunk.load_state_dict(previous.trunk.state_dict())
    if fresh:
        with torch.no_grad():
            for name, part in model.trunk.named_parameters():
                if name in drawn:
                    part.add_(fresh * drawn[name])


def _of_window(path: Path, index: int) -> Path:
    require_suffix(path)
    return path.with_name(f"{path.stem}-{index}{path.suffix}")


def _in_window(on_step: OnStep, index: int, n_windows: int) -> OnStep:
    return lambda share, text: on_step((index + share) / n_windows, f"window {index + 1} of {n_windows}, {text}")
