"""Circuits that fall apart: spokes that only ever meet a hub, through gates that leave one axis of the hub alone.

If every gate between a hub qubit and another qubit commutes with a Pauli axis of the hub, the circuit splits into the
two sectors of that axis, and in each sector every spoke evolves alone. An expectation value is then a sum over pairs
of sectors of a product over the spokes of <z_j| V_j(s)^dagger P_j V_j(s') |z_j>: O(n L) a sample instead of 2**n.
The classifier of Farhi and Neven (arXiv:1802.06002) with gates exp(i theta P_j X_r) is of this form at any n.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from circuits import Circuit, Operation
from circuits.gates import PauliRotation
from circuits.observables import PauliFactors
from qml.simulator.draft import chain_nodes, with_shared_slot
from qml.simulator.expressions import Expressions
from qml.simulator.fuse import block_expression
from qml.simulator.hubs import KindMemo, find_hubs, without_idle_site
from qml.simulator.linear import NEGLIGIBLE, Linear, linear_maps
from qml.simulator.map_matrices import AXIS_BASES, Axis, matrices_of, with_matrices
from qml.simulator.plan import Plan, Request
from qml.simulator.readout import Terms

MIN_FACTORISED_QUBITS = 6  # below, a state vector is as quick


@dataclass(frozen=True, eq=False)
class Pair:
    """A pair of sectors (s, s') of all hubs in the expectation value of one Pauli string."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    weight: float  # 2 where the mirrored pair is left out: it gives the complex conjugate


@dataclass(frozen=True, eq=False)
class FactorisedPlan:
    """A circuit of hubs and spokes.

    Attributes:
        plan: the one-qubit starts of all qubits, and the expressions; it has no steps.
        hubs, axes: the hub qubits and the axis in which each is diagonal.
        spokes: all other qubits.
        sector_nodes: for every sector of the hubs the nodes of V_j(s), one for each spoke.
        phase_nodes: for every hub and each of its two sectors the node of its scalar phase.
        tail_nodes: for every hub the node of what happens to it after its last coupling.
        strings: for every observable its strings: coefficient, factors, pairs of sectors.
    """

    plan: Plan
    hubs: tuple[int, ...]
    axes: tuple[Axis, ...]
    spokes: tuple[int, ...]
    sector_nodes: dict[tuple[int, ...], list[int]]
    phase_nodes: list[tuple[int, int]]
    tail_nodes: list[int]
    strings: list[list[tuple[float, PauliFactors, list[Pair]]]]


def plan_factorised(circuit: Circuit, request: Request) -> FactorisedPlan | None:
    """Plan a circuit that factorises; None for any other."""
    if request.levels != 2 or request.terms is None or circuit.n_qubits < MIN_FACTORISED_QUBITS:
        return None
    if any(not op.is_unitary or _n_active(op) > 2 for op in circuit.operations):
        return None
    _, maps = linear_maps(circuit, 2)
    memo = KindMemo()
    maps = [without_idle_site(linear, memo) for linear in maps]
    if request.shared_data:
        maps = [with_shared_slot(linear, circuit.n_weights) for linear in maps]
    hubs = find_hubs(maps, circuit.n_qubits, memo)
    if hubs is None:
        return None
    stages = _split(maps, hubs)
    return None if stages is None else _build(circuit, request, hubs, stages, memo)


def _n_active(operation: Operation) -> int:
    """Return the number of qubits on which a gate does something, whatever its angle."""
    n_idle = operation.gate.pauli.count("I") if isinstance(operation.gate, PauliRotation) else 0
    return len(operation.all_qubits) - n_idle


@dataclass(eq=False)
class _Stages:
    """The maps on every qubit in three stages, by qubit."""

    starts: dict[int, list[Linear]]
    middles: dict[int, list[Linear]]  # for a hub: what is diagonal in its axis; for a spoke: all after its start
    tails: dict[int, list[Linear]]


def _split(maps: list[Linear], hubs: dict[int, Axis]) -> _Stages | None:
    """Sort maps into stages; None where data or a gate off the hub's axis stands between couplings."""
    last = {site: k for k, linear in enumerate(maps) if len(linear.sites) == 2 for site in linear.sites}
    stages, coupled = _Stages({}, {}, {}), set[int]()
    for k, linear in enumerate(maps):
        has_data = linear.slot is not None and linear.slot.kind == "data"
        if len(linear.sites) == 2:
            if has_data:
                return None
            coupled.update(linear.sites)
            spoke = next(site for site in linear.sites if site not in hubs)
            stages.middles.setdefault(spoke, []).append(linear)
            continue
        (site,) = linear.sites
        if site not in coupled:
            stages.starts.setdefault(site, []).append(linear)
        elif has_data:
            return None
        elif site not in hubs:
            stages.middles.setdefault(site, []).append(linear)
        elif k > last[site]:
            stages.tails.setdefault(site, []).append(linear)
        elif all(_is_diagonal(matrix, hubs[site]) for matrix in matrices_of(linear)):
            stages.middles.setdefault(site, []).append(linear)
        else:
            return None
    return stages


def _is_diagonal(matrix: np.ndarray, axis: Axis) -> bool:
    basis = AXIS_BASES[axis]
    in_axis = basis.conj().T @ matrix @ basis
    return bool(abs(in_axis[0, 1]) < NEGLIGIBLE * 10 and abs(in_axis[1, 0]) < NEGLIGIBLE * 10)


def _sector_map(linear: Linear, hubs: dict[int, Axis], sector: dict[int, int], memo: KindMemo) -> Linear:
    """Return a coupling as it acts on its spoke while the hub is in a sector; one-site maps as they are."""
    if len(linear.sites) == 1:
        return linear
    hub = next(site for site in linear.sites if site in hubs)
    spoke = next(site for site in linear.sites if site not in hubs)
    place, axis, sign = linear.sites.index(hub), hubs[hub], sector[hub]
    matrices = memo(("sector", place, axis, sign), linear, lambda: _sector_matrices(linear, place, axis, sign))
    return with_matrices(linear, (spoke,), matrices)


def _sector_matrices(linear: Linear, place: int, axis: Axis, sign: int) -> list[np.ndarray]:
    vector = AXIS_BASES[axis][:, sign]
    pattern = "a,abcd,c->bd" if place == 0 else "b,abcd,d->ac"
    return [np.einsum(pattern, vector.conj(), matrix.reshape(2, 2, 2, 2), vector) for matrix in matrices_of(linear)]


def _phase_map(linear: Linear, axis: Axis, sector: int) -> Linear:
    vector = AXIS_BASES[axis][:, sector]
    matrices = [(vector.conj() @ matrix @ vector).reshape(1, 1) for matrix in matrices_of(linear)]
    return with_matrices(linear, linear.sites, matrices)


def _build(
    circuit: Circuit, request: Request, hubs: dict[int, Axis], stages: _Stages, memo: KindMemo
) -> FactorisedPlan:
    expressions = Expressions()
    hub_list = tuple(sorted(hubs))
    spokes = tuple(qubit for qubit in range(circuit.n_qubits) if qubit not in hubs)
    spoke_nodes: dict[tuple, int] = {}

    def middle(qubit: int) -> list[Linear]:
        return stages.middles.get(qubit, [])

    sector_nodes: dict[tuple[int, ...], list[int]] = {
        signs: [
            _spoke_node(
                expressions, spoke, middle(spoke), hubs, dict(zip(hub_list, signs, strict=True)), spoke_nodes, memo
            )
            for spoke in spokes
        ]
        for signs in product((0, 1), repeat=len(hub_list))
    }
    phases = [
        (_phase_node(expressions, middle(hub), hubs[hub], 0), _phase_node(expressions, middle(hub), hubs[hub], 1))
        for hub in hub_list
    ]
    tails = [block_expression(expressions, stages.tails.get(hub, []), (hub,), 2) for hub in hub_list]
    plan = Plan(
        request=request,
        n_sites=circuit.n_qubits,
        n_weights=circuit.n_weights,
        is_real=False,
        preparations=[],
        chains=[
            (qubit, chain_nodes(expressions, qubit, stages.starts.get(qubit, []), 2))
            for qubit in range(circuit.n_qubits)
        ],
        steps=[],
        layout=tuple(range(circuit.n_qubits)),
        terms=request.terms,
        expressions=expressions,
        has_projection=False,
        extra_nodes=[
            *(node for nodes in sector_nodes.values() for node in nodes),
            *(node for pair in phases for node in pair),
            *tails,
        ],
    )
    axes: tuple[Axis, ...] = tuple(hubs[hub] for hub in hub_list)
    has_tail = [bool(stages.tails.get(hub)) for hub in hub_list]
    strings = _strings(request.terms or (), hub_list, axes, has_tail)
    return FactorisedPlan(plan, hub_list, axes, spokes, sector_nodes, phases, tails, strings)


def _spoke_node(
    expressions: Expressions,
    spoke: int,
    maps: list[Linear],
    hubs: dict[int, Axis],
    sector: dict[int, int],
    spoke_nodes: dict[tuple, int],
    memo: KindMemo,
) -> int:
    met = tuple((site, sector[site]) for linear in maps for site in linear.sites if site in hubs)
    key = (spoke, tuple(sorted(set(met))))
    if key not in spoke_nodes:
        reduced = [_sector_map(linear, hubs, sector, memo) for linear in maps]
        spoke_nodes[key] = block_expression(expressions, reduced, (spoke,), 2)
    return spoke_nodes[key]


def _phase_node(expressions: Expressions, maps: list[Linear], axis: Axis, sector: int) -> int:
    node = expressions.constant(np.ones((1, 1)))
    for linear in maps:
        node = expressions.product(expressions.leaf(_phase_map(linear, axis, sector)), node)
    return node


def _strings(
    terms: Terms, hubs: tuple[int, ...], axes: tuple[Axis, ...], has_tail: list[bool]
) -> list[list[tuple[float, PauliFactors, list[Pair]]]]:
    result = []
    for strings in terms:
        rows = []
        for coefficient, factors in strings:
            letters = dict(factors)
            triples = zip(hubs, axes, has_tail, strict=True)
            choices = [_hub_pairs(letters.get(hub, "I"), axis, tail) for hub, axis, tail in triples]
            rows.append((coefficient, factors, _pairs(choices)))
        result.append(rows)
    return result


def _hub_pairs(letter: str, axis: Axis, tail: bool) -> list[tuple[int, int]]:
    if letter == "I" or (letter == axis and not tail):
        return [(0, 0), (1, 1)]
    return [(0, 0), (0, 1), (1, 0), (1, 1)] if tail else [(0, 1), (1, 0)]


def _pairs(choices: list[list[tuple[int, int]]]) -> list[Pair]:
    pairs = []
    for combination in product(*choices):
        left, right = (tuple(pair[k] for pair in combination) for k in (0, 1))
        if left == right:
            pairs.append(Pair(left, right, 1.0))
        elif left < right:
            pairs.append(Pair(left, right, 2.0))
    return pairs
