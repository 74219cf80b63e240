"""Gram matrices of fidelity kernels: PennyLane's states in one product, and qiskit-machine-learning's kernel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qml.bench.bench import Step
from qml.bench.work import BenchGate

PENNYLANE_GATES = {"rx": "RX", "ry": "RY", "rz": "RZ", "rzz": "IsingZZ"}


@dataclass(frozen=True)
class GramWork:
    """A feature map and the samples whose matrix is computed.

    Args:
        n_qubits: Number of qubits.
        gates: Gates in order, all with data slots.
        inputs: Angles of the data slots, float64, (batch, n_inputs).
    """

    n_qubits: int
    gates: tuple[BenchGate, ...]
    inputs: np.ndarray


def broadcast_states(work: GramWork) -> Step:
    """Build a step of default.qubit: all states in one broadcast call under torch, and one product."""
    node = _state_node(work, "default.qubit", "torch")
    inputs = torch.from_numpy(work.inputs)

    def step() -> dict[str, Any]:
        with torch.no_grad():
            states = node(inputs)
            return {"gram": (states.conj() @ states.mT).abs().square()}

    return step


def lightning_states(work: GramWork) -> Step:
    """Build a step of lightning.qubit, whose states are computed one by one in compiled code, and one product."""
    node = _state_node(work, "lightning.qubit", "numpy")

    def step() -> dict[str, Any]:
        states = np.stack([node(row) for row in work.inputs])
        return {"gram": np.abs(states.conj() @ states.T) ** 2}

    return step


def statevector_kernel(work: GramWork) -> Step:
    """Build a step of FidelityStatevectorKernel; its cache of states is emptied, as new inputs would."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
    from qiskit_machine_learning.kernels import FidelityStatevectorKernel

    angles = ParameterVector("x", work.inputs.shape[1])
    circuit = QuantumCircuit(work.n_qubits)
    for gate in work.gates:
        getattr(circuit, gate.name)(*(() if gate.slot is None else (angles[gate.slot.index],)), *gate.qubits)

    def step() -> dict[str, Any]:
        return {"gram": FidelityStatevectorKernel(feature_map=circuit).evaluate(work.inputs)}

    return step


def _state_node(work: GramWork, device: str, interface: str) -> Any:
    import pennylane as pl

    @pl.qnode(pl.device(device, wires=work.n_qubits), interface=interface, diff_method=None)
    def node(inputs: Any) -> Any:
        for gate in work.gates:
            angle = () if gate.slot is None else (inputs[..., gate.slot.index],)
            getattr(pl, PENNYLANE_GATES[gate.name])(*angle, wires=gate.qubits)
        return pl.state()

    return node
