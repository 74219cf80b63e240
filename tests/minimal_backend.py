"""The smallest complete backend: the NumPy oracle, with first derivatives by the parameter-shift rule.

It shows what a new backend has to bring, and proves that the contract is enough: layers run on it unchanged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit, Observable, data
from qml.backends import Capabilities, Samples
from tests import oracle


@dataclass(frozen=True)
class OracleBackend:
    """Exact values by `tests.oracle`; the gradient of every angle slot, each of its uses shifted by itself."""

    name = "oracle"
    capabilities = Capabilities(exact=True, shots=True, noise=True, mid_circuit=True, derivative_order=1)

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]) -> Tensor:
        """See `Backend.expectation`."""
        return ShiftRule.apply(circuit, tuple(observables), data, weights)

    def probabilities(
        self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int] | None = None
    ) -> Tensor:
        """See `Backend.probabilities`; without derivatives."""
        if torch.is_grad_enabled() and (data.requires_grad or weights.requires_grad):
            raise ValueError("Probabilities of OracleBackend must not need gradients. Use Native() or torch.no_grad().")
        return torch.from_numpy(oracle.probabilities(circuit, *arrays(data, weights), qubits)).to(data)

    def sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        *,
        qubits: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """See `Backend.sample`; only circuits without measurements inside."""
        if circuit.n_bits:
            raise ValueError("Circuits for OracleBackend must not measure inside when sampled. Use Native().")
        chosen = range(circuit.n_qubits) if qubits is None else qubits
        table = torch.from_numpy(oracle.probabilities(circuit, *arrays(data, weights), chosen))
        outcomes = torch.multinomial(table, shots, replacement=True, generator=generator)
        bits = outcomes[..., None] >> torch.arange(len(chosen) - 1, -1, -1) & 1
        return Samples(bits.to(torch.int8), bits.new_zeros(*outcomes.shape, 0, dtype=torch.int8))


class ShiftRule(torch.autograd.Function):
    """Expectation values, once differentiable."""

    @staticmethod
    def forward(
        ctx: Any, circuit: Circuit, observables: tuple[Observable, ...], data: Tensor, weights: Tensor
    ) -> Tensor:
        """The oracle's values in the dtype of the data."""
        ctx.circuit, ctx.observables = circuit, observables
        ctx.save_for_backward(data, weights)
        return torch.from_numpy(oracle.expectation(circuit, *arrays(data, weights), observables)).to(data)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, Tensor]:
        """The vector-Jacobian product, one use of a slot at a time."""
        # torch's once_differentiable would not do: where `grad` is constant, it lets a second derivative be zero.
        if torch.is_grad_enabled():
            raise RuntimeError("OracleBackend is only once differentiable. Use Native(), which has any order.")
        inputs = arrays(*ctx.saved_tensors)
        gradients = [np.zeros_like(values) for values in inputs]
        for circuit, slot, frequency, order in uses_of_slots(ctx.circuit):
            slopes = shifted_slope(circuit, *inputs, ctx.observables, slot=slot, frequency=frequency, order=order)
            per_sample = (slopes * grad.numpy()).sum(1)
            if slot.kind == "data":
                gradients[0][:, slot.index] += per_sample
            else:
                gradients[1][slot.index] += per_sample.sum()
        return None, None, *(torch.from_numpy(values).to(grad) for values in gradients)


def arrays(data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The inputs in NumPy's float64."""
    return data.detach().double().numpy(), weights.detach().double().numpy()


def uses_of_slots(circuit: Circuit) -> Iterator[tuple[Circuit, Any, float, int]]:
    """For each use of a slot: the circuit with this use as a last data slot of its own, the slot, its frequencies."""
    parts = [part for operation in circuit.operations for part in operation.elementary()]
    if any(part.gate.name == "post_select" for part in parts):
        raise ValueError("The shift rule must not meet post-selection, which divides by a probability. Use Native().")
    for position, part in enumerate(parts):
        for slot in part.slots:
            frequency, order = part.frequencies()
            changed = [*parts[:position], replace(part, angles=(data(circuit.n_data),)), *parts[position + 1 :]]
            result = Circuit(circuit.n_qubits)
            for each in changed:
                result.append(each.gate, each.qubits, controls=each.controls, angles=each.angles)
            yield result, slot, frequency, order


def shifted_slope(
    circuit: Circuit,
    inputs: np.ndarray,
    weights: np.ndarray,
    observables: Sequence[Observable],
    *,
    slot: Any,
    frequency: float,
    order: int,
) -> np.ndarray:
    """The derivative by one use of a slot, (batch, observables): arXiv:2107.12390, equation 11.

    A weight slot whose only use was moved to the new data slot leaves its value unread.
    """
    column = inputs[:, slot.index] if slot.kind == "data" else np.full(len(inputs), weights[slot.index])
    total = np.zeros((len(inputs), len(observables)))
    for mu in range(1, 2 * order + 1):
        shift = (2 * mu - 1) * np.pi / (2 * order)
        shifted = np.concatenate([inputs, (column + shift / frequency)[:, None]], axis=1)
        sign = 1 if mu % 2 else -1
        values = oracle.expectation(circuit, shifted, weights, observables)
        total += sign * frequency / (4 * order * np.sin(shift / 2) ** 2) * values
    return total
