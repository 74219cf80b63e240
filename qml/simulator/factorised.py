"""Circuits that fall apart: spokes that only ever meet a hub, through gates that leave one axis of the hub alone.

If every gate between a hub qubit and another qubit commutes with a Pauli axis of the hub, the circuit splits into the
two sectors of that axis, and in each sector every spoke evolves alone. An expectation value is then a sum over pairs
of sectors of a product over the spokes of <z_j| V_j(s)^dagger P_j V_j(s') |z_j>: O(n L) a sample instead of 2**n.
The classifier of Farhi and Neven (arXiv:1802.06002) with gates exp(i theta P_j X_r) is of this form at any n.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal, TypeVar

import numpy as np

from circuits import Circuit
from circuits.gates import PAULIS
from circuits.observables import PauliFactors
from qml.simulator.expressions import Expressions
from qml.simulator.fuse import block_expression
from qml.simulator.linear import NEGLIGIBLE, Linear, linear_maps
from qml.simulator.plan import Plan, Request, chain_nodes, with_shared_slot
from qml.simulator.readout import Terms

MIN_QUBITS = 6  # below, a state vector is as quick
MAX_HUBS = 6
Axis = Literal["X", "Y", "Z"]
T = TypeVar("T")

# columns: the +1 and the -1 eigenvector of each axis
AXIS_BASES = {
    "X": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "Y": np.array([[1, 1], [1j, -1j]]) / np.sqrt(2),
    "Z": np.eye(2),
}


@dataclass(frozen=True, eq=False)
class Pair:
    """One pair of sectors (s, s') of all hubs in the expectation value of one Pauli string."""

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


def find_factorised(circuit: Circuit, request: Request) -> FactorisedPlan | None:
    """The plan of a circuit that factorises, or None."""
    if request.levels != 2 or request.terms is None or circuit.n_qubits < MIN_QUBITS:
        return None
    if any(not op.is_unitary or _n_active(op) > 2 for op in circuit.operations):
        return None
    _, maps = linear_maps(circuit, 2)
    memo = _Memo()
    maps = [_without_identity(linear, memo) for linear in maps]
    if request.shared_data:
        maps = [with_shared_slot(linear, circuit.n_weights) for linear in maps]
    hubs = _find_hubs(maps, circuit.n_qubits, memo)
    if hubs is None:
        return None
    parts = _split(maps, hubs)
    return None if parts is None else _build(circuit, request, hubs, parts, memo)


def _n_active(operation: object) -> int:
    pauli = getattr(operation.gate, "pauli", None)  # pyright: ignore[reportAttributeAccessIssue]
    qubits = operation.all_qubits  # pyright: ignore[reportAttributeAccessIssue]
    return len(qubits) if pauli is None else len(qubits) - pauli.count("I")


class _Memo:
    """What is known of matrices, by the kind of their map: a circuit has thousands of gates and a few kinds."""

    def __init__(self) -> None:
        self._known: dict[tuple, object] = {}

    def __call__(self, key: tuple, linear: Linear, make: Callable[[], T]) -> T:
        if linear.kind is None:
            return make()
        full = (linear.kind, *key)
        if full not in self._known:
            self._known[full] = make()
        return self._known[full]  # pyright: ignore[reportReturnType]


def _without_identity(linear: Linear, memo: _Memo) -> Linear:
    """A two-site map that leaves one of its sites alone, as a one-site map."""
    if len(linear.sites) != 2:
        return linear
    idle, reduced = memo(("idle",), linear, lambda: _idle_site(linear))
    return linear if idle is None else _from_parts(linear, (linear.sites[1 - idle],), reduced)


def _idle_site(linear: Linear) -> tuple[int | None, list[np.ndarray]]:
    for k in range(2):
        reduced = [_trace_out(part, k) for part in _parts(linear)]
        back = [np.kron(r, PAULIS["I"]) if k == 1 else np.kron(PAULIS["I"], r) for r in reduced]
        if all(np.abs(a - b).max() < NEGLIGIBLE for a, b in zip(back, _parts(linear), strict=True)):
            return k, reduced
    return None, []


def _trace_out(matrix: np.ndarray, place: int) -> np.ndarray:
    tensor = matrix.reshape(2, 2, 2, 2)
    return np.einsum("abad->bd" if place == 0 else "abcb->ac", tensor) / 2


def _parts(linear: Linear) -> list[np.ndarray]:
    return [linear.constant, *(part for _, *pair in linear.terms for part in pair)]


def _from_parts(linear: Linear, sites: tuple[int, ...], parts: list[np.ndarray]) -> Linear:
    terms = tuple((frequency, parts[1 + 2 * k], parts[2 + 2 * k]) for k, (frequency, _, _) in enumerate(linear.terms))
    return Linear(sites, parts[0], terms, linear.slot)


# --- finding hubs -----------------------------------------------------------------------------------------------------


def _find_hubs(maps: list[Linear], n_qubits: int, memo: _Memo) -> dict[int, Axis] | None:
    """The smaller side of each two-coloured component whose qubits are diagonal in one axis throughout."""
    neighbours: dict[int, set[int]] = {qubit: set() for qubit in range(n_qubits)}
    axes: dict[int, set[str]] = {qubit: set("XYZ") for qubit in range(n_qubits)}
    for linear in maps:
        if len(linear.sites) == 2:
            first, second = linear.sites
            neighbours[first].add(second)
            neighbours[second].add(first)
            for k, qubit in enumerate(linear.sites):
                axes[qubit] &= memo(("axes", k), linear, partial(_axes, linear, k))
    hubs: dict[int, Axis] = {}
    seen: set[int] = set()
    for qubit in range(n_qubits):
        if qubit in seen or not neighbours[qubit]:
            continue
        sides = _two_colour(qubit, neighbours)
        if sides is None:
            return None
        seen |= sides[0] | sides[1]
        fitting = [side for side in sides if all(axes[member] for member in side)]
        if not fitting:
            return None
        hubs |= {member: sorted(axes[member])[0] for member in min(fitting, key=len)}  # pyright: ignore[reportAssignmentType]
    return hubs if 0 < len(hubs) <= MAX_HUBS else None


def _axes(linear: Linear, place: int) -> set[str]:
    """The Pauli axes on one of the two sites with which the map commutes at every angle."""
    found = set()
    for letter in "XYZ":
        pauli = np.kron(PAULIS[letter], PAULIS["I"]) if place == 0 else np.kron(PAULIS["I"], PAULIS[letter])
        if all(np.abs(pauli @ part - part @ pauli).max() < NEGLIGIBLE for part in _parts(linear)):
            found.add(letter)
    return found


def _two_colour(start: int, neighbours: dict[int, set[int]]) -> tuple[set[int], set[int]] | None:
    colour, stack = {start: 0}, [start]
    while stack:
        qubit = stack.pop()
        for other in neighbours[qubit]:
            if other not in colour:
                colour[other] = 1 - colour[qubit]
                stack.append(other)
            elif colour[other] == colour[qubit]:
                return None
    sides = ({q for q, c in colour.items() if c == side} for side in (0, 1))
    return next(sides), next(sides)


# --- splitting the circuit --------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Parts:
    starts: dict[int, list[Linear]]
    middles: dict[int, list[Linear]]  # for a hub: what is diagonal in its axis; for a spoke: all after its start
    tails: dict[int, list[Linear]]


def _split(maps: list[Linear], hubs: dict[int, Axis]) -> _Parts | None:
    """Starts, middles and tails; None where data or a gate off the hub's axis stands between couplings."""
    last = {site: k for k, linear in enumerate(maps) if len(linear.sites) == 2 for site in linear.sites}
    parts, coupled = _Parts({}, {}, {}), set()
    for k, linear in enumerate(maps):
        has_data = linear.slot is not None and linear.slot.kind == "data"
        if len(linear.sites) == 2:
            if has_data:
                return None
            coupled.update(linear.sites)
            spoke = next(site for site in linear.sites if site not in hubs)
            parts.middles.setdefault(spoke, []).append(linear)
            continue
        (site,) = linear.sites
        if site not in coupled:
            parts.starts.setdefault(site, []).append(linear)
        elif has_data:
            return None
        elif site not in hubs:
            parts.middles.setdefault(site, []).append(linear)
        elif k > last[site]:
            parts.tails.setdefault(site, []).append(linear)
        elif all(_is_diagonal(part, hubs[site]) for part in _parts(linear)):
            parts.middles.setdefault(site, []).append(linear)
        else:
            return None
    return parts


def _is_diagonal(matrix: np.ndarray, axis: Axis) -> bool:
    basis = AXIS_BASES[axis]
    turned = basis.conj().T @ matrix @ basis
    return bool(abs(turned[0, 1]) < NEGLIGIBLE * 10 and abs(turned[1, 0]) < NEGLIGIBLE * 10)


def _sector_map(linear: Linear, hubs: dict[int, Axis], sector: dict[int, int], memo: _Memo) -> Linear:
    """A coupling as it acts on its spoke while the hub is in a sector; one-site maps as they are."""
    if len(linear.sites) == 1:
        return linear
    hub = next(site for site in linear.sites if site in hubs)
    spoke = next(site for site in linear.sites if site not in hubs)
    place, axis, sign = linear.sites.index(hub), hubs[hub], sector[hub]
    parts = memo(("sector", place, axis, sign), linear, lambda: _sector_parts(linear, place, axis, sign))
    return _from_parts(linear, (spoke,), parts)


def _sector_parts(linear: Linear, place: int, axis: Axis, sign: int) -> list[np.ndarray]:
    vector = AXIS_BASES[axis][:, sign]
    pattern = "a,abcd,c->bd" if place == 0 else "b,abcd,d->ac"
    return [np.einsum(pattern, vector.conj(), part.reshape(2, 2, 2, 2), vector) for part in _parts(linear)]


def _phase_map(linear: Linear, axis: Axis, sector: int) -> Linear:
    vector = AXIS_BASES[axis][:, sector]
    parts = [(vector.conj() @ part @ vector).reshape(1, 1) for part in _parts(linear)]
    return _from_parts(linear, linear.sites, parts)


def _build(circuit: Circuit, request: Request, hubs: dict[int, Axis], parts: _Parts, memo: "_Memo") -> FactorisedPlan:
    expressions = Expressions()
    hub_list = tuple(sorted(hubs))
    spokes = tuple(qubit for qubit in range(circuit.n_qubits) if qubit not in hubs)
    known: dict[tuple, int] = {}

    def middle(qubit: int) -> list[Linear]:
        return parts.middles.get(qubit, [])

    sector_nodes = {
        signs: [
            _spoke_node(expressions, spoke, middle(spoke), hubs, dict(zip(hub_list, signs, strict=True)), known, memo)
            for spoke in spokes
        ]
        for signs in product((0, 1), repeat=len(hub_list))
    }
    phases = [tuple(_phase_node(expressions, middle(hub), hubs[hub], sign) for sign in (0, 1)) for hub in hub_list]
    tails = [block_expression(expressions, parts.tails.get(hub, []), (hub,), 2) for hub in hub_list]
    plan = Plan(
        request=request,
        n_sites=circuit.n_qubits,
        n_weights=circuit.n_weights,
        is_real=False,
        preparations=[],
        chains=[
            (qubit, chain_nodes(expressions, qubit, parts.starts.get(qubit, []), 2))
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
    has_tail = [bool(parts.tails.get(hub)) for hub in hub_list]
    strings = _strings(request.terms or (), hub_list, axes, has_tail)
    return FactorisedPlan(plan, hub_list, axes, spokes, sector_nodes, phases, tails, strings)  # pyright: ignore[reportArgumentType]


def _spoke_node(
    expressions: Expressions,
    spoke: int,
    maps: list[Linear],
    hubs: dict[int, Axis],
    sector: dict[int, int],
    known: dict[tuple, int],
    memo: _Memo,
) -> int:
    met = tuple((site, sector[site]) for linear in maps for site in linear.sites if site in hubs)
    key = (spoke, tuple(sorted(set(met))))
    if key not in known:
        reduced = [_sector_map(linear, hubs, sector, memo) for linear in maps]
        known[key] = block_expression(expressions, reduced, (spoke,), 2)
    return known[key]


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
