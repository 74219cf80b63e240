"""Nystroem's features: a kernel of many samples from its values at a few of them."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.plain_pullback import plain_pullback


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
        """Compute the features of samples; see the class.

        Raises:
            TypeError: If inputs are no dense tensor of the landmarks' dtype.
            ValueError: If they are on another device, or the kernel refuses them.
        """
        inputs = checks.as_inputs(inputs, self.landmarks)
        with checks.full_precision(self.landmarks):
            return self._features(inputs)

    def _features(self, inputs: Tensor) -> Tensor:
        inner = self.kernel(self.landmarks)
        root = _InverseRoot.apply if not checks.needs_plain_operations() else _inverse_root
        return self.kernel(inputs, self.landmarks) @ root((inner + inner.mT) / 2)


def _inverse_root(matrix: Tensor) -> Tensor:
    """Compute K^(-1/2) of a symmetric matrix without the directions in which it is zero within rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * _scales(values)) @ vectors.mT


def _scales(values: Tensor) -> Tensor:
    """Return eigenvalues to the power -1/2, and 0 for those within rounding of 0."""
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return torch.where(kept, values, 1.0).rsqrt() * kept


class _InverseRoot(torch.autograd.Function):
    """The function `_inverse_root` with a first derivative that does not divide by differences of eigenvalues.

    Landmarks that a kernel tells wholly apart have eigenvalues that are equal, within rounding at least. In the basis V
    of eigenvectors the derivative of f(K) along dK is dK_kl (f_k - f_l) / (l_k - l_l) (Daleckii and Krein), where that
    quotient of two kept directions is -f_k f_l / (l_k f_k + l_l f_l).
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        """Compute the root of the inverse."""
        values, vectors = torch.linalg.eigh(matrix)
        scales = _scales(values)
        ctx.save_for_backward(matrix, values, vectors, scales)
        return (vectors * scales) @ vectors.mT

    @staticmethod
    @checks.in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> Tensor | None:
        """Return the gradient of K, or let autograd follow the plain function where its own derivative is wanted."""
        (gradient,) = gradients
        matrix, values, vectors, scales = ctx.saved_tensors
        if checks.needs_plain_pullback(gradient):
            return plain_pullback(_inverse_root, (matrix,), (True,), (gradient,))[0]
        kept = scales > 0
        both = kept[:, None] & kept[None, :]
        roots = values * scales
        gaps = torch.where(kept[:, None] ^ kept[None, :], values[:, None] - values[None, :], 1.0)
        apart = (scales[:, None] - scales[None, :]) / gaps
        together = -scales[:, None] * scales[None, :] / torch.where(both, roots[:, None] + roots[None, :], 1.0)
        quotients = torch.where(both, together, apart)
        return vectors @ (quotients * (vectors.mT @ gradient @ vectors)) @ vectors.mT
