"""The contract of routes.

A route is planned for one circuit and one request. It knows what it costs, in time and in memory, and runs itself: it
checks the memory, makes its tables at the first use, evolves and reads. What it can compute is said by its methods: it
fulfils one protocol or several of `ExpectationRoute`, `DistributionRoute` and `JetRoute`, and stands in the list of
candidates for each of them (`qml.simulator.routes.candidates`).
"""

from typing import Protocol, runtime_checkable

from torch import Tensor

from qml.jets import Orders
from qml.simulator.execution import Method
from qml.simulator.memory import MemoryNeed


@runtime_checkable
class Route(Protocol):
    """A way to compute what is asked of a circuit."""

    @property
    def cost(self) -> float:
        """Estimate the nanoseconds of a forward pass by the rates of `qml.simulator.cost`; only ratios matter."""
        ...

    @property
    def is_final(self) -> bool:
        """Tell whether the route is taken, for batches of any size, without planning the candidates after it.

        It is one whose cost does not grow exponentially with the number of qubits.
        """
        ...

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory that each part of a run takes, of which the largest must be free."""
        ...


@runtime_checkable
class ExpectationRoute(Route, Protocol):
    """A route to expectation values."""

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute the expectation values of the request's observables.

        Args:
            data: (batch, inputs).
            weights: (weights,).
            method: how first derivatives are taken.

        Returns:
            Tensor of shape (batch, observables) with memory of its own.

        Raises:
            ValueError: states that do not fit into memory; a post-selection that cannot succeed.
        """
        ...


@runtime_checkable
class DistributionRoute(Route, Protocol):
    """A route to probabilities and amplitudes; from probabilities, samples are drawn."""

    def probabilities(self, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, method: Method) -> Tensor:
        """Compute the probabilities of the outcomes of `qubits`, the first the most significant; (batch, 2**k)."""
        ...

    def success_probability(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute the probability that every post-selection succeeds, (batch,); the request reads the norm."""
        ...

    def state(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the normalised state vector, complex, (batch, 2**n)."""
        ...


@runtime_checkable
class JetRoute(Route, Protocol):
    """A route to expectation values with derivatives along directions."""

    def takes_rows(self, data: Tensor) -> bool:
        """Tell whether rows of weights that are all one row need no states of their own."""
        ...

    def jets(self, data: Tensor, weights: Tensor, orders: Orders) -> Tensor:
        """Compute the components of expectation values; see `qml.simulator.jets.jet_values`.

        Raises:
            ValueError: states that do not fit into memory.
            NotImplementedError: a circuit that projects, or whose amplitudes are data.
        """
        ...
