"""What is asked of a circuit again and again: its reduction to what matters, and the requests, each made once."""

from circuits import Circuit, Observable
from qml.simulator.idle import without_idle
from qml.simulator.kept import KeptByCircuit
from qml.simulator.plan import Request

MAX_ASKED = 4  # tuples of observables of a circuit


class Asked:
    """The observables that are read of a circuit.

    Args:
        circuit: what runs.
        observables: what is read.

    Attributes:
        observables: the same tuple.
        fit: whether all act on qubits of the circuit.
        terms: their weighted Pauli strings on the circuit without idle qubits.
        narrow: that circuit; None where no qubit is idle, since a reference to the circuit would keep it alive.
    """

    def __init__(self, circuit: Circuit, observables: tuple[Observable, ...]) -> None:
        self.observables = observables
        self.fit = all(not one.qubits or one.qubits[-1] < circuit.n_qubits for one in observables)
        narrow, self.terms = without_idle(circuit, tuple(observable.terms for observable in observables))
        self.narrow = None if narrow is circuit else narrow
        self._requests: dict[tuple, Request] = {}

    def request(self, levels: int, batch: int, *, shared: bool, only_registers: bool, compiled: bool | None) -> Request:
        """Return the request with these options; see `Request`."""
        key = levels, batch, shared, only_registers, compiled
        made = self._requests.get(key)
        if made is None:
            options = {"only_registers": only_registers, "compiled": compiled}
            made = Request(levels, self.terms, shared_data=shared, batch=batch, **options)
            self._requests[key] = made
        return made


_ASKED: KeptByCircuit[list[Asked]] = KeptByCircuit(list)


def asked(circuit: Circuit, observables: tuple[Observable, ...]) -> Asked:
    """Return what is known of observables that are read of a circuit; the tuple is recognised by its identity."""
    kept = _ASKED.of(circuit)
    for one in kept:
        if one.observables is observables:
            return one
    made = Asked(circuit, observables)
    kept[:] = [made, *kept[: MAX_ASKED - 1]]
    return made
