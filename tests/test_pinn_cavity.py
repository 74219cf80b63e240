"""Flow in a square whose lid moves: the reference beside published ones, and the stream function that is found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qml.pinn import MLP, CavityRecipe, ClampedSeries, Pinn, find_problem, recipe_of, relative_l2, train
from qml.pinn.problems.cavity import cavity_stream, cavity_velocity
from qml.pinn.problems.cavity_reference import solve_cavity
from qml.pinn.recipes.poses import beside_corners_clamped
from tests.helpers import assert_close


def test_the_cavity_has_the_velocities_of_a_spectral_method() -> None:
    """Botella and Peyret, Computers and Fluids 27 (1998) 421: extrema on the centre lines at Re = 100."""
    across = np.linspace(0, 1, 4001)
    u = cavity_velocity(np.stack([np.full(4001, 0.5), across], 1), 100.0)[:, 0]
    v = cavity_velocity(np.stack([across, np.full(4001, 0.5)], 1), 100.0)[:, 1]
    # All their digits; the places of the extrema are met to 1 / 8000, and the velocity is flat there.
    assert u.min() == pytest.approx(-0.2140424, abs=1e-6)
    assert v.max() == pytest.approx(0.1795728, abs=1e-6)
    assert v.min() == pytest.approx(-0.2538030, abs=1e-6)


@pytest.mark.slow
def test_the_stream_function_of_the_cavity_is_found() -> None:
    problem = find_problem("cavity-stream")
    assert problem.reference is not None
    grid = problem.domain.grid(129)
    stream = problem.reference(grid)[:, 0]
    # Ghia, Ghia and Shin, J. Comput. Phys. 48 (1982) 387: the vortex on their grid of 129 x 129 points.
    assert stream.min() == pytest.approx(-0.103423, rel=1e-3)
    assert tuple(grid[stream.argmin()]) == pytest.approx((0.6172, 0.7344), abs=1e-3)
    recipe = recipe_of(problem)
    posed = recipe.posed(problem)
    model = Pinn(posed, recipe.trunk(posed, torch.Generator().manual_seed(0)))
    assert model.derivatives == "jets"
    short = replace(recipe.training, n_marquardt=50, n_points=500, polish=None)
    train(model, short, seed=0)
    assert relative_l2(model, posed.domain.grid(41)) < 0.02  # 2.0e-5 by the whole recipe


def test_a_clamped_series_is_at_rest_on_the_walls_and_knows_its_vorticity() -> None:
    problem, trunk = find_problem("cavity-stream"), ClampedSeries(5, dtype=torch.float64)
    torch.nn.init.normal_(trunk.read_out.weight, generator=torch.Generator().manual_seed(0))
    model = Pinn(replace(problem, trial=None, features=None), trunk)
    points = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values = model.evaluate(points, ["w", "laplacian", "psi"])
    assert_close(values["w"], -values["laplacian"], 1e-10)
    assert float(values["psi"].detach().abs().max()) > 1e-3
    nested = Pinn(replace(problem, trial=None, features=None), trunk, derivatives="nested")
    for name in ("psi_x", "psi_y", "laplacian", "w_x", "friction"):
        assert_close(model.evaluate(points, [name])[name], nested.evaluate(points, [name])[name], 1e-8)
    for column in (0, 1):
        for wall in (0.0, 1.0):
            at_wall = points.clone()
            at_wall[:, column] = wall
            for value in model.evaluate(at_wall, ["psi", "psi_x", "psi_y"]).values():
                assert_close(value, torch.zeros(7, dtype=torch.float64), 1e-12)


def test_a_clamped_series_is_fitted_to_a_stream_function() -> None:
    trunk = ClampedSeries(4, dtype=torch.float64)
    nodes = np.linspace(0.05, 0.95, 8)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    bump = (x * (1 - x) * y * (1 - y)) ** 2
    trunk.fit(bump * (1 + x * y**2), nodes)
    points = torch.tensor([[0.3, 0.6], [0.9, 0.2]], dtype=torch.float64)
    expected = [(a * (1 - a) * b * (1 - b)) ** 2 * (1 + a * b**2) for a, b in points.tolist()]
    assert_close(trunk(points)[:, 0], torch.tensor(expected, dtype=torch.float64), 1e-13)


def test_the_clamped_pose_refuses_a_trunk_that_slips_and_another_problem() -> None:
    posed = beside_corners_clamped(find_problem("cavity-stream"))
    with pytest.raises(ValueError, match="wall"):
        Pinn(posed, MLP(2, (4,), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match="must be a `cavity_stream`, but is 'heat'"):
        CavityRecipe().train(find_problem("heat"))
    with pytest.raises(ValueError, match="`ratio`"):
        CavityRecipe(ratio=1.0)


def test_reynolds_numbers_rise_by_no_more_than_the_ratio() -> None:
    recipe = CavityRecipe(n_modes=7, n_early=5, ratio=1.5)
    stages = recipe.stages(300.0)
    assert [n_modes for _, n_modes in stages] == [5, 5, 5, 5, 7]
    row = [reynolds for reynolds, _ in stages]
    assert row == pytest.approx([100.0, 3 ** (1 / 3) * 100, 3 ** (2 / 3) * 100, 300.0, 300.0])
    assert recipe.stages(20.0) == ((20.0, 5), (20.0, 7))
    assert len(CavityRecipe(ratio=2.0).stages(800.0)) == 5  # three ratios to rounding


def test_a_continuation_finds_the_flow_at_a_higher_reynolds_number(tmp_path: Path) -> None:
    problem, recipe = cavity_stream(150.0), CavityRecipe(n_modes=18, n_early=12)
    first = recipe.train(problem, checkpoint=tmp_path / "run.safetensors")
    places = np.linspace(0.05, 0.95, 19)
    stream = solve_cavity(150.0, 24).stream(np.stack([places, np.full(19, 0.6)], 1))
    found = first.model.predict(np.stack([places, np.full(19, 0.6)], 1))[:, 0]
    assert np.abs(found - stream).max() < 2e-3 * np.abs(stream).max()
    assert {path.name for path in tmp_path.iterdir()} == {f"run-{index}.safetensors" for index in range(4)}
    again = recipe.train(problem, checkpoint=tmp_path / "run.safetensors")
    assert_close(again.model.predict(np.array([[0.5, 0.5]])), first.model.predict(np.array([[0.5, 0.5]])), 1e-15)
    with pytest.raises(ValueError, match="another problem"):
        recipe.train(cavity_stream(180.0), checkpoint=tmp_path / "run.safetensors")


@pytest.mark.slow
def test_the_cavity_at_re_1000_has_the_velocities_of_a_spectral_method() -> None:
    """Botella and Peyret's extrema on the centre lines at Re = 1000, within 1 % (0.3 % by the recipe's 40 modes)."""
    problem = find_problem("cavity-stream-1000")
    model = CavityRecipe(n_modes=30).train(problem).model
    across, middle = np.linspace(0, 1, 401)[1:-1], np.full(399, 0.5)
    u = model.evaluate(np.stack([middle, across], 1), ["psi_y"])["psi_y"].detach()
    v = -model.evaluate(np.stack([across, middle], 1), ["psi_x"])["psi_x"].detach()
    assert float(u.min()) == pytest.approx(-0.3885698, abs=1e-2)
    assert float(v.max()) == pytest.approx(0.3769447, abs=1e-2)
    assert float(v.min()) == pytest.approx(-0.5270771, abs=1e-2)
