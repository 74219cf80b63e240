"""What holds for every circuit, whatever its gates: properties that need no second implementation."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from circuits import Circuit, Observable, X, Y, Z, channels, data, weight
from qml.backends import Native
from qml.simulator import readout
from tests import oracle
from tests.helpers import assert_close, is_likely, tensors, tolerance
from tests.named import READ_OUTS
from tests.strategies import MID_CIRCUIT_KINDS, NOISE_KINDS, UNITARY_KINDS, Case, Recipe, build, examples, fill, recipes

EVERY_KIND = (*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS)
SAME = 1e-10  # float64, the same numbers in another order


def expectation(circuit: Circuit, case: Case, observables: list[Observable] | None = None) -> Tensor:
    return Native().expectation(circuit, *tensors(case), case.observables if observables is None else observables)


# --- distributions --------------------------------------------------------------------------------------------------


@examples(100)
@given(recipes(EVERY_KIND, max_qubits=4))
def test_probabilities_are_a_distribution(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    found = Native().probabilities(case.circuit, *tensors(case))
    assert (found >= -SAME).all()
    assert_close(found.sum(1), np.ones(len(case.data)), SAME)


@examples(100)
@given(recipes(EVERY_KIND, max_qubits=4))
def test_marginals_are_sums_of_the_whole(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    n = case.circuit.n_qubits
    whole = Native().probabilities(case.circuit, *tensors(case)).reshape(-1, *(2,) * n)
    for qubit in range(n):
        found = Native().probabilities(case.circuit, *tensors(case), [qubit])
        others = [1 + other for other in range(n) if other != qubit]
        assert_close(found, whole.sum(others) if others else whole, SAME)
        # Z is what the probabilities say it is.
        assert_close(found[:, 0] - found[:, 1], expectation(case.circuit, case, [Z(qubit)])[:, 0], SAME)


@examples(100)
@given(recipes(EVERY_KIND, max_qubits=4))
def test_expectation_values_stay_within_the_spectrum(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    values = expectation(case.circuit, case)
    for column, observable in enumerate(case.observables):
        spectrum = np.linalg.eigvalsh(oracle.observable_matrix(observable, case.circuit.n_qubits))
        assert (values[:, column] >= spectrum[0] - 1e-9).all()
        assert (values[:, column] <= spectrum[-1] + 1e-9).all()


@examples(100)
@given(recipes(EVERY_KIND, max_qubits=4))
def test_expectation_is_linear_in_the_observable(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    total = sum((0.5 * each for each in case.observables), start=Observable(((0.25, ()),)))
    found = expectation(case.circuit, case, [total])[:, 0]
    assert_close(found, 0.5 * expectation(case.circuit, case).sum(1) + 0.25, SAME)


# --- circuits that are the same -------------------------------------------------------------------------------------


@examples(60)
@given(recipes(preparations=(), slots=("const",), min_batch=1))
def test_a_circuit_and_its_inverse_return_to_the_start(recipe: Recipe) -> None:
    case = build(recipe)
    n = case.circuit.n_qubits
    there_and_back = case.circuit.copy().compose(case.circuit.inverse())
    found = Native().probabilities(there_and_back, *tensors(case))
    assert_close(found[:, 0], np.ones(len(case.data)), SAME)
    assert found.shape[1] == 2**n


@examples(60)
@given(recipes(EVERY_KIND, max_qubits=4), st.randoms(use_true_random=False))
def test_names_of_the_qubits_do_not_matter(recipe: Recipe, random: object) -> None:
    case = build(recipe)
    assume(is_likely(case))
    n = case.circuit.n_qubits
    places = list(range(n))
    random.shuffle(places)  # pyright: ignore[reportAttributeAccessIssue]
    moved = [
        Observable(tuple((c, tuple((places[q], letter) for q, letter in factors)) for c, factors in observable.terms))
        for observable in case.observables
    ]
    found = expectation(Circuit(n).compose(case.circuit, places), case, moved)
    assert_close(found, expectation(case.circuit, case), SAME)


@examples(60)
@given(recipes(EVERY_KIND, max_qubits=4))
def test_idle_qubits_change_nothing(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    wider = Circuit(case.circuit.n_qubits + 1).compose(case.circuit)
    assert_close(expectation(wider, case), expectation(case.circuit, case), SAME)


@examples(60)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1))
def test_bound_slots_are_constants(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    bound = case.circuit.bind(case.data[0], case.weights)
    empty = Case(bound, np.zeros((1, 0)), np.zeros(0), case.observables)
    assert_close(expectation(bound, empty), expectation(case.circuit, case)[:1], SAME)


@examples(60)
@given(recipes(EVERY_KIND, preparations=("constant",), max_qubits=4, min_batch=1))
def test_data_and_weights_may_change_places(recipe: Recipe) -> None:
    """With one sample the two kinds of slots differ only in where the values come from."""
    case = build(recipe)
    case = case._replace(data=case.data[:1])
    assume(is_likely(case))
    swapped = Circuit(case.circuit.n_qubits)
    for op in case.circuit.operations:
        angles = [
            angle if isinstance(angle, float) else (weight if angle.kind == "data" else data)(angle.index)
            for angle in op.angles
        ]
        swapped.append(op.gate, op.qubits, controls=op.controls, angles=angles)
    other = Case(swapped, case.weights[None], case.data[0], case.observables)
    assert_close(expectation(swapped, other), expectation(case.circuit, case), SAME)


@examples(40)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=2), st.integers(0, 2**16))
def test_samples_of_the_batch_do_not_meet(recipe: Recipe, seed: int) -> None:
    case = build(recipe)
    assume(is_likely(case))
    order = np.random.default_rng(seed).integers(len(case.data), size=9)  # repeated, left out, out of order
    shuffled = case._replace(data=case.data[order])
    assert_close(expectation(case.circuit, shuffled), expectation(case.circuit, case)[order], SAME)


@examples(40)
@given(recipes(tuple(kind for kind in UNITARY_KINDS if kind not in ("p", "u3", "unitary")), preparations=("constant",)))
def test_angles_have_period_four_pi(recipe: Recipe) -> None:
    case = build(recipe)
    turned = case._replace(data=case.data + 4 * np.pi, weights=case.weights - 4 * np.pi)
    assert_close(expectation(case.circuit, turned), expectation(case.circuit, case), SAME)


# --- single operations after any circuit ----------------------------------------------------------------------------


@examples(60)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1))
def test_reset_measure_and_post_select_do_what_they_say(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    ones = np.ones(len(case.data))
    qubit = case.circuit.n_qubits - 1
    before = expectation(case.circuit, case, [Z(qubit)])[:, 0]
    after = expectation(case.circuit.copy().reset(qubit), case, [Z(qubit), X(qubit)])
    assert_close(after, np.stack([ones, 0 * ones], 1), SAME)
    measured = expectation(case.circuit.copy().measure(qubit), case, [Z(qubit), X(qubit), Y(qubit)])
    assert_close(measured[:, 0], before, SAME)
    assert_close(measured[:, 1:], np.zeros((len(ones), 2)), SAME)
    for value in (0, 1):
        selected = case._replace(circuit=case.circuit.copy().post_select(qubit, value))
        if is_likely(selected):
            found = expectation(selected.circuit, case, [Z(qubit)])[:, 0]
            assert_close(found, (1 - 2 * value) * ones, tolerance(selected, torch.float64))


@examples(40)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1))
def test_channels_do_nothing_at_strength_zero_and_all_at_one(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    qubit = case.circuit.n_qubits - 1
    letters = [X(qubit), Y(qubit), Z(qubit)]
    before = expectation(case.circuit, case, letters)
    for channel in (channels.depolarizing, channels.amplitude_damping, channels.phase_damping, channels.bit_flip):
        assert_close(expectation(case.circuit.copy().noise(channel(0.0), qubit), case, letters), before, SAME)
    expected = {
        channels.depolarizing: [0.0, 0.0, 0.0],
        channels.amplitude_damping: [0.0, 0.0, 1.0],
        channels.phase_damping: [0.0, 0.0, None],
        channels.bit_flip: [None, "-", "-"],
    }
    for channel, values in expected.items():
        after = expectation(case.circuit.copy().noise(channel(1.0), qubit), case, letters)
        for column, value in enumerate(values):
            kept = before[:, column]
            wanted = kept if value is None else -kept if value == "-" else torch.full_like(kept, value)
            assert_close(after[:, column], wanted, SAME)


# --- larger registers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_qubits", [8, 11, 12])
def test_a_ghz_state_is_correlated_in_all_bases(n_qubits: int) -> None:
    circuit = Circuit(n_qubits).h(n_qubits - 1)
    for qubit in range(n_qubits - 1, 0, -1):
        circuit.cx(qubit, qubit - 1)
    circuit.rz(weight(0), 3)
    parity = X(0)
    for qubit in range(1, n_qubits):
        parity = parity @ X(qubit)
    inputs = torch.zeros(2, 0, dtype=torch.float64), torch.tensor([0.4], dtype=torch.float64)
    values = Native().expectation(circuit, *inputs, [parity, Z(0) @ Z(n_qubits - 1), Z(5)])
    assert_close(values, [[np.cos(0.4), 1.0, 0.0]] * 2, SAME)


@pytest.mark.parametrize("representation", ["state", "density"])
def test_a_layered_circuit_is_the_oracle_on_seven_qubits(representation: str) -> None:
    circuit = Circuit(7)
    for layer in range(2):
        for qubit in range(7):
            circuit.ry(data(qubit), qubit).rz(weight(7 * layer + qubit), qubit)
        for qubit in range(7):
            circuit.cx(qubit, (qubit + 3) % 7)
    observables = [Z(6), Y(0) @ X(5), 0.5 * (Z(1) @ Y(3) @ X(6))]
    case = Case(circuit, *fill(circuit, 2, np.random.default_rng(3)), observables)
    found = Native(representation=representation).expectation(circuit, *tensors(case), observables)
    assert_close(found, oracle.expectation(*case), SAME)


# --- circuits that factorise ----------------------------------------------------------------------------------------

# Every gate joins one data qubit to the read-out's X (arXiv:1802.06002): the planner must see where it is so.
FACTOR_STEPS = st.lists(
    st.tuples(st.sampled_from(["ZX", "XX", "YX", "X"]), st.integers(0, 3), st.booleans()), max_size=10
)


def factorising(steps: list[tuple[str, int, bool]], read_out: int) -> Circuit:
    others = [qubit for qubit in range(5) if qubit != read_out]
    circuit = Circuit(5)
    for number, qubit in enumerate(others):
        circuit.ry(data(number), qubit)
    for number, (pauli, place, by_data) in enumerate(steps):
        slot = data(number % 4) if by_data else weight(0)
        if pauli == "X":
            circuit.rx(slot, read_out)
        else:
            circuit.exp_pauli(slot, pauli, (others[place], read_out))
    return circuit.rx(weight(0), read_out)


@examples(80)
@given(FACTOR_STEPS, st.integers(0, 4), st.integers(0, 3))
def test_factorising_circuits_are_the_oracle(steps: list[tuple[str, int, bool]], read_out: int, batch: int) -> None:
    circuit = factorising(steps, read_out)
    observables = [Z(read_out), Y(read_out), 0.5 * X(read_out) - 0.25, *READ_OUTS[5]]
    case = Case(circuit, *fill(circuit, batch, np.random.default_rng(len(steps))), observables)
    for chosen in (observables[:1], observables[:3], observables):
        found = expectation(circuit, case, chosen)
        assert_close(found, oracle.expectation(*case[:3], chosen), SAME)


@examples(60)
@given(FACTOR_STEPS, recipes(max_qubits=1, max_steps=0), st.sampled_from(["cx", "h", "swap", "rz", "z"]))
def test_one_other_gate_ends_the_factorisation_and_nothing_else(
    steps: list[tuple[str, int, bool]], recipe: Recipe, other: str
) -> None:
    circuit = factorising(steps, 4)
    {
        "cx": lambda: circuit.cx(4, 0),
        "h": lambda: circuit.h(4),
        "swap": lambda: circuit.swap(4, 1),
        "rz": lambda: circuit.rz(weight(0), 4),
        "z": lambda: circuit.z(4),
    }[other]()
    circuit.exp_pauli(0.3, "ZX", (2, 4))
    case = Case(circuit, *fill(circuit, 2, np.random.default_rng(recipe[5])), [Z(4), Y(4)])
    assert_close(expectation(circuit, case), oracle.expectation(*case), SAME)


@pytest.mark.parametrize("n_inputs", [40, 784])
def test_a_factorising_register_of_hundreds_of_qubits_has_its_closed_form(n_inputs: int) -> None:
    """Data qubits in basis states z = +-1 turn the read-out by 2 sum theta z: <Z> = cos, <Y> = sin of it."""
    circuit = Circuit(n_inputs + 1)
    for qubit in range(n_inputs):
        circuit.rx(data(qubit), qubit)
    for qubit in range(n_inputs):
        circuit.exp_pauli(weight(qubit), "ZX", (qubit, n_inputs))
    random = np.random.default_rng(9)
    bits = random.integers(2, size=(3, n_inputs))
    weights = random.normal(size=n_inputs) / np.sqrt(n_inputs)
    inputs = torch.tensor(np.pi * bits), torch.tensor(weights, requires_grad=True)
    values = Native().expectation(circuit, *inputs, [Z(n_inputs), Y(n_inputs)])
    signs = 1 - 2 * bits
    angle = 2 * signs @ weights
    assert_close(values, np.stack([np.cos(angle), np.sin(angle)], 1), 1e-9)  # a product of 784 factors
    (gradient,) = torch.autograd.grad(values[:, 0].sum(), inputs[1])
    assert_close(gradient, -2 * np.sin(angle) @ signs, 1e-9)


def test_star_circuit_with_idle_letters_is_right_above_the_size_that_factorises() -> None:
    circuit = Circuit(6).exp_pauli(weight(0), "XIZ", (0, 1, 2))
    for qubit in range(2, 6):
        circuit.exp_pauli(0.3, "XZ", (0, qubit)).ry(data(0), 1)
    inputs, weights = torch.rand(2, 1, dtype=torch.float64), torch.rand(1, dtype=torch.float64)
    expected = oracle.expectation(circuit, inputs.numpy(), weights.numpy(), [Z(0), Y(0), X(1)])
    found = Native().expectation(circuit, inputs, weights, [Z(0), Y(0), X(1)])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)  # float64 algebra


def test_many_strings_are_read_by_walsh_transforms_as_by_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(5)
    for qubit in range(5):
        circuit.rx(weight(qubit), qubit).cx(qubit, (qubit + 1) % 5).ry(weight(5 + qubit), qubit)
    observables = [Z(k) + 0.3 * X((k + 1) % 5) @ Y((k + 2) % 5) - 0.1 for k in range(5)]
    weights = torch.rand(10, dtype=torch.float64, requires_grad=True)
    results = []
    for limit in (readout.MAX_TABLE_ENTRIES, 1):
        monkeypatch.setattr(readout, "MAX_TABLE_ENTRIES", limit)
        values = Native().expectation(circuit.copy(), torch.zeros(2, 0, dtype=torch.float64), weights, observables)
        results.append([values, *torch.autograd.grad(values.square().sum(), weights)])
    for dense, walsh in zip(*results, strict=True):
        torch.testing.assert_close(dense, walsh, atol=1e-12, rtol=0)  # float64 algebra
