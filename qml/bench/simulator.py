"""`qml bench simulator`: a re-uploading-free layer, the circuit that every library was made for."""

import numpy as np
import torch

from circuits import Z, data, weight
from qml.backends import Native
from qml.bench.bench import Bench, Case, Step
from qml.bench.peers import circuit_peers
from qml.bench.work import BenchGate, CircuitWork, as_circuit, parse_case, training_step

N_LAYERS = 4  # of a case that gives none
SEED = 0


def make_work(case: str) -> CircuitWork:
    """Draw RY of the data on each qubit, then layers of RY RZ on each qubit and a ring of CX; <Z_0>.

    After a colon a case has its number of layers, in which the range of the rings grows from one to the next; after
    another one it may have `float64`.
    """
    size, _, rest = case.partition(":")
    depth, _, precision = rest.partition(":")
    dtype = np.dtype(precision or "float32")
    n_qubits, batch = parse_case(size)
    n_layers = int(depth) if depth else N_LAYERS
    gates = [BenchGate("ry", (qubit,), data(qubit)) for qubit in range(n_qubits)]
    for layer in range(n_layers):
        reach = layer % (n_qubits - 1) + 1 if depth else 1
        for qubit in range(n_qubits):
            first = 2 * (layer * n_qubits + qubit)
            gates += [BenchGate("ry", (qubit,), weight(first)), BenchGate("rz", (qubit,), weight(first + 1))]
        gates += [BenchGate("cx", (qubit, (qubit + reach) % n_qubits)) for qubit in range(n_qubits)]
    generator = np.random.default_rng(SEED)
    return CircuitWork(
        n_qubits=n_qubits,
        gates=tuple(gates),
        pauli="Z",
        readout=0,
        inputs=generator.uniform(-np.pi, np.pi, (batch, n_qubits)).astype(dtype),
        # Angles this small keep the gradient of deep and wide circuits large enough to be compared.
        weights=generator.uniform(-0.5, 0.5, 2 * n_layers * n_qubits).astype(dtype),
        targets=generator.uniform(-1, 1, batch).astype(dtype),
    )


def ours(case: str) -> Step:
    """Build a step of the circuit on the native simulator."""
    work = make_work(case)
    circuit = as_circuit(work.n_qubits, work.gates)
    backend, observables = Native(), [Z(work.readout)]

    def model(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return backend.expectation(circuit, inputs, weights, observables)[:, 0]

    return training_step(model, work)


EVERY_PEER = ("default.qubit", "lightning.qubit", "jax.jit", "pyqtorch", "qulacs", "qiskit")
COMPILED_PEERS = ("lightning.qubit", "qulacs")
BENCH = Bench(
    title="RY(x), 4 layers of (RY RZ, CX ring), <Z_0>, squared error, forward and backward, float32; case is "
    "qubits,batch, or qubits,batch:layers with rings of growing range, or that with :float64 at its end",
    ours=ours,
    peers=circuit_peers(make_work),
    cases={
        "4,64": Case((*EVERY_PEER, "squlearn")),
        "8,64": Case((*EVERY_PEER, "squlearn")),
        "8,512": Case(EVERY_PEER),
        "10,64": Case(EVERY_PEER),
        "12,32": Case(EVERY_PEER),
        "16,1": Case(COMPILED_PEERS),
        "18,1": Case(COMPILED_PEERS),
        "20,1": Case(COMPILED_PEERS),
        "4,1:20": Case(COMPILED_PEERS),
        "4,32:20": Case((*COMPILED_PEERS, "jax.jit")),
        "4,64:20": Case((*COMPILED_PEERS, "jax.jit")),
        "8,1:20": Case(COMPILED_PEERS),
        "8,32:20": Case(COMPILED_PEERS),
        "10,1:20": Case(COMPILED_PEERS),
        "10,32:20": Case(COMPILED_PEERS),
        "12,1:20": Case(COMPILED_PEERS),
        "16,1:20": Case(COMPILED_PEERS),
        "20,1:20": Case(COMPILED_PEERS),
        "4,1:20:float64": Case(("qulacs",)),
        "4,32:20:float64": Case(("qulacs",)),
        "8,1:20:float64": Case(("qulacs",)),
        "8,32:20:float64": Case(("qulacs",)),
        "10,1:20:float64": Case(("qulacs",)),
        "10,32:20:float64": Case(("qulacs",)),
    },
)
