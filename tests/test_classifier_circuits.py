"""The circuits of Farhi and Neven: wiring, the exact labels, and the formulas of the paper."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from circuits import Circuit, Y, Z, data, weight
from circuits.classifier import (
    classifier_ansatz,
    classifier_circuit,
    label_circuit,
    majority_circuit,
    parity_ansatz,
    parity_circuit,
)
from tests import oracle
from tests.helpers import assert_close

ALGEBRA = 1e-12  # some dozen rotations in float64


def strings(n_inputs: int) -> np.ndarray:
    return np.array(list(product((0, 1), repeat=n_inputs)))


def prediction(circuit: Circuit, weights: object = (), qubit: int | None = None) -> np.ndarray:
    """<Y> of the read-out for every bit string."""
    n_inputs = circuit.n_data
    readout = n_inputs if qubit is None else qubit
    return oracle.expectation(circuit, np.pi * strings(n_inputs), weights, [Y(readout)])[:, 0]


def test_the_ansatz_joins_every_input_to_the_read_out_with_a_weight_of_its_own() -> None:
    circuit = classifier_ansatz(3, "zxy")
    assert (circuit.n_qubits, circuit.n_data, circuit.n_weights, len(circuit)) == (4, 0, 9, 9)
    assert Counter(op.slots for op in circuit) == Counter([(weight(k),) for k in range(9)])
    assert [(op.gate.pauli, op.qubits) for op in circuit] == [
        (letter + "X", (qubit, 3)) for letter in "ZXY" for qubit in range(3)
    ]


def test_the_ansatz_is_the_product_of_exponentials() -> None:
    weights = np.random.default_rng(0).normal(size=4)
    expected = np.eye(8)
    for value, (letter, qubit) in zip(weights, [("Z", 0), ("Z", 1), ("X", 0), ("X", 1)], strict=True):
        expected = expm(1j * value * oracle.pauli_product({qubit: letter, 2: "X"}, 3)) @ expected
    assert_close(oracle.unitary_of(classifier_ansatz(2, "zx"), [], weights), expected, ALGEBRA)


def test_several_read_outs_have_weights_of_their_own() -> None:
    circuit = classifier_ansatz(2, "zx", n_readouts=3)
    assert (circuit.n_qubits, circuit.n_weights) == (5, 12)
    placed = {op.slots[0].index: (op.gate.pauli, op.qubits) for op in circuit}
    assert placed[(1 * 3 + 2) * 2 + 1] == ("XX", (1, 4))
    assert placed[(0 * 3 + 1) * 2 + 0] == ("ZX", (0, 3))


def test_the_default_pattern_is_the_papers() -> None:
    circuit = classifier_circuit(16)
    assert (circuit.n_qubits, circuit.n_data, circuit.n_weights) == (17, 16, 96)
    assert circuit.operations[0] == Circuit(1).rx(data(0), 0).operations[0]


def test_the_circuit_factorises_as_the_paper_says() -> None:
    weights = np.random.default_rng(1).normal(size=9)
    circuit = classifier_circuit(3, "zxy")
    expected = []
    for bits in strings(3):
        overlap = 1.0 + 0.0j
        for qubit, bit in enumerate(bits):
            branches = []
            for sign in (1, -1):
                state = np.eye(2)[bit].astype(complex)
                for layer, letter in enumerate("ZXY"):
                    state = expm(1j * sign * weights[3 * layer + qubit] * oracle.LETTERS[letter]) @ state
                branches.append(state)
            overlap *= np.vdot(branches[1], branches[0])
        expected.append(overlap.imag)
    assert_close(prediction(circuit, weights), np.array(expected), ALGEBRA)


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.sampled_from((-1, 1)), min_size=2**n, max_size=2**n)))
def test_any_label_is_predicted_exactly(label: list[int]) -> None:
    n_inputs = len(label).bit_length() - 1
    circuit = label_circuit(n_inputs, label)
    assert (circuit.n_qubits, circuit.n_data, circuit.n_weights) == (n_inputs + 1, n_inputs, 0)
    assert_close(prediction(circuit), np.array(label, dtype=float), ALGEBRA)


def test_a_label_may_be_a_function_of_the_bits() -> None:
    circuit = label_circuit(3, lambda bits: -1 if bits == (1, 1, 0) else 1)
    assert_close(prediction(circuit), np.where(np.arange(8) == 0b110, -1.0, 1.0), ALGEBRA)


def test_a_parity_as_a_label_is_one_gate() -> None:
    circuit = label_circuit(3, lambda bits: 1 - 2 * (bits[0] ^ bits[2]))
    assert len(circuit) == 3 + 1
    assert circuit.operations[-1].gate.pauli == "ZZX"
    assert circuit.operations[-1].qubits == (0, 2, 3)


@pytest.mark.parametrize("subset", [(0,), (1, 2), (3, 0), (0, 1, 2, 3)])
def test_subset_parity_is_exact(subset: tuple[int, ...]) -> None:
    expected = 1.0 - 2.0 * (strings(4)[:, list(subset)].sum(axis=1) % 2)
    assert_close(prediction(parity_circuit(4, subset)), expected, ALGEBRA)


def test_trained_parity_follows_the_papers_cosine() -> None:
    angles = np.array([0.3, -0.8, 1.9])
    ansatz = parity_ansatz(3)
    assert (ansatz.n_qubits, ansatz.n_weights) == (4, 3)
    circuit = Circuit(4)
    for qubit in range(3):
        circuit.rx(data(qubit), qubit)
    assert_close(prediction(circuit.compose(ansatz), angles), np.cos(2 * strings(3) @ angles), ALGEBRA)


@pytest.mark.parametrize("subset", [(0, 2, 4), (1,), (4, 3, 2, 1, 0), (1, 2)])
def test_subset_majority_follows_the_papers_sine(subset: tuple[int, ...]) -> None:
    votes = (1 - 2 * strings(5))[:, list(subset)].sum(axis=1)
    result = prediction(majority_circuit(5, subset))
    assert_close(result, np.sin(0.9 * np.pi / 5 * votes), ALGEBRA)
    assert np.array_equal(np.sign(result[votes != 0]), np.sign(votes[votes != 0]))


def test_the_exact_circuits_hold_gates_that_hardware_runs() -> None:
    for circuit in (
        label_circuit(3, [1, -1, -1, 1, 1, 1, -1, 1]),
        parity_circuit(3, (0, 2)),
        majority_circuit(3, (1,)),
    ):
        assert circuit.is_unitary
        assert all(op.gate.name != "unitary" for op in circuit)


def test_the_read_out_starts_at_plus_one() -> None:
    # The paper's conventions: with no gate at all <Y_r> = 0 and <Z_r> = 1.
    circuit = classifier_circuit(2, "zx")
    values = oracle.expectation(circuit, np.zeros((1, 2)), np.zeros(4), [Y(2), Z(2)])
    assert_close(values, [[0.0, 1.0]], ALGEBRA)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="must be letters x, y and z"):
        classifier_ansatz(3, "zq")
    with pytest.raises(ValueError, match="must be letters x, y and z"):
        classifier_ansatz(3, "")
    with pytest.raises(ValueError, match="`n_inputs` must be at least 1, but is 0"):
        classifier_circuit(0)
    with pytest.raises(ValueError, match="`n_readouts` must be at least 1, but is 0"):
        classifier_ansatz(2, "z", n_readouts=0)
    with pytest.raises(ValueError, match="`subset` must hold at least one data qubit"):
        parity_circuit(3, ())
    with pytest.raises(ValueError, match="`subset` must not repeat a qubit"):
        majority_circuit(3, (1, 1))
    with pytest.raises(ValueError, match=r"`subset` must lie in 0\.\.2"):
        parity_circuit(3, (3,))
    with pytest.raises(ValueError, match=r"`label` must be \+1 or -1 everywhere, but is 0"):
        label_circuit(1, [1, 0])
    with pytest.raises(ValueError, match=r"`label` must have shape \(4,\), but has shape \(3,\)"):
        label_circuit(2, [1, 1, 1])
    with pytest.raises(ValueError, match="at most 14 for a table of labels, but is 15"):
        label_circuit(15, lambda bits: 1)
