"""Electrothermal flow, flow past a cylinder, waves of high frequency: references and short trainings."""

import math

import numpy as np
import pytest
import torch

from qml.pinn import MLP, LSTMTrunk, Pinn, Problem, Training, find_problem, recipe_of, relative_l2, train
from qml.pinn.problems.cylinder import OUTER, cylinder, solve_cylinder
from qml.pinn.problems.electrothermal import FIELDS, NAMES, electrothermal, known
from qml.pinn.problems.high_frequency import helmholtz_waves
from tests.helpers import assert_close

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_derivatives_of_the_electrothermal_solution_are_those_of_autograd() -> None:
    points = torch.rand(6, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    for field in FIELDS:
        value = known(field, points[:, 0], points[:, 1])
        (slopes,) = torch.autograd.grad(value.sum(), points, create_graph=True)
        for index, axis in enumerate("xy"):
            assert_close(slopes[:, index], known(f"{field}_{axis}", points[:, 0], points[:, 1]), 1e-12)
        bends = [torch.autograd.grad(slopes[:, k].sum(), points, retain_graph=True)[0][:, k] for k in range(2)]
        assert_close(sum(bends, start=torch.zeros(())), known(f"lap_{field}", points[:, 0], points[:, 1]), 1e-10)


def test_the_electrothermal_solution_fulfils_equations_and_conditions() -> None:
    problem = electrothermal()
    points = torch.as_tensor(problem.domain.sample(9, 0))
    x, y = points.T
    for name, asked in NAMES.items():
        values = {item: known(item, x, y) for item in asked} | {"x": x, "y": y}
        assert float(problem.equations[name](**values).abs().max()) < 1e-12
    mass = known("u_x", x, y) + known("v_y", x, y)
    assert float(mass.abs().max()) < 1e-13  # without a source
    assert problem.reference is not None
    for condition in problem.conditions:
        at = torch.as_tensor(condition.points(problem.domain, 5, 0))
        values = {name: known(name, *at.T) for name in condition.names if name in FIELDS}
        values |= {name: at[:, "xy".index(name)] for name in condition.names if name in "xy"}
        assert float(condition.residual(values).abs().max()) < 1e-14
    expected = np.column_stack([known(name, *points.T).numpy() for name in FIELDS])
    assert np.abs(problem.reference(points.numpy()) - expected).max() < 1e-14


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_a_short_training_comes_near_the_electrothermal_solution(kind: str) -> None:
    problem = electrothermal()
    trunk = (
        MLP(2, (10, 10), 5, dtype=DOUBLE, generator=seeded())
        if kind == "mlp"
        else LSTMTrunk(2, 6, 2, 5, dtype=DOUBLE, generator=seeded())
    )
    model = Pinn(problem, trunk)
    assert model.derivatives == "jets"
    points = problem.domain.grid(15)
    first = relative_l2(model, points)
    train(model, Training(n_adam=0, n_marquardt=15, n_points=100, n_condition_points=16), seed=0)
    assert relative_l2(model, points) < 0.6 * first  # 15 steps: the pressure follows last


@pytest.fixture(scope="module")
def flow() -> Problem:
    return cylinder(10.0)


def test_the_reference_of_the_cylinder_converges_and_fulfils_the_equations() -> None:
    """Differences between resolutions fall fast; derivatives by finite differences fulfil what Newton solved."""
    points = np.random.default_rng(0).random((40, 2)) * [OUTER - 0.2, math.pi - 0.2] + 0.1
    coarse, middle, fine = (solve_cylinder(10.0, OUTER, size, size) for size in (10, 14, 20))
    sizes = np.linalg.norm(fine.fields(points), axis=0)
    errors = [np.linalg.norm(flow.fields(points) - fine.fields(points), axis=0) / sizes for flow in (coarse, middle)]
    assert (errors[1] < 0.3 * errors[0]).all()
    assert errors[1].max() < 0.02
    step = 1e-3

    def at(s: float, a: float) -> np.ndarray:
        return fine.fields(points + np.array([s, a]))

    here = at(0, 0)
    lap = (at(step, 0) + at(-step, 0) + at(0, step) + at(0, -step) - 4 * here) / step**2
    by_s, by_a = (at(step, 0) - at(-step, 0)) / (2 * step), (at(0, step) - at(0, -step)) / (2 * step)
    vorticity = lap[:, 0] + np.exp(2 * points[:, 0]) * here[:, 1]
    transport = by_a[:, 0] * by_s[:, 1] - by_s[:, 0] * by_a[:, 1] - 0.2 * lap[:, 1]
    # Between the nodes the equations hold to the error of the resolution, of terms of the order of 10 and 1.
    assert np.abs(vorticity).max() < 0.05
    assert np.abs(transport).max() < 0.05


def test_no_vorticity_enters_the_ring_of_the_cylinder() -> None:
    """At the outer radius it is zero upstream, and does not change along s downstream: (1 + cos a)^2 w_s + ... = 0."""
    flow = solve_cylinder(10.0, OUTER, 20, 20)
    angles = math.pi * np.arange(1, 21) / 21  # the nodes
    cosines, waves = np.cos(angles), np.sin(np.outer(angles, np.arange(1, 21)))
    w = waves @ flow.vorticity.sum(0)  # all T_k(1) are 1, and their slopes k^2
    w_s = waves @ (np.arange(20) ** 2 @ flow.vorticity) * (2 / OUTER)
    np.testing.assert_allclose((1 + cosines) ** 2 * w_s, -((1 - cosines) ** 2) * w, atol=1e-9)
    assert np.abs(w_s).max() > 1e-5
    assert np.abs(w[cosines < -0.5]).max() < 1e-3
    assert np.abs(w[cosines > 0.5]).max() > 0.1


def test_eddies_behind_the_cylinder_grow_with_the_reynolds_number() -> None:
    """None at Re = 5 (they begin near 6.5 in free flow), and a separation near 30 degrees at 10 (Dennis and Chang)."""
    slow, fast = (solve_cylinder(value, OUTER, 20, 20) for value in (5.0, 10.0))
    assert slow.wake_length() == 0.0
    assert slow.separation_angle() == 0.0
    assert 0.2 < fast.wake_length() < 0.6
    assert 20 < fast.separation_angle() < 33


def test_walls_and_axis_of_the_cylinder_are_built_in(flow: Problem) -> None:
    model = Pinn(flow, MLP(2, (6,), 2, dtype=DOUBLE, generator=seeded()))
    assert model.derivatives == "jets"
    assert [item.name for item in flow.conditions if not item.exact] == ["wall", "vorticity outside"]
    first = train(model, Training(n_adam=0, n_marquardt=1, n_points=100, n_condition_points=8), seed=0).loss_parts
    last = train(model, Training(n_adam=0, n_marquardt=15, n_points=100, n_condition_points=8), seed=0).loss_parts
    assert sum(last.values()) < 0.3 * sum(first.values())


@pytest.mark.plain
def test_reynolds_numbers_without_a_steady_flow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (0.5, 100.0, float("nan")):
        with pytest.raises(ValueError, match="`reynolds`"):
            cylinder(value)
    monkeypatch.setattr("qml.pinn.problems.cylinder.MAX_NEWTON", 1)
    with pytest.raises(ValueError, match="Newton's method must end"):
        solve_cylinder(4.0, OUTER, 6, 6)


def test_waves_of_high_frequency_solve_their_equation() -> None:
    problem = helmholtz_waves(6)
    points = np.random.default_rng(0).random((9, 2))
    assert problem.reference is not None
    step = 1e-4
    value = problem.reference(points)[:, 0]
    shifts = ([step, 0.0], [-step, 0.0], [0.0, step], [0.0, -step])
    laplacian = (sum(problem.reference(points + shift)[:, 0] for shift in shifts) - 4 * value) / step**2
    x, y = torch.as_tensor(points).T
    residual = problem.equations["helmholtz"](u=torch.as_tensor(value), laplacian=torch.as_tensor(laplacian), x=x, y=y)
    assert float(residual.abs().max()) < 1e-4  # of a residual that is scaled to order 1


@pytest.mark.plain
def test_numbers_of_waves_that_are_none_are_refused() -> None:
    for number in (0, 2.5, "a"):
        with pytest.raises((TypeError, ValueError), match="`n_waves`"):
            helmholtz_waves(number)  # pyright: ignore[reportArgumentType]


def test_random_frequencies_with_a_linear_read_out_solve_a_wave_in_one_piece() -> None:
    """The recipe's own network and points on a fifth of the wave number, where a tenth of the features suffices."""
    from dataclasses import replace

    from qml.pinn.problems.flows import poisson_waves
    from qml.pinn.recipes.fourier import FourierRecipe

    problem = poisson_waves(20)
    recipe = recipe_of(find_problem("poisson-waves"))
    assert isinstance(recipe, FourierRecipe)
    small = replace(recipe, n_frequencies=100, frequencies=20.0, training=replace(recipe.training, n_points=300))
    model = Pinn(small.posed(problem), small.trunk(problem, seeded()))
    train(model, small.training, seed=0)
    assert relative_l2(model, problem.domain.grid(401)) < 1e-4


def test_carried_vortices_solve_their_equations_and_tell_speed_and_viscosity() -> None:
    from qml.pinn.problems.inverse_flow import VISCOSITY, carried_vortices, vortices

    problem = carried_vortices(noise=0.0, n_observations=40)
    points, step = np.random.default_rng(0).random((9, 3)), 1e-4
    u, v, _ = vortices(points).T

    def by(axis: int) -> np.ndarray:
        shift = step * np.eye(3)[axis]
        return (vortices(points + shift) - vortices(points - shift)) / (2 * step)

    def twice(axis: int) -> np.ndarray:
        shift = step * np.eye(3)[axis]
        return (vortices(points + shift) + vortices(points - shift) - 2 * vortices(points)) / step**2

    x, y, t, lap = by(0), by(1), by(2), twice(0) + twice(1)
    values = {"u": u, "v": v, "c": 1.0, "n": VISCOSITY, "lap_u": lap[:, 0], "lap_v": lap[:, 1]}
    values |= {
        f"{name}_{axis}": part[:, k]
        for axis, part in zip("xyt", (x, y, t), strict=True)
        for k, name in enumerate("uvp")
    }
    for name, equation in problem.equations.items():
        residual = equation(**{asked: values[asked] for asked in problem.equation_names[name]})
        assert np.abs(residual).max() < 1e-6
    model = Pinn(problem, MLP(3, (12, 12), 3, dtype=DOUBLE, generator=seeded()))
    training = Training(n_adam=0, n_marquardt=25, n_points=150, n_condition_points=8)
    solution = train(model, training, seed=0)
    assert abs(solution.scalars["c"] - 1) < 0.25  # it began at 0.5
    assert abs(solution.scalars["n"] - 0.1) < 0.1  # it began at 0.3


@pytest.mark.parametrize("name", ["pinnacle-wave", "pinnacle-heat", "pinnacle-poisson"])
def test_solutions_of_pinnacle_fulfil_equations_and_conditions(name: str) -> None:
    """Derivatives of the references by central differences, in the problems' own residuals."""
    problem = find_problem(name)
    reference, step = problem.reference, 1e-4
    assert reference is not None
    points = problem.domain.sample(9, 3) * 0.9 + 0.05
    n_axes = len(problem.coordinates)

    def at(points: np.ndarray) -> dict[str, np.ndarray]:
        values = {"u": reference(points)[:, 0]} | dict(zip(problem.coordinates, points.T, strict=True))
        for axis, shift in zip(problem.coordinates, step * np.eye(n_axes), strict=True):
            upper, lower = reference(points + shift)[:, 0], reference(points - shift)[:, 0]
            values[f"u_{axis}"] = (upper - lower) / (2 * step)
            values[f"u_{axis}{axis}"] = (upper - 2 * values["u"] + lower) / step**2
        for operator, terms in problem.operators.items():
            values[operator] = sum((weight * values[term] for term, weight in terms.items()), start=np.zeros(1))
        return values

    inside = at(points)
    for part, equation in problem.equations.items():
        residual = equation(**{asked: torch.as_tensor(inside[asked]) for asked in problem.equation_names[part]})
        assert float(residual.abs().max()) < 1e-4  # step^2 / 12 times fourth derivatives, and rounding over step^2
    for condition in problem.conditions:
        values = at(condition.points(problem.domain, 5, 0))
        residual = condition.residual({asked: torch.as_tensor(values[asked]) for asked in condition.names})
        assert float(residual.abs().max()) < 1e-6  # step^2 / 6 times third derivatives of the slopes
