"""A circuit and a Pauli string as a tensor network with hyperedges, and the order in which it is contracted.

<P> is a sum over the values 0 and 1 of one variable for each stretch of a qubit's line between gates, once for the
state and once for its conjugate, of a product of small tables. A gate that is diagonal multiplies by a table of the
variables that are there; controls likewise; any other gate has new variables behind it. So a diagonal gate joins two
lines without making either longer, and the width of the network is often far below the number of its qubits.

Variables are summed one after another (bucket elimination: Dechter, Artificial Intelligence 113, 41, 1999). Summing a
variable multiplies the tables that hold it into one that holds all their other variables. The order takes the variable
first that joins the fewest pairs of variables anew (min-fill), ties by a seeded draw; the best of some orders is kept.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np

from circuits import Circuit, Operation, Slot
from circuits.gate import Gate
from circuits.not_unitary import KrausGate, StatePreparation
from circuits.observables import PauliFactors
from qml.simulator.light_cone import alone, constants_of, diagonal_sites
from qml.simulator.linear import Linear, linear_maps

TRIALS = 12
MOST_TAKEN = 20_000  # variables in all trials, so that planning stays linear in the number of gates
HOPE = 64.0  # times the limit that a quick first order may cost before no better one is looked for
NARROW_ENOUGH = 2.0**17  # multiplications: no better order is looked for
SEED = 0
LARGEST_EXPONENT = 500  # of entries in an estimate, which must stay a finite float
PAULI_TABLES = {"X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.array([1, -1])}


@dataclass(frozen=True, eq=False)
class Source:
    """A rule that gives the entries of tables: constant + sum_f cos(f t) C_f + sin(f t) S_f of one angle t.

    Attributes:
        constant: of the shape of a table.
        terms: (frequency, cosine part, sine part).
        amplitudes: data slots that are the entries themselves, real parts and then, if complex, imaginary parts.
    """

    constant: np.ndarray
    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...] = ()
    amplitudes: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Table:
    """A factor of the product that is summed.

    Attributes:
        variables: of its dimensions.
        source: number of the source of its entries.
        slot: the angle; None for a constant.
        is_conjugate: whether it belongs to the conjugate of the state.
    """

    variables: tuple[int, ...]
    source: int
    slot: Slot | None = None
    is_conjugate: bool = False


@dataclass(frozen=True, eq=False)
class TensorNetwork:
    """The tables whose product is summed, and their sources.

    Attributes:
        tables: all factors.
        sources: of their entries.
        read: variables that are not summed: the outcomes of qubits that are read.
    """

    tables: tuple[Table, ...]
    sources: tuple[Source, ...]
    read: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Order:
    """An order of summing variables.

    Attributes:
        variables: in order.
        width: variables of the largest table that is made.
        cost: multiplications.
        written: entries of all tables that are made.
    """

    variables: tuple[int, ...]
    width: int
    cost: float | int
    written: float | int


def network_of(circuit: Circuit, string: PauliFactors, read: Sequence[int] = ()) -> TensorNetwork:
    """Write <string> of a circuit as a network; post-selections only project, they do not normalise.

    Args:
        circuit: any circuit.
        string: letters by qubit.
        read: qubits whose outcomes stay variables of the result; they have no letters.
    """
    builder = _NetworkBuilder(circuit.n_qubits)
    for operation in circuit.operations:
        builder.add(operation)
    return builder.close(dict(string), read)


class _NetworkBuilder:
    """A follower of the lines of all qubits through a circuit, for the state and for its conjugate."""

    def __init__(self, n_qubits: int) -> None:
        self._n_variables = 0
        self._lines: list[list[int | None]] = [[None] * n_qubits, [None] * n_qubits]  # None is |0> that nothing touched
        self._tables: list[Table] = []
        self._sources: list[Source] = []
        self._known: dict[object, int] = {}

    def add(self, operation: Operation) -> None:
        """Append the tables of one operation."""
        gate = operation.gate
        if isinstance(gate, StatePreparation):
            self._prepare(operation, gate)
        elif isinstance(gate, KrausGate):
            self._add_kraus(operation, gate.kraus_operators)
        else:
            self._add_unitary(operation)

    def _add_unitary(self, operation: Operation) -> None:
        key = (operation.gate, len(operation.controls), constants_of(operation))
        for number, part in enumerate(_parts(*key)):
            source = self._source((key, number), lambda part=part: part.source)
            slot = None if part.angle is None else operation.slots[part.angle]
            qubits = [operation.all_qubits[site] for site in part.sites]
            for side in (0, 1):
                before = [self._line(side, qubit) for qubit in qubits]
                after = [
                    line if kept else self._new_line(side, qubit)
                    for qubit, line, kept in zip(qubits, before, part.keeps_basis, strict=True)
                ]
                taken = [line for line, kept in zip(before, part.keeps_basis, strict=True) if not kept]
                self._tables.append(Table((*after, *taken), source, slot, bool(side)))

    def _add_kraus(self, operation: Operation, kraus: np.ndarray) -> None:
        """Append K_r for the state and its conjugate, which share the variables of r; r runs over a power of two."""
        n_bits = max(0, math.ceil(math.log2(len(kraus))))
        padded = np.zeros((2**n_bits, *kraus.shape[1:]), dtype=complex)
        padded[: len(kraus)] = kraus
        k = len(operation.qubits)
        key = ("kraus", kraus.tobytes(), kraus.shape)
        source = self._source(key, lambda: Source(padded.reshape((2,) * (n_bits + 2 * k))))
        shared = tuple(self._new() for _ in range(n_bits))
        for side in (0, 1):
            before = tuple(self._line(side, qubit) for qubit in operation.qubits)
            after = tuple(self._new_line(side, qubit) for qubit in operation.qubits)
            self._tables.append(Table(shared + after + before, source, None, bool(side)))

    def _prepare(self, operation: Operation, gate: StatePreparation) -> None:
        shape = (2,) * len(operation.qubits)
        constant = np.zeros(shape) if gate.amplitudes is None else gate.amplitudes.values.reshape(shape)
        self._sources.append(Source(constant, (), operation.slots))
        for side in (0, 1):
            lines = tuple(self._new_line(side, qubit) for qubit in operation.qubits)
            self._tables.append(Table(lines, len(self._sources) - 1, None, bool(side)))

    def close(self, letters: dict[int, str], read: Sequence[int]) -> TensorNetwork:
        """Join the state and its conjugate by the letters of a string, or by the outcomes of qubits that are read."""
        joined: dict[int, int] = {}
        for qubit in range(len(self._lines[0])):
            letter = letters.get(qubit, "I")
            state, conjugate = (self._line(side, qubit) for side in (0, 1))
            if letter in "IZ":
                joined[conjugate] = state
            if letter != "I":
                source = self._source(letter, lambda letter=letter: Source(PAULI_TABLES[letter]))
                self._tables.append(Table((state,) if letter == "Z" else (conjugate, state), source))
        tables = (
            Table(tuple(joined.get(v, v) for v in table.variables), table.source, table.slot, table.is_conjugate)
            for table in self._tables
        )
        outcomes = tuple(self._line(0, qubit) for qubit in read)
        return TensorNetwork(tuple(tables), tuple(self._sources), outcomes)

    def _source(self, key: object, make: Callable[[], Source]) -> int:
        if key not in self._known:
            self._known[key] = len(self._sources)
            self._sources.append(make())
        return self._known[key]

    def _new(self) -> int:
        self._n_variables += 1
        return self._n_variables - 1

    def _new_line(self, side: int, qubit: int) -> int:
        variable = self._new()
        self._lines[side][qubit] = variable
        return variable

    def _line(self, side: int, qubit: int) -> int:
        """Return the variable of a line; where the line begins, a table says that it is 0."""
        variable = self._lines[side][qubit]
        if variable is None:
            variable = self._new_line(side, qubit)
            zero = self._source("zero", lambda: Source(np.array([1.0, 0.0])))
            self._tables.append(Table((variable,), zero))
        return variable


class AnglePart(NamedTuple):
    """A part of a unitary operation that has one angle at most.

    Attributes:
        sites: the operation's qubits that it acts on, controls first.
        keeps_basis: for each of them whether it is block diagonal there: its table then has one variable, not two.
        source: variables after it of all sites, then those before it of sites that it is not block diagonal in.
        angle: which of the operation's slots; None for a constant.
    """

    sites: tuple[int, ...]
    keeps_basis: tuple[bool, ...]
    source: Source
    angle: int | None


@lru_cache(maxsize=4096)
def _parts(gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> tuple[AnglePart, ...]:
    """Write a unitary operation as parts, made once for all operations that differ in qubits and slots."""
    return tuple(_part(linear) for linear in linear_maps(alone(gate, n_controls, constants), 2)[1])


def _part(linear: Linear) -> AnglePart:
    keeps_basis = (True,) * len(linear.controls) + diagonal_sites(linear)
    terms = tuple(
        (frequency, _table(cosine, linear, keeps_basis, 0.0), _table(sine, linear, keeps_basis, 0.0))
        for frequency, cosine, sine in linear.terms
    )
    source = Source(_table(linear.constant, linear, keeps_basis, 1.0), terms)
    return AnglePart(linear.all_sites, keeps_basis, source, None if linear.slot is None else linear.slot.index)


def _table(matrix: np.ndarray, linear: Linear, keeps_basis: tuple[bool, ...], elsewhere: float) -> np.ndarray:
    """Return the entries of a map, its controls first; `elsewhere` times the identity where a control reads 0."""
    n_controls, n_own = len(linear.controls), len(linear.sites)
    matrix = np.asarray(matrix, dtype=complex)
    blocks = np.tile(elsewhere * np.eye(2**n_own, dtype=complex), (2**n_controls, 1, 1))
    blocks[-1] = matrix
    entries = blocks.reshape((2,) * (n_controls + 2 * n_own))
    for site in reversed(range(n_own)):
        if keeps_basis[n_controls + site]:
            n_after = n_controls + n_own  # rows stand before columns; the diagonal moves to the end, and back
            kept = np.diagonal(entries, axis1=n_controls + site, axis2=n_after + site)
            entries = np.moveaxis(kept, -1, n_controls + site)
    return np.ascontiguousarray(entries)


def find_order(network: TensorNetwork, limit: float = math.inf) -> Order | None:
    """Find an order of summing variables by repeated min-fill; the same network always gets the same order.

    Args:
        network: what is contracted.
        limit: multiplications above which no order is of use.

    Returns:
        The best order that was found, which may cost more than the limit; None where the search gave up before the end.
    """
    best = _eliminated(network, random.Random(SEED), HOPE * limit, by_fill=False)
    if best is None:
        return None
    for trial in range(1, min(TRIALS, 1 + MOST_TAKEN // max(1, len(best.variables)))):
        if best.cost < min(NARROW_ENOUGH, limit):
            break
        order = _eliminated(network, random.Random(SEED + trial), best.cost, by_fill=trial % 3 > 0)
        best = best if order is None else order
    return best


def _eliminated(network: TensorNetwork, draws: random.Random, limit: float, *, by_fill: bool) -> Order | None:
    """Take one variable after another; None where that costs as much as the limit."""
    neighbours = neighbours_of(network)

    def score(variable: int) -> int:
        around = list(neighbours[variable])
        return _fill(around, neighbours) if by_fill else len(around)

    scores = {variable: score(variable) for variable in neighbours if variable not in network.read}
    ties = {variable: draws.random() for variable in scores}
    queue = [(value, ties[variable], variable) for variable, value in scores.items()]
    heapify(queue)
    order, width, cost, written = [], len(network.read), 2.0 ** len(network.read), 0.0
    while queue:
        value, _, variable = heappop(queue)
        if scores.get(variable) != value:
            continue  # an entry from before its score changed
        around = neighbours.pop(variable)
        del scores[variable]
        order.append(variable)
        entries = 2.0 ** min(len(around), LARGEST_EXPONENT)
        width, cost, written = max(width, len(around)), cost + 2.0 * entries, written + entries
        if cost >= limit:
            return None
        touched = set(around)
        for other in around:
            neighbours[other].discard(variable)
            neighbours[other] |= around - {other}
        if by_fill:
            touched.update(*(neighbours[other] for other in around))
        for other in touched.intersection(scores):
            new = score(other)
            if new != scores[other]:
                scores[other] = new
                heappush(queue, (new, ties[other], other))
    return Order(tuple(order), width, cost, written)


def neighbours_of(network: TensorNetwork) -> dict[int, set[int]]:
    """Return for every variable those that it shares a table with."""
    neighbours: dict[int, set[int]] = {}
    for table in network.tables:
        for variable in table.variables:
            neighbours.setdefault(variable, set()).update(other for other in table.variables if other != variable)
    return neighbours


def _fill(around: list[int], neighbours: dict[int, set[int]]) -> int:
    """Count the pairs of variables that share no table."""
    later = ((one, around[k + 1 :]) for k, one in enumerate(around))
    return sum(len(others) - len(neighbours[one].intersection(others)) for one, others in later)
