"""Pauli propagation elsewhere: Qiskit's pauli-prop, and TenCirPauli. Neither truncates here.

RZZ(-pi/2) is written as S^dagger, S^dagger and CZ, which both take as Clifford gates: it makes no strings.
"""

import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from circuits import Circuit, Slot
from qml.bench.bench import Step

MAX_TERMS = 10**6  # strings that pauli-prop makes room for; it drops the smallest beyond, and says how much

Strings = Sequence[Sequence[tuple[int, str]]]


def pauli_prop(circuit: Circuit, strings: Strings, angle: float) -> Step:
    """Build a step of Qiskit's pauli-prop: the value alone, as it has no gradients.

    Its documentation's quicker way: Clifford gates are folded into the rotations once, in the first call, and later
    calls propagate through the rotations alone. Where more than `MAX_TERMS` strings come up it drops the smallest.
    """
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp

    library: Any = importlib.import_module("pauli_prop")
    written = QuantumCircuit(circuit.n_qubits)
    for gate in clifford_form(circuit):
        getattr(written, gate.name)(*(() if gate.slot is None else (angle,)), *gate.qubits)
    observable = SparsePauliOp([_letters(string, circuit.n_qubits)[::-1] for string in strings])
    clifford, rest = library.evolve_through_cliffords(written)
    rotations = library.circuit_to_rotation_gates(rest)

    def step() -> dict[str, Any]:
        moved, _ = library.propagate_through_rotation_gates(observable, rotations, MAX_TERMS, 0.0, "h")
        read = moved.paulis.evolve(clifford, frame="h")
        signs = np.where(read.phase == 0, 1.0, -1.0) * ~read.x.any(axis=1)
        return {"value": np.float64((moved.coeffs.real * signs).sum())}

    return step


def tencirpauli(circuit: Circuit, strings: Strings, angle: float) -> Step:
    """Build a step of TenCirPauli: the value and all derivatives, of a circuit that is written anew for its angles."""
    library: Any = importlib.import_module("tencirpauli")
    observable = library.PauliOperator.from_strings([(_letters(string, circuit.n_qubits), 1.0) for string in strings])
    gates = list(clifford_form(circuit))
    slots = np.array([gate.slot for gate in gates if gate.slot is not None])

    def step() -> dict[str, Any]:
        written = library.PropagationCircuit(circuit.n_qubits)
        for gate in gates:
            getattr(written, gate.name)(*gate.qubits, **({} if gate.slot is None else {"theta": angle}))
        found = written.value_and_grad(observable)
        gradient = np.zeros(circuit.n_weights)
        np.add.at(gradient, slots, found.angle_gradient)
        return {"value": np.float64(found.value), "gradient": gradient}

    return step


class PeerGate(NamedTuple):
    """A gate with its qubits, and its weight where it has one."""

    name: str
    qubits: tuple[int, ...]
    slot: int | None


def clifford_form(circuit: Circuit) -> Iterator[PeerGate]:
    """Yield the gates, RZZ(-pi/2) as S^dagger, S^dagger and CZ.

    Raises:
        ValueError: another gate has a constant angle.
    """
    for operation in circuit.operations:
        (angle,) = operation.angles or (None,)
        if isinstance(angle, Slot):
            yield PeerGate(operation.name, operation.all_qubits, angle.index)
        elif angle is None:
            yield PeerGate(operation.name, operation.all_qubits, None)
        elif operation.name == "rzz" and math.isclose(angle, -math.pi / 2):
            yield from (PeerGate("sdg", (qubit,), None) for qubit in operation.all_qubits)
            yield PeerGate("cz", operation.all_qubits, None)
        else:
            raise ValueError(f"Gates of constant angle must be RZZ(-pi/2), but one is {operation}.")


def _letters(string: Sequence[tuple[int, str]], n_qubits: int) -> str:
    letters = ["I"] * n_qubits
    for qubit, letter in string:
        letters[qubit] = letter
    return "".join(letters)
