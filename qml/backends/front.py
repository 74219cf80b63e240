"""The front that backends share: checks, empty batches, torch.compile, torch.export and autocast, each once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch._compile import _disable_dynamo  # unlike torch.compiler.disable it does not import the compiler with it

from circuits import Circuit, Observable
from qml import checks
from qml.backends import exported, inputs, operators
from qml.backends.protocol import Capabilities, Samples


class CheckedBackend(ABC):
    """A backend whose public methods check their arguments and leave the computation to three methods of a subclass.

    `_expectation`, `_probabilities` and `_sample` get data and weights of the right shape, dtype and device, at least
    one sample, observables and qubits that exist, and no autocast. Inside torch.compile they are an operator of the
    graph where the backend `is_repeatable`, and run between the compiled graphs where not; torch.export writes the call
    into the program, with the options of the backend.
    """

    is_repeatable: ClassVar[bool] = False
    """Whether values cost nothing but time and are the same each time, so that a compiled backward pass may run the
    circuit again."""

    refuses_nan: ClassVar[bool] = False
    """Whether `_expectation` itself refuses NaN and infinity in data and weights, where it reads them anyway."""

    @property
    @abstractmethod
    def name(self) -> str:
        """See `Backend.name`."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """See `Backend.capabilities`."""

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """See `Backend.expectation`."""
        if checks.is_traced():
            if torch.compiler.is_exporting():
                return exported.expectation(self, circuit, data, weights, observables)
            if self.is_repeatable and operators.KNOWS_OBJECTS:
                key = operators.key_of(self, circuit, len(circuit), "expectation", *observables)
                if key != operators.NO_KEY:
                    return operators.run(data, weights, key, len(observables))
            return uncompiled(self, "expectation", circuit, data, weights, observables)
        inputs.require_circuit(circuit)
        chosen = inputs.as_observables(observables, circuit.n_qubits)
        inputs.require_inputs(circuit, data, weights, finite=not self.refuses_nan)
        if not chosen or data.shape[0] == 0:
            inputs.require_inputs(circuit, data, weights)  # NaN, too, of which nobody else gets to know
            return inputs.empty_answer(data, weights, len(chosen))
        with checks.full_precision(data):
            return self._expectation(circuit, data, weights, chosen)

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """See `Backend.probabilities`."""
        if checks.is_traced():
            if torch.compiler.is_exporting():
                return exported.probabilities(self, circuit, data, weights, qubits)
            if self.is_repeatable and operators.KNOWS_OBJECTS:
                read = tuple(range(circuit.n_qubits)) if qubits is None else tuple(qubits)
                key = operators.key_of(self, circuit, len(circuit), "probabilities", *read)
                if key != operators.NO_KEY:
                    return operators.run(data, weights, key, 2 ** len(read))
            return uncompiled(self, "probabilities", circuit, data, weights, qubits)
        inputs.require_circuit(circuit)
        chosen = inputs.as_qubits(qubits, circuit.n_qubits)
        inputs.require_inputs(circuit, data, weights)
        if data.shape[0] == 0:
            return inputs.empty_answer(data, weights, 2 ** len(chosen))
        with checks.full_precision(data):
            return self._probabilities(circuit, data, weights, chosen)

    def sample(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        shots: int,
        *,
        qubits: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """See `Backend.sample`."""
        if checks.is_traced():
            return uncompiled(self, "sample", circuit, data, weights, shots, qubits=qubits, generator=generator)
        inputs.require_circuit(circuit)
        chosen = inputs.as_qubits(qubits, circuit.n_qubits)
        inputs.require_inputs(circuit, data, weights)
        checks.as_shots(shots)
        if data.shape[0] == 0:
            bits = torch.zeros(0, shots, len(chosen), dtype=torch.int8, device=data.device)
            return Samples(bits, bits.new_zeros(0, shots, circuit.n_bits))
        with checks.full_precision(data):
            return self._sample(circuit, data, weights, shots, chosen, generator)

    @abstractmethod
    def _expectation(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> Tensor:
        """Compute expectation values, (batch, observables)."""

    @abstractmethod
    def _probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...]) -> Tensor:
        """Compute the probabilities of the outcomes of `qubits`, (batch, 2**len(qubits))."""

    @abstractmethod
    def _sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Samples:
        """Draw `shots` outcomes of `qubits` and of the circuit's bits for each sample."""


def circuit_between_compiled_graphs(backend: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method; dynamo names this function where it refuses a whole graph."""
    return getattr(backend, method)(*arguments, **options)


uncompiled = _disable_dynamo(circuit_between_compiled_graphs)
"""Run a backend's method as plain Python, outside of the graph that torch.compile is tracing."""
