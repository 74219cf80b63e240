"""The circuit-centric classifier: amplitudes, strongly entangling layers, one qubit that is read."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, Z, ansatzes, data, weight
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers._arithmetic import AMPLITUDES, SQUARED_LOSS
from qml.nn.classifiers.base import CircuitClassifier, as_labels

INITIAL_BIAS = 0.01


class CircuitCentricClassifier(CircuitClassifier):
    r"""The circuit-centric classifier: f(x) = <Z_0> + b after strongly entangling layers on copies of the amplitudes.

    Each register of ceil(log2(n_inputs)) qubits holds the inputs as amplitudes, padded by a small constant and divided
    by their norm; several copies make the score a polynomial of higher degree in them.

    Args:
        n_inputs: Number of features, at least 2.
        n_layers: Number of strongly entangling layers.
        n_copies: Number of registers that hold the inputs.
        backend: A backend or its name.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial weights.

    Shape:
        (..., n_inputs) to (...): above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, 3 a qubit and layer, uniform in [0, 2 pi) at first.
        bias: The number b, shape (); 0.01 at first.

    Raises:
        ValueError: If a number is too small.

    Reference:
        Schuld et al., arXiv:1804.00633, section III; padding and start as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import CircuitCentricClassifier
        >>> CircuitCentricClassifier(5)(torch.rand(7, 5)).shape
        torch.Size([7])
    """

    bias: nn.Parameter

    def __init__(
        self,
        n_inputs: int,
        n_layers: int = 4,
        *,
        n_copies: int = 2,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, n_layers = checks.as_int(n_inputs, "n_inputs", 2), checks.as_int(n_layers, "n_layers", 1)
        n_copies = checks.as_int(n_copies, "n_copies", 1)
        self.n_layers, self.n_copies = n_layers, n_copies
        self.register_size = (n_inputs - 1).bit_length()
        circuit = circuit_centric_circuit(self.register_size, n_layers, n_copies)
        super().__init__(n_inputs, circuit, [Z(0)], backend=backend, device=device, dtype=dtype)
        self.bias = nn.Parameter(self.weights.new_empty(()))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles anew, and set the bias to 0.01."""
        super().reset_parameters(generator)
        with torch.no_grad():
            self.bias.fill_(INITIAL_BIAS)

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch amplitudes"]:
        """Return the amplitudes that all registers start from."""
        return AMPLITUDES.plain(inputs)

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, " batch"]:
        """Return <Z_0> + b."""
        return values[:, 0] + self.bias

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return half the mean squared difference of scores and labels."""
        if not self.computes_as(CircuitCentricClassifier):
            scores = self(inputs)
            return (scores - as_labels(labels, scores)).square().mean() / 2.0
        inputs, labels = self.checked(inputs, labels)
        return self.chained(AMPLITUDES, (inputs,), SQUARED_LOSS, (labels, self.bias))

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs, "n_layers": self.n_layers, "n_copies": self.n_copies}


def circuit_centric_circuit(register_size: int, n_layers: int, n_copies: int) -> Circuit:
    """Build registers with the same amplitudes, and strongly entangling layers on all qubits together."""
    n_qubits = register_size * n_copies
    circuit = Circuit(n_qubits)
    slots = [data(k) for k in range(2**register_size)]
    for copy in range(n_copies):
        circuit.prepare_slots(slots, range(copy * register_size, (copy + 1) * register_size))
    if n_qubits > 1:
        return circuit.compose(ansatzes.strongly_entangling(n_qubits, n_layers))
    for layer in range(n_layers):
        circuit.rz(weight(3 * layer), 0).ry(weight(3 * layer + 1), 0).rz(weight(3 * layer + 2), 0)
    return circuit
