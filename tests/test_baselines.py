from collections.abc import Callable

import pytest
import torch
from torch import nn

from qml.baselines import (
    LogisticRegression,
    MLPClassifier,
    SineClassifier,
    count_parameters,
    hidden_size_for,
)
from qml.nn import QNNClassifier

Build = Callable[..., nn.Module]
BUILDERS = [
    lambda **options: LogisticRegression(5, **options),
    lambda **options: MLPClassifier(5, (3, 2), **options),
    lambda **options: SineClassifier(5, spread=0.5, **options),
]


def test_parameter_counts_are_those_that_tables_state() -> None:
    assert count_parameters(LogisticRegression(16)) == 17
    assert count_parameters(MLPClassifier(16, (2,))) == 37
    assert count_parameters(MLPClassifier(4, (3, 2), n_classes=3)) == 4 * 3 + 3 + 3 * 2 + 2 + 2 * 3 + 3


@pytest.mark.parametrize(("n_inputs", "n_parameters"), [(16, 96), (784, 6 * 784), (16, 37)])
def test_the_hidden_size_matches_a_parameter_budget_within_ten_per_cent(n_inputs: int, n_parameters: int) -> None:
    twin = MLPClassifier(n_inputs, (hidden_size_for(n_parameters, n_inputs),))
    assert abs(count_parameters(twin) - n_parameters) <= 0.1 * n_parameters


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (0, 5), (1, 5)])
def test_two_classes_give_one_number_a_sample(build: Build, shape: tuple[int, ...]) -> None:
    assert build()(torch.zeros(shape)).shape == shape[:-1]


def test_more_classes_give_a_logit_each() -> None:
    assert LogisticRegression(5, n_classes=3)(torch.zeros(2, 5)).shape == (2, 3)
    assert MLPClassifier(5, (4,), n_classes=3)(torch.zeros(2, 5)).shape == (2, 3)


@pytest.mark.parametrize("build", BUILDERS)
def test_weights_come_from_the_generator_and_leave_the_global_one_alone(
    build: Build,
) -> None:
    before = torch.get_rng_state()
    first, again = (build(generator=torch.Generator().manual_seed(4)).state_dict() for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("build", BUILDERS)
def test_dtype_is_honoured(build: Build) -> None:
    model = build(dtype=torch.float64)
    assert model(torch.zeros(2, 5, dtype=torch.float64)).dtype == torch.float64


def test_the_sine_is_the_formula_of_a_layer_of_zx_gates() -> None:
    qnn = QNNClassifier(4, "z", dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sine = SineClassifier(4, spread=1.0, dtype=torch.float64)
    with torch.no_grad():
        sine.linear.weight.copy_(-4 * qnn.weights[None])  # sin(2 theta z) with z = 1 - 2 bit
        sine.linear.bias.copy_(2 * qnn.weights.sum()[None])
        bits = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
        torch.testing.assert_close(sine(bits), qnn(bits), rtol=0, atol=1e-12)  # float64 algebra


def test_bad_sizes_are_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="Use LogisticRegression"):
        MLPClassifier(4, ())
    with pytest.raises(ValueError, match="must be at least 2, but is 1"):
        LogisticRegression(4, n_classes=1)
