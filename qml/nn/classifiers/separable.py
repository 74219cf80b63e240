"""The separable classifier: one qubit a feature and no entangling gate, the control of every comparison."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from circuits import Circuit, Z, data, weight
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers.base import CircuitClassifier, as_labels

STEEPNESS = 6.0  # of the sigmoid that makes a probability of a score in [-1, 1]


class SeparableClassifier(CircuitClassifier):
    r"""The classifier without entanglement: trained rotations and RY(x_i) in turns on a qubit a feature.

    The score is the mean of <Z> of all qubits. It is simulated at any number of features, which is its point: a
    circuit that is to be worth its qubits must do better.

    Args:
        n_inputs: Number of features and qubits.
        n_layers: Number of times the data are uploaded.
        backend: A backend or its name.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        generator: For the initial weights.

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, 3 a qubit and rotation, uniform in [0, 2 pi) at first.

    Raises:
        ValueError: If a number is too small.

    Reference:
        SeparableVariational of Bowles et al., arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import SeparableClassifier
        >>> SeparableClassifier(100)(torch.rand(7, 100)).shape
        torch.Size([7])
    """

    def __init__(
        self,
        n_inputs: int,
        n_layers: int = 1,
        *,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, self.n_layers = checks.as_int(n_inputs, "n_inputs", 1), checks.as_int(n_layers, "n_layers", 1)
        circuit = separable_circuit(n_inputs, self.n_layers)
        readouts = [Z(qubit) for qubit in range(n_inputs)]
        super().__init__(n_inputs, circuit, readouts, backend=backend, device=device, dtype=dtype)
        self.reset_parameters(generator)

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, " batch"]:
        """Return the mean of <Z> of all qubits."""
        return values.mean(1)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of sigmoid(6 f)."""
        scores = self(inputs)
        return functional.softplus(-STEEPNESS * as_labels(labels, scores) * scores).mean()

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs, "n_layers": self.n_layers}


def separable_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build R(weights) and RY(data) in turns, and R(weights) at the end, on every qubit."""
    circuit = Circuit(n_qubits)
    for layer in range(n_layers + 1):
        for qubit in range(n_qubits):
            first = 3 * (layer * n_qubits + qubit)
            circuit.rz(weight(first), qubit).ry(weight(first + 1), qubit).rz(weight(first + 2), qubit)
            if layer < n_layers:
                circuit.ry(data(qubit), qubit)
    return circuit
