"""Forecasts with intervals from any one-step model: known errors, coverage, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qml.data import Scaler
from qml.nn import QKANLSTM, forecast_with_interval
from qml.reservoir import Forecast
from tests.helpers import assert_close


def last(windows: Tensor) -> Tensor:
    return windows[:, -1]


def walk(n_steps: int, seed: int) -> Tensor:
    return torch.randn(n_steps, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).cumsum(0)


def test_the_interval_lies_between_order_statistics_of_errors() -> None:
    calibration = walk(60, 0)
    context = torch.tensor([[3.0], [5.0]], dtype=torch.float64)
    result = forecast_with_interval(last, context, 2, calibration=calibration, window=1, coverage=0.8)
    assert_close(result.mean, torch.full((2, 1), 5.0, dtype=torch.float64), 1e-12)
    for step in (1, 2):  # of a forecast of the last value the error is what was walked since
        errors = sorted(calibration[k + step, 0].item() - calibration[k, 0].item() for k in range(58))
        ends = (result.low[step - 1, 0].item() - 5, result.high[step - 1, 0].item() - 5)
        assert ends == pytest.approx((errors[4], errors[53]), abs=1e-12)  # floor(59 * 0.1) = 5 from either end
    assert result.paths.shape == (58, 2, 1)
    assert result.in_range is None


def test_the_coverage_is_kept() -> None:
    inside, n = 0, 300
    for seed in range(n):
        series = walk(30 + 4 * 60, seed)
        result = forecast_with_interval(last, series[-34:-4], 4, calibration=series[:-34], window=1, stride=4)
        inside += int((result.low[3] <= series[-1]) & (series[-1] <= result.high[3]))
    assert inside / n > 0.9 - 3.1 * (0.09 / n) ** 0.5  # 50 errors that do not overlap; false alarm below 0.1 %
    assert inside / n < 0.99


def test_a_recurrent_layer_forecasts_in_closed_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    layer, head = QKANLSTM(2, 3, reps=1, batch_first=True, generator=generator), nn.Linear(3, 2)

    def one_step(windows: Tensor) -> Tensor:
        return head(layer(windows)[0][:, -1])

    series = torch.rand(40, 2, generator=generator)
    result = forecast_with_interval(one_step, series, 2, calibration=series, window=4, coverage=0.8)
    with torch.no_grad():
        first = one_step(series[None, -4:])
        second = one_step(torch.cat([series[None, -3:], first[:, None]], 1))
    assert_close(result.mean, torch.cat([first, second]), 1e-6)
    assert not result.mean.requires_grad


def test_a_module_is_evaluated_and_put_back() -> None:
    class Noisy(nn.Module):
        def forward(self, windows: Tensor) -> Tensor:
            assert not self.training
            return windows[:, -1]

    model = Noisy()
    model.frozen = nn.Dropout().eval()
    forecast_with_interval(model, walk(5, 0), 1, calibration=walk(40, 1), window=2)
    assert model.training
    assert not model.frozen.training  # a part that rests while others learn rests again


@pytest.mark.plain
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coverage": 1.0}, r"`coverage` must lie in \(0, 1\)"),
        ({"coverage": 0.99}, "at least 199 places to forecast from for a coverage of 0.99, but gives 37"),
        ({"calibration": torch.ones(3, 1)}, "`calibration` must hold at least 4 steps, but holds 3"),
        ({"calibration": torch.ones(40, 2)}, "`calibration` must have 1 columns as the context, but has 2"),
        ({"context": torch.ones(1, 1)}, "`context` must hold at least 2 steps"),
        ({"context": torch.ones(40)}, "`context` must be a floating tensor of shape"),
        ({"one_step": lambda windows: windows}, r"must return the next values of shape \(37, 1\) for windows"),
        ({"one_step": lambda windows: windows[:, -1] / 0}, "must stay finite in closed loop, but diverges after 0"),
        ({"horizon": 0}, "`horizon` must be at least 1"),
        ({"window": 0}, "`window` must be at least 1"),
    ],
)
def test_what_has_no_interval_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "one_step": last, "context": torch.ones(40, 1), "horizon": 2, "calibration": torch.ones(40, 1), "window": 2,
    }  # fmt: skip
    arguments |= changes
    positional = [arguments.pop(name) for name in ("one_step", "context", "horizon")]
    with pytest.raises(ValueError, match=message):
        forecast_with_interval(*positional, **arguments)


def test_a_forecast_is_drawn_beside_what_came_before_and_after() -> None:
    series = torch.stack([walk(50, seed) for seed in range(3)])
    mean = series[:, 40:]
    forecast = Forecast(mean, mean - 1.0, mean + 2.0, mean[None], torch.arange(10).expand(3, 10) < 6)
    (axes,) = forecast.plot(context=series[:, :40], truth=mean + 0.5, series=2, n_before=7).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert_close(torch.tensor(lines["forecast"].get_ydata()), mean[2, :, 0], 1e-12)
    assert_close(torch.tensor(lines["so far"].get_ydata()), series[2, 33:40, 0], 1e-12)
    assert_close(torch.tensor(lines["so far"].get_xdata()), torch.arange(-6, 1), 0.0)
    assert_close(torch.tensor(lines["what came true"].get_ydata()), mean[2, :, 0] + 0.5, 1e-12)
    assert lines["leaves the range of its training"].get_xdata() == [6.5, 6.5]
    assert (forecast._repr_png_() or b"").startswith(b"\x89PNG")  # which a notebook shows
    wrongs: list[dict[str, Any]] = [{"series": 3}, {"output": 1}, {"context": series[:2], "series": 2}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="must count from 0 to"):
            forecast.plot(**wrong)


def test_a_forecast_of_a_scaled_series_goes_back_to_its_units() -> None:
    scaler = Scaler(mean=torch.tensor([10.0]), spread=torch.tensor([2.0]))
    mean = torch.zeros(3, 1)
    forecast = scaler.undo(Forecast(mean, mean - 1, mean + 1, mean[None] + 0.5, torch.ones(3, dtype=torch.bool)))
    ends = [part.flatten().tolist()[0] for part in (forecast.mean, forecast.low, forecast.high, forecast.paths)]
    assert ends == [10.0, 8.0, 12.0, 11.0]
    assert forecast.reliable_steps == 3
