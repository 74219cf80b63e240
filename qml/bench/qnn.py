"""`qml bench qnn`: the Farhi-Neven classifier, which factorises and which other libraries simulate."""

import numpy as np
import torch

from circuits import data, weight
from qml.bench.bench import Bench, Case, Step
from qml.bench.peers import circuit_peers
from qml.bench.work import CircuitWork, Gate, parse_case, training_step
from qml.nn import QNNClassifier

PATTERN = ("zx", "xx") * 3
SEED = 0


def make_work(case: str) -> CircuitWork:
    """Draw bits on the data qubits, then exp(i angle P_j X_r) for each data qubit j, a layer a pattern; <Y_r>."""
    n_qubits, batch = parse_case(case)
    readout = n_qubits - 1
    gates = [Gate("rx", (qubit,), data(qubit)) for qubit in range(readout)]
    for layer, name in enumerate(PATTERN):
        gates += [Gate(name, (qubit, readout), weight(layer * readout + qubit)) for qubit in range(readout)]
    generator = np.random.default_rng(SEED)
    return CircuitWork(
        n_qubits=n_qubits,
        gates=tuple(gates),
        pauli="Y",
        readout=readout,
        inputs=(np.pi * generator.integers(0, 2, (batch, readout))).astype(np.float32),
        # Smaller the more qubits there are, or the product of their factors vanishes.
        weights=generator.uniform(-0.5, 0.5, len(PATTERN) * readout).astype(np.float32) / np.sqrt(readout),
        targets=(2 * generator.integers(0, 2, batch) - 1).astype(np.float32),
    )


def ours(case: str) -> Step:
    """Build a step of the package's own layer, with its weights replaced by those of the bench."""
    work = make_work(case)
    layer = QNNClassifier(work.n_qubits - 1, "".join(name[0] for name in PATTERN))
    layer.weights.data.copy_(torch.from_numpy(work.weights))
    return training_step(lambda inputs, _: layer(inputs / np.pi), work, weights=layer.weights)


ALONE = ("65,64", "257,64", "785,64")
BENCH = Bench(
    title="Farhi-Neven classifier, layers ZX XX ZX XX ZX XX onto the read-out, <Y_r>, squared error, forward "
    "and backward, float32; case is qubits,batch",
    ours=ours,
    peers=circuit_peers(make_work),
    cases={
        "17,64": Case(
            ("default.qubit", "lightning.qubit", "jax.jit"),
            left_out={
                "pyqtorch": "it takes minutes a step (20 s and more for 8 of the 64 samples)",
                "qiskit": "it takes minutes a step (the shift rule runs 192 circuits a sample)",
            },
        ),
        **dict.fromkeys(ALONE, Case()),
    },
)
