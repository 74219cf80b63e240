"""`qml bench plugins`: the circuits of the benches as QNodes, on our PennyLane device and on PennyLane's own.

One line differs between the sides: the name of the device. PennyLane's bookkeeping is part of every time.
"""

from qml.bench import qnn, simulator
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import pennylane
from qml.bench.work import CircuitWork

PEERS = ("default.qubit", "lightning.qubit")
MAKERS = {"layers": simulator.make_work, "classifier": qnn.make_work}


def make_work(case: str) -> CircuitWork:
    """Build the work of a case such as `"layers,8,64"`: the circuit, qubits and batch."""
    circuit, _, size = case.partition(",")
    return MAKERS[circuit](size)


def ours(case: str) -> Step:
    """Build a step on the device of this package, in its double precision."""
    return pennylane.plugin(make_work(case))


BENCH = Bench(
    title="the same QNode on three devices, squared error, forward and backward, inputs in float32; layers is the "
    "circuit of the bench simulator, classifier that of qnn; case is circuit,qubits,batch",
    ours=ours,
    peers={
        "default.qubit": Peer(lambda case: pennylane.backprop(make_work(case)), ("pennylane",), "pennylane"),
        "lightning.qubit": Peer(
            lambda case: pennylane.lightning(make_work(case)), ("pennylane_lightning",), "pennylane-lightning"
        ),
    },
    cases={
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
