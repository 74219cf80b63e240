"""A plan with its tables as tensors, for one dtype and device."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from qml.simulator.data_tables import DataTables, PhaseTables, data_tables
from qml.simulator.linear import Linear
from qml.simulator.matrix_program import MatrixProgram, compile_program
from qml.simulator.plan import Plan, PlannedStep
from qml.simulator.readout import (
    ProbabilityReadout,
    Readout,
    TransferProbabilityReadout,
    state_readout,
    transfer_readout,
)
from qml.simulator.rounds import DataRound, SharedRound
from qml.simulator.step_maker import StepMaker
from qml.simulator.steps import Step
from qml.simulator.tables import as_tensor, matrix_stack


@dataclass(frozen=True, eq=False)
class Compiled:
    """A plan with all its tables as tensors, ready to run.

    Attributes:
        plan: of which the tables are.
        dtype: of the state.
        program: all matrices that depend on weights.
        start: |0> on the register's own sites, shape (sites, levels, 1).
        rounds: what happens to those sites first, one by one.
        steps: in order; their references point to the matrices of the program's groups or into `data_tables`.
        data_tables: coefficients of the data steps, one table for each number of frequencies, then the phases' angles.
        device: where all tables are.
    """

    plan: Plan
    dtype: torch.dtype
    program: MatrixProgram
    start: Tensor
    rounds: list[SharedRound | DataRound]
    steps: list[Step]
    data_tables: list[DataTables | PhaseTables]
    device: torch.device

    @cached_property
    def samples_differ(self) -> bool:
        """Tell whether the samples of a batch have states of their own."""
        has_data_rounds = any(isinstance(r, DataRound) for r in self.rounds)
        return bool(self.data_tables) or has_data_rounds or self.plan.takes_amplitudes


def compile_plan(plan: Plan, *, dtype: torch.dtype, device: torch.device) -> Compiled:
    """Build the tables of a plan in the real dtype `dtype` and its complex twin; keep them in a `TableCache`."""
    state_dtype = dtype if plan.is_real else dtype.to_complex()
    chain_nodes = [item for _, chain in plan.chains for item in chain if isinstance(item, int)]
    block_nodes = [step.node for step in plan.steps if isinstance(step, PlannedStep) and step.node is not None]
    outputs = list(dict.fromkeys(chain_nodes + block_nodes + plan.extra_nodes))
    program = compile_program(plan.expressions, outputs, dtype=dtype, device=device)
    maker = StepMaker(plan, dtype, device, program)
    steps = [maker.make(step) for step in plan.steps]
    return Compiled(
        plan,
        state_dtype,
        program,
        _start(plan, dtype, device),
        _rounds(plan, program, dtype=dtype, state_dtype=state_dtype, device=device),
        steps,
        maker.tables(),
        device,
    )


def readout_for(compiled: Compiled, qubits: tuple[int, ...] | None, *, with_norm: bool) -> Readout:
    """Build the readout of the plan's observables, or of the probabilities of `qubits`."""
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


def _start(plan: Plan, dtype: torch.dtype, device: torch.device) -> Tensor:
    zero = [1.0, 0.0] if plan.request.levels == 2 else [1.0, 0.0, 0.0, 1.0]  # |0><0| = (1 + Z) / 2
    vector = torch.tensor(zero, dtype=dtype, device=device)
    return vector[None, :, None].expand(len(plan.chains), -1, -1)


def _rounds(
    plan: Plan,
    program: MatrixProgram,
    *,
    dtype: torch.dtype,
    state_dtype: torch.dtype,
    device: torch.device,
) -> list[SharedRound | DataRound]:
    chains = [chain for _, chain in plan.chains]
    rounds: list[SharedRound | DataRound] = []
    for depth in range(max((len(chain) for chain in chains), default=0)):
        at_depth = [(k, chain[depth]) for k, chain in enumerate(chains) if len(chain) > depth]
        shared = [(k, item) for k, item in at_depth if isinstance(item, int)]
        by_terms: dict[int, list[tuple[int, Linear]]] = {}
        for k, item in at_depth:
            if not isinstance(item, int):
                by_terms.setdefault(len(item.terms), []).append((k, item))
        if shared:
            fetch = program.fetch([node for _, node in shared], device)
            rounds.append(SharedRound(_sites([k for k, _ in shared], len(chains), device), fetch))
        for group in by_terms.values():
            maps = [linear for _, linear in group]
            constants = np.stack([matrix_stack(linear) for linear in maps])
            sites = _sites([k for k, _ in group], len(chains), device)
            tables = data_tables(maps, dtype, device)
            all_real = all(linear.is_real for linear in maps)
            stacked = as_tensor(constants, dtype if all_real else state_dtype, device)
            rounds.append(DataRound(sites, tables, stacked))
    return rounds


def _sites(chosen: list[int], total: int, device: torch.device) -> Tensor | None:
    return None if len(chosen) == total else torch.as_tensor(chosen, device=device)
