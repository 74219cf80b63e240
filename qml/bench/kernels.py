"""`qml bench kernels`: Gram matrices of the fidelity kernel and of the projected kernel of the IQP embedding.

A case is qubits,samples; with `projected` in front it is the projected kernel.
"""

from itertools import combinations

import numpy as np
import torch

from circuits import data
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import gram, squlearn
from qml.bench.work import BenchGate, as_circuit, parse_case
from qml.kernels import FidelityKernel, ProjectedKernel

REPETITIONS = 2
SEED = 0
PROJECTED = "projected "


def make_work(case: str) -> gram.GramWork:
    """Build the IQP embedding, twice: H and RZ(x_i) on every qubit, exp(-i x_i x_j ZZ / 2) on every pair.

    H is RY(pi/2) and RZ(pi), up to a phase, so that every library has the same gates; angles are computed before.
    """
    n_qubits, batch = parse_case(case.removeprefix(PROJECTED))
    pairs = list(combinations(range(n_qubits), 2))
    features = np.random.default_rng(SEED).uniform(-np.pi / 2, np.pi / 2, (batch, n_qubits))
    products = np.stack([features[:, i] * features[:, j] for i, j in pairs], axis=1)
    half_turns = np.broadcast_to([np.pi / 2, np.pi], (batch, 2))
    quarter, half = data(n_qubits + len(pairs)), data(n_qubits + len(pairs) + 1)
    gates = []
    for _ in range(REPETITIONS):
        for qubit in range(n_qubits):
            gates += [BenchGate("rz", (qubit,), half), BenchGate("ry", (qubit,), quarter)]
            gates.append(BenchGate("rz", (qubit,), data(qubit)))
        gates += [BenchGate("rzz", pair, data(n_qubits + number)) for number, pair in enumerate(pairs)]
    return gram.GramWork(n_qubits, tuple(gates), np.concatenate([features, products, half_turns], axis=1))


def ours(case: str) -> Step:
    """Build a step of our kernel."""
    work = make_work(case)
    make = ProjectedKernel if case.startswith(PROJECTED) else FidelityKernel
    kernel = make(as_circuit(work.n_qubits, work.gates), dtype=torch.float64)
    inputs = torch.from_numpy(work.inputs)

    def step() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return {"gram": kernel(inputs)}

    return step


def squlearn_kernel(case: str) -> Step:
    """Build a step of sQUlearn's kernel of the same kind."""
    make = squlearn.projected_kernel if case.startswith(PROJECTED) else squlearn.fidelity_kernel
    return make(make_work(case))


PEERS = {
    "default.qubit": Peer(lambda case: gram.broadcast_states(make_work(case)), ("pennylane",), "pennylane"),
    "lightning.qubit": Peer(lambda case: gram.lightning_states(make_work(case)), ("pennylane",), "pennylane"),
    "qiskit-ml": Peer(
        lambda case: gram.statevector_kernel(make_work(case)),
        ("qiskit", "qiskit_machine_learning"),
        "qiskit-machine-learning",
        torch_facing=False,
    ),
    "squlearn": Peer(squlearn_kernel, ("squlearn", "qulacs"), "squlearn qulacs", torch_facing=False),
}
BENCH = Bench(
    title="Gram matrix of the fidelity kernel of the IQP embedding, two repetitions, float64, value only; case is "
    "qubits,samples, or, with `projected` in front, the projected kernel with X, Y and Z of each qubit",
    ours=ours,
    peers=PEERS,
    cases={
        **{case: Case(tuple(PEERS)) for case in ("4,300", "10,300", "14,100")},
        **{f"{PROJECTED}{case}": Case(("squlearn",)) for case in ("4,300", "10,100")},
    },
)
