"""A plan with its tables as tensors, for one dtype and device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from qml.simulator.fuse import digit_groups, register_table, reorder_table
from qml.simulator.linear import Linear
from qml.simulator.phases import phase_frequencies
from qml.simulator.plan import Plan, PlannedMove, PlannedStep
from qml.simulator.program import Fetch, Program, as_tensor, compile_program, fetch_for, matrix_stack
from qml.simulator.readout import (
    ProbabilityReadout,
    Readout,
    TransferProbabilityReadout,
    state_readout,
    transfer_readout,
)
from qml.simulator.steps import Block, ControlledStep, DataStep, Move, Permutation, PhaseStep, Step


@dataclass(frozen=True, eq=False)
class DataTables:
    """Data-dependent maps whose coefficients are computed together.

    Attributes:
        index: data slot of each map.
        frequencies: shape (maps, F).
    """

    index: Tensor
    frequencies: Tensor

    def coefficients(self, data: Tensor) -> Tensor:
        """(1, cos, sin) of every map and sample; data (batch, slots) to (maps, 1 + 2 F, batch)."""
        angles = data.mT.index_select(0, self.index)
        phases = self.frequencies[:, :, None] * angles[:, None]
        return torch.cat([torch.ones_like(phases[:, :1]), torch.cos(phases), torch.sin(phases)], 1)

    def pullback(self, grad: Tensor | None, coefficients: Tensor | None, data_grad: Tensor) -> None:
        """Add the gradient of the data, shape (batch, slots)."""
        if grad is None or coefficients is None:
            return
        n = self.frequencies.shape[1]
        cosine, sine = coefficients[:, 1 : n + 1], coefficients[:, n + 1 :]
        phase_grad = cosine * grad[:, n + 1 :] - sine * grad[:, 1 : n + 1]
        data_grad.index_add_(1, self.index, (phase_grad * self.frequencies[:, :, None]).sum(1).mT)


@dataclass(frozen=True, eq=False)
class PhaseTables:
    """The data slots of all phases, one after another."""

    index: Tensor

    def coefficients(self, data: Tensor) -> Tensor:
        """The angles themselves; data (batch, slots) to (phases, batch)."""
        return data.mT.index_select(0, self.index)

    def pullback(self, grad: Tensor | None, coefficients: Tensor | None, data_grad: Tensor) -> None:
        """Add the gradient of the data, shape (batch, slots)."""
        if grad is not None:
            data_grad.index_add_(1, self.index, grad.mT)


@dataclass(frozen=True, eq=False)
class ChainRound:
    """One round of the one-site chains at the start: shared matrices, or data maps, on some of the sites."""

    sites: Tensor | None  # None for all of them
    fetch: Fetch | None
    tables: DataTables | None
    constants: Tensor | None  # (sites, terms, levels, levels) of the data maps


@dataclass(frozen=True, eq=False)
class Compiled:
    """What the engine runs.

    Attributes:
        plan: where it comes from.
        dtype: of the state.
        program: all matrices that depend on weights.
        start: |0> on the register's own sites, shape (sites, levels, 1).
        rounds: what happens to those sites first, one by one.
        steps: in order; their references point into the program's groups, then into `data_tables`.
        data_tables: coefficients of the data steps, one table for each number of frequencies, then the phases' angles.
        device: where all tables are.
    """

    plan: Plan
    dtype: torch.dtype
    program: Program
    start: Tensor
    rounds: list[ChainRound]
    steps: list[Step]
    data_tables: list[DataTables | PhaseTables]
    device: torch.device

    @property
    def samples_differ(self) -> bool:
        """Whether the samples of a batch have states of their own."""
        return bool(self.data_tables) or any(r.tables is not None for r in self.rounds) or self.plan.takes_amplitudes


@contextmanager
def plain_tensors() -> Iterator[None]:
    """Tables outlive the call that makes them, so they must not belong to its transform or its inference mode."""
    with temporarily_clear_interpreter_stack(), torch.inference_mode(False):
        yield


def compile_plan(plan: Plan, *, dtype: torch.dtype, device: torch.device) -> Compiled:
    """The plan for real dtype `dtype` on `device`, made once and kept in the plan."""
    key = (dtype, device)
    if key not in plan.compiled:
        with plain_tensors():
            plan.compiled[key] = _compile(plan, dtype, device)
    return plan.compiled[key]


def _compile(plan: Plan, dtype: torch.dtype, device: torch.device) -> Compiled:
    state_dtype = dtype if plan.is_real else dtype.to_complex()
    chain_nodes = [item for _, chain in plan.chains for item in chain if isinstance(item, int)]
    block_nodes = [step.node for step in plan.steps if isinstance(step, PlannedStep) and step.node is not None]
    outputs = list(dict.fromkeys(chain_nodes + block_nodes + plan.extra_nodes))
    program = compile_program(plan.expressions, outputs, dtype=dtype, device=device)
    maker = _StepMaker(plan, dtype, device, program)
    steps = [maker.make(step) for step in plan.steps]
    return Compiled(
        plan,
        state_dtype,
        program,
        _start(plan, dtype, device),
        _rounds(plan, program, dtype=dtype, state_dtype=state_dtype, device=device),
        steps,
        maker.data_tables(),
        device,
    )


def readout_for(compiled: Compiled, qubits: tuple[int, ...] | None, *, with_norm: bool) -> Readout:
    """The readout of the plan's observables, or of the probabilities of `qubits`."""
    plan = compiled.plan
    key = ("readout", compiled.dtype, compiled.device, qubits, with_norm)
    if key not in plan.compiled:
        with plain_tensors():
            plan.compiled[key] = _readout(compiled, qubits, with_norm)
    return plan.compiled[key]


def _readout(compiled: Compiled, qubits: tuple[int, ...] | None, with_norm: bool) -> Readout:
    plan, layout = compiled.plan, compiled.plan.layout
    if qubits is None:
        make = state_readout if plan.request.levels == 2 else transfer_readout
        terms = plan.terms if plan.terms is not None else ()
        return make(terms, layout, dtype=compiled.dtype, device=compiled.device, with_norm=with_norm)
    if plan.request.levels == 2:
        others = tuple(site for site in range(plan.n_sites) if site not in qubits)
        order = tuple(layout.index(site) for site in qubits + others)
        return ProbabilityReadout((2,) * plan.n_sites, order, 2 ** len(qubits))
    places = [len(layout) - 1 - layout.index(site) for site in qubits]
    index, components = np.arange(2 ** len(qubits)), np.zeros(2 ** len(qubits), dtype=np.int64)
    for k, place in enumerate(places):
        bit = (index >> (len(qubits) - 1 - k)) & 1
        components += 3 * bit * 4**place
    return TransferProbabilityReadout(torch.as_tensor(components, device=compiled.device), len(qubits))


class _StepMaker:
    """Turns planned steps into tensor steps and collects what they refer to."""

    def __init__(self, plan: Plan, dtype: torch.dtype, device: torch.device, program: Program) -> None:
        self.plan, self.dtype, self.device, self.program = plan, dtype, device, program
        self.levels = plan.request.levels
        planned = [step for step in plan.steps if isinstance(step, PlannedStep)]
        self.data_maps: dict[int, list[Linear]] = {}
        for step in planned:
            first = step.block.maps[0]
            if step.block.kind != "phase" and first.slot is not None and first.slot.kind == "data":
                self.data_maps.setdefault(len(first.terms), []).append(first)
        self.phase_slots: list[int] = []

    def data_tables(self) -> list[DataTables | PhaseTables]:
        tables: list[DataTables | PhaseTables] = [
            _data_tables(maps, self.dtype, self.device) for maps in self.data_maps.values()
        ]
        if self.phase_slots:
            tables.append(PhaseTables(torch.as_tensor(self.phase_slots, device=self.device)))
        return tables

    def make(self, step: PlannedStep | PlannedMove) -> Step:
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
        return Block(left, node.side, self.program.places[step.node])

    def _data_step(self, step: PlannedStep, left: int) -> DataStep:
        (linear,) = step.block.maps
        parts = list(matrix_stack(linear))
        if step.block.kind == "data":
            k = len(linear.sites)
            order = step.layout[step.position : step.position + k]
            table = reorder_table(linear.sites, order, self.levels)
            parts = [part[np.ix_(table, table)] for part in parts]
        dtype = self.dtype if linear.is_real else self.dtype.to_complex()
        tables = list(self.data_maps)
        number = tables.index(len(linear.terms))
        entry = next(k for k, known in enumerate(self.data_maps[len(linear.terms)]) if known is linear)
        reference = (len(self.program.groups) + number, entry)
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
        reference = (len(self.program.groups) + len(self.data_maps), slice(start, len(self.phase_slots)))
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


def _data_tables(maps: list[Linear], dtype: torch.dtype, device: torch.device) -> DataTables:
    index = [linear.slot.index for linear in maps if linear.slot is not None]
    frequencies = np.array([[term[0] for term in linear.terms] for linear in maps])
    return DataTables(torch.as_tensor(index, device=device), torch.as_tensor(frequencies, dtype=dtype, device=device))


def _start(plan: Plan, dtype: torch.dtype, device: torch.device) -> Tensor:
    zero = [1.0, 0.0] if plan.request.levels == 2 else [1.0, 0.0, 0.0, 1.0]  # |0><0| = (1 + Z) / 2
    vector = torch.tensor(zero, dtype=dtype, device=device)
    return vector[None, :, None].expand(len(plan.chains), -1, -1)


def _rounds(
    plan: Plan,
    program: Program,
    *,
    dtype: torch.dtype,
    state_dtype: torch.dtype,
    device: torch.device,
) -> list[ChainRound]:
    chains = [chain for _, chain in plan.chains]
    rounds = []
    for depth in range(max((len(chain) for chain in chains), default=0)):
        at_depth = [(k, chain[depth]) for k, chain in enumerate(chains) if len(chain) > depth]
        shared = [(k, item) for k, item in at_depth if isinstance(item, int)]
        by_terms: dict[int, list[tuple[int, Linear]]] = {}
        for k, item in at_depth:
            if not isinstance(item, int):
                by_terms.setdefault(len(item.terms), []).append((k, item))
        if shared:
            fetch = fetch_for([program.places[node] for _, node in shared], program.groups, device)
            rounds.append(ChainRound(_sites([k for k, _ in shared], len(chains), device), fetch, None, None))
        for group in by_terms.values():
            maps = [linear for _, linear in group]
            constants = np.stack([matrix_stack(linear) for linear in maps])
            sites = _sites([k for k, _ in group], len(chains), device)
            tables = _data_tables(maps, dtype, device)
            all_real = all(linear.is_real for linear in maps)
            kept = as_tensor(constants, dtype if all_real else state_dtype, device)
            rounds.append(ChainRound(sites, None, tables, kept))
    return rounds


def _sites(chosen: list[int], total: int, device: torch.device) -> Tensor | None:
    return None if len(chosen) == total else torch.as_tensor(chosen, device=device)
