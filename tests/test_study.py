"""The study of arXiv:2403.07059: its table of grids, its protocol, its published ranks, and how a run goes on."""

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.svm import SVC
from typer.testing import CliRunner

from qml.commands.main import app
from qml.compare import TASKS, Outcome, Record
from qml.compare.engine import Silence
from qml.compare.study import competitors
from qml.compare.study import task as benchmarks
from qml.compare.study.data import Part, study_set
from qml.compare.study.estimate import estimate
from qml.compare.study.grids import ENTRIES, IMAGE, KERNEL, QNN, candidates, models_on, settings
from qml.compare.study.page import write_study
from qml.compare.study.published import published, published_table
from qml.compare.study.ranks import family_test, members, normalised_ranks
from qml.compare.study.run import Study, chosen_there, make_study, run_study, stored_results, winners
from qml.compare.study.summary import summary_of
from qml.compare.study.task import BENCHMARKS, cell_name, read_cell_name

DOUBLE = torch.float64
CHEAP = ("svc", "separable-kernel")

PUBLISHED_RANKS = {  # of the study's own table, in its figure on ranks
    "MLPClassifier": (0.225, 133), "DressedQuantumCircuitClassifier": (0.278, 103),
    "DataReuploadingClassifier": (0.446, 133), "QuantumBoltzmannMachine": (0.458, 21),
    "IQPVariationalClassifier": (0.695, 109), "QuantumMetricLearner": (0.715, 103),
    "CircuitCentricClassifier": (0.745, 130), "TreeTensorClassifier": (0.879, 133),
    "SVC": (0.432, 133), "ProjectedQuantumKernel": (0.517, 117), "IQPKernelClassifier": (0.577, 101),
    "QuantumKitchenSinks": (0.973, 119), "ConvolutionalNeuralNetwork": (0.417, 8),
    "QuanvolutionalNeuralNetwork": (0.556, 6), "WeiNet": (1.000, 8),
}  # fmt: skip
GRID_SIZES = {
    "circuit-centric": 27, "re-uploading": 36, "dressed": 12, "iqp": 36, "metric": 9, "boltzmann": 27, "tree": 3,
    "mlp": 27, "separable": 12, "boltzmann-separable": 27, "iqp-kernel": 12, "projected-kernel": 108,
    "kitchen-sinks": 8, "svc": 16, "separable-kernel": 16, "quanvolutional": 54, "weinet": 9, "cnn": 9,
    "re-uploading-no-scaling": 36, "re-uploading-separable": 36, "re-uploading-no-embedding": 36,
    "re-uploading-no-cost": 12, "dressed-separable": 12,
}  # fmt: skip


def published_accuracies() -> dict[tuple[str, int], dict[str, float]]:
    return {key: {name: one.accuracy for name, one in row.items()} for key, row in published_table().items()}


def test_the_published_table_gives_the_published_ranks() -> None:
    table = published_accuracies()
    ranks = {}
    for family in (QNN, KERNEL, IMAGE):
        ranks |= normalised_ranks(table, [ENTRIES[model].published for model in members(family)])
    assert {name: (round(rank.rank, 3), rank.n_sets) for name, rank in ranks.items()} == PUBLISHED_RANKS
    with_control = [*members(KERNEL), "separable-kernel"]
    again = normalised_ranks(table, [ENTRIES[model].published for model in with_control])
    assert round(again["SeparableKernelClassifier"].rank, 3) == 0.469
    assert len(table) == 160
    assert sum(map(len, table.values())) == 1801


def test_equal_accuracies_share_the_smaller_rank_and_missing_models_shrink_the_divisor() -> None:
    table = {("a", 1): {"x": 0.9, "y": 0.9, "z": 0.5}, ("a", 2): {"x": 0.4, "y": 0.8}}
    ranks = normalised_ranks(table, ["x", "y", "z", "absent"])
    assert {model: rank.rank for model, rank in ranks.items()} == pytest.approx({"y": 5 / 12, "x": 2 / 3, "z": 1.0})
    assert [rank.n_sets for rank in ranks.values()] == [2, 2, 1]


def test_friedman_and_nemenyi_on_the_sets_that_all_have() -> None:
    table = {("a", k): {"x": 0.9, "y": 0.8, "z": 0.1 * k} for k in range(1, 7)} | {("b", 1): {"x": 1.0}}
    test = family_test(table, ["x", "y", "z"])
    assert test is not None
    assert (test.n_sets, test.mean_ranks) == (6, {"x": 1.0, "y": 2.0, "z": 3.0})
    assert test.p == pytest.approx(math.exp(-6), rel=1e-9)  # chi-square of 12 with two degrees of freedom
    assert test.critical_difference == pytest.approx(2.343 * math.sqrt(3 * 4 / 36), abs=2e-3)  # Demsar's table 5
    assert family_test(table, ["x", "absent"]) is None
    assert math.isnan(family_test({("a", 1): {"x": 1.0, "y": 0.5}}, ["x", "y"]).p)  # pyright: ignore[reportOptionalMemberAccess]


def test_the_grids_have_the_sizes_of_the_study_and_scikit_learns_order() -> None:
    assert {model: len(candidates(model)) for model in ENTRIES} == GRID_SIZES
    for model, entry in ENTRIES.items():
        assert list(entry.grid) == sorted(entry.grid)
        assert list(candidates(model)) == list(ParameterGrid({name: list(v) for name, v in entry.grid.items()}))
    with pytest.raises(ValueError, match="`model` must be one of"):
        candidates("rbf")


def test_every_published_choice_is_a_candidate() -> None:
    n_results, n_outside = 0, 0
    for family, parameter in published_table():
        for model in models_on(family):
            theirs = published(family, parameter, model)
            if theirs is not None:
                n_results += 1
                assert theirs.candidate is not None
                assert 0 <= theirs.candidate < len(settings(model))
                n_outside += theirs.candidate >= len(candidates(model))
    assert n_results > 1700
    assert n_outside == 7  # circuit-centric with 4 layers on MNIST, where the study had another grid
    chosen = [chosen_there(("mnist_pca", size), "circuit-centric") for size in (5, 6, 12, 13)]
    assert [settings("circuit-centric")[number or 0]["n_layers"] for number in chosen] == [10, 4, 4, 10]


def test_folds_are_stratified_and_not_shuffled() -> None:
    data = study_set("two_curves", 2)
    assert len(data.folds) == 5
    assert data.whole.n_features == 2
    scored = np.concatenate([part.score_inputs for part in data.folds])
    assert {tuple(row) for row in scored} == {tuple(row) for row in data.whole.fit_inputs}
    for part in data.folds:
        assert abs((part.score_labels > 0).sum() - (data.whole.fit_labels > 0).sum() / 5) < 1
    first = data.folds[0]
    places = [np.flatnonzero((data.whole.fit_inputs == row).all(1))[0] for row in first.score_inputs]
    assert places == sorted(places)
    assert max(places) < 80  # the first samples of each class


# --- the protocol


def record(model: str, number: int, value: float, failures: int = 0) -> Record:
    outcome = Outcome(value, 1, 0.1, {"failures": failures, "steps": 10})
    return Record("benchmarks", cell_name(model, number), 0, "test_accuracy", outcome)


def test_the_best_candidate_wins_and_of_equal_ones_the_first() -> None:
    records = [record("svc", 3, 0.9), record("svc", 1, 0.9), record("svc", 2, 0.8), record("iqp-kernel", 4, 0.1)]
    assert winners(records) == {"svc": 1, "iqp-kernel": 4}
    failed = [record("svc", 0, 0.0, failures=1), record("svc", 1, 0.0), record("tree", 0, 0.0, failures=5)]
    assert winners(failed) == {"svc": 1}
    assert read_cell_name("iqp-kernel.12") == ("iqp-kernel", 12)


def test_the_search_is_that_of_scikit_learn() -> None:
    data = study_set("two_curves", 3)
    search = GridSearchCV(SVC(), {name: list(v) for name, v in ENTRIES["svc"].grid.items()}, cv=5)
    search.fit(data.whole.fit_inputs, data.whole.fit_labels)
    study = make_study(["two_curves"], models=["svc"], parameters=[3], n_seeds=1)
    (item,) = run_study(study, silent)
    ours = [one.outcome.value for one in item.searched]
    np.testing.assert_allclose(ours, search.cv_results_["mean_test_score"], atol=1e-12)
    assert winners(item.searched) == {"svc": search.best_index_}
    assert item.fits[0].outcome.value == pytest.approx(
        search.score(data.whole.score_inputs, data.whole.score_labels), abs=1e-12
    )


def silent() -> Any:
    return nullcontext(Silence())


def small(folder: Path | None, **options: Any) -> Study:
    return make_study(["two_curves"], models=CHEAP, parameters=[2, 3], preset="demo", folder=folder, **options)


def test_an_interrupted_study_goes_on_and_fits_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    real = competitors.fit

    def counted(model: str, setting: Any, part: Part, **options: Any) -> competitors.Fitted:
        if len(calls) == 13:
            calls.append(("stop", 0))
            raise KeyboardInterrupt
        calls.append((model, len(part.fit_labels)))
        return real(model, setting, part, **options)

    monkeypatch.setattr(benchmarks, "fit", counted)
    monkeypatch.setattr(competitors, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        list(run_study(small(tmp_path), silent))
    finished = list(run_study(small(tmp_path), silent))
    # 2 sets x 2 models x (2 candidates x 5 folds + 2 fits); the candidate that was broken off repeats its first folds
    assert len(calls) - 1 - 13 % 5 == 2 * 2 * (2 * 5 + 2)
    before = len(calls)
    again = list(run_study(small(tmp_path), silent))
    assert len(calls) == before
    assert [item.fits for item in again] == [item.fits for item in finished]
    list(run_study(small(tmp_path, n_seeds=3), silent))  # more seeds join the folder
    assert len(calls) == before + 4


def test_presets_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = make_study(["two_curves"], models=["svc"], parameters=[2], preset="chosen", folder=tmp_path)
    (item,) = run_study(chosen, silent)
    theirs = published("two_curves", 2, "svc")
    assert theirs is not None
    assert item.searched == []
    assert {one.model for one in item.fits} == {cell_name("svc", theirs.candidate or 0)}
    assert len(item.fits) == 5
    (full,) = run_study(replace(chosen, preset="full", amount=make_study(preset="full").amount), silent)
    assert len(full.searched) == 16


def test_stored_results_are_those_of_the_preset_that_is_asked_for(tmp_path: Path) -> None:
    """Presets of one folder fit different settings; a model must count once a data set."""
    theirs = published("two_curves", 2, "svc")
    assert theirs is not None
    chosen = make_study(["two_curves"], models=["svc"], parameters=[2], preset="chosen", folder=tmp_path)
    list(run_study(chosen, silent))
    demo = make_study(["two_curves"], models=["svc"], parameters=[2], preset="demo", folder=tmp_path)
    (searched,) = run_study(demo, silent)
    number = winners(searched.searched)["svc"]
    assert number != theirs.candidate  # so that the folder holds fits of two settings
    for study, candidate, n_fits in ((chosen, theirs.candidate, 5), (demo, number, 2)):
        (item,) = stored_results(study)
        assert [record.model for record in item.fits] == [cell_name("svc", candidate or 0)] * n_fits
        (score,) = summary_of([item]).scores
        assert (score.candidate, len(score.accuracies)) == (candidate, n_fits)
    assert list(stored_results(replace(chosen, folder=tmp_path / "none"))) == []


def test_models_run_where_the_study_ran_them_unless_beyond() -> None:
    study = make_study(models=["iqp-kernel", "svc"])
    assert study.runs(("linearly_separable", 12)) == ["iqp-kernel", "svc"]
    assert study.runs(("linearly_separable", 13)) == ["svc"]
    assert len(study.data_sets) == 114
    assert make_study(models=["iqp-kernel"], beyond=True).runs(("linearly_separable", 13)) == ["iqp-kernel"]
    wide = make_study(["two_curves"], models=["dressed", "separable-kernel"], beyond=True, preset="chosen")
    assert (wide.data_sets[-1], wide.runs(("two_curves", 100))) == (("two_curves", 100), ["separable-kernel"])
    assert wide.runs(("two_curves", 20)) == ["dressed", "separable-kernel"]
    planes = make_study(["linearly_separable"], models=["dressed"], beyond=True, preset="chosen")
    assert planes.runs(("linearly_separable", 100)) == ["dressed"]  # of one layer
    assert make_study(["linearly_separable"], models=["dressed"], beyond=True).runs(("linearly_separable", 100)) == []
    theirs = published("linearly_separable", 12, "iqp-kernel")
    assert theirs is not None
    assert chosen_there(("linearly_separable", 50), "iqp-kernel") == theirs.candidate
    assert make_study(preset="demo", models=["svc"]).numbers("svc") == [4, 12]
    assert list(make_study().numbers("tree")) == [0, 1, 2]


@pytest.mark.parametrize(
    ("families", "options", "message"),
    [
        (["two_curve"], {}, "`family` must be one of 'linearly_separable'.*but is 'two_curve'"),
        ([], {"models": ["rbf"]}, "`models` must be one of 'circuit-centric'.*'rbf'"),
        ([], {"models": []}, "at least one"),
        ([], {"preset": "quick"}, "`preset` must be one of 'demo', 'chosen', 'full'"),
        ([], {"variant": "meant"}, "`as` must be one of 'published', 'intended'"),
        ([], {"parameters": [21]}, "`sizes` must be one of 2, 3"),
        ([], {"n_seeds": 0}, "`seeds` must be at least 1"),
    ],
)
def test_bad_input_is_refused(families: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_study(families, **options)


# --- the page


def test_a_summary_beside_the_published_numbers(tmp_path: Path) -> None:
    study = make_study(["two_curves"], models=CHEAP, parameters=[2, 3], preset="chosen")
    first, second = run_study(study, silent)
    trees = [Record("benchmarks", "tree.0", seed, "test_accuracy", tree_outcome(seed)) for seed in range(3)]
    summary = summary_of([replace(first, fits=[*first.fits, *trees]), second])
    assert summary.models == ["tree", "svc", "separable-kernel"]
    assert (summary.n_failed["tree"], summary.n_fits["tree"]) == (1, 3)
    by_model = {sweep.model: sweep for sweep in summary.sweeps()}
    assert by_model["svc"].deviations == 0.0
    assert (by_model["svc"].n_sets, by_model["tree"].n_sets) == (2, 1)
    theirs = published("two_curves", 2, "tree")
    assert theirs is not None
    assert by_model["tree"].ours == pytest.approx(0.55)
    assert by_model["tree"].error == pytest.approx(math.sqrt(0.005 / 2 + theirs.deviation**2 / 4))
    path = write_study(study, summary, tmp_path)
    text = path.read_text()
    for part in ("Means over a sweep", "Accuracy by model", "1 of 3", "1 of 23 fits failed", "two_curves"):
        assert part in text
    assert summary_of([]).models == []
    with pytest.raises(ValueError, match="no fit has a result"):
        write_study(study, summary_of([]), tmp_path)


def tree_outcome(seed: int) -> Outcome:
    values = (0.5, 0.6, 0.0)
    return Outcome(values[seed], 3, 0.5, {"failures": int(seed == 2), "steps": 401})


def test_the_cost_is_estimated_and_nothing_is_written(tmp_path: Path) -> None:
    study = make_study(["two_curves"], models=["svc", "tree"], parameters=[2, 3], folder=tmp_path / "none")
    costs = {cost.model: cost for cost in estimate(study)}
    assert (costs["svc"].n_fits, costs["tree"].n_fits) == (2 * (16 * 5 + 5), 2 * (3 * 5 + 5))
    assert costs["tree"].hours > costs["svc"].hours > 0.0
    assert not (tmp_path / "none").exists()


def test_the_command(tmp_path: Path) -> None:
    arguments = ["compare", "benchmarks", "two_curves", "--models", "svc,separable-kernel", "--out", str(tmp_path)]
    more = ["--preset", "chosen", "--option", "sizes=2,3", "--seeds", "1"]
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, result.output
    assert "two_curves 3: svc" in result.output
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "published" / "two_curves" / "03" / "fits" / "results.jsonl").exists()
    told = CliRunner().invoke(app, [*arguments, "--dry-run", "--option", "sizes=2"])
    assert told.exit_code == 0, told.output
    assert "1 data sets, 170 fits" in told.output
    helped = CliRunner().invoke(app, ["compare", "benchmarks", "--help"])
    assert all(name in helped.output for name in ("--as NAME", "re-uploading", "chosen"))
    assert "benchmarks" in CliRunner().invoke(app, ["compare"]).output


@pytest.mark.parametrize(
    "wrong",
    [
        ["benchmarks", "no_family"],
        ["benchmarks", "--models", "nobody"],
        ["benchmarks", "--as", "meant"],
        ["benchmarks", "--option", "sizes=two"],
        ["benchmarks", "--option", "colour=red"],
        ["benchmarks", "--option", "beyond"],
        ["benchmarks", "--trials", "5"],
        ["parity", "--as", "intended"],
    ],
)
def test_wrong_options_of_the_command_are_one_line(wrong: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *wrong])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_the_task_is_found_by_name_and_not_listed() -> None:
    assert TASKS["benchmarks"] is BENCHMARKS
    assert "benchmarks" in TASKS
    assert "benchmarks" not in list(TASKS)


@pytest.mark.slow
def test_workers_give_the_same_results(tmp_path: Path) -> None:
    from qml.compare.distribute import workers

    alone = list(run_study(small(None), silent))
    with workers(2) as run_cells:
        together = list(run_study(small(tmp_path), silent, run_cells))
    for one, other in zip(alone, together, strict=True):
        assert [r.outcome.value for r in one.fits] == [r.outcome.value for r in other.fits]
        assert {r.model: r.outcome.value for r in one.searched} == {r.model: r.outcome.value for r in other.searched}
