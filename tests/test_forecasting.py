"""Telephone traffic and series: their data, and the models that foretell them, in seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from qml.baselines import count_parameters
from qml.commands.main import app
from qml.compare import Preset, choose_subjects, find_task
from qml.compare.forecasting import ForecastSplit, Windows, fit_forecaster, mean_squared_error, split_windows
from qml.compare.recurrent import SETTINGS, forecasters
from qml.data import call_volumes, milan_activity, split_series

# Square, start in ms, country, SMS in, SMS out, calls in, calls out, internet; what was not recorded is empty.
MILAN = (
    "4\t1383260400000\t39\t0.5\t0.25\t\t\t3.0\n"
    "5\t1383260400000\t39\t9.0\t\t\t\t\n"
    "4\t1383260400000\t46\t1.5\n"
    "4\t1383261600000\t39\t\t0.75\t0.1\t0.2\t5.0\n"
)
HOURLY = (
    "datetime,CellID,countrycode,smsin,smsout,callin,callout,internet\n"
    "2013-11-01 00:00:00,4,39,0.5,,,,\n"
    "2013-11-01 02:00:00,4,39,1.5,,,,7.0\n"
)


def test_the_call_volumes_are_the_real_ones() -> None:
    calls = call_volumes()
    assert calls.shape == (27716,) == (164 * 169,)
    assert calls[:4].tolist() == [111, 113, 76, 82]
    assert (calls.min(), calls.max()) == (11, 465)


def test_a_square_of_milan_is_summed_over_countries_with_zeros_between(tmp_path: Path) -> None:
    (tmp_path / "sms-call-internet-mi-2013-11-01.txt").write_text(MILAN)
    assert milan_activity(tmp_path, 4).tolist() == [2.0, 0.0, 0.0]
    assert milan_activity(tmp_path / "sms-call-internet-mi-2013-11-01.txt", 4, "internet").tolist() == [3.0, 0.0, 5.0]
    (tmp_path / "sms-call-internet-mi-2013-11-02.txt").write_text("4\t1383262200000\t39\t8\t\t\t\t\n")
    assert milan_activity(tmp_path, 4).tolist() == [2.0, 0.0, 0.0, 8.0]


def test_the_hourly_files_are_read_too_and_not_mixed(tmp_path: Path) -> None:
    file = tmp_path / "sms-call-internet-mi-2013-11-01.csv"
    file.write_text(HOURLY)
    assert milan_activity(file, 4).tolist() == [0.5, 0.0, 1.5]
    (tmp_path / "sms-call-internet-mi-2013-11-02.txt").write_text(MILAN)
    with pytest.raises(ValueError, match="must have one step, but some are hourly"):
        milan_activity(tmp_path, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4,1383260400000,39,0.5,0.25,,,3.0\n", "8 columns .* but line 1 has 1. Is it parted by tabs"),
        (MILAN + "4\t1383260400000\t39\tmany\t\t\t\t\n", "must hold numbers, but line 5"),
        (MILAN + "4\t1383260400001000\t39\t1\t\t\t\t\n4\t1383260401000\t39\t1\t\t\t\t\n", "steps of 600 s .* line"),
        ("4\t1383260400000\t39\t-1.0\t\t\t\t\n", "at least 0, but line 1"),
        ("4\t1383260400000\t39\tnan\t\t\t\t\n", "at least 0, but line 1"),
        ("70000\t1383260400000\t39\t1.0\t\t\t\t\n", "squares 1 to 10000"),
        ("5\t1383260400000\t39\t1.0\t\t\t\t\n", "`square` must have records"),
    ],
)
def test_files_of_another_form_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sms-call-internet-mi-2013-11-01.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        milan_activity(file, 4)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must hold files sms-call-internet-mi-\*"):
        milan_activity(tmp_path, 4)
    with pytest.raises(FileNotFoundError):
        milan_activity(tmp_path / "none.txt", 4)
    with pytest.raises(ValueError, match="`square` must be in 1 to 10000, but is 0"):
        milan_activity(tmp_path, 0)
    file = tmp_path / "sms-call-internet-mi-2013-11-01.csv"
    file.write_text(MILAN)
    with pytest.raises(ValueError, match="must begin with datetime"):
        milan_activity(file, 4)


@pytest.fixture
def sine() -> ForecastSplit:
    return split_windows(split_series(torch.sin(torch.arange(60.0, dtype=torch.float64) / 3), length=3))


def test_the_parts_follow_each_other_in_time(sine: ForecastSplit) -> None:
    whole = torch.cat([sine.train.targets, sine.validation.targets, sine.test.targets])[:, 0]
    expected = torch.sin(torch.arange(3.0, 60.0) / 3)
    scale = (whole[1] - whole[0]) / (expected[1] - expected[0])
    # float32 of the windows
    torch.testing.assert_close(whole - whole[0], scale * (expected - expected[0]), atol=1e-5, rtol=1e-4)
    assert (len(sine.train), len(sine.validation), len(sine.test)) == (30, 8, 19)


def test_least_squares_foretells_a_sine_exactly_and_persistence_its_last_value(sine: ForecastSplit) -> None:
    models = forecasters(1, 8)
    linear, last = (models[name].train(sine, 0, Preset(1, 1, 1), _silent) for name in ("linear", "persistence"))
    assert linear.value < 1e-12  # s(t+1) = 2 cos(1/3) s(t) - s(t-1); float32 windows
    change = (sine.test.targets[:, 0] - sine.test.inputs[:, -1, 0]).double()
    assert last.value == pytest.approx(change.square().mean().item(), rel=1e-6)
    assert (linear.n_parameters, last.n_parameters) == (4, 0)


def test_nothing_is_chosen_on_the_test_part(sine: ForecastSplit) -> None:
    turned = replace(sine, test=Windows(sine.test.inputs, -sine.test.targets))
    model = forecasters(1, 8)["lstm-equal"]
    first, second = (model.train(part, 0, Preset(1, 2, 2), _silent) for part in (sine, turned))
    assert first.details["curves"] == second.details["curves"]
    assert first.extras["setting"] == second.extras["setting"]
    assert first.value != second.value


def test_the_setting_of_the_least_validation_error_is_kept(sine: ForecastSplit) -> None:
    build = forecasters(1, 8)["lstm-equal"].train.args[0]  # pyright: ignore[reportFunctionMemberAccess]
    apart = [
        fit_forecaster(build, (setting,), 8, sine, 0, Preset(1, 1, 2), _silent).extras["validation_mse"]
        for setting in SETTINGS
    ]
    steps = []
    both = fit_forecaster(build, SETTINGS, 8, sine, 0, Preset(1, 2, 2), lambda share, text: steps.append(share))
    assert both.extras["validation_mse"] == min(apart)
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("series", {"series": "pendulum", "scaler": "training"}),
        ("calls", {"length": 4, "scaler": "training"}),
        ("calls", {"length": 64, "scaler": "training"}),
    ],
)
def test_the_lstm_is_five_times_as_large_and_every_quantum_model_has_a_twin_of_its_size(
    task: str, options: dict[str, int | str]
) -> None:
    models = find_task(task).models(options)
    sizes = {
        name: count_parameters(model.train.args[0](torch.Generator()))  # pyright: ignore[reportFunctionMemberAccess]
        for name, model in models.items()
        if model.settings
    }
    assert sizes["lstm"] >= 5 * max(sizes["qkan-lstm"], sizes["hqkan-lstm"])
    assert (sizes["lstm-166"], sizes.get("qlstm", 126)) == (166, 126)
    assert abs(sizes["lstm-equal"] / sizes["qkan-lstm"] - 1) < 0.1
    assert abs(sizes["gru"] / sizes["qkan-lstm"] - 1) < 0.2
    classical = [size for name, size in sizes.items() if models[name].kind == "classical"]
    for name, size in sizes.items():
        assert min(abs(other / size - 1) for other in classical) < 0.1, name


@pytest.mark.parametrize("name", ["qkan-lstm", "hqkan-lstm", "qlstm", "lstm-equal", "gru", "rnn-hqkan-lstm"])
def test_every_model_learns_a_little_and_keeps_its_forecast(name: str, sine: ForecastSplit) -> None:
    model = forecasters(2, 8)[name]
    outcome = model.train(sine, 0, Preset(1, 1, 2), _silent)
    curve = outcome.details["curves"]["log10_of_train_mse"]
    assert curve[-1] < curve[0]
    forecast = torch.tensor(outcome.details["forecast"][0])
    assert outcome.value == pytest.approx((forecast - sine.test.targets[:, 0]).square().mean().item(), rel=1e-4)
    assert outcome.extras["test_r2"] == pytest.approx(
        1 - outcome.value / float(sine.test.targets.var(correction=0)), rel=1e-4
    )


def test_errors_are_means_of_squares() -> None:
    data = Windows(torch.zeros(2, 1, 1), torch.tensor([[1.0], [3.0]]))
    assert mean_squared_error(lambda inputs: inputs[:, 0], data).item() == 5.0


def test_the_leaking_scaler_is_a_named_option() -> None:
    task = find_task("series")
    assert task.options["scaler"][0] == "training"
    ends = {name: task.prepare({"series": "bessel", "scaler": name}) for name in ("training", "leaking")}
    assert np.isclose(ends["leaking"].low, call_range()[0])
    assert ends["training"].low >= ends["leaking"].low


def call_range() -> tuple[float, float]:
    from qml.data import bessel_series

    series = bessel_series()
    return float(series.min()), float(series.max())


def test_the_command_compares_both_series_unless_one_is_named(tmp_path: Path) -> None:
    arguments = ["compare", "series", "--models", "linear,persistence", "--seeds", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(path.parent.name for path in tmp_path.glob("*/report.html")) == ["bessel", "pendulum"]
    wrong = CliRunner().invoke(app, ["compare", "series", "sine", "--out", str(tmp_path / "x")])
    assert wrong.exit_code == 2
    assert "`series` must be one of pendulum, bessel for task 'series', but is 'sine'" in wrong.output


def test_subjects_are_values_of_the_first_option() -> None:
    assert choose_subjects(find_task("pinn"), ["heat", "burgers"]) == [{"problem": "heat"}, {"problem": "burgers"}]
    assert choose_subjects(find_task("digits"), ["28", "28"]) == [{"resolution": 28}]
    assert choose_subjects(find_task("digits"), []) == [{"resolution": 4}, {"resolution": 28}]
    assert choose_subjects(find_task("states"), []) == [{}]
    with pytest.raises(ValueError, match="must be 'states' alone, but big"):
        choose_subjects(find_task("states"), ["big"])


def _silent(share: float, text: str) -> None:
    """Hear of progress and say nothing."""
