"""Circuits made of circuits: controls, powers, repetitions and other numbers of slots, judged by matrices."""

import numpy as np
import pytest
from hypothesis import given

from circuits import Circuit, data, weight
from tests import oracle
from tests.helpers import assert_close
from tests.strategies import Recipe, build, examples, fill, recipes

ALGEBRA = 1e-11  # a few hundred products in float64
UNITARIES = recipes(preparations=(), max_qubits=3, max_steps=5)


def asymmetric() -> Circuit:
    return Circuit(2).ry(data(0), 0).cx(1, 0).exp_pauli(weight(0), "YX", (1, 0)).p(weight(1), 1).exp_pauli(0.4, "I", 0)


@examples(40)
@given(UNITARIES)
def test_control_is_the_block_matrix(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    samples, weights = fill(circuit, 1, np.random.default_rng(3))
    inputs = (samples[0], weights)
    matrix, side = oracle.unitary_of(circuit, *inputs), 2**circuit.n_qubits
    for values in ([1], [0], [0, 1]):
        controlled = circuit.control(len(values), values=values)
        expected = np.eye(side * 2 ** len(values), dtype=complex)
        start = int("".join(map(str, values)), 2) * side
        expected[start : start + side, start : start + side] = matrix
        assert_close(oracle.unitary_of(controlled, *inputs), expected, ALGEBRA)


@examples(40)
@given(UNITARIES)
def test_power_is_the_power_of_the_matrix(recipe: Recipe) -> None:
    circuit = build(recipe).circuit
    samples, weights = fill(circuit, 1, np.random.default_rng(3))
    inputs = (samples[0], weights)
    matrix = oracle.unitary_of(circuit, *inputs)
    assert_close(oracle.unitary_of(circuit.power(3), *inputs), matrix @ matrix @ matrix, ALGEBRA)
    assert len(circuit.power(0)) == 0


def test_negative_powers_invert() -> None:
    circuit = Circuit(2).rx(data(0), 0).cx(0, 1).rz(weight(0), 1)
    matrix = oracle.unitary_of(circuit, [0.3], [0.7])
    assert_close(oracle.unitary_of(circuit.power(-2), [0.3], [0.7]), np.linalg.inv(matrix @ matrix), ALGEBRA)


def test_repetitions_have_weights_of_their_own_and_share_data() -> None:
    circuit = asymmetric().repeat(3)
    assert (circuit.n_data, circuit.n_weights) == (1, 6)
    weights, product = np.arange(6) / 4 - 0.5, np.eye(4)
    for pair in weights.reshape(3, 2):
        product = oracle.unitary_of(asymmetric(), [0.9], pair) @ product
    assert_close(oracle.unitary_of(circuit, [0.9], weights), product, ALGEBRA)
    assert asymmetric().repeat(3, fresh_data=True).n_data == 3
    assert asymmetric().repeat(1) == asymmetric()


def test_repetitions_measure_into_bits_of_their_own() -> None:
    circuit = Circuit(2).ry(weight(0), 0).measure(0).reset(0).repeat(2)
    assert (circuit.n_bits, circuit.n_weights) == (2, 2)


def test_slots_can_be_shifted_and_renumbered() -> None:
    circuit = Circuit(2).rx(data(0), 0).u3(weight(0), 0.5, weight(1), 1).ry(data(1), 1)
    shifted = circuit.shift_slots(data=2, weights=1)
    assert [op.angles for op in shifted] == [(data(2),), (weight(1), 0.5, weight(2)), (data(3),)]
    renumbered = circuit.renumber(data=[1, 0], weights=[0, 0])
    assert [op.angles for op in renumbered] == [(data(1),), (weight(0), 0.5, weight(0)), (data(0),)]
    assert circuit.renumber() == circuit
    assert circuit.n_weights == 2


def test_composition_can_number_weights_afresh() -> None:
    circuit = Circuit(3).ry(weight(0), 0).compose(asymmetric(), (2, 0), fresh_weights=True)
    circuit.compose(circuit, fresh_weights=True)
    assert (circuit.n_data, circuit.n_weights) == (1, 6)
    half = Circuit(3).ry(weight(0), 0).compose(asymmetric().shift_slots(weights=1), (2, 0))
    first, second = np.array([0.1, 0.2, 0.3]), np.array([-0.4, 0.5, 0.6])
    product = oracle.unitary_of(half, [0.9], second) @ oracle.unitary_of(half, [0.9], first)
    assert_close(oracle.unitary_of(circuit, [0.9], [*first, *second]), product, ALGEBRA)


def test_what_cannot_be_controlled_repeated_or_renumbered_is_refused() -> None:
    prepared = Circuit(1).prepare_slots([data(0), data(1)])
    with pytest.raises(ValueError, match=r"Circuit\.control must find only unitary gates, but found `reset`"):
        Circuit(2).h(0).reset(1).control()
    with pytest.raises(ValueError, match=r"Circuit\.power must find only unitary gates"):
        prepared.power(2)
    with pytest.raises(ValueError, match="already have operations"):
        prepared.repeat(2)
    with pytest.raises(ValueError, match="`n_controls` must be at least 1, but is 0"):
        Circuit(1).control(0)
    with pytest.raises(ValueError, match="`values` must be one of 0, 1, but is 2"):
        Circuit(1).h(0).control(values=[2])
    with pytest.raises(ValueError, match="`values` must hold 2 values"):
        Circuit(1).h(0).control(2, values=[1])
    with pytest.raises(ValueError, match="`weights` must hold 2 numbers"):
        asymmetric().renumber(weights=[0])
    with pytest.raises(ValueError, match="without gaps"):
        _ = asymmetric().renumber(weights=[0, 2]).n_weights


@pytest.mark.plain
def test_a_power_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(TypeError, match="`exponent` must be an int"):
        Circuit(1).power(0.5)  # pyright: ignore[reportArgumentType]
