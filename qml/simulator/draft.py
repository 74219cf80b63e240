"""The planning of a circuit on a register: maps fused into blocks by a cost model, then given a place and expressed.

A draft knows the blocks and what they cost. Only the draft that is chosen is finished to a plan, with its matrices as
expressions. Planning takes milliseconds; it is pure Python and NumPy, and makes nothing of the register's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from circuits import Circuit, Slot
from qml.simulator.cost import blocks_cost
from qml.simulator.expressions import Expressions
from qml.simulator.fuse import FusedBlock, block_expression, fuse, gathered, last_sites_first, split_prefix
from qml.simulator.heisenberg import absorb_tail
from qml.simulator.linear import Linear, Preparation, linear_maps
from qml.simulator.phases import diagonalised
from qml.simulator.plan import Plan, PlannedMove, PlannedStep, Request
from qml.simulator.readout import Terms

# by the levels of a site
MAX_BLOCK_SITES = {2: 8, 4: 4}
MAX_TABLE_SITES = {2: 22, 4: 11}  # an index table of the whole register is not worth its memory above


@dataclass(frozen=True, eq=False)
class Draft:
    """A plan up to its blocks.

    Attributes:
        chains: for each site the one-site maps before anything else.
        blocks: in order of application.
        layout: the order of sites at the start.
        cost: estimated nanoseconds of a forward pass.

    The other attributes are those of `Plan`.
    """

    request: Request
    n_sites: int
    n_weights: int
    is_real: bool
    preparations: list[Preparation]
    chains: dict[int, list[Linear]]
    blocks: list[FusedBlock]
    layout: tuple[int, ...]
    cost: float
    terms: Terms | None = None
    has_projection: bool = False

    def finish(self) -> Plan:
        """Place the blocks in the register, and express their matrices."""
        expressions, levels = Expressions(), self.request.levels
        steps, layout = _place(self.blocks, self.layout, expressions, levels)
        taken = {site for preparation in self.preparations for site in preparation.sites}
        singles = [site for site in range(self.n_sites) if site not in taken]
        return Plan(
            request=self.request,
            n_sites=self.n_sites,
            n_weights=self.n_weights,
            is_real=self.is_real,
            preparations=self.preparations,
            chains=[(site, chain_nodes(expressions, site, self.chains.get(site, []), levels)) for site in singles],
            steps=steps,
            layout=layout,
            terms=self.terms,
            expressions=expressions,
            has_projection=self.has_projection,
        )


def draft_circuit(circuit: Circuit, request: Request) -> Draft:
    """Draft the plan of a circuit on one register; the cheapest of all variants by the cost model."""
    preparations, maps = linear_maps(circuit, request.levels)
    has_projection = any(operation.gate.name == "post_select" for operation in circuit.operations)
    maps, terms = reduced_maps(maps, request, circuit.n_weights)
    draft = draft_maps(maps, circuit.n_qubits, request, n_weights=circuit.n_weights, preparations=preparations)
    return replace(draft, terms=terms, has_projection=has_projection)


def reduced_maps(maps: list[Linear], request: Request, n_weights: int) -> tuple[list[Linear], Terms | None]:
    """Return the maps that must be simulated, and the observables after the circuit's end was moved into them."""
    if request.shared_data:
        maps = [with_shared_slot(linear, n_weights) for linear in maps]
    return (maps, None) if request.terms is None else absorb_tail(maps, request.terms, request.levels)


def draft_maps(
    maps: list[Linear],
    n_sites: int,
    request: Request,
    *,
    n_weights: int,
    preparations: Sequence[Preparation] = (),
) -> Draft:
    """Draft the plan of maps on a register that starts in |0...0> or in prepared amplitudes; nothing is read yet."""
    is_real = request.levels == 4 or (not request.only_steps and _all_real(maps, preparations))
    chains, rest, layout = _started(maps, n_sites, request, preparations, is_real=is_real)
    blocks, cost = _best_blocks(rest, layout, request, is_real=is_real)
    return Draft(request, n_sites, n_weights, is_real, list(preparations), chains, blocks, layout, cost)


def _all_real(maps: list[Linear], preparations: Sequence[Preparation]) -> bool:
    return all(linear.is_real for linear in maps) and not any(_is_complex(p) for p in preparations)


def _started(
    maps: list[Linear], n_sites: int, request: Request, preparations: Sequence[Preparation], *, is_real: bool
) -> tuple[dict[int, list[Linear]], list[Linear], tuple[int, ...]]:
    """Return the one-site maps at the start, what follows in the order in which it is fused, and the first layout."""
    taken = {site for preparation in preparations for site in preparation.sites}
    chains, rest = ({}, maps) if request.only_steps else split_prefix(maps, taken)
    if request.levels == 2 and not is_real:
        rest = diagonalised(rest)
    layout = tuple(site for site in range(n_sites) if site not in taken)
    layout += tuple(site for preparation in preparations for site in preparation.sites)
    return chains, last_sites_first(rest, layout), layout


def with_shared_slot(linear: Linear, n_weights: int) -> Linear:
    """Return the map with a data slot turned into one more weight, for a batch of one sample."""
    slot = linear.slot
    if slot is None or slot.kind == "weight":
        return linear
    return replace(linear, slot=Slot("weight", n_weights + slot.index))


def _is_complex(preparation: Preparation) -> bool:
    if preparation.amplitudes is None:
        return preparation.is_complex
    return bool(np.abs(np.imag(preparation.amplitudes)).max() > 0)


def chain_nodes(expressions: Expressions, site: int, maps: list[Linear], levels: int) -> list[int | Linear]:
    """Return alternating nodes (consecutive shared maps) and data maps."""
    result: list[int | Linear] = []
    shared: list[Linear] = []
    for linear in maps:
        if linear.slot is None or linear.slot.kind == "weight":
            shared.append(linear)
            continue
        if shared:
            result.append(block_expression(expressions, shared, (site,), levels))
            shared = []
        result.append(linear)
    if shared:
        result.append(block_expression(expressions, shared, (site,), levels))
    return result


def _best_blocks(
    maps: list[Linear], layout: tuple[int, ...], request: Request, *, is_real: bool
) -> tuple[list[FusedBlock], float]:
    """Find the cheapest blocks, and their cost."""
    best, best_cost, n_sites = [], float("inf"), len(layout)
    limit = min(MAX_BLOCK_SITES[request.levels], max(n_sites, 1))
    for absorb in (True, False):
        if not absorb and n_sites > MAX_TABLE_SITES[request.levels]:
            continue
        for max_sites in range(1 if request.levels == 4 else 2, max(limit, 2) + 1):
            blocks = fuse(maps, max_sites=max_sites, absorb_permutations=absorb)
            cost = blocks_cost(blocks, layout, levels=request.levels, batch=request.batch, real=is_real)
            if not best or cost < best_cost:
                best, best_cost = blocks, cost
    return best, best_cost


def _place(
    blocks: list[FusedBlock], layout: tuple[int, ...], expressions: Expressions, levels: int
) -> tuple[list[PlannedStep | PlannedMove], tuple[int, ...]]:
    """Give every block its place in the register, moving sites together where they are not neighbours."""
    steps: list[PlannedStep | PlannedMove] = []
    for block in blocks:
        if block.kind in ("permutation", "controlled"):
            node = None
            if block.kind == "controlled" and not _has_data(block):
                node = block_expression(expressions, block.maps, block.maps[0].sites, levels)
            steps.append(PlannedStep(block, layout, 0, node))
            continue
        new = gathered(layout, block.sites)
        if new != layout:
            steps.append(PlannedMove(layout, new))
            layout = new
        places = sorted(layout.index(site) for site in block.sites)
        node = None
        if block.kind == "shared":
            order = layout[places[0] : places[-1] + 1]
            node = block_expression(expressions, block.maps, order, levels)
        steps.append(PlannedStep(block, layout, places[0], node))
    return steps, layout


def _has_data(block: FusedBlock) -> bool:
    slot = block.maps[0].slot
    return slot is not None and slot.kind == "data"
