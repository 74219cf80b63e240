"""The plan of a circuit: what is prepared, fused, moved and read, decided once and cached.

A plan depends on the circuit, on what is read, on the number of levels and on whether the batch shares its data (one
sample), never on angles. Planning takes milliseconds; it is pure Python and NumPy.
"""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from circuits import Circuit, Slot
from qml.simulator.cost import blocks_cost
from qml.simulator.expressions import Expressions
from qml.simulator.fuse import FusedBlock, block_expression, fuse, gathered, last_sites_first, split_prefix
from qml.simulator.heisenberg import absorb_tail
from qml.simulator.linear import Linear, Preparation, linear_maps
from qml.simulator.phases import diagonalised
from qml.simulator.readout import Terms

MAX_BLOCK_SITES = {2: 8, 4: 4}
MAX_TABLE_SITES = {2: 22, 4: 11}  # an index table of the whole register is not worth its memory above
BATCH_STEPS = (1, 2, 8, 32, 128, 512, 2048)  # plans are shared between batches of similar size


@dataclass(frozen=True)
class Request:
    """What a plan is made for; `terms` is None where probabilities or states are read.

    With `only_steps` no gate is taken into the initial state, and states are complex, so that gates of data are phases.
    """

    levels: int
    terms: Terms | None
    shared_data: bool
    batch: int
    only_steps: bool = False


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """One step: the fused block, the layout it finds, and the node of its matrix if it is shared."""

    block: FusedBlock
    layout: tuple[int, ...]
    position: int
    node: int | None


@dataclass(frozen=True, eq=False)
class PlannedMove:
    """A new order of the register's sites."""

    old: tuple[int, ...]
    new: tuple[int, ...]


@dataclass(eq=False)
class Plan:
    """Everything that does not depend on angles, dtype or device.

    Attributes:
        n_sites: sites of the register.
        n_weights: weight slots; with shared data the data slots follow them.
        is_real: whether all amplitudes are real.
        preparations: given amplitudes.
        chains: for every other site its one-site maps before anything else, consecutive shared maps as one node.
        steps: blocks and moves in order.
        layout: the order of sites at the end.
        terms: the observables after the end of the circuit was moved into them.
        expressions: all matrices that depend on weights.
        has_projection: whether the norm can differ from 1.
        cost: estimated nanoseconds of a forward pass.
        extra_nodes: further expressions that the program evaluates.
    """

    request: Request
    n_sites: int
    n_weights: int
    is_real: bool
    preparations: list[Preparation]
    chains: list[tuple[int, list[int | Linear]]]
    steps: list[PlannedStep | PlannedMove]
    layout: tuple[int, ...]
    terms: Terms | None
    expressions: Expressions
    has_projection: bool
    cost: float = 0.0
    extra_nodes: list[int] = field(default_factory=list)
    compiled: dict = field(default_factory=dict)

    @property
    def takes_amplitudes(self) -> bool:
        """Whether amplitudes come with the data."""
        return any(preparation.amplitudes is None for preparation in self.preparations)


MISSING = object()


class PlanCache:
    """Plans by circuit and request; a circuit that has grown is planned again, a dead one is forgotten.

    A circuit keeps its most recent plans only: each may hold tables of the size of the register.
    """

    MAX_PLANS = 24

    def __init__(self) -> None:
        self._plans: dict[int, tuple[int, dict[object, object]]] = {}
        self._lock = threading.Lock()

    def get(self, circuit: Circuit, key: object, make: object) -> object:
        """The plan under `key`, made by calling `make` at the first use.

        Threads that ask for a new plan at once may each make it; they are equal.
        """
        plans = self._plans_of(circuit)
        with self._lock:
            plan = plans.pop(key, MISSING)
            if plan is not MISSING:
                plans[key] = plan  # the most recently used come last
                return plan
        plan = make()  # pyright: ignore[reportCallIssue]
        with self._lock:
            plans[key] = plan
            while len(plans) > self.MAX_PLANS:
                plans.pop(next(iter(plans)))
        return plan

    def _plans_of(self, circuit: Circuit) -> dict[object, object]:
        identity = id(circuit)
        entry = self._plans.get(identity)
        if entry is None or entry[0] != len(circuit):
            if entry is None:
                weakref.finalize(circuit, self._plans.pop, identity, None)
            entry = (len(circuit), {})
            self._plans[identity] = entry
        return entry[1]


def batch_step(batch: int) -> int:
    """The representative batch size for which a plan is made."""
    return max((step for step in BATCH_STEPS if step <= batch), default=1)


def make_plan(circuit: Circuit, request: Request) -> Plan:
    """Plan a circuit; the cheapest of all variants by the cost model."""
    preparations, maps = linear_maps(circuit, request.levels)
    has_projection = any(operation.gate.name == "post_select" for operation in circuit.operations)
    maps, terms = reduced_maps(maps, request, circuit.n_weights)
    plan = plan_maps(maps, circuit.n_qubits, request, n_weights=circuit.n_weights, preparations=preparations)
    return replace(plan, terms=terms, has_projection=has_projection)


def reduced_maps(maps: list[Linear], request: Request, n_weights: int) -> tuple[list[Linear], Terms | None]:
    """The maps that have to be simulated, and the observables after the end of the circuit was moved into them."""
    if request.shared_data:
        maps = [with_shared_slot(linear, n_weights) for linear in maps]
    return (maps, None) if request.terms is None else absorb_tail(maps, request.terms, request.levels)


def plan_maps(
    maps: list[Linear],
    n_sites: int,
    request: Request,
    *,
    n_weights: int,
    preparations: Sequence[Preparation] = (),
) -> Plan:
    """Plan maps on a register that starts in |0...0> or in prepared amplitudes; nothing is read yet."""
    levels = request.levels
    is_real = levels == 4 or (not request.only_steps and _all_real(maps, preparations))
    chains, rest, layout = _started(maps, n_sites, request, preparations, is_real=is_real)
    expressions = Expressions()
    blocks, cost = _best_blocks(rest, layout, request, is_real=is_real)
    steps, final_layout = _place(blocks, layout, expressions, levels)
    taken = {site for preparation in preparations for site in preparation.sites}
    singles = [site for site in range(n_sites) if site not in taken]
    return Plan(
        request=request,
        n_sites=n_sites,
        n_weights=n_weights,
        is_real=is_real,
        preparations=list(preparations),
        chains=[(site, chain_nodes(expressions, site, chains.get(site, []), levels)) for site in singles],
        steps=steps,
        layout=final_layout,
        terms=None,
        expressions=expressions,
        has_projection=False,
        cost=cost,
    )


def cheapest_cost(maps: list[Linear], n_sites: int, request: Request) -> float:
    """Estimated nanoseconds of one pass through the plan that `plan_maps` would make."""
    is_real = request.levels == 4 or _all_real(maps, ())
    _, rest, layout = _started(maps, n_sites, request, (), is_real=is_real)
    return _best_blocks(rest, layout, request, is_real=is_real)[1]


def _all_real(maps: list[Linear], preparations: Sequence[Preparation]) -> bool:
    return all(linear.is_real for linear in maps) and not any(_is_complex(p) for p in preparations)


def _started(
    maps: list[Linear], n_sites: int, request: Request, preparations: Sequence[Preparation], *, is_real: bool
) -> tuple[dict[int, list[Linear]], list[Linear], tuple[int, ...]]:
    """The one-site maps at the start, what follows in the order in which it is fused, and the first layout."""
    taken = {site for preparation in preparations for site in preparation.sites}
    chains, rest = ({}, maps) if request.only_steps else split_prefix(maps, taken)
    if request.levels == 2 and not is_real:
        rest = diagonalised(rest)
    layout = tuple(site for site in range(n_sites) if site not in taken)
    layout += tuple(site for preparation in preparations for site in preparation.sites)
    return chains, last_sites_first(rest, layout), layout


def with_shared_slot(linear: Linear, n_weights: int) -> Linear:
    """The map with a data slot turned into one more weight, for a batch of one sample."""
    slot = linear.slot
    if slot is None or slot.kind == "weight":
        return linear
    return replace(linear, slot=Slot("weight", n_weights + slot.index))


def _is_complex(preparation: Preparation) -> bool:
    if preparation.amplitudes is None:
        return preparation.is_complex
    return bool(np.abs(np.imag(preparation.amplitudes)).max() > 0)


def chain_nodes(expressions: Expressions, site: int, maps: list[Linear], levels: int) -> list[int | Linear]:
    """Alternating nodes (consecutive shared maps) and data maps."""
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
    """The cheapest blocks and their cost."""
    best, best_cost, n_sites = [], float("inf"), len(layout)
    limit = min(MAX_BLOCK_SITES[request.levels], max(n_sites, 1))
    for absorb in (True, False):
        if not absorb and n_sites > MAX_TABLE_SITES[request.levels]:
            continue
        for max_sites in range(1 if request.levels == 4 else 2, max(limit, 2) + 1):
            blocks = fuse(maps, max_sites=max_sites, absorb_permutations=absorb)
            cost = blocks_cost(blocks, layout, levels=request.levels, batch=request.batch, real=is_real)
            if cost < best_cost:
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
