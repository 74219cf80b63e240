"""A Qiskit circuit with conditions, run branch by branch: state vectors of Qiskit's, and no code of this project."""

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, library
from qiskit.circuit.classical import expr
from qiskit.quantum_info import Statevector

Branch = tuple[np.ndarray, dict[Clbit, int]]  # a state, unnormalised, and the bits that were read


def distribution(circuit: QuantumCircuit) -> np.ndarray:
    """The probabilities of the qubits' basis states at the end, qubit 0 the most significant: (2**n,)."""
    n = circuit.num_qubits
    total = sum(np.abs(state) ** 2 for state, _ in branches(circuit))
    return np.asarray(total).reshape((2,) * n).transpose().reshape(-1)


def bit_distribution(circuit: QuantumCircuit) -> dict[str, float]:
    """The probabilities of the classical bits at the end, the first bit first."""
    result: dict[str, float] = {}
    for state, bits in branches(circuit):
        key = "".join(str(bits[bit]) for bit in circuit.clbits)
        result[key] = result.get(key, 0.0) + float(np.linalg.norm(state) ** 2)
    return result


def branches(circuit: QuantumCircuit) -> list[Branch]:
    start = np.zeros(2**circuit.num_qubits, dtype=complex)
    start[0] = np.exp(1j * float(circuit.global_phase))
    places = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    bits = {bit: bit for bit in circuit.clbits}
    return _run(circuit, [(start, dict.fromkeys(circuit.clbits, 0))], places, bits)


def _run(circuit: QuantumCircuit, live: list[Branch], places: dict[Any, int], bits: dict[Any, Clbit]) -> list[Branch]:
    for item in circuit.data:
        qubits = [places[qubit] for qubit in item.qubits]
        read = [bits[bit] for bit in item.clbits]
        live = [after for branch in live for after in _step(item.operation, qubits, read, branch)]
        live = [branch for branch in live if np.linalg.norm(branch[0]) > 1e-12]
    return live


def _step(op: Any, qubits: list[int], bits: list[Clbit], branch: Branch) -> list[Branch]:
    state, values = branch
    if op.name in ("barrier", "delay"):
        return [branch]
    if op.name in ("measure", "reset"):
        result = []
        for value in (0, 1):
            mask = (np.arange(len(state)) >> qubits[0] & 1) == value
            projected = np.where(mask, state, 0)
            if op.name == "measure":
                result.append((projected, {**values, bits[0]: value}))
            else:
                result.append((_applied(library.XGate(), projected, qubits) if value else projected, values))
        return result
    if op.name == "if_else":
        chosen = op.blocks[0] if _holds(op.condition, values) else (*op.blocks[1:], None)[0]
        if chosen is None:
            return [branch]
        inner = dict(zip(chosen.clbits, bits, strict=True))
        return _run(chosen, [branch], dict(zip(chosen.qubits, qubits, strict=True)), inner)
    return [(_applied(op, state, qubits), values)]


def _applied(op: Any, state: np.ndarray, qubits: list[int]) -> np.ndarray:
    return Statevector(state).evolve(op, qubits).data


def _holds(condition: Any, values: dict[Clbit, int]) -> bool:
    if isinstance(condition, expr.Binary):
        left, right = (_holds(part, values) for part in (condition.left, condition.right))
        known = {expr.Binary.Op.EQUAL: left == right, expr.Binary.Op.BIT_XOR: left != right}
        return known[condition.op]
    if isinstance(condition, expr.Var):
        return bool(values[condition.var])
    if isinstance(condition, expr.Value):
        return bool(condition.value)
    target, wanted = condition
    if isinstance(target, Clbit):
        return values[target] == wanted
    return sum(values[bit] << place for place, bit in enumerate(target)) == wanted
