"""Networks of functions on edges, as QKAN and KAN are, and moving a function from one to another."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from qml import checks

RANGE_MARGIN = 0.02  # share of a range, added at either end: an approximation of the layer before may leave it
SAMPLES_A_PARAMETER = 6  # points at which an edge is looked at, for each of its parameters
LEAST_SAMPLES = 400


@runtime_checkable
class EdgeLayer(Protocol):
    """A layer y_j = sum_i f_ji(x_i)."""

    in_features: int
    out_features: int

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        ...

    def edge_outputs(self, inputs: Tensor) -> Tensor:
        """Return f_ji(x_i) of inputs (batch, in_features), shape (batch, out_features, in_features)."""
        ...


class Transfer(NamedTuple):
    """A network that was fitted to another one, and how near it came.

    Attributes:
        network: the new network.
        edge_errors: for each layer, the largest difference of every edge from its model, over the range of what
            reaches it, shape (out_features, in_features).
        error: the largest difference of the networks' outputs at the inputs they were compared at.
    """

    network: Any
    edge_errors: list[np.ndarray]
    error: float


class Sampled(NamedTuple):
    """The edges of a layer over the range of what reaches it, in float64.

    Attributes:
        low, high: ends of the ranges, shape (in_features,).
        points: evenly spaced, ends included, shape (points, in_features).
        values: f_ji, shape (points, out_features, in_features).
    """

    low: np.ndarray
    high: np.ndarray
    points: np.ndarray
    values: np.ndarray


def edge_layers(network: nn.Module, name: str = "source") -> list[EdgeLayer]:
    """Return the layers of a network of functions on edges, or the one layer that it is.

    Raises:
        TypeError: a module of another kind.
    """
    candidates = [network] if isinstance(network, EdgeLayer) else list(getattr(network, "layers", ()))
    layers: list[EdgeLayer] = [layer for layer in candidates if isinstance(layer, EdgeLayer)]
    if not layers or len(layers) != len(candidates):
        raise TypeError(
            f"Argument `{name}` must be a network of functions on edges (QKAN, KAN, or a layer of one), but is "
            f"{type(network).__name__}. Of an HQKAN pass the core."
        )
    return layers


@torch.no_grad()
def sample_edges(layers: list[EdgeLayer], inputs: Tensor, n_parameters: int) -> list[Sampled]:
    """Sample every layer's edges over the range that reaches it from `inputs`, (batch, in_features).

    Args:
        layers: one after another.
        inputs: at least two samples; their range is that of the first layer.
        n_parameters: that an edge is to be described by; more of them need more points.

    Raises:
        TypeError: inputs that are no tensor of the first layer's dtype.
        ValueError: inputs of another shape, fewer than two, not finite, or with a feature that does not vary.
    """
    inputs = _as_inputs(inputs, layers[0])
    if inputs.ndim != 2 or inputs.shape[-1] != layers[0].in_features or len(inputs) < 2:
        raise ValueError(
            f"Argument `inputs` must have shape (at least 2, {layers[0].in_features}), but has shape "
            f"{tuple(inputs.shape)}. Pass samples that span the range of every feature."
        )
    if not bool(inputs.isfinite().all()):
        raise ValueError("Argument `inputs` must be finite, but holds NaN or infinity. Check where it comes from.")
    if not bool((inputs.amax(0) > inputs.amin(0)).all()):
        raise ValueError("Argument `inputs` must vary in every feature, but one is constant. Pass a range of values.")
    n_points = max(LEAST_SAMPLES, SAMPLES_A_PARAMETER * n_parameters)
    sampled = []
    for layer in layers:
        low, high = inputs.amin(0).double(), inputs.amax(0).double()
        margin = RANGE_MARGIN * (high - low).clamp_min(1e-3)  # a hidden feature may be constant
        low, high = low - margin, high + margin
        shares = torch.linspace(0, 1, n_points, dtype=torch.float64, device=low.device)[:, None]
        points = low + shares * (high - low)
        values = layer.edge_outputs(points.to(inputs.dtype))
        sampled.append(Sampled(*(part.double().cpu().numpy() for part in (low, high, points, values))))
        inputs = layer(inputs)
    return sampled


def _as_inputs(inputs: Any, layer: EdgeLayer) -> Tensor:
    """Return inputs in the precision and on the device of the layer, if it has parameters that say so."""
    like = next(layer.parameters(), None) if isinstance(layer, nn.Module) else None
    checks.require_tensor(inputs, "inputs")
    return inputs if like is None else checks.as_inputs(inputs, like)


@torch.no_grad()
def transferred(network: nn.Module, source: nn.Module, inputs: Tensor, sampled: list[Sampled]) -> Transfer:
    """Return `network` with its errors against `source`."""
    edge_errors = []
    for layer, edges in zip(edge_layers(network), sampled, strict=True):
        points = torch.from_numpy(edges.points).to(inputs)
        edge_errors.append(np.abs(layer.edge_outputs(points).double().cpu().numpy() - edges.values).max(0))
    return Transfer(network, edge_errors, float((network(inputs) - source(inputs)).abs().max()))
