"""Recurrent quantum networks on continuous features."""

import copy
import math

import pytest
import torch

from qml.nn import QRNNClassifier, QRNNRegressor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_features_become_levels_and_levels_become_words() -> None:
    inputs = torch.tensor([[-1.0, 0.99], [0.0, -0.5], [9.0, -9.0]])  # three steps of two features
    side_by_side = QRNNRegressor(2, 2, n_bits=2)
    assert side_by_side.words(inputs).tolist() == [0b0011, 0b1001, 0b1100]
    serial = QRNNRegressor(2, 2, n_bits=2, serial=True)
    # step by step the high bits of both features, then the low ones
    assert serial.words(inputs).tolist() == [0b01, 0b01, 0b10, 0b01, 0b10, 0b10]


@pytest.mark.parametrize("serial", [False, True])
def test_batch_first_time_first_and_single_series_agree(*, serial: bool) -> None:
    options = {"n_bits": 2, "serial": serial, "dtype": torch.float64}
    time_first = QRNNRegressor(2, 2, 3, **options, generator=seeded())
    batch_first = QRNNRegressor(2, 2, 3, **options, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    inputs = torch.rand(5, 4, 2, dtype=torch.float64, generator=seeded(1))
    outputs, state = time_first(inputs)
    assert outputs.shape == (5, 4, 3)
    swapped, same = batch_first(inputs.transpose(0, 1))
    torch.testing.assert_close(swapped.transpose(0, 1), outputs, atol=1e-12, rtol=0)  # float64 algebra
    torch.testing.assert_close(same, state, atol=1e-12, rtol=0)
    torch.testing.assert_close(time_first(inputs[:, 1])[0], outputs[:, 1], atol=1e-12, rtol=0)
    first, carried = time_first(inputs[:2])
    second, _ = time_first(inputs[2:], carried)
    torch.testing.assert_close(torch.cat([first, second]), outputs, atol=1e-12, rtol=0)


def test_a_copy_gives_the_same_numbers_and_gradients_reach_every_parameter() -> None:
    layer = QRNNRegressor(1, 2, n_bits=2, generator=seeded())
    inputs = torch.rand(6, 3, 1, generator=seeded(1))
    outputs, _ = layer(inputs)
    torch.testing.assert_close(copy.deepcopy(layer)(inputs)[0], outputs, atol=0, rtol=0)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in layer.parameters())


def test_regression_of_a_wave_gets_better_than_its_mean() -> None:
    wave = torch.sin(torch.linspace(0.0, 6.0 * math.pi, 61))
    inputs, targets = wave[:-1, None, None], wave[1:, None, None]
    layer = QRNNRegressor(1, 3, n_bits=4, generator=seeded())
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(inputs)[0], targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * targets.var().item() < losses[0]


def test_a_classifier_reads_the_last_step() -> None:
    layer = QRNNClassifier(2, 2, 4, n_bits=1, batch_first=True, generator=seeded())
    inputs = torch.rand(3, 5, 2, generator=seeded(1))
    logits, state = layer(inputs)
    assert logits.shape == (3, 4)
    assert state.shape == (3, 4)
    assert layer(inputs[0])[0].shape == (4,)
    torch.testing.assert_close(layer(inputs[0])[0], logits[0])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`in_features` must be at least 1"):
        QRNNRegressor(0, 2)
    with pytest.raises(ValueError, match="`low` must be below `high`"):
        QRNNRegressor(1, 2, low=1.0, high=1.0)
    with pytest.raises(ValueError, match="`n_classes` must be at least 2"):
        QRNNClassifier(1, 2, 1)
    layer = QRNNRegressor(2, 2, n_bits=1)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 2\)"):
        layer(torch.rand(3, 1, 3))
    with pytest.raises(ValueError, match="2 or 3 dimensions"):
        layer(torch.rand(2))
    with pytest.raises(ValueError, match="must be finite"):
        layer(torch.full((3, 1, 2), math.nan))
    with pytest.raises(ValueError, match="must not require gradients"):
        layer(torch.rand(3, 1, 2, requires_grad=True))
    with pytest.raises(ValueError, match="at least one step"):
        layer(torch.rand(0, 1, 2))
