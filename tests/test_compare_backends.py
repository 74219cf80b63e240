"""Layers of every family on a fake device: the comparison's cells, small."""

import pytest
import torch

from circuits import Circuit, Z
from qml.backends import IBM, Aer, Native, NoisyNative
from qml.compare import Outcome, Preset, Record, find_task, verdict
from qml.compare.tasks import backends_forecast as forecast
from qml.compare.tasks import backends_images as images
from qml.compare.tasks import backends_rings as rings
from qml.compare.tasks import backends_words as words
from qml.data import Waves, damped_waves
from qml.nn import QRNN, OnionReservoir

TASK = find_task("backends")
TINY = Preset(1, 1, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_family_is_trained_without_noise_and_with_it() -> None:
    offered = TASK.models({})
    for name in ("qnn", "qkan"):
        assert {f"{name}-{where}" for where in ("ideal", "noisy", "mitigated", "trained")} < set(offered)
    assert {f"qnn-700-{where}" for where in ("ideal", "noisy", "trained")} < set(offered)
    assert len(TASK.split(TASK.prepare({}), 0)["threshold"].test) == 700
    for name in ("qrnn", "qrnn-amplified", "onion", "persistent"):
        assert {f"{name}-{where}" for where in ("ideal", "noisy")} < set(offered)
    assert len({model.recipe for model in offered.values()}) == len(offered)


def test_every_family_has_a_classical_model_of_its_quantum_models_size() -> None:
    offered, parts = TASK.models({}), TASK.split(TASK.prepare({}), 0)

    def size(name: str) -> int:
        return offered[name].train(parts, 0, TINY, lambda share, text: None).n_parameters

    for quantum, twin in (("qnn-ideal", "squares"), ("qkan-ideal", "mlp"), ("qrnn-ideal", "unit")):
        assert abs(size(quantum) - size(twin)) <= 1


def test_words_compare_models_of_one_family_only() -> None:
    models, metric = TASK.models({}), TASK.metric
    values = {"qkan-ideal": 0.9, "logistic": 0.8, "rnn": 0.7}
    records = [Record("backends", name, 0, metric.name, Outcome(value, 1, 0.0)) for name, value in values.items()]
    sentences = verdict(records, models, metric)
    assert [sentence for sentence in sentences if "ahead" in sentence] == [sentences[1]]
    assert "Logistic regression" in sentences[1]
    assert sentences[2] == "The mean of RNN is 70.0 %; no other model here answers its question."


@pytest.mark.parametrize("name", ["qnn", "qkan"])
def test_a_cell_tells_accuracy_and_deviation_of_one_run(name: str) -> None:
    parts = TASK.split(TASK.prepare({}), 0)
    outcome = TASK.models({})[f"{name}-ideal"].train(parts, 0, TINY, lambda share, text: None)
    assert outcome.value == outcome.extras["test_accuracy_where_trained"]
    assert outcome.extras["deviation"] == 0.0


@pytest.mark.parametrize("name", ["qnn", "qkan"])
def test_noise_moves_predictions_towards_the_bias(name: str) -> None:
    """A threshold at 0 would hide that noise makes expectation values smaller: only their size changes.

    By couplings alone, where the noise is large: on the device's best qubits it moves one-qubit circuits by 1 %.
    """
    split = images.split(images.prepare(), 0)
    logit = images.LAYERS[name][1](split, seeded(), Native())
    exact = (logit(split.test.inputs) - logit.bias).detach()
    found = images.tested(logit, split, Aer(noise="fake_torino", layout="connectivity"))
    noisy = (logit(split.test.inputs) - logit.bias).detach()
    assert found["deviation"] > 0.05
    slope = float((noisy @ exact) / (exact @ exact))
    assert 0.3 < slope < 0.98


def test_circuits_of_recurrent_networks_answer_on_simulators_and_devices() -> None:
    """A parity by angles near the exact ones, (-pi/2, pi) for either neuron."""
    data, shots = words.prepare(), 300
    network = QRNN(1, 1, n_stages=0, order=1, degree=1, batch_first=True)
    network.cell.load_vector([-1.3, 2.8, -1.5, 3.0])
    exact, success = words.right_answers(network, data, Native())
    assert exact > 0.95
    found, kept = words.right_answers(network, data, Aer(shots=shots, generator=seeded()))
    error = 1 / (8 * shots) ** 0.5  # of 8 sequences together, times the root of p (1 - p)
    assert abs(kept - success) < 4 * error * (success * (1 - success)) ** 0.5
    assert abs(found - exact) < 4 * error * (exact * (1 - exact) / success) ** 0.5
    noisy, survived = words.right_answers(network, data, Aer(noise="fake_torino", shots=shots, generator=seeded()))
    assert survived < success - 0.1
    assert noisy < exact


def test_a_readout_must_be_fitted_to_shots_and_noise() -> None:
    """On the published waves: weights that fit exact features closely turn shot noise into large errors."""
    waves, device = damped_waves(), NoisyNative("fake_torino")
    model = forecast.fitted(forecast.onion().to_backend(Native()), waves)
    assert forecast.explained(model, waves) > 0.8
    sampled = OnionReservoir(forecast.onion().rings, shots=forecast.SHOTS, seed=0).to_backend(device)
    model.reservoir = sampled
    assert forecast.explained(model, waves) < 0.0
    assert forecast.explained(forecast.fitted(sampled, waves), waves) > 0.7


def test_persistent_rings_run_as_one_job_and_their_readout_must_be_fitted_to_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rings, "SHOTS", 60)
    parts = TASK.split(TASK.prepare({}), 0)
    short = parts | {"forecast": Waves(parts["forecast"].train[:3, :12], parts["forecast"].test[:2, :12])}
    values = {}
    for where in ("ideal", "noisy", "trained"):
        outcome = TASK.models({})[f"persistent-{where}"].train(short, 0, TINY, lambda share, text: None)
        values[where] = outcome.value
        assert outcome.n_parameters == 4
        assert outcome.extras.get("test_jobs") == (None if where == "ideal" else 1)
    assert values["noisy"] < values["ideal"]
    exact = OnionReservoir(rings.RINGS)(short["forecast"].test[:, [0, 0, 0, 1]])[0][:, 2:]
    assert torch.equal(rings.features(short["forecast"].test[:, :2], None), exact)


def test_extrapolation_to_no_noise_stays_bounded_where_a_value_is_near_zero() -> None:
    """Of two factors 1 and 3 a line gives 1.5 a - 0.5 b; the client's own choice, an exponential, gave thousands."""
    circuit, inputs = Circuit(2).h(0).cx(0, 1), (torch.zeros(1, 0), torch.zeros(0))
    client = IBM("fake_manila", shots=400, zne=(1, 3))
    found = client.expectation(circuit, *inputs, [Z(0), Z(1)])
    assert float(found.abs().max()) < 0.1 + 5 * (2.5 / 400) ** 0.5  # 0.1 bounds the bias by noise
