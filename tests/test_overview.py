"""Tests over seeds, ranks, and `qml compare all` with its page and its table."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

import qml.compare
from qml.commands.main import app
from qml.compare import TASKS, Metric, Model, Outcome, Preset, Record, Task, choose_subjects, make_plan, run_plan
from qml.compare.figures import alike, curves_figure, ranks_figure
from qml.compare.overview import Finished, table_lines
from qml.compare.statistics import critical_difference, estimate_median, holm, mean_ranks, paired_p

VALUES = {
    "good": [0.9, 0.92, 0.95, 0.91, 0.93],
    "fair": [0.8, 0.83, 0.84, 0.79, 0.83],
    "bad": [0.3, 0.5, 0.4, 0.4, 0.2],
}


class SoundTasks(dict[str, Task]):
    """Tasks of which none is broken."""

    def sound(self) -> tuple[list[Task], dict[str, Exception]]:
        return list(self.values()), {}


def records(values: dict[str, list[float]] = VALUES) -> list[Record]:
    return [
        Record("toy", model, seed, "test_accuracy", Outcome(value, 5, 0.1))
        for model, column in values.items()
        for seed, value in enumerate(column)
    ]


def toy(name: str, quantum: float, classical: float, trained: list[str], n_parameters: int = 7) -> Task:
    """Two models whose values scatter by 0.01 around theirs, the same for both; the classical one's size varies."""

    def model(kind: str, centre: float) -> Model:
        def train(split: Any, seed: int, preset: Preset, on_step: Any) -> Outcome:
            trained.append(f"{name} {kind} {seed}")
            size = 7 if kind == "quantum" else n_parameters
            return Outcome(centre + 0.01 * seed + 0.0001 * (seed % 2) * (kind == "quantum"), size, 0.1)

        return Model(f"{kind} one", kind, "It.", train, (1,))

    return Task(
        name=name,
        title=f"Toy {name}",
        question="Does it work?",
        prepare=lambda options: None,
        split=lambda data, seed: seed,
        models=lambda options: {"q": model("quantum", quantum), "c": model("classical", classical)},
        presets={"full": Preset(5, 1, 1)},
        sections=lambda data, records, options: [],
    )


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_paired_test_is_students() -> None:
    expected = scipy.stats.ttest_rel(VALUES["good"], VALUES["fair"]).pvalue
    assert paired_p(records(), "good", "fair") == pytest.approx(expected, rel=1e-9)
    assert paired_p(records({"a": [0.5, 0.6], "b": [0.5, 0.6]}), "a", "b") == 1.0
    assert paired_p(records({"a": [0.75, 0.5], "b": [0.5, 0.25]}), "a", "b") == 0.0
    assert math.isnan(paired_p(records({"a": [0.5], "b": [0.6]}), "a", "b"))


def test_holm_corrects_by_steps_and_leaves_nan_out() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    found = holm([math.nan, 0.02])
    assert math.isnan(found[0])
    assert found[1] == 0.02


def test_the_bootstrap_covers_the_median_of_normal_samples() -> None:
    """Of 200 samples of 15, 95 % intervals miss the median 0 in 10 on average; 25 is beyond a chance of 1e-4."""
    samples = np.random.default_rng(1).normal(size=(200, 15))
    estimates = [estimate_median(sample.tolist()) for sample in samples]
    assert sum(not estimate.low <= 0.0 <= estimate.high for estimate in estimates) <= 25
    assert estimates[0].mean == np.median(samples[0])
    assert estimates[0] == estimate_median(samples[0].tolist())


def test_ranks_and_their_critical_difference() -> None:
    assert mean_ranks(records(), Metric()) == ({"good": 1.0, "fair": 2.0, "bad": 3.0}, 5)
    error = Metric("e", "E", larger_is_better=False, percent=False)
    assert mean_ranks(records({"a": [1.0, 2.0], "b": [1.0, 1.0]}), error) == ({"a": 1.75, "b": 1.25}, 2)
    # Demsar's table 5 has q = 2.569 for four models; his example of 14 data sets has 1.25
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert alike([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert alike([1.0, 3.0], 1.0) == []


def test_the_diagram_of_ranks_names_all_models_and_needs_seeds() -> None:
    models = {name: Model(name.title(), "classical", "", lambda *_: None) for name in VALUES}  # pyright: ignore[reportArgumentType]
    figure = ranks_figure(records(), models, Metric())
    assert figure is not None
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [" Good  1.00", " Fair  2.00", " Bad  3.00"]
    bars = [line for line in figure.axes[0].get_lines() if line.get_linewidth() > 3]
    assert len(bars) == 2  # 1.48 is the critical difference: neighbours are not told apart, the ends are
    assert ranks_figure(records({name: values[:4] for name, values in VALUES.items()}), models, Metric()) is None


def test_models_with_different_curves_share_a_figure() -> None:
    curves = {"good": ["loss"], "fair": ["loss", "log10_of_conditions"], "bad": ["log10_of_conditions"]}
    kept = [
        Record("toy", model, 0, "error", Outcome(0.5, 5, 0.1, details={"curves": {name: [1.0, 0.5] for name in names}}))
        for model, names in curves.items()
    ]
    models = {name: Model(name.title(), "classical", "", lambda *_: Outcome(0.5, 5, 0.1)) for name in curves}
    figure = curves_figure(kept, models)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Log10 of conditions"]
    assert [[line.get_label() for line in axes.get_lines()] for axes in figure.axes] == [
        ["Good", "Fair"],
        ["Fair", "Bad"],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Good", "Fair", "Bad"]


# --- qml compare all --------------------------------------------------------------------------------------------------


def test_all_comparisons_end_in_one_page_and_one_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained: list[str] = []
    tasks = [toy("one", 0.9, 0.5, trained), toy("two", 0.4, 0.6, trained, 9), toy("three", 0.5, 0.5, trained, 8)]
    monkeypatch.setattr(qml.compare, "TASKS", SoundTasks({task.name: task for task in tasks}))
    found = CliRunner().invoke(app, ["compare", "all", "--out", str(tmp_path / "all")])
    assert found.exit_code == 0, found.output
    assert len(trained) == 3 * 2 * 5
    assert "overview.html" in found.output
    page = (tmp_path / "all" / "overview.html").read_text()
    assert 'href="two/report.html"' in page
    assert (tmp_path / "all" / "two" / "report.html").exists()
    rows = (tmp_path / "all" / "summary.md").read_text().splitlines()
    assert [row.split(" | ")[-1] for row in rows[2:]] == ["quantum |", "classical |", "neither |"]
    assert "quantum one: 92.0 % (90.0 to 94.0 %; 7 parameters)" in rows[2]
    of_its_size = [row.split(" | ")[3] for row in rows[2:]]
    assert of_its_size[0] == "classical one: 52.0 % (50.0 to 54.0 %; 7 parameters)"
    assert of_its_size[1] == "-"  # 9 are more than 10 % and more than one above 7
    assert of_its_size[2] == "classical one: 52.0 % (50.0 to 54.0 %; 8 parameters)"  # one more is as near as it gets
    again = CliRunner().invoke(app, ["compare", "all", "--out", str(tmp_path / "all")])
    assert again.exit_code == 0
    assert len(trained) == 3 * 2 * 5  # nothing runs twice


def test_questions_of_a_task_are_lines_and_what_is_not_trained_does_not_count(tmp_path: Path) -> None:
    def model(kind: str, family: str) -> Model:
        return Model(f"{kind} {family}", kind, "", lambda *_: Outcome(0.5, 5, 0.1), family=family)

    models = {
        "q1": model("quantum", "one"),
        "c1": model("classical", "one"),
        "q2": model("quantum", "two"),
        "c": model("classical", "methods"),
        "exact": model("quantum", "one"),
    }
    values = {"q1": (0.6, 7), "c1": (0.7, 7), "q2": (0.9, 7), "c": (0.8, 70), "exact": (1.0, 0)}
    task = replace(toy("toy", 0.5, 0.5, []), models=lambda options: models)
    kept = [Record("toy", name, 0, "test_accuracy", Outcome(*pair, 0.1)) for name, pair in values.items()]
    lines = table_lines([Finished(make_plan(task), kept, tmp_path / "toy" / "report.html")], tmp_path)
    found = [(line.name, line.quantum.model, line.classical.model, line.equal and line.equal.model) for line in lines]
    assert found == [("toy one", "q1", "c", "c1"), ("toy two", "q2", "c", None)]


def test_all_is_checked_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained: list[str] = []
    tasks = [toy("one", 0.9, 0.5, trained), toy("two", 0.4, 0.6, trained)]
    tasks[0] = replace(tasks[0], presets={**tasks[0].presets, "demo": Preset(2, 1, 1)})
    monkeypatch.setattr(qml.compare, "TASKS", SoundTasks({task.name: task for task in tasks}))
    found = CliRunner().invoke(app, ["compare", "all", "--preset", "demo", "--out", str(tmp_path)])
    assert found.exit_code == 2
    assert "`preset` must be one of full for task 'two', but is 'demo'" in found.output
    assert not trained


def test_a_folder_of_other_settings_stops_all_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained: list[str] = []
    tasks = [toy("one", 0.9, 0.5, trained), toy("two", 0.4, 0.6, trained)]
    monkeypatch.setattr(qml.compare, "TASKS", SoundTasks({task.name: task for task in tasks}))
    other = replace(tasks[1], presets={"full": Preset(2, 1, 7)})
    run_plan(make_plan(other, folder=tmp_path / "two"))
    trained.clear()
    found = CliRunner().invoke(app, ["compare", "all", "--out", str(tmp_path)])
    assert found.exit_code == 2
    assert "`out` must be a new folder" in " ".join(found.output.split())
    assert not trained


def test_every_task_has_both_presets_and_compares_subjects_that_it_has() -> None:
    for task in TASKS.values():
        assert tuple(task.presets) == ("full", "demo"), task.name
        for subject in choose_subjects(task, ()):
            make_plan(task, preset="demo", options=subject)


@pytest.mark.parametrize("more", [("one",), ("--models", "q"), ("--option", "scaler=leaking")])
def test_all_stands_alone(more: tuple[str, ...]) -> None:
    found = CliRunner().invoke(app, ["compare", "all", *more])
    assert found.exit_code == 2
    assert "`task` must be 'all' alone" in found.output
