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
from qml.simulator.linear import NEGLIGIBLE, linear_maps

LETTERS = "IXYZ"
WIDEST_TABLE = 3  # qubits of an operation whose action on strings is tabulated (64 x 64 numbers)
IDENTITY, DIAGONAL, GENERAL = 0, 1, 2  # what is known of an operator on one qubit

String = dict[int, str]
"""Letters X, Y, Z of a Pauli string by qubit."""


@dataclass(frozen=True, eq=False)
class Cone:
    """What one or several Pauli strings depend on.

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
    """One pass from the end of a circuit to its beginning."""

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
        """What is known of the operator on a qubit."""
        if qubit in self._known:
            return self._known[qubit]
        letters = {string[qubit] for string in self._strings if qubit in string}
        return IDENTITY if not letters else DIAGONAL if letters == {"Z"} else GENERAL

    def _absorb(self, operation: Operation) -> bool:
        """Move all strings through an operation, if each stays one string."""
        if isinstance(operation.gate, StatePreparation):
            return False
        action = action_of(operation.gate, len(operation.controls), constants_of(operation))
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
    gate = operation.gate
    largest = max(known)
    if largest == IDENTITY:
        return True
    if largest == DIAGONAL and isinstance(gate, Measure):
        return True
    if not operation.is_unitary:
        return False
    n_controls = len(operation.controls)
    if largest == DIAGONAL and action_of(gate, n_controls, constants_of(operation)).is_diagonal:
        return True
    return max(known[n_controls:]) == IDENTITY and largest == DIAGONAL  # it is block diagonal in its controls


def _after(operation: Operation, known: list[int]) -> list[int]:
    """What is known of the operator on the qubits of an operation that is kept, before the operation."""
    gate = operation.gate
    if isinstance(gate, (Reset, StatePreparation)):
        return [IDENTITY] * len(known)
    if isinstance(gate, (Measure, PostSelect)):
        return [DIAGONAL]
    if not operation.is_unitary:
        return [GENERAL] * len(known)
    n_controls = len(operation.controls)
    if action_of(gate, n_controls, constants_of(operation)).is_diagonal:
        n_controls = len(known)
    return [max(value, DIAGONAL) if k < n_controls else GENERAL for k, value in enumerate(known)]


class Action:
    """What an operation does to Pauli strings on its qubits, controls first, as the sweep goes backwards."""

    def __init__(self, gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> None:
        self._gate, self._n_controls = gate, n_controls
        self._n_qubits = n_controls + gate.n_qubits
        self._circuit = _alone(gate, n_controls, constants)
        self._images: dict[str, tuple[float, str] | None] = {}
        self.is_diagonal = self._circuit.is_unitary and all(
            _is_diagonal(part)
            for linear in linear_maps(self._circuit, 2)[1]
            for part in (linear.constant, *(part for _, *pair in linear.terms for part in pair))
        )
        self._maps = linear_maps(self._circuit, 4)[1] if self._n_qubits <= WIDEST_TABLE else None

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
def action_of(gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> Action:
    """Return the action of an operation on strings, made once."""
    return Action(gate, n_controls, constants)


def _alone(gate: Gate, n_controls: int, constants: tuple[float | None, ...]) -> Circuit:
    """A circuit of one operation, controls on the first qubits."""
    circuit = Circuit(n_controls + gate.n_qubits)
    angles = [Slot("weight", k) if angle is None else angle for k, angle in enumerate(constants)]
    qubits = range(n_controls, n_controls + gate.n_qubits)
    return circuit.append(gate, tuple(qubits), controls=tuple(range(n_controls)), angles=angles)


def _is_diagonal(matrix: np.ndarray) -> bool:
    return bool(np.abs(matrix - np.diag(np.diagonal(matrix))).max() < NEGLIGIBLE)


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
