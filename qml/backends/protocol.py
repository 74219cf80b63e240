"""The contract between circuits and whatever runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits import Circuit, Observable


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Args:
        exact: whether expectation values come without sampling noise.
        shots: whether it can draw samples.
        noise: whether noise channels are simulated.
        mid_circuit: whether reset, measurement and post-selection inside a circuit work.
        derivative_order: the highest derivative it gives; None for any.
        jets: whether it has `expectation_jet`, which moves derivatives along directions through a circuit in one pass.
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
    """Outcomes of shots.

    Args:
        qubits: final bits, shape (batch, shots, qubits), int8, in the order that was asked for.
        bits: bits of the measurements inside the circuit, shape (batch, shots, n_bits).
    """

    qubits: Int[Tensor, "batch shots qubits"]
    bits: Int[Tensor, "batch shots bits"]


@runtime_checkable
class Backend(Protocol):
    """Runs circuits: data and weights in, numbers out.

    Every method takes `data` of shape (batch, circuit.n_data) and `weights` of shape (circuit.n_weights,), real
    floating tensors of one dtype on one device, and answers in that dtype on that device. What a backend cannot do it
    refuses, naming a backend that can.
    """

    @property
    def name(self) -> str:
        """The backend's name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """Expectation values, differentiable up to `capabilities.derivative_order`."""
        ...

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """Probabilities of the outcomes of `qubits` (default: all), the first the most significant."""
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
        """Outcomes of `shots` runs for every sample of the batch."""
        ...
