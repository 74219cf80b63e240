"""Poses of problems: their conditions hold exactly, and the solution is among the functions that they allow."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qml.jets.jet import Jet
from qml.jets.protocol import JetModule
from qml.pinn import MLP, Pinn, Training, find_problem, relative_l2, train
from qml.pinn.conditions import QUADRATURE
from qml.pinn.problems.cavity_reference import corner_vorticity
from qml.pinn.recipes.poses import (
    along_reaction,
    beside_corners,
    between_ends,
    between_sides,
    between_walls,
    odd_line,
    odd_waves,
    within_sides,
)
from tests.helpers import assert_close

PI = math.pi
POSES = {
    "helmholtz": odd_waves,
    "klein-gordon": between_ends,
    "allen-cahn": along_reaction,
    "taylor-green": within_sides,
    "kovasznay": between_sides,
    "cavity-stream": beside_corners,
    "electrothermal": between_walls,
    "poisson": odd_line,
}


class Known(JetModule):
    """A trunk in closed form, which takes the pose's inputs as columns and returns the fields as a tuple."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.register_parameter("unused", nn.Parameter(torch.zeros(1, dtype=torch.float64)))

    def forward(self, inputs: Any) -> Any:
        columns = inputs.columns() if isinstance(inputs, Jet) else inputs.unbind(-1)
        return torch.stack(self.function(*columns), -1)


def decay(s: Any) -> Any:
    """(exp(-0.2 t) - 1) / t by its series, with s = 2 t - 1: t = 0 is no exception."""
    x = -0.1 * (s + 1.0)
    total: Any = x * 0.0 + 1.0
    for order in range(9, 0, -1):
        total = total * x * (1 / (order + 1)) + 1.0
    return -0.2 * total


def vortices(a: Any, b: Any, s: Any) -> tuple[Any, ...]:
    """What the sides leave of the velocities, over t x (pi - x) y (pi - y), with a = 2 x / pi - 1 and b of y."""
    x, y = PI / 2 * (a + (1.0 + 1e-12)), PI / 2 * (b + (1.0 + 1e-12))  # not on a side, where this is 0 / 0
    shape = decay(s) / (x * (PI - x) * (y * (PI - y)))
    u, v = (torch.cos(x) + a) * torch.sin(y), (torch.cos(y) + b) * torch.sin(x)
    return -1.0 * (u * shape), v * shape, torch.exp(-0.2 * (s + 1.0)) * 0.5


SOLUTIONS = {
    "helmholtz": lambda c_x, c_y: (4.0 * c_y * (2.0 * c_y**2 - 1.0) + 0.0 * c_x,),  # sin 4a = 4 sin a cos a cos 2a
    "klein-gordon": lambda x, t: (-(x + 1.0) * t,),
    "taylor-green": vortices,
}


def network(name: str) -> Pinn:
    posed = POSES[name](find_problem(name))
    trunk = MLP(
        posed.n_features, (5,), len(posed.fields), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    return Pinn(posed, trunk)  # which checks that the conditions hold


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_solution_is_among_the_functions_of_the_pose(name: str) -> None:
    model = Pinn(POSES[name](find_problem(name)), Known(SOLUTIONS[name]))
    points = model.problem.domain.sample(64, 3)
    assert model.derivatives == "jets"
    assert relative_l2(model, points) < 1e-9  # the series of `decay` ends after ten terms
    values = model.evaluate(points, list(dict.fromkeys(sum(model.problem.equation_names.values(), ()))))
    for equation, names in model.problem.equation_names.items():
        residual = model.problem.equations[equation](**{asked: values[asked] for asked in names})
        assert float(residual.detach().abs().max()) < 1e-8, equation


@pytest.mark.parametrize("name", POSES)
def test_jets_of_a_pose_are_its_nested_derivatives(name: str) -> None:
    jets = network(name)
    assert jets.derivatives == "jets"
    nested = Pinn(jets.problem, jets.trunk, derivatives="nested")
    points = jets.as_points(jets.problem.domain.sample(7, 5))
    names = list(dict.fromkeys(sum(jets.problem.equation_names.values(), ())))
    expected, found = (model.evaluate(points, names) for model in (nested, jets))
    for asked in names:
        assert_close(found[asked], expected[asked], 1e-9 * (1 + float(expected[asked].detach().abs().max())))


def zero_trunk(problem: Any) -> nn.Module:
    trunk = MLP(problem.n_features, (2,), 1, dtype=torch.float64)
    for part in trunk.parameters():
        nn.init.zeros_(part)
    return trunk


def test_allen_cahn_starts_near_its_solution() -> None:
    """Without a network it is the reaction alone and diffusion at the kink: 7e-3, and 2e-5 beside the kink."""
    posed = along_reaction(find_problem("allen-cahn"))
    model = Pinn(posed, zero_trunk(posed))
    grid = posed.domain.grid(61)
    assert relative_l2(model, grid) < 1.2e-2
    near = grid[np.abs(grid[:, 0]) > 0.9]
    assert relative_l2(model, near) < 1e-4
    assert_close(model.predict(grid), model.predict(grid * [-1.0, 1.0]), 1e-12)  # it is even
    at_ends: Tensor = model.evaluate(np.array([[1.0, 0.3], [-1.0, 0.3]]), ["u_x"])["u_x"]
    assert_close(at_ends, np.zeros(2), 1e-9)


def test_a_few_units_solve_the_klein_gordon_equation_between_its_ends() -> None:
    """All that is left to the network is -(1 + x) t; the fast wave is in the data."""
    posed = between_ends(find_problem("klein-gordon"))
    model = Pinn(posed, MLP(2, (6,), dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    train(model, Training(n_adam=0, n_marquardt=80, n_points=64), seed=0)
    assert relative_l2(model, posed.domain.grid(21)) < 1e-4


def test_the_cavity_beside_its_corners_is_the_same_flow() -> None:
    """Residuals are those of the problem itself with all of the vorticity, whose derivatives are differences here."""
    problem, model = find_problem("cavity-stream"), network("cavity-stream")
    points = 0.1 + 0.8 * torch.rand(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = ("psi_x", "psi_y", "laplacian", "w", "w_x", "w_y", "friction")
    values = model.evaluate(points, list(names)) | dict(zip("xy", points.unbind(1), strict=True))
    step = 1e-3

    def singular(along_x: int, along_y: int) -> Tensor:
        return corner_vorticity(points[:, 0] + along_x * step, points[:, 1] + along_y * step, 100.0)[0]

    right, left, above, below, here = (singular(*to) for to in ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)))
    whole = values | {
        "w": values["w"] - here,
        "w_x": values["w_x"] - (right - left) / (2 * step),
        "w_y": values["w_y"] - (above - below) / (2 * step),
        "friction": values["friction"] + (right + left + above + below - 4 * here) / step**2 / 100,
    }
    for name, asked in model.problem.equation_names.items():
        found = model.problem.equations[name](**{key: values[key] for key in asked})
        expected = problem.equations[name](**{key: whole[key] for key in asked})
        assert_close(found, expected, 1e-4 * (1 + float(expected.detach().abs().max())))


def test_the_mean_of_the_pressure_between_walls_is_that_of_the_reference() -> None:
    problem = between_walls(find_problem("electrothermal"))
    (gauge,) = (item for item in problem.conditions if not item.exact)
    assert problem.reference is not None
    nodes, weights = problem.domain.quadrature(12)
    pressure = problem.reference(nodes)[:, problem.fields.index("p")]
    residual = gauge.residual({"p": pressure, QUADRATURE: weights})
    assert abs(float(residual[0])) < 1e-12
    assert abs(float(gauge.residual({"p": pressure + 0.5, QUADRATURE: weights})[0]) - 0.5) < 1e-12


def test_an_odd_solution_needs_the_whole_interval() -> None:
    posed = odd_line(find_problem("poisson"))
    assert posed.domain.intervals == {"x": (0.0, 1.0)}
    with pytest.raises(ValueError, match=r"must be on \[-1, 1\]"):
        odd_line(posed)
