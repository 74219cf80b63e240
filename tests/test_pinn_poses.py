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
from qml.pinn.recipes.poses import along_reaction, between_ends, between_sides, from_start, odd_waves
from tests.helpers import assert_close

PI = math.pi
POSES = {
    "helmholtz": odd_waves,
    "klein-gordon": between_ends,
    "allen-cahn": along_reaction,
    "taylor-green": from_start,
    "kovasznay": between_sides,
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


def vortices(cos_x: Any, sin_x: Any, cos_y: Any, sin_y: Any, s: Any) -> tuple[Any, ...]:
    faded = torch.exp(-0.2 * (s + 1.0))
    return -cos_x * sin_y * decay(s), sin_x * cos_y * decay(s), faded * 0.5


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
