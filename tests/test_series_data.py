"""Series to forecast: equations, real data, sensors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qml.compare.task import Preset
from qml.compare.tasks import corrosion as task
from qml.data import (
    STATIONS,
    Scaler,
    aluminium_rate,
    corrosion,
    damped_waves,
    fill_gaps,
    henon,
    lorenz,
    mackey_glass,
    narma10,
    read_series_csv,
    sunspots,
)
from tests.helpers import assert_close

FLOAT64 = 1e-12


def test_narma_follows_its_equation() -> None:
    u, y = (values[:, 0].numpy() for values in narma10(60, seed=3))
    for t in range(10, 59):
        expected = 0.3 * y[t - 1] + 0.05 * y[t - 1] * y[t - 10 : t].sum() + 1.5 * u[t - 9] * u[t] + 0.1
        assert abs(y[t] - expected) < FLOAT64
    assert y[0] == pytest.approx(0.1)  # from rest, without an input nine steps before


def test_mackey_glass_solves_its_equation() -> None:
    fine = mackey_glass(900, time_step=0.05, washout=100)[:, 0].numpy()
    derivative = (fine[2:] - fine[:-2]) / 0.1
    lag = 340  # 17 / 0.05
    past, now = fine[: -lag - 1], fine[lag:-1]
    expected = 0.2 * past / (1 + past**10) - 0.1 * now
    # central differences of step 0.05: h^2 / 6 times a third derivative below 0.1
    assert np.abs(derivative[lag - 1 :] - expected).max() < 1e-4
    coarse = mackey_glass(20, washout=20)
    assert_close(coarse, mackey_glass(200, time_step=0.1, washout=200)[::10], 1e-4)  # linear interpolation of step 0.1


def test_lorenz_and_henon_follow_their_equations() -> None:
    path = lorenz(100, time_step=0.005, washout=50).numpy()
    x, y, z = path[2:-2].T
    expected = np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], 1)
    slope = (8 * (path[3:-1] - path[1:-3]) - (path[4:] - path[:-4])) / (12 * 0.005)
    assert np.abs(slope - expected).max() < 0.05  # of up to 400: h^4/30 times a fifth derivative of up to 1e9
    points = henon(50).numpy()
    assert_close(points[1:, 0], 1 - 1.4 * points[:-1, 0] ** 2 + points[:-1, 1], FLOAT64)
    assert_close(points[1:, 1], 0.3 * points[:-1, 0], FLOAT64)


def test_sunspots_are_the_real_ones() -> None:
    series = sunspots()[:, 0]
    assert series.shape == (309,)
    assert float(series[0]) == 5.0  # 1700
    assert float(series.max()) == pytest.approx(190.2)  # 1957


def test_the_waves_are_those_of_the_seed() -> None:
    waves = damped_waves()
    assert waves.train.shape == (10, 26, 1)
    assert waves.test.shape == (4, 26, 1)
    train, test = waves.train[:, 6:, 0].mean(0), waves.test[:, 6:, 0]
    r2 = 1 - (test - train).square().sum() / (test - test.mean()).square().sum()
    assert abs(float(r2) + 0.21396901) < 1e-8  # the published mean forecast


def test_corrosion_is_the_formula_on_real_weather() -> None:
    # by hand at 10 C and 80 %: f = 0
    expected = 0.0042 * 20**0.73 * np.exp(2.0) + 0.0018 * 60**0.6 * np.exp(1.6 + 0.94)
    assert_close(aluminium_rate(np.array([10.0]), np.array([80.0])), [expected], FLOAT64)
    warm, cold = aluminium_rate(np.array([20.0, 0.0]), np.array([80.0, 80.0]), chloride=0.0)
    assert warm == pytest.approx(0.0042 * 20**0.73 * np.exp(2.0 - 0.43))
    assert cold == pytest.approx(0.0042 * 20**0.73 * np.exp(2.0 - 0.09))
    for station in STATIONS:
        year = corrosion(station, step_hours=24, noise=0.0)
        assert year.weather.shape == (365, 2)
        assert_close(year.reading, year.loss, FLOAT64)
        assert bool((year.loss.diff() > 0).all())
        assert bool(((year.weather[:, 1] > 0) & (year.weather[:, 1] <= 100)).all())


CSV = "when,temp,loss\n2024-01-01T00:00,50,1\n2024-01-01T01:00,NA,2\n2024-01-01T03:00,68,4\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "sensor.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sensor_file_is_read_with_units_and_gaps(tmp_path: Path) -> None:
    path = write(tmp_path, CSV)
    sensor = read_series_csv(path, ["loss", "temp"], time_column="when", units={"temp": "F", "loss": "nm"})
    assert_close(sensor.values[:, 0], [0.001, 0.002, 0.003, 0.004], FLOAT64)
    assert_close(sensor.values[:, 1], [10.0, 10 + 10 / 3, 10 + 20 / 3, 20.0], FLOAT64)
    assert (sensor.step_seconds, sensor.n_filled) == (3600.0, 3)
    plain = read_series_csv(path, ["loss"])
    assert plain.step_seconds is None
    assert_close(plain.values, [[1.0], [2.0], [4.0]], FLOAT64)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (CSV, {"columns": ["rust"]}, "must have the column 'rust' between commas, but has when, temp, loss"),
        (CSV, {"columns": []}, "at least one column"),
        (CSV, {"columns": ["loss"], "units": {"loss": "inch"}}, "must give one of C, K, F"),
        (CSV, {"columns": ["loss"], "units": {"temp": "C"}}, "but names temp"),
        (CSV, {"columns": ["temp"], "max_gap": 0}, "at most 0 steps long, but column 0 has one of 1"),
        (CSV.replace("NA", "warm"), {"columns": ["temp"]}, "line 3 has 'warm'"),
        (CSV.replace("NA", "inf"), {"columns": ["temp"]}, "must be finite, but line 3"),
        (CSV.replace("03:00", "00:30"), {"columns": ["loss"], "time_column": "when"}, "must ascend, but line 4"),
        (CSV.replace("03:00", "02:20"), {"columns": ["loss"], "time_column": "when"}, "must be even steps"),
        (
            CSV.replace("2024-01-01T03", "noon"),
            {"columns": ["loss"], "time_column": "when"},
            "ISO 8601 times, but line 4",
        ),
        ("loss\n", {"columns": ["loss"]}, "no rows"),
        ("loss;temp\n1;2\n", {"columns": ["loss"]}, "between commas, but has loss;temp"),
        ("loss,loss\n1,2\n", {"columns": ["loss"]}, "the column 'loss' once, but has it 2 times"),
        ("loss\n1\nNA\n", {"columns": ["loss"]}, "begin and end with a reading"),
    ],
)
def test_bad_sensor_files_are_refused(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_series_csv(write(tmp_path, text), **options)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sensor.csv"
    path.write_bytes("loss,größe\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"must be UTF-8, but is not: .* Save it as UTF-8"):
        read_series_csv(path, ["loss"])


def test_gaps_are_filled_or_refused() -> None:
    nan = float("nan")
    series = torch.tensor([[0.0], [nan], [nan], [3.0]])
    assert_close(fill_gaps(series), [[0.0], [1.0], [2.0], [3.0]], 1e-6)  # float32
    with pytest.raises(ValueError, match="has one of 2"):
        fill_gaps(series, max_gap=1)
    with pytest.raises(ValueError, match="shape"):
        fill_gaps(series[:, 0])


def test_a_scaler_undoes_itself_and_refuses_constants() -> None:
    series = torch.randn(2, 30, 3, dtype=torch.float64) * 5 + 2
    scaler = Scaler.fit(series)
    scaled = scaler(series)
    assert_close(scaled.mean((0, 1)), np.zeros(3), FLOAT64)
    assert_close(scaler.undo(scaled), series, FLOAT64)
    series[..., 1] = 0.1
    with pytest.raises(ValueError, match="column 1 is constant"):
        Scaler.fit(series)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: narma10(0), "`n_steps` must be an int of at least 1"),
        (lambda: mackey_glass(5, tau=0.0), "must be above 0"),
        (lambda: corrosion("Atlantis"), "`station` must be one of"),
        (lambda: corrosion(step_hours=7), "must divide 8760"),
        (lambda: corrosion(noise=-1.0), "`noise` must be at least 0"),
    ],
)
def test_bad_options_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_parts_of_the_corrosion_task_never_see_each_other() -> None:
    series = task.split(task.prepare({}), seed=1)
    longest = max(task.HORIZONS.values())
    seen: set[int] = set()
    for part in ("train", "validation", "test"):
        reach = {int(row) + ahead for row in series.rows(part) for ahead in range(longest + 1)}
        assert not reach & seen
        seen |= reach
        assert bool(torch.isfinite(series.truth[:, series.rows(part)]).all())


@pytest.mark.parametrize("name", ["onion-qrc", "onion-qrc-esn", "onion-esn", "lags", "lstm", "persistence", "mean"])
def test_every_corrosion_model_beats_nothing(name: str) -> None:
    series = task.split(task.prepare({}), seed=0)
    model = task.models({})[name]
    outcome = model.train(series, 0, Preset(1, 1, 2), lambda share, text: None)
    limit = 3.0 if name == "lstm" else 1.3  # the mean has 1; two epochs hardly train an LSTM
    assert 0.2 < outcome.value < limit
    assert outcome.extras["nrmse_short"] != outcome.extras["nrmse_long"]


def test_tuned_models_have_the_same_budget_and_the_report_says_what_is_modelled() -> None:
    models = task.models({})
    assert {len(model.settings) for model in models.values() if model.settings} == {8}
    assert {"mean", "persistence", "lags", "esn", "onion-esn", "qrc", "onion-qrc", "onion-qrc-esn", "lstm"} == set(
        models
    )
    shown = task.sections(task.prepare({}), [], {})
    assert "MODELLED, not measured" in shown[0].text
