"""The variational classifier on the IQP embedding."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, Z, ansatzes, data, feature_maps
from qml import checks
from qml.backends import Backend, Native
from qml.nn.classifiers._arithmetic import HIT_LOSS, PAIRS
from qml.nn.classifiers.base import CircuitClassifier, hit_loss


class IQPClassifier(CircuitClassifier):
    r"""The variational classifier whose feature map is thought hard to simulate: f(x) = <Z_0 Z_1>.

    The feature map is H and RZ(x_i) on every qubit and exp(-i x_i x_j Z_i Z_j / 2) on every pair, some times in a row;
    strongly entangling layers with CZ follow.

    Args:
        n_inputs: Number of features and qubits, at least 2.
        n_layers: Number of strongly entangling layers.
        n_repetitions: Number of times the feature map is applied.
        backend: A backend or its name.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        generator: For the initial weights.

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, 3 a qubit and layer, uniform in [0, 2 pi) at first.

    Raises:
        ValueError: If a number is too small.

    Reference:
        Havlicek et al., arXiv:1804.11326; as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import IQPClassifier
        >>> IQPClassifier(3)(torch.rand(7, 3)).shape
        torch.Size([7])
    """

    def __init__(
        self,
        n_inputs: int,
        n_layers: int = 10,
        *,
        n_repetitions: int = 1,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, n_layers = checks.as_int(n_inputs, "n_inputs", 2), checks.as_int(n_layers, "n_layers", 1)
        self.n_inputs, self.n_layers, self.n_repetitions = (
            n_inputs,
            n_layers,
            checks.as_int(n_repetitions, "n_repetitions", 1),
        )
        self.embedding = self.embedding_circuit()
        self._layers = ansatzes.strongly_entangling(n_inputs, n_layers, entangler="cz")
        circuit = self.embedding.copy().compose(self._layers)
        super().__init__(n_inputs, circuit, [Z(0) @ Z(1)], backend=backend, device=device, dtype=dtype)
        self.reset_parameters(generator)

    def embedding_circuit(self) -> Circuit:
        """Build the circuit of the embedding."""
        return feature_maps.iqp(self.n_inputs, self.n_repetitions).circuit.copy()

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch angles"]:
        """Return the features and the products of all pairs."""
        return PAIRS.plain(inputs)

    def embedded(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch amplitudes"]:
        """Compute the states of the embedding, real parts and then imaginary parts, (batch, 2 * 2**n_inputs).

        They do not depend on the weights, so that a training needs them once (`loss_of_embedded`).

        Raises:
            NotImplementedError: On a backend that does not simulate states.
        """
        if not self.backend.capabilities.closed_form:
            raise NotImplementedError(
                f"Embedded states need a simulation of states, but backend {self.backend.name!r} is none. Use Native()."
            )
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        with torch.no_grad(), checks.full_precision(inputs):
            states = Native().state(self.embedding, self.angles(inputs), self.weights[:0])
        return torch.cat([states.real, states.imag], 1)

    def loss_of_embedded(
        self, amplitudes: Float[Tensor, "batch amplitudes"], labels: Float[Tensor, " batch"]
    ) -> Float[Tensor, ""]:
        """Return the loss of samples whose states `embedded` has computed."""
        circuit = self.circuit.derived("layers on amplitudes", self._layers_on_amplitudes)
        return hit_loss(self.evaluated(circuit, amplitudes)[:, 0], labels)

    def _layers_on_amplitudes(self) -> Circuit:
        slots = [data(k) for k in range(2 * 2**self.n_inputs)]
        return Circuit(self.n_inputs).prepare_slots(slots).compose(self._layers)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean probability of the wrong outcome, (1 - y f) / 2."""
        if not self.computes_as(IQPClassifier):
            return hit_loss(self(inputs), labels)
        inputs, labels = self.checked(inputs, labels)
        return self.chained(PAIRS, (inputs,), HIT_LOSS, (labels,))

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_inputs": self.n_inputs, "n_layers": self.n_layers, "n_repetitions": self.n_repetitions}
