"""The recurrent models that forecasting tasks compare, in sizes that are named."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from qml.baselines import count_parameters
from qml.compare.forecasting import (
    Build,
    ForecastSplit,
    SeriesModel,
    linear_on_lags,
    persistence,
    reset_uniform,
    trained,
    untrained,
)
from qml.compare.task import BUDGET, Model
from qml.compare.training import RateSetting
from qml.nn import HQKANLSTM, QKANLSTM, QLSTM, QKANLayer, QRNNRegressor

LSTM_HIDDEN = 5  # units of the authors' LSTM and QLSTM: 166 and 126 parameters
UPLOADS = 1
STAGES = 2  # stages of the QRNN
Kind = type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]
GATES: dict[Kind, int] = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}
INPUT_BOUND = 1.1  # -1.1 and 1.1 turn a qubit by 0 and pi; series are scaled to [-1, 1] by their training part
SETTINGS = (RateSetting(0.03), RateSetting(0.1))


def forecasters(hidden_size: int, batch_size: int, *, with_qlstm: bool = True) -> dict[str, Model[ForecastSplit]]:
    """Return QKAN-LSTM and HQKAN-LSTM of `hidden_size`, a QRNN, classical twins, and models that are not trained.

    Args:
        hidden_size: Units of the QKAN-LSTM and the HQKAN-LSTM.
        batch_size: Windows for each step of Adam.
        with_qlstm: Whether the QLSTM takes part, whose circuits take most of the time.
    """
    make = partial(trained, settings=SETTINGS, batch_size=batch_size)
    builds = _quantum_builds(hidden_size, with_qlstm=with_qlstm)
    offered = {name: make(title, "quantum", recipe, build) for name, (title, recipe, build) in builds.items()}
    quantum_sizes = {name: _size_of(build) for name, (_, _, build) in builds.items()}
    for name, (title, kind, hidden) in _twins(quantum_sizes).items():
        offered[name] = make(title, "classical", f"{hidden} hidden.", partial(_classical, kind, hidden))
    return offered | {
        "linear": untrained("Linear on lags", "Least squares on the window's values and a constant.", linear_on_lags),
        "persistence": untrained("Persistence", "The last value again.", persistence),
    }


def _quantum_builds(hidden_size: int, *, with_qlstm: bool) -> dict[str, tuple[str, str, Build]]:
    """Return title, recipe and builder of each quantum model by name."""
    circuits = f"circuits rpz of {UPLOADS} upload, <Z>, whose input is not scaled"
    builds: dict[str, tuple[str, str, Build]] = {
        "qkan-lstm": (
            "QKAN-LSTM",
            f"{hidden_size} hidden, {circuits}, beside a linear map on each edge.",
            partial(_qkan_lstm, hidden_size),
        ),
        "hqkan-lstm": (
            "HQKAN-LSTM",
            f"{hidden_size} hidden, {circuits}, one output of each core, between affine maps.",
            partial(_hqkan_lstm, hidden_size),
        ),
    }
    if with_qlstm:
        recipe = f"{LSTM_HIDDEN} hidden, four circuits of {LSTM_HIDDEN + 1} qubits and 5 layers."
        builds["qlstm"] = ("QLSTM", recipe, _qlstm)
    n_workspace = _nearest_hidden_size(_size_of(partial(_qkan_lstm, hidden_size)))
    neurons = f"{STAGES} stages of neurons of order 1 and degree 2"
    recipe = f"{n_workspace} workspace qubits and one turned by the value, {neurons}."
    return builds | {"qrnn": ("QRNN, as large", recipe, partial(_QRNNModel, n_workspace))}


def _twins(quantum_sizes: Mapping[str, int]) -> dict[str, tuple[str, Kind, int]]:
    """Return title, kind and hidden size of the classical networks, with one near each quantum model's size."""
    n_parameters = quantum_sizes["qkan-lstm"]
    sizes = {
        "lstm": ("LSTM, 5 times as large", nn.LSTM, _size_for(5 * n_parameters, nn.LSTM)),
        "lstm-166": ("LSTM of the authors", nn.LSTM, LSTM_HIDDEN),
        "lstm-equal": ("LSTM, as large", nn.LSTM, _nearest_size(n_parameters, nn.LSTM)),
        "gru": ("GRU, nearest in size", nn.GRU, _nearest_size(n_parameters, nn.GRU)),
    }
    for name, wanted in sorted(quantum_sizes.items(), key=lambda item: item[0] == "qlstm"):  # the QLSTM comes last
        if all(not _is_near(_count(kind, hidden), wanted) for _, kind, hidden in sizes.values()):
            kind, hidden = _twin(wanted)
            close = "as large as" if _is_near(_count(kind, hidden), wanted) else "nearest in size to"
            title = f"{kind.__name__}, {close} the {name.upper()}"
            sizes[f"{kind.__name__.lower()}-{name}"] = title, kind, hidden
    return sizes


def _qkan_lstm(hidden_size: int, generator: torch.Generator) -> nn.Module:
    layer = QKANLSTM(
        1,
        hidden_size,
        batch_first=True,
        reps=UPLOADS,
        ansatz="rpz",
        base="identity",
        train_preactivation=False,
        train_postactivation=False,
        generator=generator,
    )
    for module in layer.modules():  # all edges alike, as the layer starts them, would make the gates alike
        if isinstance(module, QKANLayer) and module.base_weight is not None:
            bound = hidden_size**-0.5
            nn.init.uniform_(module.base_weight, -bound, bound, generator=generator)
    return SeriesModel(layer, hidden_size, generator)


def _hqkan_lstm(hidden_size: int, generator: torch.Generator) -> nn.Module:
    layer = HQKANLSTM(
        1,
        hidden_size,
        batch_first=True,
        latent=(2, 1),
        reps=UPLOADS,
        ansatz="rpz",
        base=None,
        train_preactivation=False,
        train_postactivation=False,
        generator=generator,
    )
    return SeriesModel(layer, hidden_size, generator)


def _qlstm(generator: torch.Generator) -> nn.Module:
    return SeriesModel(QLSTM(1, LSTM_HIDDEN, batch_first=True, generator=generator), LSTM_HIDDEN, generator)


class _QRNNModel(nn.Module):
    """A recurrent quantum network read after the last value; its range is wider than that of the training part."""

    def __init__(self, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = QRNNRegressor(
            1, hidden_size, low=-INPUT_BOUND, high=INPUT_BOUND, n_stages=STAGES, batch_first=True, generator=generator
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecast the next value, (batch, 1)."""
        return self.layer(inputs)[0][:, -1]


def _nearest_hidden_size(n_parameters: int) -> int:
    counts = {size: count_parameters(_QRNNModel(size, torch.Generator())) for size in range(2, 8)}
    return min(counts, key=lambda size: abs(counts[size] - n_parameters))


def _size_of(build: Build) -> int:
    return count_parameters(build(torch.Generator()))


def _classical(kind: Kind, hidden_size: int, generator: torch.Generator) -> nn.Module:
    layer = kind(1, hidden_size, batch_first=True, device="meta").to_empty(device="cpu")
    reset_uniform(layer, hidden_size, generator)
    return SeriesModel(layer, hidden_size, generator)


def _count(kind: Kind, hidden_size: int) -> int:
    """Count the parameters of a layer on one feature, its gates with two biases each, and of the read-out."""
    return GATES[kind] * hidden_size * (hidden_size + 3) + hidden_size + 1


def _size_for(n_parameters: int, kind: Kind) -> int:
    """Return the least size with at least `n_parameters`."""
    return next(size for size in range(1, 1 + n_parameters) if _count(kind, size) >= n_parameters)


def _nearest_size(n_parameters: int, kind: Kind) -> int:
    return min(range(1, 2 + n_parameters), key=lambda size: abs(_count(kind, size) - n_parameters))


def _is_near(count: int, n_parameters: int) -> bool:
    return abs(count - n_parameters) <= BUDGET * n_parameters


def _twin(n_parameters: int) -> tuple[Kind, int]:
    """Return the first kind of network in `GATES` that comes near the size; the last kind comes in the most sizes."""
    candidates = [(kind, _nearest_size(n_parameters, kind)) for kind in GATES]
    return next((twin for twin in candidates if _is_near(_count(*twin), n_parameters)), candidates[-1])
