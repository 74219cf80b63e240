"""Recurrent quantum networks and reservoirs that tests of a torch user's habits run over."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from circuits import channels
from qml.baselines import EchoStateNetwork
from qml.nn import (
    QRNN,
    FeedbackRing,
    OnionReservoir,
    PersistentRing,
    QRNNClassifier,
    QRNNRegressor,
    QuantumNeuron,
    QuantumReservoir,
)

DOUBLE = torch.float64
ROUNDING = 1e-12


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=DOUBLE, generator=seeded(seed))


def words(*shape: int, n_words: int = 4, seed: int = 0) -> Tensor:
    return torch.randint(0, n_words, shape, generator=seeded(seed))


def first(found: Any) -> Tensor:
    return found[0] if isinstance(found, tuple) else found


MIXED = [PersistentRing(3, 2, seed=1), FeedbackRing(2, 0.5, -0.4), PersistentRing(3, 2, seed=2)]
# Layers without words, by what makes them in a dtype, with the shape of their inputs.
LAYERS: dict[str, tuple[Callable[[torch.dtype], nn.Module], tuple[int, ...]]] = {
    "neuron": (lambda dtype: QuantumNeuron(3, dtype=dtype, generator=seeded()), (3, 16)),
    "regressor": (lambda dtype: QRNNRegressor(2, 2, dtype=dtype, generator=seeded()), (3, 2, 2)),
    "classifier": (lambda dtype: QRNNClassifier(2, 2, n_classes=3, dtype=dtype, generator=seeded()), (3, 2, 2)),
    "feedback": (lambda dtype: QuantumReservoir(FeedbackRing(3, 0.5, -0.4), dtype=dtype), (2, 3, 1)),
    "persistent": (lambda dtype: QuantumReservoir(PersistentRing(3, 2, seed=1), dtype=dtype), (2, 3, 1)),
    "noisy": (
        lambda dtype: QuantumReservoir(PersistentRing(2, 1), noise=channels.depolarizing(0.1), dtype=dtype),
        (2, 3, 1),
    ),
    "onion": (lambda dtype: OnionReservoir(MIXED, dtype=dtype), (2, 3, 1)),
    "echo": (lambda dtype: EchoStateNetwork(1, 9, density=0.5, leak_rate=0.7, dtype=dtype), (2, 3, 1)),
}
# These have nothing in their state: all of them follows from their rings.
WHOLE = ("feedback", "persistent", "noisy", "onion", "trajectories")


def word_network(**options: Any) -> QRNN:
    net = QRNN(2, 2, dtype=DOUBLE, **options)
    for parameter in net.parameters():
        parameter.data.normal_(0.0, 0.5, generator=seeded(parameter.numel()))
    return net
