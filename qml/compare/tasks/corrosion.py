"""Corrosion of aluminium a day and a week ahead, from real weather and a noisy sensor of a modelled loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.baselines import EchoStateNetwork, OnionESN
from qml.compare import rings
from qml.compare.forecasting import reset_uniform
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.corrosion_figures import horizons_figure, loss_figure
from qml.compare.tasks.forecast_figures import forecasts_figure
from qml.compare.tuning import Merit, NamedSetting, Trial, named_settings, try_settings
from qml.data import STATIONS, Corrosion, Scaler, corrosion
from qml.nn import HybridReservoir
from qml.reservoir import Reservoir, RidgeReadout

STEP_HOURS = 6
HORIZONS = {"short": 4, "long": 28}  # steps: a day and a week
NOISE = 0.0005  # micrometres; a step's loss is about that
N_QUARTERS = 4  # each is cut by itself, so that every part has every season
TRAIN, VALIDATION = 0.6, 0.2
WASHOUT = 40
FEW_UNITS, MANY_UNITS = 45, 300  # units of a classical network: as many as the single ring has features, and more
WINDOW = 120  # steps of the pieces that the LSTM learns from

# Every tuned model tries as many settings; each list is around what did best on validation parts of other seeds.
Settings = tuple[NamedSetting, ...]
RING_SETTINGS = named_settings(
    ("input_scale", "feedback_scale"),
    (0.5, -0.2),
    (0.5, -0.5),
    (0.25, -0.2),
    (1.0, -0.33),
    (1.0, -0.2),
    (0.5, -0.66),
    (0.5, -0.1),
    (2.0, -0.33),
)
ESN_SETTINGS = named_settings(
    ("units", "spectral_radius", "leak_rate", "input_scaling"),
    (FEW_UNITS, 0.9, 0.5, 0.3),
    (MANY_UNITS, 0.9, 0.5, 0.3),
    (FEW_UNITS, 0.5, 0.2, 0.03),
    (MANY_UNITS, 0.5, 1.0, 0.1),
    (FEW_UNITS, 0.3, 0.5, 0.1),
    (MANY_UNITS, 0.9, 0.5, 0.1),
    (FEW_UNITS, 0.9, 0.2, 0.1),
    (MANY_UNITS, 0.3, 1.0, 0.03),
)
ONION_SETTINGS = named_settings(
    ("units", "outer", "leak_rate", "input_scaling"),
    (FEW_UNITS, 0.9, 0.3, 0.3),
    (MANY_UNITS, 0.85, 0.5, 0.1),
    (FEW_UNITS, 0.95, 0.3, 0.1),
    (MANY_UNITS, 0.9, 1.0, 0.3),
    (FEW_UNITS, 0.85, 0.5, 0.3),
    (MANY_UNITS, 0.85, 0.5, 0.3),
    (FEW_UNITS, 0.9, 0.5, 0.1),
    (MANY_UNITS, 0.95, 1.0, 0.3),
)
BOTH_SETTINGS: Settings = tuple(a | b for a, b in zip(RING_SETTINGS, ESN_SETTINGS, strict=True))
LAG_SETTINGS = named_settings(
    ("lags", "multiplied"),
    (16, 0),
    (8, 2),
    (56, 0),
    (16, 1),
    (8, 0),
    (16, 4),
    (28, 0),
    (28, 2),
)
LSTM_SETTINGS = named_settings(("learning_rate", "units"), *product((0.01, 0.003, 0.02, 0.005), (16, 32)))


@dataclass(frozen=True)
class Series:
    """The years of both stations as models see them.

    Attributes:
        inputs: Temperature, humidity and the reading's last change, scaled on the training part, (2, time, 3).
        seen: The readings' change over each horizon from t on, which models learn from, (2, time, 2); NaN at the end.
        truth: The change of the loss itself, for the test, of the same shape.
        past: The readings' change over each horizon up to t.
        scale: Standard deviation of `seen` on the training part, (2,).
        parts: The steps of each part.
    """

    inputs: Tensor
    seen: Tensor
    truth: Tensor
    past: Tensor
    scale: Tensor
    parts: dict[str, Tensor]

    def rows(self, part: str) -> Tensor:
        """Return the steps of "train", "validation" or "test"."""
        return self.parts[part]


Predict = Callable[[Series, NamedSetting, int, Preset], tuple[Float[Tensor, "stations time horizons"], int]]
"""(series, setting, seed, preset) to predictions at every step and the number of trained numbers."""


def prepare(options: Options) -> list[Corrosion]:
    """Load both stations without noise: every seed adds its own."""
    return [corrosion(station, step_hours=STEP_HOURS, noise=0.0) for station in STATIONS]


def split(years: list[Corrosion], seed: int) -> Series:
    """Cut every quarter: 60 % to train, then 20 % to choose on, then 20 % to test on; the seed draws the noise."""
    generator = torch.Generator().manual_seed(seed)
    loss = torch.stack([year.loss for year in years])
    reading = loss + NOISE * torch.randn(loss.shape, generator=generator, dtype=loss.dtype)
    weather = torch.stack([year.weather for year in years])
    parts = _parts(loss.shape[1])
    train = parts["train"]
    change = torch.diff(reading, dim=1, prepend=reading[:, :1])
    raw = torch.cat([weather, change[:, :, None]], -1)
    seen, truth = _ahead(reading), _ahead(loss)
    past = torch.stack([torch.nn.functional.pad(reading, (h, 0), value=0.0)[:, :-h] for h in HORIZONS.values()], -1)
    scale = seen[:, train].std((0, 1))
    inputs = Scaler.fit(raw[:, train])(raw)
    return Series(inputs, seen, truth, reading[:, :, None] - past, scale, parts)


def models(options: Options) -> dict[str, Model[Series]]:
    """Return quantum and classical reservoirs, an LSTM, and untrained models; all tuned ones try as many settings."""
    one = rings.N_RINGS * rings.RING_QUBITS
    shape = f"{rings.N_RINGS} rings of {rings.RING_QUBITS} qubits"
    return {
        "onion-qrc": _tuned(
            "Onion QRC", "quantum", f"{shape} with fed-back measurements, ridge.", _reservoir(_onion), RING_SETTINGS
        ),
        "qrc": _tuned("Single QRC", "quantum", f"One ring of {one} qubits, ridge.", _reservoir(_ring), RING_SETTINGS),
        "onion-qrc-esn": _tuned(
            "Onion QRC + ESN",
            "quantum",
            f"{shape} beside an ESN of {FEW_UNITS} or {MANY_UNITS} units, ridge.",
            _reservoir(_both),
            BOTH_SETTINGS,
        ),
        "esn": _tuned("ESN", "classical", f"{FEW_UNITS} or {MANY_UNITS} units, ridge.", _reservoir(_esn), ESN_SETTINGS),
        "onion-esn": _tuned(
            "Onion ESN",
            "classical",
            f"3 groups of {FEW_UNITS // 3} or {MANY_UNITS // 3} units, ridge.",
            _reservoir(_onion_esn),
            ONION_SETTINGS,
        ),
        "lags": _tuned(
            "Ridge on lags",
            "classical",
            "The last inputs, and the latest of them two by two, ridge.",
            _lags,
            LAG_SETTINGS,
        ),
        "lstm": _tuned("LSTM", "classical", "One layer, Adam.", _lstm, LSTM_SETTINGS),
        "persistence": Model("Persistence", "classical", "The last period's change again.", _persistence),
        "mean": Model("Mean", "classical", "The mean change of the training part.", _mean),
    }


def nrmse(series: Series, predicted: Tensor, part: str) -> dict[str, float]:
    """Compute the root mean squared error over the truth's standard deviation, for each horizon, over both stations.

    Validation is judged on the readings, as a user has nothing else; the test on the loss itself.
    """
    rows = series.rows(part)
    target = (series.truth if part == "test" else series.seen)[:, rows]
    error = (predicted[:, rows] - target).square().mean((0, 1)) / target.var((0, 1), correction=0)
    return dict(zip(HORIZONS, error.sqrt().tolist(), strict=True))


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


def _ridge(series: Series, features: Tensor) -> tuple[Tensor, int]:
    """Fit to the training rows; both horizons have their own weights and one penalty."""
    rows = series.rows("train")
    targets = (series.seen / series.scale)[:, rows].flatten(0, 1)
    readout = RidgeReadout(features.shape[-1], len(HORIZONS))
    readout.fit(lambda: iter([(features[:, rows].flatten(0, 1), targets)]))
    return readout(features) * series.scale, readout.weight.numel() + readout.bias.numel()


def _reservoir(build: Callable[[NamedSetting, int], Reservoir]) -> Predict:
    def predict(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
        with torch.no_grad():
            features, _ = build(setting, seed)(series.inputs)
        return _ridge(series, features)

    return predict


def _ring(setting: NamedSetting, seed: int) -> Reservoir:
    return rings.single(setting, 3)


def _onion(setting: NamedSetting, seed: int) -> Reservoir:
    return rings.onion(setting, 3)


def _esn(setting: NamedSetting, seed: int) -> Reservoir:
    names = ("spectral_radius", "leak_rate", "input_scaling")
    options: dict[str, Any] = {name: setting[name] for name in names}
    return EchoStateNetwork(3, int(setting["units"]), bias_scaling=0.2, seed=seed, **options)


def _both(setting: NamedSetting, seed: int) -> Reservoir:
    return HybridReservoir(_onion(setting, seed), _esn(setting, seed))


def _onion_esn(setting: NamedSetting, seed: int) -> Reservoir:
    outer = setting["outer"]
    return OnionESN(
        3,
        (int(setting["units"]) // 3,) * 3,
        (0.0, 0.5, 0.8, outer),
        leak_rate=setting["leak_rate"],
        input_scaling=setting["input_scaling"],
        bias_scaling=0.2,
        seed=seed,
    )


def _lags(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
    lags, multiplied = int(setting["lags"]), int(setting["multiplied"])
    padded = torch.nn.functional.pad(series.inputs, (0, 0, lags - 1, 0))
    past = padded.unfold(1, lags, 1)  # (stations, time, inputs, lags)
    latest = past[..., lags - multiplied :].flatten(2)
    row, column = torch.triu_indices(latest.shape[-1], latest.shape[-1])
    return _ridge(series, torch.cat([past.flatten(2), latest[..., row] * latest[..., column]], -1))


class _Recurrent(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, units, batch_first=True)
        self.readout = nn.Linear(units, len(HORIZONS))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.readout(self.lstm(inputs)[0])


def _lstm(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
    """Train on pieces that overlap by half; their first steps only warm the state up."""
    generator = torch.Generator().manual_seed(seed)
    model = _Recurrent(int(setting["units"]))
    reset_uniform(model, int(setting["units"]), generator)
    optimizer = torch.optim.Adam(model.parameters(), setting["learning_rate"])
    inputs, targets = series.inputs.float(), (series.seen / series.scale).float()
    known = set(series.rows("train").tolist())
    starts = [int(row) for row in series.rows("train") if set(range(int(row), int(row) + WINDOW)) <= known][
        :: WINDOW // 2
    ]
    pieces = [torch.cat([values[:, start : start + WINDOW] for start in starts]) for values in (inputs, targets)]
    for _ in range(preset.n_epochs):
        for batch in torch.randperm(len(pieces[0]), generator=generator).split(8):
            error = model(pieces[0][batch])[:, WASHOUT:] - pieces[1][batch][:, WASHOUT:]
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
    with torch.no_grad():
        predicted = model(inputs).double() * series.scale
    return predicted, sum(parameter.numel() for parameter in model.parameters())


def _persistence(series: Series, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    return _outcome(series, series.past, 0, 0.0, {})


def _mean(series: Series, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    mean = series.seen[:, series.rows("train")].mean((0, 1))
    return _outcome(series, mean.expand_as(series.seen), len(HORIZONS), 0.0, {})


def _parts(n_steps: int) -> dict[str, Tensor]:
    """Return the steps of each part whose longest forecast ends inside of it; the first of all are washed out."""
    size = n_steps // N_QUARTERS
    first, second = round(TRAIN * size), round((TRAIN + VALIDATION) * size)
    bounds = {"train": (0, first), "validation": (first, second), "test": (second, size)}
    longest, parts = max(HORIZONS.values()), {}
    for name, (start, end) in bounds.items():
        steps = torch.arange(start, end - longest)
        whole = (size * torch.arange(N_QUARTERS)[:, None] + steps).flatten()
        parts[name] = whole[whole >= WASHOUT]
    return parts


def _ahead(values: Float[Tensor, "stations time"]) -> Float[Tensor, "stations time horizons"]:
    """Compute the change over each horizon from every step on, NaN where the year ends before."""
    columns = []
    for horizon in HORIZONS.values():
        change = torch.full_like(values, math.nan)
        change[:, :-horizon] = values[:, horizon:] - values[:, :-horizon]
        columns.append(change)
    return torch.stack(columns, -1)


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
