"""Samples against the exact distribution: chi-square tests that cry wolf once in a million, with fixed seeds."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from circuits import Circuit, X, Z, data, weight
from circuits.gates import Measure, PostSelect
from qml.backends import Aer, Backend, Native, Samples
from qml.jobs import Pub
from tests import oracle
from tests.helpers import assert_close, assert_fits, is_likely, tensors
from tests.minimal_backend import OracleBackend
from tests.named import CASES
from tests.strategies import MID_CIRCUIT_KINDS, NOISE_KINDS, UNITARY_KINDS, Case, Recipe, build, examples, recipes

SHOTS = 2000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counts_of(bits: Tensor) -> np.ndarray:
    """How often each outcome occurs; (shots, bits), the first bit most significant, to (2**bits,)."""
    places = 2 ** torch.arange(bits.shape[1] - 1, -1, -1)
    return torch.bincount((bits.long() * places).sum(1), minlength=2 ** bits.shape[1]).numpy()


def joint_distribution(case: Case, sample: np.ndarray) -> np.ndarray:
    """Probabilities of (recorded bits, final qubits): each measurement selected, one outcome after the other."""
    n_bits = case.circuit.n_bits
    rows = []
    for record in product((0, 1), repeat=n_bits):
        selected = Circuit(case.circuit.n_qubits)
        for op in case.circuit.operations:
            gate = PostSelect(record[op.gate.bit]) if isinstance(op.gate, Measure) else op.gate
            selected.append(gate, op.qubits, controls=op.controls, angles=op.angles)
        density = oracle.unnormalised_density(selected, sample, case.weights)
        rows.append(np.diag(density).real)
    return np.concatenate(rows) / np.sum(rows)


def assert_samples_fit(backend: Backend, case: Case, shots: int = SHOTS, seed: int = 0) -> None:
    samples = backend.sample(case.circuit, *tensors(case), shots, generator=generator(seed))
    n_bits, n_qubits = case.circuit.n_bits, case.circuit.n_qubits
    assert samples.qubits.shape == (len(case.data), shots, n_qubits)
    assert samples.bits.shape == (len(case.data), shots, n_bits)
    for row, sample in enumerate(case.data):
        together = torch.cat([samples.bits[row], samples.qubits[row]], 1)
        assert_fits(counts_of(together), joint_distribution(case, sample))


# --- the distribution -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_samples_of_named_circuits_fit_the_exact_distribution(name: str) -> None:
    assert_samples_fit(Native(), CASES[name])


@examples(60)
@given(recipes(max_qubits=4))
def test_samples_of_random_unitary_circuits_fit_the_exact_distribution(recipe: Recipe) -> None:
    assert_samples_fit(Native(), build(recipe))


# Each measurement doubles the joint distribution, so few of them.
@examples(40)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS), max_qubits=3, max_steps=6))
def test_samples_of_random_circuits_of_every_kind_fit_the_exact_distribution(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    assert_samples_fit(Native(), case, shots=500)


@pytest.mark.parametrize("name", ["fixed_gates", "controlled_rotations", "resets"])
def test_samples_of_the_minimal_backend_fit_too(name: str) -> None:
    assert_samples_fit(OracleBackend(), CASES[name])


def test_recorded_bits_and_final_qubits_belong_to_the_same_run() -> None:
    circuit = Circuit(3).h(0).measure(0).cx(0, 1).h(2).measure(2, bit=1).x(0)
    samples = Native().sample(circuit, torch.zeros(1, 0), torch.zeros(0), 200, generator=generator())
    first, second = samples.bits[0].mT
    assert torch.equal(samples.qubits[0, :, 1], first)
    assert torch.equal(samples.qubits[0, :, 0], 1 - first)
    assert torch.equal(samples.qubits[0, :, 2], second)
    assert 0 < first.sum() < 200


def test_a_bit_that_is_written_twice_keeps_the_later_value() -> None:
    circuit = Circuit(1).measure(0, bit=0).x(0).measure(0, bit=0)
    samples = Native().sample(circuit, torch.zeros(1, 0), torch.zeros(0), 20, generator=generator())
    assert (samples.bits == 1).all()


def test_a_bit_that_nothing_writes_is_zero() -> None:
    circuit = Circuit(1).x(0).measure(0, bit=2)
    samples = Native().sample(circuit, torch.zeros(1, 0), torch.zeros(0), 5, generator=generator())
    assert samples.bits[0].tolist() == [[0, 0, 1]] * 5


def test_amplitudes_may_be_prepared_after_a_measurement_of_others() -> None:
    circuit = Circuit(3).h(0).measure(0).prepare([0.6, 0.8], 1).prepare_slots([data(0), data(1)], 2).cx(2, 0)
    case = Case(circuit, np.array([[0.8, -0.6]]), np.zeros(0), [])
    assert_samples_fit(Native(), case)


def test_shots_are_independent_of_each_other() -> None:
    """Each shot and the next: pairs have the product distribution."""
    case = CASES["data_and_weights_by_turns"]
    for circuit in (case.circuit, case.circuit.copy().measure(0)):
        samples = Native().sample(circuit, *tensors(case), 8001, qubits=[0, 2], generator=generator(4))
        exact = oracle.probabilities(*case[:3], [0, 2])
        for row in range(len(case.data)):
            pairs = torch.cat([samples.qubits[row, :-1:2], samples.qubits[row, 1::2]], 1)
            assert_fits(counts_of(pairs), np.outer(exact[row], exact[row]).ravel())


def test_samples_of_the_batch_are_independent_of_each_other() -> None:
    case = Case(Circuit(1).h(0).rz(data(0), 0), np.zeros((2, 1)), np.zeros(0), [])
    for circuit in (case.circuit, case.circuit.copy().measure(0)):
        samples = Native().sample(circuit, *tensors(case), SHOTS, generator=generator(5))
        assert_fits(counts_of(samples.qubits[:, :, 0].mT), np.full(4, 0.25))


@pytest.mark.parametrize("qubits", [[2], [0, 2], [2, 0], [1, 2, 0], None])
@pytest.mark.parametrize("recorded", [False, True])
def test_qubits_come_in_the_order_asked_for(qubits: list[int] | None, recorded: bool) -> None:
    case = CASES["data_and_weights_by_turns"]
    circuit = case.circuit.copy().measure(1) if recorded else case.circuit
    samples = Native().sample(circuit, *tensors(case), SHOTS, qubits=qubits, generator=generator())
    exact = oracle.probabilities(*case[:3], qubits)
    for row in range(len(case.data)):
        assert_fits(counts_of(samples.qubits[row]), exact[row])


def test_means_of_samples_are_expectation_values() -> None:
    case = CASES["long_pauli_strings"]
    observables = [Z(0), Z(4) @ Z(1)]
    bits = Native().sample(case.circuit, *tensors(case), 20000, generator=generator(7)).qubits.double()
    signs = 1 - 2 * bits
    means = torch.stack([signs[..., 0].mean(1), (signs[..., 4] * signs[..., 1]).mean(1)], 1)
    exact = oracle.expectation(*case[:3], observables)
    # Six means: one leaves five standard deviations once in 300,000 runs.
    assert (np.abs(means.numpy() - exact) < 5 * np.sqrt((1 - exact**2) / 20000)).all()


# --- planted faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["another angle", "qubits reversed", "measurement after the gate"])
def test_a_wrong_distribution_is_caught(fault: str) -> None:
    right = Circuit(2).ry(weight(0), 0).measure(0).ry(0.5, 0).cx(0, 1).ry(0.4, 1)
    wrong = {
        "another angle": Circuit(2).ry(weight(0), 0).measure(0).ry(0.7, 0).cx(0, 1).ry(0.4, 1),
        "qubits reversed": Circuit(2).ry(weight(0), 1).measure(1).ry(0.5, 1).cx(1, 0).ry(0.4, 0),
        "measurement after the gate": Circuit(2).ry(weight(0), 0).ry(0.5, 0).measure(0).cx(0, 1).ry(0.4, 1),
    }[fault]

    class Faulty(Native):
        def sample(self, circuit: Circuit, *inputs: Any, **options: Any) -> Samples:
            return Native().sample(wrong, *inputs, **options)

    case = Case(right, np.zeros((1, 0)), np.array([0.9]), [])
    assert_samples_fit(Native(), case)
    with pytest.raises(AssertionError, match=r"do not fit|Impossible"):
        assert_samples_fit(Faulty(), case)


# --- generators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fixed_gates", "measurements", "noise_and_mid_circuit"])
def test_equal_seeds_give_equal_samples(name: str) -> None:
    case = CASES[name]
    first, again, other = (
        Native().sample(case.circuit, *tensors(case), 300, generator=generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.qubits, again.qubits)
    assert torch.equal(first.bits, again.bits)
    assert not torch.equal(first.qubits, other.qubits)


@pytest.mark.parametrize("name", ["fixed_gates", "measurements", "noise_and_mid_circuit"])
def test_a_generator_of_ones_own_leaves_the_global_one_alone(name: str) -> None:
    case = CASES[name]
    before = torch.random.get_rng_state()
    Native(readout_error=(0.1, 0.2)).sample(case.circuit, *tensors(case), 50, generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_generator_calls_differ() -> None:
    case = CASES["fixed_gates"]
    first, second = (Native().sample(case.circuit, *tensors(case), 300).qubits for _ in range(2))
    assert not torch.equal(first, second)


# --- edges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [1, 7])
@pytest.mark.parametrize("name", ["fixed_gates", "measurements"])
def test_any_number_of_shots(name: str, shots: int) -> None:
    case = CASES[name]
    samples = Native().sample(case.circuit, *tensors(case), shots)
    assert samples.qubits.shape == (3, shots, 3)
    assert samples.bits.shape == (3, shots, case.circuit.n_bits)
    assert samples.qubits.dtype == samples.bits.dtype == torch.int8


@pytest.mark.parametrize("name", ["fixed_gates", "measurements"])
def test_no_samples_of_an_empty_batch(name: str) -> None:
    case = CASES[name]
    samples = Native().sample(case.circuit, tensors(case)[0][:0], tensors(case)[1], 4, qubits=[1])
    assert samples.qubits.shape == (0, 4, 1)
    assert samples.bits.shape == (0, 4, case.circuit.n_bits)


@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "measurements"])
def test_samples_have_no_gradient(name: str) -> None:
    case = CASES[name]
    inputs = [tensor.requires_grad_() for tensor in tensors(case)]
    samples = Native().sample(case.circuit, *inputs, 10)
    assert not samples.qubits.requires_grad
    assert not samples.bits.requires_grad


@pytest.mark.parametrize("shots", [0, -3])
def test_fewer_than_one_shot_is_refused(shots: int) -> None:
    with pytest.raises(ValueError, match=f"`shots` must be at least 1, but is {shots}"):
        Native().sample(Circuit(1), torch.zeros(1, 0), torch.zeros(0), shots)


@pytest.mark.parametrize("shots", [2**31, 99_999_999_999_999_999_999])
def test_more_shots_than_can_be_counted_are_refused(shots: int) -> None:
    message = f"`shots` must be at most 2147483647, but is {shots}"
    with pytest.raises(ValueError, match=message):
        Native().sample(Circuit(1), torch.zeros(1, 0), torch.zeros(0), shots)
    with pytest.raises(ValueError, match=message):
        Aer(shots=shots)
    with pytest.raises(ValueError, match=message):
        Pub(b"", np.zeros((1, 1)), shots=shots)


@pytest.mark.parametrize("measured", [False, True])
def test_post_selection_that_never_succeeds_is_refused(measured: bool) -> None:
    circuit = Circuit(1).post_select(0, 1)
    circuit = circuit.measure(0) if measured else circuit
    with pytest.raises((RuntimeError, ValueError), match=r"[Pp]ost-selection"):
        Native().sample(circuit, torch.zeros(1, 0), torch.zeros(0), 3)


# --- read-out errors ------------------------------------------------------------------------------------------------


def misread(exact: np.ndarray, errors: tuple[float, float]) -> np.ndarray:
    """The distribution of what is read: the confusion matrix on every bit."""
    p, q = errors
    confusion = np.eye(1)
    for _ in range(exact.shape[-1].bit_length() - 1):
        confusion = np.kron(confusion, [[1 - p, q], [p, 1 - q]])
    return exact @ confusion.T


@pytest.mark.parametrize("errors", [(0.0, 0.0), (0.1, 0.25), (1.0, 0.0)])
def test_read_out_errors_mix_the_probabilities(errors: tuple[float, float]) -> None:
    case = CASES["data_and_weights_by_turns"]
    backend = Native(readout_error=errors)
    exact = misread(oracle.probabilities(*case[:3], [2, 0]), errors)
    assert_close(backend.probabilities(case.circuit, *tensors(case), [2, 0]), exact, 1e-10)
    samples = backend.sample(case.circuit, *tensors(case), SHOTS, qubits=[2, 0], generator=generator())
    recorded = backend.sample(
        case.circuit.copy().measure(1), *tensors(case), SHOTS, qubits=[2, 0], generator=generator()
    )
    for row in range(len(case.data)):
        assert_fits(counts_of(samples.qubits[row]), exact[row])
        assert_fits(counts_of(recorded.qubits[row]), exact[row])


def test_read_out_errors_reach_expectation_values() -> None:
    p, q = 0.1, 0.25
    case = CASES["data_and_weights_by_turns"]
    values = Native(readout_error=(p, q)).expectation(case.circuit, *tensors(case), [Z(1), Z(2) @ X(0), Z(0) + 2.0])
    read = [(1 - p - q) * Z(1) + (q - p), ((1 - p - q) * Z(2) + (q - p)) @ ((1 - p - q) * X(0) + (q - p))]
    expected = oracle.expectation(*case[:3], [*read, (1 - p - q) * Z(0) + (q - p) + 2.0])
    assert_close(values, expected, 1e-10)


def test_read_out_errors_reach_recorded_bits() -> None:
    backend = Native(readout_error=(0.2, 0.0))
    samples = backend.sample(Circuit(1).measure(0), torch.zeros(1, 0), torch.zeros(0), SHOTS, generator=generator())
    assert_fits(counts_of(samples.bits[0]), np.array([0.8, 0.2]))


@pytest.mark.parametrize("errors", [(1.2, 0.0), (0.0, -0.1)])
def test_read_out_errors_must_be_probabilities(errors: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"`readout_error\[[01]\]` must be at least 0 and at most 1"):
        Native(readout_error=errors)
