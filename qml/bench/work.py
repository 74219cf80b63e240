"""The work of the circuit benches, in a form that belongs to no library: gates, data, a training step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import mse_loss

from circuits import Circuit, Slot
from qml.bench.bench import Step

Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Inputs (batch, n_inputs) and weights (n_weights,) to predictions (batch,)."""


class BenchGate(NamedTuple):
    """A gate: `rx`, `ry`, `rz`, `cx`, or a pair of Paulis such as `zx`, which is exp(i angle Z X)."""

    name: str
    qubits: tuple[int, ...]
    slot: Slot | None = None


def as_circuit(n_qubits: int, gates: Sequence[BenchGate]) -> Circuit:
    """Build this package's circuit from gates in order."""
    circuit = Circuit(n_qubits)
    for gate in gates:
        getattr(circuit, gate.name)(*(() if gate.slot is None else (gate.slot,)), *gate.qubits)
    return circuit


@dataclass(frozen=True)
class CircuitWork:
    """A circuit, the data it is trained on and where it starts.

    Args:
        n_qubits: number of qubits.
        gates: gates in order.
        pauli: the Pauli that is read out, `X`, `Y` or `Z`.
        readout: the qubit that is read out.
        inputs: angles of the data slots, float32 or float64, (batch, n_inputs).
        weights: angles of the weight slots, of that dtype, (n_weights,).
        targets: values that the read-out should take, of that dtype, (batch,).
    """

    n_qubits: int
    gates: tuple[BenchGate, ...]
    pauli: str
    readout: int
    inputs: np.ndarray
    weights: np.ndarray
    targets: np.ndarray

    def micro_batch(self, bytes_an_amplitude: int, limit: int) -> int:
        """Return the largest part of the batch whose states, at so many bytes an amplitude, fit into the limit."""
        fitting = limit // (bytes_an_amplitude * 2**self.n_qubits)
        return int(min(len(self.inputs), max(1, fitting)))


def parse_case(case: str) -> tuple[int, int]:
    """Read qubits and batch of a case such as `"8,64"`."""
    n_qubits, batch = case.split(",")
    return int(n_qubits), int(batch)


def training_step(
    model: Model, work: CircuitWork, *, micro_batch: int | None = None, weights: torch.Tensor | None = None
) -> Step:
    """Build a step of the mean squared error and its gradient in the weights, as a torch user writes it.

    Args:
        model: inputs and weights to predictions.
        work: the data and the weights.
        micro_batch: samples at a time, gradients accumulated; `None` is the whole batch at once.
        weights: the leaf to differentiate in, where a module owns it; `None` is a copy of the work's.
    """
    inputs, targets = torch.from_numpy(work.inputs), torch.from_numpy(work.targets)
    leaf = torch.from_numpy(work.weights.copy()).requires_grad_() if weights is None else weights
    size = micro_batch or len(inputs)
    parts = list(zip(inputs.split(size), targets.split(size), strict=True))

    def step() -> dict[str, torch.Tensor]:
        leaf.grad = None
        total = torch.zeros((), dtype=inputs.dtype)
        for part_inputs, part_targets in parts:
            predictions = model(part_inputs, leaf)
            loss = mse_loss(predictions, part_targets, reduction="sum") / len(inputs)
            loss.backward()
            total += loss.detach()
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return {"loss": total, "gradient": gradient}

    return step
