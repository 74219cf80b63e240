"""Everything that runs on the processor runs on a GPU, and says the same. Skipped where there is none."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, channels, data, weight
from qml.backends import Native
from qml.baselines import KAN, EchoStateNetwork, OnionESN, WordRNN
from qml.nn import QRNN, FeedbackRing, OnionReservoir, PersistentRing, QuantumLayer
from qml.pinn import MLP, Pinn, Training, find_problem, train
from qml.pinn.training.loss import LossParts
from tests.conformance import LAYERS, gradients, run, seeded
from tests.helpers import assert_close

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

FLOAT64 = 1e-10  # the same sums in another order
N_SHOTS = 40_000


def both(module: Any) -> tuple[Any, Any]:
    return module, copy.deepcopy(module).to("cuda")


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_gradients_are_the_same(name: str) -> None:
    layer, moved = both(LAYERS[name].layer())
    inputs = LAYERS[name].batch((5,))
    found = run(moved, inputs.cuda())
    assert found.device.type == "cuda"
    assert_close(found.cpu(), run(layer, inputs), FLOAT64)
    for mine, expected in zip(gradients(moved, inputs.cuda()), gradients(layer, inputs), strict=True):
        assert mine.device.type == "cuda"
        assert_close(mine.cpu(), expected, FLOAT64)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_keeps_its_precision_under_autocast(name: str) -> None:
    layer = LAYERS[name].layer(torch.float32).to("cuda")
    inputs = LAYERS[name].batch(dtype=torch.float32).to("cuda")
    expected = run(layer, inputs)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        output = run(layer, inputs)
    assert_close(output.float(), expected, 2e-2)  # as `tests.conformance.autocast`


def test_a_network_of_words_goes_on_by_itself() -> None:
    network = QRNN(2, 3, batch_first=True, generator=seeded(0)).to("cuda")
    start = torch.zeros(4, 2, dtype=torch.long, device="cuda")
    made = network.generate(start, 6, generator=seeded(1))  # a generator of the processor: the same words
    assert made.device.type == "cuda"
    assert_close(made, network.cpu().generate(start.cpu(), 6, generator=seeded(1)), 0.0)


def test_shots_and_noise() -> None:
    circuit = Circuit(2).ry(data(0), 0).noise(channels.depolarizing(0.1), 0).cx(0, 1).ry(weight(0), 1)
    weights, inputs = torch.tensor([0.4], dtype=torch.float64), torch.rand(3, 1, dtype=torch.float64)
    exact = Native().probabilities(circuit, inputs, weights)
    assert_close(Native().probabilities(circuit, inputs.cuda(), weights.cuda()).cpu(), exact, FLOAT64)
    draws = torch.Generator("cuda").manual_seed(3)
    bits = Native().sample(circuit, inputs.cuda(), weights.cuda(), N_SHOTS, generator=draws).qubits
    assert bits.device.type == "cuda"
    ones = bits.double().mean(1).cpu()
    expected = torch.stack([exact[:, 2:].sum(1), exact[:, 1::2].sum(1)], 1)
    assert float((ones - expected).abs().max()) < 2.5 / N_SHOTS**0.5  # five standard deviations or more: 6e-7 a number


RINGS: dict[str, Callable[[], nn.Module]] = {
    "feedback": lambda: OnionReservoir([FeedbackRing(3), FeedbackRing(2)]),
    "persistent": lambda: OnionReservoir([PersistentRing(3, 1)]),
    "runs": lambda: OnionReservoir([PersistentRing(3, 1)], trajectories=50),
    "echo state": lambda: EchoStateNetwork(1, 30, seed=4),
    "onion echo state": lambda: OnionESN(1, (20, 10), (0.0, 0.5, 0.9), seed=4),
}


@pytest.mark.parametrize("name", RINGS)
def test_a_reservoir_has_the_same_features(name: str) -> None:
    reservoir, moved = both(RINGS[name]())
    series = torch.rand(2, 7, 1, dtype=torch.float64, generator=seeded(0))
    found, expected = moved(series.cuda())[0], reservoir(series)[0]
    assert found.device.type == "cuda"
    assert_close(found.cpu(), expected, 1e-8)  # arccos of values near 1 magnifies rounding


@pytest.mark.parametrize("derivatives", ["jets", "nested"])
def test_a_loss_of_equations_is_the_same(derivatives: Any) -> None:
    problem = find_problem("burgers")
    trunk = MLP(2, (8, 8), dtype=torch.float64, generator=seeded(0))
    model, moved = both(Pinn(problem, trunk, derivatives=derivatives))
    points = problem.domain.sample(50, 0)
    losses = [LossParts(part, points, n_condition_points=16, seed=0) for part in (model, moved)]
    totals = [torch.stack(list(loss.parts().values())).sum() for loss in losses]
    assert_close(totals[1].cpu(), totals[0], FLOAT64)
    for found, expected in zip(
        torch.autograd.grad(totals[1], list(moved.parameters())),
        torch.autograd.grad(totals[0], list(model.parameters())),
        strict=True,
    ):
        assert_close(found.cpu(), expected, FLOAT64)


def test_training_of_a_network_of_equations() -> None:
    problem = find_problem("burgers")
    start = MLP(2, (8, 8), dtype=torch.float64, generator=seeded(0))
    ends = []
    for model in both(Pinn(problem, start)):
        recipe = Training(n_adam=5, n_lbfgs=3, n_marquardt=2, n_points=64, n_condition_points=16)
        train(model, recipe, seed=0)
        ends.append([part.detach().cpu() for part in model.parameters()])
    for found, expected in zip(ends[1], ends[0], strict=True):
        assert_close(found, expected, 1e-6)  # rounding grows from step to step


# In float64, since cuDNN's LSTM rounds to 10 bits.
@pytest.mark.parametrize("make", [lambda: KAN([2, 3, 1]), lambda: WordRNN("lstm", 2, 4).double()])
def test_a_baseline_is_the_same(make: Callable[[], nn.Module]) -> None:
    model, moved = both(make())
    inputs: Tensor = (
        torch.randint(4, (3, 5)) if isinstance(model, WordRNN) else torch.rand(5, 2)
    )  # LSTM in float64, for cuDNN rounds to tf32
    assert_close(moved(inputs.cuda()).cpu(), model(inputs), 1e-5)


def test_a_quantum_layer_on_the_gpu_learns() -> None:
    circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
    layer = QuantumLayer(circuit, [Z(1)], generator=seeded(0)).to("cuda")
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    inputs = torch.rand(16, 1, generator=seeded(1)).cuda()
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = layer(inputs).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
