"""Layers of every family on every backend: one table of layers, one of backends."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from qiskit.primitives import StatevectorEstimator
from torch import Tensor, nn

from qml.backends import IBM, Aer, Backend, Native, NoisyNative, PennyLane, Qiskit
from qml.nn import (
    DARUAN,
    HQKAN,
    HQKANLSTM,
    QKAN,
    QKANGRU,
    QKANLSTM,
    QLSTM,
    QRNN,
    FeedbackRing,
    OnionReservoir,
    PersistentRing,
    QKANLayer,
    QNNClassifier,
    sampled_features,
)
from tests.counting import counted
from tests.helpers import assert_close

EXACT: dict[str, Callable[[], Backend]] = {
    "pennylane": PennyLane,
    "lightning": lambda: PennyLane("lightning.qubit"),
    "aer": Aer,
    "qiskit": lambda: Qiskit(estimator=StatevectorEstimator()),
}
PROMISED = 1e-6  # of exact backends
LAYERS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "qnn": (lambda **o: QNNClassifier(3, "zx", **o), (2, 3)),
    "daruan": (lambda **o: DARUAN(2, reps=2, **o), (3, 2)),
    "qkan layer": (lambda **o: QKANLayer(2, 2, reps=2, **o), (3, 2)),
    "qkan": (lambda **o: QKAN([2, 2, 1], reps=1, **o), (2, 2)),
    "hqkan": (lambda **o: HQKAN(3, 2, reps=1, **o), (2, 3)),
    "qkan-lstm": (lambda **o: QKANLSTM(1, 2, reps=1, **o), (2, 1, 1)),
    "qkan-gru": (lambda **o: QKANGRU(1, 1, reps=1, **o), (2, 1, 1)),
    "hqkan-lstm": (lambda **o: HQKANLSTM(1, 1, reps=1, **o), (2, 1, 1)),
    "qlstm": (lambda **o: QLSTM(1, 1, n_circuit_layers=1, **o), (2, 1, 1)),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values_and_gradients(module: Any, inputs: Tensor) -> list[Tensor]:
    found = module(inputs)
    values = found if isinstance(found, Tensor) else found[0]
    leaves = [inputs, *module.parameters()]
    slopes = torch.autograd.grad(values.square().sum(), leaves, allow_unused=True)
    return [values, *(torch.zeros_like(x) if g is None else g for g, x in zip(slopes, leaves, strict=True))]


# --- exact backends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(LAYERS))
@pytest.mark.parametrize("backend", list(EXACT))
def test_values_and_gradients_of_every_layer_are_those_of_the_simulator(backend: str, name: str) -> None:
    """With respect to the inputs and to every parameter, w and b of pre-activations included."""
    build, shape = LAYERS[name]
    module: Any = build(dtype=torch.float64, generator=seeded())
    inputs = torch.rand(shape, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    expected = values_and_gradients(module, inputs)
    found = values_and_gradients(module.to_backend(EXACT[backend]()), inputs)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, PROMISED)


@pytest.mark.parametrize("layout", ["batched", "wide"])
@pytest.mark.parametrize("backend", list(EXACT))
def test_feedback_rings_run_on_every_exact_backend(backend: str, layout: Any) -> None:
    onion = OnionReservoir([FeedbackRing(2, 0.7, -0.6), FeedbackRing(2, 1.1, 0.4)], layout=layout)
    inputs = torch.randn(2, 3, 1, dtype=torch.float64, generator=seeded())
    expected = onion(inputs)[0]
    assert_close(onion.to_backend(EXACT[backend]())(inputs)[0], expected, PROMISED)


@pytest.mark.parametrize("backend", list(EXACT))
def test_recurrent_circuits_run_on_every_exact_backend(backend: str) -> None:
    """Ancillas that are post-selected and used again, exactly: each backend defers them to further qubits."""
    network, words = recurrent(), torch.tensor([[0, 1], [1, 1]])
    circuit, data = network.circuit(2), network.circuit_data(words, words)
    probabilities, _ = network(words, targets=words)
    target: Any = EXACT[backend]()
    found = target.probabilities(circuit, data, network.cell.vector(), [1])
    assert_close(found, probabilities[:, -1], PROMISED)
    success = target.success_probability(circuit, data, network.cell.vector())
    assert_close(success, Native().success_probability(circuit, data, network.cell.vector()), PROMISED)


def recurrent() -> QRNN:
    network = QRNN(1, 1, n_stages=0, order=1, degree=1, batch_first=True, dtype=torch.float64)
    for parameter in network.parameters():
        parameter.data.uniform_(-1.5, 1.5, generator=seeded(3))
    return network.requires_grad_(False)


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_qkan_layer_takes_two_jobs_and_544_evaluations() -> None:
    """4 x 4 edges, 3 uploads, batch 2: the published package sends 257 jobs with 8224 circuits for the same."""
    backend, runner = counted(Aer())
    layer = QKANLayer(4, 4, reps=3, dtype=torch.float64, generator=seeded()).to_backend(backend, width=4)
    inputs = torch.rand(2, 4, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    layer(inputs).sum().backward()
    edges, rotations, width = 2 * 16, 8, 4
    assert runner.circuits == [edges // width, 2 * rotations * edges // width]
    assert sum(width * rows for rows in runner.circuits) == 544


def test_a_recurrent_layer_takes_a_job_for_the_inputs_and_one_a_step() -> None:
    backend, runner = counted(Aer())
    layer = QKANLSTM(1, 1, reps=1, dtype=torch.float64).to_backend(backend)
    layer(torch.rand(3, 2, 1, dtype=torch.float64))
    assert len(runner.submissions) == 1 + 3


def test_rings_of_a_step_are_one_job() -> None:
    cases: tuple[tuple[Any, int], ...] = (("batched", 2 * 3), ("wide", 2))
    for layout, rows in cases:
        backend, runner = counted(Aer())
        onion = OnionReservoir([FeedbackRing(2, scale) for scale in (0.1, 0.2, 0.3)], layout=layout, backend=backend)
        onion(torch.rand(2, 4, 1, dtype=torch.float64))
        assert runner.circuits == 4 * [rows]


def test_a_whole_series_of_persistent_rings_is_one_job() -> None:
    backend, runner = counted(Aer(generator=seeded()))
    rings = [PersistentRing(2, 1, 0.7, n_layers=1, seed=seed) for seed in (1, 2)]
    inputs, shots = torch.rand(2, 3, 1, dtype=torch.float64, generator=seeded(1)), 4000
    found = sampled_features(rings, inputs, backend=backend, shots=shots)
    exact = OnionReservoir(rings)(inputs)[0]
    assert runner.circuits == [2]
    # 4 standard errors: 12 features, of fixed seeds; of other seeds one in 1300 would fail
    assert bool(((found - exact).abs() < 4 * ((1 - exact**2) / shots).sqrt()).all())


# --- shots and noise --------------------------------------------------------------------------------------------------

SHOTS = 4000


@pytest.mark.parametrize(
    "backend", [Aer(shots=SHOTS, generator=seeded(1)), PennyLane(shots=SHOTS, generator=seeded(2))]
)
def test_activations_with_shots_lie_within_four_standard_errors(backend: Backend) -> None:
    """Of 12 values; by chance one in 16,000 fails, one in 1300 of such tests (the seeds are fixed)."""
    module = DARUAN(4, dtype=torch.float64, generator=seeded())
    inputs = torch.rand(3, 4, dtype=torch.float64, generator=seeded(1))
    exact = module(inputs).detach()
    found = module.to_backend(backend)(inputs).detach()
    assert bool(((found - exact).abs() < 4 * ((1 - exact**2) / SHOTS).sqrt()).all())


@pytest.mark.parametrize("build", [lambda: DARUAN(2, dtype=torch.float64, generator=seeded()), "onion"])
def test_noise_of_a_device_is_the_same_in_our_simulator_and_in_aer(build: Any) -> None:
    rings = [FeedbackRing(2, 0.7, -0.6)]
    module = OnionReservoir(rings) if build == "onion" else build()
    inputs = torch.rand(2, 3, 1, dtype=torch.float64, generator=seeded(1))
    inputs = inputs if build == "onion" else inputs[0, :, :].expand(-1, 2)
    ideal = first(module(inputs))
    ours = first(module.to_backend(NoisyNative("fake_torino"))(inputs))
    assert_close(first(module.to_backend(Aer(noise="fake_torino"))(inputs)), ours, PROMISED)
    assert float((ours - ideal).detach().abs().max()) > 1e-3
    client = first(module.to_backend(IBM("fake_torino", shots=SHOTS))(inputs))
    assert float((client - ours).detach().abs().max()) < 5 / SHOTS**0.5 + (0.1 if build == "onion" else 0.0)


def test_recurrent_layers_and_circuits_run_on_a_fake_device() -> None:
    """Noise and shots move them, and not far: one-qubit activations read with errors of a few per cent."""
    layer = QKANLSTM(1, 1, reps=1, dtype=torch.float64, generator=seeded())
    series = torch.rand(2, 2, 1, dtype=torch.float64, generator=seeded(1))
    exact = first(layer(series)).detach()
    noisy = first(layer.to_backend(IBM("fake_manila", shots=1000))(series)).detach()
    assert 0.0 < float((noisy - exact).abs().max()) < 0.2
    network, words = recurrent(), torch.tensor([[0, 1], [1, 1]])
    likely = torch.zeros_like(words)  # a rare outcome would leave a handful of shots
    circuit, data, weights = network.circuit(2), network.circuit_data(words, likely), network.cell.vector()
    client = IBM("fake_manila", shots=1000)
    success = Native().success_probability(circuit, data, weights)
    assert bool((client.success_probability(circuit, data, weights) - success).abs().max() < 0.4)
    probabilities = client.probabilities(circuit, data, weights, [1])
    assert_close(probabilities.sum(1), torch.ones(2, dtype=torch.float64), 1e-12)
    exact = network(words, targets=likely)[0][:, -1]
    assert float((probabilities - exact).abs().max()) < 0.4


def first(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else found[0]
