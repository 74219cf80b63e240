"""The same reservoirs on other libraries and backends."""

from typing import Any

import numpy as np
import pytest
import torch

from qml.baselines import EchoStateNetwork
from qml.bench import reservoir as bench
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing, QuantumReservoir, sampled_features
from qml.nn.reservoirs.on_device import wide_series
from tests.helpers import assert_close

INPUTS = np.random.default_rng(0).standard_normal((2, 3, 1))


@pytest.mark.filterwarnings("ignore")  # of the peers, about themselves
@pytest.mark.parametrize(("name", "module"), [("aer", "qiskit_aer"), ("default_mixed", "pennylane")])
def test_a_peers_persistent_ring_is_ours(name: str, module: str) -> None:
    pytest.importorskip(module)
    ring = PersistentRing(3, 2, seed=1)
    inputs = INPUTS[: 2 if name == "aer" else 1, :2]
    expected = QuantumReservoir(ring)(torch.from_numpy(inputs))[0]
    found = getattr(bench.reservoirs, name)(inputs, ring)()
    assert_close(found["features"], expected, 1e-10)  # as is promised of exact backends


@pytest.mark.filterwarnings("ignore")
def test_the_peers_feedback_rings_are_ours() -> None:
    pytest.importorskip("pennylane")
    onion = OnionReservoir([FeedbackRing(3, 0.4, -0.5), FeedbackRing(3, 0.8, -0.3)])
    expected, state = onion(torch.from_numpy(INPUTS))
    found, after = bench.reservoirs.default_qubit(onion)(torch.from_numpy(INPUTS))
    assert_close(found, expected, 1e-10)
    assert_close(after, state, 1e-10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch", [1, 2])
def test_reservoirpys_network_is_ours(batch: int) -> None:
    pytest.importorskip("reservoirpy")
    network = EchoStateNetwork(1, 30, density=0.4, leak_rate=0.6, seed=2)
    step = bench.reservoirs.reservoirpy(INPUTS[:batch], network)
    step()
    expected = network(torch.from_numpy(INPUTS[:batch]))[0]
    assert_close(step()["features"], expected, 1e-12)  # the second call starts anew too


@pytest.mark.parametrize("case", ["4", "8,64", "esn 500", "esn 500,64"])
def test_cases_name_their_work(case: str) -> None:
    work = bench.make_work(case)
    assert work.inputs.shape[0] == (64 if "64" in case else 1)
    assert (work.units == 500) == ("esn" in case)


RINGS = [PersistentRing(2, 1, 0.7, seed=1), PersistentRing(3, 2, 0.5, n_layers=1, n_rounds=2, seed=2)]


def test_bits_of_a_wide_circuit_give_the_features_of_the_onion() -> None:
    inputs, shots = torch.from_numpy(INPUTS), 3000
    generator = torch.Generator().manual_seed(0)
    found = sampled_features(RINGS, inputs, shots=shots, generator=generator)
    expected = OnionReservoir(RINGS)(inputs)[0]
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 5 / shots**0.5
    circuit = wide_series(RINGS, 3)
    assert (circuit.n_qubits, circuit.n_bits) == (5, 3 * 1 + 3 * 2 * 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: sampled_features([], x), "at least one ring"),
        (lambda x: sampled_features(RINGS, x, shots=0), "`shots` must be at least 1"),
        (lambda x: sampled_features(RINGS, x.expand(-1, -1, 2)), "at most 1 columns"),
        (lambda x: sampled_features(RINGS, x[0]), r"shape \(batch, time, inputs\), but has shape \(3, 1\)"),
        (lambda x: sampled_features(RINGS, x, backend="noisy:fake_torino"), "measure and reset qubits inside"),
    ],
)
def test_bad_calls_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.from_numpy(INPUTS))


def test_feedback_rings_are_no_series() -> None:
    with pytest.raises(TypeError, match="must hold PersistentRing objects, but holds FeedbackRing"):
        sampled_features([FeedbackRing(2)], torch.from_numpy(INPUTS))


def test_the_scikit_learn_form_clones_searches_and_scores() -> None:
    sklearn = pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

    from qml.reservoir.estimator import ReservoirRegressor

    x = np.sin(np.arange(200) / 5)[:, None]
    model = ReservoirRegressor(EchoStateNetwork(1, 20, density=0.5), washout=10)
    search = GridSearchCV(model, {"washout": [5, 20]}, cv=TimeSeriesSplit(3)).fit(x[:-1], x[1:, 0])
    assert search.best_score_ > 0.5
    fitted = sklearn.base.clone(model).fit(x[:-1], x[1:, 0])
    assert fitted.score(x[:-1], x[1:, 0]) > 0.9
    assert fitted.predict(x).shape == (200,)
    assert model.fit(x[:-1], x[1:].repeat(2, 1)).predict(x).shape == (200, 2)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((20, 1), np.nan), x[:20, 0])
