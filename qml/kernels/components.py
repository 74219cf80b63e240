"""The connected components of a circuit: groups of qubits that no gate joins."""

from collections import defaultdict
from typing import NamedTuple

from circuits import Circuit, Operation, Slot, data, weight


class Component(NamedTuple):
    """A part of a circuit on a register of its own.

    Attributes:
        circuit: The part; its qubits and slots are numbered from 0.
        data_slots: For each of its data slots the slot of the whole circuit.
        weight_slots: Likewise of weights.
    """

    circuit: Circuit
    data_slots: tuple[int, ...]
    weight_slots: tuple[int, ...]


def components(circuit: Circuit) -> tuple[Component, ...]:
    """Return the connected components of a unitary circuit; qubits without gates are in none.

    Its state is the product of their states, up to a phase that no probability shows.
    """
    leader = list(range(circuit.n_qubits))

    def find(qubit: int) -> int:
        while leader[qubit] != qubit:
            leader[qubit] = leader[leader[qubit]]
            qubit = leader[qubit]
        return qubit

    for operation in circuit.operations:
        first, *others = (*operation.controls, *operation.qubits)
        for qubit in others:
            leader[find(qubit)] = find(first)
    members: dict[int, list[Operation]] = defaultdict(list)
    for operation in circuit.operations:
        members[find(operation.qubits[0])].append(operation)
    return tuple(_component(operations) for operations in members.values())


def _component(operations: list[Operation]) -> Component:
    used = {qubit for operation in operations for qubit in (*operation.controls, *operation.qubits)}
    places = {qubit: place for place, qubit in enumerate(sorted(used))}
    slots: dict[str, dict[int, int]] = {"data": {}, "weight": {}}
    result = Circuit(len(places))
    for operation in operations:
        angles = []
        for angle in operation.angles:
            if isinstance(angle, Slot):
                numbers = slots[angle.kind]
                number = numbers.setdefault(angle.index, len(numbers))
                angles.append(data(number) if angle.kind == "data" else weight(number))
            else:
                angles.append(angle)
        qubits, controls = ([places[q] for q in group] for group in (operation.qubits, operation.controls))
        result.append(operation.gate, qubits, controls=controls, angles=angles)
    return Component(result, tuple(slots["data"]), tuple(slots["weight"]))
