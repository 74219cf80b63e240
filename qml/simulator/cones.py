"""Wide circuits in pieces: each Pauli string on its own light cone, each cone in its connected components.

The expectation value of a string is the product over the components of its cone, <P> = prod_c <P_c>, and on qubits that
no operation of the cone touches it is 1 for Z and 0 for X and Y. A component is a circuit of its own on a register of
its own. Components that differ only in the numbers of their qubits and slots share one circuit and run as one batch.

Post-selections enter the norm, so every one is kept; a component without letters cancels from the ratio, but it must
be possible: those components are listed apart.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from circuits import Circuit, Operation, Slot
from circuits.gates import PostSelect
from qml.simulator.light_cone import Cone, String, light_cone, projections
from qml.simulator.readout import Terms

NARROW = 10  # qubits: a register of so few is as quick as looking for pieces of it
FEW = 5  # qubits: likewise where no gate joins any
GAIN = 0.5  # of the arithmetic of the whole register that the pieces may take at most
PIECE_AMPLITUDES = 2.0**23  # that a register moves in the time that one more piece takes to plan and to call
LARGEST_EXPONENT = 500  # of levels in an estimate of cost, which must stay a finite float
MIN_VISITS = 200_000  # operations that may be looked at whatever the size of the circuit
VISITS_AN_OPERATION = 20
FREE_VISITS = 1000  # operations that may be looked at however quick a register is
VISIT_AMPLITUDES = 2.0**13  # amplitudes that a register moves in the time of one look


@dataclass(eq=False)
class Piece:
    """A circuit on a register of its own, and where its numbers come from.

    Attributes:
        circuit: its qubits and slots are numbered from 0.
        strings: distinct Pauli strings that are read, letters by qubit of `circuit`.
        data_slots: for each copy of it the data slots of the whole circuit that fill its own.
        weight_slots: likewise of weights.
    """

    circuit: Circuit
    strings: dict[tuple[tuple[int, str], ...], int] = field(default_factory=dict)
    data_slots: list[tuple[int, ...]] = field(default_factory=list)
    weight_slots: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def terms(self) -> Terms:
        """Return its strings, each as an observable of its own."""
        return tuple(((1.0, factors),) for factors in self.strings)


@dataclass(frozen=True)
class Factor:
    """The value of one string on one copy of one piece."""

    piece: int
    copy: int
    string: int


@dataclass(frozen=True, eq=False)
class Cones:
    """Observables as sums of products of values of pieces.

    Attributes:
        pieces: the distinct circuits.
        terms: (observable, coefficient, factors) of every string that is not 0.
        n_observables: how many observables there are.
        conditions: copies (piece, copy) that no string reads and that post-select.
        cost: amplitudes that are moved, summed over the operations of all pieces.
        joint_cost: the least that one cone of all strings could cost.
        is_pure: whether the circuit has neither noise nor reset nor measurement.
    """

    pieces: tuple[Piece, ...]
    terms: tuple[tuple[int, float, tuple[Factor, ...]], ...]
    n_observables: int
    conditions: tuple[tuple[int, int], ...]
    cost: float
    joint_cost: float
    is_pure: bool


def find_cones(circuit: Circuit, terms: Terms, levels: int) -> Cones | None:
    """Find the pieces that the observables need, or None where the register as a whole costs no more.

    Args:
        circuit: any circuit.
        terms: weighted Pauli strings of every observable.
        levels: 2 for state vectors, 4 for density matrices.
    """
    entangles = any(len(operation.all_qubits) > 1 for operation in circuit.operations)
    if circuit.n_qubits <= (NARROW if entangles else FEW):
        return None
    whole = len(circuit) * float(levels) ** min(circuit.n_qubits, LARGEST_EXPONENT)
    limit = GAIN * whole if entangles else math.inf  # single qubits are quickest apart
    apart = _apart(circuit, terms, whole)
    best = None if apart is None else _PieceCollector(circuit, levels).build(apart, len(terms), limit)
    for groups in (None if apart is None else _nested(circuit, terms, apart), _together(circuit, terms, best)):
        if groups is not None:
            cones = _PieceCollector(circuit, levels).build(groups, len(terms), limit)
            if cones is not None and (best is None or cones.cost < best.cost):
                best = cones
    return best


Group = tuple[list[tuple[int, float]], Cone]
"""(observable, coefficient) of each string, and the cone of all of them."""


def _flat(terms: Terms) -> list[tuple[int, float, String]]:
    return [
        (observable, coefficient, dict(factors))
        for observable, strings in enumerate(terms)
        for coefficient, factors in strings
    ]


def _apart(circuit: Circuit, terms: Terms, whole: float) -> list[Group] | None:
    """Find a cone for each string; None where that would look at too many operations, or take as long as a register."""
    groups, left = [], min(MIN_VISITS + VISITS_AN_OPERATION * len(circuit), max(FREE_VISITS, whole / VISIT_AMPLITUDES))
    for observable, coefficient, string in _flat(terms):
        cone = light_cone(circuit, [string])
        groups.append(([(observable, coefficient)], cone))
        left -= cone.n_visited
        if left < 0:
            return None
    return groups


def _nested(circuit: Circuit, terms: Terms, apart: list[Group]) -> list[Group] | None:
    """Find one cone for every string whose qubits hold those of others, together with these; None where none does."""
    flat = _flat(terms)
    qubits = [_qubits_of(circuit, cone) for _, cone in apart]
    hosts: list[list[int]] = []
    by_qubit: dict[int, list[int]] = {}
    for number in sorted(range(len(flat)), key=lambda k: -len(qubits[k])):
        own = qubits[number]
        candidates = by_qubit.get(min(own), []) if own else []
        host = next((k for k in candidates if own <= qubits[hosts[k][0]]), None)
        if host is None:
            for qubit in own:
                by_qubit.setdefault(qubit, []).append(len(hosts))
            hosts.append([number])
        else:
            hosts[host].append(number)
    if len(hosts) == len(flat):
        return None
    return [
        apart[numbers[0]]
        if len(numbers) == 1
        else ([flat[k][:2] for k in numbers], light_cone(circuit, [flat[k][2] for k in numbers]))
        for numbers in hosts
    ]


def _together(circuit: Circuit, terms: Terms, best: Cones | None) -> list[Group] | None:
    """Find one cone for all strings; None where its largest component alone would cost more than what is known."""
    flat = _flat(terms)
    if not flat or (best is not None and best.joint_cost > best.cost):
        return None
    return [([entry[:2] for entry in flat], light_cone(circuit, [entry[2] for entry in flat]))]


def _qubits_of(circuit: Circuit, cone: Cone) -> frozenset[int]:
    return frozenset(qubit for number in cone.operations for qubit in circuit.operations[number].all_qubits)


class _PieceCollector:
    """A collector of the pieces of one circuit."""

    def __init__(self, circuit: Circuit, levels: int) -> None:
        self._operations, self._levels = circuit.operations, levels
        self._projecting = frozenset(projections(circuit))
        self._pieces: list[Piece] = []
        self._numbers: dict[tuple[int, tuple[Operation, ...]], int] = {}
        self._copies: dict[tuple[int, ...], tuple[int, int, dict[int, int]]] = {}
        self._cost = 0.0

    def build(self, groups: Iterable[Group], n_observables: int, limit: float) -> Cones | None:
        """Cut the cones of all groups into components; None where these cost as much as the limit."""
        terms: list[tuple[int, float, tuple[Factor, ...]]] = []
        read: set[tuple[int, int]] = set()
        kept: set[int] = set()
        projecting: set[tuple[int, int]] = set()
        for entries, cone in groups:
            kept.update(cone.operations)
            components = [self._add(component) for component in components_of(self._operations, cone.operations)]
            if self._cost >= limit:
                return None
            projecting |= {copy[:2] for copy, projects in components if projects}
            places = {qubit: number for number, (copy, _) in enumerate(components) for qubit in copy[2]}
            for (observable, coefficient), scale, string in zip(entries, cone.scales, cone.strings, strict=True):
                factors = self._factors(string, [copy for copy, _ in components], places)
                if factors is not None and scale * coefficient:
                    terms.append((observable, coefficient * scale, factors))
                    read |= {(factor.piece, factor.copy) for factor in factors}
        conditions = tuple(sorted(projecting - read))
        pure = all(op.is_unitary or op.is_preparation or isinstance(op.gate, PostSelect) for op in self._operations)
        return Cones(tuple(self._pieces), tuple(terms), n_observables, conditions, self._cost, self._joint(kept), pure)

    def _joint(self, numbers: set[int]) -> float:
        """Count the amplitudes of the largest component of some operations."""
        components = components_of(self._operations, sorted(numbers))
        widths = [len({q for k in group for q in self._operations[k].all_qubits}) for group in components]
        return float(self._levels) ** min(max(widths, default=0), LARGEST_EXPONENT)

    def _factors(
        self, string: String, copies: Sequence[tuple[int, int, dict[int, int]]], places: dict[int, int]
    ) -> tuple[Factor, ...] | None:
        """Return the factors of a string; None where it is 0, as X and Y of a qubit in |0> are."""
        parts: dict[int, list[tuple[int, str]]] = {}
        for qubit, letter in string.items():
            if qubit in places:
                number = places[qubit]
                parts.setdefault(number, []).append((copies[number][2][qubit], letter))
            elif letter != "Z":
                return None
        factors = []
        for number, letters in sorted(parts.items()):
            piece, copy, _ = copies[number]
            strings = self._pieces[piece].strings
            factors.append(Factor(piece, copy, strings.setdefault(tuple(sorted(letters)), len(strings))))
        return tuple(factors)

    def _add(self, numbers: tuple[int, ...]) -> tuple[tuple[int, int, dict[int, int]], bool]:
        """Return the piece, the copy and the register of a component, and whether it post-selects."""
        projects = not self._projecting.isdisjoint(numbers)
        if numbers not in self._copies:
            alone = isolated(self._operations, numbers)
            key = (len(alone.register), alone.operations)
            if key not in self._numbers:
                self._numbers[key] = len(self._pieces)
                self._cost += PIECE_AMPLITUDES
                self._pieces.append(Piece(alone.circuit()))
            piece = self._pieces[self._numbers[key]]
            piece.data_slots.append(alone.data_slots)
            piece.weight_slots.append(alone.weight_slots)
            self._cost += alone.cost(self._levels)
            self._copies[numbers] = (self._numbers[key], len(piece.data_slots) - 1, alone.register)
        return self._copies[numbers], projects


class Isolated(NamedTuple):
    """A selection of operations on a register of their own.

    Attributes:
        operations: their qubits and slots are numbered from 0.
        register: for each qubit of the circuit its number there.
        data_slots, weight_slots: for each slot there its number in the circuit.
    """

    operations: tuple[Operation, ...]
    register: dict[int, int]
    data_slots: tuple[int, ...]
    weight_slots: tuple[int, ...]

    def circuit(self) -> Circuit:
        """Make the circuit of them."""
        circuit = Circuit(len(self.register))
        for op in self.operations:
            circuit.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
        return circuit

    def cost(self, levels: int) -> float:
        """Count the amplitudes that are moved, summed over all operations."""
        return len(self.operations) * float(levels) ** min(len(self.register), LARGEST_EXPONENT)


def isolated(operations: Sequence[Operation], numbers: Sequence[int]) -> Isolated:
    """Renumber the qubits and slots of some operations; qubits keep their order, slots that of their use."""
    chosen = [operations[number] for number in numbers]
    register = {qubit: k for k, qubit in enumerate(sorted({qubit for op in chosen for qubit in op.all_qubits}))}
    slots: dict[str, dict[int, int]] = {"data": {}, "weight": {}}
    renumbered = tuple(_renumbered(op, register, slots) for op in chosen)
    return Isolated(renumbered, register, tuple(slots["data"]), tuple(slots["weight"]))


def components_of(operations: Sequence[Operation], numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Sort operations into groups that share no qubit, each in order."""
    parent: dict[int, int] = {}

    def root(qubit: int) -> int:
        parent.setdefault(qubit, qubit)
        while parent[qubit] != qubit:
            parent[qubit] = parent[parent[qubit]]
            qubit = parent[qubit]
        return qubit

    for number in numbers:
        first, *others = operations[number].all_qubits
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[int, list[int]] = {}
    for number in numbers:
        groups.setdefault(root(operations[number].all_qubits[0]), []).append(number)
    return [tuple(group) for group in groups.values()]


def _renumbered(operation: Operation, register: dict[int, int], slots: dict[str, dict[int, int]]) -> Operation:
    angles = tuple(
        Slot(angle.kind, slots[angle.kind].setdefault(angle.index, len(slots[angle.kind])))
        if isinstance(angle, Slot)
        else angle
        for angle in operation.angles
    )
    qubits, controls = (tuple(register[q] for q in group) for group in (operation.qubits, operation.controls))
    return Operation(operation.gate, qubits, controls, angles)
