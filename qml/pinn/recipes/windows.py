"""Recipes of long times: windows, each solved by fixed features whose read-out alone is trained."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qml.pinn.problem import Problem
from qml.pinn.problems.periodic_windows import periodic_trunk, periodic_window
from qml.pinn.problems.sine_windows import sine_trunk, sine_window
from qml.pinn.solvers.windows import Windows, train_in_windows
from qml.pinn.training.options import OnStep, Training
from qml.pinn.training.second_order import Orthogonal

NODES_A_WAVE, MORE_NODES = 3, 4  # the product of two waves and the residual's own stay apart from all others
NODES_A_SINE = 4  # an odd number of nodes in all has no two at which the solution is the same but for its sign
MORE_TIMES = 2  # Gauss-Legendre nodes beyond the functions of time
GAUSS_NEWTON = 1e-26  # damping of steps that are not damped, as a share


def _gauss_newton(n_points: dict[str, int], n_steps: int) -> Training:
    """Return the options of a window whose read-out alone is trained, on a product of nodes."""
    return Training(
        n_adam=0,
        n_marquardt=n_steps,
        n_points=n_points,
        collocation="quadrature",
        orthogonal=Orthogonal(damping=GAUSS_NEWTON),
    )


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
        return _gauss_newton(n_points, self.n_steps)

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


@dataclass(frozen=True)
class SineWindowRecipe:
    """Windows of equal length for `pinnacle_heat_long`: sines in x and y times a few functions of t.

    The residual is taken on a product of nodes, equally spaced in x. Initial data are the sine series of the last
    window's end, exactly, and each window begins from them: as long as it is short against the growth of the source,
    Gauss-Newton steps converge quadratically.

    Args:
        n_windows: of equal length.
        n_x: sines of 4 pi (2 k + 1) x.
        n_y: sines of pi (n + 1) y.
        n_times: functions of t, random and smooth.
        n_steps: of Gauss and Newton, a window.
    """

    n_windows: int
    n_x: int
    n_y: int
    n_times: int = 5
    n_steps: int = 2

    @property
    def training(self) -> Training:
        """Return the options of each window."""
        n_points = {"x": NODES_A_SINE * self.n_x + 1, "y": 2 * self.n_y, "t": self.n_times + MORE_TIMES}
        return _gauss_newton(n_points, self.n_steps)

    def train(
        self, problem: Problem, *, seed: int, on_step: OnStep | None = None, checkpoint: Path | str | None = None
    ) -> Windows:
        """Solve `pinnacle_heat_long` window by window.

        Args:
            problem: of any duration.
            seed: of the functions of time.
            on_step: told of progress.
            checkpoint: as in `train_in_windows`.
        """
        of_x = 4 * np.pi * (2 * np.arange(self.n_x) + 1)
        of_y = np.pi * (1 + np.arange(self.n_y))
        return train_in_windows(
            sine_window(problem, of_x, of_y),
            lambda _, generator: sine_trunk(of_x, of_y, self.n_times, generator),
            self.training,
            edges=np.linspace(*problem.domain.intervals["t"], self.n_windows + 1).tolist(),
            seed=seed,
            warm=False,
            on_step=on_step,
            checkpoint=checkpoint,
        )


WINDOW_RECIPES: dict[str, WindowRecipe | SineWindowRecipe] = {
    "kdv": WindowRecipe(50, 80),
    "ks": WindowRecipe(25, 28),
    "ks-chaotic": WindowRecipe(50, 80),
    "pinnacle-heat-long": SineWindowRecipe(80, 3, 32),
}
"""By the name of the problem."""
