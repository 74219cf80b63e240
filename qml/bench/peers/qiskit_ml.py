"""qiskit-machine-learning: its EstimatorQNN behind its TorchConnector, on Aer's exact estimator or on ours."""

from typing import Any

import torch

from qml.bench.bench import Step
from qml.bench.peers.qiskit import written
from qml.bench.work import CircuitWork, training_step


def estimator_qnn(work: CircuitWork) -> Step:
    """Build a forward and a backward pass by its parameter-shift gradient, a circuit for each shift and sample."""
    from qiskit_aer.primitives import EstimatorV2
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient

    estimator = EstimatorV2(options={"default_precision": 0.0, "backend_options": {"method": "statevector"}})
    return _step(work, estimator, ParamShiftEstimatorGradient(estimator))


def plugin(work: CircuitWork) -> Step:
    """Build the same passes on our estimator, with our gradient in the place of shifts."""
    from qml.plugins.qiskit import Estimator, EstimatorGradient

    estimator = Estimator()
    return _step(work, estimator, EstimatorGradient(estimator))


def plugin_with_shifts(work: CircuitWork) -> Step:
    """Build the same passes on our estimator, with the gradient of qiskit-machine-learning."""
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient

    from qml.plugins.qiskit import Estimator

    estimator = Estimator()
    return _step(work, estimator, ParamShiftEstimatorGradient(estimator))


def _step(work: CircuitWork, estimator: Any, gradient: Any) -> Step:
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.neural_networks import EstimatorQNN

    circuit, angles = written(work)
    n_inputs = work.inputs.shape[1]
    network = EstimatorQNN(
        circuit=circuit,
        estimator=estimator,
        observables=SparsePauliOp.from_sparse_list([(work.pauli, [work.readout], 1.0)], work.n_qubits),
        input_params=list(angles)[:n_inputs],
        weight_params=list(angles)[n_inputs:],
        gradient=gradient,
        default_precision=0.0,
    )
    connector = TorchConnector(network, initial_weights=work.weights)
    (weights,) = connector.parameters()

    def model(inputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return connector(inputs)[:, 0].to(torch.float32)

    return training_step(model, work, weights=weights)
