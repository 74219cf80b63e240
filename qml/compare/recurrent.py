"""The recurrent models that forecasting tasks compare, in sizes that are named."""

from functools import partial

import torch
from torch import nn

from qml.baselines import count_parameters
from qml.compare.forecasting import (
    SeriesModel,
    linear_on_lags,
    persistence,
    reset_uniform,
    trained,
    untrained,
)
from qml.compare.task import Model
from qml.compare.training import RateSetting
from qml.nn import HQKANLSTM, QKANLSTM, QLSTM, QKANLayer

LSTM_HIDDEN = 5  # of the authors' LSTM and QLSTM: 166 and 126 parameters
UPLOADS = 1
SETTINGS = (RateSetting(0.03), RateSetting(0.1))


def forecasters(hidden_size: int, batch_size: int, *, with_qlstm: bool = True) -> dict[str, Model]:
    """QKAN-LSTM and HQKAN-LSTM of `hidden_size`, their classical twins, and models that are not trained.

    Args:
        hidden_size: of the QKAN-LSTM and the HQKAN-LSTM.
        batch_size: windows a step of Adam.
        with_qlstm: whether the QLSTM takes part, whose circuits take most of the time.
    """
    n_parameters = count_parameters(_qkan_lstm(hidden_size, torch.Generator()))
    circuits = f"circuits rpz of {UPLOADS} upload, <Z>, whose input is not scaled"
    make = partial(trained, settings=SETTINGS, batch_size=batch_size)
    offered = {
        "qkan-lstm": make(
            "QKAN-LSTM",
            "quantum",
            f"{hidden_size} hidden, {circuits}, beside a linear map on each edge.",
            partial(_qkan_lstm, hidden_size),
        ),
        "hqkan-lstm": make(
            "HQKAN-LSTM",
            "quantum",
            f"{hidden_size} hidden, {circuits}, one output of each core, between affine maps.",
            partial(_hqkan_lstm, hidden_size),
        ),
    }
    if with_qlstm:
        offered["qlstm"] = make(
            "QLSTM",
            "quantum",
            f"{LSTM_HIDDEN} hidden, four circuits of {LSTM_HIDDEN + 1} qubits and 5 layers.",
            _qlstm,
        )
    sizes = {
        "lstm": ("LSTM, 5 times as large", nn.LSTM, _size_for(5 * n_parameters, nn.LSTM)),
        "lstm-166": ("LSTM of the authors", nn.LSTM, LSTM_HIDDEN),
        "lstm-equal": ("LSTM, as large", nn.LSTM, _nearest_size(n_parameters, nn.LSTM)),
        "gru": ("GRU, as large", nn.GRU, _nearest_size(n_parameters, nn.GRU)),
    }
    for name, (title, kind, hidden) in sizes.items():
        offered[name] = make(title, "classical", f"{hidden} hidden.", partial(_classical, kind, hidden))
    return offered | {
        "linear": untrained("Linear on lags", "Least squares on the window's values and a constant.", linear_on_lags),
        "persistence": untrained("Persistence", "The last value again.", persistence),
    }


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


Kind = type[nn.LSTM] | type[nn.GRU]


def _classical(kind: Kind, hidden_size: int, generator: torch.Generator) -> nn.Module:
    layer = kind(1, hidden_size, batch_first=True, device="meta").to_empty(device="cpu")
    reset_uniform(layer, hidden_size, generator)
    return SeriesModel(layer, hidden_size, generator)


def _count(kind: Kind, hidden_size: int) -> int:
    """Parameters of a layer on one feature, its gates with two biases each, and of the read-out."""
    gates = 4 if kind is nn.LSTM else 3
    return gates * hidden_size * (hidden_size + 3) + hidden_size + 1


def _size_for(n_parameters: int, kind: Kind) -> int:
    """The least size with at least `n_parameters`."""
    return next(size for size in range(1, 1 + n_parameters) if _count(kind, size) >= n_parameters)


def _nearest_size(n_parameters: int, kind: Kind) -> int:
    return min(range(1, 2 + n_parameters), key=lambda size: abs(_count(kind, size) - n_parameters))
