"""Arithmetic around the circuits of classifiers: by tensor operations, and compiled for `qml.backends.chain`."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from qml.nn.classifiers.amplitudes import padded_amplitudes
from qml.simulator.jit.chain import Array, Arrays, Wanted
from qml.simulator.jit.values import arithmetic, unseen

# --- from inputs to the data of a circuit: see `Before` ---------------------------------------------------------------


class Scaled:
    """Products of inputs (batch, inputs) and scales (layers, slots), (batch, layers * slots); missing inputs are 0."""

    def forward(self, arrays: Arrays) -> Array:
        """Compute the products."""
        inputs, scales = arrays
        _require(scales.ndim == 3 and scales.shape[2] >= inputs.shape[2], "scales", scales)
        products = np.zeros((max(len(inputs), len(scales)), inputs.shape[1], *scales.shape[1:]), inputs.dtype)
        unseen(arithmetic().scale, inputs, scales, products)
        return products.reshape(*products.shape[:2], -1)

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of inputs and scales."""
        inputs, scales = arrays
        grad, n_inputs = grad.reshape(*grad.shape[:2], *scales.shape[1:]), inputs.shape[2]
        of_inputs = (grad[..., :n_inputs] * scales[:, None, :, :n_inputs]).sum(2) if wanted[0] else None
        of_scales = np.zeros((len(grad), *scales.shape[1:])) if wanted[1] else None
        if of_scales is not None:
            unseen(arithmetic().pull_scales, grad, inputs, of_scales)
        return [of_inputs, of_scales]

    def plain(self, inputs: Tensor, scales: Tensor) -> Tensor:
        """Compute the products by tensor operations."""
        missing = scales.shape[1] - inputs.shape[1]
        rows = functional.pad(inputs, (0, missing)) if missing else inputs
        return (scales * rows.unsqueeze(1)).flatten(1)


class Pairs:
    """Inputs, and behind them the products of all pairs."""

    def forward(self, arrays: Arrays) -> Array:
        """Compute inputs and products."""
        inputs = arrays[0]
        n_inputs = inputs.shape[2]
        result = np.empty((*inputs.shape[:2], n_inputs * (n_inputs + 1) // 2), inputs.dtype)
        unseen(arithmetic().write_pairs, inputs, result)
        return result

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """Return the gradient of the inputs."""
        of_inputs = np.zeros((len(grad), *arrays[0].shape[1:]))
        unseen(arithmetic().pull_pairs, grad, arrays[0], of_inputs)
        return [of_inputs]

    def plain(self, inputs: Tensor) -> Tensor:
        """Compute inputs and products by tensor operations."""
        first, second = torch.triu_indices(inputs.shape[1], inputs.shape[1], 1, device=inputs.device)
        return torch.cat([inputs, inputs[:, first] * inputs[:, second]], dim=1)


class Amplitudes:
    """Inputs as amplitudes; see `padded_amplitudes`."""

    def forward(self, arrays: Arrays) -> Array:
        """Compute the amplitudes."""
        inputs = arrays[0]
        amplitudes = np.empty((*inputs.shape[:2], 2 ** (inputs.shape[2] - 1).bit_length()), inputs.dtype)
        unseen(arithmetic().write_amplitudes, inputs, amplitudes)
        return amplitudes

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """Return the gradient of the inputs."""
        of_inputs = np.empty((len(grad), *arrays[0].shape[1:]))
        unseen(arithmetic().pull_amplitudes, grad, arrays[0], of_inputs)
        return [of_inputs]

    def plain(self, inputs: Tensor) -> Tensor:
        """Compute the amplitudes by tensor operations."""
        return padded_amplitudes(inputs, (inputs.shape[1] - 1).bit_length())


class Squashed:
    """Angles pi / 2 tanh(A x) of inputs x (batch, inputs) and a matrix A (angles, inputs)."""

    def forward(self, arrays: Arrays) -> Array:
        """Compute the angles."""
        inputs, matrix = arrays
        _require(matrix.ndim == 3 and matrix.shape[2] == inputs.shape[2], "entry", matrix)
        angles = np.empty((max(len(inputs), len(matrix)), inputs.shape[1], matrix.shape[1]), inputs.dtype)
        unseen(arithmetic().write_squashed, inputs, matrix, angles)
        return angles

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of inputs and matrix."""
        gradients = [np.zeros((len(grad), *array.shape[1:])) for array in arrays]
        unseen(arithmetic().pull_squashed, grad, *arrays, *gradients)
        return [part if one else None for part, one in zip(gradients, wanted, strict=True)]

    def plain(self, inputs: Tensor, matrix: Tensor) -> Tensor:
        """Compute the angles by tensor operations."""
        return math.pi / 2 * torch.tanh(functional.linear(inputs, matrix))


# --- from expectation values to a loss: see `After` -------------------------------------------------------------------


class Values:
    """The expectation values themselves."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Return the values."""
        return values

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradient."""
        return [grad]

    def plain(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class FidelityLoss:
    """The mean over samples of the squares of values less labels, over four."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Compute the loss."""
        return _summed(arithmetic().sum_squares, values, arrays[0]) / (4.0 * values.shape[1])

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of values and labels."""
        of_values = np.empty_like(values)
        unseen(arithmetic().pull_squares, grad, 0.5 / values.shape[1], values, arrays[0], of_values)
        return [of_values, -of_values.sum(2) if wanted[0] else None]

    def plain(self, values: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss by tensor operations."""
        return (values - labels.unsqueeze(1)).square().sum() / (4.0 * len(values))


class SquaredLoss:
    """Half the mean of the squares of the only value plus a bias less labels."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Compute the loss."""
        labels, bias = arrays
        _require(bias.ndim == 1, "bias", bias)
        if values.shape[2] != 1:
            raise ValueError(f"The loss must be of one observable, but the layer reads {values.shape[2]}.")
        return _summed(arithmetic().sum_squares, values, labels - bias[:, None]) / (2.0 * values.shape[1])

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of values, labels and bias."""
        labels, bias = arrays
        of_values = np.empty_like(values)
        unseen(arithmetic().pull_squares, grad, 1.0 / values.shape[1], values, labels - bias[:, None], of_values)
        slopes = of_values[:, :, 0]
        return [of_values, -slopes if wanted[0] else None, slopes.sum(1) if wanted[1] else None]

    def plain(self, values: Tensor, labels: Tensor, bias: Tensor) -> Tensor:
        """Compute the loss by tensor operations."""
        return (values[:, 0] + bias - labels).square().mean() / 2.0


class HitLoss:
    """The mean of (1 - y f) / 2, the probability of the wrong outcome, of the only value f and labels y."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Compute the loss."""
        return (1.0 - values[:, :, 0] * arrays[0]).mean(1) / 2.0

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of values and labels."""
        slopes = grad[:, None, None] * (-0.5 / values.shape[1])
        return [slopes * arrays[0][:, :, None], slopes[:, 0] * values[:, :, 0] if wanted[0] else None]

    def plain(self, values: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss by tensor operations."""
        return (1.0 - labels * values[:, 0]).mean() / 2.0


class CrossEntropy:
    """The mean cross entropy of two classes, labels -1 and +1, with logits B v of values v and a matrix B."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Compute the loss."""
        labels, matrix = arrays
        _require(matrix.shape[1:] == (2, values.shape[2]), "exit", matrix)
        return _summed(arithmetic().sum_entropies, values, matrix, labels) / values.shape[1]

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradients of values, labels, which is 0, and matrix."""
        labels, matrix = arrays
        of_values, of_matrix = np.empty_like(values), np.zeros((len(values), *matrix.shape[1:]))
        given = grad, 1.0 / values.shape[1], values, matrix, labels
        unseen(arithmetic().pull_entropies, *given, of_values, of_matrix)
        return [of_values, None, of_matrix if wanted[1] else None]

    def plain(self, values: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
        """Compute the loss by tensor operations."""
        return functional.cross_entropy(functional.linear(values, matrix), (labels > 0).long())


def _require(fits: bool, name: str, array: Array) -> None:
    """Refuse a parameter of a shape of which compiled loops would read what is not there."""
    if not fits:
        raise ValueError(
            f"Parameter `{name}` must have the shape that its layer has given it, but has shape {array.shape[1:]}. "
            "Make a layer of other sizes."
        )


def _summed(function: Callable[..., None], values: Array, *others: Array) -> Array:
    """Return the sum that a compiled function adds up for each group."""
    sums = np.zeros(len(values), values.dtype)
    unseen(function, values, *others, sums)
    return sums


SCALED, PAIRS, AMPLITUDES, SQUASHED = Scaled(), Pairs(), Amplitudes(), Squashed()
VALUES, FIDELITY_LOSS, SQUARED_LOSS, HIT_LOSS = Values(), FidelityLoss(), SquaredLoss(), HitLoss()
CROSS_ENTROPY = CrossEntropy()
