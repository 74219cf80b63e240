"""The route to probabilities of few qubits by contraction: their outcomes stay variables of the result."""

from typing import NoReturn

from torch import Tensor

from circuits import Circuit
from qml.simulator.contract import Contraction, contract, planned_contraction
from qml.simulator.execution import Method
from qml.simulator.memory import MemoryNeed
from qml.simulator.network import find_order, network_of
from qml.simulator.plan import Request
from qml.simulator.routes.contraction import (
    LARGEST_COST,
    contraction_cost,
    contraction_need,
    fitting,
    narrowed,
    register_cost,
)
from qml.simulator.routes.register import require_possible
from qml.simulator.routes.too_wide import TooWideRoute, find_too_wide


class OutcomesRoute:
    """A contraction that leaves the outcomes of the request's qubits; see `DistributionRoute`.

    Args:
        plan: the contraction.
        request: what is asked.
        projects: whether the circuit post-selects.
        register_cost: an estimate of what a register would cost.
    """

    def __init__(self, plan: Contraction, request: Request, *, projects: bool, register_cost: float) -> None:
        self._slices, self._request = [plan], request
        self._projects, self._register_cost = projects, register_cost

    @property
    def is_final(self) -> bool:
        """Tell whether no register comes near the cost, so that none need be planned."""
        return self.cost < self._register_cost

    @property
    def cost(self) -> float:
        """Estimate the products of tables."""
        return contraction_cost(self._slices[0], self._request.batch)

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the contraction, in as few slices as fit."""
        return (contraction_need(fitting(self._slices, data), data),)

    def probabilities(self, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, method: Method) -> Tensor:
        """Compute probabilities, divided by the probability of success where the circuit projects."""
        values = self._contracted(data, weights)
        if not self._projects:
            return values
        chance = values.sum(1, keepdim=True)
        require_possible(chance, levels=2)
        return values / chance

    def success_probability(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute the norm, of which the request reads no qubits."""
        return self._contracted(data, weights).sum(1)

    def state(self, data: Tensor, weights: Tensor) -> NoReturn:
        """Refuse amplitudes."""
        raise NotImplementedError("Amplitudes must come from a register, but this route contracts a network.")

    def _contracted(self, data: Tensor, weights: Tensor) -> Tensor:
        plan = fitting(self._slices, data)
        contraction_need(plan, data).require()
        n_read = len(plan.network.read)
        values = contract(plan, data, weights, data.dtype.to_complex() if plan.is_complex else data.dtype).real
        if not plan.takes_data:
            values = values[None]
        return values.reshape(len(values), 2**n_read).expand(len(data), -1) + 0.0 * (
            data.sum(1, keepdim=True) + weights.sum()
        )


def find_outcomes(circuit: Circuit, request: Request) -> OutcomesRoute | TooWideRoute | None:
    """Plan the contraction to the outcomes of some qubits; None where a register is quicker, or the only way."""
    limit = register_cost(circuit, request)
    if request.outcomes is None or limit is None:
        return None
    network = network_of(circuit, (), request.outcomes)
    order = find_order(network, min(limit, LARGEST_COST))
    plan = None if order is None else narrowed(planned_contraction(network, order))
    if plan is None or plan.order.cost > min(limit, LARGEST_COST):
        return find_too_wide(circuit, request, order)
    projects = any(op.gate.name == "post_select" for op in circuit.operations)
    return OutcomesRoute(plan, request, projects=projects, register_cost=limit)
