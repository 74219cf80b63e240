"""The contract of circuits: what is built, what is refused and in which words, what copies and inverses are."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from circuits import Circuit, Operation, Slot, channels, data, weight
from circuits.gates import FIXED_MATRICES, Fixed, Measure, PauliRotation, Phase, gate_matrix, trigonometric_form
from tests import oracle
from tests.helpers import FLOAT64, assert_close
from tests.named import BUILDERS, CASES
from tests.strategies import (
    MID_CIRCUIT_KINDS,
    NOISE_KINDS,
    UNITARY_KINDS,
    Recipe,
    build,
    examples,
    random_kraus,
    random_unitary,
    recipes,
)

# --- the gate table against the oracle ------------------------------------------------------------------------------


@examples(150)
@given(recipes(preparations=(), max_qubits=4, max_steps=4, slots=("const",)))
def test_matrix_of_every_operation_is_the_oracle_matrix(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    for operation in circuit.operations:
        alone = Circuit(circuit.n_qubits)
        alone.append(operation.gate, operation.qubits, controls=operation.controls, angles=operation.angles)
        lifted = oracle.on_qubits(operation.matrix(), operation.all_qubits, circuit.n_qubits)
        assert_close(lifted, oracle.unitary_of(alone), FLOAT64)


@pytest.mark.parametrize("n_controls", [0, 1, 2])
@pytest.mark.parametrize("gate", [PauliRotation("Y"), PauliRotation("XZ", 1.0), PauliRotation("IY", -1.0), Phase()])
def test_trigonometric_form_gives_the_matrix_and_its_period(gate: PauliRotation | Phase, n_controls: int) -> None:
    form = trigonometric_form(gate, n_controls)
    for angle in (0.0, 0.3, -2.0):
        assert_close(form.matrix(angle), gate_matrix(gate, (angle,), n_controls), FLOAT64)
        assert_close(form.matrix(angle + 2 * np.pi / form.frequency), form.matrix(angle), FLOAT64)


@examples(60)
@given(recipes(preparations=(), max_qubits=3, slots=("const",)))
def test_elementary_operations_multiply_to_the_operation(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    parts = Circuit(circuit.n_qubits)
    for operation in circuit.operations:
        for part in operation.elementary():
            assert len(part.angles) <= 1
            parts.append(part.gate, part.qubits, controls=part.controls, angles=part.angles)
    assert_close(oracle.unitary_of(parts), oracle.unitary_of(circuit), FLOAT64)


def test_shorthands_are_entries_of_the_gate_table() -> None:
    circuit = Circuit(3).cx(0, 1).cy(1, 2).cz(2, 0).rx(0.1, 0).rzx(0.2, 2, 1).exp_pauli(0.3, "Y", 1).p(0.4, 2)
    assert circuit.operations == (
        Operation(Fixed("x"), (1,), (0,)),
        Operation(Fixed("y"), (2,), (1,)),
        Operation(Fixed("z"), (0,), (2,)),
        Operation(PauliRotation("X"), (0,), (), (0.1,)),
        Operation(PauliRotation("ZX"), (2, 1), (), (0.2,)),
        Operation(PauliRotation("Y", 1.0), (1,), (), (0.3,)),
        Operation(Phase(), (2,), (), (0.4,)),
    )


@pytest.mark.parametrize(
    ("circuit", "name"),
    [
        (Circuit(3).x(2, controls=(0, 1)), "ccx"),
        (Circuit(2).rx(0.1, 0, controls=1), "crx"),
        (Circuit(3).swap(0, 1, controls=2), "cswap"),
        (Circuit(2).exp_pauli(0.1, "XZ", (0, 1)), "exp_xz"),
        (Circuit(1).reset(0), "reset"),
    ],
)
def test_operation_names_count_the_controls(circuit: Circuit, name: str) -> None:
    assert circuit.operations[0].name == name


@pytest.mark.parametrize("name", FIXED_MATRICES)
def test_fixed_gates_are_unitary(name: str) -> None:
    matrix = FIXED_MATRICES[name]
    assert_close(matrix @ matrix.conj().T, np.eye(len(matrix), dtype=complex), FLOAT64)


# --- slots ----------------------------------------------------------------------------------------------------------


def test_slots_are_counted_once_each() -> None:
    circuit = Circuit(2).ry(data(1), 0).u3(data(0), weight(0), data(1), 1).rx(weight(0), 0).rz(0.2, 1)
    assert (circuit.n_data, circuit.n_weights) == (2, 1)
    assert (Circuit(1).n_data, Circuit(1).n_weights) == (0, 0)


@pytest.mark.parametrize(
    ("circuit", "count", "message"),
    [
        (Circuit(1).ry(data(2), 0).ry(data(0), 0), "n_data", r"Data slots must be numbered 0\.\.2.*data\(1\) is used"),
        (
            Circuit(1).ry(weight(1), 0),
            "n_weights",
            r"Weight slots must be numbered 0\.\.1.*weight\(0\) is used nowhere",
        ),
        (Circuit(1).ry(data(9), 0), "n_data", r"data\(0, 1, 2, 3, 4, \.\.\.\)"),
    ],
)
def test_slot_gaps_are_named(circuit: Circuit, count: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(circuit, count)
    with pytest.raises(ValueError, match=message):
        circuit.bind()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data(-1), ValueError, "`index` must be at least 0, but is -1"),
        (lambda: Slot("input", 0), ValueError, 'must be "data" or "weight", but is \'input\''),  # pyright: ignore[reportArgumentType]
    ],
)
def test_bad_slots_are_refused(make: Callable[[], Slot], error: type[Exception], message: str) -> None:
    with pytest.raises((error, TypeError), match=f"{message}|kind"):
        make()


# --- bind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_bound_circuit_is_the_circuit_at_these_values(name: str) -> None:
    case = CASES[name]
    bound = case.circuit.bind(case.data[1], case.weights)
    assert (bound.n_data, bound.n_weights) == (0, 0)
    expected = oracle.expectation(case.circuit, case.data[1:2], case.weights, case.observables)
    assert_close(oracle.expectation(bound, np.zeros((1, 0)), [], case.observables), expected, FLOAT64)


def test_weights_turn_into_data_behind_the_circuits_own() -> None:
    circuit = Circuit(2).ry(data(1), 0).u3(weight(1), 0.3, data(0), 1).p(weight(0), 0, controls=[1])
    turned = circuit.weights_as_data()
    assert (turned.n_data, turned.n_weights) == (4, 0)
    assert turned == Circuit(2).ry(data(1), 0).u3(data(3), 0.3, data(0), 1).p(data(2), 0, controls=[1])
    assert circuit.weights_as_data() is turned
    circuit.ry(weight(2), 0)
    assert circuit.weights_as_data().n_data == 5


def test_bind_leaves_the_circuit_unbound() -> None:
    circuit = Circuit(1).ry(data(0), 0)
    assert circuit.bind([0.3]).operations[0].angles == (0.3,)
    assert circuit.operations[0].angles == (data(0),)


# --- inverse --------------------------------------------------------------------------------------------------------


@examples(80)
@given(recipes(preparations=(), max_qubits=4, slots=("const",)))
def test_inverse_undoes_a_circuit(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    product = oracle.unitary_of(circuit.inverse()) @ oracle.unitary_of(circuit)
    assert_close(product, np.eye(2**circuit.n_qubits, dtype=complex), FLOAT64)


ROTATING = tuple(kind for kind in UNITARY_KINDS if kind not in ("p", "u3"))


@examples(40)
@given(recipes(ROTATING, preparations=(), max_qubits=4, min_batch=1))
def test_inverse_keeps_the_slots_of_rotations(recipe: Recipe) -> None:
    case = build(recipe)
    inputs = case.data[0], case.weights
    inverse = case.circuit.inverse()
    assert (inverse.n_data, inverse.n_weights) == (case.circuit.n_data, case.circuit.n_weights)
    product = oracle.unitary_of(inverse, *inputs) @ oracle.unitary_of(case.circuit, *inputs)
    assert_close(product, np.eye(2**case.circuit.n_qubits, dtype=complex), FLOAT64)


# --- compose, copy, equality ----------------------------------------------------------------------------------------


def test_compose_puts_each_qubit_where_it_is_told() -> None:
    inner = Circuit(2).cx(0, 1).ry(data(0), 1).rzx(weight(0), 1, 0, controls=()).x(0, controls=1)
    outer = Circuit(3).h(1).compose(inner, [2, 0])
    assert outer == Circuit(3).h(1).cx(2, 0).ry(data(0), 0).rzx(weight(0), 0, 2).x(2, controls=0)


def test_compose_by_default_keeps_the_numbers() -> None:
    assert Circuit(3).compose(Circuit(2).cx(1, 0)) == Circuit(3).cx(1, 0)


def test_compose_with_itself_doubles_the_circuit() -> None:
    circuit = Circuit(2).h(0).cx(0, 1)
    assert circuit.compose(circuit) == Circuit(2).h(0).cx(0, 1).h(0).cx(0, 1)


def test_compose_is_the_product_of_the_unitaries() -> None:
    first, second = (CASES[name] for name in ("two_qubit_rotations", "controlled_rotations"))
    inputs = first.data[0], first.weights
    both = first.circuit.copy().compose(second.circuit)
    expected = oracle.unitary_of(second.circuit, *inputs) @ oracle.unitary_of(first.circuit, *inputs)
    assert_close(oracle.unitary_of(both, *inputs), expected, FLOAT64)


@pytest.mark.parametrize("duplicate", [Circuit.copy, copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
@pytest.mark.parametrize("build_circuit", BUILDERS)
def test_copy_is_equal_and_grows_on_its_own(build_circuit: Callable[[], Circuit], duplicate: Any) -> None:
    circuit = build_circuit()
    twin = duplicate(circuit)
    assert twin == circuit
    if duplicate is not copy.copy:
        assert twin.x(0) != circuit
        assert circuit == build_circuit()


@pytest.mark.parametrize(
    "other",
    [
        Circuit(3).ry(0.1, 0).cx(0, 1),
        Circuit(2).ry(0.2, 0).cx(0, 1),
        Circuit(2).ry(data(0), 0).cx(0, 1),
        Circuit(2).rx(0.1, 0).cx(0, 1),
        Circuit(2).ry(0.1, 1).cx(0, 1),
        Circuit(2).ry(0.1, 0).cx(1, 0),
        Circuit(2).cx(0, 1).ry(0.1, 0),
        Circuit(2).ry(0.1, 0),
        "a circuit",
    ],
)
def test_other_circuits_are_not_equal(other: object) -> None:
    circuit = Circuit(2).ry(0.1, 0).cx(0, 1)
    assert circuit == Circuit(2).ry(0.1, 0).cx(0, 1)
    assert circuit != other


def test_matrices_count_for_equality() -> None:
    first, second = (random_unitary(2, np.random.default_rng(seed)) for seed in (1, 2))
    assert Circuit(1).unitary(first, 0) == Circuit(1).unitary(first.copy(), 0)
    assert Circuit(1).unitary(first, 0) != Circuit(1).unitary(second, 0)


def test_circuits_cannot_be_hashed_because_they_grow() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Circuit(1))


def test_a_later_change_of_a_matrix_does_not_reach_the_circuit() -> None:
    matrix = np.eye(2)
    circuit = Circuit(1).unitary(matrix, 0)
    matrix[0, 0] = 7.0
    assert circuit == Circuit(1).unitary(np.eye(2), 0)


def test_operations_are_in_order_and_read_only() -> None:
    circuit = Circuit(2).h(0).cx(0, 1).measure(1)
    assert len(circuit) == 3
    assert [operation.name for operation in circuit] == ["h", "cx", "measure"]
    assert isinstance(circuit.operations, tuple)
    assert repr(circuit) == "Circuit(n_qubits=2, operations=3)"


def test_measurements_take_the_next_free_bit() -> None:
    circuit = Circuit(2).measure(0).measure(1).measure(0, bit=5).measure(1)
    assert [operation.gate for operation in circuit] == [Measure(0), Measure(1), Measure(5), Measure(6)]
    assert circuit.n_bits == 7


@pytest.mark.parametrize(
    ("circuit", "is_unitary"),
    [
        (Circuit(1).h(0), True),
        (Circuit(1).prepare([0.6, 0.8]).h(0), True),
        (Circuit(1).reset(0), False),
        (Circuit(1).measure(0), False),
        (Circuit(1).post_select(0, 0), False),
        (Circuit(1).noise(channels.bit_flip(0.1), 0), False),
    ],
)
def test_circuit_knows_whether_it_is_unitary(circuit: Circuit, is_unitary: bool) -> None:
    assert circuit.is_unitary is is_unitary


@examples(60)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS)))
def test_every_random_circuit_round_trips_through_append(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    again = Circuit(circuit.n_qubits)
    for operation in circuit.operations:
        again.append(operation.gate, operation.qubits, controls=operation.controls, angles=operation.angles)
    assert again == circuit


# --- channels -------------------------------------------------------------------------------------------------------

X_MATRIX, Y_MATRIX, Z_MATRIX = (oracle.LETTERS[letter] for letter in "XYZ")
MIXED = np.array([[0.7, 0.2 - 0.3j], [0.2 + 0.3j, 0.3]])


def applied(channel: Any, density: np.ndarray) -> np.ndarray:
    return sum(matrix @ density @ matrix.conj().T for matrix in channel.kraus.values)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_channels_do_what_their_equations_say(strength: float) -> None:
    p, rho = strength, MIXED
    assert_close(applied(channels.depolarizing(p), rho), (1 - p) * rho + p * np.eye(2) / 2, FLOAT64)
    assert_close(applied(channels.bit_flip(p), rho), (1 - p) * rho + p * X_MATRIX @ rho @ X_MATRIX, FLOAT64)
    damped = np.array([[rho[0, 0] + p * rho[1, 1], np.sqrt(1 - p) * rho[0, 1]], [0, (1 - p) * rho[1, 1]]])
    damped[1, 0] = damped[0, 1].conj()
    assert_close(applied(channels.amplitude_damping(p), rho), damped, FLOAT64)
    dephased = np.where(np.eye(2) == 1, rho, np.sqrt(1 - p) * rho)
    assert_close(applied(channels.phase_damping(p), rho), dephased, FLOAT64)
    two = np.kron(rho, np.diag([0.9, 0.1]))
    expected = (1 - p) * two + p * np.eye(4) / 4
    assert_close(applied(channels.depolarizing(p, n_qubits=2), two), expected, FLOAT64)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "make",
    [
        channels.depolarizing,
        lambda p: channels.depolarizing(p, n_qubits=2),
        channels.amplitude_damping,
        channels.phase_damping,
        channels.bit_flip,
        lambda p: channels.kraus(random_kraus(4, 3, np.random.default_rng(int(10 * p)))),
    ],
)
def test_channels_preserve_the_trace(make: Callable[[float], Any], strength: float) -> None:
    values = make(strength).kraus.values
    total = sum(matrix.conj().T @ matrix for matrix in values)
    assert_close(total, np.eye(values.shape[-1], dtype=complex), FLOAT64)
