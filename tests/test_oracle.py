"""The oracle is judged by PennyLane and Qiskit, by values known by hand, and by its own second way of computing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from qiskit import quantum_info

from circuits import Circuit, Observable, X, Y, Z, data, pauli_string, weight
from tests import oracle, peers
from tests.helpers import FLOAT64, assert_close, is_likely
from tests.named import CASES, UNITARY_CASES
from tests.strategies import (
    MID_CIRCUIT_KINDS,
    NOISE_KINDS,
    UNITARY_KINDS,
    Case,
    Recipe,
    build,
    examples,
    recipes,
)

# Both sides round, and the peers build a gate from others: a few hundred products of float64.
AGAINST_PEERS = 1e-10


@pytest.mark.parametrize("name", CASES)
def test_oracle_agrees_with_qiskit_on_named_circuits(name: str) -> None:
    assert_close(oracle.expectation(*CASES[name]), peers.qiskit_expectation(*CASES[name]), AGAINST_PEERS)


@pytest.mark.parametrize("name", CASES)
def test_oracle_agrees_with_pennylane_on_named_circuits(name: str) -> None:
    operations = CASES[name].circuit.operations
    if any(op.is_noise for op in operations) and any(op.gate.name == "post_select" for op in operations):
        pytest.skip("PennyLane's default.mixed has no post-selection")
    assert_close(oracle.expectation(*CASES[name]), peers.pennylane_expectation(*CASES[name]), AGAINST_PEERS)


@examples(150)
@given(recipes())
def test_oracle_agrees_with_both_on_random_unitary_circuits(recipe: Recipe) -> None:
    case = build(recipe)
    expected = oracle.expectation(*case)
    assert_close(expected, peers.qiskit_expectation(*case), AGAINST_PEERS)
    assert_close(expected, peers.pennylane_expectation(*case), AGAINST_PEERS)


@examples(60)
@given(recipes((*UNITARY_KINDS, *NOISE_KINDS), max_qubits=4))
def test_oracle_agrees_with_both_on_random_noisy_circuits(recipe: Recipe) -> None:
    case = build(recipe)
    expected = oracle.expectation(*case)
    assert_close(expected, peers.qiskit_expectation(*case), AGAINST_PEERS)
    assert_close(expected, peers.pennylane_expectation(*case), AGAINST_PEERS)


# PennyLane puts off each measurement to a qubit of its own, so few of them.
@examples(60)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS), max_qubits=3, max_steps=7))
def test_oracle_agrees_with_both_on_random_mid_circuit_operations(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    expected = oracle.expectation(*case)
    assert_close(expected, peers.qiskit_expectation(*case), AGAINST_PEERS)
    assert_close(expected, peers.pennylane_expectation(*case), AGAINST_PEERS)


@examples(60)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS)))
def test_oracle_agrees_with_qiskit_on_random_circuits_of_every_kind(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    assert_close(oracle.expectation(*case), peers.qiskit_expectation(*case), AGAINST_PEERS)


@examples(60)
@given(recipes(preparations=(), min_batch=1))
def test_unitary_agrees_with_qiskit_operator(recipe: Recipe) -> None:
    case = build(recipe)
    n = case.circuit.n_qubits
    expected = quantum_info.Operator(np.eye(2**n))
    for operation in case.circuit.bind(case.data[0], case.weights).operations:
        places = [n - 1 - qubit for qubit in operation.all_qubits]
        expected = expected.compose(peers.qiskit_operator(operation), qargs=places)
    assert_close(oracle.unitary_of(case.circuit, case.data[0], case.weights), expected.data, AGAINST_PEERS)


@examples(60)
@given(recipes((*UNITARY_KINDS, "post_select"), min_batch=1))
def test_density_is_the_projector_on_the_state(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    for sample in case.data:
        state = oracle.state_of(case.circuit, sample, case.weights)
        density = oracle.density_of(case.circuit, sample, case.weights)
        assert_close(density, np.outer(state, state.conj()), 1e-10)


@pytest.mark.parametrize("name", CASES)
def test_probabilities_agree_with_qiskit(name: str) -> None:
    case = CASES[name]
    n = case.circuit.n_qubits
    chosen = [n - 1, *range(n - 2)] if n > 1 else [0]
    for qubits in (None, chosen):
        rows = []
        for sample in case.data:
            state = peers.qiskit_state(case.circuit.bind(sample, case.weights))
            places = range(n) if qubits is None else qubits
            # Qiskit takes the first of its qubits as the least significant.
            rows.append(state.probabilities([n - 1 - qubit for qubit in places][::-1]))
        assert_close(oracle.probabilities(*case[:3], qubits), np.array(rows), AGAINST_PEERS)


# --- by hand --------------------------------------------------------------------------------------------------------

ROOT = np.sqrt(0.5)
KNOWN_STATES = {
    "x acts on the most significant bit first": (Circuit(2).x(0), [0, 0, 1, 0]),
    "cx upward": (Circuit(2).x(1).cx(1, 0), [0, 0, 0, 1]),
    "cx downward": (Circuit(2).x(1).cx(0, 1), [0, 1, 0, 0]),
    "Bell": (Circuit(2).h(1).cx(1, 0), [ROOT, 0, 0, ROOT]),
    "rx": (Circuit(1).rx(np.pi / 2, 0), [ROOT, -1j * ROOT]),
    "ry": (Circuit(1).ry(np.pi / 2, 0), [ROOT, ROOT]),
    "rz": (Circuit(1).rz(np.pi / 2, 0), [ROOT - ROOT * 1j, 0]),
    "exp_pauli has sign + and factor 1": (Circuit(1).exp_pauli(np.pi / 4, "X", 0), [ROOT, 1j * ROOT]),
    "rzx has Z on its first qubit": (Circuit(2).x(0).rzx(np.pi / 2, 0, 1), [0, 0, ROOT, 1j * ROOT]),
    "Y gives i": (Circuit(1).y(0), [0, 1j]),
    "prepare reads its qubits in order": (Circuit(2).prepare([0.0, 0.6, 0.8j, 0.0], (1, 0)), [0, 0.8j, 0.6, 0]),
    "all controls must read 1": (Circuit(3).x(0).x(2, controls=(0, 1)), [0, 0, 0, 0, 1, 0, 0, 0]),
}


@pytest.mark.parametrize("name", KNOWN_STATES)
def test_oracle_gives_the_state_known_by_hand(name: str) -> None:
    circuit, expected = KNOWN_STATES[name]
    assert_close(oracle.state_of(circuit), np.array(expected, dtype=complex), FLOAT64)


@pytest.mark.parametrize(
    ("observable", "expected"),
    [(Z(0) @ Z(1), 1.0), (X(0) @ X(1), 1.0), (Y(0) @ Y(1), -1.0), (Z(0), 0.0), (2.0 * X(1) @ X(0) + 3.0, 5.0)],
)
def test_oracle_gives_the_correlations_of_a_bell_state(observable: Observable, expected: float) -> None:
    bell = Circuit(2).h(0).cx(0, 1)
    assert_close(oracle.expectation(bell, np.zeros((2, 0)), [], [observable]), [[expected]] * 2, FLOAT64)


def test_oracle_forgets_what_is_reset_and_keeps_what_is_measured() -> None:
    bell = Circuit(2).h(0).cx(0, 1)
    assert_close(oracle.density_of(bell.copy().reset(0)), np.diag([0.5, 0.5, 0, 0]).astype(complex), FLOAT64)
    assert_close(oracle.density_of(bell.copy().measure(0)), np.diag([0.5, 0, 0, 0.5]).astype(complex), FLOAT64)
    selected = bell.copy().post_select(1, 1)
    assert_close(oracle.density_of(selected), np.diag([0, 0, 0, 1]).astype(complex), FLOAT64)
    assert_close(oracle.success_probability(selected), 0.5, FLOAT64)


def test_oracle_says_which_function_takes_a_mixed_state() -> None:
    with pytest.raises(ValueError, match="reset makes a pure state mixed"):
        oracle.state_of(Circuit(1).reset(0))
    with pytest.raises(ValueError, match="measure is not unitary"):
        oracle.unitary_of(Circuit(1).measure(0))


# --- planted faults -------------------------------------------------------------------------------------------------

FAULTS: dict[str, Callable[[Case], Case]] = {
    "qubits reversed": lambda case: case._replace(circuit=rewired(case, lambda n, qubit: n - 1 - qubit)),
    "observables reversed": lambda case: case._replace(observables=reversed_observables(case)),
    "last operation left out": lambda case: case._replace(circuit=without_last(case)),
    "angles negated": lambda case: case._replace(data=-case.data, weights=-case.weights),
}


def rewired(case: Case, place: Callable[[int, int], int]) -> Circuit:
    n = case.circuit.n_qubits
    return Circuit(n).compose(case.circuit, [place(n, qubit) for qubit in range(n)])


def reversed_observables(case: Case) -> list[Observable]:
    n = case.circuit.n_qubits
    return [
        Observable(tuple((value, tuple((n - 1 - q, letter) for q, letter in factors)) for value, factors in sums.terms))
        for sums in case.observables
    ]


def without_last(case: Case) -> Circuit:
    result = Circuit(case.circuit.n_qubits)
    for operation in case.circuit.operations[:-1]:
        result.append(operation.gate, operation.qubits, controls=operation.controls, angles=operation.angles)
    return result


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "two_qubit_rotations", "controlled_rotations"])
def test_a_planted_fault_is_seen(name: str, fault: str) -> None:
    faulty = FAULTS[fault](UNITARY_CASES[name])
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_close(oracle.expectation(*faulty), peers.qiskit_expectation(*UNITARY_CASES[name]), 1e-3)


WRONG_GATES = {
    "rotation with the other sign": (Circuit(1).rx(0.3, 0), Circuit(1).rx(-0.3, 0)),
    "rotation by twice the angle": (Circuit(1).ry(0.3, 0), Circuit(1).ry(0.6, 0)),
    "rotation in place of exponential": (Circuit(1).exp_pauli(0.3, "X", 0), Circuit(1).rx(0.3, 0)),
    "rzx turned round": (Circuit(2).rzx(0.3, 0, 1), Circuit(2).rzx(0.3, 1, 0)),
    "control and target exchanged": (Circuit(2).cx(0, 1), Circuit(2).cx(1, 0)),
    "s in place of its inverse": (Circuit(1).s(0), Circuit(1).sdg(0)),
    "t in place of its inverse": (Circuit(1).t(0), Circuit(1).tdg(0)),
    "P in place of RZ under a control": (Circuit(2).p(0.3, 0, controls=1), Circuit(2).rz(0.3, 0, controls=1)),
    "phi and lambda of U3 exchanged": (Circuit(1).u3(0.3, 0.5, 0.7, 0), Circuit(1).u3(0.3, 0.7, 0.5, 0)),
    "Pauli string read backwards": (
        Circuit(3).pauli_rotation(0.3, "XYZ", (0, 1, 2)),
        Circuit(3).pauli_rotation(0.3, "ZYX", (0, 1, 2)),
    ),
}


@pytest.mark.parametrize("name", WRONG_GATES)
def test_a_wrong_gate_changes_the_unitary(name: str) -> None:
    right, wrong = WRONG_GATES[name]
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_close(oracle.unitary_of(wrong), oracle.unitary_of(right), 1e-2)


def test_slots_of_both_kinds_are_read_from_their_own_vector() -> None:
    circuit = Circuit(2).ry(data(0), 0).ry(weight(0), 1)
    expected = [[np.cos(0.3), np.cos(0.7)], [np.cos(0.5), np.cos(0.7)]]
    assert_close(oracle.expectation(circuit, [[0.3], [0.5]], [0.7], [Z(0), pauli_string("IZ")]), expected, FLOAT64)
