"""The separable trunk, Poisson's equation in many dimensions, and the Gaussian process with a trained spectrum."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.nn import QuantumLayer
from qml.pinn import (
    MLP,
    Box,
    Face,
    Integral,
    Pinn,
    Problem,
    Separable,
    Training,
    find_problem,
    recipe_of,
    relative_l2,
    solve_by_process,
    train,
)
from qml.pinn.problems.many_dimensions import poisson_cosines, poisson_harmonic
from qml.pinn.solvers.process import SpectralKernel
from tests.helpers import assert_close
from tests.pinn_checks import assert_jets_are_nested_passes

DOUBLE = torch.float64


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def circuit_factor(seed: int) -> nn.Module:
    circuit = Circuit(2).ry(data(0), 0).ry(data(1), 1).rz(weight(0), 0).cx(0, 1).ry(weight(1), 1)
    layer = QuantumLayer(circuit, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded(seed))
    return nn.Sequential(MLP(1, (2,), dtype=DOUBLE, generator=seeded(seed)).layers[0], layer)


MADE: dict[str, Callable[[], nn.Module]] = {
    "mlps": lambda: Separable.of_mlps(2, (5, 4), 3, dtype=DOUBLE, generator=seeded()),
    "behind a layer": lambda: nn.Sequential(
        MLP(2, (4,), 3, dtype=DOUBLE, generator=seeded()),
        Separable.of_mlps(3, 5, 2, dtype=DOUBLE, generator=seeded()),
    ),
    "circuits": lambda: Separable([circuit_factor(1), circuit_factor(2)], dtype=DOUBLE, generator=seeded()),
}


@pytest.mark.parametrize("trunk", MADE)
def test_jets_of_products_agree_with_nested_passes(trunk: str) -> None:
    problem, network = find_problem("heat"), MADE[trunk]()
    points = torch.as_tensor(problem.domain.sample(7, 1))
    asked = ("u", "u_x", "u_t", "u_xx", "u_xt", "diffusion")
    assert_jets_are_nested_passes(lambda derivatives: Pinn(problem, network, derivatives=derivatives), points, asked)


def test_a_separable_trunk_is_a_sum_of_products() -> None:
    trunk = Separable.of_mlps(3, 4, 5, 2, dtype=DOUBLE, generator=seeded())
    points = torch.rand(6, 3, generator=seeded(), dtype=DOUBLE)
    first, second, third = (trunk.factors[index](points[:, index, None]) for index in range(3))
    expected = (first * second * third) @ trunk.read_out.weight.T + trunk.read_out.bias  # pyright: ignore[reportOperatorIssue]
    assert_close(trunk(points), expected, 1e-14)


def test_unequal_ranks_and_other_widths_are_refused() -> None:
    factors = [MLP(1, 4, rank, dtype=DOUBLE, generator=seeded()) for rank in (2, 3)]
    with pytest.raises(ValueError, match=r"one rank, but their outputs have \[2, 3\]"):
        Separable(factors)
    with pytest.raises(ValueError, match="one column a factor"):
        Separable(factors[:1])(torch.zeros(4, 2, dtype=DOUBLE))
    with pytest.raises(ValueError, match="must be even"):
        poisson_harmonic(3)
    with pytest.raises(ValueError, match="between 1 and 19"):
        poisson_cosines(40)


def test_a_separable_trunk_solves_poisson_in_four_dimensions() -> None:
    problem = poisson_cosines(4)
    trunk = Separable.of_mlps(4, (8,), 4, dtype=DOUBLE, generator=seeded(0))
    model = Pinn(problem, trunk)
    test = problem.domain.sample(512, 9)
    assert relative_l2(model, test) > 0.5
    train(model, Training(n_adam=0, n_marquardt=40, n_points=400, n_condition_points=32), seed=0)
    assert relative_l2(model, test) < 2e-2  # 5e-3 here


@pytest.mark.slow
def test_the_harmonic_function_in_ten_dimensions_is_found_by_its_recipe() -> None:
    problem = find_problem("harmonic-10d")
    recipe = recipe_of(problem)
    model = Pinn(problem, recipe.trunk(problem, seeded(0)))
    train(model, replace(recipe.training, n_marquardt=40), seed=0)
    assert relative_l2(model, problem.domain.sample(4096, 77)) < 2e-3


def waves(k: float, n: int) -> tuple[float, float, float]:
    """Solve for sin(k x) from n points; return its error, and the deviation at an end and inside."""
    problem = Problem(
        name="waves",
        domain=Box({"x": (0.0, 1.0)}),
        fields=("u",),
        equations={"poisson": lambda u_xx, x: u_xx + k**2 * torch.sin(k * x)},
        conditions=(Face("left", {"x": 0.0}, lambda u: u), Face("right", {"x": 1.0}, lambda u: u - math.sin(k))),
    )
    solution = solve_by_process(problem, n_points=n, n_components=12, n_steps=10)
    points = problem.domain.grid(401)
    mean, deviation = solution.predict(points)
    expected = np.sin(k * points)
    error = float(np.linalg.norm(mean - expected) / np.linalg.norm(expected))
    return error, float(deviation[0, 0]), float(deviation.max())


def test_a_process_solves_waves_that_its_points_resolve() -> None:
    fine, at_end, inside = waves(40.0, 80)
    coarse, *_ = waves(40.0, 12)  # fewer than two points a wave
    assert fine < 1e-4  # 3e-5 here
    assert coarse > 1e-2
    assert at_end < 0.1 * inside  # the value is known there


def test_a_process_solves_poisson_in_a_plane() -> None:
    problem = find_problem("poisson-2d")
    solution = solve_by_process(problem, n_points=9, n_components=4, highest=1.5, n_steps=20)
    points = problem.domain.grid(21)
    mean, _ = solution.predict(points)
    assert problem.reference is not None
    assert np.abs(mean - problem.reference(points)).max() < 1e-3
    assert solution.log_likelihood[1] > solution.log_likelihood[0]


def test_derivatives_of_the_kernel_are_those_of_reverse_passes() -> None:
    kernel = SpectralKernel([0.0], [2.0], n_components=3, highest=[4.0])
    lags = torch.linspace(-1.0, 2.0, 7, dtype=DOUBLE).requires_grad_()
    found = kernel.derivatives(0, lags, 4)
    for lower, higher in pairwise(found):
        (slope,) = torch.autograd.grad(lower.sum(), lags, create_graph=True)
        assert_close(slope.detach(), higher.detach(), 1e-9 * float(higher.detach().abs().max()))


def test_a_process_refuses_what_is_not_linear() -> None:
    with pytest.raises(ValueError, match="must be linear"):
        solve_by_process(find_problem("fisher-kpp"), n_points=5)
    with pytest.raises(ValueError, match="one field, one equation"):
        solve_by_process(find_problem("lorenz"), n_points=5)
    norm = replace(
        find_problem("poisson"), conditions=(*find_problem("poisson").conditions, Integral("n", lambda u: u, 0.0))
    )
    with pytest.raises(ValueError, match="must be a Face or Observations"):
        solve_by_process(norm, n_points=5)


def test_a_residual_that_is_linear_on_one_side_is_refused() -> None:
    problem = find_problem("poisson")
    (name,) = problem.equations
    bent = replace(problem, equations={name: lambda u, u_xx: u_xx - u.abs()})
    with pytest.raises(ValueError, match="must be linear"):
        solve_by_process(bent, n_points=5)


def test_products_of_frozen_factors_are_computed_once_and_never_too_often() -> None:
    """The outputs with known products are those without, for jets and values, and after the factors have changed."""
    trunk = Separable.of_mlps(2, (4,), 3, dtype=DOUBLE, generator=seeded())
    for part in trunk.factors.parameters():
        part.requires_grad_(False)
    calls: list[int] = []
    trunk.factors[0].register_forward_hook(lambda *_: calls.append(1))
    problem = find_problem("heat")
    model = Pinn(problem, trunk)
    points = torch.as_tensor(problem.domain.sample(6, 1))
    names = ("u", "u_t", "u_xx")

    def fresh() -> dict[str, torch.Tensor]:
        trunk._known.clear()
        return model.evaluate(points, names)

    expected = fresh()
    calls.clear()
    found = model.evaluate(points, names)
    assert all(torch.equal(found[name], expected[name]) for name in names)
    assert not calls
    gradients = torch.autograd.grad(found["u_xx"].sum(), list(trunk.read_out.parameters()), allow_unused=True)
    assert gradients[0] is not None
    assert float(gradients[0].abs().max()) > 0
    assert model(points).shape == (6, 1)  # values alone are another product
    with torch.no_grad():
        next(iter(trunk.factors.parameters())).mul_(1.5)
    changed = model.evaluate(points, names)
    assert not torch.equal(changed["u"], expected["u"])
    assert torch.equal(changed["u"], fresh()["u"])
    assert not torch.equal(model.evaluate(points + 0.1, names)["u"], changed["u"])
    assert not copy.deepcopy(trunk)._known
    nested = Pinn(problem, trunk, derivatives="nested").evaluate(points, names)
    assert_close(nested["u_xx"], changed["u_xx"], 1e-12)
