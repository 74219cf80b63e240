"""Forecasts a step ahead of a damped pendulum and of a Bessel function: QKAN-LSTM beside LSTM, GRU and QLSTM."""

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from qml.compare.forecasting import ForecastSplit, split_windows
from qml.compare.recurrent import forecasters
from qml.compare.task import Metric, Model, Options, Preset, Record, Section, Task
from qml.compare.tasks.series_figures import ahead_figure, series_figure
from qml.data import SeriesSplit, bessel_series, damped_pendulum, split_series

LENGTH, TRAIN = 4, 0.67
HIDDEN, BATCH = 2, 8
SERIES: dict[str, tuple[Callable[[], Tensor], str]] = {
    "pendulum": (damped_pendulum, "theta' of a damped pendulum"),
    "bessel": (bessel_series, "the Bessel function J_2"),
}
PUBLISHED = {"pendulum": "1.02e-3", "bessel": "3.27e-4 (HQKAN-LSTM 3.21e-4)"}


def prepare(options: Options) -> SeriesSplit:
    """Load the series in windows."""
    make, _ = SERIES[str(options["series"])]
    return split_series(make(), length=LENGTH, train=TRAIN, leaking_scaler=options["scaler"] == "leaking")


def split(series: SeriesSplit, seed: int) -> ForecastSplit:
    """Split alike for every seed, which draws initial weights and the order of the windows."""
    return split_windows(series)


def models(options: Options) -> dict[str, Model[ForecastSplit]]:
    """Return the forecasters, with the QLSTM."""
    return forecasters(HIDDEN, BATCH)


def sections(series: SeriesSplit, records: list[Record], options: Options) -> list[Section]:
    """Show medians and ranges, the series, and the forecasts of the test part."""
    name = str(options["series"])
    text = (
        f"{SERIES[name][1].capitalize()}, scaled to [-1, 1] by the "
        f"{'whole series, as the authors do' if options['scaler'] == 'leaking' else 'training part'}; the first "
        f"{TRAIN:.0%} of the windows of {LENGTH} values are trained on, their last fifth chooses the learning rate. "
        f"Published for QKAN-LSTM after 30 epochs: {PUBLISHED[name]}. {medians(records, models(options))}"
    )
    whole = torch.cat([series.train_targets, series.test_targets])[:, 0]
    shown = [Section("The series", text, series_figure(whole, len(series.train_targets)))]
    if records:
        truth = series.test_targets[:, 0]
        figure = ahead_figure(truth, records, models(options))
        shown.append(Section("Forecasts", "The test part, a step ahead, of each model's first seed.", figure))
    return shown


def medians(records: list[Record], offered: dict[str, Model]) -> str:
    """Describe each model's median and range over seeds in words."""
    sentences = []
    for name in dict.fromkeys(record.model for record in records):
        values = sorted(record.outcome.value for record in records if record.model == name)
        ends = f" ({values[0]:.2e} to {values[-1]:.2e})" if len(values) > 1 else ""
        sentences.append(f"{offered[name].title} {median(values):.2e}{ends}")
    return f"Medians and ranges over seeds: {'; '.join(sentences)}." if sentences else ""


SERIES_TASK = Task(
    name="series",
    title="A pendulum and a Bessel function, a step ahead",
    question="From four values the fifth: LSTM cells whose gates are one-qubit circuits (QKAN-LSTM and HQKAN-LSTM, "
    "arXiv 2512.05049) or circuits of six qubits (QLSTM), beside LSTM and GRU, all by the same optimiser in the same "
    "number of epochs. What is linear needs no network: see the row of least squares.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(5, 2, 30), "demo": Preset(2, 1, 6)},
    sections=sections,
    options={"series": tuple(SERIES), "scaler": ("training", "leaking")},
    together=tuple(SERIES),
    metric=Metric("test_mse", "Test MSE", larger_is_better=False, percent=False),
)
