"""The cavity at high Reynolds numbers: polynomials at rest on the walls, and a continuation in the Reynolds number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from qml import checks
from qml.jets import JetModule
from qml.jets.jet import Array
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.problems.cavity import cavity_stream
from qml.pinn.problems.cavity_reference import clamped_basis, singular_stream
from qml.pinn.recipes.poses import beside_corners_clamped, reynolds_of
from qml.pinn.training.checkpoint import require_suffix
from qml.pinn.training.options import OnStep, Training
from qml.pinn.training.second_order import Orthogonal
from qml.pinn.training.train import Solution, train
from qml.pinn.trunks.dense import affine_maps
from qml.pinn.trunks.separable import Separable

BUMP_DEGREE = 4  # of x^2 (1 - x)^2
MORE_NODES = 6  # Gauss-Legendre nodes for each coordinate beyond the polynomials
GAUSS_NEWTON = 1e-26  # damping of steps that are not damped, as a share
ROUNDING = 1e-9  # of the number of ratios


class ClampedSeries(Separable, JetModule):
    """A stream function at rest on the sides of [0, 1]^2, and its vorticity: psi = sum_kl c_kl phi_k(x) phi_l(y).

    phi_k(x) = x^2 (1 - x)^2 T_k(2 x - 1) with Chebyshev's polynomials T_k, and w = -(psi_xx + psi_yy) has the same
    weights c. The residuals of an equation that is quadratic in psi are quadratic in c, so that steps of Gauss and
    Newton converge as Newton's method does. The trunk is that of a spectral method; what makes it a physics-informed
    network is the least-squares loss and how it is trained.

    Args:
        n_modes: polynomials for each coordinate; there are n_modes^2 weights.
        device: where the parameters live.
        dtype: their type.

    Shape:
        (..., 2), x and y, to (..., 2), psi and w.

    Attributes:
        factors: phi_k and their second derivatives, not trained.
        read_out: c, 0 at first: the fluid is at rest.

    Reference:
        The polynomials are those of `solve_cavity`; Botella and Peyret, Computers and Fluids 27 (1998) 421, collocate
        polynomials on top of the same singular parts.
    """

    def __init__(
        self, n_modes: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        n_modes = checks.as_int(n_modes, "n_modes", 1)
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        value, bend = (_coefficients(n_modes, order) for order in (0, 2))
        by_x = np.concatenate([np.repeat(part, n_modes, 0) for part in (value, bend, value)])
        by_y = np.concatenate([np.tile(part, (n_modes, 1)) for part in (value, value, bend)])
        super().__init__(
            [_polynomials(matrix, like) for matrix in (by_x, by_y)], **like, generator=torch.Generator().manual_seed(0)
        )
        self.factors.requires_grad_(requires_grad=False)
        self.n_modes = n_modes
        self.read_out = affine_maps((n_modes**2, 1), device, dtype)[0]
        self.read_out.register_parameter("bias", None)
        nn.init.zeros_(self.read_out.weight)  # pyright: ignore[reportArgumentType]

    def forward(self, inputs: Array) -> Array:
        """Return psi and w, before trial functions."""
        values, by_x, by_y = torch.chunk(self._product(inputs), 3, dim=-1)
        return torch.cat([self.read_out(values), -self.read_out(by_x + by_y)], -1)

    def fit(self, values: Float[np.ndarray, "nodes nodes"], nodes: Float[np.ndarray, " nodes"]) -> None:
        """Set the weights to the least-squares fit of psi on the product of nodes for x (rows) and for y (columns)."""
        inverse = np.linalg.pinv(clamped_basis(nodes, self.n_modes, 0))
        with torch.no_grad():
            self.read_out.weight.copy_(torch.as_tensor((inverse @ values @ inverse.T).reshape(1, -1)))  # pyright: ignore[reportCallIssue]

    def extra_repr(self) -> str:
        """Return the number of polynomials, for `repr`."""
        return f"{self.n_modes}"


@dataclass(frozen=True)
class CavityRecipe:
    """The cavity's stream function by `ClampedSeries`, from one Reynolds number to the next, and then by a longer one.

    Each series begins from the flow before it: the singular parts of the corners change with the Reynolds number, and
    the series takes up what they lose. Weights that are kept as they are lead to another minimum, with a core at rest.
    Nothing is drawn, so that seeds change nothing.

    Args:
        n_modes: polynomials for each coordinate in the last series.
        n_early: in those before it.
        n_steps: of Gauss and Newton, for each series.
        ratio: largest factor between Reynolds numbers, above 1. At 3, full steps raise the loss; damped ones are slow.
        first: the first Reynolds number, unless the problem's own is lower.

    Raises:
        ValueError: numbers out of range.
    """

    n_modes: int = 40
    n_early: int = 24
    n_steps: int = 4
    ratio: float = 1.4
    first: float = 100.0

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_modes", "n_early", "n_steps"), floats=("ratio", "first"))
        if min(self.n_modes, self.n_early, self.n_steps) < 1 or not self.ratio > 1 or not self.first > 0:
            raise ValueError(
                "Arguments `n_modes`, `n_early`, `n_steps`, `ratio` and `first` must be at least 1, 1, 1, above 1 and "
                f"above 0, but are {self.n_modes}, {self.n_early}, {self.n_steps}, {self.ratio} and {self.first}."
            )

    def stages(self, reynolds: float) -> tuple[tuple[float, int], ...]:
        """Return Reynolds number and polynomials for each coordinate of every series, the last one at the end."""
        n_ratios = math.ceil(math.log(max(reynolds / self.first, 1.0)) / math.log(self.ratio) - ROUNDING)
        row = [reynolds * (self.first / reynolds) ** (1 - index / n_ratios) for index in range(n_ratios)]
        return (*((one, self.n_early) for one in (*row, reynolds)), (reynolds, self.n_modes))

    def training(self, n_modes: int) -> Training:
        """Return the options for a series of n_modes^2 weights."""
        return Training(
            n_adam=0,
            n_marquardt=self.n_steps,
            n_points=n_modes + MORE_NODES,
            collocation="quadrature",
            orthogonal=Orthogonal(damping=GAUSS_NEWTON),
        )

    def train(
        self, problem: Problem, *, seed: int = 0, on_step: OnStep | None = None, checkpoint: Path | str | None = None
    ) -> Solution:
        """Solve a problem by way of lower Reynolds numbers.

        Args:
            problem: of `cavity_stream`.
            seed: of `train`, which draws nothing here.
            on_step: told of progress.
            checkpoint: a .safetensors file, from whose name those of the series are made, as "run-0.safetensors"; a
                run that was stopped goes on in the series where it was.

        Returns:
            The solution by the last series, with the seconds of all. The name of its problem has the Reynolds number.

        Raises:
            ValueError: another problem, or a checkpoint of other settings.
        """
        stages = self.stages(reynolds_of(problem))
        solutions: list[Solution] = []
        for index, (reynolds, n_modes) in enumerate(stages):
            whole = problem if reynolds == stages[-1][0] else cavity_stream(reynolds)
            posed = replace(beside_corners_clamped(whole), name=f"{problem.name} at Re = {reynolds:.6g}")
            trunk = ClampedSeries(n_modes, dtype=torch.float64)
            if solutions:
                _begin_from(solutions[-1].model, trunk, reynolds)
            solution = train(
                Pinn(posed, trunk),
                self.training(n_modes),
                seed=seed,
                on_step=None if on_step is None else _in_series(on_step, index, stages),
                checkpoint=None if checkpoint is None else _of_series(Path(checkpoint), index),
            )
            trunk.forget()
            solutions.append(solution)
        return replace(solutions[-1], seconds=sum(solution.seconds for solution in solutions))


def _coefficients(n_modes: int, order: int) -> np.ndarray:
    """Return a derivative of each phi_k in Chebyshev's polynomials, (modes, modes + 4)."""
    n = n_modes + BUMP_DEGREE
    nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    waves = np.polynomial.chebyshev.chebvander(nodes, n - 1)
    return np.linalg.solve(waves, clamped_basis((1 + nodes) / 2, n_modes, order)).T


def _polynomials(matrix: np.ndarray, like: dict[str, Any]) -> nn.Module:
    """Return functions of one coordinate, whose coefficients in Chebyshev's polynomials are the rows of a matrix."""
    layer = affine_maps((matrix.shape[1], matrix.shape[0]), **like)[0]
    layer.register_parameter("bias", None)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(matrix))  # pyright: ignore[reportCallIssue]
    return nn.Sequential(_Chebyshev(matrix.shape[1]), layer)


class _Chebyshev(JetModule):
    """Map x in [0, 1], (..., 1), to T_0 to T_(n - 1) of 2 x - 1, (..., n), by their recurrence."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, inputs: Array) -> Array:
        z: Any = 2 * inputs - 1
        rows: list[Any] = [0 * z + 1, z]
        while len(rows) < self.n:
            rows.append(2 * z * rows[-1] - rows[-2])
        return torch.cat(rows[: self.n], -1)


def _begin_from(model: Pinn, trunk: ClampedSeries, reynolds: float) -> None:
    """Fit a series to a model's psi without the singular parts of the corners at another Reynolds number."""
    nodes = (1 + np.polynomial.legendre.leggauss(trunk.n_modes + MORE_NODES)[0]) / 2
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    x, y = torch.as_tensor(points).unbind(1)
    singular = singular_stream(x, y, reynolds).numpy()
    trunk.fit((model.predict(points)[:, 0] - singular).reshape(len(nodes), -1), nodes)


def _in_series(on_step: OnStep, index: int, stages: Sequence[tuple[float, int]]) -> OnStep:
    said = f"Re = {stages[index][0]:.4g}, {stages[index][1]}^2 polynomials"
    return lambda share, text: on_step((index + share) / len(stages), f"{said}, {text}")


def _of_series(path: Path, index: int) -> Path:
    require_suffix(path)
    return path.with_name(f"{path.stem}-{index}{path.suffix}")
