"""The dressed quantum circuit: a circuit between two linear maps, as in transfer learning."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from circuits import Circuit, Z, data, weight
from qml import checks
from qml.backends import Backend
from qml.nn.classifiers._arithmetic import CROSS_ENTROPY, SQUASHED
from qml.nn.classifiers.base import CircuitClassifier, as_labels


class DressedQuantumCircuit(CircuitClassifier):
    r"""The dressed quantum circuit: logits B <Z> of a circuit whose angles are pi/2 tanh(A x).

    The circuit is H and RY of an angle on each qubit, and then layers of RY of a weight on each qubit followed by a
    ring of CX. Put it behind a network that was trained on other data, and it learns the new classes.

    Args:
        in_features: Number of features.
        out_features: Number of classes, at least 2.
        n_qubits: Number of qubits (default: one a feature).
        n_layers: Number of layers.
        backend: A backend or its name.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial parameters.

    Shape:
        (..., in_features) to logits (..., out_features).

    Attributes:
        weights: Angles in radians, one a qubit and layer, uniform in [0, 2 pi) at first.
        entry: The matrix A, shape (n_qubits, in_features), drawn from N(0, 1 / n_qubits) at first.
        exit: The matrix B, shape (out_features, n_qubits), likewise.

    Raises:
        ValueError: If a number is too small.

    Reference:
        Mari et al., arXiv:1912.08278, section 2; without biases and with the start of arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import DressedQuantumCircuit
        >>> DressedQuantumCircuit(512, 3, n_qubits=4)(torch.rand(7, 512)).shape
        torch.Size([7, 3])
    """

    entry: nn.Parameter
    exit: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int = 2,
        *,
        n_qubits: int | None = None,
        n_layers: int = 3,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        in_features, out_features = (
            checks.as_int(in_features, "in_features", 1),
            checks.as_int(out_features, "out_features", 2),
        )
        n_qubits = in_features if n_qubits is None else checks.as_int(n_qubits, "n_qubits", 1)
        self.out_features, self.n_layers = out_features, checks.as_int(n_layers, "n_layers", 1)
        circuit = dressed_circuit(n_qubits, self.n_layers)
        readouts = [Z(qubit) for qubit in range(n_qubits)]
        super().__init__(in_features, circuit, readouts, backend=backend, device=device, dtype=dtype)
        self.entry = nn.Parameter(self.weights.new_empty(n_qubits, in_features))
        self.exit = nn.Parameter(self.weights.new_empty(out_features, n_qubits))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all parameters anew."""
        super().reset_parameters(generator)
        with torch.no_grad():
            for matrix in (self.entry, self.exit):
                matrix.normal_(0.0, 1.0 / self.circuit.n_qubits, generator=generator)

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch angles"]:
        """Return pi/2 tanh(A x)."""
        return SQUASHED.plain(inputs, self.entry)

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, "batch classes"]:
        """Return the logits B <Z>."""
        return functional.linear(values, self.exit)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of two classes with labels -1 and +1.

        Raises:
            ValueError: If there are more than two classes. Use `torch.nn.functional.cross_entropy` for them.
        """
        if self.out_features != 2:
            raise ValueError(
                f"Labels -1 and +1 must be of 2 classes, but the layer has {self.out_features}. "
                "Use torch.nn.functional.cross_entropy(layer(inputs), classes)."
            )
        if self.computes_as(DressedQuantumCircuit):
            inputs, labels = self.checked(inputs, labels)
            return self.chained(SQUASHED, (inputs, self.entry), CROSS_ENTROPY, (labels, self.exit))
        logits = self(inputs)
        return functional.cross_entropy(logits, (as_labels(labels, logits[:, 0]) > 0).long())

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {
            "in_features": self.n_inputs,
            "out_features": self.out_features,
            "n_qubits": self.circuit.n_qubits,
            "n_layers": self.n_layers,
        }


def dressed_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build H and RY(data) on every qubit, and layers of RY(weight) and a ring of CX, which is one CX on two qubits."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.h(qubit).ry(data(qubit), qubit)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            circuit.ry(weight(layer * n_qubits + qubit), qubit)
        for qubit in range(n_qubits if n_qubits > 2 else n_qubits - 1):
            circuit.cx(qubit, (qubit + 1) % n_qubits)
    return circuit
