"""Activations in place of given functions: a trigonometric polynomial by least squares, then its angles."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from qml import checks
from qml.edges import Sampled
from qml.nn.qkan.synthesis import angles_of

if TYPE_CHECKING:
    from qml.nn.qkan.layer import QKANLayer

PERIOD = 1.4  # of the polynomials, over the length of the range: a function that is not periodic needs room to return
LARGEST = 0.9  # modulus of an activation: the nearer to 1, the less smooth is its factorisation
RANK = 1e-8  # of least squares: smaller directions would be filled by large waves that cancel on the range


def fit_edges(layer: "QKANLayer", edges: Sampled) -> None:
    """Set every parameter of `layer` so that its edges are nearest to `edges`."""
    parameters = (layer.input_weight, layer.input_bias, layer.output_weight, layer.output_bias, layer.base_weight)
    if layer.ansatz != "pz" or layer.groups is not None or layer.base != "silu" or None in parameters:
        raise ValueError(
            'A layer must have ansatz "pz", base "silu", no groups and everything trained to be fitted to functions. '
            "Build one with the defaults."
        )
    _require_edges(layer, edges)
    orders, rank = np.arange(layer.reps + 1), max(RANK, 10 * torch.finfo(layer.weights.dtype).eps)
    centre, frequency = (edges.low + edges.high) / 2, 2 * np.pi / (PERIOD * (edges.high - edges.low))
    period = np.linspace(0, 2 * np.pi, 40 * len(orders))
    waves = np.concatenate([np.cos(np.outer(period, orders)), np.sin(np.outer(period, orders[1:]))], 1)
    shape = (layer.out_features, layer.in_features)
    angles = np.empty((*shape, 2 * len(orders)))
    v, c, u = np.empty(shape), np.empty(shape), np.empty(shape)
    for i in range(layer.in_features):
        turned = np.outer((edges.points[:, i] - centre[i]) * frequency[i], orders)
        silu = edges.points[:, i] / (1 + np.exp(-edges.points[:, i]))
        columns = np.concatenate([np.cos(turned), np.sin(turned[:, 1:]), silu[:, None]], 1)
        found, *_ = np.linalg.lstsq(columns, edges.values[:, :, i], rcond=rank)
        wave = waves @ found[:-1]
        half, middle = np.ptp(wave, 0) / 2, (wave.max(0) + wave.min(0)) / 2
        v[:, i] = np.where(half > 0, half / LARGEST, 1.0)
        c[:, i], u[:, i] = middle / v[:, i], found[-1]
        cosines, sines = found[: len(orders)].T / v[:, i, None], np.zeros((layer.out_features, len(orders)))
        cosines[:, 0] -= c[:, i]
        sines[:, 1:] = found[len(orders) : -1].T / v[:, i, None]
        angles[:, i] = angles_of(cosines, sines)
    scale = np.broadcast_to(frequency[None, :, None], (*shape, layer.reps))
    values = (angles, scale, -scale * centre[:, None], v, c, u)
    with torch.no_grad():
        for parameter, value in zip((layer.weights, *parameters), values, strict=True):
            if parameter is not None:
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def _require_edges(layer: "QKANLayer", edges: Sampled) -> None:
    """Refuse functions of another number or form than the layer's edges, and layers that cannot take their angles."""
    if not isinstance(edges, Sampled):
        raise TypeError(
            f"Argument `edges` must be a qml.edges.Sampled, but is {type(edges).__name__}. Make it with "
            "qml.edges.sample_edges."
        )
    checks.require_values(layer)
    checks.require_full_precision(layer.weights)
    n_points = len(edges.points)
    shapes = (layer.in_features,), (layer.in_features,), (n_points, layer.in_features)
    shapes = (*shapes, (n_points, layer.out_features, layer.in_features))
    for name, values, shape in zip(edges._fields, edges, shapes, strict=True):
        if np.shape(values) != shape:
            raise ValueError(f"Argument `edges` must have {name} of shape {shape}, but has {np.shape(values)}.")
        if not np.isfinite(values).all():
            raise ValueError(f"Argument `edges` must have finite {name}, but they hold NaN or infinity.")
