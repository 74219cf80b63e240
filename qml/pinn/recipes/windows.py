"""Recipes of long times: windows, each solved by fixed features whose read-out alone is trained."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qml.pinn.problem import Problem
from qml.pinn.problems.periodic_windows import periodic_trunk, periodic_window
from qml.pinn.solvers.windows import Windows, train_in_windows
from qml.pinn.training.options import OnStep, Training
from qml.pinn.training.second_order import Orthogonal

NODES_A_WAVE, MORE_NODES = 3, 4  # the product of two waves and the residual's own stay apart from all others
MORE_TIMES = 2  # Gauss-Legendre nodes beyond the functions of time
GAUSS_NEWTON = 1e-26  # damping of steps that are not damped, as a share


@dataclass(frozen=True)
class WindowRecipe:
    """Windows of equal length for an equation of `dispersive.py`: waves in x times a few functions of t.

    The residual is taken on a product of nodes, equally spaced in x, so that what the features cannot hold, waves above
    the last one, is orthogonal to them; on scattered points the fit bends the other waves to it. Initial data are the
    Fourier series of the last window's end, exactly. QR of the Jacobian keeps its digits.

    Args:
        n_windows: of equal length.
        n_waves: cosines, and sines.
        n_times: functions of t, random and smooth.
        n_steps: of Gauss and Newton, a window.

    Reference:
        Dong and Li, arXiv:2012.02895, whose random features are of x and t together.
    """

    n_windows: int
    n_waves: int
    n_times: int = 7
    n_steps: int = 3

    @property
    def training(self) -> Training:
        """Return the options of each window."""
        n_points = {"x": NODES_A_WAVE * self.n_waves + MORE_NODES, "t": self.n_times + MORE_TIMES}
        return Training(
            n_adam=0,
            n_marquardt=self.n_steps,
            n_points=n_points,
            collocation="quadrature",
            orthogonal=Orthogonal(damping=GAUSS_NEWTON),
        )

    def train(
        self, problem: Problem, *, seed: int, on_step: OnStep | None = None, checkpoint: Path | str | None = None
    ) -> Windows:
        """Solve a problem window by window.

        Args:
            problem: periodic in x, with the field u.
            seed: of the functions of time.
            on_step: told of progress.
            checkpoint: as in `train_in_windows`.
        """
        edges = np.linspace(*problem.domain.intervals["t"], self.n_windows + 1).tolist()
        return train_in_windows(
            periodic_window(problem, n_start=self.n_waves),
            lambda window, generator: periodic_trunk(
                window, n_waves=self.n_waves, n_times=self.n_times, generator=generator
            ),
            self.training,
            edges=edges,
            seed=seed,
            warm=False,
            on_step=on_step,
            checkpoint=checkpoint,
        )


WINDOW_RECIPES = {
    "kdv": WindowRecipe(50, 80),
    "ks": WindowRecipe(25, 28),
    "ks-chaotic": WindowRecipe(50, 80),
}
"""By the name of the problem."""
