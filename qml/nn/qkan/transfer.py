"""Activations in place of given functions: a trigonometric polynomial by least squares, then its angles."""

from typing import Any, NamedTuple

import numpy as np

from qml.edges import Sampled
from qml.nn.qkan.synthesis import angles_of

PERIOD = (
    1.4  # of the polynomials, over the length of the range: a function that is not periodic has to return on the rest
)
MAX_MODULUS = 0.9  # of an activation: the nearer to 1, the less smooth is its factorisation
MIN_RANK = 1e-8  # of least squares: smaller directions would be filled by large waves that cancel on the range


class FittedEdges(NamedTuple):
    """The parameters of a layer of ansatz "pz" and base "silu" that is nearest to given functions.

    Attributes:
        weights: angles in radians, shape (outputs, inputs, 2 (reps + 1)).
        input_weight, input_bias: w and b, shape (outputs, inputs, reps).
        output_weight, output_bias, base_weight: v, c and u, shape (outputs, inputs).
    """

    weights: np.ndarray
    input_weight: np.ndarray
    input_bias: np.ndarray
    output_weight: np.ndarray
    output_bias: np.ndarray
    base_weight: np.ndarray


def fitted_edges(edges: Sampled, reps: int, eps: float) -> FittedEdges:
    """Compute the parameters whose edges are nearest to `edges`.

    Args:
        edges: the functions, finite.
        reps: uploads of every circuit.
        eps: rounding of the layer's dtype.
    """
    orders, rank = np.arange(reps + 1), max(MIN_RANK, 10 * eps)
    centre, frequency = (edges.low + edges.high) / 2, 2 * np.pi / (PERIOD * (edges.high - edges.low))
    period = np.linspace(0, 2 * np.pi, 40 * len(orders))
    waves = np.concatenate([np.cos(np.outer(period, orders)), np.sin(np.outer(period, orders[1:]))], 1)
    shape = edges.values.shape[1:]
    n_outputs, n_inputs = shape
    angles = np.empty((*shape, 2 * len(orders)))
    v, c, u = np.empty(shape), np.empty(shape), np.empty(shape)
    for i in range(n_inputs):
        phases = np.outer((edges.points[:, i] - centre[i]) * frequency[i], orders)
        silu = edges.points[:, i] / (1 + np.exp(-edges.points[:, i]))
        columns = np.concatenate([np.cos(phases), np.sin(phases[:, 1:]), silu[:, None]], 1)
        solution, *_ = np.linalg.lstsq(columns, edges.values[:, :, i], rcond=rank)
        wave = waves @ solution[:-1]
        half, middle = np.ptp(wave, 0) / 2, (wave.max(0) + wave.min(0)) / 2
        v[:, i] = np.where(half > 0, half / MAX_MODULUS, 1.0)
        c[:, i], u[:, i] = middle / v[:, i], solution[-1]
        cosines, sines = solution[: len(orders)].T / v[:, i, None], np.zeros((n_outputs, len(orders)))
        cosines[:, 0] -= c[:, i]
        sines[:, 1:] = solution[len(orders) : -1].T / v[:, i, None]
        angles[:, i] = angles_of(cosines, sines)
    scale = np.broadcast_to(frequency[None, :, None], (*shape, reps))
    return FittedEdges(angles, scale, -scale * centre[:, None], v, c, u)


def require_edges(edges: Any, in_features: int, out_features: int) -> None:
    """Refuse functions in another form, of another number or with NaN.

    Raises:
        TypeError: no `Sampled`.
        ValueError: other shapes, NaN or infinity.
    """
    if not isinstance(edges, Sampled):
        raise TypeError(
            f"Argument `edges` must be a qml.edges.Sampled, but is {type(edges).__name__}. Make it with "
            "qml.edges.sample_edges."
        )
    n_points = len(edges.points)
    shapes = (in_features,), (in_features,), (n_points, in_features), (n_points, out_features, in_features)
    for name, values, shape in zip(edges._fields, edges, shapes, strict=True):
        if np.shape(values) != shape:
            raise ValueError(f"Argument `edges` must have {name} of shape {shape}, but has {np.shape(values)}.")
        if not np.isfinite(values).all():
            raise ValueError(f"Argument `edges` must have finite {name}, but they hold NaN or infinity.")
