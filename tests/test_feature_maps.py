"""Encodings: counts, wiring, and the states that they make."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from circuits import Circuit, X, Z, ansatzes, feature_maps
from circuits.multiplexed import diagonal_by_rotations, multiplexed_rotation
from tests import oracle
from tests.helpers import assert_close

ALGEBRA = 1e-12  # a few dozen products in float64

LETTERS = {"x": oracle.LETTERS["X"], "y": oracle.LETTERS["Y"], "z": oracle.LETTERS["Z"]}


def index_of(bits: tuple[int, ...]) -> int:
    return int("".join(map(str, bits)), 2)


def test_basis_gives_each_string_up_to_its_phase() -> None:
    circuit = feature_maps.basis(3)
    assert (circuit.n_data, circuit.n_weights, len(circuit)) == (3, 0, 3)
    for bits in product((0, 1), repeat=3):
        expected = np.zeros(8, dtype=complex)
        expected[index_of(bits)] = (-1j) ** sum(bits)
        assert_close(oracle.state_of(circuit, np.pi * np.array(bits)), expected, ALGEBRA)


def test_basis_state_reads_bits_qubit_0_first() -> None:
    assert feature_maps.basis_state("110") == Circuit(3).x(0).x(1)
    assert feature_maps.basis_state([0, 0, 1]) == Circuit(3).x(2)
    assert np.argmax(abs(oracle.state_of(feature_maps.basis_state(np.array([1, 1, 0]))))) == 0b110


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_angle_rotates_each_qubit_about_its_axis(axis: str) -> None:
    values = np.array([0.3, -1.2, 2.0])
    start = np.array([1, 1]) / np.sqrt(2) if axis == "z" else np.array([1, 0])
    expected = np.ones(1)
    for value in values:
        rotation = np.cos(value / 2) * np.eye(2) - 1j * np.sin(value / 2) * LETTERS[axis]
        expected = np.kron(expected, rotation @ start)
    circuit = feature_maps.angle(3, axis=axis)
    assert circuit.n_data == 3
    assert_close(oracle.state_of(circuit, values), expected, ALGEBRA)


@pytest.mark.parametrize("axis", [(0.3, -0.4, 1.2), (0.0, 0.0, -2.0), (-1.0, 0.0, 0.0)])
def test_angle_rotates_about_any_direction(axis: tuple[float, ...]) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    generator = sum(part * LETTERS[name] for part, name in zip(unit, "xyz", strict=True))
    rotation = np.cos(0.45) * np.eye(2) - 1j * np.sin(0.45) * generator
    assert_close(oracle.unitary_of(feature_maps.angle(1, axis=axis), [0.9]), rotation, ALGEBRA)


def test_amplitude_uses_every_slot_once() -> None:
    real, both = feature_maps.amplitude(2), feature_maps.amplitude(2, is_complex=True)
    assert (real.n_data, both.n_data) == (4, 8)
    state = feature_maps.amplitudes_of([0.3, -0.1j, 2.0])
    assert_close(oracle.state_of(both, feature_maps.slots_of(state)), state, ALGEBRA)
    assert_close(
        oracle.state_of(real, feature_maps.amplitudes_of([3, 4])[[0, 1, 0, 1]] / np.sqrt(2)).real[1],
        0.8 / np.sqrt(2),
        ALGEBRA,
    )


def test_amplitudes_are_padded_and_normalised_along_the_last_axis() -> None:
    result = feature_maps.amplitudes_of(np.array([[[3, 0, 4]], [[0, -2, 0]]]))
    assert_close(result, [[[0.6, 0, 0.8, 0]], [[0, -1, 0, 0]]], ALGEBRA)
    assert feature_maps.amplitudes_of([True, False]).tolist() == [1.0, 0.0]
    assert feature_maps.amplitudes_of(np.ones(3, dtype=np.float32)).dtype == np.float32
    assert feature_maps.amplitudes_of([1.0]).tolist() == [1.0, 0.0]
    assert feature_maps.amplitudes_of([1.0], n_qubits=3).shape == (8,)
    assert feature_maps.amplitudes_of(np.ones((0, 3))).shape == (0, 4)


def test_label_superposition_is_uniform_over_its_strings() -> None:
    circuit = feature_maps.label_superposition(["011", "100", "111"], phases=[0.0, 0.5, -1.0])
    expected = np.zeros(8, dtype=complex)
    expected[[3, 4, 7]] = np.exp(1j * np.array([0.0, 0.5, -1.0])) / np.sqrt(3)
    assert_close(oracle.state_of(circuit), expected, ALGEBRA)
    by_bits = feature_maps.label_superposition(np.array([[0, 1, 1], [1, 0, 0]]))
    assert_close(abs(oracle.state_of(by_bits)) ** 2, np.isin(np.arange(8), (3, 4)) / 2, ALGEBRA)


def test_states_and_products() -> None:
    assert_close(oracle.state_of(feature_maps.state([0, 3j, 4])), [0, 0.6j, 0.8, 0], ALGEBRA)
    circuit = feature_maps.product([[1, 1j], [0, 2], [3, 4]])
    expected = np.kron(np.kron(np.array([1, 1j]) / np.sqrt(2), [0, 1]), [0.6, 0.8])
    assert_close(oracle.state_of(circuit), expected, ALGEBRA)


# --- by rotations -------------------------------------------------------------------------------------------

PARTS = st.floats(-1, 1, width=32)


@given(st.integers(1, 4).flatmap(lambda n: numpy_strategies.arrays(float, (2, 2**n), elements=PARTS)))
def test_any_state_is_prepared_exactly_by_rotations(parts: np.ndarray) -> None:
    amplitudes = parts[0] + 1j * parts[1]
    if np.linalg.norm(amplitudes) < 1e-3:
        return
    expected = amplitudes / np.linalg.norm(amplitudes)
    assert_close(oracle.state_of(feature_maps.prepare_decomposed(amplitudes)), expected, ALGEBRA)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_preparation_costs_what_the_paper_says(n_qubits: int) -> None:
    random = np.random.default_rng(n_qubits)
    real = feature_maps.prepare_decomposed(random.normal(size=2**n_qubits))
    names = [op.name for op in real]
    assert set(names) <= {"ry", "cx"}
    assert names.count("ry") == 2**n_qubits - 1
    assert names.count("cx") == 2**n_qubits - 2
    both = feature_maps.prepare_decomposed(random.normal(size=2**n_qubits) + 1j * random.normal(size=2**n_qubits))
    assert {op.name for op in both} <= {"ry", "rz", "cx", "exp_i"}


def test_real_states_with_signs_and_zeros_need_no_rz() -> None:
    amplitudes = np.array([0.0, -0.6, 0.0, 0.0, 0.8, 0.0, 0.0, 0.0])
    circuit = feature_maps.prepare_decomposed(amplitudes)
    assert_close(oracle.state_of(circuit), amplitudes, ALGEBRA)
    assert all(op.name in ("ry", "cx") for op in circuit)


@pytest.mark.parametrize("axis", ["Y", "Z"])
def test_a_multiplexed_rotation_is_block_diagonal(axis: str) -> None:
    angles = np.random.default_rng(1).normal(size=4)
    circuit = multiplexed_rotation(Circuit(3), angles, axis=axis, target=1, controls=(2, 0))
    expected = Circuit(3)
    for place, angle in enumerate(angles):
        flips = [qubit for qubit, bit in zip((2, 0), (place >> 1, place & 1), strict=True) if not bit]
        for qubit in flips:
            expected.x(qubit)
        expected.pauli_rotation(float(angle), axis, 1, controls=(2, 0))
        for qubit in flips:
            expected.x(qubit)
    assert_close(oracle.unitary_of(circuit), oracle.unitary_of(expected), ALGEBRA)


def test_a_diagonal_by_rotations_keeps_its_global_phase() -> None:
    phases = np.random.default_rng(2).normal(size=8)
    circuit = diagonal_by_rotations(Circuit(3), phases, (0, 1, 2))
    assert_close(oracle.unitary_of(circuit), np.diag(np.exp(1j * phases)), ALGEBRA)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_separable_kernel_is_that_of_the_study(n_layers: int) -> None:
    """The states are those of u(x)^dagger with u = (RX(pi/4) RY(x))^n, up to Z on each qubit, which overlaps lose."""
    rows = np.array([[0.3, -1.2], [1.1, 0.4], [-0.8, 1.5]])

    def overlap(first: np.ndarray, second: np.ndarray) -> float:
        value = 1.0
        for x, other in zip(first, second, strict=True):
            u, v = (np.linalg.matrix_power(rotation("x", np.pi / 4) @ rotation("y", a), n_layers) for a in (x, other))
            value *= abs((v @ u.conj().T)[0, 0]) ** 2
        return value

    states = [oracle.state_of(feature_maps.separable(2, n_layers), row) for row in rows]
    gram = [[abs(np.vdot(one, other)) ** 2 for other in states] for one in states]
    assert_close(np.array(gram), np.array([[overlap(a, b) for b in rows] for a in rows]), atol=ALGEBRA)


def test_the_heisenberg_map_evolves_a_chain() -> None:
    circuit = feature_maps.heisenberg(2, 3)
    assert (circuit.n_qubits, circuit.n_data, circuit.n_weights) == (3, 2, 9)
    weights, angles = np.linspace(0.1, 2.0, 9), np.array([0.7, -0.4])
    expected = np.ones(1)
    for a, b, c in weights.reshape(3, 3):
        expected = np.kron(expected, rotation("z", c) @ rotation("y", b) @ rotation("z", a) @ [1.0, 0.0])
    for _ in range(3):
        for number, angle in enumerate(angles):
            for letter in "XYZ":
                pair = np.kron(oracle.LETTERS[letter], oracle.LETTERS[letter])
                turn = np.cos(angle / 2) * np.eye(4) - 1j * np.sin(angle / 2) * pair
                whole = np.kron(turn, np.eye(2)) if number == 0 else np.kron(np.eye(2), turn)
                expected = whole @ expected
    assert_close(oracle.state_of(circuit, angles, weights), expected, atol=ALGEBRA)


def rotation(axis: str, angle: float) -> np.ndarray:
    return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * LETTERS[axis]


# --- refusals -----------------------------------------------------------------------------------------------


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match='must be "x", "y", "z" or three numbers, but is \'w\''):
        feature_maps.angle(2, axis="w")
    with pytest.raises(ValueError, match="three finite numbers, not all 0"):
        feature_maps.angle(2, axis=(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="`n_layers` must be at least 1"):
        feature_maps.separable(2, 0)
    with pytest.raises(ValueError, match="`n_inputs` must be at least 1"):
        feature_maps.heisenberg(0)
    with pytest.raises(ValueError, match="must hold no zero vector"):
        feature_maps.amplitudes_of([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        feature_maps.amplitudes_of([1.0, np.nan])
    with pytest.raises(ValueError, match=r"at most 2 features for 1 qubits, but has 3\. Take 2 qubits"):
        feature_maps.amplitudes_of([1.0, 2.0, 3.0], n_qubits=1)
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., features\), but has shape \(0,\)"):
        feature_maps.amplitudes_of([])
    with pytest.raises(ValueError, match=r"must have shape \(features,\)"):
        feature_maps.state(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"must have shape \(n_qubits, 2\)"):
        feature_maps.product([1.0, 0.0])


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        ([], "at least one bit string"),
        (["01", "1"], "all equally long"),
        (["01", "01"], "must not repeat a string"),
        (["02"], "must hold only 0 and 1"),
        ([[0.5, 1.0]], "must hold only 0 and 1"),
    ],
)
def test_bad_strings_are_refused(strings: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        feature_maps.label_superposition(strings)
    if len(strings) == 1:
        with pytest.raises(ValueError, match=message):
            feature_maps.basis_state(strings[0])


# --- Chebyshev polynomials --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", ["tower", "sparse"])
@given(x=st.floats(-1.0, 1.0))
def test_a_qubit_of_the_chebyshev_map_reads_a_chebyshev_polynomial(degrees: Any, x: float) -> None:
    computed = feature_maps.chebyshev(4, degrees=degrees)
    values = oracle.expectation(computed.circuit, computed.data([[x]]), np.zeros(0), [Z(qubit) for qubit in range(4)])
    multiples = [1, 2, 3, 4] if degrees == "tower" else [1] * 4
    expected = [np.polynomial.chebyshev.Chebyshev.basis(2 * m)(x) for m in multiples]
    assert_close(values, [expected], ALGEBRA)


def test_inputs_of_the_chebyshev_map_take_turns() -> None:
    computed = feature_maps.chebyshev(5, 2)
    assert str(computed.angles) == "(2*arccos(x0), 2*arccos(x1), 4*arccos(x0), 4*arccos(x1), 6*arccos(x0))"
    with pytest.raises(ValueError, match=r"`n_qubits` must be at least 2, .* Each input takes a qubit or more"):
        feature_maps.chebyshev(1, 2)


@pytest.mark.plain
def test_unknown_degrees_of_the_chebyshev_map_are_refused() -> None:
    with pytest.raises(ValueError, match="`degrees` must be one of"):
        feature_maps.chebyshev(2, degrees="all")  # pyright: ignore[reportArgumentType]


def test_behind_the_chebyshev_map_stand_even_degrees_up_to_the_sum() -> None:
    """An expectation value at 60 points is a sum of T_k and sqrt(1 - x^2) U_{k-1} with even k up to 2 + 4."""
    x = np.cos(np.linspace(0.1, 3.0, 60))
    computed = feature_maps.chebyshev(2).compose(ansatzes.strongly_entangling(2, 2))
    weights = np.random.default_rng(0).uniform(-np.pi, np.pi, computed.n_weights)
    values = oracle.expectation(computed.circuit, computed.data(x[:, None]), weights, [X(0) @ Z(1)])[:, 0]
    theta = np.arccos(x)
    basis = np.stack([wave(k * theta) for k in (0, 2, 4, 6) for wave in (np.cos, np.sin) if k or wave is np.cos], 1)
    assert_close(basis @ np.linalg.lstsq(basis, values, rcond=None)[0], values, ALGEBRA)
    assert np.abs(basis[:, :5] @ np.linalg.lstsq(basis[:, :5], values, rcond=None)[0] - values).max() > 1e-3


def test_an_input_outside_of_the_chebyshev_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"arccos\(x0\) a real and finite value, but it is arccos of 1.5"):
        feature_maps.chebyshev(2).data([[1.5]])
