"""Calls to a bank, a step ahead from the last T five minutes: QKAN-LSTM beside LSTM, GRU and QLSTM."""

from statistics import median

import torch

from qml.compare.forecasting import ForecastSplit, split_windows
from qml.compare.recurrent import forecasters
from qml.compare.task import Metric, Model, Options, Preset, Record, Section, Task
from qml.compare.tasks.series import medians
from qml.compare.tasks.series_figures import ahead_figure, series_figure
from qml.data import SeriesSplit, call_volumes, split_series
from qml.data.calls import DAY

LENGTHS = (4, 8, 12, 16, 32, 64)
N_DAYS, TRAIN = 20, 0.7
HIDDEN, BATCH = 4, 128
QLSTM_LENGTH = 16  # the longest window that the QLSTM takes part in: a step of Adam at 64 takes two seconds


def prepare(options: Options) -> SeriesSplit:
    """Load the first days of the call centre, in windows of the chosen length."""
    return split_series(call_volumes()[: N_DAYS * DAY], length=int(options["length"]), train=TRAIN)


def split(series: SeriesSplit, seed: int) -> ForecastSplit:
    """Split alike for every seed, which draws initial weights and the order of the windows."""
    return split_windows(series)


def models(options: Options) -> dict[str, Model[ForecastSplit]]:
    """Return the forecasters; the QLSTM takes part for short windows."""
    return forecasters(HIDDEN, BATCH, with_qlstm=int(options["length"]) <= QLSTM_LENGTH)


def sections(series: SeriesSplit, records: list[Record], options: Options) -> list[Section]:
    """Show medians and ranges, mean absolute errors, the series, and the forecasts of a day."""
    offered = models(options)
    errors = {
        name: median(float(record.outcome.extras["test_mae"]) for record in records if record.model == name)
        for name in dict.fromkeys(record.model for record in records)
    }
    calls = (series.high - series.low) / 2  # calls for each unit of the scaled series
    absolute = "; ".join(f"{offered[name].title} {value * calls:.2f}" for name, value in errors.items())
    text = (
        f"{N_DAYS} weekdays of {DAY} intervals, scaled to [-1, 1] by the training part, the first {TRAIN:.0%}, whose "
        f"last fifth chooses the learning rate. {medians(records, offered)} Mean absolute error in calls, median over "
        f"seeds: {absolute or 'not yet'}."
    )
    whole = torch.cat([series.train_targets, series.test_targets])[:, 0]
    shown = [Section("The series", text, series_figure(whole, len(series.train_targets)))]
    if records:
        figure = ahead_figure(series.test_targets[:DAY, 0], records, offered)
        shown.append(
            Section("Forecasts", f"The first {DAY} steps of the test part, of each model's first seed.", figure)
        )
    return shown


CALLS = Task(
    name="calls",
    title="Calls to a bank, five minutes ahead",
    question="How many calls come in the next five minutes, from the last T intervals? Real traffic of a call centre "
    "stands in for the urban telecommunication of arXiv 2512.05049, whose files `qml.data.milan_activity` reads. "
    "Hybrid QKAN-LSTM and QKAN-LSTM beside LSTM, GRU, least squares on the same T values, and the last value.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(3, 2, 10), "demo": Preset(3, 1, 10)},
    sections=sections,
    options={"length": LENGTHS},
    together=(4, 16, 64),
    metric=Metric("test_mse", "Test MSE", larger_is_better=False, percent=False),
)
