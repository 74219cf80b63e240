"""pyqtorch: torch state vectors with the batch as last axis."""

import importlib
from typing import Any

import torch

from qml.bench.bench import Step
from qml.bench.work import CircuitWork, Gate, training_step

STATE_LIMIT = 2 * 2**30  # bytes of states that backpropagation may keep


def automatic(work: CircuitWork) -> Step:
    """Build a step in complex64, differentiated by torch's autograd.

    Its adjoint mode is no faster here, and its gradient (1.7.8) is wrong where a CX points upwards.
    """
    pyqtorch: Any = importlib.import_module("pyqtorch")

    operations = [_operation(gate) for gate in work.gates]
    circuit: Any = pyqtorch.QuantumCircuit(work.n_qubits, operations).to(dtype=torch.complex64)
    readout = getattr(pyqtorch, work.pauli)(work.readout)
    observable: Any = pyqtorch.Observable([readout]).to(dtype=torch.complex64)

    def model(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        values = {f"data{i}": angle for i, angle in enumerate(inputs.unbind(1))}
        values |= {f"weight{i}": angle for i, angle in enumerate(weights.unbind())}
        return pyqtorch.expectation(circuit, circuit.init_state(len(inputs)), values, observable)

    return training_step(model, work, micro_batch=work.micro_batch(2 * 8 * len(work.gates), STATE_LIMIT))


def _operation(gate: Gate) -> torch.nn.Module:
    pyqtorch: Any = importlib.import_module("pyqtorch")

    if gate.slot is not None:
        (qubit,) = gate.qubits
        return getattr(pyqtorch, gate.name.upper())(qubit, f"{gate.slot.kind}{gate.slot.index}")
    control, target = gate.qubits
    return pyqtorch.CNOT(control, target)
