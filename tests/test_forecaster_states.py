"""Every option of a forecaster through fit, learn_online, update, save, load, predict and forecast, by other ways."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from qml.baselines import EchoStateNetwork
from qml.files import parse_safetensors
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing
from qml.reservoir import (
    Ensemble,
    Forecaster,
    ForecastRangeWarning,
    HybridReservoir,
    RecursiveLeastSquares,
    Reservoir,
    RidgeReadout,
    load,
    save,
)
from tests.helpers import assert_close

SOLVED = 1e-8  # rounding after a linear system of condition below 1e5
ROUNDING = 1e-12
REFUSED = (TypeError, ValueError, TypeCheckError)
ALPHA = 1e-3


def wave(length: int = 120, *, seed: int = 0, noise: float = 0.05) -> Tensor:
    drawn = torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (torch.sin(torch.arange(length, dtype=torch.float64) / 5 + seed) + noise * drawn)[:, None]


RESERVOIRS = {
    "echo state": lambda: EchoStateNetwork(1, 12, seed=1, start=0.2, bias_scaling=0.3),
    "echo state with inputs": lambda: EchoStateNetwork(1, 9, seed=2, include_inputs=True, leak_rate=0.6),
    "rings": lambda: OnionReservoir([PersistentRing(3, 2, seed=4), FeedbackRing(2, 0.8, -0.5)]),
    "hybrid": lambda: HybridReservoir(
        EchoStateNetwork(1, 6, density=0.5, seed=3), OnionReservoir([FeedbackRing(2, 0.8, -0.5)])
    ),
    "hybrid that feeds": lambda: HybridReservoir(
        EchoStateNetwork(1, 4, density=0.9, seed=3), EchoStateNetwork(4, 5, density=0.9, seed=4), feed=True
    ),
}


def states_of(reservoir: Reservoir, series: Tensor, warm_up: int) -> tuple[np.ndarray, Tensor]:
    """Features step by step, the first value fed before; and the last state."""
    state, rows = None, []
    for _ in range(warm_up):
        state = reservoir(series[:1], state)[1]
    for step in range(len(series)):
        features, state = reservoir(series[step : step + 1], state)
        rows.append(features[0].numpy())
    return np.array(rows), state


def ridge(features: np.ndarray, targets: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and intercept by the normal equations."""
    x, y = features - features.mean(0), targets - targets.mean(0)
    weight = np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)
    return weight, targets.mean(0) - features.mean(0) @ weight


def online(features: np.ndarray, targets: np.ndarray, alpha: float, forgetting: float) -> np.ndarray:
    """Weights with the intercept first, by the weighted normal equations."""
    x, n = np.concatenate([np.ones((len(features), 1)), features], 1), len(features)
    weight = forgetting ** np.arange(n - 1, -1, -1)[:, None]
    gram = (weight * x).T @ x + forgetting**n * alpha * np.eye(x.shape[1])
    return np.linalg.solve(gram, (weight * x).T @ targets)


@pytest.mark.parametrize("name", RESERVOIRS)
@pytest.mark.parametrize(("warm_up", "washout", "chunk"), [(0, 0, 2000), (3, 0, 7), (0, 5, 2000), (4, 6, 5)])
def test_fit_predict_and_forecast_follow_their_equations(name: str, warm_up: int, washout: int, chunk: int) -> None:
    reservoir, series = RESERVOIRS[name](), [wave(60), wave(45, seed=1)]
    options = {"warm_up": warm_up, "washout": washout, "chunk": chunk}
    model = Forecaster(reservoir, alphas=ALPHA, **options).fit(series)
    rows = [states_of(reservoir, item, warm_up)[0] for item in series]
    features = np.concatenate([row[washout:-1] for row in rows])
    targets = np.concatenate([item[washout + 1 :].numpy() for item in series])
    weight, bias = ridge(features, targets, ALPHA)
    assert_close(model.readout.weight, weight.T, 1e-6)  # some features nearly depend on each other
    for found, row in zip(model.predict(series), rows, strict=True):
        assert_close(found, row @ weight + bias, 1e-6)
    forecast = model.forecast([item[:30] for item in series], 3)
    for number, item in enumerate(series):
        context = item[:30]
        for step in range(3):  # the whole past again for each step
            value = states_of(reservoir, context, warm_up)[0][-1] @ weight + bias
            assert_close(forecast[number, step], value, 1e-6)
            context = torch.cat([context, torch.from_numpy(value)[None]])


@pytest.mark.parametrize("name", RESERVOIRS)
@pytest.mark.parametrize(("warm_up", "washout"), [(0, 0), (3, 0), (2, 6)])
def test_updates_learn_the_features_that_predictions_use(name: str, warm_up: int, washout: int) -> None:
    reservoir, series = RESERVOIRS[name](), wave(50)
    model = Forecaster(reservoir, warm_up=warm_up, washout=washout).learn_online(alpha=0.2, forgetting=0.95)
    first, state = model.update(series[:20], series[1:21])
    second, _ = model.update(series[20:-1], series[21:], state)
    features, _ = states_of(reservoir, series[:-1], warm_up)
    joined = online(features[washout:], series[washout + 1 :].numpy(), 0.2, 0.95)
    assert_close(torch.cat([model.readout.bias[:, None], model.readout.weight], 1), joined.T, SOLVED)
    predicted = np.concatenate([np.ones((len(features), 1)), features], 1) @ joined
    assert_close(model.predict(series[:-1]), predicted, SOLVED)
    before = online(features[washout:30], series[washout + 1 : 31].numpy(), 0.2, 0.95)
    assert_close(second[10], np.concatenate([[1.0], features[30]]) @ before, SOLVED)
    assert_close(first[:washout], np.zeros((washout, 1)), ROUNDING)


def test_single_steps_learn_what_one_call_learns() -> None:
    series = wave(40)
    whole = Forecaster(RESERVOIRS["echo state"](), warm_up=2).learn_online()
    steps = Forecaster(RESERVOIRS["echo state"](), warm_up=2).learn_online()
    predicted, end = whole.update(series[:-1], series[1:])
    state, found = None, []
    for step in range(39):
        value, state = steps.update(series[step : step + 1], series[step + 1 : step + 2], state)
        found.append(value)
    assert_close(torch.cat(found), predicted, SOLVED)
    assert_close(state, end, ROUNDING)


def test_a_series_that_ends_in_its_washout_is_refused() -> None:
    model = Forecaster(RESERVOIRS["echo state"](), washout=5).learn_online()
    with pytest.raises(ValueError, match="`inputs` must begin a series with more than the washout of 5 steps"):
        model.update(wave(5), wave(5))
    assert model.update(wave(0), wave(0))[0].shape == (0, 1)


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESERVOIRS)
def test_predictions_go_on_from_a_state(name: str) -> None:
    model = Forecaster(RESERVOIRS[name](), alphas=ALPHA, warm_up=2).fit(wave())
    one, other = wave(), wave(80, seed=3)
    states = [model.reservoir(item[:50], states_of(model.reservoir, item[:1], 1)[1])[1] for item in (one, other)]
    expected = [  # by the interface of the reservoir alone
        model.readout(model.reservoir(item[50:], state)[0]) for item, state in zip((one, other), states, strict=True)
    ]
    tails = [one[50:], other[50:]]
    for given in (states, tuple(states), torch.stack(states)):
        for found, right in zip(model.predict(tails, given), expected, strict=True):
            assert_close(found, right, ROUNDING)
    assert_close(model.predict(tails[0], states[0]), expected[0], ROUNDING)
    batch = torch.stack([one[50:80], other[50:]])
    for found, right in zip(model.predict(batch, torch.stack(states)), expected, strict=True):
        assert_close(found, right[:30], SOLVED)
    anew, going = model.predict(tails, [None, states[1]])
    assert_close(anew, model.predict(tails[0]), ROUNDING)
    assert_close(going, expected[1], ROUNDING)


@pytest.mark.parametrize(
    "state",
    [
        "nonsense",
        5,
        [None],
        [torch.zeros(12)] * 3,
        [torch.zeros(12), "x"],
        [torch.zeros(11), torch.zeros(12)],
        [torch.zeros(12), torch.full((12,), torch.nan)],
        [torch.zeros(12, dtype=torch.int64)] * 2,
        [torch.zeros(12, dtype=torch.complex64)] * 2,
        [np.zeros(12)] * 2,
        torch.zeros(12),
        torch.zeros(3, 12),
        torch.zeros(2, 12, device="meta"),
    ],
    ids=lambda state: type(state).__name__,
)
def test_what_is_no_state_is_refused_by_name(state: Any) -> None:
    model = Forecaster(RESERVOIRS["echo state"](), alphas=ALPHA).fit(wave())
    with pytest.raises(REFUSED, match="state"):
        model.predict([wave(20), wave(30)], state)
    if not isinstance(state, Tensor) or state.shape != (12,):
        with pytest.raises(REFUSED, match="state"):
            model.predict(wave(20), state)


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ([[1.0], [2.0]], "series"),
        (np.zeros((5, 1)), "series"),
        ("series", "series"),
        (5, "series"),
        (None, "series"),
        ([wave(5), wave(5)[:, 0]], r"series\[1\]"),
        ([wave(5), wave(5).float()], "one dtype"),
        (wave(5).to(torch.int64), "series"),
        (wave(5).to(torch.complex128), "series"),
        (wave(5).to_sparse(), "series"),
        (wave(5)[:, 0], "series"),
    ],
)
def test_what_is_no_series_is_refused_by_name(series: Any, name: str) -> None:
    model = Forecaster(RESERVOIRS["echo state"](), alphas=ALPHA).fit(wave())
    for call in (model.fit, model.predict):
        with pytest.raises(REFUSED, match=name):
            call(series)
    with pytest.raises(REFUSED, match=name.replace("series", "context")):
        model.forecast(series, 3)


# --- penalties, files and seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [10.0, np.float64(10.0), [10.0], np.array([10.0]), torch.tensor(10.0), 10])
def test_penalties_are_kept_through_online_learning_and_files(tmp_path: Path, given: Any) -> None:
    model = Forecaster(RESERVOIRS["echo state"](), alphas=given)
    features, _ = states_of(model.reservoir, wave()[:-1], 0)
    right, _ = ridge(features, wave()[1:].numpy(), 10.0)
    save(model.learn_online(), tmp_path / "model.safetensors")
    for found in (model, load(tmp_path / "model.safetensors")):
        assert isinstance(found.readout, RecursiveLeastSquares)
        assert_close(found.fit(wave()).readout.weight, right.T, SOLVED)
    save(model, tmp_path / "again.safetensors")
    again = load(tmp_path / "again.safetensors").learn_online().fit(wave())
    assert_close(again.readout.weight, right.T, SOLVED)


@pytest.mark.parametrize("alphas", ["0.1", ["a"], -1.0, [-1.0], float("nan"), [1.0, float("inf")], [], True, None, 1j])
def test_penalties_that_are_none_are_refused(alphas: Any) -> None:
    for build in (
        lambda: Forecaster(RESERVOIRS["echo state"](), alphas=alphas),
        lambda: RidgeReadout(2, 1, alphas=alphas),
    ):
        with pytest.raises(REFUSED, match="alphas"):
            build()


def test_a_file_of_the_version_before_is_still_read(tmp_path: Path) -> None:
    """It knew neither the range of the training nor the penalties of a forecaster that learns online."""
    path = tmp_path / "model.safetensors"
    model = Forecaster(RESERVOIRS["echo state"](), alphas=[0.1, 1.0], washout=5).fit(wave())
    online_model = Forecaster(RESERVOIRS["echo state"]()).learn_online()
    online_model.update(wave()[:-1], wave()[1:])
    for one in (model, online_model):
        save(one, path)
        content = path.read_bytes()
        metadata, _ = parse_safetensors(content, "the file")
        description = json.loads(metadata["description"])
        if "online" in description["forecaster"]:
            del description["forecaster"]["alphas"]
        tensors = {name: value for name, value in load_tensors(content).items() if name != "trained_range"}
        path.write_bytes(save_tensors(tensors, metadata | {"description": json.dumps(description)}))
        again = load(path)
        assert_close(again.predict(wave()), one.predict(wave()), ROUNDING)
        assert_close(again.forecast(wave(), 3), one.forecast(wave(), 3), ROUNDING)
        again.load_state_dict(tensors)
        assert bool(again.trained_range.isnan().all())


def test_a_state_of_another_seed_makes_that_network() -> None:
    one, other = (Forecaster(EchoStateNetwork(1, 20, seed=seed), alphas=ALPHA) for seed in (1, 2))
    assert len(one.reservoir.values) != len(other.reservoir.values)
    one.fit(wave())
    other.load_state_dict(one.state_dict())
    assert_close(other.predict(wave()), one.predict(wave()), ROUNDING)
    assert_close(other.reservoir.recurrent().to_dense(), one.reservoir.recurrent().to_dense(), ROUNDING)


def test_a_state_of_another_size_says_which() -> None:
    model = Forecaster(EchoStateNetwork(1, 20, seed=1), alphas=ALPHA)
    with pytest.raises(
        RuntimeError, match=r"of a network of 20 units, but are none\. Build the network with the units"
    ):
        model.load_state_dict(Forecaster(EchoStateNetwork(1, 21, seed=1), alphas=ALPHA).state_dict())
    with pytest.raises(RuntimeError, match="as many penalties as this read-out chooses from, 1, but is of 2"):
        model.load_state_dict(Forecaster(EchoStateNetwork(1, 20, seed=1), alphas=[0.1, 1.0]).state_dict())
    state = model.state_dict() | {"reservoir.columns": torch.full_like(model.reservoir.columns, 99)}
    with pytest.raises(RuntimeError, match="compressed rows"):  # it would be read beyond its memory
        model.load_state_dict(state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hybrids_of_two_precisions_run_each_part_in_its_own(dtype: torch.dtype) -> None:
    parts = (
        EchoStateNetwork(1, 5, density=0.9, seed=1, dtype=torch.float32),
        EchoStateNetwork(1, 6, density=0.9, seed=2),
    )
    series = wave(20).to(dtype)
    first, state = HybridReservoir(*parts)(series[:9])
    second, _ = HybridReservoir(*parts)(series[9:], state)
    alone = torch.cat([part(series)[0].double() for part in parts], 1)
    assert_close(torch.cat([first, second]).double(), alone, 1e-6)  # float32


# --- forecasts that leave the range of their training, and members that are the same --------------------------------


def rings(*scales: float) -> OnionReservoir:
    return OnionReservoir([FeedbackRing(4, scale) for scale in scales])


def two_sines(noise: float = 0.05) -> Tensor:
    t = torch.arange(370, dtype=torch.float64)
    drawn = torch.randn(370, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (torch.sin(t / 5) + torch.sin(t / 11) + noise * drawn)[:, None]


def test_an_interval_that_leaves_the_range_of_the_training_says_where() -> None:
    series = two_sines()
    members = [Forecaster(rings(0.3 + 0.01 * k, 0.6), washout=20) for k in range(3)]
    ensemble, generator = Ensemble(members).fit(series), torch.Generator().manual_seed(1)
    with pytest.warns(ForecastRangeWarning, match="interval leaves the range of its training at step .* of 30"):
        found = ensemble.forecast(series, 30, generator=generator)
    assert (
        float(found.high.max()) > 10.0
    )  # of a series within 2.2; rounding says how far beyond (44 and 60 on two machines)
    low, high = float(series[20:].min()), float(series[20:].max())
    margin = 0.1 * (high - low)
    values = torch.cat([found.mean, found.low, found.high], 1)
    inside = ((values >= low - margin) & (values <= high + margin)).all(1)
    assert torch.equal(found.in_range, inside)
    first = int((~inside).nonzero()[0])
    assert found.reliable_steps == first
    assert f"reliable_steps={first} (behind them it leaves the range" in repr(found)


def test_a_forecast_within_the_range_is_silent() -> None:
    series = wave(300)
    members = [Forecaster(EchoStateNetwork(1, 30, seed=seed), washout=20) for seed in range(3)]
    found = Ensemble(members).fit(series).forecast(series, 10, generator=torch.Generator().manual_seed(0))
    assert found.reliable_steps == 10
    assert bool(found.in_range.all())
    assert "reliable_steps=10)" in repr(found)


def test_a_closed_loop_that_leaves_the_range_warns_and_names_the_step() -> None:
    growing = torch.exp(torch.arange(60, dtype=torch.float64) / 20)[:, None]
    model = Forecaster(EchoStateNetwork(1, 20, seed=0, activation="identity", spectral_radius=0.5), alphas=1e-9)
    model.fit(growing)
    with pytest.warns(ForecastRangeWarning, match="forecast leaves the range of its training at step"):
        found = model.forecast(growing, 20)
    low, high = model.trained_range[:, 0]
    assert_close(model.trained_range[:, 0], [float(growing[1:].min()), float(growing[1:].max())], ROUNDING)
    assert torch.equal(model.in_range(found), found[:, 0] <= high + 0.1 * (high - low))
    model.learn_online()
    assert bool(model.trained_range.isnan().all())
    model.update(growing[:30], growing[1:31])
    assert_close(model.trained_range[:, 0], [float(growing[1]), float(growing[30])], ROUNDING)


def test_members_that_are_the_same_are_refused() -> None:
    same = [Forecaster(OnionReservoir([FeedbackRing(3, 0.4)], seed=seed), washout=5) for seed in range(3)]
    with pytest.raises(ValueError, match=r"members 0 and 1 have the very same read-out.*of other scales"):
        Ensemble(same).fit(wave())
    for member in same:
        member.fit(wave())
    with pytest.raises(ValueError, match="`members` must hold forecasters that differ"):
        Ensemble(same).forecast(wave(), 3)
    with pytest.raises(ValueError, match="members 0 and 1 are one object"):
        Ensemble([same[0], same[0]])
    network = EchoStateNetwork(1, 20, seed=1)
    apart = [Forecaster(network, washout=5).fit(wave(seed=seed)) for seed in range(2)]
    assert Ensemble(apart).forecast(wave(), 3).mean.shape == (3, 1)  # one reservoir that learnt two series
    constant = torch.full((40, 1), 2.0, dtype=torch.float64)
    flat = Ensemble([Forecaster(EchoStateNetwork(1, 9, seed=seed)) for seed in range(2)]).fit(constant)
    assert_close(flat.forecast(constant, 2).mean, [[2.0], [2.0]], SOLVED)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda m, e: Ensemble([m, 5]), "members"),
        (lambda m, e: Ensemble(m), "members"),
        (lambda m, e: Ensemble(None), "members"),
        (lambda m, e: e.forecast(wave(), "3"), "horizon"),
        (lambda m, e: e.forecast(wave(), 3.0), "horizon"),
        (lambda m, e: e.forecast(wave(), True), "horizon"),
        (lambda m, e: e.forecast(wave(), 3, coverage="0.9"), "coverage"),
        (lambda m, e: e.forecast(wave(), 3, coverage=float("nan")), "coverage"),
        (lambda m, e: e.forecast(wave(), 3, n_paths=0), "n_paths"),
        (lambda m, e: m.forecast(wave(), 3, n_paths=0), "n_paths"),
        (lambda m, e: m.forecast(wave(), 3, noise=-1.0), "noise"),
        (lambda m, e: m.forecast(wave(), 3, noise="a"), "noise"),
        (lambda m, e: m.forecast(wave(), 3, noise=torch.ones(2)), "noise"),
        (lambda m, e: m.forecast(wave(), 3, noise=torch.tensor([torch.nan])), "noise"),
        (lambda m, e: m.predict(wave(), progress="no"), "progress"),
        (lambda m, e: Forecaster(5), "reservoir"),
        (lambda m, e: Forecaster(m.reservoir, warm_up="1"), "warm_up"),
        (lambda m, e: Forecaster(m.reservoir, washout=-1), "washout"),
        (lambda m, e: Forecaster(m.reservoir, chunk=0), "chunk"),
        (lambda m, e: Forecaster(m.reservoir, n_outputs=0), "n_outputs"),
        (lambda m, e: Forecaster(m.reservoir, n_outputs=1.0), "n_outputs"),
        (lambda m, e: Forecaster(m.reservoir).learn_online(alpha="1"), "alpha"),
        (lambda m, e: Forecaster(m.reservoir).learn_online(forgetting=float("nan")), "forgetting"),
        (lambda m, e: Forecaster(m.reservoir).learn_online().update(wave().numpy(), wave()), "inputs"),
        (lambda m, e: Forecaster(m.reservoir).learn_online().update(wave(), wave()[None]), "targets"),
        (lambda m, e: Forecaster(m.reservoir).learn_online().update(wave(9), wave(8)), "targets"),
        (lambda m, e: Forecaster(m.reservoir).learn_online().update(wave(), wave(), torch.zeros(3)), "state"),
        (lambda m, e: HybridReservoir([m.reservoir, m.reservoir]), "reservoirs"),
        (lambda m, e: HybridReservoir(m.reservoir, 5), "reservoirs"),
        (lambda m, e: HybridReservoir(m.reservoir, m.reservoir, feed="no"), "feed"),
        (lambda m, e: m.readout([1.0]), "features"),
        (lambda m, e: m.readout(torch.zeros(3, 2)), "features"),
        (lambda m, e: m.readout.fit(5), "chunks"),
        (lambda m, e: m.readout.fit(lambda: [(torch.zeros(3, 12), torch.zeros(2, 1))]), "targets"),
        (
            lambda m, e: m.readout.fit(lambda: [(torch.full((3, 12), 1e200, dtype=torch.float64), torch.ones(3, 1))]),
            "small enough",
        ),
        (lambda m, e: save(5, "x"), "model"),
        (lambda m, e: save(m, 5), "path"),
        (lambda m, e: load(5), "path"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_by_name(call: Any, name: str) -> None:
    model = Forecaster(RESERVOIRS["echo state"](), alphas=ALPHA).fit(wave())
    ensemble = Ensemble([model, Forecaster(EchoStateNetwork(1, 12, seed=5), alphas=ALPHA).fit(wave())])
    with pytest.raises(REFUSED, match=name):
        call(model, ensemble)


def test_numpy_numbers_are_taken() -> None:
    try:
        model = Forecaster(RESERVOIRS["echo state"](), n_outputs=np.int64(1), warm_up=np.int32(1), washout=np.int64(2))
    except TypeCheckError:
        pytest.skip("annotations are checked before NumPy's numbers are taken")
    plain = Forecaster(RESERVOIRS["echo state"](), n_outputs=1, warm_up=1, washout=2).fit(wave())
    found = model.fit(wave()).forecast(wave(), np.int64(3), noise=np.array([0.1]), n_paths=np.int64(2))
    assert found.shape == (2, 3, 1)
    assert_close(model.forecast(wave(), 3), plain.forecast(wave(), 3), ROUNDING)
    json.dumps(model.config())


def test_members_that_know_no_noise_are_refused() -> None:
    members = [Forecaster(EchoStateNetwork(1, 20, seed=seed)).fit(wave(2)) for seed in range(2)]
    with pytest.raises(ValueError, match="fitted to at least two steps to know their noise"):
        Ensemble(members).forecast(wave(), 3)
