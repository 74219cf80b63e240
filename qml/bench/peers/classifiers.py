"""The classifiers of arXiv:2403.07059 in PennyLane under jax: jitted, vectorised over the batch, in float64."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import nn

from qml.bench.bench import Step

Array = Any
"""An array of jax."""

Parameters = Mapping[str, Array]


def jax_step(work: Sequence[tuple[nn.Module, torch.Tensor, torch.Tensor]]) -> Step:
    """Build a step of the layers' losses and their gradients in all parameters, by PennyLane and jax.

    Args:
        work: equal layers, each with its inputs and labels; several are the folds of a search, one after another.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    numbers = jax.numpy
    predict, loss_of = MODELS[type(work[0][0]).__name__](work[0][0])
    batched = jax.vmap(predict, (None, 0))
    names = [name for name, _ in work[0][0].named_parameters()]
    folds = [
        (
            {name: numbers.asarray(value.detach().numpy()) for name, value in layer.named_parameters()},
            numbers.asarray(inputs.numpy()),
            numbers.asarray(labels.numpy()),
        )
        for layer, inputs, labels in work
    ]

    def loss(parameters: Parameters, rows: Array, signs: Array) -> Array:
        return loss_of(batched(parameters, rows), signs)

    value_and_grad = jax.jit(jax.value_and_grad(loss))

    def step() -> dict[str, Array]:
        answers = []
        for fold in folds:
            answers.append(value_and_grad(*fold))
            jax.block_until_ready(answers[-1])
        losses = np.stack([value for value, _ in answers])
        gradients = [np.concatenate([np.ravel(gradient[name]) for name in names]) for _, gradient in answers]
        return {"loss": losses, "gradient": np.stack(gradients)}

    return step


Predict = Callable[[Parameters, Array], Array]
LossOf = Callable[[Array, Array], Array]


def _node(circuit: Callable[..., object], n_qubits: int) -> Any:
    import pennylane as pl

    return pl.QNode(circuit, pl.device("default.qubit", wires=n_qubits), "jax", "backprop")


def reuploading(layer: Any) -> tuple[Predict, LossOf]:
    """Return scores and loss of the re-uploading classifier that reads one qubit."""
    import jax.numpy as jnp
    import pennylane as pl

    n_qubits, n_layers = layer.circuit.n_qubits, layer.n_layers

    def circuit(scaled: Array, angles: Array) -> object:
        for level in range(n_layers):
            for qubit in range(n_qubits):
                pl.Rot(*scaled[level, qubit], wires=qubit)
                pl.Rot(*angles[level, qubit], wires=qubit)
            for qubit in range(level % 2, n_qubits - 1, 2):
                pl.CZ(wires=[qubit, qubit + 1])
        for qubit in range(n_qubits):
            pl.Rot(*(scaled[n_layers, qubit] + angles[n_layers, qubit]), wires=qubit)
        return pl.expval(pl.PauliZ(0))

    node = _node(circuit, n_qubits)
    shape = (n_layers + 1, n_qubits, 3)

    def predict(parameters: Parameters, row: Array) -> Array:
        padded = jnp.concatenate([row, jnp.zeros(3 * n_qubits - len(row))])
        return node((parameters["scales"] * padded).reshape(shape), parameters["weights"].reshape(shape))

    def loss(scores: Array, labels: Array) -> Array:
        first, second = (1 - scores) / 2 - (1 - labels) / 2, (1 + scores) / 2 - (1 + labels) / 2
        return (first**2 + second**2).mean() / 2

    return predict, loss


def dressed(layer: Any) -> tuple[Predict, LossOf]:
    """Return logits and loss of the dressed quantum circuit."""
    import jax
    import jax.numpy as jnp
    import pennylane as pl

    n_qubits, n_layers = layer.circuit.n_qubits, layer.n_layers

    def circuit(angles: Array, weights: Array) -> object:
        for qubit in range(n_qubits):
            pl.Hadamard(wires=qubit)
            pl.RY(angles[qubit], wires=qubit)
        for level in range(n_layers):
            for qubit in range(n_qubits):
                pl.RY(weights[level, qubit], wires=qubit)
            for qubit in range(n_qubits):
                pl.CNOT(wires=[qubit, (qubit + 1) % n_qubits])
        return [pl.expval(pl.PauliZ(qubit)) for qubit in range(n_qubits)]

    node = _node(circuit, n_qubits)

    def predict(parameters: Parameters, row: Array) -> Array:
        angles = jnp.pi / 2 * jnp.tanh(parameters["entry"] @ row)
        return parameters["exit"] @ jnp.stack(node(angles, parameters["weights"].reshape(n_layers, n_qubits)))

    def loss(logits: Array, labels: Array) -> Array:
        chosen = (labels > 0).astype(int)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), chosen[:, None], 1).mean()

    return predict, loss


def iqp(layer: Any) -> tuple[Predict, LossOf]:
    """Return scores and loss of the classifier on the IQP embedding."""
    import pennylane as pl

    n_qubits, n_layers, n_repetitions = layer.circuit.n_qubits, layer.n_layers, layer.n_repetitions

    def circuit(row: Array, weights: Array) -> object:
        for _ in range(n_repetitions):
            for qubit in range(n_qubits):
                pl.Hadamard(wires=qubit)
                pl.RZ(row[qubit], wires=qubit)
            for first, second in combinations(range(n_qubits), 2):
                pl.IsingZZ(row[first] * row[second], wires=[first, second])
        entangler: Any = pl.CZ
        pl.StronglyEntanglingLayers(weights, wires=range(n_qubits), imprimitive=entangler)
        return pl.expval(pl.PauliZ(0) @ pl.PauliZ(1))

    node = _node(circuit, n_qubits)
    return (
        lambda parameters, row: node(row, parameters["weights"].reshape(n_layers, n_qubits, 3)),
        lambda scores, labels: (1 - labels * scores).mean() / 2,
    )


def circuit_centric(layer: Any) -> tuple[Predict, LossOf]:
    """Return scores and loss of the circuit-centric classifier."""
    import jax.numpy as jnp
    import pennylane as pl

    n_qubits, n_layers, n_copies = layer.circuit.n_qubits, layer.n_layers, layer.n_copies
    size = 2**layer.register_size

    def circuit(amplitudes: Array, weights: Array) -> object:
        pl.StatePrep(amplitudes, wires=range(n_qubits))
        pl.StronglyEntanglingLayers(weights, wires=range(n_qubits))
        return pl.expval(pl.PauliZ(0))

    node = _node(circuit, n_qubits)

    def predict(parameters: Parameters, row: Array) -> Array:
        padded = jnp.concatenate([row, jnp.full(size - len(row), 1.0 / size)])
        one = padded / jnp.linalg.norm(padded)
        amplitudes = one
        for _ in range(n_copies - 1):
            amplitudes = jnp.kron(amplitudes, one)
        return node(amplitudes, parameters["weights"].reshape(n_layers, n_qubits, 3)) + parameters["bias"]

    return predict, lambda scores, labels: ((scores - labels) ** 2).mean() / 2


MODELS: dict[str, Callable[[Any], tuple[Predict, LossOf]]] = {
    "DataReuploadingClassifier": reuploading,
    "DressedQuantumCircuit": dressed,
    "IQPClassifier": iqp,
    "CircuitCentricClassifier": circuit_centric,
}
