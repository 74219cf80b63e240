"""sQUlearn: its kernels and its network, on Qulacs, the quickest of its simulators, without caches of results."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qml.bench.bench import Step
from qml.bench.peers.gram import GramWork
from qml.bench.work import BenchGate, CircuitWork


def fidelity_kernel(work: GramWork) -> Step:
    """Build a step of FidelityKernel, which runs a circuit for each pair of samples."""
    from squlearn.kernel import FidelityKernel

    kernel = FidelityKernel(_encoding(work.n_qubits, work.gates), _executor(), caching=False)
    return lambda: {"gram": kernel.evaluate(work.inputs)}


def projected_kernel(work: GramWork) -> Step:
    """Build a step of ProjectedQuantumKernel: X, Y and Z of each qubit, and a Gaussian with gamma = 1."""
    from squlearn.kernel import ProjectedQuantumKernel

    kernel = ProjectedQuantumKernel(_encoding(work.n_qubits, work.gates), _executor(), caching=False)
    return lambda: {"gram": kernel.evaluate(work.inputs)}


def network(work: CircuitWork) -> Step:
    """Build a step of LowLevelQNN: values and derivatives of all samples, and the gradient of the loss from them."""
    from squlearn.observables import SinglePauli
    from squlearn.qnn.lowlevel_qnn import LowLevelQNN

    encoding = _encoding(work.n_qubits, work.gates)
    observable = SinglePauli(work.n_qubits, work.readout, work.pauli)
    model = LowLevelQNN(encoding, observable, _executor(), work.inputs.shape[1], caching=False)
    inputs, weights = work.inputs.astype(float), work.weights.astype(float)

    def step() -> dict[str, np.ndarray]:
        found = model.evaluate(inputs, weights, np.zeros(0), "f", "dfdp")
        errors = found["f"] - work.targets
        gradient = 2.0 / len(errors) * errors @ found["dfdp"]
        return {"loss": np.array((errors**2).mean(), dtype=np.float32), "gradient": gradient.astype(np.float32)}

    return step


def _executor() -> Any:
    squlearn: Any = importlib.import_module("squlearn")  # by name, as this file bears it too
    return squlearn.Executor("qulacs", caching=False)


def _encoding(n_qubits: int, gates: Sequence[BenchGate]) -> Any:
    """Write gates as an encoding circuit, whose data are called x and whose weights p."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
    from squlearn.encoding_circuit import QiskitEncodingCircuit

    slots = [gate.slot for gate in gates if gate.slot is not None]
    angles = {
        kind: ParameterVector(name, 1 + max((slot.index for slot in slots if slot.kind == kind), default=-1))
        for kind, name in (("data", "x"), ("weight", "p"))
    }
    circuit = QuantumCircuit(n_qubits)
    for gate in gates:
        angle = () if gate.slot is None else (angles[gate.slot.kind][gate.slot.index],)
        getattr(circuit, gate.name)(*angle, *gate.qubits)
    return QiskitEncodingCircuit(circuit, feature_label="x", parameter_label="p")
