"""The study's records: what their tables say is computed from the lines of fits and searches beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qml.compare.study.run import Finished, make_study
from qml.compare.study.summary import Score, Summary
from qml.compare.task import Outcome, Record
from tools import results_searches, results_study
from tools.results_searches import (
    candidate_of,
    candidates_as_csv,
    choices_record,
    merged,
    read_candidates,
    searches_record,
    whole_parts,
)
from tools.results_study import ablations_record, read_scores, sweeps_record


def without_date(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("date", "machine")}


def stored(name: str) -> dict[str, Any]:
    import json

    return json.loads((results_study.RECORDS / f"{name}.json").read_text(encoding="utf-8"))


def test_the_tables_of_fits_are_those_of_the_lines() -> None:
    summary = Summary(read_scores(results_study.FITS.read_text(encoding="utf-8")))
    made = {
        "study-sweeps": sweeps_record(summary),
        "study-ranks": results_study.ranks_record(summary),
        "study-beyond": results_study.unpublished_record(summary, are_digits=False),
        "study-digits": results_study.unpublished_record(summary, are_digits=True),
        "study-ablations": ablations_record(summary),
    }
    for name, record in made.items():
        assert without_date(stored(name)) == without_date(record), f"run: python -m tools.results_study ({name})"


def test_the_tables_of_searches_are_those_of_the_lines() -> None:
    searched = read_candidates(results_searches.SEARCHES.read_text(encoding="utf-8"))
    scores = read_scores(results_searches.WINNERS.read_text(encoding="utf-8"))
    for name, record in (
        ("study-searches", searches_record(searched, scores)),
        ("study-choices", choices_record(searched, scores)),
    ):
        assert without_date(stored(name)) == without_date(record), f"run: python -m tools.results_searches ({name})"


def test_winners_of_the_record_are_the_best_of_the_searched_candidates() -> None:
    searched = read_candidates(results_searches.SEARCHES.read_text(encoding="utf-8"))
    for score in read_scores(results_searches.WINNERS.read_text(encoding="utf-8")):
        own = [one for one in searched if (one.data_set, one.model) == (score.data_set, score.model)]
        best = max((one for one in own if not one.n_failed), key=lambda one: (one.accuracy, -one.number))
        assert best.number == score.candidate, score


def test_a_half_searched_data_set_is_no_record(tmp_path: Path) -> None:
    study = make_study(["two_curves"], models=["tree"], parameters=[2], folder=tmp_path)
    searched = [record(f"tree.{number}", 0) for number in range(3)]
    fits = [record("tree.1", seed) for seed in range(5)]
    whole = Finished(("two_curves", 2), searched, fits)
    assert whole_parts(study, whole) == [whole]
    for unfinished in (replace(whole, searched=searched[:2]), replace(whole, fits=fits[:4]), replace(whole, fits=[])):
        assert whole_parts(study, unfinished) == []
    both = make_study(["two_curves"], models=["tree", "svc"], parameters=[2], folder=tmp_path)
    assert whole_parts(both, whole) == [whole]  # the kernels are missing
    with pytest.raises(ValueError, match="whole grids"):
        results_searches.main([str(tmp_path)])


def test_lines_of_searches_are_read_as_they_were_written_and_newer_ones_replace_older() -> None:
    lines = [candidate_of(("two_curves", 2), record(f"{model}.1", 0)) for model in ("tree", "svc")]
    (line, other) = read_candidates(candidates_as_csv(lines[::-1]))
    assert (line.model, line.number, line.accuracy, line.n_failed, line.n_steps) == ("tree", 1, 0.75, 0, 2005)
    assert other.model == "svc"
    newer = replace(line, number=2)
    assert merged([line, other], [newer]) == [other, newer]


def record(cell: str, seed: int) -> Record:
    extras: dict[str, Any] = {"failures": 0, "steps": 2005}
    return Record("benchmarks", cell, seed, "test_accuracy", Outcome(0.75, 3, 1.0, extras))


def test_ablations_stand_beside_their_models_on_common_data_sets() -> None:
    whole = Score(("two_curves", 4), "dressed", 0, (0.9, 0.8), 0, 1, 1.0, 1.0)
    without = replace(whole, model="dressed-separable", accuracies=(0.7, 0.7))
    alone = replace(without, data_set=("two_curves", 5))  # the whole model has none
    rows = [row["cells"] for row in ablations_record(Summary([whole, without, alone]))["rows"]]
    (own,) = [row for row in rows if row[:2] == ["`dressed-separable`", "two curves"]]
    assert own[2:] == ["1 (4)", "85.0", "70.0", "-15.0", "5.0"]
    (theirs,) = [row for row in rows if row[:2] == ["`dressed-separable`", "mnist pca, published"]]
    assert theirs[2:5] == ["10 (2 to 11)", "89.8", "89.6"]  # of the study's own pairs
