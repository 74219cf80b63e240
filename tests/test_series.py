"""Series for forecasting: known values, windows, and a scaler that does not look ahead."""

import numpy as np
import pytest
import torch
from scipy.integrate import odeint
from scipy.special import jv

from qml.data import bessel_series, damped_pendulum, split_series


def test_the_pendulum_is_that_of_another_integrator() -> None:
    series = damped_pendulum().numpy()
    times = np.linspace(0, 20, 240)
    expected = odeint(
        lambda y, t: [y[1], -0.15 * y[1] - 9.81 * np.sin(y[0])], [0.0, 3.0], times, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(series, expected[:, 1], atol=1e-6)  # both integrators' errors over 20 s
    assert series[0] == 3.0


def test_the_bessel_series_begins_and_ends_where_it_should() -> None:
    series = bessel_series()
    assert len(series) == 256
    assert series[0].item() == jv(2, 2.0)
    assert series[-1].item() == jv(2, 100.0)


def test_windows_follow_each_other_and_the_scaler_sees_the_training_part_only() -> None:
    series = torch.arange(20.0, dtype=torch.float64)
    split = split_series(series, length=4, train=0.5)
    assert split.train_inputs.shape == (8, 4, 1)
    assert split.test_inputs.shape == (8, 4, 1)
    assert (split.low, split.high) == (0.0, 11.0)
    original = (split.test_inputs + 1) / 2 * 11
    torch.testing.assert_close(original[0, :, 0], series[8:12])
    torch.testing.assert_close((split.test_targets[0] + 1) / 2 * 11, series[12:13])
    assert split.train_targets.max() == 1.0
    assert split.test_targets.max() > 1.0
    assert split_series(series, length=4, train=0.5, leaking_scaler=True).high == 19.0


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (torch.ones(9), {}, "must vary"),
        (torch.ones(4), {}, "must be long enough"),
        (torch.tensor([0.0, torch.nan, 1.0] * 4), {}, "must be finite"),
        (torch.arange(9.0), {"train": 1.0}, "`train` must be a share"),
        (torch.arange(9.0), {"length": 0}, "`length` must be at least 1"),
    ],
)
def test_bad_series_are_refused(series: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_series(series, **options)
    with pytest.raises(ValueError, match="`n_points` must be at least 2"):
        bessel_series(1)
