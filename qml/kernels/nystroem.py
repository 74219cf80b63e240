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
        return self.kernel(inputs, self.landmarks) @ _inverse_root((inner + inner.mT) / 2)


def _inverse_root(matrix: Tensor) -> Tensor:
    """Compute K^(-1/2) of a symmetric matrix without the directions in which it is zero within rounding.

    Landmarks that a kernel tells wholly apart have equal eigenvalues. Derivatives by eigenvectors divide by differences
    of eigenvalues; those here, of the root and of the projector onto the directions that are left out, do not.
    """
    if checks.is_traced() or checks.in_trace():  # which follow plain operations alone
        values, vectors = torch.linalg.eigh(matrix)
        kept = _is_kept(values)
        return (vectors * (torch.where(kept, values, 1.0).rsqrt() * kept)) @ vectors.mT
    null = _apply(_NullProjector, matrix)
    return torch.linalg.inv(_apply(_Root, matrix + null)) - null


def _is_kept(values: Tensor) -> Tensor:
    """Tell which eigenvalues, in ascending order, are not 0 within rounding."""
    return values > len(values) * torch.finfo(values.dtype).eps * values[-1]


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.mT) / 2


def _apply(function: Any, *matrices: Tensor) -> Tensor:
    return function.apply(*matrices)


class _SavingInputs(torch.autograd.Function):
    """A function whose derivatives are written in its inputs, for both modes and for torch.func."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Save the inputs."""
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)


class _NullProjector(_SavingInputs):
    """The projector P onto the null space of K, of which dP = -(K^+ dK P + P dK K^+)."""

    @staticmethod
    def forward(matrix: Tensor) -> Tensor:
        """Compute P."""
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * ~_is_kept(values)) @ vectors.mT

    @staticmethod
    def jvp(ctx: Any, *directions: Tensor) -> Tensor:
        """Compute dP."""
        (matrix,) = ctx.saved_tensors
        null = _apply(_NullProjector, matrix)
        half = (torch.linalg.inv(matrix + null) - null) @ _symmetric(directions[0]) @ null
        return -(half + half.mT)

    @staticmethod
    @checks.in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Compute the gradient of K; the map from dK to dP is its own adjoint."""
        return _NullProjector.jvp(ctx, *gradients)


class _Root(_SavingInputs):
    """The root S of a positive definite matrix K, of which S dS + dS S = dK."""

    @staticmethod
    def forward(matrix: Tensor) -> Tensor:
        """Compute S."""
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * values.sqrt()) @ vectors.mT

    @staticmethod
    def jvp(ctx: Any, *directions: Tensor) -> Tensor:
        """Compute dS."""
        (matrix,) = ctx.saved_tensors
        return _apply(_Lyapunov, _apply(_Root, matrix), _symmetric(directions[0]))

    @staticmethod
    @checks.in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Compute the gradient of K; the map from dK to dS is its own adjoint."""
        return _Root.jvp(ctx, *gradients)


class _Lyapunov(_SavingInputs):
    """The solution Y of S Y + Y S = R, of which S dY + dY S = dR - dS Y - Y dS."""

    @staticmethod
    def forward(root: Tensor, right: Tensor) -> Tensor:
        """Compute Y."""
        values, vectors = torch.linalg.eigh(root)
        return vectors @ ((vectors.mT @ right @ vectors) / (values[:, None] + values[None, :])) @ vectors.mT

    @staticmethod
    def jvp(ctx: Any, *directions: Tensor) -> Tensor:
        """Compute dY."""
        root, right = ctx.saved_tensors
        solution = _apply(_Lyapunov, root, right)
        turned = directions[0] @ solution
        return _apply(_Lyapunov, root, directions[1] - turned - solution @ directions[0])

    @staticmethod
    @checks.in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the gradients of S and R."""
        root, right = ctx.saved_tensors
        solution, of_right = _apply(_Lyapunov, root, right), _apply(_Lyapunov, root, gradients[0])
        return -(of_right @ solution.mT + solution.mT @ of_right), of_right
