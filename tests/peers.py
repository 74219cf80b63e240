"""The same circuit in PennyLane and in Qiskit, by the shortest translation: judges that are nobody's code here.

Both run one bound sample, operation by operation. Qiskit's qubit order is the reverse of ours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane
from qiskit import QuantumCircuit, quantum_info
from qiskit.circuit import AnnotatedOperation, ControlModifier, library
from qiskit.circuit import Gate as QiskitGate

from circuits import Circuit, Observable, Operation
from circuits.gates import (
    U3,
    Channel,
    Fixed,
    Measure,
    PauliRotation,
    Phase,
    PostSelect,
    Reset,
    StatePreparation,
    Unitary,
    XXPlusYY,
)

PENNYLANE_FIXED = {
    "x": pennylane.X,
    "y": pennylane.Y,
    "z": pennylane.Z,
    "h": pennylane.Hadamard,
    "s": pennylane.S,
    "sdg": lambda wires: pennylane.adjoint(pennylane.S(wires)),
    "t": pennylane.T,
    "tdg": lambda wires: pennylane.adjoint(pennylane.T(wires)),
    "swap": pennylane.SWAP,
}
PENNYLANE_CHANNELS = {
    "amplitude_damping": pennylane.AmplitudeDamping,
    "phase_damping": pennylane.PhaseDamping,
    "bit_flip": pennylane.BitFlip,
    # PennyLane's p is the probability of one of X, Y, Z; ours mixes with the identity too.
    "depolarizing": lambda strength, wires: pennylane.DepolarizingChannel(0.75 * strength, wires),
}
QISKIT_FIXED = {
    "x": library.XGate,
    "y": library.YGate,
    "z": library.ZGate,
    "h": library.HGate,
    "s": library.SGate,
    "sdg": library.SdgGate,
    "t": library.TGate,
    "tdg": library.TdgGate,
    "swap": library.SwapGate,
}
QISKIT_ROTATIONS = {
    "X": library.RXGate,
    "Y": library.RYGate,
    "Z": library.RZGate,
    "XX": library.RXXGate,
    "YY": library.RYYGate,
    "ZZ": library.RZZGate,
    "ZX": library.RZXGate,
}


# --- PennyLane ------------------------------------------------------------------------------------------------------


def pennylane_expectation(
    circuit: Circuit, data: np.ndarray, weights: np.ndarray, observables: Sequence[Observable]
) -> np.ndarray:
    """Expectation values (B, M) by PennyLane: default.qubit, or default.mixed where there is noise."""
    noisy = any(operation.is_noise for operation in circuit.operations)
    # A spare wire for each measurement and reset: PennyLane defers them.
    spare = sum(operation.is_mid_circuit for operation in circuit.operations)
    device = pennylane.device("default.mixed" if noisy else "default.qubit", wires=circuit.n_qubits + spare)
    measured = [pennylane_observable(observable) for observable in observables]

    def run(bound: Circuit) -> Any:
        for operation in bound.operations:
            append_to_pennylane(operation)
        return [pennylane.expval(observable) for observable in measured]

    node = pennylane.QNode(run, device, interface=None, diff_method=None)
    rows = [[float(value) for value in node(circuit.bind(sample, weights))] for sample in data]
    return np.array(rows).reshape(len(data), len(observables))


def append_to_pennylane(operation: Operation) -> None:
    """Queue one bound operation."""
    gate, wires = operation.gate, list(operation.qubits)
    match gate:
        case StatePreparation():
            pennylane.StatePrep(gate.amplitudes.values, wires)
        case Reset():
            pennylane.measure(wires[0], reset=True)
        case Measure():
            pennylane.measure(wires[0])
        case PostSelect():
            pennylane.measure(wires[0], postselect=gate.value)
        # At strength 1 PennyLane adds the machine epsilon below a square root, which is off by 1e-8.
        case Channel(label=label) if label in PENNYLANE_CHANNELS and gate.n_qubits == 1 and gate.strength < 1:
            PENNYLANE_CHANNELS[label](gate.strength, wires)
        case Channel():
            pennylane.QubitChannel(list(gate.kraus.values), wires)
        case _ if operation.controls:
            pennylane.ctrl(pennylane_gate(operation), list(operation.controls))
        case _:
            pennylane_gate(operation)


def pennylane_gate(operation: Operation) -> Any:
    """One bound unitary gate, its controls left out."""
    gate, wires, angles = operation.gate, list(operation.qubits), operation.angles
    match gate:
        case PauliRotation():
            return pennylane.PauliRot(-2 * gate.factor * angles[0], gate.pauli, wires)
        case XXPlusYY():
            return pennylane.IsingXY(-gate.scale * angles[0], wires)
        case Phase():
            return pennylane.PhaseShift(*angles, wires)
        case U3():
            return pennylane.U3(*angles, wires)
        case Unitary():
            return pennylane.QubitUnitary(gate.matrix.values, wires)
        case Fixed():
            return PENNYLANE_FIXED[gate.name](wires)


def pennylane_observable(observable: Observable) -> Any:
    """The same sum of Pauli strings."""
    coefficients, words = [], []
    for coefficient, factors in observable.terms:
        letters = [getattr(pennylane, letter)(qubit) for qubit, letter in factors]
        coefficients.append(coefficient)
        words.append(pennylane.prod(*letters) if len(letters) > 1 else (letters or [pennylane.Identity(0)])[0])
    return pennylane.dot(coefficients, words) if words else 0.0 * pennylane.Identity(0)


# --- Qiskit ---------------------------------------------------------------------------------------------------------


def qiskit_expectation(
    circuit: Circuit, data: np.ndarray, weights: np.ndarray, observables: Sequence[Observable]
) -> np.ndarray:
    """Expectation values (B, M) by Qiskit's Statevector, or its DensityMatrix where the state may be mixed."""
    measured = [qiskit_observable(observable, circuit.n_qubits) for observable in observables]
    rows = []
    for sample in data:
        state = qiskit_state(circuit.bind(sample, weights))
        rows.append([state.expectation_value(observable).real for observable in measured])
    return np.array(rows).reshape(len(data), len(observables))


def qiskit_state(bound: Circuit) -> Any:
    """The final state of a bound circuit, renormalised, in Qiskit's qubit order."""
    pure = all(isinstance(op.gate, PostSelect) or op.is_unitary or op.is_preparation for op in bound.operations)
    kind = quantum_info.Statevector if pure else quantum_info.DensityMatrix
    state = kind.from_int(0, 2**bound.n_qubits)
    for operation in bound.operations:
        places = [bound.n_qubits - 1 - qubit for qubit in operation.qubits]
        state = evolved(state, operation, places, [bound.n_qubits - 1 - qubit for qubit in operation.controls])
    return state / (np.linalg.norm(state.data) if pure else state.trace())


def evolved(state: Any, operation: Operation, places: list[int], controls: list[int]) -> Any:
    """The state after one bound operation. Qiskit reads the first qubit of a matrix as the least significant."""
    gate = operation.gate
    zero, one = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    match gate:
        case StatePreparation():
            preparation = library.StatePreparation(gate.amplitudes.values)
            return state.evolve(quantum_info.Operator(preparation), places[::-1])
        case Reset():
            return state.reset(places)
        case Measure():
            return state.evolve(quantum_info.Kraus([zero, one]), places)
        case PostSelect():
            return state.evolve(quantum_info.Operator(one if gate.value else zero), places)
        case Channel():
            return state.evolve(quantum_info.Kraus(list(gate.kraus.values)), places[::-1])
        case _:
            return state.evolve(qiskit_operator(operation), controls + places)


def qiskit_operator(operation: Operation) -> quantum_info.Operator:
    """One bound unitary gate on its controls and then its qubits."""
    gate, count = qiskit_gate(operation), len(operation.controls)
    # `gate.control(count)` would be synthesised anew each time, which takes a hundred times longer.
    return quantum_info.Operator(AnnotatedOperation(gate, ControlModifier(count)) if count else gate)


def qiskit_gate(operation: Operation) -> QiskitGate:  # noqa: PLR0911 - one return a kind of gate
    """One bound unitary gate, its controls left out; a longer string than Qiskit names is a PauliEvolutionGate."""
    gate, angles = operation.gate, operation.angles
    match gate:
        case PauliRotation() if gate.pauli in QISKIT_ROTATIONS:
            return QISKIT_ROTATIONS[gate.pauli](-2 * gate.factor * angles[0])
        case PauliRotation():
            evolution = library.PauliEvolutionGate(quantum_info.Pauli(gate.pauli[::-1]), -gate.factor * angles[0])
            return evolution.definition.to_gate()
        case XXPlusYY():
            return library.XXPlusYYGate(gate.scale * angles[0])
        case Phase():
            return library.PhaseGate(*angles)
        case U3():
            return library.UGate(*angles)
        case Unitary():
            return _with_first_qubit_most_significant(gate.matrix.values)
        case Fixed():
            return QISKIT_FIXED[gate.name]()


def _with_first_qubit_most_significant(matrix: np.ndarray) -> QiskitGate:
    """A matrix as a Qiskit gate that takes its qubits in our order."""
    count = len(matrix).bit_length() - 1
    circuit = QuantumCircuit(count)
    circuit.unitary(matrix, list(range(count))[::-1])
    return circuit.to_gate()


def qiskit_observable(observable: Observable, n_qubits: int) -> quantum_info.SparsePauliOp:
    """The same sum of Pauli strings."""
    terms = [
        ("".join(letter for _, letter in factors), [n_qubits - 1 - qubit for qubit, _ in factors], coefficient)
        for coefficient, factors in observable.terms
    ]
    return quantum_info.SparsePauliOp.from_sparse_list(terms or [("", [], 0.0)], n_qubits)
