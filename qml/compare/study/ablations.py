"""Models of the study with one ingredient taken out, which it ran on MNIST alone."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from circuits import Circuit, data, weight
from qml.compare.study.layers import WeightedReuploading
from qml.nn import DressedQuantumCircuit
from qml.nn.classifiers.base import as_labels


class MergedReuploading(WeightedReuploading):
    """The re-uploading classifier with one rotation R(w x + theta) a layer and qubit, and parts of it left out.

    Args:
        n_inputs: Number of features.
        n_layers: Number of layers before the last rotation.
        has_scales: Whether the scales w are trained; else they are 1.
        has_pairs: Whether CZ join pairs of neighbours.
        options: As of `DataReuploadingClassifier`.
    """

    def __init__(self, n_inputs: int, n_layers: int = 4, *, has_scales: bool, has_pairs: bool, **options: Any) -> None:
        super().__init__(n_inputs, n_layers, **options)
        self.circuit = _rotations_of_data(self.circuit.n_qubits, n_layers, has_pairs=has_pairs)
        if not has_scales:
            self.register_parameter("scales", None)

    def values(self, inputs: Tensor) -> Tensor:
        """Compute <Z> of the qubits that are read."""
        return self.backend.expectation(self.circuit, self.angles(inputs), self.weights[:0], self.observables)

    def angles(self, inputs: Tensor) -> Tensor:
        """Return w x + theta of each layer."""
        offsets = self.weights.reshape(self.n_layers + 1, -1)
        rows = functional.pad(inputs, (0, offsets.shape[1] - self.n_inputs))[:, None, :]
        return ((rows if self.scales is None else self.scales * rows) + offsets).flatten(1)


class LaterReuploading(WeightedReuploading):
    """The re-uploading classifier whose data come first, in all their rotations R(w x), and its trained layers then."""

    def __init__(self, n_inputs: int, n_layers: int = 4, **options: Any) -> None:
        super().__init__(n_inputs, n_layers, **options)
        self.circuit = _data_and_then_layers(self.circuit.n_qubits, n_layers)


class PlainLossReuploading(WeightedReuploading):
    """The re-uploading classifier with the loss (1 - y sum_j <Z_j>) / 2 over all qubits; it is scored by the first."""

    def __init__(self, n_inputs: int, n_layers: int = 4, **options: Any) -> None:
        super().__init__(n_inputs, n_layers, **options)
        self.register_parameter("class_weights", None)

    def scores(self, values: Tensor) -> Tensor:
        """Return <Z> of the first qubit."""
        return values[:, 0]

    def loss(self, inputs: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Return the mean of (1 - y sum_j <Z_j>) / 2."""
        values = self.values(inputs)
        return (1.0 - as_labels(labels, values[:, 0]) * values.sum(1)).mean() / 2.0


class SeparableDressed(DressedQuantumCircuit):
    """The dressed circuit without entangling gates."""

    def __init__(self, n_inputs: int, **options: Any) -> None:
        super().__init__(n_inputs, **options)
        circuit = Circuit(n_inputs)
        for qubit in range(n_inputs):
            circuit.h(qubit).ry(data(qubit), qubit)
            for layer in range(self.n_layers):
                circuit.ry(weight(layer * n_inputs + qubit), qubit)
        self.circuit = circuit


def _rotations_of_data(n_qubits: int, n_layers: int, *, has_pairs: bool) -> Circuit:
    circuit = Circuit(n_qubits)
    for layer in range(n_layers + 1):
        for qubit in range(n_qubits):
            _rotate(circuit, data, 3 * (layer * n_qubits + qubit), qubit)
        if has_pairs and layer < n_layers:
            _join(circuit, layer)
    return circuit


def _data_and_then_layers(n_qubits: int, n_layers: int) -> Circuit:
    circuit = _rotations_of_data(n_qubits, n_layers, has_pairs=False)
    for layer in range(n_layers + 1):
        for qubit in range(n_qubits):
            _rotate(circuit, weight, 3 * (layer * n_qubits + qubit), qubit)
        if layer < n_layers:
            _join(circuit, layer)
    return circuit


def _rotate(circuit: Circuit, slot: Any, first: int, qubit: int) -> None:
    circuit.rz(slot(first), qubit).ry(slot(first + 1), qubit).rz(slot(first + 2), qubit)


def _join(circuit: Circuit, layer: int) -> None:
    for qubit in range(layer % 2, circuit.n_qubits - 1, 2):
        circuit.cz(qubit, qubit + 1)


KINDS: dict[str, tuple[Any, dict[str, bool]]] = {
    "re-uploading-no-scaling": (MergedReuploading, {"has_scales": False, "has_pairs": True}),
    "re-uploading-separable": (MergedReuploading, {"has_scales": True, "has_pairs": False}),
    "re-uploading-no-embedding": (LaterReuploading, {}),
    "re-uploading-no-cost": (PlainLossReuploading, {}),
    "dressed-separable": (SeparableDressed, {}),
}
"""The ablations by the names in `ENTRIES`: their layers, and options of these."""
