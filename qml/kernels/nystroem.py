"""Nystroem's features: a kernel of many samples from its values at a few of them."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks


class NystroemFeatures(nn.Module):
    r"""Features whose scalar products approximate a kernel: phi(x) = k(x, landmarks) K^(-1/2).

    K is the kernel matrix of the landmarks. A linear model on these features costs n m kernel values for n samples and
    m landmarks, in place of n^2; on the landmarks themselves the kernel is met exactly. Directions in which K is zero
    within rounding are left out.

    Args:
        kernel: A module from inputs (n, inputs) and landmarks (m, inputs) to the kernel matrix (n, m), such as
            `FidelityKernel`.
        landmarks: Some of the training inputs.

    Shape:
        (batch, inputs) to (batch, landmarks).

    Attributes:
        landmarks: The landmarks, a buffer.

    Raises:
        ValueError: If there are no landmarks, or they are not finite.

    Reference:
        Williams and Seeger, NIPS 13 (2000), equation (8).

    Example:
        >>> import torch
        >>> from circuits import feature_maps
        >>> from qml.kernels import FidelityKernel, NystroemFeatures
        >>> inputs = torch.rand(500, 3)
        >>> NystroemFeatures(FidelityKernel(feature_maps.angle(3)), inputs[:20])(inputs).shape
        torch.Size([500, 20])
    """

    landmarks: Tensor

    def __init__(self, kernel: nn.Module, landmarks: Any) -> None:
        super().__init__()
        if not isinstance(kernel, nn.Module):
            raise TypeError(f"Argument `kernel` must be a module, but is {type(kernel).__name__}.")
        checks.require_tensor(landmarks, "landmarks")
        if not landmarks.is_floating_point() or landmarks.ndim != 2 or not len(landmarks):
            raise ValueError(
                f"Argument `landmarks` must have shape (landmarks, inputs) with one or more, floating, but is "
                f"{landmarks.dtype} of shape {tuple(landmarks.shape)}."
            )
        checks.require_finite(landmarks, "landmarks")
        self.kernel = kernel
        self.register_buffer("landmarks", landmarks.detach().clone())

    def forward(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch landmarks"]:
        """Compute the features of samples; see the class."""
        inner = self.kernel(self.landmarks)
        values, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
        rounding = len(values) * torch.finfo(values.dtype).eps  # of eigenvalues, as a share of the largest
        kept = values > rounding * values[-1]
        scales = torch.where(kept, values, 1.0).rsqrt() * kept
        return self.kernel(inputs, self.landmarks) @ (vectors * scales) @ vectors.mT
