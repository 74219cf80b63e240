"""The projected kernel: a Gaussian of the distance between expectation values."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, ComputedCircuit, Observable, X, Y, Z
from qml import checks
from qml.backends import Backend
from qml.nn import QuantumLayer
from qml.nn.angles import computed_angles


class ProjectedKernel(nn.Module):
    r"""The kernel k(x, x') = exp(-gamma sum_k (<O_k>_x - <O_k>_x')^2) of a circuit's expectation values.

    It needs one circuit a sample where the fidelity kernel needs one a pair. With X, Y and Z of every qubit, which is
    the default, the sum is twice the sum of the squared Hilbert-Schmidt distances of the one-qubit density matrices.

    Args:
        feature_map: A circuit; its data slots are filled by the inputs and its weight slots, if any, by a parameter. A
            `ComputedCircuit` stands for a circuit and the `Angles` of its polynomials.
        observables: Observables O_k; None for X, Y and Z of every qubit.
        gamma: The first value of gamma, above 0. It is trained with the weights, by its logarithm; freeze it by
            `kernel.log_gamma.requires_grad_(False)`.
        angles: A module from inputs to the angles of the data slots; None where inputs are angles in radians.
        backend: A backend or its name.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial weights, uniform in [-pi, pi).

    Shape:
        (batch, inputs) to (batch, batch), or with others (others, inputs) to (batch, others).

    Attributes:
        layer: The layer that computes expectation values, with the weights.
        log_gamma: Logarithm of gamma, shape ().

    Raises:
        ValueError: If gamma is not above 0, or an observable is outside the circuit.

    Reference:
        Huang et al., arXiv:2011.01938, equation (9).

    Example:
        >>> import torch
        >>> from circuits import feature_maps
        >>> from qml.kernels import ProjectedKernel
        >>> ProjectedKernel(feature_maps.angle(3))(torch.rand(5, 3)).shape
        torch.Size([5, 5])
    """

    log_gamma: nn.Parameter

    def __init__(
        self,
        feature_map: Circuit | ComputedCircuit,
        observables: Sequence[Observable] | None = None,
        *,
        gamma: float | int = 1.0,
        angles: nn.Module | None = None,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        gamma = checks.as_number(gamma, "gamma")
        if not gamma > 0.0:
            raise ValueError(f"Argument `gamma` must be above 0, but is {gamma}. Pass for example 1.0.")
        if angles is not None and not isinstance(angles, nn.Module):
            raise TypeError(f"Argument `angles` must be a module or None, but is {type(angles).__name__}.")
        if isinstance(feature_map, ComputedCircuit):
            angles = computed_angles(feature_map, angles, device=device, dtype=dtype, generator=generator)
            feature_map = feature_map.circuit
        if observables is None and isinstance(feature_map, Circuit):
            observables = [pauli(qubit) for qubit in range(feature_map.n_qubits) for pauli in (X, Y, Z)]
        self.angles = angles
        self.layer = QuantumLayer(
            feature_map, observables, backend=backend, device=device, dtype=dtype, generator=generator
        )
        self.log_gamma = nn.Parameter(torch.tensor(math.log(gamma), device=device, dtype=self.layer.weights.dtype))

    def forward(
        self, inputs: Float[Tensor, "batch inputs"], others: Float[Tensor, "others inputs"] | None = None
    ) -> Float[Tensor, "batch others"]:
        """Compute the kernel matrix of `inputs` with `others`, or with themselves.

        Raises:
            TypeError: If inputs are no dense tensors of the kernel's dtype.
            ValueError: If they have another shape or device, or hold NaN or infinity.
        """
        rows = self.features(inputs)
        columns = rows if others is None else self.features(others)
        distances = (rows[:, None, :] - columns[None, :, :]).square().sum(-1)
        return torch.exp(-self.log_gamma.exp() * distances)

    def features(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch observables"]:
        """Compute the expectation values of the observables."""
        inputs = checks.as_inputs(inputs, self.log_gamma)
        if inputs.ndim != 2:
            raise ValueError(
                f"Argument `inputs` must have shape (batch, inputs), but has shape {tuple(inputs.shape)}. Flatten it."
            )
        return self.layer(inputs if self.angles is None else self.angles(inputs))

    def to_backend(self, backend: Backend | str) -> "ProjectedKernel":
        """Run on another backend from now on, with the same weights; return the kernel."""
        self.layer.to_backend(backend)
        return self

    __prepare_scriptable__ = checks.refuse_scripting
