"""A register's draft with all that is made of it at the first use."""

from functools import cached_property

import torch
from torch import Tensor

from qml.simulator.compiled import Compiled, compile_plan, readout_for
from qml.simulator.draft import Draft
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Plan
from qml.simulator.readout import Readout
from qml.simulator.tables import TableCache

Where = tuple[torch.dtype, torch.device]


class PlanTables:
    """A draft, its plan, and the tables of the plan for each dtype and device."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._compiled: TableCache[Where, Compiled] = TableCache()
        self._readouts: TableCache[tuple[Where, tuple[int, ...] | None, bool], Readout] = TableCache()

    @cached_property
    def plan(self) -> Plan:
        """Finish the draft."""
        return self.draft.finish()

    def compiled(self, data: Tensor) -> Compiled:
        """Return the compiled plan for the dtype and the device of `data`."""
        dtype, device = data.dtype, data.device
        return self._compiled.get((dtype, device), lambda: compile_plan(self.plan, dtype=dtype, device=device))

    def readout(self, compiled: Compiled, qubits: tuple[int, ...] | None, *, with_norm: bool) -> Readout:
        """Return the readout of the observables, or of the probabilities of `qubits`."""
        key = ((compiled.dtype, compiled.device), qubits, with_norm)
        return self._readouts.get(key, lambda: readout_for(compiled, qubits, with_norm=with_norm))

    def needs(self, data: Tensor) -> MemoryNeed:
        """Return the memory of the states of one run."""
        draft = self.draft
        dtype = data.dtype if draft.is_real else data.dtype.to_complex()
        return MemoryNeed(draft.n_sites, draft.request.levels, data.shape[0], dtype, data.device)
