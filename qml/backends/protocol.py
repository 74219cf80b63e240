"""The contract between circuits and whatever runs them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits import Circuit, Observable
from qml.jets import Orders


@dataclass(frozen=True)
class Capabilities:
    """The abilities that a backend declares; layers ask for these and never for a class.

    Args:
        exact: whether expectation values come without sampling noise.
        shots: whether it can draw samples.
        noise: whether noise channels are simulated.
        mid_circuit: whether reset, measurement and post-selection inside a circuit work.
        derivative_order: the highest derivative it gives; None for any.
        jets: whether it has `expectation_jet` (`JetBackend`), which moves derivatives along directions through a
            circuit in one pass.
        closed_form: whether a layer may evaluate its circuits by a formula of its own: the backend computes exactly
            what the circuit says, with derivatives of any order, and no option of it would be ignored.
    """

    exact: bool
    shots: bool
    noise: bool
    mid_circuit: bool
    derivative_order: int | None
    jets: bool = False
    closed_form: bool = False


@dataclass(frozen=True)
class Samples:
    """The outcomes that shots gave.

    Args:
        qubits: final bits, shape (batch, shots, qubits), int8, in the order that was asked for.
        bits: bits of the measurements inside the circuit, shape (batch, shots, n_bits).
    """

    qubits: Int[Tensor, "batch shots qubits"]
    bits: Int[Tensor, "batch shots bits"]

    def counts(self) -> list[dict[str, int]]:
        """Return how often each outcome of `qubits` came, a dictionary for each sample, the most frequent one first.

        An outcome is a string with the first qubit first; Qiskit's own counts write it last.
        """
        return [
            dict(Counter("".join(map(str, shot)) for shot in shots).most_common()) for shots in self.qubits.tolist()
        ]

    def __repr__(self) -> str:
        batch, shots, n_qubits = self.qubits.shape
        return f"Samples(batch={batch}, shots={shots}, qubits={n_qubits}, bits={self.bits.shape[2]})"


@runtime_checkable
class Backend(Protocol):
    """The protocol of objects that run circuits: data and weights in, numbers out.

    Every method takes `data` of shape (batch, circuit.n_data) and `weights` of shape (circuit.n_weights,), real
    floating tensors of one dtype on one device, and answers in that dtype on that device. A backend refuses what it
    cannot do, and names one that can. `qml.backends.front.CheckedBackend` makes all checks of arguments.
    """

    @property
    def name(self) -> str:
        """Return the backend's name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        ...

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """Compute expectation values, differentiable up to `capabilities.derivative_order`."""
        ...

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """Compute the probabilities of the outcomes of `qubits` (default: all), the first the most significant."""
        ...

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
        """Draw the outcomes of `shots` runs for every sample of the batch."""
        ...


@runtime_checkable
class JetBackend(Backend, Protocol):
    """The protocol of backends that have the capability `jets`."""

    def expectation_jet(
        self,
        circuit: Circuit,
        data: Float[Tensor, "components batch inputs"],
        weights: Float[Tensor, "*batch weights"],
        observables: Sequence[Observable],
        orders: Orders,
    ) -> Float[Tensor, "components batch observables"]:
        """Compute expectation values and their derivatives, `[value, first, second order]`, from those of the data.

        Raises:
            NotImplementedError: a circuit that has no rule.
        """
        ...
