"""What the methods and attributes of circuits in PennyLane and Qiskit are called here."""

from collections.abc import Iterable

from circuits.lazy import suggestion

# Other packages' names in lower case, and what to write here.
OTHER_NAMES = {
    "cnot": "cx(control, target)",
    "toffoli": "x(target, controls=(first, second))",
    "ccx": "x(target, controls=(first, second))",
    "ccz": "z(target, controls=(first, second))",
    "ch": "h(target, controls=control)",
    "crx": "rx(angle, target, controls=control)",
    "cry": "ry(angle, target, controls=control)",
    "crz": "rz(angle, target, controls=control)",
    "cp": "p(angle, target, controls=control)",
    "cswap": "swap(first, second, controls=control)",
    "hadamard": "h(qubit)",
    "paulix": "x(qubit)",
    "pauliy": "y(qubit)",
    "pauliz": "z(qubit)",
    "phaseshift": "p(angle, qubit)",
    "u": "u3(theta, phi, lam, qubit)",
    "isingxx": "rxx(angle, first, second)",
    "isingyy": "ryy(angle, first, second)",
    "isingzz": "rzz(angle, first, second)",
    "qubitunitary": "unitary(matrix, qubits)",
    "initialize": "prepare(amplitudes, qubits)",
    "num_qubits": "n_qubits",
    "n_wires": "n_qubits",
}
OTHER_WAYS = {
    "barrier": "Leave it out: gates that do not commute keep their order.",
    "id": "Leave it out: a qubit without a gate keeps its state.",
    "measure_all": "Leave it out: backend.sample(...) and backend.probabilities(...) read all qubits.",
    "parameters": "A circuit has numbered slots: circuit.n_data and circuit.n_weights count them.",
    "num_parameters": "A circuit has numbered slots: circuit.n_data and circuit.n_weights count them.",
    "assign_parameters": "Angles come when it runs: backend.expectation(circuit, data, weights, observables).",
    "depth": "Write qml.analysis.resources(circuit).depth.",
    "qasm": "Write circuits.to_openqasm(circuit).",
    "expval": "Write backend.expectation(circuit, data, weights, observables).",
}


def advice(name: str, known: Iterable[str]) -> str:
    """Return a sentence on what to write in the place of an unknown name, with a space in front; empty if unknown."""
    lower = name.lower()
    if lower in OTHER_NAMES:
        return f" Write {OTHER_NAMES[lower]}."
    if lower in OTHER_WAYS:
        return f" {OTHER_WAYS[lower]}"
    return suggestion(lower, (one for one in known if not one.startswith("_")))
