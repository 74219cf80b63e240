"""The data re-uploading classifier: three features a qubit, uploaded again in each layer."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers._arithmetic import FIDELITY_LOSS, SCALED, VALUES
from qml.nn.classifiers.base import CircuitClassifier


class DataReuploadingClassifier(CircuitClassifier):
    r"""The data re-uploading classifier: rotations by w x and by theta in turns, with CZ between neighbours.

    Each qubit takes three features. A layer turns it by R(w_1 x_1, w_2 x_2, w_3 x_3), with trained scales w, and then
    by R(theta), where R(a, b, c) = RZ(c) RY(b) RZ(a); CZ join pairs of neighbours, shifted by one from layer to layer.
    A last rotation R(w x + theta) has no CZ. The score is the mean of <Z> of the qubits that are read.

    Args:
        n_inputs: Number of features; ceil(n_inputs / 3) qubits.
        n_layers: Number of layers before the last rotation.
        n_readouts: Number of qubits that are read, 1 to all.
        backend: A backend or its name.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial parameters.

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        weights: Angles theta in radians, shape (3 * qubits * (n_layers + 1),), uniform in [0, 1) at first; those of the
            last rotation stand at the end.
        scales: The factors w, shape (n_layers + 1, 3 * qubits), uniform in [0, 1) at first.

    Raises:
        ValueError: If a number is too small, or more qubits are to be read than there are.

    Reference:
        Perez-Salinas et al., arXiv:1907.02085, equations (14) and (22); sizes and start as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import DataReuploadingClassifier
        >>> DataReuploadingClassifier(5, n_layers=2)(torch.rand(7, 5)).shape
        torch.Size([7])
    """

    scales: nn.Parameter

    def __init__(
        self,
        n_inputs: int,
        n_layers: int = 4,
        *,
        n_readouts: int = 1,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, n_layers = checks.as_int(n_inputs, "n_inputs", 1), checks.as_int(n_layers, "n_layers", 1)
        n_qubits, n_readouts = math.ceil(n_inputs / 3), checks.as_int(n_readouts, "n_readouts", 1)
        if n_readouts > n_qubits:
            raise ValueError(
                f"Argument `n_readouts` must be at most {n_qubits}, the number of qubits, but is {n_readouts}."
            )
        self.n_layers, self.n_readouts = n_layers, n_readouts
        circuit = reuploading_circuit(n_qubits, n_layers)
        readouts = [Z(qubit) for qubit in range(n_readouts)]
        super().__init__(n_inputs, circuit, readouts, backend=backend, device=device, dtype=dtype)
        self.scales = nn.Parameter(self.weights.new_empty(n_layers + 1, 3 * n_qubits))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw angles and scales anew, uniform in [0, 1)."""
        checks.require_generator(generator)
        with torch.no_grad():
            for parameter in (self.weights, self.scales):
                parameter.uniform_(0.0, 1.0, generator=generator)

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch angles"]:
        """Return w x of each layer; missing features are 0."""
        return SCALED.plain(inputs, self.scales)

    def values(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch observables"]:
        """Compute the expectation values of the circuit."""
        if not self.computes_as(DataReuploadingClassifier):
            return super().values(inputs)
        return self.chained(SCALED, (inputs, self.scales), VALUES)

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, " batch"]:
        """Return the mean of <Z> of the qubits that are read."""
        return values.mean(1)

    def loss(
        self,
        inputs: Float[Tensor, "batch inputs"],
        labels: Float[Tensor, " batch"],
        class_weights: Float[Tensor, "classes readouts"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the weighted fidelity loss: of each qubit that is read, with the states of both classes.

        Args:
            inputs: Features.
            labels: -1 and +1.
            class_weights: Factors of the fidelities, shape (2, n_readouts); pass a parameter to train them with the
                layer, as the paper does (default: 1 everywhere).
        """
        inputs, labels = self.checked(inputs, labels)
        if class_weights is None and self.computes_as(DataReuploadingClassifier):  # both classes give the same term
            return self.chained(SCALED, (inputs, self.scales), FIDELITY_LOSS, (labels,))
        values = self.values(inputs)
        if class_weights is None:
            return FIDELITY_LOSS.plain(values, labels)
        fidelities = class_weights * torch.stack([1.0 - values, 1.0 + values], dim=1) / 2.0
        targets = torch.stack([1.0 - labels, 1.0 + labels], dim=1) / 2.0
        return (fidelities - targets[..., None]).square().sum((1, 2)).mean() / 2.0

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs, "n_layers": self.n_layers, "n_readouts": self.n_readouts}


def reuploading_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build layers of R(data), R(weights) and CZ on pairs of neighbours, and R(data + weights) at the end.

    Layer l has the data and weight slots 3 (l n_qubits + qubit) and the two behind it.
    """
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            first = 3 * (layer * n_qubits + qubit)
            for slot in (data, weight):
                circuit.rz(slot(first), qubit).ry(slot(first + 1), qubit).rz(slot(first + 2), qubit)
        for qubit in range(layer % 2, n_qubits - 1, 2):
            circuit.cz(qubit, qubit + 1)
    for qubit in range(n_qubits):
        first = 3 * (n_layers * n_qubits + qubit)
        circuit.rz(data(first), qubit).rz(weight(first), qubit)
        circuit.ry(data(first + 1), qubit).ry(weight(first + 1), qubit)
        circuit.rz(data(first + 2), qubit).rz(weight(first + 2), qubit)
    return circuit
