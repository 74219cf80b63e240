"""The models of the corrosion task: reservoirs, regression on lags and an LSTM, with the settings that each tries."""

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from qml.baselines import EchoStateNetwork, OnionESN
from qml.compare import rings
from qml.compare.forecasting import reset_uniform
from qml.compare.task import Preset
from qml.compare.tasks.corrosion_series import HORIZONS, WASHOUT, Series
from qml.compare.tuning import NamedSetting, named_settings
from qml.nn import HybridReservoir
from qml.reservoir import Reservoir, RidgeReadout

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
Predict = Callable[[Series, NamedSetting, int, Preset], tuple[Float[Tensor, "stations time horizons"], int]]
"""(series, setting, seed, preset) to predictions at every step and the number of trained numbers."""


def reservoir(build: Callable[[NamedSetting, int], Reservoir]) -> Predict:
    """Return the prediction by a reservoir's features and a ridge regression.

    Args:
        build: Builds the reservoir from a setting and a seed.
    """

    def predict(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
        with torch.no_grad():
            features, _ = build(setting, seed)(series.inputs)
        return _ridge(series, features)

    return predict


def ring(setting: NamedSetting, seed: int) -> Reservoir:
    """Build one ring."""
    return rings.single(setting, 3)


def onion(setting: NamedSetting, seed: int) -> Reservoir:
    """Build an onion of rings."""
    return rings.onion(setting, 3)


def esn(setting: NamedSetting, seed: int) -> Reservoir:
    """Build an echo state network."""
    names = ("spectral_radius", "leak_rate", "input_scaling")
    options: dict[str, Any] = {name: setting[name] for name in names}
    return EchoStateNetwork(3, int(setting["units"]), bias_scaling=0.2, seed=seed, **options)


def both(setting: NamedSetting, seed: int) -> Reservoir:
    """Put the onion of rings and the echo state network side by side."""
    return HybridReservoir(onion(setting, seed), esn(setting, seed))


def onion_esn(setting: NamedSetting, seed: int) -> Reservoir:
    """Build an echo state network of three groups."""
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


def lags(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
    """Predict from the last inputs, and from products of the latest of them, by ridge regression."""
    n_lags, multiplied = int(setting["lags"]), int(setting["multiplied"])
    padded = pad(series.inputs, (0, 0, n_lags - 1, 0))
    past = padded.unfold(1, n_lags, 1)  # (stations, time, inputs, lags)
    latest = past[..., n_lags - multiplied :].flatten(2)
    row, column = torch.triu_indices(latest.shape[-1], latest.shape[-1])
    return _ridge(series, torch.cat([past.flatten(2), latest[..., row] * latest[..., column]], -1))


def lstm(series: Series, setting: NamedSetting, seed: int, preset: Preset) -> tuple[Tensor, int]:
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


def _ridge(series: Series, features: Tensor) -> tuple[Tensor, int]:
    """Fit to the training rows; both horizons have their own weights and one penalty."""
    rows = series.rows("train")
    targets = (series.seen / series.scale)[:, rows].flatten(0, 1)
    readout = RidgeReadout(features.shape[-1], len(HORIZONS))
    readout.fit(lambda: iter([(features[:, rows].flatten(0, 1), targets)]))
    return readout(features) * series.scale, readout.weight.numel() + readout.bias.numel()


class _Recurrent(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, units, batch_first=True)
        self.readout = nn.Linear(units, len(HORIZONS))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.readout(self.lstm(inputs)[0])
