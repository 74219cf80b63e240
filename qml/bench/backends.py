"""`qml bench backends`: a training step on another simulator than ours, gradients by shift rule, ours beside its peers.

A case with a device's name in front is ours on that PennyLane device, beside PennyLane's own shift rule on it.
PennyLane cannot run on Aer here: pennylane-qiskit 0.45 asks for qiskit <= 2.3.0 and qiskit-aer ~= 0.17.2, older than
the versions that this package is tested with.
"""

from functools import partial

import torch

from circuits import Z
from qml.backends import Aer, PennyLane
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import pennylane, qiskit_ml
from qml.bench.simulator import make_work
from qml.bench.work import as_circuit, training_step
from qml.jobs import PubResult, Submission

PENNYLANE_ON_AER = "pennylane-qiskit 0.45 asks for qiskit <= 2.3.0 and qiskit-aer ~= 0.17.2"


def step_on(case: str, backend: Aer | PennyLane) -> Step:
    """Build a forward and a backward pass on a backend."""
    work = make_work(case)
    circuit, observables = as_circuit(work.n_qubits, work.gates), [Z(work.readout)]

    def model(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return backend.expectation(circuit, inputs, weights, observables)[:, 0]

    return training_step(model, work)


def ours(case: str) -> Step:
    """Run the circuit on Aer, or on the PennyLane device that the case names."""
    device, _, size = case.rpartition(" ")
    return step_on(size, PennyLane(device) if device else Aer())


class Counter:
    """A runner that counts jobs and circuits."""

    def __init__(self, backend: Aer) -> None:
        self.backend, self.jobs, self.circuits = backend, 0, 0

    def run(self, submission: Submission) -> list[PubResult]:
        """Count the submission, and hand it on."""
        self.jobs += 1
        self.circuits += sum(len(pub.values) for pub in submission.pubs)
        return self.backend.run(submission)


def counts(case: str) -> list[str]:
    """Describe the jobs and circuits of one step, ours and PennyLane's, in words."""
    if " " in case:
        return []
    counter = Counter(Aer())
    step_on(case, Aer(runner=counter))()
    jobs, circuits = pennylane.shift_counts(make_work(case))
    return [
        f"{case}: a forward and a backward pass of ours is {counter.jobs} jobs, {counter.circuits} circuits and 1 "
        f"transpile; PennyLane's on lightning.qubit hands its device {circuits} circuits in {jobs} calls, and a device "
        "plug-in that sends one job and transpiles once a circuit makes as many of both."
    ]


def _peer(prepare: partial[Step], modules: tuple[str, ...], install: str) -> Peer:
    return Peer(lambda case: prepare(make_work(case.rpartition(" ")[2])), modules, install)


PEERS = {
    "qiskit-machine-learning": _peer(
        partial(qiskit_ml.estimator_qnn), ("qiskit_machine_learning", "qiskit_aer"), "qiskit-machine-learning"
    ),
    "lightning.qubit": _peer(
        partial(pennylane.shift, device="lightning.qubit"), ("pennylane_lightning",), "pennylane-lightning"
    ),
    "default.qubit": _peer(partial(pennylane.shift, device="default.qubit"), ("pennylane",), "pennylane"),
    "qiskit.aer": _peer(partial(pennylane.shift, device="qiskit.aer"), ("pennylane_qiskit",), "pennylane-qiskit"),
}
BENCH = Bench(
    title="RY(x), 4 layers of (RY RZ, CX ring), <Z_0>, squared error, forward and backward by shift rule; case is "
    "qubits,batch, ours on Aer, or after a device of PennyLane ours on that",
    ours=ours,
    peers=PEERS,
    cases={
        "4,32": Case(("qiskit-machine-learning", "lightning.qubit"), left_out={"qiskit.aer": PENNYLANE_ON_AER}),
        "default.qubit 4,32": Case(("default.qubit",)),
        "lightning.qubit 4,32": Case(("lightning.qubit",)),
    },
    notes=counts,
)
