"""The quantum convolutional neural network as a classifier."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Z, ansatzes, feature_maps
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers.base import CircuitClassifier, hit_loss


class QCNNClassifier(CircuitClassifier):
    r"""The quantum convolutional neural network: RX(x_i) on every qubit, convolutions, poolings, <Z> of the last.

    Each stage joins neighbours by two-qubit blocks and then halves the qubits, until one is left. Its depth grows with
    the logarithm of the number of qubits, and its gradients do not vanish exponentially.

    Args:
        n_inputs: Number of features and qubits: 2, 4, 8, ...
        is_shared: Whether the blocks of a stage share their weights, as a classical convolution does.
        backend: A backend or its name.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        generator: For the initial weights.

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, uniform in [0, 2 pi) at first; 6 a stage where they are shared.

    Raises:
        ValueError: If the number of features is no power of two.

    Reference:
        Cong, Choi and Lukin, arXiv:1810.03787, figure 1; gradients: Pesah et al., arXiv:2011.02966.

    Example:
        >>> import torch
        >>> from qml.nn import QCNNClassifier
        >>> QCNNClassifier(8)(torch.rand(7, 8)).shape
        torch.Size([7])
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        is_shared: bool = False,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, self.is_shared = checks.as_int(n_inputs, "n_inputs", 2), checks.as_flag(is_shared, "is_shared")
        circuit = feature_maps.angle(n_inputs).compose(ansatzes.qcnn(n_inputs, is_shared=self.is_shared))
        super().__init__(n_inputs, circuit, [Z(n_inputs - 1)], backend=backend, device=device, dtype=dtype)
        self.reset_parameters(generator)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean probability of the wrong outcome, (1 - y f) / 2."""
        return hit_loss(self(inputs), labels)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs, "is_shared": self.is_shared}
