"""qiskit-machine-learning: its EstimatorQNN behind its TorchConnector, on Aer's exact estimator."""

import torch

from qml.bench.bench import Step
from qml.bench.peers.qiskit import written
from qml.bench.work import CircuitWork, training_step


def estimator_qnn(work: CircuitWork) -> Step:
    """Build a forward and a backward pass by its parameter-shift gradient, a circuit for each shift and sample."""
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer.primitives import EstimatorV2
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
    from qiskit_machine_learning.neural_networks import EstimatorQNN

    circuit, angles = written(work)
    n_inputs = work.inputs.shape[1]
    estimator = EstimatorV2(options={"default_precision": 0.0, "backend_options": {"method": "statevector"}})
    network = EstimatorQNN(
        circuit=circuit,
        estimator=estimator,
        observables=SparsePauliOp.from_sparse_list([(work.pauli, [work.readout], 1.0)], work.n_qubits),
        input_params=list(angles)[:n_inputs],
        weight_params=list(angles)[n_inputs:],
        gradient=ParamShiftEstimatorGradient(estimator),
        default_precision=0.0,
    )
    connector = TorchConnector(network, initial_weights=work.weights)
    (weights,) = connector.parameters()

    def model(inputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return connector(inputs)[:, 0].to(torch.float32)

    return training_step(model, work, weights=weights)
