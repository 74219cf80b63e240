"""The route in two halves: two small registers in the place of a wide one, joined by the overlaps of their branches."""

import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator.cut import Cut, best_cut, cut_cost
from qml.simulator.execution import Method, execute
from qml.simulator.gram import GramReadout, gram_readout, joined_values
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.routes.plan_tables import PlanTables, Where
from qml.simulator.tables import TableCache

MIN_QUBITS_OF_A_CUT = 8  # below, a state vector is as quick
STATES_OF_A_HALF = 6  # batches of states that are held at once


class HalvesRoute:
    """A simulation of both halves of a cut circuit; see `ExpectationRoute`."""

    is_final = False

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._tables = tuple(PlanTables(half) for half in cut.halves)
        self._readouts: TableCache[tuple[int, Where], GramReadout] = TableCache()

    @property
    def cost(self) -> float:
        """Estimate both passes and the overlaps."""
        return cut_cost(self.cut)

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of each half."""
        cut = self.cut
        return tuple(
            tables.needs(data)._replace(
                register=f"each half of a circuit of {sum(cut.n_own)} qubits, {tables.draft.n_sites} with branches,",
                n_states=STATES_OF_A_HALF,
                more=cut.table_bytes(side, data.dtype),
            )
            for side, tables in enumerate(self._tables)
        )

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values from the overlaps between all branches of both halves."""
        for need in self.needs(data):
            need.require()
        grams = [self._overlaps(side, data, weights, method=method) for side in (0, 1)]
        values = joined_values(self.cut, *grams).expand(data.shape[0], -1)
        return values.clone(memory_format=torch.contiguous_format)

    def _overlaps(self, side: int, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute those of one half; (strings, batch or 1, 2**m, 2**m)."""
        compiled = self._tables[side].compiled(data)
        key = (side, (compiled.dtype, compiled.device))
        readout = self._readouts.get(key, lambda: gram_readout(self.cut, side, compiled))
        return execute(compiled, readout, data, weights, method=method)


def find_halves(circuit: Circuit, request: Request) -> HalvesRoute | None:
    """Find the best cut; None where none is possible, or none whose halves have fewer amplitudes than the register."""
    if circuit.n_qubits < MIN_QUBITS_OF_A_CUT:
        return None
    cut = best_cut(circuit, request, largest=2**circuit.n_qubits)
    return None if cut is None else HalvesRoute(cut)
