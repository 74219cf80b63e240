"""Arithmetic around the circuits of classifiers: by tensor operations, and by NumPy for `qml.backends.chain`."""

import numpy as np
from torch import Tensor
from torch.nn import functional

from qml.simulator.jit.chain import Array, Arrays, Wanted
from qml.simulator.jit.values import arithmetic, unseen


class Scaled:
    """Products of inputs (batch, inputs) and scales (layers, slots), (batch, layers * slots); missing inputs are 0."""

    def forward(self, arrays: Arrays) -> Array:
        """See `Before`."""
        inputs, scales = arrays
        products = np.zeros((max(len(inputs), len(scales)), inputs.shape[1], *scales.shape[1:]), inputs.dtype)
        unseen(arithmetic().scale, inputs, scales, products)
        return products.reshape(*products.shape[:2], -1)

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """See `Before`."""
        inputs, scales = arrays
        grad = grad.reshape(*grad.shape[:2], *scales.shape[1:])
        of_inputs = (grad[..., : inputs.shape[2]] * scales[:, None, :, : inputs.shape[2]]).sum(2) if wanted[0] else None
        of_scales = None
        if wanted[1]:
            of_scales = np.zeros((len(grad), *scales.shape[1:]))
            unseen(arithmetic().pull_scales, grad, inputs, of_scales)
        return [of_inputs, of_scales]

    def plain(self, inputs: Tensor, scales: Tensor) -> Tensor:
        """See `Before`."""
        missing = scales.shape[1] - inputs.shape[1]
        rows = functional.pad(inputs, (0, missing)) if missing else inputs
        return (scales * rows.unsqueeze(1)).flatten(1)


class Values:
    """The expectation values themselves."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """See `After`."""
        return values

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """See `After`."""
        return [grad]

    def plain(self, values: Tensor) -> Tensor:
        """See `After`."""
        return values


class FidelityLoss:
    """The sum of squares of values less labels, over four times the batch."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """See `After`."""
        sums = np.zeros(len(values), values.dtype)
        unseen(arithmetic().sum_squares, values, arrays[0], sums)
        return sums / (4.0 * values.shape[1])

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """See `After`."""
        of_values = np.empty_like(values)
        unseen(arithmetic().pull_squares, grad, 0.5 / values.shape[1], values, arrays[0], of_values)
        return [of_values, -of_values.sum(2) if wanted[0] else None]

    def plain(self, values: Tensor, labels: Tensor) -> Tensor:
        """See `After`."""
        return (values - labels.unsqueeze(1)).square().sum() / (4.0 * len(values))


SCALED = Scaled()
VALUES = Values()
FIDELITY_LOSS = FidelityLoss()
