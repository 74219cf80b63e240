"""Reservoirs on other libraries, each in the best configuration we know of."""

import importlib
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit
from circuits.reservoir import persistent_layer
from qml.baselines import EchoStateNetwork
from qml.bench.bench import Step
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing
from qml.nn.reservoirs.persistent import parity_signs, ring_angles
from qml.reservoir import Reservoir


def aer(inputs: np.ndarray, ring: PersistentRing) -> Step:
    """Build a step of Aer's density-matrix method: a series is one circuit, transpiled once, inputs bound later."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector
    from qiskit_aer import AerSimulator

    batch, time, _ = inputs.shape
    signs = parity_signs(ring.n_measured).numpy()
    measured = list(range(ring.n_measured))
    # Qiskit's first qubit is the least significant bit of an outcome
    backend = AerSimulator(method="density_matrix", max_parallel_threads=len(os.sched_getaffinity(0)))
    angles = ParameterVector("x", time)
    circuit: Any = QuantumCircuit(ring.n_qubits)
    gates = _ring_gates(ring)
    for number in range(time):
        for qubit in measured:
            circuit.ry(angles[number], qubit)
        for angle, control, target in gates:
            circuit.ry(angle, target) if control is None else circuit.cry(angle, control, target)
        circuit.save_probabilities(measured[::-1], label=f"step {number}")
        circuit.reset(measured)
    ready = transpile(circuit, backend, optimization_level=1)
    binds = [{angles[step]: list(ring.input_scale * inputs[:, step, 0]) for step in range(time)}]

    def step() -> dict[str, np.ndarray]:
        options = {"parameter_binds": binds, "shots": 1, "runtime_parameter_bind_enable": True}
        result = backend.run(ready, **options).result()
        outcomes = [[result.data(row)[f"step {step}"] for step in range(time)] for row in range(batch)]
        return {"features": np.array(outcomes) @ signs}

    return step


def default_mixed(inputs: np.ndarray, ring: PersistentRing) -> Step:
    """Build a step of default.mixed: a QNode a time step, which starts from the density matrix of the last one."""
    import pennylane as pl

    n_qubits, measured, gates = ring.n_qubits, range(ring.n_measured), _ring_gates(ring)
    signs = parity_signs(ring.n_measured).numpy()

    def circuit(rho: np.ndarray, angle: float) -> tuple[Any, Any]:
        pl.QubitDensityMatrix(rho, wires=range(n_qubits))
        for qubit in measured:
            pl.ResetError(1.0, 0.0, wires=qubit)
            pl.RY(angle, wires=qubit)
        for turn, control, target in gates:
            if control is None:
                pl.RY(turn, wires=target)
            else:
                pl.CRY(turn, wires=(control, target))
        return pl.probs(wires=measured), pl.state()

    node = pl.QNode(circuit, pl.device("default.mixed", wires=n_qubits), diff_method=None)

    def step() -> dict[str, np.ndarray]:
        features = []
        for series in inputs:
            rho = np.zeros((2**n_qubits, 2**n_qubits), dtype=complex)
            rho[0, 0] = 1.0
            for value in series[:, 0]:
                outcomes, rho = node(rho, ring.input_scale * value)
                features.append(np.asarray(outcomes) @ signs)
        return {"features": np.array(features).reshape(*inputs.shape[:2], -1)}

    return step


class _PennyLaneRings(Reservoir):
    """A reservoir of feedback rings on default.qubit: all rings and series of a step are one broadcast call."""

    def __init__(self, rings: list[FeedbackRing]) -> None:
        import pennylane as pl

        n = rings[0].n_qubits
        super().__init__(1, len(rings) * n * (n + 1) // 2, len(rings) * n)
        self.rings, self.n_qubits = rings, n
        self.signs = parity_signs(n).numpy()

        def circuit(angles: np.ndarray) -> Any:
            for qubit in range(n):
                pl.RY(angles[..., qubit], wires=qubit)
            self._pairs()
            for _ in range(2):
                self._turn(angles)
                self._pairs()
                self._turn(angles)
            return pl.probs(wires=range(n))

        self.node = pl.QNode(circuit, pl.device("default.qubit", wires=n), diff_method=None)

    def _pairs(self) -> None:
        import pennylane as pl

        for control in range(self.n_qubits):
            for target in range(control + 1, self.n_qubits):
                pl.CNOT(wires=(control, target))

    def _turn(self, angles: np.ndarray) -> None:
        import pennylane as pl

        for qubit in range(self.n_qubits):
            pl.RY(angles[..., 1 + qubit], wires=qubit)

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """Return <Z> = 0.5."""
        return like.new_full((batch, self.state_size), 0.5)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run a call for each step."""
        values, measured = inputs.numpy(), state.numpy().reshape(len(inputs), len(self.rings), -1)
        scale = np.array([ring.input_scale * ring.feedback_scale for ring in self.rings])
        feedback = np.array([ring.feedback_scale for ring in self.rings])[:, None]
        steps = []
        for step in range(values.shape[1]):
            first = (scale * values[:, step])[..., None]
            angles = np.concatenate([first, feedback * np.arccos(measured)], -1)
            outcomes = np.asarray(self.node(angles.reshape(-1, 1 + self.n_qubits)))
            features = (outcomes @ self.signs).reshape(len(values), len(self.rings), -1)
            measured = features[..., : self.n_qubits]
            steps.append(features.reshape(len(values), -1))
        return torch.from_numpy(np.stack(steps, 1)), torch.from_numpy(measured.reshape(len(values), -1))


def default_qubit(onion: OnionReservoir) -> Reservoir:
    """Build the rings of an onion on PennyLane's default.qubit."""
    return _PennyLaneRings([ring for ring in onion.rings if isinstance(ring, FeedbackRing)])


def reservoirpy(inputs: np.ndarray, network: EchoStateNetwork) -> Step:
    """Build a step of reservoirpy with the same matrices, sparse as its own; a batch runs series after series.

    On two cores its own workers are slower than that, measured with 64 series of 40 steps.
    """
    from scipy.sparse import csr_array

    nodes: Any = importlib.import_module("reservoirpy.nodes")
    weight = network.input_weight.numpy()
    whole = csr_array((network.values.numpy(), network.columns.numpy(), network.row_starts.numpy()))
    node = nodes.Reservoir(W=whole, Win=weight[:, 1:], bias=weight[:, 0], lr=network.leak_rate, input_dim=1)
    series = inputs if len(inputs) > 1 else inputs[0]

    def step() -> dict[str, np.ndarray]:
        if node.initialized:
            node.reset()
        return {"features": np.asarray(node.run(series)).reshape(*inputs.shape[:2], -1)}

    return step


def _ring_gates(ring: PersistentRing) -> list[tuple[float, int | None, int]]:
    """Return RY and controlled RY of a step: angle, control, target."""
    gates = []
    for layer, angles in enumerate(ring_angles(ring).numpy()):
        circuit: Circuit = persistent_layer(ring.n_qubits, layer).bind(weights=angles)
        for operation in circuit:
            control = operation.controls[0] if operation.controls else None
            gates.append((float(operation.angles[0]), control, operation.qubits[0]))  # pyright: ignore[reportArgumentType]
    return gates
