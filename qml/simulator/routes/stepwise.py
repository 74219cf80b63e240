"""The route of jets: one register, every gate as a step, so that states carry derivatives from gate to gate."""

from dataclasses import replace

from torch import Tensor

from circuits import Circuit
from qml.jets import Orders
from qml.simulator.compiled import Compiled
from qml.simulator.draft import Draft, draft_circuit
from qml.simulator.jets import jet_values
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.readout import StateReadout
from qml.simulator.routes.factorised import find_factorised
from qml.simulator.routes.plan_tables import PlanTables, Where
from qml.simulator.tables import TableCache
from qml.simulator.weight_rows import Dependence, dependence, slopes_fit

MAX_JET_QUBITS = 8  # above, states with all components no longer fit into caches, and nested passes are quicker
MAX_UNSPLIT_QUBITS = 3  # a state of so few is as good as its factors


class StepwiseRoute:
    """A simulation that carries the components of jets through every gate; see `JetRoute`."""

    is_final = False

    def __init__(self, draft: Draft) -> None:
        self._draft, self._tables = draft, PlanTables(draft)
        self._dependences: TableCache[Where, Dependence] = TableCache()

    @property
    def cost(self) -> float:
        """Return what the draft costs."""
        return self._draft.cost

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the states of all components."""
        return (self._tables.needs(data.flatten(0, 1)),)

    def takes_rows(self, data: Tensor) -> bool:
        """Tell whether the derivatives of all matrices may be held."""
        compiled = self._compiled(data)
        return slopes_fit(compiled, self._dependence(compiled))

    def jets(self, data: Tensor, weights: Tensor, orders: Orders) -> Tensor:
        """Compute the components of expectation values."""
        compiled = self._compiled(data)
        readout = self._tables.readout(compiled, None, with_norm=False)
        if not isinstance(readout, StateReadout):
            raise TypeError("Expectation values of a state vector must have a readout of states.")
        by_row = self._dependence(compiled) if weights.ndim == 2 else None
        return jet_values(compiled, readout, data, weights, orders, by_row)

    def _compiled(self, data: Tensor) -> Compiled:
        self._tables.needs(data.flatten(0, 1)).require()
        plan = self._tables.plan
        if plan.has_projection or plan.takes_amplitudes:
            raise NotImplementedError(
                "Derivatives along directions need a circuit of unitary gates that starts in |0...0>."
            )
        return self._tables.compiled(data)

    def _dependence(self, compiled: Compiled) -> Dependence:
        return self._dependences.get((compiled.dtype, compiled.device), lambda: dependence(compiled))


def find_stepwise(circuit: Circuit, request: Request) -> StepwiseRoute | None:
    """Draft a register of steps; None for a circuit that is too wide, or that is simulated qubit by qubit."""
    if circuit.n_qubits > MAX_JET_QUBITS:
        return None
    whole = replace(request, only_steps=False)
    if circuit.n_qubits > MAX_UNSPLIT_QUBITS and (
        find_factorised(circuit, whole) is not None or not draft_circuit(circuit, whole).blocks
    ):
        return None
    return StepwiseRoute(draft_circuit(circuit, replace(request, only_steps=True)))
