"""Qulacs: compiled state vectors, with gradients by back-propagation through a parametric circuit."""

import importlib
from typing import Any

import numpy as np

from qml.bench.bench import Step
from qml.bench.work import CircuitWork


def backprop(work: CircuitWork) -> Step:
    """Build a step of `ParametricQuantumCircuit.backprop`, sample by sample, since Qulacs has no batches; complex128.

    Its rotations turn the other way round, so that angles and derivatives change their sign.
    """
    qulacs: Any = importlib.import_module("qulacs")
    circuit = qulacs.ParametricQuantumCircuit(work.n_qubits)
    slots = [gate.slot for gate in work.gates if gate.slot is not None]
    for gate in work.gates:
        if gate.slot is None:
            circuit.add_CNOT_gate(*gate.qubits)
        else:
            getattr(circuit, f"add_parametric_{gate.name.upper()}_gate")(*gate.qubits, 0.0)
    observable = qulacs.Observable(work.n_qubits)
    observable.add_operator(1.0, f"{work.pauli} {work.readout}")
    inputs, weights, targets = (part.astype(float) for part in (work.inputs, work.weights, work.targets))
    of_data = [(place, slot.index) for place, slot in enumerate(slots) if slot.kind == "data"]
    of_weights = [(place, slot.index) for place, slot in enumerate(slots) if slot.kind == "weight"]
    places, indices = (np.array(column) for column in zip(*of_weights, strict=True))
    state = qulacs.QuantumState(work.n_qubits)

    def step() -> dict[str, np.ndarray]:
        for place, index in of_weights:
            circuit.set_parameter(place, -weights[index])
        loss, gradient = 0.0, np.zeros(len(weights))
        for row, target in zip(inputs, targets, strict=True):
            for place, index in of_data:
                circuit.set_parameter(place, -row[index])
            state.set_zero_state()
            circuit.update_quantum_state(state)
            error = observable.get_expectation_value(state) - target
            loss += error**2 / len(inputs)
            derivatives = np.array(circuit.backprop(observable))
            np.subtract.at(gradient, indices, 2 * error / len(inputs) * derivatives[places])
        return {"loss": np.array(loss, dtype=np.float32), "gradient": gradient.astype(np.float32)}

    return step
