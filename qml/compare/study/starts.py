"""Where the study's code starts each trained model: weights in the order in which it draws them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qml.compare.study.draws import N_KEYS, StudyDraws
from qml.estimators import LayerClassifier
from qml.estimators.together import Problem

TURN = 2.0 * math.pi
FEWER_KEYS = 100_000  # of the re-uploading classifier and its ablations
SPREAD = 0.1  # of the metric learner's weights and the tree's bias


class PublishedStart(LayerClassifier):
    """A classifier that starts from the study's weights and sees its batches.

    Attributes:
        model: A name in `STARTS`.
    """

    model: str

    def _problems(self, rows: Tensor, classes: Tensor, generator: torch.Generator) -> list[Problem]:
        problems = super()._problems(rows, classes, generator)
        return [replace(one, generator=start(self.model, one.layer, self.random_state)) for one in problems]


def start(model: str, layer: Any, seed: int) -> StudyDraws:
    """Give a layer the weights that the study's code draws with a seed; return the draws, for the batches that follow.

    Args:
        model: A name in `STARTS`.
        layer: A new layer of this model.
        seed: The study's `random_state`.
    """
    draws = StudyDraws(seed, FEWER_KEYS if model.startswith("re-uploading") else N_KEYS)
    with torch.no_grad():
        STARTS[model](layer, draws)
    return draws


def _angles(layer: Any, draws: StudyDraws) -> None:
    layer.weights.copy_(TURN * draws.uniform(len(layer.weights)))


def _reuploading(layer: Any, draws: StudyDraws) -> None:
    """Draw twice, as the study's code does, and take the second weights."""
    n_blocks = layer.n_layers + 1
    for _ in range(2):
        offsets = draws.uniform(len(layer.weights) // (3 * n_blocks), n_blocks, 3)
        layer.weights.copy_(offsets.transpose(0, 1).flatten())
        if layer.scales is not None:
            layer.scales.copy_(draws.uniform(*layer.scales.shape))


def _separable(layer: Any, draws: StudyDraws) -> None:
    offsets = draws.uniform(layer.n_inputs, len(layer.weights) // (3 * layer.n_inputs), 3)
    layer.weights.copy_(TURN * offsets.transpose(0, 1).flatten())


def _dressed(layer: Any, draws: StudyDraws) -> None:
    _angles(layer, draws)
    layer.entry.copy_(draws.normal(*layer.entry.shape) / layer.n_inputs)
    layer.exit.copy_(draws.normal(*layer.exit.shape) / layer.n_inputs)


def _tree(layer: Any, draws: StudyDraws) -> None:
    """Draw a weight of every gate of the tree; with eight qubits the last ones are idle, see `PublishedTree`."""
    n_weights = len(layer.weights)
    layer.weights.copy_(TURN * draws.uniform(2 * layer.circuit.n_qubits - 1)[:n_weights])
    layer.bias.copy_(SPREAD * draws.normal(1)[0])


def _boltzmann(layer: Any, draws: StudyDraws) -> None:
    """Draw a vector of each field in turn, Z and X of a qubit, then one of every pair, of which the first is used."""
    n = layer.fields.shape[1]
    vectors = draws.normal(2 * n + n * (n - 1) // 2, n)
    layer.fields.copy_(torch.stack([vectors[0 : 2 * n : 2], vectors[1 : 2 * n : 2]]))
    layer.couplings.copy_(vectors[2 * n : 2 * n + len(layer.couplings)])


def _separable_boltzmann(layer: Any, draws: StudyDraws) -> None:
    n = layer.fields.shape[1]
    vectors = draws.normal(2 * n, n)
    layer.fields.copy_(torch.stack([vectors[::2], vectors[1::2]]))


def _metric(layer: Any, draws: StudyDraws) -> None:
    layer.weights.copy_(SPREAD * draws.normal(len(layer.weights)))


def _weinet(layer: Any, draws: StudyDraws) -> None:
    layer.mixture.copy_(draws.normal(*layer.mixture.shape))
    layer.weights.copy_(draws.normal(*layer.weights.shape) / layer.weights.numel())


STARTS: dict[str, Callable[[Any, StudyDraws], None]] = {
    "circuit-centric": _angles,
    "re-uploading": _reuploading,
    "re-uploading-no-scaling": _reuploading,
    "re-uploading-separable": _reuploading,
    "re-uploading-no-embedding": _reuploading,
    "re-uploading-no-cost": _reuploading,
    "dressed": _dressed,
    "dressed-separable": _dressed,
    "iqp": _angles,
    "metric": _metric,
    "boltzmann": _boltzmann,
    "boltzmann-separable": _separable_boltzmann,
    "tree": _tree,
    "separable": _separable,
    "weinet": _weinet,
}
"""The start of each model; the CNN and the quanvolutional network draw their own weights."""
