"""The tree tensor classifier: amplitudes, and a tree of rotations and CX that ends in one qubit."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, Z, ansatzes, data, weight
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers.amplitudes import padded_amplitudes
from qml.nn.classifiers.base import CircuitClassifier, as_labels

BIAS_DEVIATION = 0.1


class TreeTensorClassifier(CircuitClassifier):
    r"""The tree tensor network classifier: f(x) = <Z_0> + b at the root of a binary tree.

    Its gradients do not vanish exponentially with the number of qubits. The inputs are amplitudes, padded by a small
    constant and divided by their norm, of a number of qubits that is the smallest power of two that holds them.

    Args:
        n_inputs: Number of features, at least 2.
        backend: A backend or its name.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial parameters.

    Shape:
        (..., n_inputs) to (...): above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, 2 n_qubits - 1, uniform in [0, 2 pi) at first.
        bias: The number b, shape (), drawn from N(0, 0.1) at first.

    Raises:
        ValueError: If there are fewer than two features.

    Reference:
        Zhang et al., arXiv:2011.06258, section III; padding and start as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import TreeTensorClassifier
        >>> TreeTensorClassifier(5)(torch.rand(7, 5)).shape
        torch.Size([7])
    """

    bias: nn.Parameter

    def __init__(
        self,
        n_inputs: int,
        *,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs = checks.as_int(n_inputs, "n_inputs", 2)
        super().__init__(n_inputs, tree_circuit(n_inputs), [Z(0)], backend=backend, device=device, dtype=dtype)
        self.bias = nn.Parameter(self.weights.new_empty(()))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all parameters anew."""
        super().reset_parameters(generator)
        with torch.no_grad():
            self.bias.normal_(0.0, BIAS_DEVIATION, generator=generator)

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch amplitudes"]:
        """Return the amplitudes that the tree starts from."""
        return padded_amplitudes(inputs, self.circuit.n_qubits)

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, " batch"]:
        """Return <Z_0> + b."""
        return values[:, 0] + self.bias

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean squared difference of scores and labels."""
        scores = self(inputs)
        return (scores - as_labels(labels, scores)).square().mean()

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs}


def tree_circuit(n_inputs: int) -> Circuit:
    """Build the amplitudes and the tree on the smallest power of two of qubits that holds so many amplitudes."""
    needed = (n_inputs - 1).bit_length()
    n_qubits = 1 << (needed - 1).bit_length()
    circuit = Circuit(n_qubits).prepare_slots([data(k) for k in range(2**n_qubits)])
    return circuit.ry(weight(0), 0) if n_qubits == 1 else circuit.compose(ansatzes.binary_tree(n_qubits))
