import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from qml.compare import TASKS, make_plan, run_plan
from qml.compare.tuning import Merit, NamedSetting, Trial, try_settings


@dataclass(frozen=True)
class Chosen:
    rate: float
    width: int
    loss: str


LISTED = (Chosen(0.01, 4, "plain"), Chosen(1.0, 64, "plain"), Chosen(0.1, 16, "scaled"))


def test_listed_settings_come_first_and_the_best_is_kept() -> None:
    seen: list[Chosen] = []

    def run(trial: Trial[Chosen]) -> tuple[Merit, int]:
        seen.append(trial.setting)
        return (abs(trial.setting.rate - 0.9),), trial.number

    best = try_settings(LISTED, run, lambda share, text: None, n_trials=2, seed=0)
    assert seen == list(LISTED[:2])
    assert (best.setting, best.result, best.n_trials) == (LISTED[1], 1, 2)


def test_of_equal_settings_the_first_is_kept_and_later_merits_decide() -> None:
    merits = iter([(1.0, 5.0), (1.0, 4.0), (1.0, 4.0)])
    best = try_settings(
        LISTED, lambda trial: (next(merits), trial.number), lambda share, text: None, n_trials=3, seed=0
    )
    assert best.result == 1


def test_more_trials_search_inside_of_what_is_listed() -> None:
    seen: list[Chosen] = []

    def run(trial: Trial[Chosen]) -> tuple[Merit, None]:
        seen.append(trial.setting)
        return (math.log(trial.setting.rate / 0.3) ** 2 + abs(trial.setting.width - 30) / 30,), None

    best = try_settings(LISTED, run, lambda share, text: None, n_trials=40, seed=0)
    assert seen[:3] == list(LISTED)
    proposed = seen[3:]
    assert len(set(proposed)) > 20
    assert all(0.01 <= one.rate <= 1.0 and 4 <= one.width <= 64 and one.loss in {"plain", "scaled"} for one in proposed)
    assert all(isinstance(one.width, int) for one in proposed)
    listed = min(run(Trial(0, one, lambda share, text: None))[0] for one in LISTED)
    assert best.merit[0] < listed[0] / 3

    again: list[Chosen] = []
    try_settings(
        LISTED,
        lambda trial: again.append(trial.setting) or run(trial),
        lambda share, text: None,
        n_trials=10,
        seed=0,
    )
    assert again == seen[:10]  # the seed decides


def test_mappings_are_settings_too() -> None:
    seen: list[dict[str, float]] = []
    listed = ({"leak": 0.1, "radius": 0.9}, {"leak": 1.0, "radius": 0.9})

    def run(trial: Trial[dict[str, float]]) -> tuple[Merit, None]:
        seen.append(trial.setting)
        return (trial.setting["leak"],), None

    try_settings(listed, run, lambda share, text: None, n_trials=5, seed=1)
    assert all(one["radius"] == 0.9 and 0.1 <= one["leak"] <= 1.0 for one in seen)  # what is not varied stays


@pytest.mark.parametrize("task", ["corrosion", "narma"])
def test_counts_are_searched_among_whole_numbers(task: str) -> None:
    for name, model in TASKS[task].models({}).items():
        if not model.settings:
            continue
        seen: list[NamedSetting] = []

        def run(trial: Trial[NamedSetting], seen: list[NamedSetting] = seen) -> tuple[Merit, None]:
            seen.append(trial.setting)
            return (float(trial.number),), None

        try_settings(model.settings, run, lambda share, text: None, n_trials=len(model.settings) + 5, seed=0)
        counts = [one[key] for one in seen for key in ("units", "lags", "multiplied") if key in one]
        assert all(isinstance(count, int) for count in counts), name


def test_a_run_that_diverged_is_never_chosen() -> None:
    errors = iter([math.nan, 3.0, math.nan, math.nan, math.inf])
    best = try_settings(
        LISTED, lambda trial: ((next(errors),), trial.number), lambda share, text: None, n_trials=5, seed=0
    )
    assert best.result == 1


def test_progress_runs_from_nothing_to_all() -> None:
    heard: list[tuple[float, str]] = []

    def run(trial: Trial[Chosen]) -> tuple[Merit, None]:
        trial.on_step(0.5, "half")
        return (0.0,), None

    try_settings(LISTED, run, lambda share, text: heard.append((share, text)), n_trials=2, seed=0)
    assert heard == [
        (0.0, "setting 1/2"),
        (0.25, "setting 1/2, half"),
        (0.5, "setting 2/2"),
        (0.75, "setting 2/2, half"),
    ]


def test_every_model_of_a_comparison_gets_the_trials(tmp_path: Path) -> None:
    task = TASKS["parity"]
    short = replace(task, presets={"demo": replace(task.presets["demo"], n_epochs=1)})
    plan = make_plan(short, n_seeds=1, models=["logistic", "mlp"], n_trials=6, folder=tmp_path)
    assert {record.outcome.extras["n_settings"] for record in run_plan(plan)} == {6}
    with pytest.raises(ValueError, match="other work"):  # a folder holds results of one budget
        run_plan(make_plan(short, n_seeds=1, models=["logistic"], folder=tmp_path))


@pytest.mark.parametrize(
    ("task", "trials", "message"), [("parity", 0, "at least 1"), ("sequences", 5, "fixed recipes")]
)
def test_bad_numbers_of_trials_are_refused(task: str, trials: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plan(TASKS[task], n_trials=trials)


def test_without_optuna_more_trials_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"qml-circuits\[tuning\]"):
        try_settings(LISTED, lambda trial: ((0.0,), None), lambda share, text: None, n_trials=4, seed=0)
    assert try_settings(LISTED, lambda trial: ((0.0,), 7), lambda share, text: None, n_trials=3, seed=0).result == 7
