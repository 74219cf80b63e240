"""The route by contraction: a wide circuit of low width as a tensor network (see `qml.simulator.network`)."""

import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator.contract import Contraction, contract, planned_contraction
from qml.simulator.cost import CALL_NS
from qml.simulator.execution import Method
from qml.simulator.memory import MemoryNeed
from qml.simulator.network import find_order, network_of
from qml.simulator.plan import Request
from qml.simulator.routes.register import require_possible
from qml.simulator.routes.too_wide import TooWideRoute, find_too_wide
from qml.simulator.slices import sliced
from qml.simulator.tables import TableCache

WIDE = 12  # qubits: a register of so few is as quick
CALLS_A_STEP = 4.0  # tensor operations in one product of two tables
ENTRY_NS = 4.0  # one multiplication of entries
AMPLITUDE_NS = 1.0  # one amplitude in one operation on a register
CLEARLY = 4.0  # times cheaper than a register, where both costs are estimates
PLANNING_NS = 4e4  # of one operation in the network of one string
QUICK_NS = 3e7  # of a register, below which no order is looked for
STATES_OF_A_TABLE = 4  # tables of the largest size that are held at once
LARGEST_EXPONENT = 500  # of levels in an estimate, which must stay a finite float
LARGEST_WIDTH = 27  # variables of a table that a slice may have
MOST_CONTROLS = 12  # of one gate, whose table has a dimension for each
LARGEST_COST = 1e11  # multiplications, some minutes


class ContractionRoute:
    """A contraction for every string; see `ExpectationRoute`.

    Args:
        strings: a contraction for each distinct string; the last one is of the norm where the circuit post-selects.
        terms: (observable, coefficient, string) of all strings.
        n_observables: how many observables there are.
        request: what is asked.
        projects: whether the circuit post-selects.
        register_cost: an estimate of what a register would cost.
    """

    def __init__(
        self,
        strings: tuple[Contraction, ...],
        terms: tuple[tuple[int, float, int], ...],
        n_observables: int,
        request: Request,
        *,
        projects: bool,
        register_cost: float,
    ) -> None:
        self._register_cost = register_cost
        self.strings, self._terms, self._n_observables = strings, terms, n_observables
        self._projects, self._request = projects, request
        self._tables: TableCache[tuple[torch.dtype, torch.device], Tensor] = TableCache()
        self._slices = [[entry] for entry in strings]  # of each string with ever more fixed variables

    @property
    def is_final(self) -> bool:
        """Tell whether no register comes near the cost, so that none need be planned."""
        return CLEARLY * self.cost < self._register_cost

    @property
    def cost(self) -> float:
        """Estimate the products of tables of all strings."""
        return sum(contraction_cost(entry, self._request.batch) for entry in self.strings)

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of every contraction, in as few slices as fit."""
        return tuple(
            contraction_need(fitting(slices, data, len(self._slices)), data, len(self._slices))
            for slices in self._slices
        )

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Contract all networks; derivatives are by autograd, whatever the method."""
        plans = [fitting(slices, data, len(self._slices)) for slices in self._slices]
        for plan in plans:
            contraction_need(plan, data, len(plans)).require()
        is_complex = any(plan.is_complex for plan in plans)
        dtype = data.dtype.to_complex() if is_complex else data.dtype
        values = [contract(plan, data, weights, dtype) for plan in plans]
        values = [value.real if is_complex else value for value in values]
        known = torch.stack([value.expand(data.shape[0]) for value in values], 1)
        matrix = self._tables.get((data.dtype, data.device), lambda: self._matrix(data))
        answer = known @ matrix + 0.0 * (data.sum(1, keepdim=True) + weights.sum())
        if not self._projects:
            return answer
        require_possible(known[:, -1:], levels=2)
        return answer / known[:, -1:]

    def _matrix(self, like: Tensor) -> Tensor:
        """Return the coefficient of every string in every observable."""
        matrix = like.new_zeros(len(self.strings), self._n_observables)
        for observable, coefficient, string in self._terms:
            matrix[string, observable] += coefficient
        return matrix


def find_contraction(circuit: Circuit, request: Request) -> ContractionRoute | TooWideRoute | None:
    """Plan the contraction of all strings; None where a register is certainly quicker, or the only way."""
    limit = register_cost(circuit, request)
    if request.terms is None or request.only_registers or limit is None:
        return None
    projects = any(op.gate.name == "post_select" for op in circuit.operations)
    distinct = list(dict.fromkeys(factors for weighted in request.terms for _, factors in weighted))
    if projects:
        distinct = [factors for factors in distinct if factors] + [()]
    if len(distinct) * len(circuit) * PLANNING_NS > limit:
        return None
    planned, left = [], limit / ENTRY_NS
    for string in distinct:
        network = network_of(circuit, string)
        order = find_order(network, min(left, LARGEST_COST))
        plan = None if order is None else narrowed(planned_contraction(network, order))
        if plan is None or plan.order.cost > min(left, LARGEST_COST):
            return find_too_wide(circuit, request, order)
        planned.append(plan)
        left -= plan.order.cost
    terms = tuple(
        (observable, coefficient, distinct.index(factors))
        for observable, weighted in enumerate(request.terms)
        for coefficient, factors in weighted
    )
    return ContractionRoute(tuple(planned), terms, len(request.terms), request, projects=projects, register_cost=limit)


def register_cost(circuit: Circuit, request: Request) -> float | None:
    """Estimate what a register costs, in nanoseconds; None where no order is looked for."""
    if circuit.n_qubits <= WIDE or any(len(op.controls) > MOST_CONTROLS for op in circuit.operations):
        return None
    cost = len(circuit) * AMPLITUDE_NS * float(request.levels) ** min(circuit.n_qubits, LARGEST_EXPONENT)
    return None if cost < QUICK_NS else cost


def contraction_cost(plan: Contraction, batch: int) -> float:
    """Estimate the products of tables, in nanoseconds."""
    calls = len(plan.steps) * 2 ** len(plan.fixed) * CALLS_A_STEP * CALL_NS
    return calls + plan.order.cost * ENTRY_NS * (max(batch, 1) if plan.takes_data else 1)


def contraction_need(plan: Contraction, data: Tensor, n_strings: int = 1) -> MemoryNeed:
    """Return the memory of a contraction: its largest tables, and all of them where a backward pass needs them.

    Args:
        plan: the contraction.
        data: of which batch size, dtype and device count.
        n_strings: contractions of about this size that wait for one backward pass; slices are computed again there.
    """
    dtype = data.dtype.to_complex() if plan.is_complex else data.dtype
    batch = len(data) if plan.takes_data else 1
    recorded = 0
    if torch.is_grad_enabled():
        waiting = 1 if plan.fixed else n_strings
        recorded = int(min(plan.order.written, 2.0**60)) * dtype.itemsize * batch * waiting
    slices = f" in {2 ** len(plan.fixed)} slices" if plan.fixed else ""
    what = f"a contraction{slices} of {plan.order.cost:.1e} multiplications, whose largest table has {plan.order.width}"
    return MemoryNeed(
        plan.order.width,
        2,
        batch,
        dtype,
        data.device,
        register=f"{what} variables,",
        n_states=STATES_OF_A_TABLE,
        more=recorded,
    )


def fitting(slices: list[Contraction], data: Tensor, n_strings: int = 1) -> Contraction:
    """Return a contraction in as few slices as fit into memory, or in as many as there may be.

    Args:
        slices: the same contraction with ever more fixed variables; it grows.
        data: of which batch size, dtype and device count.
        n_strings: as for `contraction_need`.
    """
    place = 0
    while not contraction_need(slices[place], data, n_strings).fits():
        if place + 1 == len(slices):
            more = sliced(slices[place])
            if more is None or more.order.cost > LARGEST_COST:
                break
            slices.append(more)
        place += 1
    return slices[place]


def narrowed(plan: Contraction) -> Contraction | None:
    """Fix variables until the largest table is one that a memory can hold; None where that takes too long."""
    current: Contraction | None = plan
    while current is not None and current.order.width > LARGEST_WIDTH and current.order.cost <= LARGEST_COST:
        current = sliced(current)
    return None if current is None or current.order.width > LARGEST_WIDTH else current
