"""Planned steps as steps on tensors, for one dtype and device."""

import numpy as np
import torch
from torch import Tensor

from qml.simulator.data_tables import DataTables, PhaseTables, data_tables
from qml.simulator.fuse import digit_groups, register_table, reorder_table
from qml.simulator.linear import Linear
from qml.simulator.matrix_program import MatrixProgram
from qml.simulator.phases import phase_frequencies
from qml.simulator.plan import Plan, PlannedMove, PlannedStep
from qml.simulator.steps import Block, ControlledStep, DataStep, Move, Permutation, PhaseStep, Reference, Step
from qml.simulator.tables import as_tensor, matrix_stack


class StepMaker:
    """A maker of tensor steps from planned ones, which collects the tables of data that they refer to."""

    def __init__(self, plan: Plan, dtype: torch.dtype, device: torch.device, program: MatrixProgram) -> None:
        self.plan, self.dtype, self.device, self.program = plan, dtype, device, program
        self.levels = plan.request.levels
        planned = [step for step in plan.steps if isinstance(step, PlannedStep)]
        self.data_maps: dict[int, list[Linear]] = {}
        for step in planned:
            first = step.block.maps[0]
            if step.block.kind != "phase" and first.slot is not None and first.slot.kind == "data":
                self.data_maps.setdefault(len(first.terms), []).append(first)
        self.phase_slots: list[int] = []

    def tables(self) -> list[DataTables | PhaseTables]:
        """Build the tables, one for each number of frequencies, then the angles of the phases; after all steps."""
        tables: list[DataTables | PhaseTables] = [
            data_tables(maps, self.dtype, self.device) for maps in self.data_maps.values()
        ]
        if self.phase_slots:
            tables.append(PhaseTables(torch.as_tensor(self.phase_slots, device=self.device)))
        return tables

    def make(self, step: PlannedStep | PlannedMove) -> Step:
        """Make one step."""
        if isinstance(step, PlannedMove):
            return self._move(step)
        if step.block.kind == "permutation":
            return self._permutation(step)
        left = self.levels**step.position
        if step.block.kind == "phase":
            return self._phase(step, left)
        if step.block.kind == "controlled":
            rows = self._controlled_rows(step)
            return ControlledStep(rows, self._inner(step, 1))
        return self._inner(step, left)

    def _inner(self, step: PlannedStep, left: int) -> Block | DataStep:
        if step.node is None:
            return self._data_step(step, left)
        node = self.plan.expressions.nodes[step.node]
        if node.value is not None:
            dtype = self.dtype if node.is_real else self.dtype.to_complex()
            return Block(left, node.side, None, as_tensor(node.value, dtype, self.device))
        place = self.program.places[step.node]
        return Block(left, node.side, Reference(per_sample=False, table=place.group, entry=place.entry))

    def _data_step(self, step: PlannedStep, left: int) -> DataStep:
        (linear,) = step.block.maps
        parts = list(matrix_stack(linear))
        if step.block.kind == "data":
            k = len(linear.sites)
            order = step.layout[step.position : step.position + k]
            table = reorder_table(linear.sites, order, self.levels)
            parts = [part[np.ix_(table, table)] for part in parts]
        dtype = self.dtype if linear.is_real else self.dtype.to_complex()
        number = list(self.data_maps).index(len(linear.terms))
        entry = next(k for k, other in enumerate(self.data_maps[len(linear.terms)]) if other is linear)
        reference = Reference(per_sample=True, table=number, entry=entry)
        return DataStep(left, len(linear.constant), as_tensor(np.stack(parts), dtype, self.device), reference)

    def _phase(self, step: PlannedStep, left: int) -> PhaseStep:
        order = step.layout[step.position : step.position + len(step.block.sites)]
        columns = []
        for linear in step.block.maps:
            rest = tuple(site for site in order if site not in linear.sites)
            spread = np.repeat(phase_frequencies(linear), 2 ** len(rest))
            columns.append(spread[reorder_table(linear.sites + rest, order, 2)])
        start = len(self.phase_slots)
        self.phase_slots.extend(linear.slot.index for linear in step.block.maps if linear.slot is not None)
        entries = slice(start, len(self.phase_slots))
        reference = Reference(per_sample=True, table=len(self.data_maps), entry=entries)
        frequencies = torch.as_tensor(np.stack(columns, 1), dtype=self.dtype, device=self.device)
        return PhaseStep(left, 2 ** len(order), frequencies, reference)

    def _permutation(self, step: PlannedStep) -> Permutation:
        table = register_table(step.block.maps, step.layout, self.levels)
        inverse = np.empty_like(table)
        inverse[table] = np.arange(len(table))
        return Permutation(torch.as_tensor(table, device=self.device), torch.as_tensor(inverse, device=self.device))

    def _move(self, step: PlannedMove) -> Move:
        return Move(*digit_groups(step.old, step.new, self.levels))

    def _controlled_rows(self, step: PlannedStep) -> Tensor:
        (linear,) = step.block.maps
        layout = step.layout
        rest = tuple(site for site in layout if site not in linear.all_sites)
        index = np.arange(2 ** len(layout)).reshape((2,) * len(layout))
        index = index.transpose([layout.index(site) for site in linear.controls + linear.sites + rest])
        rows = index.reshape(2 ** len(linear.controls), -1)[-1]
        return torch.as_tensor(rows, device=self.device)
