"""The interface of reservoirs, read-outs and forecasters, on a reservoir of a few lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from qml.baselines import EchoStateNetwork
from qml.reservoir import (
    Ensemble,
    Forecaster,
    HybridReservoir,
    RecursiveLeastSquares,
    Reservoir,
    RidgeReadout,
    load,
    save,
)
from tests.helpers import assert_close

FLOAT64 = 1e-12  # rounding of sums of a few hundred products
SOLVED = 1e-8  # the same after a linear system of condition below 1e4


class Leaky(Reservoir):
    """s_t = s_{t-1} / 2 + x_t, read out with its square."""

    def __init__(self) -> None:
        super().__init__(1, 2, 1)

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        return like.new_zeros(batch, 1)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for step in inputs.unbind(1):
            state = state / 2 + step
            found.append(torch.cat([state, state**2], 1))
        return torch.stack(found, 1), state


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def wave(length: int = 300) -> Tensor:
    return torch.sin(torch.arange(length, dtype=torch.float64) / 5)[:, None]


def chunks_of(features: Tensor, targets: Tensor, size: int) -> Any:
    return lambda: zip(features.split(size), targets.split(size), strict=True)


def test_state_carried_over_gives_what_one_pass_gives() -> None:
    series = noise(3, 20, 1)
    whole, end = Leaky()(series)
    first, state = Leaky()(series[:, :7])
    second, last = Leaky()(series[:, 7:], state)
    assert_close(torch.cat([first, second], 1), whole, FLOAT64)
    assert_close(last, end, FLOAT64)
    assert_close(torch.cat(list(Leaky().stream(series, chunk=6)), 1), whole, FLOAT64)


def test_series_of_different_length_run_as_if_alone() -> None:
    series = noise(4, 20, 1)
    features, state = Leaky()(series, lengths=[20, 5, 0, 11])
    for row, length in enumerate([20, 5, 0, 11]):
        alone, end = Leaky()(series[row, :length])
        assert_close(features[row, :length], alone, FLOAT64)
        assert_close(state[row], end, FLOAT64)
        assert not features[row, length:].any()


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (torch.zeros(5), {}, r"shape \(time, 1\) or \(batch, time, 1\), but has shape \(5,\).*series\[..., None\]"),
        (torch.zeros(2, 5, 2), {}, "must have shape"),
        (torch.full((5, 1), torch.nan), {}, "fill_gaps"),
        (torch.zeros(2, 5, 1), {"lengths": [5, 6]}, r"2 lengths in 0..5"),
        (torch.zeros(2, 5, 1), {"state": torch.zeros(3, 1)}, r"must have shape \(2, 1\)"),
    ],
)
def test_bad_series_are_refused(inputs: Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Leaky()(inputs, **options)


def test_integer_series_are_refused() -> None:
    with pytest.raises(TypeError, match="must be floating"):
        Leaky()(torch.zeros(5, 1, dtype=torch.int64))


@pytest.mark.parametrize("size", [7, 64, 1000])
@pytest.mark.parametrize("n_samples", [200, 12])
def test_ridge_solves_the_normal_equations(size: int, n_samples: int) -> None:
    features, targets = noise(n_samples, 15) + 3.0, noise(n_samples, 2, seed=1)
    readout = RidgeReadout(15, 2, alphas=0.3).fit(chunks_of(features, targets, size))
    x, y = (part.numpy() - part.numpy().mean(0) for part in (features, targets))
    expected = np.linalg.solve(x.T @ x + 0.3 * np.eye(15), x.T @ y).T
    assert_close(readout.weight, expected, SOLVED)
    assert_close(readout(features).mean(0), targets.mean(0), SOLVED)


def test_leave_one_out_is_what_leaving_out_gives() -> None:
    features, targets = noise(30, 6), noise(30, 1, seed=1) + 2.0
    alphas = (1e-3, 1.0, 30.0)
    readout = RidgeReadout(6, 1, alphas=alphas).fit(chunks_of(features, targets, 11))
    for alpha, found in zip(alphas, readout.errors, strict=True):
        squares = []
        for left in range(30):
            kept = torch.arange(30) != left
            rest = RidgeReadout(6, 1, alphas=alpha).fit(chunks_of(features[kept], targets[kept], 50))
            squares.append(float((rest(features[left]) - targets[left]).square()))
        assert_close(found, np.mean(squares), SOLVED)
    assert float(readout.alpha) == alphas[int(readout.errors.argmin())]
    assert_close(readout.noise.square(), readout.errors.min().reshape(1), SOLVED)


@pytest.mark.parametrize(("n_features", "alpha"), [(6, 0.0), (6, 2.0), (11, 0.5), (12, 1e-2), (30, 1e-2)])
def test_noise_at_one_alpha_is_that_of_generalised_cross_validation(n_features: int, alpha: float) -> None:
    """Equation 1.4 of Golub, Heath and Wahba, by the hat matrix, with an intercept that is not penalised."""
    features, targets = 3.0 * noise(12, n_features) + 1.0, noise(12, 2, seed=1) - 5.0
    x, y = features.numpy() - features.numpy().mean(0), targets.numpy()
    hat = np.full((12, 12), 1 / 12) + x @ np.linalg.solve(x.T @ x + alpha * np.eye(n_features), x.T)
    expected = 12 * np.square(y - hat @ y).sum(0) / (12 - np.trace(hat)) ** 2
    readout = RidgeReadout(n_features, 2, alphas=alpha).fit(chunks_of(features, targets, 5))
    assert_close(readout.noise.square().numpy() / expected, np.ones(2), 1e-9)  # digits that 12 - trace(hat) has left


@pytest.mark.parametrize("alpha", [0.0, 1e-12])
def test_noise_of_a_fit_without_residuals_is_that_of_its_predictions(alpha: float) -> None:
    features, targets = noise(1020, 40), noise(1020, 1, seed=1)
    readout = RidgeReadout(40, 1, alphas=alpha).fit(chunks_of(features[:20], targets[:20], 20))
    unseen = float((readout(features[20:]) - targets[20:]).square().mean().sqrt())
    assert unseen > 1.0
    assert 0.7 < float(readout.noise) / unseen < 1.4  # 20 samples know a deviation to one part in six


@pytest.mark.parametrize("n_features", [9, 11, 12, 30])
def test_leave_one_out_of_fits_without_a_residual_is_what_leaving_out_gives(n_features: int) -> None:
    """With 12 samples of 11 features or more every residual vanishes with alpha, and so does 1 - leverage."""
    features, targets = 3.0 * noise(12, n_features), noise(12, 1, seed=1)
    alphas = (1e-13, 1e-12, 1e-10, 1e-6, 1e-2, 10.0)
    readout = RidgeReadout(n_features, 1, alphas=alphas).fit(chunks_of(features, targets, 5))
    for alpha, found in zip(alphas, readout.errors, strict=True):
        squares = []
        for left in range(12):
            kept = torch.arange(12) != left
            rest = RidgeReadout(n_features, 1, alphas=alpha).fit(chunks_of(features[kept], targets[kept], 50))
            squares.append(float((rest(features[left]) - targets[left]).square()))
        assert_close(found / np.mean(squares), np.ones(()), 1e-4)  # digits of 1 - leverage, see LEAST_FREEDOM
    assert float(readout.errors.min()) > 0.1  # noise that nothing predicts


def test_a_feature_of_one_sample_alone_does_not_hide_its_error() -> None:
    features, targets = noise(20, 3), noise(20, 1, seed=1)
    features[:, 2] = 0.0
    features[4, 2], targets[4] = 5.0, 9.0
    readout = RidgeReadout(3, 1, alphas=(1e-13, 1e-8)).fit(chunks_of(features, targets, 20))
    others = torch.arange(20) != 4
    rest = RidgeReadout(3, 1, alphas=1e-8).fit(chunks_of(features[others], targets[others], 20))
    least = float((rest(features[4]) - 9.0).square()) / 20
    assert least > 3.0
    assert float(readout.errors.min()) > least


def test_dependent_features_and_constant_targets_have_a_solution() -> None:
    one = noise(40, 3)
    twice = torch.cat([one, one[:, :1] + one[:, 1:2]], 1)
    target = one @ torch.tensor([[1.0], [2.0], [-1.0]], dtype=torch.float64)
    assert_close(RidgeReadout(4, 1, alphas=0.0).fit(chunks_of(twice, target, 10))(twice), target, SOLVED)
    constant = RidgeReadout(4, 1).fit(chunks_of(twice, torch.full((40, 1), 7.0, dtype=torch.float64), 10))
    assert_close(constant(twice), np.full((40, 1), 7.0), SOLVED)
    assert_close(constant.weight, np.zeros((1, 4)), SOLVED)


def test_one_sample_and_none() -> None:
    single = RidgeReadout(2, 1).fit(chunks_of(noise(1, 2), torch.full((1, 1), 3.0, dtype=torch.float64), 1))
    assert_close(single(noise(4, 2)), np.full((4, 1), 3.0), FLOAT64)
    assert bool(single.noise.isnan().all())
    with pytest.raises(ValueError, match="at least one step to fit to"):
        RidgeReadout(2, 1).fit(lambda: iter(()))
    with pytest.raises(ValueError, match="`alphas` must hold numbers of at least 0"):
        RidgeReadout(2, 1, alphas=(-1.0,))
    with pytest.raises(ValueError, match="`targets` must be finite"):
        RidgeReadout(2, 1).fit(chunks_of(noise(4, 2), torch.full((4, 1), torch.nan, dtype=torch.float64), 4))


@pytest.mark.parametrize("forgetting", [1.0, 0.9])
def test_recursive_least_squares_is_the_weighted_ridge_solution(forgetting: float) -> None:
    features, targets = noise(50, 4), noise(50, 2, seed=1)
    online = RecursiveLeastSquares(4, 2, alpha=0.5, forgetting=forgetting)
    predicted = torch.cat([online.update(features[:20], targets[:20]), online.update(features[20:], targets[20:])])
    x = np.concatenate([np.ones((50, 1)), features.numpy()], 1)
    weight = forgetting ** np.arange(49, -1, -1)
    gram = (weight[:, None] * x).T @ x + forgetting**50 * 0.5 * np.eye(5)
    expected = np.linalg.solve(gram, (weight[:, None] * x).T @ targets.numpy()).T
    assert_close(torch.cat([online.bias[:, None], online.weight], 1), expected, SOLVED)
    assert_close(predicted[0], np.zeros(2), FLOAT64)


def test_bad_options_of_online_learning_are_refused() -> None:
    with pytest.raises(ValueError, match="`alpha` must be above 0"):
        RecursiveLeastSquares(2, 1, alpha=0.0)
    with pytest.raises(ValueError, match=r"`forgetting` must lie in \(0, 1\]"):
        RecursiveLeastSquares(2, 1, forgetting=1.5)
    with pytest.raises(ValueError, match="Call learn_online first"):
        Forecaster(Leaky()).update(noise(4, 1), noise(4, 1))


def test_forecaster_learns_a_wave_offline_and_online() -> None:
    network = EchoStateNetwork(1, 50, seed=0)
    model = Forecaster(network, washout=20).fit(wave())
    truth = wave(310)[300:]
    assert_close(model.forecast(wave(), 10), truth, 1e-3)  # it is a sine; ours reaches about 5e-6
    assert_close(model.predict(wave())[100:-1], wave()[101:], 1e-3)
    online = Forecaster(network).learn_online(alpha=1e-6)
    _, state = online.update(wave()[:150], wave()[1:151])
    predicted, _ = online.update(wave()[150:-1], wave()[151:], state)
    assert_close(predicted[50:], wave()[201:], 0.02)  # online, the start is never washed out


def test_chunks_groups_and_warm_up_change_nothing_but_the_start() -> None:
    series = [noise(40, 1), noise(25, 1, seed=1), noise(40, 1, seed=2)]
    whole = Forecaster(Leaky(), washout=3, alphas=0.1).fit(series)
    pieces = Forecaster(Leaky(), washout=3, alphas=0.1, chunk=2).fit(series)
    assert_close(pieces.readout.weight, whole.readout.weight, SOLVED)
    rows = [(Leaky()(item)[0][3:-1], item[4:]) for item in series]
    x, y = (torch.cat(parts).numpy() for parts in zip(*rows, strict=True))
    centred = x - x.mean(0)
    expected = np.linalg.solve(centred.T @ centred + 0.1 * np.eye(2), centred.T @ (y - y.mean(0))).T
    assert_close(whole.readout.weight, expected, SOLVED)
    warm = Forecaster(Leaky(), warm_up=60, alphas=0.1).fit(torch.ones(5, 1, dtype=torch.float64) * 2)
    assert_close(warm.predict(torch.full((3, 1), 2.0, dtype=torch.float64)), np.full((3, 1), 2.0), SOLVED)


def test_forecasts_of_a_list_are_those_of_each_series() -> None:
    model = Forecaster(EchoStateNetwork(1, 30, seed=1), washout=10).fit(wave())
    together = model.forecast([wave(50), wave(33)], 4)
    for number, length in enumerate((50, 33)):
        assert_close(together[number], model.forecast(wave(length), 4), SOLVED)
    model.chunk = 9
    assert_close(model.forecast([wave(50), wave(33)], 4), together, SOLVED)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(wave(10)), "must be longer than the washout of 20 steps"),
        (lambda m: m.fit([wave(60), wave(15)]), "one leaves 14 to learn from"),
        (lambda m: m.fit([]), "at least one series, but is empty"),
        (lambda m: m.fit(wave(60), wave(59)), "must have the lengths of the series"),
        (lambda m: m.forecast(wave(60), 0), "`horizon` must be at least 1, but is 0"),
        (lambda m: m.forecast(wave(60)[:0], 3), "at least one step of every series"),
        (lambda m: m.fit(torch.full((60, 1), torch.nan)), "fill_gaps"),
        (lambda m: Forecaster(Leaky(), n_outputs=2).fit(wave(60)), "`targets` must be given"),
        (lambda m: Forecaster(Leaky(), n_outputs=2).forecast(wave(60), 3), "as many outputs as inputs"),
    ],
)
def test_bad_calls_of_a_forecaster_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Forecaster(Leaky(), washout=20))


def test_a_forecaster_that_was_not_fitted_does_not_predict() -> None:
    model = Forecaster(Leaky())
    for call in (lambda: model.predict(wave()), lambda: model.forecast(wave(), 3)):
        with pytest.raises(ValueError, match=r"must be fitted before it predicts, but was not\. Call fit"):
            call()
    assert model.learn_online().forecast(wave(), 3).shape == (3, 1)


def test_a_diverging_loop_is_an_error() -> None:
    model = Forecaster(Leaky()).fit(wave())
    model.readout.weight = torch.tensor([[0.0, 5.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="diverges after"):
        model.forecast(wave(5), 100)


def test_an_ensemble_covers_the_noise_of_the_series() -> None:
    steps = 0.3 * noise(900, 1)
    series = torch.zeros(900, 1, dtype=torch.float64)
    for t in range(1, 900):
        series[t] = 0.8 * series[t - 1] + steps[t]
    members = [Forecaster(EchoStateNetwork(1, 20, seed=seed), washout=20) for seed in range(3)]
    ensemble = Ensemble(members).fit(series[:600])
    starts = range(600, 890, 7)
    result = ensemble.forecast(
        [series[:start] for start in starts], 5, coverage=0.8, n_paths=40, generator=torch.Generator().manual_seed(0)
    )
    truth = torch.stack([series[start : start + 5] for start in starts])
    inside = ((truth > result.low) & (truth < result.high)).double().mean()
    # 42 windows of 5 correlated steps: about 100 independent ones, 5 standard deviations of 0.04
    assert 0.6 < float(inside) < 1.0
    assert result.paths.shape == (120, 42, 5, 1)
    with pytest.raises(ValueError, match="at least two forecasters"):
        Ensemble(members[:1])
    with pytest.raises(ValueError, match=r"`coverage` must lie in \(0, 1\)"):
        ensemble.forecast(series, 3, coverage=1.0)


def test_hybrids_concatenate_or_feed() -> None:
    series = noise(2, 12, 1)
    first, second, third = (
        EchoStateNetwork(1, 8, density=0.9, seed=0),
        EchoStateNetwork(1, 5, density=0.9, seed=1),
        EchoStateNetwork(8, 6, density=0.9, seed=2),
    )
    together, _ = HybridReservoir(first, second)(series)
    assert_close(together, torch.cat([first(series)[0], second(series)[0]], -1), FLOAT64)
    fed, _ = HybridReservoir(first, third, feed=True)(series)
    assert_close(fed[..., 8:], third(first(series)[0])[0], FLOAT64)
    with pytest.raises(ValueError, match="must have n_inputs=8 behind EchoStateNetwork, but has 1"):
        HybridReservoir(first, second, feed=True)
    with pytest.raises(ValueError, match="at least two"):
        HybridReservoir(first)


def test_a_forecaster_in_a_file_predicts_the_same(tmp_path: Path) -> None:
    reservoir = HybridReservoir(
        EchoStateNetwork(1, 8, density=0.4, seed=3), EchoStateNetwork(1, 5, density=0.9, include_inputs=True)
    )
    path = tmp_path / "model.safetensors"
    for model in (Forecaster(reservoir, washout=5, warm_up=2).fit(wave(60)), Forecaster(reservoir).learn_online()):
        if isinstance(model.readout, RecursiveLeastSquares):
            model.update(wave(60)[:-1], wave(60)[1:])
        save(model, path)
        again = load(path)
        assert_close(again.forecast(wave(30), 3), model.forecast(wave(30), 3), FLOAT64)
    assert [item.name for item in tmp_path.iterdir()] == ["model.safetensors"]
    (tmp_path / "other").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="must be a file that save wrote"):
        load(tmp_path / "other")
    with pytest.raises(TypeError, match="must be one of EchoStateNetwork"):
        save(Forecaster(Leaky()), path)


def test_a_progress_bar_counts_steps(capsys: pytest.CaptureFixture[str]) -> None:
    Forecaster(Leaky(), alphas=0.1).fit(wave(60), progress=True)
    assert "59/59" in capsys.readouterr().err
