"""pyqtorch: torch state vectors with the batch as last axis."""

from functools import reduce
from typing import Any

import torch

from qml.bench.bench import Step
from qml.bench.work import CircuitWork, Gate, training_step

STATE_LIMIT = 2 * 2**30  # bytes of states that backpropagation may keep


def automatic(work: CircuitWork) -> Step:
    """complex64, differentiated by torch's autograd.

    Its adjoint mode is no faster at these sizes, and in 1.7.8 gives wrong gradients where a CX points upwards.
    """
    import pyqtorch

    circuit = pyqtorch.QuantumCircuit(work.n_qubits, [_operation(gate) for gate in work.gates]).to(torch.complex64)
    readout = getattr(pyqtorch, work.pauli)(work.readout)
    observable = pyqtorch.Observable([readout]).to(torch.complex64)

    def model(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        values = {f"data{i}": angle for i, angle in enumerate(inputs.unbind(1))}
        values |= {f"weight{i}": angle for i, angle in enumerate(weights.unbind())}
        values |= {f"minus2weight{i}": angle for i, angle in enumerate((-2 * weights).unbind())}
        return pyqtorch.expectation(circuit, circuit.init_state(len(inputs)), values, observable)

    return training_step(model, work, micro_batch=work.micro_batch(2 * 8 * len(work.gates), STATE_LIMIT))


def _operation(gate: Gate) -> Any:
    import pyqtorch
    from pyqtorch.matrices import OPERATIONS_DICT
    from pyqtorch.primitives import Parametric

    if gate.slot is None:
        return pyqtorch.CNOT(*gate.qubits)
    name = f"{gate.slot.kind}{gate.slot.index}"
    if len(gate.qubits) == 1:
        return getattr(pyqtorch, gate.name.upper())(*gate.qubits, name)
    paulis = [OPERATIONS_DICT[letter].squeeze(-1) for letter in gate.name.upper()]
    return Parametric(reduce(torch.kron, paulis).unsqueeze(-1), gate.qubits, f"minus2{name}")
