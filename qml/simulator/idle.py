"""The removal of qubits on which nothing acts: they stay in |0>, so that what is read from them is known."""

from circuits import Circuit
from qml.simulator.readout import Terms


def without_idle(circuit: Circuit, terms: Terms) -> tuple[Circuit, Terms]:
    """Return the circuit on its active qubits, and weighted Pauli strings with the same expectation values there.

    An idle qubit reads Z = 1 and X = Y = 0, so its Z drops out of a string, and a string with its X or Y is 0.
    """
    active = active_qubits(circuit)
    if len(active) == circuit.n_qubits:
        return circuit, terms
    place = {qubit: k for k, qubit in enumerate(active)}
    rows = []
    for strings in terms:
        reduced = []
        for coefficient, factors in strings:
            if all(qubit in place or letter == "Z" for qubit, letter in factors):
                kept = tuple((place[qubit], letter) for qubit, letter in factors if qubit in place)
                reduced.append((coefficient, kept))
        rows.append(tuple(reduced) or ((0.0, ()),))
    return restricted(circuit, active), tuple(rows)


def without_unread(circuit: Circuit, qubits: tuple[int, ...]) -> tuple[Circuit, tuple[int, ...]]:
    """Return the circuit on its active qubits and on `qubits`, and the places of `qubits` in it."""
    kept = tuple(sorted({*active_qubits(circuit), *qubits}))
    if len(kept) == circuit.n_qubits:
        return circuit, qubits
    place = {qubit: k for k, qubit in enumerate(kept)}
    return restricted(circuit, kept), tuple(place[qubit] for qubit in qubits)


def active_qubits(circuit: Circuit) -> tuple[int, ...]:
    """Return the qubits on which some operation acts, ascending; the first one where there is none."""
    return circuit.derived(
        "active qubits",
        lambda: tuple(sorted({qubit for op in circuit.operations for qubit in op.all_qubits})) or (0,),
    )


def restricted(circuit: Circuit, kept: tuple[int, ...]) -> Circuit:
    """Return the same operations on a register of the qubits `kept`, in their order; made once."""

    def make() -> Circuit:
        place = {qubit: k for k, qubit in enumerate(kept)}
        narrow = Circuit(len(kept))
        for op in circuit.operations:
            qubits, controls = (tuple(place[qubit] for qubit in group) for group in (op.qubits, op.controls))
            narrow.append(op.gate, qubits, controls=controls, angles=op.angles)
        return narrow

    return circuit.derived(f"on qubits {kept}", make)
