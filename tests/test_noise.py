"""A device's noise in the native simulator: the numbers of Aer, differentiable."""

from typing import Any

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate
from qiskit_aer.noise import (
    NoiseModel,
    QuantumError,
    ReadoutError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    pauli_error,
    phase_damping_error,
    thermal_relaxation_error,
)

from circuits import Circuit, X, Y, Z, channels, weight
from qml.backends import Aer, Native, NoisyNative, resolve
from qml.backends.noisy_native import NoisyCircuit
from qml.nn import QNNClassifier
from qml.plugins.qiskit import Estimator
from tests.helpers import assert_close, tensors
from tests.named import CASES

# Aer takes a channel's Kraus operators from its Choi matrix, to the root of the rounding, 1e-8; a gradient adds up some
# of these. 1e-6 is what is promised.
AGREEMENT = 1e-7


def every_channel() -> NoiseModel:
    """Each kind of error, by gate and by qubit; an error of one qubit replaces that of all."""
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["sx"])
    model.add_quantum_error(amplitude_damping_error(0.05), ["sx"], [1])
    model.add_quantum_error(phase_damping_error(0.07), ["x"], [0])
    model.add_all_qubit_quantum_error(depolarizing_error(0.04, 2), ["cx"])
    relaxation = thermal_relaxation_error(50e3, 70e3, 500).expand(thermal_relaxation_error(90e3, 60e3, 500))
    model.add_quantum_error(relaxation, ["cx"], [0, 1])
    model.add_quantum_error(pauli_error([("XI", 0.05), ("ZY", 0.02), ("II", 0.93)]), ["cx"], [1, 2])
    model.add_readout_error(ReadoutError([[0.95, 0.05], [0.12, 0.88]]), [0])
    model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.03, 0.97]]))
    return model


@pytest.mark.parametrize("noise", ["fake_torino", "fake_manila", every_channel()], ids=["torino", "manila", "every"])
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "farhi_neven_exponentials"])
def test_noise_is_that_of_aer_in_values_gradients_and_probabilities(noise: Any, name: str) -> None:
    case = CASES[name]
    results = []
    for backend in (NoisyNative(noise), Aer(noise=noise)):
        leaves = [leaf.requires_grad_() for leaf in tensors(case)]
        values = backend.expectation(case.circuit, *leaves, case.observables)
        slopes = torch.autograd.grad((values**2).sum(), leaves)
        results.append((values, *slopes, backend.probabilities(case.circuit, *tensors(case), [2, 0])))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, AGREEMENT)
    ideal = Native().expectation(case.circuit, *tensors(case), case.observables)
    assert (results[0][0] - ideal).abs().max() > 1e-3


def test_derivatives_of_any_order_are_right() -> None:
    backend = NoisyNative(every_channel())
    inputs = torch.zeros(1, 0, dtype=torch.float64)

    def value(leaf: torch.Tensor) -> torch.Tensor:
        circuit = Circuit(2).ry(weight(0), 0).cx(0, 1).rx(weight(1), 1)
        return backend.expectation(circuit, inputs, leaf, [Z(0) @ Y(1), X(0)])

    leaf = torch.tensor([0.4, -0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(value, leaf)
    assert torch.autograd.gradgradcheck(value, leaf)


def test_a_slot_without_effect_stays_a_slot() -> None:
    circuit = Circuit(1).rz(weight(0), 0).ry(weight(1), 0).rz(0.3, 0).rz(-0.3, 0)
    leaf = torch.tensor([0.4, 0.2], dtype=torch.float64, requires_grad=True)
    value = NoisyNative(every_channel()).expectation(circuit, torch.zeros(1, 0).double(), leaf, [Z(0)])
    value.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad[0].abs() < 1e-12


def test_samples_have_read_out_errors() -> None:
    backend = NoisyNative(every_channel())
    drawn = backend.sample(
        Circuit(2), torch.zeros(1, 0), torch.zeros(0), 20_000, generator=torch.Generator().manual_seed(0)
    )
    found = drawn.qubits.double().mean((0, 1)).numpy()
    assert (np.abs(found - [0.05, 0.02]) < 4 * np.sqrt([0.05 * 0.95 / 20_000, 0.02 * 0.98 / 20_000])).all()


def test_training_with_noise_is_one_line_and_lowers_the_noisy_loss() -> None:
    layer = QNNClassifier(2, "zx", dtype=torch.float64).to_backend(NoisyNative("fake_manila"))
    torch.nn.init.constant_(layer.weights, -0.3)
    inputs = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([1.0, -1.0], dtype=torch.float64)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = (1 - labels * layer(inputs)).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.0
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoisyNative(None), "must be a device or a noise model, but is None"),
        (lambda: NoisyNative("fake_moon"), "must be one of .*fake_torino"),
        (lambda: resolve("noisy"), "must name a fake device"),
        (
            lambda: resolve("noisy:fake_manila").expectation(
                Circuit(1).reset(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)]
            ),
            r"capability `mid_circuit`.*Use Aer\(noise=",
        ),
        (
            lambda: NoisyNative("fake_manila").expectation(Circuit(7).h(6), torch.zeros(1, 0), torch.zeros(0), [Z(6)]),
            "at most 5 qubits",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_more_qubits_than_a_table_of_probabilities_are_sampled_with_noise() -> None:
    circuit, weights = Circuit(24), torch.full((1,), 2.0, dtype=torch.float64)
    for qubit in range(24):
        circuit.ry(weight(0), qubit)
    noisy, nothing = NoisyNative("fake_sherbrooke", level=0), torch.zeros(1, 0, dtype=torch.float64)
    bits = noisy.sample(circuit, nothing, weights, 2000, generator=torch.Generator().manual_seed(0)).qubits
    expected = noisy.expectation(circuit, nothing, weights, [Z(qubit) for qubit in range(24)])[0]
    means = 1.0 - 2.0 * bits[0].double().mean(0)
    deviations = ((1.0 - expected**2) / 2000).sqrt()
    assert ((means - expected).abs() < 5 * deviations).all()  # 24 means: 1 false alarm in 70 000
    every = Z(0)
    for qubit in range(1, 24):
        every = every @ Z(qubit)
    with pytest.raises(ValueError, match="at most 16 factors"):
        NoisyCircuit(circuit, tuple(range(24)), {-1: (0.01, 0.02)}).read(every)


def test_an_error_of_several_gates_follows_each_of_them() -> None:
    model = NoiseModel(basis_gates=["rz", "sx", "x"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["sx", "x"])
    circuit = Circuit(2).x(0).rx(np.pi / 2, 1)
    empty = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    values = [backend(noise=model).expectation(circuit, *empty, [Z(0), Y(1)]) for backend in (NoisyNative, Aer)]
    assert_close(*values, atol=AGREEMENT)
    assert_close(values[0][0, 0], torch.tensor(-0.9, dtype=torch.float64), atol=AGREEMENT)


def with_errors_of_measuring(error: QuantumError) -> NoiseModel:
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["measure"])
    model.add_quantum_error(error, ["measure"], [0])
    model.add_readout_error(ReadoutError([[0.95, 0.05], [0.12, 0.88]]), [0])
    return model


def test_errors_on_measure_are_errors_of_reading() -> None:
    model = with_errors_of_measuring(amplitude_damping_error(0.3))
    circuit, empty = Circuit(2).x(0).x(1), (torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    observables = [Z(0), Z(1), Z(0) @ Z(1)]
    read_one = 0.7 * 0.88 + 0.3 * 0.05  # that 1 decays to 0 and is misread, or is read right
    expected = torch.tensor([[1 - 2 * read_one, -0.9, -0.9 * (1 - 2 * read_one)]], dtype=torch.float64)
    for backend in (NoisyNative(model), Aer(noise=model)):
        assert_close(backend.expectation(circuit, *empty, observables), expected, AGREEMENT)
    noisy, sampled = NoisyNative(model), Aer(noise=model, shots=20_000, generator=torch.Generator().manual_seed(1))
    table = noisy.probabilities(circuit, *empty)
    assert_close(table[0, 3], torch.tensor(read_one * 0.95, dtype=torch.float64), AGREEMENT)
    assert (table - sampled.probabilities(circuit, *empty)).abs().max() < 5 * 0.5 / 20_000**0.5
    plain = QuantumCircuit(2)
    plain.x([0, 1])
    values = Estimator(noise=model).run([(plain, ["IZ", "ZI", "ZZ"])]).result()[0].data.evs
    assert_close(torch.tensor(values)[None], expected, AGREEMENT)


def test_an_error_on_measure_that_turns_the_qubit_is_refused() -> None:
    model = with_errors_of_measuring(coherent_unitary_error(RXGate(0.3).to_matrix()))
    empty = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    for backend in (NoisyNative(model), Aer(noise=model)):
        with pytest.raises(ValueError, match="errors on `measure` must be of one qubit and flip bits alone"):
            backend.expectation(Circuit(2).x(0), *empty, [Z(0)])


def test_an_error_on_kraus_is_left_out_as_in_aer() -> None:
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx", "kraus"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.4, 1), ["kraus"])
    circuit = Circuit(1).x(0).noise(channels.amplitude_damping(0.25), 0)
    empty = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    for backend in (NoisyNative(model), Aer(noise=model)):
        value = backend.expectation(circuit, *empty, [Z(0)])
        assert_close(value, torch.tensor([[-0.5]], dtype=torch.float64), AGREEMENT)


def test_a_read_out_error_of_two_qubits_is_refused_as_aer_leaves_it_out() -> None:
    model, empty = NoiseModel(basis_gates=["x", "cx"]), (torch.zeros(1, 0), torch.zeros(0))
    model.add_readout_error(ReadoutError(np.eye(4)[::-1].copy()), [0, 1])
    for backend in (Aer(noise=model), Aer(noise=model, shots=10), NoisyNative(model)):
        with pytest.raises(ValueError, match=r"must be of single qubits, but one is of several, which Aer adds to no"):
            backend.expectation(Circuit(2).x(0), *empty, [Z(0)])


@pytest.mark.parametrize("backend", [Aer, NoisyNative])
def test_noise_of_another_kind_is_refused(backend: Any) -> None:
    with pytest.raises(TypeError, match=r"`noise` must be the name of a fake device, .* but is int \(3\)"):
        backend(noise=3)
