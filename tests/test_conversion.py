"""Circuits to and from Qiskit and PennyLane, judged by the SDKs' own matrices and by the NumPy oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane
import pytest
import torch
from hypothesis import given
from qiskit import ClassicalRegister, QuantumCircuit, quantum_info
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    InverseModifier,
    Parameter,
    ParameterVector,
    PowerModifier,
    library,
)

from circuits import Circuit, Observable, X, Y, Z, channels, data, gates, weight
from qml.backends.convert.pennylane import from_pennylane, to_pennylane
from qml.backends.convert.qiskit import computed_from_qiskit, from_qiskit, reverse_qubits, to_qiskit
from tests import oracle, strategies
from tests.helpers import assert_close
from tests.strategies import examples

# Qiskit's own matrix of a PauliEvolutionGate goes through scipy in a form that scipy warns about.
pytestmark = pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")

ALGEBRA = 1e-12  # products of a few matrices in float64
SYNTHESIS = 1e-9  # where an SDK decomposes a gate by its own, longer, arithmetic
UNITARIES = strategies.recipes(preparations=(), max_qubits=4, max_steps=6)


def values_of(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    return random.normal(size=circuit.n_data), random.normal(size=circuit.n_weights)


def bound(circuit: QuantumCircuit, samples: np.ndarray, weights: np.ndarray) -> QuantumCircuit:
    values = {"data": samples, "weight": weights}
    return circuit.assign_parameters({item: values[item.vector.name][item.index] for item in circuit.parameters})


def qiskit_unitary(circuit: QuantumCircuit) -> np.ndarray:
    matrix = quantum_info.Operator(circuit).data
    return reverse_qubits(reverse_qubits(matrix, axis=0), axis=1)


def qiskit_density(circuit: QuantumCircuit) -> np.ndarray:
    density = quantum_info.DensityMatrix(circuit).data
    return reverse_qubits(reverse_qubits(density, axis=0), axis=1)


def asymmetric() -> Circuit:
    """Every kind of unitary gate, on an odd number of qubits, upward and downward."""
    matrix = np.linalg.qr(np.arange(16).reshape(4, 4) + 1j * np.eye(4) * 7)[0]
    circuit = Circuit(3).h(0).ry(data(0), 1).cx(2, 0).rzx(weight(0), 2, 1).exp_pauli(weight(1), "YX", (2, 0))
    circuit.u3(0.3, data(1), weight(0), 2, controls=(0,)).unitary(matrix, (2, 0), label="M").p(data(1), 1)
    circuit.unitary(matrix, (0, 1), controls=2).swap(0, 2, controls=1).rxx(0.4, 1, 0, controls=2)
    circuit.pauli_rotation(data(0), "XYZ", (2, 0, 1)).exp_pauli(weight(0), "II", (0, 2)).s(0).tdg(1).sdg(2)
    return circuit.exp_pauli(data(0), "I", 0, controls=(1, 2)).pauli_rotation(weight(1), "ZIX", (1, 0, 2))


# --- qubit order --------------------------------------------------------------------------------------------


def test_reverse_qubits_turns_the_bits_of_an_index_around() -> None:
    assert reverse_qubits(np.arange(8)).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    table = np.arange(12).reshape(4, 3)
    assert reverse_qubits(table, axis=0).tolist() == table[[0, 2, 1, 3]].tolist()
    assert reverse_qubits(np.ones(1)).tolist() == [1.0]


def test_reverse_qubits_refuses_a_length_that_is_no_power_of_two() -> None:
    with pytest.raises(ValueError, match=r"`values` must have 2\*\*n entries along axis -1, but has 6"):
        reverse_qubits(np.ones(6))


def test_our_qubit_k_is_qiskits_qubit_k() -> None:
    circuit = to_qiskit(Circuit(3).x(0).cx(0, 2))
    assert [[circuit.find_bit(qubit).index for qubit in item.qubits] for item in circuit] == [[0], [0, 2]]
    ours = oracle.state_of(Circuit(3).x(0))
    assert np.argmax(abs(ours)) == 0b100
    assert np.argmax(abs(quantum_info.Statevector(to_qiskit(Circuit(3).x(0))).data)) == 0b001


# --- unitary circuits ---------------------------------------------------------------------------------------


def check_qiskit(circuit: Circuit) -> None:
    samples, weights = values_of(circuit)
    expected = oracle.unitary_of(circuit, samples, weights)
    converted = to_qiskit(circuit)
    assert_close(qiskit_unitary(bound(converted, samples, weights)), expected, SYNTHESIS)
    back = from_qiskit(converted)
    assert (back.n_data, back.n_weights) == (circuit.n_data, circuit.n_weights)
    assert_close(oracle.unitary_of(back, samples, weights), expected, ALGEBRA * 10)


def check_pennylane(circuit: Circuit) -> None:
    samples, weights = values_of(circuit)
    expected = oracle.unitary_of(circuit, samples, weights)
    function = to_pennylane(circuit)
    if len(circuit):
        matrix = pennylane.matrix(function, wire_order=range(circuit.n_qubits))(samples, weights)
        assert_close(matrix, expected, SYNTHESIS)
    back = from_pennylane(function, n_data=len(samples), n_weights=len(weights), wires=range(circuit.n_qubits))
    assert (back.n_data, back.n_weights) == (circuit.n_data, circuit.n_weights)
    assert_close(oracle.unitary_of(back, samples, weights), expected, ALGEBRA * 10)


CHECKS = {"qiskit": check_qiskit, "pennylane": check_pennylane}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_gate_keeps_its_unitary_there_and_back(check: Callable[[Circuit], None]) -> None:
    check(asymmetric())


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_empty_circuit_stays_the_identity(check: Callable[[Circuit], None]) -> None:
    check(Circuit(2))


@examples(80)
@given(UNITARIES)
def test_random_circuits_keep_their_unitary_in_qiskit(recipe: strategies.Recipe) -> None:
    check_qiskit(strategies.build(recipe).circuit)


@examples(80)
@given(UNITARIES)
def test_random_circuits_keep_their_unitary_in_pennylane(recipe: strategies.Recipe) -> None:
    check_pennylane(strategies.build(recipe).circuit)


def test_a_round_trip_through_qiskit_keeps_operations_and_slots() -> None:
    circuit = Circuit(3).rx(data(0), 0).exp_pauli(weight(0), "ZX", (2, 0)).exp_pauli(weight(1), "XYZ", (0, 2, 1))
    circuit.u3(data(1), 0.2, weight(0), 1, controls=(2, 0)).cx(2, 1).reset(0).measure(1).post_select(2, 1)
    assert from_qiskit(to_qiskit(circuit)).operations == circuit.operations


def test_a_round_trip_through_pennylane_keeps_operations_and_slots() -> None:
    circuit = Circuit(3).rx(data(0), 0).exp_pauli(weight(0), "ZX", (2, 0)).exp_pauli(weight(1), "XYZ", (0, 2, 1))
    circuit.u3(data(1), 0.2, weight(0), 1, controls=(2, 0)).cx(2, 1).reset(0).measure(1).post_select(2, 1)
    assert from_pennylane(to_pennylane(circuit), n_data=2, n_weights=2).operations == circuit.operations


# --- what is not unitary ------------------------------------------------------------------------------------


def noisy() -> Circuit:
    circuit = Circuit(3).prepare([0.6, 0.0, 0.0, 0.8j], (2, 0)).ry(0.3, 1).cx(0, 1).reset(0).h(0).measure(2)
    two = channels.depolarizing(0.2, n_qubits=2)
    circuit.noise(channels.amplitude_damping(0.3), 1).noise(two, (2, 1)).ry(0.7, 2)
    uneven = strategies.random_kraus(4, 2, np.random.default_rng(0))
    return circuit.kraus(uneven, (0, 2)).cx(2, 1)


def test_noise_reset_measurement_and_amplitudes_survive_in_qiskit() -> None:
    expected = oracle.density_of(noisy())
    converted = to_qiskit(noisy())
    assert_close(oracle.density_of(from_qiskit(converted)), expected, ALGEBRA)
    # Qiskit's DensityMatrix cannot measure: the same without it, judged by Qiskit.
    silent = QuantumCircuit(*converted.qregs)
    for item in converted:
        is_measured = item.operation.name == "measure"
        silent.append(dephasing() if is_measured else item.operation, item.qubits)
    assert_close(qiskit_density(silent), expected, SYNTHESIS)


def dephasing() -> Any:
    return quantum_info.Kraus([np.diag([1, 0]), np.diag([0, 1])]).to_instruction()


def test_noise_reset_measurement_and_amplitudes_survive_in_pennylane() -> None:
    expected = oracle.density_of(noisy())
    assert_close(oracle.density_of(from_pennylane(to_pennylane(noisy()))), expected, ALGEBRA)

    @pennylane.qnode(pennylane.device("default.mixed", wires=6))
    def node() -> Any:
        to_pennylane(noisy())()
        return pennylane.density_matrix([0, 1, 2])

    assert_close(node(), expected, SYNTHESIS)


def test_amplitudes_on_the_later_qubits_come_out_right_in_qiskit() -> None:
    circuit = Circuit(3).x(0).prepare([0.6, 0.0, 0.48, 0.64], (2, 1))
    assert_close(reverse_qubits(quantum_info.Statevector(to_qiskit(circuit)).data), oracle.state_of(circuit), SYNTHESIS)


def test_post_selection_in_qiskit_is_a_register_whose_values_stand_in_the_metadata() -> None:
    circuit = Circuit(2).h(0).cx(0, 1).post_select(1, 1).measure(0).post_select(0, 0)
    converted = to_qiskit(circuit)
    assert converted.metadata == {"post_select": [1, 0]}
    assert [(register.name, register.size) for register in converted.cregs] == [
        ("measured", 1),
        ("post_select", 2),
    ]
    assert from_qiskit(converted).operations == circuit.operations


def test_a_register_called_post_select_without_metadata_is_measured() -> None:
    converted = QuantumCircuit(1)
    register = ClassicalRegister(1, "post_select")
    converted.add_register(register)
    converted.measure(0, register[0])
    assert from_qiskit(converted).operations == Circuit(1).measure(0).operations


def test_post_selection_in_pennylane_renormalises() -> None:
    circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(0.4, 1).post_select(1, 1)

    @pennylane.qnode(pennylane.device("default.qubit"))
    def node(sample: Any) -> Any:
        to_pennylane(circuit)(sample)
        return pennylane.expval(pennylane.Z(0))

    expected = oracle.expectation(circuit, [[0.9]], [], [Z(0)])
    assert_close(node(np.array([0.9])), expected[0, 0], SYNTHESIS)


def test_pennylane_gives_its_measurements_bit_by_bit() -> None:
    circuit = Circuit(2).x(0).measure(0, bit=1).measure(1, bit=0)

    @pennylane.qnode(pennylane.device("default.qubit"))
    def node() -> Any:
        first, second = to_pennylane(circuit)()
        return pennylane.expval(first), pennylane.expval(second)

    assert np.allclose(node(), [0.0, 1.0])


# --- inside PennyLane ---------------------------------------------------------------------------------------


def letters_of(observable: Observable) -> Any:
    (_, factors), *_ = observable.terms
    return pennylane.prod(*(getattr(pennylane, letter)(qubit) for qubit, letter in factors))


def test_a_batch_as_large_as_the_features_is_not_mistaken_for_them() -> None:
    circuit = Circuit(3).ry(data(0), 0).rx(data(1), 1).cx(0, 1).rz(data(2), 1).ry(weight(0), 2).cx(2, 1)
    observables = [X(1) @ Z(0), Y(1)]

    @pennylane.qnode(pennylane.device("default.qubit"))
    def node(samples: Any, weights: Any) -> Any:
        to_pennylane(circuit)(samples, weights)
        return [pennylane.expval(letters_of(observable)) for observable in observables]

    samples, weights = np.random.default_rng(3).normal(size=(3, 3)), np.array([0.4])
    expected = oracle.expectation(circuit, samples, weights, observables)
    assert_close(np.stack(node(samples, weights), axis=-1), expected, SYNTHESIS)


def test_gradients_flow_from_pennylane_to_torch() -> None:
    function = to_pennylane(Circuit(1).ry(data(0), 0).exp_pauli(weight(0), "Y", 0))

    @pennylane.qnode(pennylane.device("default.qubit"), interface="torch")
    def node(samples: Any, weights: Any) -> Any:
        function(samples, weights)
        return pennylane.expval(pennylane.Z(0))

    samples = torch.tensor([[0.3], [0.5]], dtype=torch.float64)
    weights = torch.tensor([0.2], dtype=torch.float64, requires_grad=True)
    node(samples, weights).sum().backward()
    # <Z> = cos(x - 2 w), so that its derivative in w is 2 sin(x - 2 w).
    assert_close(weights.grad, [2 * float(np.sin(-0.1) + np.sin(0.1))], ALGEBRA)


@pytest.mark.parametrize("is_complex", [False, True])
def test_amplitudes_from_slots_are_batched_in_pennylane(is_complex: bool) -> None:
    n_slots = 8 if is_complex else 4
    circuit = Circuit(3).ry(0.3, 1).prepare_slots([data(k) for k in range(n_slots)], (2, 0)).cx(0, 1)
    samples = np.random.default_rng(5).normal(size=(2, n_slots))
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)

    @pennylane.qnode(pennylane.device("default.qubit"))
    def node(values: Any) -> Any:
        to_pennylane(circuit)(values)
        return pennylane.expval(pennylane.Y(1) @ pennylane.Z(0) @ pennylane.X(2))

    expected = oracle.expectation(circuit, samples, [], [Y(1) @ Z(0) @ X(2)])
    assert_close(node(samples), expected[:, 0], SYNTHESIS)


def test_amplitudes_come_first_as_devices_want_it() -> None:
    tape = pennylane.tape.make_qscript(to_pennylane(Circuit(2).x(0).prepare([0.6, 0.8], 1)))()
    assert [op.name for op in tape.operations] == ["StatePrep", "PauliX"]


def test_wires_may_have_names() -> None:
    tape = pennylane.tape.make_qscript(to_pennylane(Circuit(2).cx(1, 0), wires=["a", "b"]))()
    assert tape.operations[0].wires.tolist() == ["b", "a"]
    assert from_pennylane(tape, wires=["a", "b"]) == Circuit(2).cx(1, 0)
    assert from_pennylane(tape) == Circuit(2).cx(0, 1)  # in the order of their use


# --- circuits of others, from Qiskit ------------------------------------------------------------------------


def foreign_gates() -> dict[str, tuple[Any, int]]:
    inner = QuantumCircuit(2, global_phase=0.3, name="inner")
    inner.h(0)
    inner.cry(0.4, 1, 0)
    evolution = library.PauliEvolutionGate(quantum_info.SparsePauliOp(["XX", "ZZ", "II"], [0.3, -0.7, 0.2]), 0.5)
    listed = [
        library.SXGate(),
        library.SXdgGate(),
        library.iSwapGate(),
        library.ECRGate(),
        library.DCXGate(),
        library.U1Gate(0.3),
        library.U2Gate(0.3, 0.4),
        library.U3Gate(0.3, 0.4, 0.5),
        library.RGate(0.3, 0.4),
        library.CUGate(0.1, 0.2, 0.3, 0.4),
        library.CUGate(0.1, 0.2, 0.3, 0.4, ctrl_state=0),
        library.CUGate(0.1, 0.2, 0.3, 0.4).control(1, annotated=False),
        library.CSXGate(),
        library.C4XGate(),
        library.RCCXGate(),
        library.MCXGate(3, ctrl_state="010"),
        library.RYGate(0.3).control(2, ctrl_state=1, annotated=False),
        library.CU3Gate(1, 2, 3),
        library.XXPlusYYGate(0.3, 0.2),
        library.GlobalPhaseGate(0.3),
        library.PauliGate("XYZ"),
        library.CCZGate(),
        library.PermutationGate([2, 0, 1]),
        library.DiagonalGate([1, -1, 1j, 1]),
        library.MCPhaseGate(0.3, 2),
        inner.to_gate(),
        inner.to_gate().control(1, annotated=False),
        inner.to_gate().inverse(),
        evolution,
        evolution.control(1, annotated=False),
        library.PauliEvolutionGate(quantum_info.Pauli("XYZ"), 0.3).control(2, annotated=False),
        AnnotatedOperation(library.RZXGate(0.3), [InverseModifier(), ControlModifier(1, 0)]),
        AnnotatedOperation(library.SGate(), [ControlModifier(1, 1), InverseModifier(), ControlModifier(1, 0)]),
        library.UnitaryGate(np.diag([1, 1j])).control(1, annotated=False),
        library.QFTGate(3),
        library.RXGate(0.3).power(0.5),
        library.XGate().repeat(3),
        library.StatePreparation([0.6, 0.8]).inverse(),
        library.CSwapGate(ctrl_state=0),
    ]
    return {f"{place}-{gate.name}": (gate, gate.num_qubits) for place, gate in enumerate(listed)}


@pytest.mark.parametrize("name", foreign_gates())
def test_a_gate_of_qiskit_keeps_its_unitary(name: str) -> None:
    gate, n_qubits = foreign_gates()[name]
    circuit = QuantumCircuit(max(n_qubits, 1) + 1)
    circuit.append(gate, [n_qubits - k for k in range(n_qubits)])  # downwards, and not from 0
    assert_close(oracle.unitary_of(from_qiskit(circuit)), qiskit_unitary(circuit), SYNTHESIS)


# Made in the test: to make one is deprecated in Qiskit, and pytest turns the warning into an error.
WITH_ANCILLAS: dict[str, Callable[[], Any]] = {
    "v-chain": lambda: library.MCXVChain(3),
    "dirty ancillas": lambda: library.MCXVChain(4, dirty_ancillas=True),
    "relative phase": lambda: library.MCXVChain(4, dirty_ancillas=True, relative_phase=True),
    "open controls": lambda: library.MCXVChain(3, ctrl_state="010"),
    "recursive": lambda: library.MCXRecursive(5),
    "recursive without ancillas": lambda: library.MCXRecursive(4),
    "controlled": lambda: library.MCXVChain(3).control(1, annotated=False),
    "annotated": lambda: AnnotatedOperation(library.MCXVChain(3), [InverseModifier(), ControlModifier(1, 0)]),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", WITH_ANCILLAS)
def test_ancillas_behind_the_target_of_a_qiskit_gate_are_not_its_target(name: str) -> None:
    gate = WITH_ANCILLAS[name]()
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, list(reversed(range(gate.num_qubits))))
    assert_close(oracle.unitary_of(from_qiskit(circuit)), qiskit_unitary(circuit), SYNTHESIS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_chain_of_qiskit_flips_its_target_and_leaves_its_ancillas() -> None:
    circuit = QuantumCircuit(6)
    circuit.x([0, 1, 2])
    circuit.mcx([0, 1, 2], 3, ancilla_qubits=[4], mode="v-chain")
    assert_close(np.abs(oracle.state_of(from_qiskit(circuit))[0b111100]), 1.0, SYNTHESIS)


def test_own_parameters_become_weights_in_order_and_data_where_asked() -> None:
    circuit = QuantumCircuit(2)
    late, early, vector = Parameter("z"), Parameter("b"), ParameterVector("x", 11)
    circuit.rx(late, 0)
    circuit.ry(early, 1)
    for item in vector:
        circuit.rz(item, 0)
    assert from_qiskit(circuit).operations[0].angles == (weight(12),)
    chosen = from_qiskit(circuit, data=[vector, "z"])
    assert (chosen.n_data, chosen.n_weights) == (12, 1)
    assert [op.angles[0] for op in chosen] == [data(11), weight(0), *(data(k) for k in range(11))]


def test_our_vectors_keep_their_numbers_and_others_follow() -> None:
    weights, other = ParameterVector("weight", 2), Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.rx(other, 0)
    circuit.ry(weights[1], 0)
    circuit.rz(weights[0], 0)
    assert [op.angles[0] for op in from_qiskit(circuit)] == [weight(2), weight(1), weight(0)]


def test_angles_linear_in_the_parameters_are_held_exactly() -> None:
    first, second = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2, global_phase=first / 3)
    circuit.rx(2 * first - second / 4 + 0.3, 0)
    circuit.cp(-first + 0.1, 0, 1)
    circuit.u(first, 2 * second, 0.1 - first, 1)
    circuit.append(library.PauliEvolutionGate(quantum_info.Pauli("XZ"), 3 * first), [1, 0])
    values = {first: 0.7, second: -1.1}
    expected = qiskit_unitary(circuit.assign_parameters(values))
    assert_close(oracle.unitary_of(from_qiskit(circuit), [], [0.7, -1.1]), expected, SYNTHESIS)


def test_vectors_of_the_user_are_used() -> None:
    vectors = ParameterVector("mine", 3), ParameterVector("trained", 1)
    converted = to_qiskit(Circuit(1).rx(data(1), 0).ry(data(0), 0), parameters=vectors)
    assert set(converted.parameters) == {vectors[0][0], vectors[0][1]}
    with pytest.raises(ValueError, match=r"at least \(0, 2\) elements, but holds \(3, 1\)"):
        to_qiskit(Circuit(1).rx(weight(1), 0).rx(weight(0), 0), parameters=vectors)


def test_initialize_on_used_qubits_resets_them() -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.initialize([0.6, 0.8j], 0)
    assert_close(oracle.density_of(from_qiskit(circuit)), qiskit_density(circuit), SYNTHESIS)


def test_initialize_by_label_and_barriers_are_read() -> None:
    circuit = QuantumCircuit(3)
    circuit.barrier()
    circuit.initialize("+1", [2, 0])
    circuit.id(1)
    assert_close(oracle.density_of(from_qiskit(circuit)), qiskit_density(circuit), SYNTHESIS)


def composite(n_qubits: int, *, phase: float = 0.0) -> Any:
    return QuantumCircuit(n_qubits, global_phase=phase).to_gate()


def empty_gates() -> dict[str, Any]:
    """Gates of Qiskit that are an identity, or nothing but a phase."""
    zero = quantum_info.SparsePauliOp(["XX"], [0.0])
    return {
        "empty": composite(2),
        "controlled empty": composite(1).control(2, annotated=False, ctrl_state=1),
        "phase": composite(1, phase=0.4),
        "inverse phase": composite(1, phase=0.4).inverse(),
        "controlled phase": composite(1, phase=0.4).control(1, annotated=False),
        "annotated phase": composite(1, phase=0.4).control(1, annotated=True, ctrl_state=0),
        "twice controlled phase": composite(1, phase=0.4).control(1, annotated=False).control(1, annotated=False),
        "phase of no qubits": composite(0, phase=0.4),
        "controlled global phase": library.GlobalPhaseGate(0.4).control(2, annotated=False, ctrl_state=2),
        "annotated global phase": AnnotatedOperation(
            library.GlobalPhaseGate(0.4), [InverseModifier(), ControlModifier(2, 1)]
        ),
        "matrix of no qubits": library.UnitaryGate(np.array([[1j]])),
        "controlled matrix": library.UnitaryGate(1j * np.eye(2)).control(1, annotated=False),
        "permutation": library.PermutationGate([0, 1]),
        "id": library.IGate().control(1, annotated=False),
        "evolution of nothing": library.PauliEvolutionGate(zero, 0.3),
        "evolution of 1": library.PauliEvolutionGate(quantum_info.Pauli("I"), 0.3).control(1, annotated=False),
        "no Paulis": library.PauliGate("II"),
        "power 0": AnnotatedOperation(library.SXGate(), PowerModifier(0)),
        "power 2": AnnotatedOperation(library.XGate(), PowerModifier(2)),
        "power 3": AnnotatedOperation(library.RXGate(0.3), PowerModifier(3)),
        "controlled power": AnnotatedOperation(library.SXGate(), [PowerModifier(-3), ControlModifier(1, 0)]),
        "power of controlled": AnnotatedOperation(composite(1, phase=0.4), [ControlModifier(1, 1), PowerModifier(2)]),
        "exclusive or with 0": library.BitwiseXorGate(2, 0),
    }


@pytest.mark.parametrize("name", empty_gates())
def test_a_gate_of_qiskit_that_does_nothing_or_adds_a_phase_is_read(name: str) -> None:
    gate = empty_gates()[name]
    circuit = QuantumCircuit(3)
    circuit.ry(0.3, 2)
    circuit.append(gate, list(range(gate.num_qubits)))
    circuit.rx(0.4, 0)
    assert_close(oracle.unitary_of(from_qiskit(circuit)), qiskit_unitary(circuit), SYNTHESIS)


def test_circuits_of_nothing_are_read_if_they_have_qubits() -> None:
    assert from_qiskit(QuantumCircuit(2)) == Circuit(2)
    assert_close(oracle.unitary_of(from_qiskit(QuantumCircuit(1, global_phase=0.3))), np.exp(0.3j) * np.eye(2), ALGEBRA)
    with pytest.raises(ValueError, match="`circuit` must have at least one qubit"):
        from_qiskit(QuantumCircuit(0))
    assert from_pennylane(lambda: None) == Circuit(1)


def refused_by_qiskit() -> dict[str, tuple[QuantumCircuit, str]]:
    conditional = QuantumCircuit(1, 1)
    conditional.h(0)
    conditional.measure(0, 0)
    damping = quantum_info.Kraus([np.diag([1.0, np.sqrt(0.7)]), np.array([[0.0, np.sqrt(0.3)], [0.0, 0.0]])])
    with conditional.if_test((0, 1)):
        conditional.append(damping.to_instruction(), [0])
    square, waiting, approximate, power, large = (QuantumCircuit(2) for _ in range(5))
    square.rx(Parameter("a") ** 2, 0)
    waiting.delay(100, 0)
    operator = quantum_info.SparsePauliOp(["XI", "ZI"])
    approximate.append(library.PauliEvolutionGate(operator, 0.3), [0, 1])
    power.append(AnnotatedOperation(library.RXGate(0.3), PowerModifier(0.5)), [0])
    large.append(AnnotatedOperation(library.RXGate(0.3), PowerModifier(10**9)), [0])
    return {
        "kraus under a condition": (conditional, "holds kraus under a condition"),
        "square": (square, r"linear in its parameters, but has a\*\*2"),
        "delay": (waiting, "holds delay"),
        "evolution": (approximate, "terms that do not commute"),
        "power": (power, "a power that is not whole"),
        "large power": (large, "a power that is not whole or makes more than 1000000 operations"),
    }


@pytest.mark.parametrize("name", refused_by_qiskit())
def test_what_qiskit_has_and_we_do_not_is_refused_by_name(name: str) -> None:
    circuit, message = refused_by_qiskit()[name]
    with pytest.raises(ValueError, match=message):
        from_qiskit(circuit)


def test_a_wrong_name_for_data_is_refused() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("a"), 0)
    with pytest.raises(ValueError, match=r"must name parameters of the circuit, \['a'\], but names 'b'"):
        from_qiskit(circuit, data=["b"])


def test_amplitudes_from_slots_are_refused_by_qiskit() -> None:
    with pytest.raises(ValueError, match=r"Call Circuit\.bind first"):
        to_qiskit(Circuit(1).prepare_slots([data(0), data(1)]))


# --- circuits of others, from PennyLane ---------------------------------------------------------------------


FOREIGN_OPERATIONS: dict[str, Callable[[], Any]] = {
    "Rot": lambda: pennylane.Rot(0.1, 0.2, 0.3, 1),
    "U2": lambda: pennylane.U2(0.1, 0.2, 1),
    "CRot": lambda: pennylane.CRot(0.1, 0.2, 0.3, wires=[2, 0]),
    "Toffoli": lambda: pennylane.Toffoli([2, 0, 1]),
    "MultiControlledX": lambda: pennylane.MultiControlledX([2, 0, 1], control_values=[0, 1]),
    "CSWAP": lambda: pennylane.CSWAP([2, 0, 1]),
    "ControlledPhaseShift": lambda: pennylane.ControlledPhaseShift(0.3, [2, 0]),
    "IsingXY": lambda: pennylane.IsingXY(0.3, [2, 0]),
    "SingleExcitation": lambda: pennylane.SingleExcitation(0.3, [2, 0]),
    "ISWAP": lambda: pennylane.ISWAP([2, 0]),
    "ECR": lambda: pennylane.ECR([2, 0]),
    "SX": lambda: pennylane.SX(1),
    "Adjoint SX": lambda: pennylane.adjoint(pennylane.SX(1)),
    "PCPhase": lambda: pennylane.PCPhase(0.2, 2, [2, 0]),
    "PSWAP": lambda: pennylane.PSWAP(0.2, [2, 0]),
    "GlobalPhase": lambda: pennylane.GlobalPhase(0.3),
    "controlled GlobalPhase": lambda: pennylane.ctrl(pennylane.GlobalPhase(0.3), control=[2, 0], control_values=[1, 0]),
    "controlled controlled": lambda: pennylane.ctrl(pennylane.CRX(0.3, [2, 0]), control=[1], control_values=[0]),
    "adjoint controlled": lambda: pennylane.adjoint(pennylane.ctrl(pennylane.U3(0.1, 0.2, 0.3, 2), control=[0])),
    "MultiRZ": lambda: pennylane.MultiRZ(0.3, [2, 0, 1]),
    "PauliRot": lambda: pennylane.PauliRot(0.3, "XIY", [2, 0, 1]),
    "exp": lambda: pennylane.exp(pennylane.X(2) @ pennylane.Y(0), 0.3j),
    "evolve": lambda: pennylane.evolve(pennylane.X(2) @ pennylane.Y(0), 0.3),
    "pow": lambda: pennylane.pow(pennylane.RX(0.3, 1), 3),
    "root": lambda: pennylane.pow(pennylane.S(1), 0.5),
    "prod": lambda: pennylane.prod(pennylane.RX(0.3, 1), pennylane.S(2)),
    "QFT": lambda: pennylane.QFT([2, 0, 1]),
    "DiagonalQubitUnitary": lambda: pennylane.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [2, 0]),
    "controlled QubitUnitary": lambda: pennylane.ctrl(pennylane.QubitUnitary(np.diag([1, 1j]), 2), control=0),
    "StronglyEntanglingLayers": lambda: pennylane.StronglyEntanglingLayers(np.ones((2, 3, 3)), [2, 0, 1]),
    "Permute": lambda: pennylane.Permute([2, 0, 1], wires=[0, 1, 2]),
}


def nothing() -> Any:
    return pennylane.pow(pennylane.X(0), 2)


FOREIGN_IDENTITIES: dict[str, Callable[[], Any]] = {  # most of them decompose into nothing
    "Permute": lambda: pennylane.Permute([2, 0, 1], wires=[2, 0, 1]),
    "controlled Permute": lambda: pennylane.ctrl(pennylane.Permute([0, 1], wires=[0, 1]), control=2),
    "adjoint Permute": lambda: pennylane.adjoint(pennylane.Permute([0, 1], wires=[0, 1])),
    "X**2": lambda: pennylane.pow(pennylane.X(0), 2),
    "X**0": lambda: pennylane.pow(pennylane.X(0), 0),
    "X**2**2": lambda: pennylane.pow(pennylane.pow(pennylane.X(0), 2), 2),
    "controlled X**2": lambda: pennylane.ctrl(pennylane.pow(pennylane.X(0), 2), control=1, control_values=[0]),
    "adjoint X**2": lambda: pennylane.adjoint(pennylane.pow(pennylane.X(0), 2)),
    "S**4": lambda: pennylane.pow(pennylane.S(0), 4),
    "SX**4": lambda: pennylane.pow(pennylane.SX(0), 4),
    "H**2": lambda: pennylane.pow(pennylane.Hadamard(0), 2),
    "SWAP**2": lambda: pennylane.pow(pennylane.SWAP([0, 2]), 2),
    "CNOT**2": lambda: pennylane.pow(pennylane.CNOT([0, 2]), 2),
    "Toffoli**2": lambda: pennylane.pow(pennylane.Toffoli([0, 2, 1]), 2),
    "ISWAP**4": lambda: pennylane.pow(pennylane.ISWAP([0, 2]), 4),
    "ECR**2": lambda: pennylane.pow(pennylane.ECR([0, 2]), 2),
    "Rot**0": lambda: pennylane.pow(pennylane.Rot(0.1, 0.2, 0.3, 0), 0),
    "prod**0": lambda: pennylane.pow(pennylane.prod(pennylane.X(0), pennylane.Y(1)), 0),
    "prod": lambda: pennylane.prod(pennylane.X(0), pennylane.X(0)),
    "prod of X**2": lambda: pennylane.prod(nothing(), pennylane.Identity(1)),
    "Identity": lambda: pennylane.Identity([0, 1]),
    "controlled Identity": lambda: pennylane.ctrl(pennylane.Identity(0), control=1),
    "Barrier": lambda: pennylane.ctrl(pennylane.Barrier([0]), control=1),
    "exp": lambda: pennylane.exp(pennylane.X(0), 0j),
    "evolve": lambda: pennylane.evolve(pennylane.X(0), 0.0),
    "AngleEmbedding": lambda: pennylane.AngleEmbedding([], wires=[0, 1]),
    "StronglyEntanglingLayers": lambda: pennylane.StronglyEntanglingLayers(np.zeros((0, 2, 3)), wires=[0, 1]),
    "BasicEntanglerLayers": lambda: pennylane.BasicEntanglerLayers(np.zeros((0, 2)), wires=[0, 1]),
    "RandomLayers": lambda: pennylane.RandomLayers(np.zeros((0, 2)), wires=[0, 1], seed=1),
    "IntegerComparator": lambda: pennylane.IntegerComparator(9, geq=True, wires=[0, 1, 2]),
    "PauliRot": lambda: pennylane.ctrl(pennylane.PauliRot(0.0, "II", [0, 1]), control=2),
    "GlobalPhase": lambda: pennylane.prod(pennylane.GlobalPhase(0.3), pennylane.GlobalPhase(-0.3)),
}


@pytest.mark.parametrize("name", FOREIGN_IDENTITIES)
def test_an_operation_of_pennylane_that_does_nothing_is_read(name: str) -> None:
    def function() -> None:
        pennylane.RY(0.3, 0)
        FOREIGN_IDENTITIES[name]()
        pennylane.RX(0.4, 1)

    expected = oracle.unitary_of(Circuit(3).ry(0.3, 0).rx(0.4, 1))
    assert_close(oracle.unitary_of(from_pennylane(function, wires=[0, 1, 2])), expected, SYNTHESIS)


FOREIGN_PHASES: dict[str, tuple[Callable[[], Any], Circuit]] = {  # exp(-0.3 i), where a control makes it visible
    "GlobalPhase": (lambda: pennylane.GlobalPhase(0.3), Circuit(3).exp_pauli(-0.3, "I", 0)),
    "adjoint": (lambda: pennylane.adjoint(pennylane.GlobalPhase(-0.3)), Circuit(3).exp_pauli(-0.3, "I", 0)),
    "power": (lambda: pennylane.pow(pennylane.GlobalPhase(0.1), 3), Circuit(3).exp_pauli(-0.3, "I", 0)),
    "controlled": (lambda: pennylane.ctrl(pennylane.GlobalPhase(0.3), control=1), Circuit(3).p(-0.3, 1)),
    "controlled adjoint": (
        lambda: pennylane.ctrl(pennylane.adjoint(pennylane.GlobalPhase(-0.3)), control=[1, 2]),
        Circuit(3).p(-0.3, 2, controls=1),
    ),
    "controlled power": (
        lambda: pennylane.ctrl(pennylane.pow(pennylane.GlobalPhase(0.1), 3), control=2),
        Circuit(3).p(-0.3, 2),
    ),
    "controlled exp": (
        lambda: pennylane.ctrl(pennylane.exp(pennylane.Identity(0), -0.3j), control=2),
        Circuit(3).p(-0.3, 2),
    ),
    "controlled PauliRot": (
        lambda: pennylane.ctrl(pennylane.PauliRot(0.6, "II", [0, 1]), control=2, control_values=[0]),
        Circuit(3).x(2).p(-0.3, 2).x(2),
    ),
    "controlled SX**2": (
        lambda: pennylane.ctrl(pennylane.pow(pennylane.SX(0), 2), control=2),
        Circuit(3).x(0, controls=2),
    ),
}


@pytest.mark.parametrize("name", FOREIGN_PHASES)
def test_a_global_phase_of_pennylane_becomes_one_of_its_controls(name: str) -> None:
    function, expected = FOREIGN_PHASES[name]
    assert_close(oracle.unitary_of(from_pennylane(function, wires=[0, 1, 2])), oracle.unitary_of(expected), SYNTHESIS)


@pytest.mark.parametrize("name", FOREIGN_OPERATIONS)
def test_an_operation_of_pennylane_keeps_its_unitary(name: str) -> None:
    def function() -> None:
        pennylane.Hadamard(2)
        FOREIGN_OPERATIONS[name]()

    expected = pennylane.matrix(function, wire_order=[0, 1, 2])()
    assert_close(oracle.unitary_of(from_pennylane(function, wires=[0, 1, 2])), expected, SYNTHESIS)


def test_a_function_of_pennylane_gets_its_slots_with_factors() -> None:
    def function(samples: Any, weights: Any) -> Any:
        pennylane.AngleEmbedding(samples, wires=[0, 1])
        pennylane.StronglyEntanglingLayers(weights.reshape(1, 2, 3), wires=[0, 1])
        pennylane.RX(2 * samples[0] - weights[1] + 0.25, wires=1)
        pennylane.ctrl(pennylane.PhaseShift(-weights[0], wires=0), control=1)
        return pennylane.expval(pennylane.Z(0))

    circuit = from_pennylane(function, n_data=2, n_weights=6)
    assert (circuit.n_data, circuit.n_weights) == (2, 6)
    random = np.random.default_rng(2)
    samples, weights = random.normal(size=2), random.normal(size=6)
    tape = pennylane.tape.make_qscript(function)(samples, weights)
    expected = pennylane.matrix(pennylane.tape.QuantumScript(tape.operations), wire_order=[0, 1])
    assert_close(oracle.unitary_of(circuit, samples, weights), expected, SYNTHESIS)


def test_a_qnode_is_read_like_its_function() -> None:
    @pennylane.qnode(pennylane.device("default.qubit"))
    def node(samples: Any, weights: Any) -> Any:
        pennylane.RY(samples[0], wires=1)
        pennylane.CRZ(weights[0], wires=[1, 0])
        return pennylane.expval(pennylane.Z(0))

    assert from_pennylane(node, n_data=1, n_weights=1) == Circuit(2).ry(data(0), 1).rz(weight(0), 0, controls=1)


def test_a_reset_whose_outcome_is_read_is_a_measurement_too() -> None:
    def function() -> Any:
        outcome = pennylane.measure(1, reset=True)
        pennylane.measure(0, reset=True)
        return pennylane.expval(outcome)

    assert from_pennylane(function) == Circuit(2).measure(1).reset(1).reset(0)


def test_basis_states_and_channels_of_pennylane_are_read() -> None:
    def function() -> None:
        pennylane.BasisState([1, 0, 1], wires=[2, 0, 1])
        pennylane.Hadamard(0)
        pennylane.DepolarizingChannel(0.3, wires=0)
        pennylane.PhaseFlip(0.2, wires=0)

    circuit = from_pennylane(function)

    @pennylane.qnode(pennylane.device("default.mixed", wires=3))
    def node() -> Any:
        function()
        return pennylane.density_matrix([0, 1, 2])

    assert_close(oracle.density_of(circuit), node(), SYNTHESIS)


def conditional() -> None:
    pennylane.cond(pennylane.measure(0), pennylane.X)(1)


def uneven(samples: Any, weights: Any) -> None:
    pennylane.RX(samples[0] ** 2, wires=0)


def branching(samples: Any, weights: Any) -> None:
    (pennylane.RX if samples[0] > 0 else pennylane.RY)(samples[0], wires=0)


def test_what_pennylane_has_and_we_do_not_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="holds Conditional"):
        from_pennylane(conditional)
    with pytest.raises(ValueError, match="holds Snapshot"):
        from_pennylane(pennylane.Snapshot)
    with pytest.raises(ValueError, match="holds WireCut"):
        from_pennylane(lambda: pennylane.WireCut(0))
    with pytest.raises(ValueError, match="holds Snapshot"):
        from_pennylane(lambda: pennylane.ctrl(pennylane.Snapshot(), control=0))
    with pytest.raises(ValueError, match="linear in its arguments, but an angle of rx is not"):
        from_pennylane(uneven, n_data=1)
    with pytest.raises(ValueError, match="same gates for every value"):
        from_pennylane(branching, n_data=1)
    with pytest.raises(ValueError, match=r"one value an angle, but RX has 2"):
        from_pennylane(lambda: pennylane.RX(np.array([0.1, 0.2]), wires=0))
    with pytest.raises(ValueError, match="must hold every wire, but lacks 1"):
        from_pennylane(lambda: pennylane.X(1), wires=[0])


def test_data_of_the_wrong_width_are_refused_by_the_function() -> None:
    with pytest.raises(ValueError, match=r"`data` must have shape \(..., 1\), but has shape \(2, 3\)"):
        to_pennylane(Circuit(1).rx(data(0), 0))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="`wires` must hold 2 labels, but holds 1"):
        to_pennylane(Circuit(2), wires=[0])


def test_channels_keep_their_kraus_operators() -> None:
    circuit = Circuit(2).noise(channels.amplitude_damping(0.3), 1)
    for back in (from_qiskit(to_qiskit(circuit)), from_pennylane(to_pennylane(circuit), wires=[0, 1])):
        (operation,) = back.operations
        assert isinstance(operation.gate, gates.Channel)
        assert operation.qubits == (1,)
        assert_close(
            oracle.density_of(Circuit(2).h(1).compose(back)),
            oracle.density_of(Circuit(2).h(1).compose(circuit)),
            ALGEBRA,
        )


def test_weights_of_any_shape_become_slots_row_by_row() -> None:
    def function(inputs: Any, weights: Any) -> None:
        for layer in range(2):
            for qubit in range(3):
                pennylane.RY(inputs[qubit, 0] + weights[layer, qubit], wires=qubit)
            pennylane.CNOT([0, 2])

    circuit = from_pennylane(function, n_data=(3, 1), n_weights=(2, 3))
    assert (circuit.n_data, circuit.n_weights) == (3, 6)
    flat = from_pennylane(lambda x, w: function(x.reshape(3, 1), w.reshape(2, 3)), n_data=3, n_weights=6)
    assert circuit == flat
    with pytest.raises(ValueError, match=r"shapes \(3, 1\) and \(6,\), but takes others: .*n_weights=\(2, 3\)"):
        from_pennylane(function, n_data=(3, 1), n_weights=6)
    with pytest.raises(ValueError, match="`n_weights` must be a length or a tuple of lengths"):
        from_pennylane(function, n_weights=(2, -1))


@pytest.mark.plain
def test_data_may_be_given_as_lists_of_parameters() -> None:
    from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit

    a, b, c = Parameter("a"), Parameter("b"), ParameterVector("c", 2)
    source = QuantumCircuit(1)
    for angle in (b, c[1], a, c[0]):
        source.ry(angle, 0)
    expected = from_qiskit(source, data=["b", "a", "c"])
    for form in ([b, a, c], [[b, a], c], [[b, a, *c]], (item for item in (b, a, c))):
        assert from_qiskit(source, data=form) == expected
    assert from_qiskit(source, data=a) == from_qiskit(source, data=["a"])
    assert from_qiskit(source, data=[source.parameters]).n_weights == 0
    with pytest.raises(
        TypeError, match="`data` must hold parameters, parameter vectors or their names, but holds a int"
    ):
        from_qiskit(source, data=[0])


@pytest.mark.parametrize("read", [from_qiskit, computed_from_qiskit])
def test_a_function_without_derivative_is_refused_with_the_fix(read: Callable[..., object]) -> None:
    angle = Parameter("x")
    circuit = QuantumCircuit(1)
    circuit.rx(angle.sign() + angle, 0)
    with pytest.raises(ValueError, match=r"has .*sign.*Compute the angle outside"):
        read(circuit, data=[angle])
