"""Seeds of a winner of the study in one training: the fits that they are alone, and a run that goes on."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from qml.compare.engine import Silence, run_plan
from qml.compare.study import competitors, estimate, seeds, stacks, task
from qml.compare.study.data import study_set
from qml.compare.study.grids import ABLATED, candidates
from qml.compare.study.published import published
from qml.compare.study.run import chosen_there, make_study, run_study
from qml.compare.study.stacks import fit_seeds, trains_together

PLACES = {"tree": 2, "metric": 6, "re-uploading": 24}  # a candidate of each, of a large learning rate


@pytest.mark.parametrize("model", PLACES)
def test_seeds_in_one_training_are_the_fits_that_they_are_alone(model: str) -> None:
    part, setting = study_set("two_curves", 2).whole, candidates(model)[PLACES[model]]
    together = fit_seeds(model, setting, part, seeds=(1, 4), is_published=True)
    for seed, one in zip((1, 4), together, strict=True):
        alone = competitors.fit(model, setting, part, seed=seed, is_published=True)
        assert (one.accuracy, one.train_accuracy, one.n_steps, one.n_parameters, one.failure) == (
            alone.accuracy,
            alone.train_accuracy,
            alone.n_steps,
            alone.n_parameters,
            alone.failure,
        )
    assert together[0].n_steps != together[1].n_steps  # each has its own course


def test_models_that_are_no_layers_are_fitted_one_by_one() -> None:
    assert trains_together("dressed", is_published=True)
    assert trains_together("metric", is_published=True)
    assert not trains_together("metric", is_published=False)
    assert not any(trains_together(model, is_published=True) for model in ("mlp", "svc", "quanvolutional"))


def test_a_run_trains_the_missing_seeds_together_and_stores_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[int, ...]]] = []

    def counted(model: str, setting: Any, part: Any, *, seeds: Any, is_published: bool) -> list[competitors.Fitted]:
        asked.append((model, tuple(seeds)))
        return [competitors.Fitted(0.5 + 0.1 * seed, 0.5, 3, 401, 0.1) for seed in seeds]

    def run(n_seeds: int) -> list[tuple[str, int, float]]:
        options: dict[str, Any] = {"preset": "chosen", "parameters": [2], "folder": tmp_path, "n_seeds": n_seeds}
        (item,) = run_study(
            make_study(["two_curves"], models=["tree", "svc"], **options), lambda: nullcontext(Silence())
        )
        return [(record.model.split(".")[0], record.seed, record.outcome.value) for record in item.fits]

    monkeypatch.setattr(seeds, "fit_seeds", counted)
    first = run(3)
    assert [(seed, value) for model, seed, value in first if model == "tree"] == [(0, 0.5), (1, 0.6), (2, 0.7)]
    assert [seed for model, seed, _ in first if model == "svc"] == [0, 1, 2]
    assert run(3) == first
    assert len(run(5)) == 10
    assert asked == [("tree", (0, 1, 2)), ("tree", (3, 4))]


def test_a_search_trains_the_missing_candidates_of_an_architecture_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, ...]] = []

    def counted(model: str, settings: Any, parts: Any, **options: Any) -> list[list[competitors.Fitted]]:
        asked.append(tuple(setting["learning_rate"] for setting in settings))
        return [[competitors.Fitted(setting["learning_rate"], 0.5, 3, 401, 0.1)] for setting in settings]

    monkeypatch.setattr(task, "fit_folds", counted)
    monkeypatch.setattr(
        seeds, "fit_seeds", lambda *_, seeds, **options: [competitors.Fitted(1.0, 1.0, 3, 401, 0.1)] * 5
    )
    study = make_study(["two_curves"], models=["dressed"], parameters=[2], folder=tmp_path)
    cells = study.searched(("two_curves", 2))
    run_plan(study.plan(("two_curves", 2), task.SEARCH, cells[4:5]))  # one layer, rate 0.01
    assert asked == [(0.01,)]
    (item,) = run_study(study, lambda: nullcontext(Silence()))
    assert asked == [(0.01,), (0.001, 0.1), *[(0.001, 0.01, 0.1)] * 3]
    assert [record.outcome.value for record in item.searched] == [0.001] * 4 + [0.01] * 4 + [0.1] * 4
    assert {record.model for record in item.fits} == {"dressed.8"}


def test_settings_that_are_the_same_model_are_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to three features re-uploading has one qubit, so that one, half and all of them are the same readout."""
    trained: list[int] = []
    fit_stack = stacks.fit_layers_together

    def counted(models: Any, pairs: Any) -> list[str]:
        trained.append(len(models))
        return fit_stack(models, pairs)

    monkeypatch.setattr(stacks, "fit_layers_together", counted)
    data = study_set("two_curves", 2)
    settings = [one for one in candidates("re-uploading") if (one["learning_rate"], one["n_layers"]) == (0.1, 1)]
    options: dict[str, Any] = {"seed": 42, "is_published": True}
    found = stacks.fit_folds("re-uploading", settings, data.folds[:2], on_part=lambda number: None, **options)
    assert trained == [2]
    for setting, fits in zip(settings, found, strict=True):
        for part, one in zip(data.folds, fits, strict=False):
            alone = competitors.fit("re-uploading", setting, part, **options)
            assert (one.accuracy, one.n_steps) == (alone.accuracy, alone.n_steps)
    assert found[0] == found[1] == found[2]


def test_a_search_groups_the_candidates_of_one_architecture() -> None:
    cells = [(f"re-uploading.{number}", 0) for number in range(36)]
    sizes = {
        n_features: [len(group) for group in seeds.groups(cells, searched_features=n_features, is_published=True)]
        for n_features in (3, 9, 10)
    }
    assert sizes == {3: [9] * 4, 9: [6, 3] * 4, 10: [3] * 12}  # 1, 3 and 4 qubits; 4 depths, 3 learning rates
    trained = {n_features: estimate.n_different("re-uploading", range(36), n_features) for n_features in sizes}
    assert trained == {3: 12, 9: 24, 10: 36}
    assert estimate.n_different("svc", range(16), 2) == 16


def test_groups_keep_models_that_are_no_layers_apart() -> None:
    cells = [(f"{model}.{number}", 0) for model in ("tree", "mlp", "metric") for number in (0, 1)]
    grouped = seeds.groups(cells, searched_features=2, is_published=False)
    assert grouped == [cells[:2], *[[cell] for cell in cells[2:]]]
    assert seeds.groups([("tree.0", 0), ("tree.1", 0), ("tree.0", 1)], searched_features=None, is_published=True) == [
        [("tree.0", 0), ("tree.0", 1)],
        [("tree.1", 0)],
    ]


def test_the_estimate_shares_what_a_step_takes_whatever_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of five trainings takes 2 ms and of ten 3 ms: 1 ms for all of them and 0.2 ms for each."""
    times = iter([0.002, 0.003] * 2)
    monkeypatch.setattr(estimate, "step_seconds", lambda step: next(times))
    monkeypatch.setattr(estimate, "LONGEST", 1.0)
    part, setting = study_set("two_curves", 2).whole, candidates("tree")[0]
    one, three = (estimate.fit_seconds("tree", setting, part, n_rates) for n_rates in (1, 3))
    assert one / estimate.typical_steps("tree", 2) == pytest.approx(0.0002 + 0.001 / 5)
    assert three / estimate.typical_steps("tree", 2) == pytest.approx(0.0002 + 0.001 / 15)


def test_an_ablation_takes_the_setting_of_its_model_where_the_study_did_not_run_it() -> None:
    for model, whole in ABLATED.items():
        number = chosen_there(("two_curves", 4), model)
        theirs = published("two_curves", 4, whole)
        assert number is not None
        assert theirs is not None
        setting = candidates(whole)[theirs.candidate or 0]
        assert candidates(model)[number].items() <= setting.items()
    own = published("mnist_pca", 4, "re-uploading-no-cost")
    assert own is not None
    assert chosen_there(("mnist_pca", 4), "re-uploading-no-cost") == own.candidate
    assert chosen_there(("digits_pca", 4), "re-uploading-no-cost") == own.candidate
    study = make_study(["two_curves"], models=["dressed-separable"], parameters=[2], preset="chosen", beyond=True)
    assert study.runs(("two_curves", 2)) == ["dressed-separable"]
