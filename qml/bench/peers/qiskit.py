"""Qiskit: Aer's estimator under a torch autograd function with the parameter-shift rule.

One broadcast PUB a pass, its angles bound at run time: ten times faster, measured, than the EstimatorQNN of
qiskit-machine-learning, which builds a circuit for each shift and sample.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import FunctionCtx

from qml.bench.bench import Step
from qml.bench.work import CircuitWork, training_step

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

QUARTER_TURN = np.pi / 2
AER_OPTIONS = {"method": "statevector", "precision": "single", "runtime_parameter_bind_enable": True}


def parameter_shift(work: CircuitWork) -> Step:
    """Build a step of a forward run and two shifted runs for each weight and sample, in single precision."""
    expectation = _Expectation(work)

    class Shift(torch.autograd.Function):
        @staticmethod
        def forward(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(expectation(inputs.numpy(), weights.detach().numpy()[None])[:, 0])

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[None, torch.Tensor]:
            inputs, weights = ctx.saved_tensors
            return None, grad_outputs[0] @ torch.from_numpy(expectation.jacobian(inputs.numpy(), weights.numpy()))

    return training_step(Shift.apply, work)


class _Expectation:
    """A function of the circuit's expectation for every sample under several weight vectors, in one job."""

    def __init__(self, work: CircuitWork) -> None:
        from qiskit.quantum_info import SparsePauliOp
        from qiskit_aer.primitives import EstimatorV2

        self._circuit, _ = written(work)
        self._observable = SparsePauliOp.from_sparse_list([(work.pauli, [work.readout], 1.0)], work.n_qubits)
        self._estimator: Any = EstimatorV2(options={"default_precision": 0.0, "backend_options": AER_OPTIONS})
        # exp(i angle P) turns twice as fast as exp(-i angle P / 2), and the other way round
        self._scale = -2.0 if any(gate.slot and len(gate.qubits) == 2 for gate in work.gates) else 1.0

    def __call__(self, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Map inputs (batch, n_inputs) and weights (vectors, n_weights) to (batch, vectors)."""
        shape = (len(inputs), len(weights))
        rows = np.broadcast_to(inputs[:, None], (*shape, inputs.shape[1]))
        columns = np.broadcast_to(self._scale * weights, (*shape, weights.shape[1]))
        values = np.concatenate([rows, columns], axis=-1)
        result = self._estimator.run([(self._circuit, self._observable, values)], precision=0.0).result()
        return result[0].data.evs.astype(np.float32)

    def jacobian(self, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Compute the derivative of each sample's expectation in each weight, (batch, n_weights)."""
        shifts = QUARTER_TURN / self._scale * np.eye(len(weights))
        shifted = self(inputs, np.concatenate([weights + shifts, weights - shifts]))
        plus, minus = np.split(shifted, 2, axis=1)
        return (self._scale * (plus - minus) / 2).astype(np.float32)


def written(work: CircuitWork) -> "tuple[QuantumCircuit, ParameterVector]":
    """Write the circuit, and its angles, those of the inputs first."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    angles = ParameterVector("angle", work.inputs.shape[1] + len(work.weights))
    circuit = QuantumCircuit(work.n_qubits)
    for gate in work.gates:
        if gate.slot is None:
            circuit.cx(gate.qubits[0], gate.qubits[1])
            continue
        offset = 0 if gate.slot.kind == "data" else work.inputs.shape[1]
        name = gate.name if len(gate.qubits) == 1 else f"r{gate.name}"
        getattr(circuit, name)(angles[gate.slot.index + offset], *gate.qubits)
    return circuit, angles
