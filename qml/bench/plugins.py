"""`qml bench plugins`: programs of PennyLane and of qiskit-machine-learning, on our simulator and on theirs.

One line differs between the sides: the name of the device, or the estimator with its gradient. The bookkeeping of the
other library is part of every time.
"""

from qml.bench import qnn, simulator
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import pennylane, qiskit_ml
from qml.bench.work import CircuitWork

PEERS = ("default.qubit", "lightning.qubit")
NETWORK = "estimator-qnn"  # cases of qiskit-machine-learning
AER, SHIFTS = "qnn-on-aer", "qnn-with-shifts"  # on Aer; on our estimator with its own gradient
MAKERS = {"layers": simulator.make_work, "classifier": qnn.make_work, NETWORK: simulator.make_work}


def make_work(case: str) -> CircuitWork:
    """Build the work of a case such as `"layers,8,64"`: the circuit, qubits and batch."""
    circuit, _, size = case.partition(",")
    return MAKERS[circuit](size)


def ours(case: str) -> Step:
    """Build a step on the device, or on the estimator and the gradient, of this package, in double precision."""
    if case.startswith(NETWORK):
        return qiskit_ml.plugin(make_work(case))
    return pennylane.plugin(make_work(case))


BENCH = Bench(
    title="one program on several devices, squared error, forward and backward, inputs in float32; layers is the "
    "circuit of the bench simulator, classifier that of qnn; estimator-qnn is layers as an EstimatorQNN of "
    "qiskit-machine-learning behind its TorchConnector; case is circuit,qubits,batch",
    ours=ours,
    peers={
        "default.qubit": Peer(lambda case: pennylane.backprop(make_work(case)), ("pennylane",), "pennylane"),
        "lightning.qubit": Peer(
            lambda case: pennylane.lightning(make_work(case)), ("pennylane_lightning",), "pennylane-lightning"
        ),
        AER: Peer(
            lambda case: qiskit_ml.estimator_qnn(make_work(case)),
            ("qiskit_machine_learning", "qiskit_aer"),
            "qiskit-machine-learning",
        ),
        SHIFTS: Peer(
            lambda case: qiskit_ml.plugin_with_shifts(make_work(case)),
            ("qiskit_machine_learning",),
            "qiskit-machine-learning",
        ),
    },
    cases={
        f"{NETWORK},4,32": Case((AER, SHIFTS)),
        "layers,4,64": Case(PEERS),
        "layers,8,64": Case(PEERS),
        "layers,10,64": Case(PEERS),
        "layers,12,64": Case(PEERS),
        "layers,8,1": Case(PEERS),
        "layers,16,1": Case(PEERS),
        "classifier,9,64": Case(PEERS),
        "classifier,17,64": Case(PEERS),
    },
)
