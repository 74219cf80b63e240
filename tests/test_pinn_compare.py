"""`qml compare pinn` and `qml bench pinn` on pieces small enough for a test."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from qml.baselines import count_parameters
from qml.bench import pinn as bench
from qml.bench import pinn_work
from qml.commands.main import app
from qml.compare import Outcome, Preset, Record, find_task
from qml.compare.tasks import pinn as task
from qml.compare.tasks import pinn_fits as fits
from qml.compare.tasks import pinn_more_fits as more
from qml.compare.tasks import pinn_trunks as trunks
from qml.compare.tasks.pinn_published import PUBLISHED
from qml.pinn import PROBLEMS, WINDOW_RECIPES, CavityRecipe, Pinn, WindowRecipe, find_problem
from qml.pinn.problems.catalogue import GROUPS
from tools.results import all_records


@pytest.mark.parametrize("build", [trunks.qnn, trunks.qkan, trunks.daruan])
def test_quantum_trunks_have_right_second_derivatives_and_a_twin_of_their_size(build: trunks.Build) -> None:
    problem = find_problem("burgers")
    trunk = build(problem, torch.Generator().manual_seed(0))
    for twin in (trunks.small_mlp, trunks.small_kan):
        size = count_parameters(twin(problem, torch.Generator()))
        assert abs(size / count_parameters(trunk) - 1) <= 0.1
    model = Pinn(problem, trunk)
    assert model.derivatives == ("nested" if build is trunks.daruan else "jets")
    points = torch.as_tensor(problem.domain.sample(3, 1))
    step = 1e-4
    moved = [model(points + shift * torch.tensor([step, 0.0], dtype=torch.float64))[:, 0] for shift in (-1, 0, 1)]
    expected = (moved[0] - 2 * moved[1] + moved[2]) / step**2
    found = model.evaluate(points, ["u_xx"])["u_xx"]
    # The error of the difference is step^2 / 12 times a fourth derivative of order 10, and 1e-16 / step^2 of rounding.
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_a_cell_has_the_error_the_scalars_and_the_curves() -> None:
    problem = find_problem("infinite-well-energy")
    model = find_task("pinn").models({"problem": problem.name})["mlp-small"]
    outcome = model.train(problem, 0, Preset(1, 1, 6), lambda share, text: None)
    assert np.isfinite(outcome.value)
    assert outcome.extras["E_error"] == pytest.approx(abs(outcome.extras["E"] / np.pi**2 - 1))  # pyright: ignore[reportOperatorIssue]
    assert len(outcome.details["values"]) == fits.N_LINE
    assert set(outcome.details["curves"]) == {"log10_of_equations", "log10_of_conditions"}


@pytest.mark.parametrize(
    ("name", "model", "extra"),
    [
        ("finite-well", "pieces", "E_error"),
        ("poisson-2d", "mlp-labels", "epoch"),
        ("convection", "mlp-lagrangian", "derivatives"),
        ("diffusivity", "mlp-ensemble", "k_deviation"),
        ("diffusivity", "mlp-bayes", "k_deviation"),
        ("radial-diffusivity", "mlp-bayes-readout", "k_deviation"),
        ("helmholtz", "mlp-marquardt", "epoch"),
        ("burgers", "kan-small", "derivatives"),
        ("burgers", "lstm", "epoch"),
        ("burgers", "gaussians", "epoch"),
        ("burgers", "mlp-curriculum", "epoch"),
        ("poisson", "process", "mean_deviation"),
        ("poisson-5d", "separable", "epoch"),
        ("klein-gordon", "attention", "epoch"),
        ("carried-vortices", "attention", "c_error"),
        ("poisson-2d", "mlp-small-kalman", "members"),
        ("lorenz", "windows", "windows"),
        ("unknown-reaction", "term-qkan", "formula"),
        ("traffic", "tasks-similarity", "weights_of_s"),
    ],
)
def test_every_method_trains_where_it_is_offered(name: str, model: str, extra: str) -> None:
    problem = task.PINN.split(find_problem(name), 1)
    outcome = find_task("pinn").models({"problem": name})[model].train(problem, 1, Preset(1, 1, 3), _silence)
    assert np.isfinite(outcome.value)
    assert extra in outcome.extras
    assert len(outcome.details["values"]) == len(fits.shown_points(problem))


def test_published_errors_stand_beside_the_best_model_of_the_run() -> None:
    errors = {"mlp": (0.5, 0.25, 0.75), "mlp-marquardt": (3e-7, 2e-7, 9e-7)}
    records = [
        Record("pinn", model, seed, "relative_l2", Outcome(value, 7, 1.0))
        for model, values in errors.items()
        for seed, value in enumerate(values)
    ]
    options = {"problem": "burgers"}
    section, *_ = task.PINN.sections(find_problem("burgers"), records, options)
    assert section.title == "Published errors"
    assert section.rows[0] == ("3e-07", "MLP, Levenberg-Marquardt", "", "this run, median of 3 seeds")
    assert [row[0] for row in section.rows[1:]] == [f"{one.error:.3g}" for one in PUBLISHED["burgers"]]
    assert all("third-party summaries" in row[-1] for row in section.rows[1:])
    titles = [section.title for section in task.PINN.sections(find_problem("heat"), records, {"problem": "heat"})]
    assert titles == ["Solution", "Error"]


def test_problems_of_pinnacle_have_its_published_errors_first_and_so_has_the_page() -> None:
    assert set(PUBLISHED) <= set(PROBLEMS)
    rows = all_records()["pinnacle"].plain["rows"]
    shown = [tuple(row["cells"][-3:]) for row in rows]
    for name in GROUPS["pinnacle"]:
        first = PUBLISHED[name][0]
        assert "2306.08827" in first.source
        assert (first.error, first.by.split(",")[0], first.differs or "nothing known") in shown
    assert len(shown) == len(GROUPS["pinnacle"])


def test_a_filter_on_half_of_a_line_shows_the_whole_of_it() -> None:
    problem = find_problem("poisson")
    outcome = (
        find_task("pinn")
        .models({"problem": "poisson"})["mlp-small-kalman"]
        .train(problem, 1, Preset(1, 1, 3), _silence)
    )
    values = np.array(outcome.details["values"])
    assert values[-1] == pytest.approx(1.0, abs=1e-6)  # the end value, which is built in
    np.testing.assert_allclose(values, -values[::-1])


def test_the_continuation_of_the_cavity_is_that_of_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(more, "CAVITY", CavityRecipe(n_modes=18, n_early=12))
    problem = find_problem("cavity-stream")
    offered = find_task("pinn").models({"problem": "cavity-stream"})
    outcome = offered["continuation"].train(problem, 0, Preset(1, 1, 30), _silence)
    assert outcome.value < 3e-3
    assert outcome.extras == {"derivatives": "jets", "series": 2, "epoch": 4}
    assert outcome.n_parameters == 18**2
    assert "continuation" not in find_task("pinn").models({"problem": "burgers"})


def test_windows_of_a_periodic_equation_are_those_of_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WINDOW_RECIPES, "kdv", WindowRecipe(n_windows=10, n_waves=12, n_times=4))
    problem = find_problem("kdv")
    outcome = find_task("pinn").models({"problem": "kdv"})["windows"].train(problem, 0, Preset(1, 1, 2), _silence)
    assert outcome.value < 0.8  # 0.67: twelve waves do not hold the solitons
    assert outcome.extras == {"windows": 10, "epoch": 2}
    assert outcome.n_parameters == 10 * (25 * 4 + 1)


def _silence(share: float, text: str) -> None:
    """Say nothing."""


def test_the_command_writes_a_report_for_each_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"quick": Preset(1, 1, 4)}
    monkeypatch.setattr("qml.compare.registry.TASKS", {"pinn": _with_presets(quick)})
    arguments = ["compare", "pinn", "infinite-well", "heat", "--models", "mlp-small", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(path.parent.name for path in tmp_path.glob("*/report.html")) == ["heat", "infinite-well"]
    wrong = CliRunner().invoke(app, ["compare", "pinn", "euler", "--out", str(tmp_path / "x")])
    assert wrong.exit_code == 2
    assert "`problem` must be one of infinite-well" in wrong.output


def _with_presets(presets: dict[str, Preset]) -> object:
    from dataclasses import replace

    return replace(find_task("pinn"), presets=presets)


@pytest.mark.parametrize("case", pinn_work.SIZES)
def test_the_bench_computes_the_gradient_of_its_loss(case: str) -> None:
    work = pinn_work.make_work(case)
    first = bench.ours(case)()
    assert len(first) == 1 + len(work.state)
    again = bench.ours(case)
    again()
    assert float(again()["loss"]) < float(first["loss"])


@pytest.mark.parametrize("case", bench.JACOBIANS)
def test_both_ways_of_the_bench_give_one_jacobian(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "N_ROWS", 32)
    mine, other = bench.ours(case)(), bench.by_rows(case)()
    for name in ("residuals", "jacobian"):
        torch.testing.assert_close(mine[name], other[name], atol=1e-10, rtol=1e-10)


def test_all_ways_of_the_bench_give_one_gradient_of_a_circuits_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "N_RESIDUAL", 32)
    mine, *others = (make("circuit")() for make in (bench.ours, bench.nested, bench.by_pennylane))
    for other in others:
        assert set(mine) == set(other)
        for name, values in mine.items():
            torch.testing.assert_close(values, other[name], atol=1e-8, rtol=1e-8)
