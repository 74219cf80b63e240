"""The quantum metric learner: a trained embedding that drives the states of two classes apart."""

import math
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from circuits import ansatzes
from circuits.overlap import overlap_circuit
from qml import checks
from qml.backends import Backend, Native
from qml.nn.classifiers.base import CircuitClassifier, as_labels

INITIAL_DEVIATION = 0.1
STATES = Native()
"""The simulator that computes states; one object, which torch.compile can hold on to."""


class QuantumMetricLearner(CircuitClassifier):
    r"""The quantum metric learner: it compares a sample's state with the states of examples of both classes.

    The embedding U(x) is RX(x_i) on a qubit a feature and H on one more, a ring of ZZ rotations and RY of weights, some
    times in a row, and the data once more at the end. With o_A(x) and o_B(x), the mean overlaps
    |<0| U(a)^dagger U(x) |0>|^2 with the examples of class -1 and of +1, the score is (o_B - o_A) / (o_A + o_B).

    Args:
        n_inputs: Number of features; one qubit more.
        n_layers: Number of trained layers.
        n_examples: Number of examples of each class.
        has_matched_pairs: Whether the loss is the overlap of the i-th sample of one class with the i-th of the other
            alone, as the code of arXiv:2403.07059 has it.
        backend: A backend or its name. On devices each pair of samples is one circuit, U(x) and then U(a)^dagger.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        generator: For the initial weights and examples.

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, 2 a qubit and layer (3 a layer on two qubits), from N(0, 0.01) at first.
        examples: The examples of class -1 and of +1, shape (2, n_examples, n_inputs), uniform in [-pi/2, pi/2) until
            `remember` draws them from training samples.

    Raises:
        ValueError: If a number is too small.

    Reference:
        Lloyd et al., arXiv:2001.03622; sizes and start as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import QuantumMetricLearner
        >>> layer = QuantumMetricLearner(3)
        >>> layer.remember(torch.rand(9, 3), torch.tensor([1.0, -1.0, 1.0] * 3))
        >>> layer(torch.rand(7, 3)).shape
        torch.Size([7])
    """

    examples: Tensor

    def __init__(
        self,
        n_inputs: int,
        n_layers: int = 3,
        *,
        n_examples: int = 32,
        has_matched_pairs: bool = False,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_inputs, self.n_layers = checks.as_int(n_inputs, "n_inputs", 1), checks.as_int(n_layers, "n_layers", 1)
        self.n_examples = checks.as_int(n_examples, "n_examples", 1)
        self.has_matched_pairs = checks.as_flag(has_matched_pairs, "has_matched_pairs")
        circuit = ansatzes.qaoa_embedding(n_inputs + 1, self.n_layers, n_inputs=n_inputs)
        super().__init__(n_inputs, circuit, (), backend=backend, device=device, dtype=dtype)
        self.register_buffer("examples", self.weights.new_empty(2, self.n_examples, n_inputs))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights and examples anew."""
        checks.require_generator(generator)
        with torch.no_grad():
            self.weights.normal_(0.0, INITIAL_DEVIATION, generator=generator)
            self.examples.uniform_(-math.pi / 2, math.pi / 2, generator=generator)

    def remember(
        self,
        inputs: Float[Tensor, "batch inputs"],
        labels: Float[Tensor, " batch"],
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the examples from samples with labels -1 and +1; they repeat where a class has fewer.

        Raises:
            ValueError: If there is no label for each sample, or no sample of a class.
        """
        checks.require_generator(generator)
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        for example, members in zip(self.examples, self._classes(inputs, labels), strict=True):
            if not len(members):
                raise ValueError("Argument `labels` must hold both -1 and +1, but one class has no sample.")
            order = torch.randperm(len(members), generator=generator)
            example.copy_(members[order[torch.arange(self.n_examples) % len(members)]])

    def values(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch classes"]:
        """Compute the mean overlaps of samples with the examples of class -1 and of +1."""
        overlaps = self._all_overlaps(inputs, self.examples.flatten(0, 1))
        return overlaps.unflatten(1, (2, self.n_examples)).mean(2)

    def scores(self, values: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        """Return (o_B - o_A) / (o_A + o_B)."""
        first, second = values.unbind(1)
        return (second - first) / (first + second).clamp_min(torch.finfo(values.dtype).tiny)

    def states(self, inputs: Float[Tensor, "batch inputs"]) -> Complex[Tensor, "batch amplitudes"]:
        """Compute the states of samples on the built-in simulator."""
        return STATES.state(self.circuit, inputs, self.weights)

    def overlaps(
        self, inputs: Float[Tensor, "batch inputs"], others: Float[Tensor, "batch inputs"]
    ) -> Float[Tensor, " batch"]:
        """Compute |<0| U(x')^dagger U(x) |0>|^2 of each sample with the other one in the same row."""
        if self.backend.capabilities.closed_form:
            left, right = self.states(inputs), self.states(others)
            return torch.view_as_real((left.conj() * right).sum(1)).square().sum(1).to(self.weights.dtype)
        circuit = self.circuit.derived("overlap circuit", lambda: overlap_circuit(self.circuit))
        return self.backend.probabilities(circuit, torch.cat([inputs, others], dim=1), self.weights)[:, 0]

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return 1 - (aa + bb) / 2 + ab of the mean overlaps inside both classes and between them.

        The means go over all pairs, a sample with itself included; a class that is missing counts 0. Where
        `has_matched_pairs`, the loss is ab alone, over the i-th samples of both classes.
        """
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        first, second = self._classes(inputs, labels)
        if self.has_matched_pairs:
            size = min(len(first), len(second))
            return _mean(self.overlaps(first[:size], second[:size]))
        together = torch.cat([first, second])
        gram = self._all_overlaps(together, together)
        size = len(first)
        inside = _mean(gram[:size, :size]) + _mean(gram[size:, size:])
        return 1.0 - inside / 2.0 + _mean(gram[:size, size:])

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        names = ("n_inputs", "n_layers", "n_examples", "has_matched_pairs")
        return {name: getattr(self, name) for name in names}

    def _classes(self, inputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
        positive = as_labels(labels, inputs[:, 0]) > 0
        return inputs[~positive], inputs[positive]

    def _all_overlaps(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the overlap of each row with each column, shape (rows, columns)."""
        if self.backend.capabilities.closed_form:
            left, right = self.states(rows), self.states(columns)
            return torch.view_as_real(left @ right.mH).square().sum(-1).to(self.weights.dtype)
        pairs = self.overlaps(rows.repeat_interleave(len(columns), 0), columns.repeat(len(rows), 1))
        return pairs.unflatten(0, (len(rows), len(columns)))


def _mean(values: Tensor) -> Tensor:
    """Return the mean, 0 of nothing."""
    return values.sum() / max(values.numel(), 1)
