"""Writes the records of grid searches: `python -m tools.results_searches FOLDER`, of `qml compare benchmarks`.

`records/study-searches.csv` has a line for each candidate, `records/study-winners.csv` one for the five fits of each
winner, in the place of older ones of the same model and data set; `study-searches.json` and `study-choices.json` hold
what the page shows. Of a data set those families of models are taken, trained ones or kernels, in which the whole grid
of every model that the study ran there is searched.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from qml.compare.study.grids import ENTRIES, KERNEL, QNN, candidates, shown
from qml.compare.study.published import DataSet, published
from qml.compare.study.ranks import members, normalised_ranks
from qml.compare.study.run import Finished, Study, make_study, stored_results
from qml.compare.study.summary import DETERMINISTIC, Score, Summary, summary_of, sweep_of
from qml.compare.study.task import SYNTHETIC, read_cell_name
from qml.compare.task import Record
from tools.results_study import RECORDS, as_csv, read_scores, record_of, write

SEARCHES, WINNERS = RECORDS / "study-searches.csv", RECORDS / "study-winners.csv"
HEADER = ("family", "parameter", "model", "candidate", "accuracy", "failed", "seconds", "steps")
N_FOLDS = 5
KERNELS = "iqp-kernel,projected-kernel,kitchen-sinks,svc,separable-kernel"
COMMAND = (
    "qml compare benchmarks hidden_manifold --preset full --option sizes=2,3; qml compare benchmarks hidden_manifold "
    f"linearly_separable two_curves --models {KERNELS} --option sizes=2,3,4,5,6,7,8; qml compare benchmarks "
    f"hidden_manifold_diff two_curves_diff hyperplanes_diff --models {KERNELS} --option sizes=2"
)
MEDIAN_SECONDS = {  # of a fit of a fold, by the study's result files, over all its data sets
    "circuit-centric": 60, "re-uploading": 65, "dressed": 249, "iqp": 153, "metric": 437, "boltzmann": 70, "tree": 18,
    "mlp": 0.3, "separable": 19, "boltzmann-separable": 32, "iqp-kernel": 156, "projected-kernel": 11,
    "kitchen-sinks": 81, "svc": 0.002, "separable-kernel": 4.5,
}  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A searched setting: accuracy is the mean over the folds, seconds and steps are those of all five fits."""

    data_set: DataSet
    model: str
    number: int
    accuracy: float
    n_failed: int
    seconds: float
    n_steps: int


def main(folders: list[str]) -> None:
    searched = read_candidates(SEARCHES.read_text(encoding="utf-8"))
    scores = read_scores(WINNERS.read_text(encoding="utf-8"))
    for folder in folders:
        study = make_study(SYNTHETIC, preset="full", folder=Path(folder))
        whole = [part for item in stored_results(study) for part in whole_parts(study, item)]
        if not whole:
            raise ValueError(
                f"No data set of {folder} has whole grids of a family of models. Let the search end first."
            )
        searched = merged(searched, [candidate_of(item.data_set, one) for item in whole for one in item.searched])
        scores = merged(scores, summary_of(whole).scores)
    SEARCHES.write_text(candidates_as_csv(searched), encoding="utf-8")
    WINNERS.write_text(as_csv(scores), encoding="utf-8")
    searched = read_candidates(SEARCHES.read_text(encoding="utf-8"))
    scores = read_scores(WINNERS.read_text(encoding="utf-8"))
    write("study-searches", searches_record(searched, scores))
    write("study-choices", choices_record(searched, scores))


def whole_parts(study: Study, item: Finished) -> list[Finished]:
    """Return the families of models in which every candidate is searched, and every winner fitted with all seeds."""
    parts = []
    for family in (QNN, KERNEL):
        models = [model for model in study.runs(item.data_set) if ENTRIES[model].family == family]
        searched, fits = (
            [record for record in records if read_cell_name(record.model)[0] in models]
            for records in (item.searched, item.fits)
        )
        n_wanted = sum(len(study.numbers(model)) for model in models)
        n_winners = len({record.model for record in fits})
        is_fitted = n_winners == len(models) and len(fits) == n_winners * study.amount.n_seeds
        if models and len(searched) == n_wanted and is_fitted:
            parts.append(Finished(item.data_set, searched, fits))
    return parts


Line = TypeVar("Line", Candidate, Score)


def merged(older: Sequence[Line], newer: Sequence[Line]) -> list[Line]:
    """Return all lines, the newer ones in the place of older ones of the same model and data set."""
    replaced = {(line.data_set, line.model) for line in newer}
    return [*(line for line in older if (line.data_set, line.model) not in replaced), *newer]


def candidate_of(data_set: DataSet, record: Record) -> Candidate:
    """Return the searched setting that a cell of a search holds."""
    outcome = record.outcome
    failed, n_steps = int(outcome.extras["failures"]), int(outcome.extras["steps"])
    return Candidate(data_set, *read_cell_name(record.model), outcome.value, failed, outcome.seconds, n_steps)


def candidates_as_csv(searched: Sequence[Candidate]) -> str:
    """Return a line for each candidate, in the order of families, sizes, models and settings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    models = list(ENTRIES)
    for one in sorted(searched, key=lambda one: (one.data_set, models.index(one.model), one.number)):
        cost = (one.n_failed, f"{one.seconds:.3f}", one.n_steps)
        writer.writerow((*one.data_set, one.model, one.number, f"{one.accuracy:.6f}", *cost))
    return text.getvalue()


def read_candidates(text: str) -> list[Candidate]:
    """Return the candidates of a file that `candidates_as_csv` made."""
    return [
        Candidate(
            (row["family"], int(row["parameter"])),
            row["model"],
            int(row["candidate"]),
            float(row["accuracy"]),
            int(row["failed"]),
            float(row["seconds"]),
            int(row["steps"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def searches_record(searched: Sequence[Candidate], scores: Sequence[Score]) -> dict[str, Any]:
    """Return a row for each model: accuracies of the searched settings, ranks, choices, failures, seconds."""
    titles = (
        "model", "data sets", "ours, %", "published, %", "difference", "standard error", "in errors", "rank, ours",
        "rank, published", "same setting", "failed fits", "processor seconds a fit, median", "the study's",
    )  # fmt: skip
    summary = Summary(scores)
    ranks = {
        place: {
            model: rank.rank
            for family in dict.fromkeys(entry.family for entry in ENTRIES.values())
            for model, rank in normalised_ranks(table, members(family)).items()
        }
        for place, table in enumerate((summary.accuracies, summary.published_accuracies))
    }
    rows = []
    for model in summary.models:
        own = [one for one in searched if one.model == model]
        fitted = [score for score in scores if score.model == model]
        same = sum(_theirs(score).candidate == score.candidate for score in fitted)
        cells = [
            f"`{model}`",
            str(len(fitted)),
            *_beside(model, fitted),
            *(f"{ranks[place][model]:.3f}" if model in ranks[place] else "-" for place in (0, 1)),
            f"{same} of {len(fitted)}",
            f"{sum(one.n_failed for one in own)} of {N_FOLDS * len(own)}",
            f"{median(one.seconds / N_FOLDS for one in own):.2g}",
            f"{MEDIAN_SECONDS[model]}",
        ]
        rows.append({"kind": ENTRIES[model].kind, "cells": cells})
    measure = (
        "Mean test accuracy of the settings that each study's own search chose, 5 fits; the standard error counts the "
        "spread over seeds, ranks are mean normalised ones within trained models and within kernels, controls have "
        "none. The study's seconds are medians over all of its sizes, on its machines"
    )
    return record_of("Whole grids", measure, titles, rows) | {"command": COMMAND}


def _theirs(score: Score) -> Any:
    found = published(*score.data_set, score.model)
    if found is None:
        raise ValueError(f"The study has no result of {score.model} on {score.data_set}.")
    return found


def _beside(model: str, scores: Sequence[Score]) -> list[str]:
    """Return our mean, the published one, their difference, its error, and the difference in errors."""
    sweep = sweep_of("", model, scores)
    difference = sweep.ours - sweep.published
    has_spread = model not in DETERMINISTIC and abs(sweep.deviations) != float("inf")
    values = [100 * sweep.ours, 100 * sweep.published]
    return [
        *(f"{value:.1f}" for value in values),
        f"{round(100 * difference, 1) + 0.0:+.1f}",
        f"{100 * sweep.error:.1f}",
        f"{sweep.deviations:+.1f}" if has_spread else "-",
    ]


def choices_record(searched: Sequence[Candidate], scores: Sequence[Score]) -> dict[str, Any]:
    """Return a row for each search that chose another setting than the study's, with both by cross-validation here."""
    titles = (
        "family", "size", "model", "our setting", "cross-validated, %", "test, %", "the study's setting",
        "cross-validated here, %", "test, published, %",
    )  # fmt: skip
    values = {(one.data_set, one.model, one.number): one.accuracy for one in searched}
    rows = []
    for score in scores:
        theirs, settings = _theirs(score), candidates(score.model)
        key = (score.data_set, score.model)
        if theirs.candidate == score.candidate:
            continue
        cells = [
            score.data_set[0].replace("_", " "),
            str(score.data_set[1]),
            f"`{score.model}`",
            shown(settings[score.candidate]),
            f"{100 * values[*key, score.candidate]:.1f}",
            f"{100 * score.mean:.1f}",
            shown(settings[theirs.candidate]),
            f"{100 * values[*key, theirs.candidate]:.1f}",
            f"{100 * theirs.accuracy:.1f}",
        ]
        rows.append({"kind": ENTRIES[score.model].kind, "cells": cells})
    measure = "Mean accuracy over five folds of the training samples, and over five fits on the test samples"
    return record_of("Searches that chose another setting", measure, titles, rows) | {"command": COMMAND}


if __name__ == "__main__":
    main(sys.argv[1:])
