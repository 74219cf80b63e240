"""Layer-wise training: stages against a closed form, what rests, and what is refused."""

import math

import pytest
import torch

from circuits import Circuit, X, Z, ansatzes, weight
from qml.nn import layerwise_stages
from tests.helpers import assert_close


def turns(n_layers: int) -> Circuit:
    circuit = Circuit(1)
    for layer in range(n_layers):
        circuit.ry(weight(layer), 0)
    return circuit


def test_stages_follow_the_closed_form() -> None:
    """One step of gradient descent a stage on <X> = sin(sum of weights)."""
    rate, nothing = 0.3, torch.zeros(1, 0, dtype=torch.float64)
    expected, depths = [0.0] * 3, []
    for number, stage in enumerate(layerwise_stages(turns, 3, [X(0)], parts=2, sweeps=2, dtype=torch.float64)):
        learning = [*range(3)][stage.trained]
        gradient = math.cos(sum(expected))
        expected = [value - rate * gradient * (k in learning) for k, value in enumerate(expected)]
        optimizer = torch.optim.SGD(stage.layer.parameters(), lr=rate)
        stage.layer(nothing).sum().backward()
        optimizer.step()
        depths.append((stage.n_layers, learning))
        assert_close(stage.layer.weights, torch.tensor(expected[: stage.n_layers], dtype=torch.float64), 1e-12)
        assert stage.n_layers == min(number + 1, 3)
    halves = [(3, [0, 1]), (3, [2])]
    assert depths == [(1, [0]), (2, [1]), (3, [2]), *halves, *halves]


def test_steps_and_windows_of_several_layers() -> None:
    def make(n_layers: int) -> Circuit:
        return ansatzes.hardware_efficient(2, n_layers)  # which ends with rotations: 4 weights more than 4 a layer

    stages = layerwise_stages(make, 7, [Z(0)], first=2, step=2, window=3, sweeps=0)
    found = [(stage.n_layers, stage.trained) for stage in stages]
    assert found == [(2, slice(0, 12)), (4, slice(8, 20)), (6, slice(16, 28)), (7, slice(20, 32))]


def test_weights_that_should_rest_must_not_move() -> None:
    stages = layerwise_stages(turns, 3, [X(0)], sweeps=0)
    with torch.no_grad():
        next(stages).layer.weights.fill_(0.4)
        next(stages).layer.weights.mul_(0.9)
    with pytest.raises(RuntimeError, match="1 weights that should rest"):
        next(stages)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layers": 0}, "n_layers"),
        ({"first": 4}, "depth of the first stage"),
        ({"step": 2}, "every new layer learns"),
        ({"parts": 4}, "at most the 3 layers"),
        ({"sweeps": -1}, "sweeps"),
    ],
)
def test_bad_numbers_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layerwise_stages(turns, options.pop("n_layers", 3), [X(0)], **options)


def test_a_circuit_that_does_not_grow_is_refused() -> None:
    stages = layerwise_stages(lambda depth: turns(2), 3, [X(0)])
    next(stages)
    with pytest.raises(ValueError, match="must add weights with each layer"):
        next(stages)
    shrinking = layerwise_stages(lambda depth: turns(4 - depth), 3, [X(0)])
    with pytest.raises(ValueError, match="must add weights with each layer"):
        list(shrinking)


def test_weights_that_a_stage_made_nan_are_refused() -> None:
    stages = layerwise_stages(turns, 3, [X(0)])
    with torch.no_grad():
        next(stages).layer.weights.fill_(float("nan"))
    with pytest.raises(ValueError, match="`weights` must be finite"):
        next(stages)
