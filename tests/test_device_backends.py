"""Backends that run rows of angles: gradients, jobs and circuits, shots, noise, and what they refuse."""

import copy
import pickle
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane
import pytest
import torch
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from circuits import Circuit, X, Y, Z, data, pauli_string, weight
from qml.backends import IBM, SPSA, Aer, Backend, Native, PennyLane, Qiskit, resolve
from qml.backends.primitives import targets, transpile
from qml.backends.shift.expanded import Use, expand
from qml.backends.shift.packing import Packing
from qml.backends.shift.allocation import split_shots
from qml.backends.shift.sampled import measure_observables
from qml.nn import QNNClassifier, QuantumLayer
from tests import oracle
from tests.counting import counted
from tests.helpers import assert_close, tensors
from tests.named import CASES

EXACT: dict[str, Backend] = {
    "aer": Aer(),
    "qiskit": Qiskit(estimator=StatevectorEstimator()),
    "pennylane": PennyLane(),
    "pennylane mixed": PennyLane("default.mixed"),
    "packed": Aer(pack=2),
}
DIFFERENTIATED = [
    "one_slot_everywhere", "u3_by_all_kinds_of_angles", "phases", "pauli_strings_with_identities",
    "controlled_rotations", "amplitudes_from_data", "complex_amplitudes_from_data", "resets", "measurements",
    "post_selection", "post_selection_of_a_mixed_state", "quantum_neuron", "damping_noise",
]  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_circuit() -> Circuit:
    """Three qubits, three data slots, three weights."""
    circuit = Circuit(3)
    for qubit in range(3):
        circuit.ry(data(qubit), qubit).rz(weight(qubit), qubit)
    return circuit.cx(0, 1).cx(1, 2).h(0)


def gradients(backend: Backend, name: str) -> list[torch.Tensor]:
    case = CASES[name]
    leaves = [leaf.requires_grad_() for leaf in tensors(case)]
    values = backend.expectation(case.circuit, *leaves, case.observables)
    mixed = torch.linspace(0.5, -1.5, values.numel(), dtype=torch.float64).reshape(values.shape)
    found = torch.autograd.grad((mixed * values + values**2).sum(), leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENTIATED)
@pytest.mark.parametrize("backend", EXACT)
def test_gradients_are_those_of_the_native_backend(backend: str, name: str) -> None:
    if "noise" in name and not EXACT[backend].capabilities.noise:
        pytest.skip("no noise channels")
    for ours, theirs in zip(gradients(EXACT[backend], name), gradients(Native(), name), strict=True):
        assert_close(ours, theirs, 1e-9)  # four-term rules add some roundings to the promised 1e-10


@pytest.mark.parametrize(("frequency", "order"), [(1.0, 1), (2.0, 1), (0.5, 2), (1.0, 2)])
def test_shift_rules_are_exact_on_their_spectrum(frequency: float, order: int) -> None:
    rule = Use(weight(0), frequency, order).shifts()
    assert len(rule) == 2 * order
    for k in range(order + 1):
        for phase in (0.0, 0.7):
            found = sum(c * np.cos(k * frequency * (0.3 + shift) + phase) for shift, c in rule)
            assert found == pytest.approx(-k * frequency * np.sin(k * frequency * 0.3 + phase), abs=1e-12)


def test_every_use_is_a_parameter_of_its_own_and_prepared_amplitudes_are_right() -> None:
    expanded = expand(CASES["one_slot_everywhere"].circuit)
    assert expanded.circuit.n_weights == 0
    assert expanded.circuit.n_data == len(expanded.uses) == 7
    case = CASES["complex_amplitudes_from_data"]
    expanded = expand(case.circuit)
    rows, scale = expanded.rows(expanded.points(2.0 * case.data, case.weights))
    values = oracle.expectation(expanded.circuit, rows, np.zeros(0), case.observables)
    assert_close(scale, np.full(3, 4.0), 1e-12)
    assert_close(values, oracle.expectation(case.circuit, case.data, 2.0 * case.weights / 2.0, case.observables), 1e-12)


@pytest.mark.parametrize("backend", [Aer(), PennyLane()])
def test_a_second_derivative_raises_and_never_is_zero(backend: Backend) -> None:
    angle = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    inputs = torch.zeros(1, 0, dtype=torch.float64)

    def value(leaf: torch.Tensor) -> torch.Tensor:
        return backend.expectation(Circuit(1).ry(weight(0), 0), inputs, leaf, [Z(0)]).sum()

    (slope,) = torch.autograd.grad(value(angle), angle, create_graph=True)
    assert slope.item() == pytest.approx(-np.sin(0.3))
    with pytest.raises(RuntimeError, match=r"only once differentiable.*Use Native\(\)"):
        torch.autograd.grad(slope, angle)
    assert torch.func.grad(value)(angle.detach()).item() == pytest.approx(-np.sin(0.3))
    with pytest.raises(RuntimeError, match="only once differentiable"):
        torch.func.grad(lambda leaf: torch.func.grad(value)(leaf).sum())(angle.detach())
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(value)(torch.zeros(2, 1, dtype=torch.float64))


def test_perturbation_is_a_difference_quotient_and_right_on_average() -> None:
    leaf = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    one = Aer(gradient=SPSA(seeded(), radius=0.05))
    one.expectation(Circuit(1).ry(weight(0), 0), torch.zeros(1, 0).double(), leaf, [Z(0)]).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.item() == pytest.approx((np.cos(0.45) - np.cos(0.35)) / 0.1, abs=1e-12)
    many, runner = counted(Aer(gradient=SPSA(seeded(), directions=400, radius=0.01)))
    found, exact = gradients(many, "data_and_weights_by_turns"), gradients(Native(), "data_and_weights_by_turns")
    assert len(runner.submissions) == 2
    assert runner.circuits[1] <= 2 * 3 * 400  # equal directions are run once
    for ours, theirs in zip(found, exact, strict=True):
        # Other slots' slopes are the noise of each: their norm over the root of the number of directions.
        assert (ours - theirs).abs().max() < 5 * torch.linalg.norm(torch.cat([g.flatten() for g in exact])) / 20


# --- jobs and circuits ----------------------------------------------------------------------------------------------


def test_forward_and_backward_of_a_batch_are_two_jobs_and_one_transpile(monkeypatch: pytest.MonkeyPatch) -> None:
    transpiled = []
    make = transpile.transpiler

    class Transpiler:
        def __init__(self, compiler: Any) -> None:
            self.inner = make(compiler)

        def run(self, circuit: Any) -> Any:
            transpiled.append(circuit)
            return self.inner.run(circuit)

    monkeypatch.setattr(transpile, "transpiler", Transpiler)
    transpile._transpiled_circuit.cache_clear()
    for base, per_row in ((Aer(), 1), (Aer(shots=10), 1), (Aer(noise="fake_manila", shots=10), 1)):
        transpiled.clear()
        backend, runner = counted(base)
        layer = QuantumLayer(small_circuit(), [Z(0), Z(1) @ Z(2)], backend=backend, generator=seeded())
        for _ in range(2):
            layer(torch.rand(4, 3, generator=seeded(1), requires_grad=True)).sum().backward()
        assert len(transpiled) == 1
        assert runner.circuits == 2 * [4 * per_row, 4 * 6 * 2 * per_row]
        assert [len(submission.pubs) for submission in runner.submissions] == 4 * [1]


def test_equal_rows_unwanted_slots_and_silent_samples_are_not_run() -> None:
    backend, runner = counted(Aer())
    inputs = torch.tensor([[0.1, 0.2, 0.3]]).repeat(5, 1)
    layer = QuantumLayer(small_circuit(), [Z(0)], backend=backend, generator=seeded())
    values = layer(inputs)  # five equal rows, whose gradient nobody wants
    values[3].sum().backward()
    assert runner.circuits == [1, 3 * 2]
    layer(torch.rand(3, 3, generator=seeded())).relu().mul(0.0).sum().backward()
    assert runner.circuits[2:] == [3]


def test_commuting_strings_are_measured_together() -> None:
    measured = measure_observables(Circuit(3).h(0), [Z(0), Z(1) @ Z(2), X(0) @ Z(1), 0.5 * X(0) - Y(2), Z(0) + 1.0])
    assert measured.n_bases == 2
    backend, runner = counted(Aer(shots=5))
    case = CASES["rotations_by_data"]
    backend.expectation(case.circuit, *tensors(case), [Z(0), Z(1), Z(0) @ Z(1) @ Z(2), X(0)])
    assert runner.circuits == [3 * 2]


@pytest.mark.parametrize("base", [Aer(), Aer(shots=200, generator=seeded()), PennyLane()])
def test_packing_side_by_side_gives_the_same_with_fewer_circuits(base: Any) -> None:
    case = CASES["data_and_weights_by_turns"]
    packed = type(base)(pack=2, shots=base.shots, generator=seeded())
    values = packed.expectation(case.circuit, *tensors(case), case.observables)
    tolerance = 1e-10 if base.shots is None else 5 * 1.75 / np.sqrt(200)  # 1.75 bounds the observables' norms
    assert_close(values, oracle.expectation(*case), tolerance)
    if isinstance(base, Aer):
        counting, runner = counted(packed)
        counting.expectation(case.circuit, *tensors(case), [Z(0)])
        assert runner.circuits == [2]  # three samples on two registers


def test_packing_keeps_bits_apart() -> None:
    circuit = Circuit(2).ry(data(0), 0).measure(0).x(1).measure(1)
    pack = Packing(circuit, 2)
    assert (pack.circuit.n_qubits, pack.circuit.n_bits) == (4, 4)
    samples = Aer(pack=2, generator=seeded()).sample(circuit, torch.tensor([[0.0], [np.pi], [0.0]]), torch.zeros(0), 7)
    assert_close(samples.bits.double().mean(1), [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]], 0.0)


def test_shots_are_split_by_variance_and_no_more_are_taken() -> None:
    parts, shots = split_shots(np.array([1.0, 4.0, 1.0, 0.0]), 1000)
    found = {int(row): count for part, count in zip(parts, shots, strict=True) for row in part}
    assert found[1] == pytest.approx(4 * found[0], rel=0.01)
    assert found[0] == found[2]
    assert 3900 < sum(count or 0 for count in found.values()) <= 4001  # a circuit takes one shot at least
    assert split_shots(np.zeros(3), 7)[1] == [7]


def test_bases_get_shots_by_their_coefficients() -> None:
    measured = measure_observables(Circuit(2).h(0), [3.0 * Z(0) + X(0), 4.0 * Z(1) + 2.0])
    assert sorted(measured.shots(100, equal=False)) == [84, 115]  # Z(0): 3; X(0) with Z(1): sqrt(1 + 16), of 200
    assert measured.shots(100, equal=True) == [100, 100]
    assert measure_observables(Circuit(1).h(0), [Z(0) * 0.0 + 1.0]).shots(7, equal=False) == [7]


def test_later_backward_passes_split_by_the_deviations_that_were_measured() -> None:
    """<Z Z> is cos(a) cos(b): at (pi/2, 0) the shifts of a lead to -1 and 1, those of b to 0 with the deviation 1."""
    backend, runner = counted(Aer(shots=500, split="variance", generator=seeded(5)))
    circuit = Circuit(2).ry(weight(0), 0).ry(weight(1), 1)
    taken = []
    for _ in range(3):
        angles = torch.tensor([np.pi / 2, 0.0], dtype=torch.float64, requires_grad=True)
        backend.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), angles, [Z(0) @ Z(1)]).sum().backward()
        assert_close(angles.grad, [-1.0, 0.0], 4 / np.sqrt(2 * 500))
        pubs = [pub for pub in runner.submissions[-1].pubs for _ in pub.values]
        rows = [row for pub in runner.submissions[-1].pubs for row in pub.values]
        shots = {(round(float(row[1]), 6) == 0.0): 0 for row in rows}
        for pub, row in zip(pubs, rows, strict=True):
            shots[round(float(row[1]), 6) == 0.0] += pub.shots or 0
        taken.append(shots)
    assert taken[0] == {True: 1000, False: 1000}  # nothing is known yet
    for shots in taken[1:]:
        assert shots[False] > 10 * shots[True] > 0
        assert 1900 < sum(shots.values()) <= 2000


def test_split_by_variance_lowers_the_error_at_the_same_number_of_shots() -> None:
    def errors(split: Any) -> tuple[float, int]:
        backend, runner = counted(Aer(shots=60, split=split, generator=seeded(3)))
        inputs, exact = torch.rand(6, 3, generator=seeded(), dtype=torch.float64), []
        scale = torch.tensor([10.0, 0.1, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64)
        layer = QuantumLayer(small_circuit(), [Y(2)], dtype=torch.float64, generator=seeded(1))
        for where in ["native"] + 20 * [backend]:
            layer.to_backend(where).zero_grad()
            (scale * layer(inputs)[:, 0]).sum().backward()
            exact.append(layer.weights.grad.clone())
        spent = sum(len(pub.values) * (pub.shots or 0) for pub in runner.submissions[1].pubs)
        return float(torch.stack([(g - exact[0]).square().sum() for g in exact[1:]]).mean()), spent

    (equal, all_shots), (split, some_shots) = errors("equal"), errors("variance")
    assert some_shots <= all_shots
    assert split < equal / 2


# --- shots ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backend",
    [
        Aer(shots=4000, generator=seeded(1)),
        PennyLane(shots=4000, generator=seeded(2)),
        Qiskit(sampler=StatevectorSampler(seed=3), shots=4000),
        Qiskit(estimator=StatevectorEstimator(seed=4), shots=4000),
    ],
)
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "two_qubit_rotations"])
def test_shots_agree_within_four_standard_errors(backend: Any, name: str) -> None:
    case = CASES[name]
    strings = [Z(0), Y(1), X(0) @ Y(2), pauli_string("ZYX")]
    exact = oracle.expectation(case.circuit, case.data, case.weights, strings)
    error = np.sqrt((1 - exact**2) / 4000)
    found = backend.expectation(case.circuit, *tensors(case), strings).numpy()
    assert (np.abs(found - exact) < 4 * error + 1e-12).all()
    weights = tensors(case)[1].requires_grad_()
    backend.expectation(case.circuit, tensors(case)[0], weights, [Z(0)]).sum().backward()
    (expected,) = torch.autograd.grad(
        Native().expectation(case.circuit, tensors(case)[0], weights, [Z(0)]).sum(), weights
    )
    uses = sum(slot.kind == "weight" for op in case.circuit for slot in op.slots)
    # each use adds two runs a sample, with coefficients of at most 1 and variances of at most 1
    assert (weights.grad - expected).abs().max() < 4 * np.sqrt(2 * 3 * uses / 4000)


@pytest.mark.parametrize("backend", [Aer(shots=4000, generator=seeded(1)), PennyLane(shots=4000, generator=seeded(2))])
@pytest.mark.parametrize("name", ["resets", "measurements", "post_selection", "quantum_neuron"])
def test_mid_circuit_operations_are_sampled(backend: Any, name: str) -> None:
    case = CASES[name]
    success = backend.success_probability(case.circuit, *tensors(case)).numpy()
    expected = np.ones(3)
    if "measure" not in name and "reset" not in name:
        expected = np.array([oracle.success_probability(case.circuit, sample, case.weights) for sample in case.data])
    assert (np.abs(success - expected) <= 4 * np.sqrt(expected * (1 - expected) / 4000) + 1e-12).all()
    found = backend.expectation(case.circuit, *tensors(case), [Z(0), X(1), Y(2)]).numpy()
    exact = oracle.expectation(case.circuit, case.data, case.weights, [Z(0), X(1), Y(2)])
    assert (np.abs(found - exact) < 4 / np.sqrt(4000 * expected[:, None])).all()


def test_success_probability_is_differentiable_and_one_without_post_selection() -> None:
    circuit = Circuit(1).ry(weight(0), 0).post_select(0, 1)
    leaf = torch.tensor([0.8], dtype=torch.float64, requires_grad=True)
    chance = Aer().success_probability(circuit, torch.zeros(2, 0).double(), leaf)
    assert_close(chance, np.full(2, np.sin(0.4) ** 2), 1e-12)
    (slope,) = torch.autograd.grad(chance.sum(), leaf)
    assert slope.item() == pytest.approx(np.sin(0.8))
    assert Aer().success_probability(Circuit(1), torch.zeros(2, 0), torch.zeros(0)).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="Post-selection must succeed"):
        Aer().expectation(Circuit(1).post_select(0, 1), torch.zeros(1, 0), torch.zeros(0), [Z(0)])


def test_samples_pass_post_selection_and_repeat_with_their_generator() -> None:
    case = CASES["post_selection"]
    for backend in (Aer(), PennyLane()):
        drawn = [backend.sample(case.circuit, *tensors(case), 50, qubits=[1], generator=seeded()) for _ in range(2)]
        assert torch.equal(drawn[0].qubits, drawn[1].qubits)
        assert drawn[0].qubits.shape == (3, 50, 1)
    bell = Circuit(2).h(0).measure(0).cx(0, 1)
    samples = Aer(generator=seeded()).sample(bell, torch.zeros(2, 0), torch.zeros(0), 40)
    assert torch.equal(samples.bits[..., 0], samples.qubits[..., 0])
    assert torch.equal(samples.qubits[..., 0], samples.qubits[..., 1])
    assert 0 < samples.bits.sum() < 80


# --- noise ----------------------------------------------------------------------------------------------------------


def simple_noise() -> NoiseModel:
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.2, 1), ["x"])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.3, 0.7]]), [0])
    return model


def test_noise_is_not_lost() -> None:
    arguments = Circuit(2).x(0).x(1), torch.zeros(1, 0).double(), torch.zeros(0).double(), [Z(0), Z(1), Z(0) @ Z(1)]
    read = -0.8 * 0.6 + 0.2  # a factor P becomes (1 - p - q) P + (q - p)
    expected = np.array([[read, -0.8, read * -0.8]])
    assert_close(Aer(noise=simple_noise()).expectation(*arguments), expected, 1e-12)
    sampled = Aer(noise=simple_noise(), shots=20_000, generator=seeded()).expectation(*arguments)
    assert_close(sampled, expected, 4 / np.sqrt(20_000))
    probability = Aer(noise=simple_noise()).probabilities(*arguments[:3], [0])
    assert_close(probability, [[(1 + read) / 2, (1 - read) / 2]], 1e-12)


def test_a_fake_device_is_noisy_in_the_same_way_with_shots_and_without() -> None:
    case = CASES["ring_of_cx"]
    exact = Aer(noise="fake_torino").expectation(case.circuit, *tensors(case), [Z(0), Z(0) @ Z(1)])
    ideal = oracle.expectation(case.circuit, case.data, case.weights, [Z(0), Z(0) @ Z(1)])
    assert np.abs(exact.numpy() - ideal).max() > 0.01
    sampled = Aer(noise="fake_torino", shots=10_000, generator=seeded()).expectation(
        case.circuit, *tensors(case), [Z(0), Z(0) @ Z(1)]
    )
    assert_close(sampled, exact, 4 / np.sqrt(10_000))
    client = IBM("fake_torino", shots=10_000)
    assert_close(client.expectation(case.circuit, *tensors(case), [Z(0), Z(0) @ Z(1)]), exact, 5 / np.sqrt(10_000))


def test_readout_mitigation_by_the_client_takes_away_most_of_the_readout_error() -> None:
    """Two qubits in 1: without it <Z> is off -1 by 0.33 and 0.05, with it by less than half of that, 9 sigma away."""
    circuit, inputs = Circuit(2).x(0).x(1), (torch.zeros(1, 0), torch.zeros(0))
    noisy = Aer(noise="fake_torino").expectation(circuit, *inputs, [Z(0), Z(1)])
    client = IBM("fake_torino", shots=10_000, readout_mitigation=True)
    mitigated = client.expectation(circuit, *inputs, [Z(0), Z(1)])
    assert ((mitigated + 1).abs() < 0.5 * (noisy + 1).abs()).all()


def test_a_device_takes_mid_circuit_operations_with_shots_and_refuses_exact_values() -> None:
    case = CASES["measurements"]
    noisy = Aer(noise="fake_manila", shots=300, generator=seeded()).expectation(case.circuit, *tensors(case), [Z(1)])
    assert (noisy - torch.from_numpy(oracle.expectation(*case[:3], [Z(1)]))).abs().max() < 0.4
    client = IBM("fake_manila", shots=300)
    assert (client.expectation(case.circuit, *tensors(case), [Z(1)]) - noisy).abs().max() < 0.4
    with pytest.raises(ValueError, match=r"aer:fake_manila must have shots.*NoisyNative\(noise"):
        Aer(noise="fake_manila").expectation(case.circuit, *tensors(case), [Z(1)])


# --- options and refusals -------------------------------------------------------------------------------------------


def test_names_make_objects_with_their_detail() -> None:
    assert resolve("aer:fake_manila").name == "aer:fake_manila"
    assert resolve("pennylane:lightning.qubit").name == "pennylane:lightning.qubit"
    assert resolve("ibm:fake_manila").name == "ibm:fake_manila"
    assert isinstance(resolve("aer"), Aer)


CASE = CASES["rotations_by_data"]
CALL = (CASE.circuit, *tensors(CASE), [Z(0)])
WIDE = (Circuit(6).h(5), torch.zeros(1, 0), torch.zeros(0), [Z(5)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resolve("aer:fake_moon"), ValueError, "must be one of .*fake_torino.*, but is 'fake_moon'"),
        (lambda: resolve("pennylane:moon"), ValueError, "must be one of .*default.qubit.*, but is 'moon'"),
        (lambda: resolve("ibm"), ValueError, "must name a device"),
        (lambda: resolve("native:x"), ValueError, "takes nothing after a colon"),
        (lambda: resolve("aer:"), ValueError, "must be one of native, pennylane"),
        (lambda: Aer(shots=0), ValueError, "`shots` must be at least 1"),
        (lambda: Aer(pack=0), ValueError, "`pack` must be at least 1"),
        (lambda: Aer(split="variance"), ValueError, "no shots to split"),
        (lambda: Aer(precision="half"), (ValueError, TypeError), "precision"),
        (lambda: Aer(shot=3), TypeError, "unexpected keyword argument 'shot'"),
        (lambda: SPSA(radius=0.0), ValueError, "`radius` must be positive"),
        (lambda: SPSA(directions=0), ValueError, "`directions` must be an int of at least 1"),
        (Qiskit, ValueError, "must not both be None"),
        (lambda: Qiskit(sampler=StatevectorSampler()), ValueError, "`shots` must be given"),
        (lambda: Qiskit(estimator=StatevectorEstimator()).sample(*CALL[:3], 5), ValueError, "`sampler` must be given"),
        (lambda: IBM("fake_manila", shots=None), ValueError, "`shots` must be an int for a device"),
        (lambda: IBM("fake_manila", zne=(1,)), ValueError, "at least two factors"),
        (lambda: IBM("fake_manila", batch=True), ValueError, "`batch` must be False"),
        (lambda: IBM("fake_manila", zne=(1, 3)).sample(*CALL[:3], 5), ValueError, "must be off for samples"),
        (lambda: IBM("fake_manila").sample(*CALL[:3], 5, generator=seeded()), ValueError, "cannot be seeded"),
        (lambda: Aer(noise="fake_manila").expectation(*WIDE), ValueError, "fake_manila must have at most 5 .* has 6"),
        (lambda: PennyLane(pennylane.device("default.qubit", wires=2)).expectation(*CALL), ValueError, "at most 2"),
        (
            lambda: PennyLane(pennylane.device("default.qubit", wires=3), generator=seeded()),
            ValueError,
            "`generator` must be None for a device object",
        ),
        (
            lambda: PennyLane().expectation(CASES["kraus_noise"].circuit, *tensors(CASES["kraus_noise"]), [Z(0)]),
            ValueError,
            r"capability `noise`.*Use Native\(\) or Aer\(\)",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_way_out(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_operation_that_the_device_lacks_is_refused() -> None:
    target = AerSimulator(basis_gates=["sx", "rz", "cx"]).target
    backend = Qiskit(estimator=StatevectorEstimator(), device=targets.Gates("bare", _without(target, ("reset",))))
    sampler = Qiskit(sampler=StatevectorSampler(), shots=5, device=backend.device)
    with pytest.raises(ValueError, match=r"Circuits for bare must have operations that it knows.*Native\(\)"):
        sampler.expectation(Circuit(1).reset(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)])


def _without(target: Any, names: Sequence[str]) -> Any:
    from qiskit.transpiler import Target

    result = Target(num_qubits=3)
    for name in ("sx", "rz", "cx", "measure", "reset"):
        if name not in names:
            result.add_instruction(target.operation_from_name(name), name=name)
    return result


@pytest.mark.parametrize(
    ("module", "make", "command"),
    [
        ("qiskit_ibm_runtime", lambda: IBM("ibm_torino"), 'pip install "qml-circuits[ibm]"'),
        ("qiskit_ibm_runtime", lambda: Aer(noise="fake_torino"), 'pip install "qml-circuits[ibm]"'),
        ("pennylane", lambda: PennyLane("default.qubit", generator=seeded()).sample(*CALL[:3], 2), "pip install"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, module: str, make: Any, command: str
) -> None:
    from qml.backends import pennylane as pennylane_device

    pennylane_device._unseeded_device.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as caught:
        make()
    assert command in str(caught.value)


def test_layers_with_a_backend_can_be_copied_and_pickled() -> None:
    layer = QNNClassifier(2, "zx", backend=Aer(noise="fake_manila"), generator=seeded())
    inputs = torch.rand(2, 2, generator=seeded())
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(inputs), layer(inputs))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("backend", EXACT)
def test_the_classifier_runs_on_every_exact_backend(backend: str, n_classes: int) -> None:
    inputs = torch.rand(3, 3, generator=seeded(), dtype=torch.float64)
    layer = QNNClassifier(3, "zxy", n_classes=n_classes, dtype=torch.float64, generator=seeded(1))
    results = []
    for where in ("native", EXACT[backend]):
        layer.to_backend(where).zero_grad()
        values = layer(inputs)
        values.square().sum().backward()
        results.append((values.detach(), layer.weights.grad))
    assert_close(results[1][0], results[0][0], 1e-9)
    assert_close(results[1][1], results[0][1], 1e-9)


def test_primitives_of_a_device_are_transpiled_for_it() -> None:
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    device = FakeManilaV2()
    backend = Qiskit(estimator=BackendEstimatorV2(backend=device), sampler=BackendSamplerV2(backend=device), shots=1000)
    assert backend.compiler().device is device
    found = backend.expectation(CASE.circuit, *tensors(CASE), [Z(0)])
    assert_close(found, oracle.expectation(*CASE[:3], [Z(0)]), 0.35)  # shots, and a device that errs
    assert backend.sample(*CALL[:3], 5).qubits.shape == (3, 5, 3)
