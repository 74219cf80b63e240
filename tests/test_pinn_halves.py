"""Fields that are odd: solved for on one half, right on both; and points where no field is known."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qml.nn import QKAN
from qml.pinn import (
    MLP,
    Box,
    Face,
    HyperNetwork,
    LinearFamily,
    Pinn,
    PinnEnsemble,
    Problem,
    Slabs,
    Solution,
    Training,
    find_problem,
    odd_half,
    recipe_of,
    relative_l2,
    solve_by_hypernetwork,
    train,
    train_in_slabs,
)
from qml.pinn.recipes.poses import odd_line
from tests.helpers import assert_close

DOUBLE = torch.float64
ASKED = ("u", "u_x", "u_t", "u_xx", "u_xt", "diffusion", "x")
SIGNS = (-1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0)  # of each at (-x, t), from its value at (x, t)
RIGHT = np.array([[0.3, 0.4], [0.8, 0.9], [0.01, 0.5]])
ROUNDING = 1e-12


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(n_inputs: int = 2) -> nn.Module:
    return MLP(n_inputs, (7, 6), dtype=DOUBLE, generator=seeded(3))


def burgers_half(derivatives: str = "auto", trunk: nn.Module | None = None) -> Pinn:
    return Pinn(odd_half(find_problem("burgers")), trunk or mlp(), derivatives=derivatives)


@pytest.mark.parametrize("derivatives", ["jets", "nested", "forward"])
def test_fields_and_derivatives_on_the_other_half_are_those_of_the_odd_continuation(derivatives: str) -> None:
    model = burgers_half(derivatives)
    right, left = (model.evaluate(RIGHT * [sign, 1.0], ASKED) for sign in (1.0, -1.0))
    for name, sign in zip(ASKED, SIGNS, strict=True):
        assert_close(left[name], sign * right[name], ROUNDING * (1 + float(right[name].detach().abs().max())))
    assert np.array_equal(model.predict(RIGHT * [-1.0, 1.0]), -model.predict(RIGHT))


def test_derivatives_on_both_halves_are_slopes_of_the_predictions() -> None:
    """Central differences of values, which share no rule with the derivatives.

    At x = 0 the curvature of a network that is not the solution jumps by some 20, and differences by half of the step
    times that, 1e-4; a fold with a slope of its own would lose or double the slope there, which is 3.
    """
    model, step = burgers_half(), 1e-5
    for x, tolerance in ((-0.7, 1e-6), (-1e-6, 2e-4), (0.0, 2e-4), (0.4, 1e-6)):
        places = np.array([[x - step, 0.3], [x, 0.3], [x + step, 0.3]])
        before, _, after = model.predict(places)[:, 0]
        found = model.evaluate(places[1:2], ("u_x",))["u_x"].item()
        assert found == pytest.approx((after - before) / (2 * step), abs=tolerance)


def test_derivatives_by_the_user_go_through_the_fold() -> None:
    points = torch.tensor([[-0.4, 0.2], [0.0, 0.5]], dtype=DOUBLE, requires_grad=True)
    model = burgers_half()
    (slopes,) = torch.autograd.grad(model(points).sum(), points)
    assert_close(slopes[:, 0], model.evaluate(points.detach(), ("u_x",))["u_x"], ROUNDING * 100)


def test_plain_values_of_a_fused_pass_are_continued_too() -> None:
    model, nested = (burgers_half(derivatives, mlp()) for derivatives in ("jets", "nested"))
    at = torch.as_tensor(RIGHT * [-1.0, 1.0])
    others = torch.as_tensor(np.array([[-0.2, 0.1], [0.2, 0.1]]))
    for found, expected in zip(
        model.evaluate_both(at, ("u", "u_x", "diffusion"), others),
        nested.evaluate_both(at, ("u", "u_x", "diffusion"), others),
        strict=True,
    ):
        for name, values in expected.items():
            assert_close(found[name], values, 1e-10 * (1 + float(values.detach().abs().max())))


def test_the_residual_of_the_continuation_is_odd() -> None:
    model = burgers_half()
    equation = model.problem.equations["burgers"]
    names = model.problem.equation_names["burgers"]
    right, left = (equation(**model.evaluate(RIGHT * [sign, 1.0], names)) for sign in (1.0, -1.0))
    assert_close(left, -right, 1e-10 * float(right.detach().abs().max()))


def test_a_recipe_on_a_half_is_judged_on_the_whole() -> None:
    """A few steps for Poisson's front: the error of either half is that of the whole, and so it is after a copy."""
    problem = find_problem("poisson")
    recipe = recipe_of(problem)
    posed = odd_line(problem)
    model = Pinn(posed, recipe.trunk(posed, seeded(0)))
    train(model, Training(n_adam=0, n_marquardt=60, n_points=80, collocation="quadrature"), seed=0)
    grid = problem.domain.grid(101)
    errors = [relative_l2(model, points) for points in (grid, grid[grid[:, 0] >= 0], grid[grid[:, 0] <= 0])]
    assert errors[0] < 1e-2
    assert errors[1] == pytest.approx(errors[0], rel=1e-9)
    assert errors[2] == pytest.approx(errors[0], rel=1e-9)
    again = Pinn(posed, recipe.trunk(posed, seeded(5)))
    again.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), again):
        assert np.array_equal(other.predict(grid), model.predict(grid))


def test_qkan_trunks_and_single_precision_fold_too() -> None:
    for trunk in (QKAN([2, 2, 1], reps=2, dtype=DOUBLE, generator=seeded(1)), MLP(2, (5,), generator=seeded(1))):
        model = burgers_half(trunk=trunk)
        assert np.array_equal(model.predict(RIGHT * [-1.0, 1.0]), -model.predict(RIGHT))


def test_pictures_ensembles_and_slabs_have_both_halves() -> None:
    problem = odd_half(find_problem("burgers"))
    short = Training(n_adam=0, n_marquardt=3, n_points=40, n_condition_points=8)
    solutions = tuple(
        train(Pinn(problem, MLP(2, (6,), dtype=DOUBLE, generator=seeded(k))), short, seed=k) for k in (0, 1)
    )
    mean, deviation = PinnEnsemble(solutions).predict(RIGHT * [-1.0, 1.0])
    mirrored, same = PinnEnsemble(solutions).predict(RIGHT)
    assert np.array_equal(mean, -mirrored)
    assert_close(deviation, same, ROUNDING)
    panel = solutions[0].plot().axes[0]
    assert panel.get_images()[0].get_extent()[2:] == [-1.0, 1.0]
    slabs = train_in_slabs(
        problem,
        lambda posed, generator: MLP(posed.n_features, (6,), dtype=DOUBLE, generator=generator),
        short,
        Slabs((0.0, 0.5, 1.0), weight=None, trial=lambda x, u: x * (1 - x) * u),
        seed=0,
    )
    assert np.array_equal(slabs.predict(RIGHT * [-1.0, 1.0]), -slabs.predict(RIGHT))


def test_the_fold_is_taken_by_transforms_of_torch_func() -> None:
    """Which know no branch on values."""
    model = burgers_half("forward")
    points = torch.as_tensor(RIGHT * [-1.0, 1.0])
    row_by_row = torch.vmap(lambda row: model(row[None])[0])(points)
    assert_close(row_by_row, model(points), ROUNDING)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda problem: replace(problem, odd="y"), "coordinate of `odd` must be one of x, t, but is 'y'"),
        (
            lambda problem: replace(find_problem("burgers"), odd="x"),
            "`odd` must name a coordinate that begins at 0, but x begins at -1",
        ),
        (
            lambda problem: replace(problem, operators={"diffusion": {"u_t": 1.0, "u_xx": -0.1, "u_x": 2.0}}),
            "`diffusion` must have derivatives of even order by x, or of odd order, alone",
        ),
    ],
)
def test_symmetries_that_a_problem_cannot_have_are_refused(make: Callable[[Problem], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(odd_half(find_problem("burgers")))


def decay() -> Problem:
    return Problem(
        name="decay",
        domain=Box({"t": (0.0, 2.0)}),
        fields=("u",),
        equations={"decay": lambda u, u_t: u_t + u},
        conditions=(Face("start", {"t": 0.0}, lambda u: u - 1.0),),
        reference=lambda points: np.exp(-points),
    )


@pytest.mark.parametrize("points", [[[0.5], [2.1]], [[-0.1]], [[float("nan")]]])
def test_predictions_where_nothing_was_solved_are_refused(points: list[list[float]]) -> None:
    model = Pinn(decay(), mlp(1))
    with pytest.raises(
        ValueError, match=r"`points` must lie in the domain, but 1 points do not.* t in \[0, 2\].*extrapolate"
    ):
        model.predict(np.array(points))
    with pytest.raises(ValueError, match="must lie in the domain"):
        relative_l2(model, np.array(points))
    with pytest.raises(ValueError, match="must lie in the domain"):
        PinnEnsemble((_solution(model), _solution(model))).predict(np.array(points))
    assert model(model.as_points(np.array(points))).shape == (len(points), 1)  # a call extrapolates


def test_ends_are_inside_also_in_single_precision() -> None:
    problem = replace(decay(), domain=Box({"t": (0.0, 0.4)}))
    model = Pinn(problem, MLP(1, (4,), generator=seeded(0)))
    assert model.predict(np.array([[0.4], [0.0]], dtype=np.float32)).shape == (2, 1)
    with pytest.raises(ValueError, match=r"points of shape \(batch, 1\)"):
        model.predict(np.array([0.1, 0.2]))


def test_windows_refuse_places_outside_their_domain() -> None:
    problem = find_problem("heat")
    windows = train_in_slabs(
        problem,
        lambda posed, generator: MLP(posed.n_features, (4,), dtype=DOUBLE, generator=generator),
        Training(n_adam=0, n_marquardt=1, n_points=20, n_condition_points=4),
        Slabs((0.0, 0.5, 1.0)),
        seed=0,
    )
    low, high = problem.domain.intervals["x"]
    assert windows.predict(np.array([[high, 0.7]])).shape == (1, 1)
    with pytest.raises(ValueError, match="must lie in the domain"):
        windows.predict(np.array([[high + 0.1, 0.7]]))
    with pytest.raises(ValueError, match=r"must lie in the domain, .* t in \[0, 0.5\]"):
        windows.solutions[0].model.predict(np.array([[low, 0.7]]))  # a window alone knows its own times


def test_a_hypernetworks_solution_is_refused_outside_the_square() -> None:
    family = LinearFamily.drawn(2, seed=0, n_modes=1)
    solved = solve_by_hypernetwork(HyperNetwork((4,), solver_sizes=3, n_grid=2), family, n_rounds=1)
    with pytest.raises(ValueError, match="must lie in the domain"):
        solved.predict(np.array([[0.5, 1.2]]))


def test_a_checkpoint_of_another_pose_is_refused(tmp_path: Path) -> None:
    """The weights fit, and mean another solution."""
    path, short = tmp_path / "run.safetensors", Training(n_adam=0, n_marquardt=2, n_points=20, n_condition_points=4)
    problem = find_problem("burgers")
    plain = replace(problem, trial=None, conditions=tuple(replace(item, exact=False) for item in problem.conditions))  # pyright: ignore[reportArgumentType, reportCallIssue]
    train(Pinn(plain, mlp()), short, seed=0, checkpoint=path)
    for posed in (odd_half(problem), replace(plain, operators={"diffusion": {"u_t": 1.0, "u_xx": -0.5}})):
        with pytest.raises(ValueError, match="has another pose"):
            train(Pinn(posed, mlp()), short, seed=0, checkpoint=path)
    train(Pinn(plain, mlp()), short, seed=0, checkpoint=path)


def _solution(model: Pinn) -> Solution:
    return Solution(model, Training(n_adam=0), {}, 0.0, {}, None)
