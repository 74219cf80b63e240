"""NARMA-10 and Mackey-Glass: the benchmarks of the literature on reservoirs."""

import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import LinAlgWarning
from torch import Tensor
from torch.nn.functional import pad

from qml.baselines import EchoStateNetwork, OnionESN
from qml.compare import rings
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.forecast_figures import forecasts_figure
from qml.compare.tuning import Merit, Trial, named_settings, try_settings
from qml.data import Scaler, mackey_glass, narma10
from qml.nn import HybridReservoir
from qml.reservoir import Reservoir, RidgeReadout
from qml.reservoir.ridge import DEFAULT_ALPHAS

PARTS = {"washout": 200, "train": 2000, "validation": 500, "test": 1000}  # steps, one after another
UNITS = 300
HORIZON = 84  # steps of Mackey-Glass
OFFSET = 137  # steps between the pieces of Mackey-Glass that two seeds see
SHOWN = 200  # steps in the figure

Setting = Mapping[str, float | int]
ESN_SETTINGS = named_settings(
    ("spectral_radius", "leak_rate", "input_scaling"),
    (0.9, 1.0, 0.1),
    (0.95, 1.0, 0.3),
    (1.1, 0.5, 0.3),
    (0.9, 0.3, 1.0),
    (1.25, 0.3, 0.5),
    (1.25, 0.3, 1.0),
)
RING_SETTINGS = named_settings(
    ("input_scale", "feedback_scale"),
    (0.5, -0.33),
    (0.5, -0.66),
    (0.25, -0.66),
    (1.0, -0.33),
    (0.25, -0.9),
    (0.1, -0.66),
)
BOTH_SETTINGS = tuple({**a, **b} for a, b in zip(RING_SETTINGS, ESN_SETTINGS, strict=True))
LAG_SETTINGS = named_settings(("lags",), (10,), (20,), (40,), (80,), (5,), (120,))


@dataclass(frozen=True)
class Driven:
    """A series that drives a model, with the target at each step, float64.

    Attributes:
        inputs: (time, 1), standardised on the training part.
        targets: (time, 1).
    """

    inputs: Float[Tensor, "time 1"]
    targets: Float[Tensor, "time 1"]

    def part(self, values: Tensor, name: str) -> Tensor:
        """Return the steps of "train", "validation" or "test"."""
        names = list(PARTS)
        start = sum(PARTS[before] for before in names[: names.index(name)])
        return values[start : start + PARTS[name]]


Predict = Callable[[Driven, Setting, int], tuple[Float[Tensor, "time 1"], int, Mapping[str, float]]]
"""(series, setting, seed) to predictions at every step, the number of trained numbers, and further choices."""


def nrmse(series: Driven, predicted: Tensor, part: str) -> float:
    """Compute the root mean squared error over the standard deviation of the targets of a part."""
    target = series.part(series.targets, part)
    error = (series.part(predicted, part) - target).square().mean()
    return float((error / target.var(correction=0)).sqrt())


def _scaled(inputs: Tensor, targets: Tensor) -> Driven:
    raw = Driven(inputs, targets)
    return Driven(Scaler.fit(raw.part(inputs, "train"))(inputs), targets)


def split_narma(_: None, seed: int) -> Driven:
    """Draw a series for the seed, and another one where it diverges."""
    for attempt in range(100):
        try:
            return _scaled(*narma10(sum(PARTS.values()), seed=1000 * attempt + seed))
        except ValueError:
            continue
    raise ValueError(f"NARMA-10 must stay bounded for some series of seed {seed}, but diverged in 100.")


def prepare_mackey_glass(_: Options) -> Tensor:
    """Compute one long series, of which every seed sees a piece."""
    return mackey_glass(sum(PARTS.values()) + HORIZON + 100 * OFFSET)


def split_mackey_glass(whole: Tensor, seed: int) -> Driven:
    """Cut a piece of the series, with its value 84 steps later."""
    start, size = OFFSET * (seed % 100), sum(PARTS.values())
    return _scaled(whole[start : start + size], whole[start + HORIZON : start + HORIZON + size])


def models(options: Options) -> dict[str, Model[Driven]]:
    """Return reservoirs of both kinds, reservoirpy's where it is installed, and ridge on lags.

    All of them try the same number of settings.
    """
    shape = f"{rings.N_RINGS} rings of {rings.RING_QUBITS} qubits"
    one = f"One ring of {rings.N_RINGS * rings.RING_QUBITS} qubits."
    esn = f"{UNITS} units, tenth of the weights, ridge"
    offered = {
        "onion-qrc": _model("Onion QRC", "quantum", f"{shape}, measurements fed back, ridge.", _onion, RING_SETTINGS),
        "qrc": _model("Single QRC", "quantum", one, _ring, RING_SETTINGS),
        "onion-qrc-esn": _model("Onion QRC + ESN", "quantum", f"{shape} beside the ESN.", _both, BOTH_SETTINGS),
        "esn": _model("ESN", "classical", f"{esn}, its penalty by leave-one-out.", _esn, ESN_SETTINGS),
        "onion-esn": _model("Onion ESN", "classical", f"3 groups of {UNITS // 3} units.", _onion_esn, ESN_SETTINGS),
    }
    if importlib.util.find_spec("reservoirpy") is not None:
        recipe = f"{esn}, its penalty from the same ones, by the validation part."
        offered["reservoirpy"] = _tuned("reservoirpy", "classical", recipe, _reservoirpy, ESN_SETTINGS)
    recipe = "The last inputs and their products two by two, ridge."
    offered["lags"] = _tuned("Ridge on lags", "classical", recipe, _lags, LAG_SETTINGS)
    return offered


def _model(
    title: str, kind: str, recipe: str, build: Callable[[Setting, int], Reservoir], settings: tuple[Setting, ...]
) -> Model[Driven]:
    return _tuned(title, kind, recipe, partial(_reservoir, build), settings)


def _tuned(title: str, kind: str, recipe: str, predict: Predict, settings: tuple[Setting, ...]) -> Model[Driven]:
    return Model(title, kind, recipe, partial(_train, predict, settings), settings)


def _train(
    predict: Predict, settings: tuple[Setting, ...], series: Driven, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    """Try settings, choose on the validation part, look at the test part once."""

    def run(trial: Trial[Setting]) -> tuple[Merit, tuple[Tensor, int, Mapping[str, float]]]:
        prediction = predict(series, trial.setting, seed)
        return (nrmse(series, prediction[0], "validation"),), prediction

    best = try_settings(settings, run, on_step, n_trials=preset.n_settings, seed=seed)
    predicted, n_parameters, chosen = best.result
    setting = ", ".join(f"{name} {value:g}" for name, value in (*best.setting.items(), *chosen.items()))
    return Outcome(
        nrmse(series, predicted, "test"),
        n_parameters,
        best.seconds,
        {"validation_nrmse": best.merit[0], "setting": setting, "n_settings": best.n_trials},
        {"forecast": [series.part(predicted, "test")[:SHOWN, 0].tolist()]},
    )


# --- models -----------------------------------------------------------------------------------------------------------


def _ridge(series: Driven, features: Tensor) -> tuple[Tensor, int, Mapping[str, float]]:
    readout = RidgeReadout(features.shape[-1], 1)
    readout.fit(lambda: iter([(series.part(features, "train"), series.part(series.targets, "train"))]))
    return readout(features), readout.weight.numel() + readout.bias.numel(), {}


def _reservoir(
    build: Callable[[Setting, int], Reservoir], series: Driven, setting: Setting, seed: int
) -> tuple[Tensor, int, Mapping[str, float]]:
    with torch.no_grad():
        features, _ = build(setting, seed)(series.inputs[None])
    return _ridge(series, features[0])


def _ring(setting: Setting, seed: int) -> Reservoir:
    return rings.single(setting, 1)


def _onion(setting: Setting, seed: int) -> Reservoir:
    return rings.onion(setting, 1)


def _esn(setting: Setting, seed: int) -> Reservoir:
    return EchoStateNetwork(1, UNITS, bias_scaling=1.0, include_inputs=True, seed=seed, **_esn_options(setting))


def _esn_options(setting: Setting) -> dict[str, Any]:
    return {name: setting[name] for name in ("spectral_radius", "leak_rate", "input_scaling")}


def _both(setting: Setting, seed: int) -> Reservoir:
    return HybridReservoir(_onion(setting, seed), _esn(setting, seed))


def _onion_esn(setting: Setting, seed: int) -> Reservoir:
    outer = setting["spectral_radius"]
    return OnionESN(
        1,
        (UNITS // 3,) * 3,
        (0.0, outer / 2, 0.8 * outer, outer),
        leak_rate=setting["leak_rate"],
        input_scaling=setting["input_scaling"],
        bias_scaling=1.0,
        include_inputs=True,
        seed=seed,
    )


def _lags(series: Driven, setting: Setting, seed: int) -> tuple[Tensor, int, Mapping[str, float]]:
    lags = int(setting["lags"])
    past = pad(series.inputs[:, 0], (lags - 1, 0)).unfold(0, lags, 1)
    last = past[:, -10:]
    pairs = (last[:, :, None] * last[:, None, :]).flatten(1)
    return _ridge(series, torch.cat([past, pairs], 1))


def _reservoirpy(series: Driven, setting: Setting, seed: int) -> tuple[Tensor, int, Mapping[str, float]]:
    nodes: Any = importlib.import_module("reservoirpy.nodes")
    node = nodes.Reservoir(
        UNITS,
        sr=setting["spectral_radius"],
        lr=setting["leak_rate"],
        input_scaling=setting["input_scaling"],
        rc_connectivity=0.1,
        input_connectivity=1.0,
        bias=np.random.default_rng(seed).uniform(-1.0, 1.0, UNITS),
        seed=seed,
    )
    inputs = series.inputs.numpy()
    states = np.concatenate([setting["input_scaling"] * inputs, node.run(inputs)], 1)
    train = [series.part(part, "train").numpy() for part in (torch.from_numpy(states), series.targets)]
    best = (math.inf, torch.empty(0), 0.0)
    for alpha in DEFAULT_ALPHAS:
        readout = nodes.Ridge(ridge=alpha)
        with warnings.catch_warnings():  # small penalties warn: the validation part refuses them
            warnings.simplefilter("ignore", LinAlgWarning)
            readout.fit(*train)
        predicted = torch.from_numpy(np.asarray(readout.run(states)))
        best = min(best, (nrmse(series, predicted, "validation"), predicted, alpha), key=lambda entry: entry[0])
    return best[1], states.shape[1] + 1, {"ridge": best[2]}


def _section(split: Callable[[Any, int], Driven], data: Any, records: list[Record], options: Options) -> list[Section]:
    series = split(data, records[0].seed if records else 0)
    truth = series.part(series.targets, "test")[:SHOWN].T
    text = f"The first {SHOWN} steps of the first seed's test part."
    return [Section("The test part", text, forecasts_figure(truth, records, 0))]


SIZES = f"{PARTS['train']} steps to train, {PARTS['validation']} to choose on, {PARTS['test']} to test on"
METRIC = Metric("nrmse", "NRMSE", larger_is_better=False, percent=False)
PRESETS = {"full": Preset(10, len(ESN_SETTINGS), 1), "demo": Preset(3, 2, 1)}
NARMA = Task(
    name="narma",
    title="NARMA-10",
    question="A system of tenth order with products of old values (Atiya and Parlos, doi:10.1109/72.846741), driven by "
    f"noise: what is its next value? {SIZES}; root mean squared error over standard deviation.",
    prepare=lambda _: None,
    split=split_narma,
    models=models,
    presets=PRESETS,
    sections=partial(_section, split_narma),
    metric=METRIC,
)
MACKEY_GLASS = Task(
    name="mackey-glass",
    title=f"Mackey-Glass, {HORIZON} steps ahead",
    question="The Mackey-Glass equation with a delay of 17 (doi:10.1126/science.267326) is mildly chaotic: what is its "
    f"value {HORIZON} steps later? {SIZES}; root mean squared error over standard deviation.",
    prepare=prepare_mackey_glass,
    split=split_mackey_glass,
    models=models,
    presets=PRESETS,
    sections=partial(_section, split_mackey_glass),
    metric=METRIC,
)
