"""Problems of PINNacle with references of our own: a cavity under a parabolic lid, and a long-driven heat equation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qml.compare import choose_subjects, find_task
from qml.compare.tasks import pinn as task
from qml.pinn import (
    MLP,
    PROBLEMS,
    WINDOW_RECIPES,
    Box,
    Pinn,
    Training,
    WindowRecipe,
    find_problem,
    relative_l2,
    train,
)
from qml.pinn.problems import cavity_reference
from qml.pinn.problems.catalogue import GROUPS
from qml.pinn.problems.cavity_reference import CornerVorticity, Lift, singular_stream
from qml.pinn.problems.pinnacle_cavity import parabolic_stream, pinnacle_cavity, solve_pinnacle_cavity
from qml.pinn.problems.pinnacle_heat_long import SineSeries, heat_long_solution, pinnacle_heat_long
from qml.pinn.problems.sine_windows import sine_window
from qml.pinn.problems.spectral import exponential_steps
from qml.pinn.recipes.windows import SineWindowRecipe
from tests.helpers import assert_close

DOUBLE = torch.float64


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def columns(points: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.as_tensor(column, dtype=DOUBLE).requires_grad_() for column in points.T)


def test_the_lift_has_the_lids_speed_and_walls_at_rest() -> None:
    along = np.linspace(0.01, 0.99, 25)
    for at, fixed, speed in (("x", 0.0, 0.0), ("x", 1.0, 0.0), ("y", 0.0, 0.0), ("y", 1.0, 1.0)):
        ends = np.full(25, fixed)
        x, y = columns(np.stack([ends, along] if at == "x" else [along, ends], 1))
        psi = parabolic_stream(x, y, 100.0)
        by_x, by_y = torch.autograd.grad(psi.sum(), (x, y))
        assert_close(psi, torch.zeros(25, dtype=DOUBLE), 1e-12)
        assert_close(by_x, torch.zeros(25, dtype=DOUBLE), 1e-10)
        assert_close(by_y, 4 * speed * x * (1 - x), 1e-10)


def test_the_lift_is_stokes_flow_in_the_corners() -> None:
    """Its vorticity there is that of r^2 f(theta), 8 theta - 2 pi, and has no Laplacian: by differences of psi."""
    radius, step = 1e-3, 1e-6
    for angle in (0.3, 0.8, 1.3):
        x, y = radius * np.cos(angle), 1 - radius * np.sin(angle)
        at = np.array([[x, y], [x + step, y], [x - step, y], [x, y + step], [x, y - step]])
        psi = parabolic_stream(*columns(at), reynolds=100.0).detach().numpy()
        laplacian = (psi[1:].sum() - 4 * psi[0]) / step**2
        # psi is 1e-6, of which differences over 1e-12 leave 1e-10; the lid's own bend adds some 10 r.
        assert laplacian == pytest.approx(2 * np.pi - 8 * angle, abs=0.05)


def test_derivatives_of_the_lift_are_kept_for_points_that_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, computed = cavity_reference.corner_vorticity, []

    def counted(x: torch.Tensor, y: torch.Tensor, reynolds: float, lift: Lift) -> tuple[torch.Tensor, ...]:
        computed.append(1)
        return plain(x, y, reynolds, lift)

    monkeypatch.setattr(cavity_reference, "corner_vorticity", counted)
    for lift in (singular_stream, parabolic_stream):
        parts, n_before = CornerVorticity(50.0, lift), len(computed)
        sets = [columns(0.2 + 0.5 * np.random.default_rng(seed).random((3, 2))) for seed in range(3)]
        for index in (0, 1, 0, 2, 1, 0):
            x, y = sets[index]
            for found, expected in zip(parts(x, y), plain(x, y, 50.0, lift), strict=True):
                assert_close(found, expected, 0)
        assert len(computed) - n_before == 3


def test_the_flow_converges_and_is_that_of_the_benchmark() -> None:
    """Values beside are from the file of finite elements that PINNacle judges by (NS2d-C, Re = 100)."""
    coarse, fine = (solve_pinnacle_cavity(100.0, n_modes) for n_modes in (12, 20))
    points = np.array([[0.5, 0.5], [0.5, 0.7534268847099752], [0.47996676013267314, 0.8645809640919434]])
    assert np.abs(coarse.velocity(points) - fine.velocity(points)).max() < 1e-4
    theirs = np.array([[-0.1787641, 0.0543862], [0.01721, 0.1196382], [0.2081372, 0.0986019]])
    assert np.abs(fine.velocity(points) - theirs).max() < 1e-4
    lid = np.array([[0.3, 1.0], [0.0, 1.0]])
    assert_close(torch.as_tensor(fine.velocity(lid)), torch.tensor([[0.84, 0.0], [0.0, 0.0]], dtype=DOUBLE), 1e-7)


def test_the_reference_solves_the_cavitys_equations() -> None:
    """The transport's residual by differences of the spectral psi, away from walls and corners."""
    flow, step = solve_pinnacle_cavity(100.0, 20), 1e-2
    middle = np.array([[0.4, 0.6], [0.6, 0.4]])

    def vorticity(points: np.ndarray) -> np.ndarray:
        moves = [np.array(move) * 1e-3 for move in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        return -(sum(flow.stream(points + move) for move in moves) - 4 * flow.stream(points)) / 1e-6

    moves = [np.array(move) * step for move in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    right, left, up, down = (vorticity(middle + move) for move in moves)
    u, v = flow.velocity(middle).T
    friction = (right + left + up + down - 4 * vorticity(middle)) / step**2 / 100
    carried = u * (right - left) / (2 * step) + v * (up - down) / (2 * step)
    assert np.abs(carried).min() > 0.05
    np.testing.assert_allclose(friction, carried, atol=5e-3)


def test_the_cavity_is_posed_exactly_and_trains() -> None:
    problem = pinnacle_cavity()
    model = Pinn(problem, MLP(2, (10,), 2, dtype=DOUBLE, generator=seeded(0)))  # which checks all conditions
    assert model.derivatives == "jets"
    before = relative_l2(model, problem.domain.grid(15))
    train(model, Training(n_adam=0, n_marquardt=40, n_points=200), seed=0)
    assert relative_l2(model, problem.domain.grid(15)) < 0.5 * before


def test_exponential_steps_are_of_fourth_order() -> None:
    """On v' = -v + cos(t), whose solution from 0 is (cos(t) + sin(t) - exp(-t)) / 2; a complex L is taken too."""
    for symbol in (np.array([-1.0]), np.array([-1.0 + 0.0j])):
        errors = []
        for n_steps in (8, 16):
            last = exponential_steps(0 * symbol, symbol, lambda v, t: 0 * v + np.cos(t), 2.0, n_steps)[-1]
            errors.append(abs(last[0] - (np.cos(2.0) + np.sin(2.0) - np.exp(-2.0)) / 2))
        assert 12 < errors[0] / errors[1] < 20


def test_snapshots_are_kept_as_often_as_asked() -> None:
    symbol = np.array([-0.5])
    every = exponential_steps(symbol, symbol, lambda v, t: v * t, 1.0, 12)
    some = exponential_steps(symbol, symbol, lambda v, t: v * t, 1.0, 12, 4)
    assert len(some) == 4
    np.testing.assert_array_equal(some, every[::4])


def test_the_heated_reference_solves_its_equation_and_converges() -> None:
    finer = heat_long_solution(2.0, 10, 80, 200)
    late = np.array([[0.11, 0.3, 0.4], [0.2, 0.62, 1.3], [0.4, 0.55, 1.7], [0.6, 0.2, 0.9]])
    np.testing.assert_allclose(heat_long_solution(2.0, 8, 64)(late), finer(late), atol=2e-2)  # fronts of width 0.01
    points = np.array([[0.11, 0.3, 0.1], [0.2, 0.62, 0.12], [0.4, 0.55, 0.05], [0.6, 0.2, 0.15]])  # before the fronts
    step = 1e-3

    def moved(axis: int, sign: float) -> np.ndarray:
        return finer(points + sign * step * np.eye(3)[axis])[:, 0]

    u, (x, y, t) = finer(points)[:, 0], points.T
    spread = sum(moved(axis, 1) + moved(axis, -1) - 2 * u for axis in (0, 1)) / step**2
    source = 5 * np.sin(u**2) * (1 + 2 * np.sin(np.pi * t / 4)) * np.sin(4 * np.pi * x) * np.sin(2 * np.pi * y)
    slope = (moved(2, 1) - moved(2, -1)) / (2 * step)
    assert np.abs(slope).max() > 0.5
    np.testing.assert_allclose(slope, spread / 1000 + source, atol=1e-3)


def test_the_heated_solution_has_the_symmetries_that_it_is_posed_with() -> None:
    solution = heat_long_solution(2.0, 8, 64)
    at = np.array([[0.07, 0.3, 0.8]])
    for image, sign in (([0.57, 0.3, 0.8], 1.0), ([0.18, 0.3, 0.8], 1.0), ([0.43, 0.3, 0.8], -1.0)):
        assert solution(np.array([image]))[0, 0] == pytest.approx(sign * solution(at)[0, 0], abs=1e-12)


def test_the_heated_problem_is_posed_exactly() -> None:
    problem = pinnacle_heat_long(0.5)
    model = Pinn(problem, MLP(3, (5,), dtype=DOUBLE, generator=seeded(1)))
    at = np.array([[0.07, 0.3, 0.2], [0.57, 0.3, 0.2], [0.18, 0.3, 0.2]])
    assert_close(model.predict(at)[1:], model.predict(at)[[0, 0]], 1e-12)
    for duration in (0, 101):
        with pytest.raises(ValueError, match="`duration` must be above 0 and at most 100"):
            pinnacle_heat_long(duration)


def test_windows_of_sines_follow_the_source() -> None:
    problem = pinnacle_heat_long(0.1)
    recipe = SineWindowRecipe(n_windows=2, n_x=2, n_y=12, n_times=4)
    windows = recipe.train(problem, seed=0)
    points = problem.domain.sample(300, 1)
    coarse = heat_long_solution(0.1, 2, 12)  # the same sines by other steps of time
    assert windows.relative_l2(points, coarse) < 2e-3
    assert problem.reference is not None
    assert windows.relative_l2(points, problem.reference) < 2e-2
    jump = windows.solutions[1].model.predict(np.array([[0.1, 0.3, 0.05]]))
    assert_close(jump, windows.solutions[0].model.predict(np.array([[0.1, 0.3, 0.05]])), 1e-10)
    assert all(solution.model.derivatives == "jets" for solution in windows.solutions)


def test_windows_of_sines_refuse_other_problems() -> None:
    waves = np.array([np.pi])
    with pytest.raises(ValueError, match="must be in x, y and t"):
        sine_window(find_problem("heat"), waves, waves)
    with pytest.raises(ValueError, match="a reference"):
        sine_window(replace(pinnacle_heat_long(1.0), reference=None), waves, waves)


def test_series_are_interpolated_in_time() -> None:
    """A polynomial of degree 7 in t between snapshots is exact."""
    times = np.linspace(0, 1, 11)
    series = SineSeries(np.array([np.pi]), np.array([np.pi]), 1.0, (times**7)[:, None, None])
    at = np.array([[0.5, 0.5, 0.237], [0.5, 0.5, 0.99], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(series(at)[:, 0], at[:, 2] ** 7, atol=1e-12)


def test_the_group_names_problems_that_there_are() -> None:
    assert set(GROUPS["pinnacle"]) <= set(PROBLEMS)
    subjects = choose_subjects(find_task("pinn"), ["pinnacle", "heat", "burgers"])
    names = [subject["problem"] for subject in subjects]
    assert names == [*GROUPS["pinnacle"], "heat"]  # Burgers is in the group
    assert "pinnacle" not in PROBLEMS
    assert task.PINN.groups == GROUPS


def test_windows_are_offered_where_there_is_a_recipe_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WINDOW_RECIPES, "pinnacle-heat-long", SineWindowRecipe(2, 1, 4, n_times=3))
    monkeypatch.setitem(PROBLEMS, "pinnacle-heat-long", lambda: pinnacle_heat_long(0.05))
    from qml.compare import Preset

    model = find_task("pinn").models({"problem": "pinnacle-heat-long"})["windows"]
    problem = find_problem("pinnacle-heat-long")
    outcome = model.train(problem, 0, Preset(1, 1, 1), lambda share, text: None)
    assert outcome.extras == {"windows": 2, "epoch": 1}
    assert outcome.n_parameters == 2 * 12
    assert outcome.value < 0.2


def test_the_chaotic_equation_runs_to_the_benchmarks_time() -> None:
    from qml.pinn.problems.dispersive import kuramoto_sivashinsky_chaotic

    problem = kuramoto_sivashinsky_chaotic(duration=1.0)
    assert problem.domain.intervals["t"] == (0.0, 1.0)
    early = replace(problem, domain=Box({"x": problem.domain.intervals["x"], "t": (0.0, 0.02)}))
    windows = WindowRecipe(n_windows=2, n_waves=12).train(early, seed=0)
    assert problem.reference is not None
    assert windows.relative_l2(early.domain.sample(200, 0), problem.reference) < 1e-5
