"""The peers of the circuit benches, each in its best configuration."""

from collections.abc import Callable

from qml.bench.bench import Peer, Step
from qml.bench.peers import pennylane, pyqtorch, qiskit, qulacs, squlearn
from qml.bench.work import CircuitWork


def circuit_peers(make_work: Callable[[str], CircuitWork]) -> dict[str, Peer]:
    """Return every library that runs the circuit of a bench, by name.

    Args:
        make_work: case to the work of a bench.
    """

    def on(prepare: Callable[[CircuitWork], Step]) -> Callable[[str], Step]:
        return lambda case: prepare(make_work(case))

    return {
        "default.qubit": Peer(on(pennylane.backprop), ("pennylane",), "pennylane"),
        "lightning.qubit": Peer(on(pennylane.lightning), ("pennylane_lightning",), "pennylane-lightning"),
        "jax.jit": Peer(on(pennylane.jax_jit), ("pennylane", "jax"), "jax", torch_facing=False),
        "pyqtorch": Peer(on(pyqtorch.automatic), ("pyqtorch",), "pyqtorch"),
        "qulacs": Peer(on(qulacs.backprop), ("qulacs",), "qulacs", torch_facing=False),
        "squlearn": Peer(on(squlearn.network), ("squlearn", "qulacs"), "squlearn qulacs", torch_facing=False),
        "qiskit": Peer(on(qiskit.parameter_shift), ("qiskit", "qiskit_aer"), "qiskit-aer"),
    }
