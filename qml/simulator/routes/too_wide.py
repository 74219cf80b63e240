"""The refusal of circuits that neither a register holds nor a contraction reaches, without planning a register."""

from typing import NoReturn

from torch import Tensor

from circuits import Circuit
from qml.simulator.execution import Method
from qml.simulator.memory import MemoryNeed, available_bytes
from qml.simulator.network import Order
from qml.simulator.plan import Request

HOPELESS_BITS = 50  # of the numbers in a state, that no machine has memory for


class TooWideRoute:
    """A stand-in for the routes to a circuit that is too wide for all of them.

    It answers as `ExpectationRoute` and `DistributionRoute`, with a refusal.

    Args:
        n_qubits: of the register, or of the part of the circuit that what is read depends on.
        levels: of a qubit.
        order: the best order of a contraction that was found; None where the search gave up.
    """

    cost = 0.0  # where nothing fits into memory the first route answers, and its refusal says most

    def __init__(self, n_qubits: int, levels: int, order: Order | None) -> None:
        self._n_qubits, self._levels, self._order = n_qubits, levels, order

    @property
    def is_final(self) -> bool:
        """Tell whether no machine holds a register of half of the qubits either."""
        return _bits(self._n_qubits, self._levels) >= 2 * HOPELESS_BITS

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the register."""
        return (MemoryNeed(self._n_qubits, self._levels, len(data), data.dtype, data.device),)

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Refuse the circuit."""
        self.refuse(data)

    def probabilities(self, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, method: Method) -> Tensor:
        """Refuse the circuit."""
        self.refuse(data)

    def success_probability(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Refuse the circuit."""
        self.refuse(data)

    def state(self, data: Tensor, weights: Tensor) -> Tensor:
        """Refuse the circuit."""
        self.refuse(data)

    def refuse(self, data: Tensor) -> NoReturn:
        """Refuse the circuit with the bytes and the multiplications that it would take."""
        (need,) = self.needs(data)
        states = "state vectors" if self._levels == 2 else "density matrices"
        order = self._order
        found = "more multiplications than the search for an order allows"
        if order is not None:
            found = f"{order.cost:.1e} multiplications and a table of 2**{order.width} entries"
        raise ValueError(
            f"The simulator must fit into memory, but {states} of {self._n_qubits} qubits for a batch of {len(data)} "
            f"need 2**{need.n_bytes.bit_length() - 1} bytes or more in {data.dtype}, {available_bytes(data.device)} "
            f"are free, and the best contraction of the tensor network that was found needs {found}. Use fewer "
            "layers or qubits, or Native(method=PauliPropagation(...)), which may drop Pauli strings and reports the "
            "error."
        )


def find_too_wide(circuit: Circuit, request: Request, order: Order | None) -> TooWideRoute | None:
    """Refuse a circuit whose register no machine holds; None for a narrower one."""
    if _bits(circuit.n_qubits, request.levels) < HOPELESS_BITS:
        return None
    return TooWideRoute(circuit.n_qubits, request.levels, order)


def _bits(n_qubits: int, levels: int) -> int:
    return n_qubits * (levels // 2)
