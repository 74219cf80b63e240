"""The frame of classifiers that are one circuit: angles of the inputs, expectation values, a score."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from circuits import Circuit, Observable
from qml import checks
from qml.backends import Backend, resolve
from qml.nn._compiled import runs_compiled
from qml.simulator.engine import kernel_route
from qml.simulator.jit.chain import After, Before

COMPUTING = frozenset({"angles", "values", "evaluated", "scores", "forward", "__call__"})


class CircuitClassifier(nn.Module):
    """The base of classifiers that compute a score of each sample by one circuit.

    A class says how inputs become angles (`angles`), how expectation values become a score (`scores`), and by which
    loss its paper trains it (`loss`).

    Args:
        n_inputs: Number of features.
        circuit: The circuit.
        observables: Observables whose expectation values are read.
        backend: A backend or its name.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.

    Shape:
        (..., n_inputs) to (...): above 0 for label +1, else label -1.

    Attributes:
        weights: Angles in radians, uniform in [0, 2 pi) at first.
        circuit: The circuit.
    """

    weights: nn.Parameter

    def __init__(
        self,
        n_inputs: int,
        circuit: Circuit,
        observables: Sequence[Observable],
        *,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        self.n_inputs = n_inputs
        self.circuit = circuit
        self.observables = tuple(observables)
        self.backend = resolve(backend)
        self._runs_compiled: tuple[Backend | None, bool] = (None, False)
        self.weights = nn.Parameter(torch.empty(circuit.n_weights, device=device, dtype=dtype))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all parameters anew."""
        checks.require_generator(generator)
        with torch.no_grad():
            self.weights.uniform_(0.0, 2.0 * math.pi, generator=generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """Compute the scores of samples; see the class.

        Raises:
            TypeError: If inputs are no dense tensor of the layer's dtype.
            ValueError: If they have another shape or device, or hold NaN or infinity.
        """
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        with checks.full_precision(inputs):
            if inputs.ndim == 2:
                return self.scores(self.values(inputs))
            scores = self.scores(self.values(inputs.reshape(-1, self.n_inputs)))
        return scores.reshape((*inputs.shape[:-1], *scores.shape[1:]))

    def values(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch observables"]:
        """Compute the expectation values of the circuit."""
        return self.evaluated(self.circuit, self.angles(inputs))

    def evaluated(self, circuit: Circuit, angles: Float[Tensor, "batch angles"]) -> Float[Tensor, "batch observables"]:
        """Compute the expectation values of a circuit with the layer's weights."""
        return self.backend.expectation(circuit, angles, self.weights, self.observables)

    def angles(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch angles"]:
        """Compute the angles of the circuit's data slots: the inputs themselves, unless a class says otherwise."""
        return inputs

    def scores(self, values: Float[Tensor, "batch observables"]) -> Float[Tensor, "batch ..."]:
        """Compute the score from the expectation values: the only one, unless a class says otherwise."""
        return values[:, 0]

    def computes_as(self, published: type) -> bool:
        """Tell whether it computes values and scores as the class `published` does, whose method asks.

        A subclass, a class that is mixed in or the layer itself may have other angles or scores, whether it has a loss
        of its own or not, and a hook may see or change what `forward` gives. Inside torch.compile the answer is no.
        """
        if checks.is_traced():  # which has no use for the question, and does not follow it
            return False
        hooks = self._forward_hooks, self._forward_pre_hooks, self._backward_hooks, self._backward_pre_hooks
        if any(hooks) or _has_any_global_hook() or not COMPUTING.isdisjoint(vars(self)):
            return False
        kind = type(self)
        return kind is published or all(getattr(kind, name) is getattr(published, name) for name in COMPUTING)

    def chained(
        self, before: Before, given: tuple[Tensor, ...], after: After, further: tuple[Tensor, ...] = ()
    ) -> Float[Tensor, "..."]:
        """Compute `after` of the circuit's expectation values with the data `before`.

        Where the compiled kernel runs the circuit, all of it is one operation of autograd.

        Args:
            before: arithmetic from tensors to the circuit's data.
            given: these tensors, the inputs first.
            after: arithmetic from values, and further tensors, to the result.
            further: these tensors.
        """
        backend, inputs = self.backend, given[0]
        if self._runs_compiled[0] is not backend:  # asked once, as it takes microseconds
            self._runs_compiled = backend, runs_compiled(backend)
        fits = inputs.ndim == 2 and self.weights.shape == (self.circuit.n_weights,)
        for part in (self.weights, *given, *further):  # of a dtype of its own it would be promoted, or refused
            fits = fits and part.dtype == inputs.dtype and part.device == inputs.device
        if self._runs_compiled[1] and fits:
            route = kernel_route(self.circuit, inputs, self.observables)
            if route is not None:
                return route.chained(self.circuit, self.weights, (before, given), (after, further))
        with checks.full_precision(inputs):
            return after.plain(self.evaluated(self.circuit, before.plain(*given)), *further)

    def checked(self, inputs: Any, labels: Any) -> tuple[Tensor, Tensor]:
        """Return inputs, (batch, inputs), and one label for each, or refuse them."""
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        labels = as_labels(labels, inputs, inputs.shape[:-1])
        if inputs.ndim == 2:
            return inputs, labels
        return inputs.reshape(-1, self.n_inputs), labels.reshape(-1)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Compute the mean loss of labels -1 and +1 that the classifier's paper trains it by."""
        raise NotImplementedError

    __prepare_scriptable__ = checks.refuse_scripting

    def to_backend(self, backend: Backend | str) -> "CircuitClassifier":
        """Run on another backend from now on, with the same weights; return the layer."""
        self.backend = resolve(backend)
        return self

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{options}, backend={self.backend.name!r}"


def as_labels(labels: Any, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """Return one label a score, or refuse labels that torch would spread over others.

    Args:
        labels: what is checked.
        like: of their dtype and on their device.
        shape: of the scores; None for that of `like`.
    """
    labels, expected = checks.as_inputs(labels, like, "labels"), like.shape if shape is None else tuple(shape)
    if labels.shape != expected:
        raise ValueError(
            f"Argument `labels` must hold one label a sample, shape {tuple(expected)}, but has shape "
            f"{tuple(labels.shape)}."
        )
    return labels


def hit_loss(scores: Float[Tensor, " batch"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Return the mean of (1 - y f) / 2, the probability of the wrong outcome for a score in [-1, 1]."""
    return (1.0 - as_labels(labels, scores) * scores).mean() / 2.0
