"""Corrosion of aluminium a day and a week ahead, from real weather and a noisy sensor of a modelled loss."""

from functools import partial

from torch import Tensor

from qml.compare import rings
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks import corrosion_models as predictors
from qml.compare.tasks.corrosion_figures import horizons_figure, loss_figure
from qml.compare.tasks.corrosion_models import FEW_UNITS, MANY_UNITS, Predict, Settings
from qml.compare.tasks.corrosion_series import HORIZONS, Series, nrmse, split
from qml.compare.tasks.forecast_figures import forecasts_figure
from qml.compare.tuning import Merit, NamedSetting, Trial, try_settings
from qml.data import STATIONS, Corrosion, corrosion

STEP_HOURS = 6


def prepare(options: Options) -> list[Corrosion]:
    """Load both stations without noise: every seed adds its own."""
    return [corrosion(station, step_hours=STEP_HOURS, noise=0.0) for station in STATIONS]


def models(options: Options) -> dict[str, Model[Series]]:
    """Return quantum and classical reservoirs, an LSTM, and untrained models; all tuned ones try as many settings."""
    one = rings.N_RINGS * rings.RING_QUBITS
    shape = f"{rings.N_RINGS} rings of {rings.RING_QUBITS} qubits"
    return {
        "onion-qrc": _tuned(
            "Onion QRC",
            "quantum",
            f"{shape} with fed-back measurements, ridge.",
            predictors.reservoir(predictors.onion),
            predictors.RING_SETTINGS,
        ),
        "qrc": _tuned(
            "Single QRC",
            "quantum",
            f"One ring of {one} qubits, ridge.",
            predictors.reservoir(predictors.ring),
            predictors.RING_SETTINGS,
        ),
        "onion-qrc-esn": _tuned(
            "Onion QRC + ESN",
            "quantum",
            f"{shape} beside an ESN of {FEW_UNITS} or {MANY_UNITS} units, ridge.",
            predictors.reservoir(predictors.both),
            predictors.BOTH_SETTINGS,
        ),
        "esn": _tuned(
            "ESN",
            "classical",
            f"{FEW_UNITS} or {MANY_UNITS} units, ridge.",
            predictors.reservoir(predictors.esn),
            predictors.ESN_SETTINGS,
        ),
        "onion-esn": _tuned(
            "Onion ESN",
            "classical",
            f"3 groups of {FEW_UNITS // 3} or {MANY_UNITS // 3} units, ridge.",
            predictors.reservoir(predictors.onion_esn),
            predictors.ONION_SETTINGS,
        ),
        "lags": _tuned(
            "Ridge on lags",
            "classical",
            "The last inputs, and the latest of them two by two, ridge.",
            predictors.lags,
            predictors.LAG_SETTINGS,
        ),
        "lstm": _tuned("LSTM", "classical", "One layer, Adam.", predictors.lstm, predictors.LSTM_SETTINGS),
        "persistence": Model("Persistence", "classical", "The last period's change again.", _persistence),
        "mean": Model("Mean", "classical", "The mean change of the training part.", _mean),
    }


def sections(years: list[Corrosion], records: list[Record], options: Options) -> list[Section]:
    """Explain the model of the target, and show each horizon and the test part."""
    modelled = (
        "The weather is real: two typical years of hourly temperature and humidity (TMY3). The metal loss is MODELLED, "
        "not measured: the dose-response function of ISO 9223 for aluminium, hour by hour, with constant deposition of "
        "sulphur dioxide and chloride, cumulated, plus a sensor's normal noise. So this compares forecasting methods, "
        "and says nothing about corrosion of real metal. Seeds draw the noise and the networks, while the weather "
        "stays: intervals over them do not say what another year would give."
    )
    shown = [Section("The target is modelled", modelled, loss_figure(years, list(STATIONS)))]
    if not records:
        return shown
    series = split(years, records[0].seed)
    rows = series.rows("test")
    text = (
        "The loss of the coming week at every step of the test parts of the first seed, and what was predicted for it."
    )
    truth = series.truth[:, rows, list(HORIZONS).index("long")]
    by_horizon = "A day and a week ahead, apart: mean over seeds and its 95 % interval."
    return [
        Section("Short and long horizon", by_horizon, horizons_figure(records, tuple(HORIZONS))),
        Section("Forecasts of a week", text, forecasts_figure(truth, records, 0, label="step of 6 hours")),
        *shown,
    ]


def _tuned(title: str, kind: str, recipe: str, predict: Predict, settings: Settings) -> Model[Series]:
    return Model(title, kind, recipe, partial(_train, predict, settings), settings)


def _train(predict: Predict, settings: Settings, series: Series, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Try settings, choose on the validation part, look at the test part once."""

    def run(trial: Trial[NamedSetting]) -> tuple[Merit, tuple[Tensor, int]]:
        prediction = predict(series, trial.setting, seed, preset)
        return (sum(nrmse(series, prediction[0], "validation").values()) / len(HORIZONS),), prediction

    best = try_settings(settings, run, on_step, n_trials=preset.n_settings, seed=seed)
    setting = ", ".join(f"{name} {value:g}" for name, value in best.setting.items())
    extras = {"validation_nrmse": best.merit[0], "setting": setting, "n_settings": best.n_trials}
    return _outcome(series, *best.result, best.seconds, extras)


def _outcome(
    series: Series, predicted: Tensor, n_parameters: int, seconds: float, extras: dict[str, float | int | str]
) -> Outcome:
    errors = nrmse(series, predicted, "test")
    rows = series.rows("test")
    forecast = predicted[:, rows, list(HORIZONS).index("long")]
    return Outcome(
        sum(errors.values()) / len(errors),
        n_parameters,
        seconds,
        extras | {f"nrmse_{name}": value for name, value in errors.items()},
        {"forecast": forecast.tolist()},
    )


def _persistence(series: Series, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    return _outcome(series, series.past, 0, 0.0, {})


def _mean(series: Series, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    mean = series.seen[:, series.rows("train")].mean((0, 1))
    return _outcome(series, mean.expand_as(series.seen), len(HORIZONS), 0.0, {})


CORROSION = Task(
    name="corrosion",
    title="Corrosion a day and a week ahead",
    question="From real weather at two stations and a noisy sensor, how much metal is lost in the next day, and in the "
    "next week? The loss is modelled by ISO 9223, not measured. Models learn from the readings and are judged by the "
    "root mean squared error on the loss itself over its standard deviation, the mean of both horizons: 1 is no better "
    "than knowing the test part's mean.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 8, 120), "demo": Preset(3, 2, 20)},
    sections=sections,
    metric=Metric("nrmse", "NRMSE", larger_is_better=False, percent=False),
)
