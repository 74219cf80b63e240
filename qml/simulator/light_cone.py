"""Light cones: the operations of a circuit that an expectation value depends on.

A Pauli string is moved backwards through the circuit, P -> U^dagger P U. While no operation that was kept lies on its
qubits, a gate that makes one string of it (a Clifford gate, a commuting rotation, a channel that only scales it) is
absorbed: the string changes and the gate is gone. An operation that makes several strings of it is kept, and its qubits
are closed to absorption. Of the operator on closed qubits only this much is known: it is the identity on a qubit, or
diagonal there, or anything. An operation before it is dropped if that already says that the two commute.

The sweep visits only operations on qubits that the operator has reached, so its cost grows with the cone and not with
the circuit.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush

import numpy as np

from circuits import Circuit, Operation, Slot
from circuits.gates import Gate, Measure, PauliRotation, PostSelect, Reset, StatePreparation
from qml.simulator.linear import NEGLIGIBLE, Linear, linear_maps

LETTERS = "IXYZ"
WIDEST_TABLE = 3  # qubits of an operation whose action on strings is tabulated (64 x 64 numbers)
IDENTITY, DIAGONAL, GENERAL = 0, 1, 2  # what is known of an operator on one qubit

String = dict[int, str]
"""Letters X, Y, Z of a Pauli string by qubit."""


@dataclass(frozen=True, eq=False)
class Cone:
    """The operations that one or several Pauli strings depend on, and the strings as they are read after those.

    Attributes:
        scales: the factor of each string.
        strings: each string as it is read after the operations that were kept.
        operations: numbers of the operations that were kept, ascending.
        n_visited: operations that were looked at.
    """

    scales: tuple[float, ...]
    strings: tuple[String, ...]
    operations: tuple[int, ...]
    n_visited: int


def light_cone(circuit: Circuit, strings: Sequence[Mapping[int, str]], measured: Iterable[int] = ()) -> Cone:
    """Find the operations that must be simulated to read some Pauli strings together.

    Args:
        circuit: any circuit; every post-selection in it is kept, since all of them enter the norm.
        strings: letters X, Y, Z by qubit; those of several strings are moved together.
        measured: qubits whose joint outcomes are read.
    """
    sweep = _Sweep(circuit, [dict(string) for string in strings])
    for qubit in measured:
        sweep.close(qubit, DIAGONAL)
        sweep.reach(qubit, len(sweep.operations))
    for qubit in {qubit for string in strings for qubit in string}:
        sweep.reach(qubit, len(sweep.operations))
    for number in projections(circuit):
        sweep.queue(number)
    return sweep.run()


def projections(circuit: Circuit) -> tuple[int, ...]:
    """Return the numbers of all post-selections."""
    return circuit.derived(
        "post-selections",
        lambda: tuple(k for k, op in enumerate(circuit.operations) if isinstance(op.gate, PostSelect)),
    )


class _Sweep:
    """A pass from the end of a circuit to its beginning, which keeps what the strings depend on."""

    def __init__(self, circuit: Circuit, strings: list[String]) -> None:
        self.operations = circuit.operations
        self._by_qubit = circuit.derived("operations by qubit", lambda: _by_qubit(circuit))
        self._strings, self._scales = strings, [1.0] * len(strings)
        self._known: dict[int, int] = {}  # of closed qubits
        self._kept: list[int] = []
        self._queue: list[int] = []
        self._queued: set[int] = set()

    def close(self, qubit: int, known: int) -> None:
        """Allow no absorption on a qubit from now on."""
        self._known[qubit] = known

    def reach(self, qubit: int, number: int) -> None:
        """Queue the last operation on a qubit before operation `number`."""
        numbers = self._by_qubit.get(qubit, ())
        place = bisect_left(numbers, number)
        if place:
            self.queue(numbers[place - 1])

    def queue(self, number: int) -> None:
        """Visit an operation later."""
        if number not in self._queued:
            self._queued.add(number)
            heappush(self._queue, -number)

    def run(self) -> Cone:
        """Visit operations from the last to the first."""
        while self._queue:
            number = -heappop(self._queue)
            operation = self.operations[number]
            self._visit(number, operation)
            for qubit in operation.all_qubits:
                if self._of(qubit) != IDENTITY:
                    self.reach(qubit, number)
        kept = self._without_first_resets(reversed(self._kept))
        return Cone(tuple(self._scales), tuple(self._strings), kept, len(self._queued))

    def _without_first_resets(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Drop resets of qubits that are still in |0>."""
        touched: set[int] = set()
        result = []
        for number in numbers:
            operation = self.operations[number]
            if isinstance(operation.gate, Reset) and touched.isdisjoint(operation.qubits):
                continue
            touched.update(operation.all_qubits)
            result.append(number)
        return tuple(result)

    def _visit(self, number: int, operation: Operation) -> None:
        qubits = operation.all_qubits
        known = [self._of(qubit) for qubit in qubits]
        projects = isinstance(operation.gate, PostSelect)
        if not projects and _commutes(operation, known):
            return
        if not projects and not any(qubit in self._known for qubit in qubits) and self._absorb(operation):
            return
        self._kept.append(number)
        for qubit, value in zip(qubits, _after(operation, known), strict=True):
            self._known[qubit] = value

    def _of(self, qubit: int) -> int:
        """Return what is known of the operator on a qubit."""
        if qubit in self._known:
            return self._known[qubit]
        letters = {string[qubit] for string in self._strings if qubit in string}
        return IDENTITY if not letters else DIAGONAL if letters == {"Z"} else GENERAL

    def _absorb(self, operation: Operation) -> bool:
        """Move all strings through an operation, if each stays one string."""
        if isinstance(operation.gate, StatePreparation):
            return False
        action = action_on(operation)
        qubits = operation.all_qubits
        images = []
        for string in self._strings:
            image = action.image("".join(string.get(qubit, "I") for qubit in qubits))
            if image is None:
                return False
            images.append(image)
        for k, (scale, letters) in enumerate(images):
            self._scales[k] *= scale
            for qubit, letter in zip(qubits, letters, strict=True):
                if letter == "I":
                    self._strings[k].pop(qubit, None)
                else:
                    self._strings[k][qubit] = letter
        return True


def _by_qubit(circuit: Circuit) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = {}
    for number, operation in enumerate(circuit.operations):
        for qubit in operation.all_qubits:
            numbers.setdefault(qubit, []).append(number)
    return numbers


def constants_of(operation: Operation) -> tuple[float | None, ...]:
    """Return the angles of an operation, None for slots: what strings become never depends on the value of a slot."""
    return tuple(None if isinstance(angle, Slot) else angle for angle in operation.angles)


def _commutes(operation: Operation, known: list[int]) -> bool:
    """Tell whether an operation leaves the operator as it is, by what is known of the operator on its qubits."""
    largest = max(known)
    if largest == IDENTITY:
        return True
    if largest == GENERAL:
        return False
    if not operation.is_unitary:
        return isinstance(operation.gate, Measure)
    # A diagonal operator commutes with what is block diagonal on its qubits.
    return all(value == IDENTITY or keeps for value, keeps in zip(known, action_on(operation).keeps_basis, strict=True))


def _after(operation: Operation, known: list[int]) -> list[int]:
    """Return what is known of the operator before an operation that is kept, on the operation's qubits."""
    gate = operation.gate
    if isinstance(gate, (Reset, StatePreparation)):
        return [IDENTITY] * len(known)
    if isinstance(gate, (Measure, PostSelect)):
        return [DIAGONAL]
    if not operation.is_unitary:
        return [GENERAL] * len(known)
    keeps_basis = action_on(operation).keeps_basis
    return [max(value, DIAGONAL) if keeps else GENERAL for value, keeps in zip(known, keeps_basis, strict=True)]


class Action:
    """The images of Pauli strings under an operation, read backwards; its controls come first among its qubits.

    Attributes:
        keeps_basis: for each qubit whether a unitary operation is block diagonal in it, as a controlled gate is in its
            controls and a diagonal gate in all its qubits.
    """

    def __init__(self, gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> None:
        self._gate, self._n_controls = gate, n_controls
        circuit = alone(gate, n_controls, constants)
        n_qubits = circuit.n_qubits
        self._images: dict[str, tuple[float, str] | None] = {}
        self._maps = linear_maps(circuit, 4)[1] if n_qubits <= WIDEST_TABLE else None
        self.keeps_basis = self._kept_qubits(circuit) if circuit.is_unitary else (False,) * n_qubits

    def _kept_qubits(self, circuit: Circuit) -> tuple[bool, ...]:
        if isinstance(self._gate, PauliRotation):
            return (True,) * self._n_controls + tuple(letter in "IZ" for letter in self._gate.pauli)
        keeps = [True] * circuit.n_qubits
        for linear in linear_maps(circuit, 2)[1]:
            for site, kept in zip(linear.sites, diagonal_sites(linear), strict=True):
                keeps[site] &= kept
        return tuple(keeps)

    def image(self, letters: str) -> tuple[float, str] | None:
        """Return the factor and the string that a string becomes, or None where it becomes several."""
        if letters not in self._images:
            self._images[letters] = self._image(letters)
        return self._images[letters]

    def _image(self, letters: str) -> tuple[float, str] | None:
        if self._maps is None:
            return (1.0, letters) if self._passes(letters) else None
        scale, current = 1.0, list(letters)
        for linear in reversed(self._maps):
            row = 0
            for site in linear.sites:
                row = 4 * row + LETTERS.index(current[site])
            entry = _single_entry(linear.constant, [part for _, *pair in linear.terms for part in pair], row)
            if entry is None:
                return None
            scale *= entry[0]
            for k, site in enumerate(reversed(linear.sites)):
                current[site] = LETTERS[entry[1] >> 2 * k & 3]
        return scale, "".join(current)

    def _passes(self, letters: str) -> bool:
        """Tell whether a wide operation commutes with a string."""
        if set(letters) == {"I"}:
            return True
        if isinstance(self._gate, PauliRotation) and not self._n_controls:
            pairs = zip(letters, self._gate.pauli, strict=True)
            return sum("I" != own != other != "I" for own, other in pairs) % 2 == 0
        return False


@lru_cache(maxsize=4096)
def _action(gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> Action:
    return Action(gate, n_controls, constants)


def action_on(operation: Operation) -> Action:
    """Return the action of an operation on strings, made once for all operations that differ in qubits and slots."""
    return _action(operation.gate, len(operation.controls), constants_of(operation))


def alone(gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> Circuit:
    """Make a circuit of one operation: controls on the first qubits, the k-th angle from weight k if it is a slot."""
    circuit = Circuit(n_controls + gate.n_qubits)
    n_slots = sum(angle is None for angle in constants)
    numbers = iter(range(n_slots))
    angles = [Slot("weight", next(numbers)) if angle is None else angle for angle in constants]
    qubits = tuple(range(n_controls, n_controls + gate.n_qubits))
    return circuit.append(gate, qubits, controls=tuple(range(n_controls)), angles=angles)


def diagonal_sites(linear: Linear) -> tuple[bool, ...]:
    """Tell for each site of a map of two-level sites whether the map is block diagonal in it."""
    n_sites = len(linear.sites)
    size = sum(np.abs(part) for part in (linear.constant, *(part for _, *pair in linear.terms for part in pair)))
    entries = np.asarray(size).reshape((2,) * (2 * n_sites))
    return tuple(
        bool(entries.diagonal(0, site, n_sites + site).sum() >= entries.sum() - NEGLIGIBLE) for site in range(n_sites)
    )


def _single_entry(constant: np.ndarray, varying: Sequence[np.ndarray], row: int) -> tuple[float, int] | None:
    """Return the only entry of a row that is not 0, if it does not depend on an angle, and its column."""
    if any(np.abs(part[row]).max() > NEGLIGIBLE for part in varying):
        return None
    entries = constant[row].real
    column = int(np.abs(entries).argmax())
    value = float(entries[column])
    if np.abs(entries).sum() - abs(value) > 100 * NEGLIGIBLE:
        return None
    if abs(value) < 100 * NEGLIGIBLE:
        return 0.0, 0
    return (float(round(value)) if abs(abs(value) - 1.0) < 100 * NEGLIGIBLE else value), column
