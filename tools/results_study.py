"""Writes the records of the page of the study: `python -m tools.results_study FOLDER`, of `qml compare benchmarks`.

`--mnist FILES` names the folder with the files of MNIST that its families ran with, if they did.

Every fit goes into `records/study-fits.csv`, in the place of older ones of the same model and data set;
`study-sweeps.json`, `study-ranks.json`, `study-beyond.json`, `study-digits.json` and `study-ablations.json` hold what
the page shows.
`python -m tools.results` then writes the page.
"""

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qml.compare.report import describe_machine
from qml.compare.study.grids import ABLATED, ENTRIES, IMAGE, KERNEL, QNN, settings, shown
from qml.compare.study.published import published, published_table
from qml.compare.study.ranks import members, normalised_ranks
from qml.compare.study.run import chosen_there, make_study, needs_files, stored_results
from qml.compare.study.summary import Score, Summary, SweepMean, summary_of
from qml.data.benchmark_sets import FAMILIES
from tools.results import RECORDS, as_json

FITS = RECORDS / "study-fits.csv"
HEADER = ("family", "parameter", "model", "candidate", "accuracies", "failed", "parameters", "seconds", "steps")
COMMAND = "qml compare benchmarks --preset chosen"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.results_study")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--mnist", type=Path)
    options = parser.parse_args(arguments)
    scores = {(score.data_set, score.model): score for score in read_scores(FITS.read_text(encoding="utf-8"))}
    own = [family for family in FAMILIES if not needs_files(family)]
    of_files = [family for family in FAMILIES if needs_files(family)] if options.mnist else []
    for folder in options.folders:
        for families, files in ((own, None), (of_files, options.mnist)):
            if not families:
                continue
            study = make_study(families, preset="chosen", beyond=True, folder=folder, mnist=files)
            for score in summary_of(stored_results(study)).scores:
                older = scores.get((score.data_set, score.model))
                if older is None or len(score.accuracies) >= len(older.accuracies):
                    scores[score.data_set, score.model] = score
    FITS.write_text(as_csv(list(scores.values())), encoding="utf-8")
    summary = Summary(read_scores(FITS.read_text(encoding="utf-8")))
    write("study-sweeps", sweeps_record(summary))
    write("study-ranks", ranks_record(summary))
    write("study-beyond", unpublished_record(summary, are_digits=False))
    write("study-digits", unpublished_record(summary, are_digits=True))
    write("study-ablations", ablations_record(summary))


def as_csv(scores: Sequence[Score]) -> str:
    """Return a line for each data set and model."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for score in sorted(scores, key=lambda score: (score.data_set, list(ENTRIES).index(score.model))):
        accuracies = " ".join(f"{value:.6f}" for value in score.accuracies)
        cost = (score.n_failed, score.n_parameters, f"{score.seconds:.3f}", f"{score.n_steps:.0f}")
        writer.writerow((*score.data_set, score.model, score.candidate, accuracies, *cost))
    return text.getvalue()


def read_scores(text: str) -> list[Score]:
    """Return the scores of a file that `as_csv` made."""
    return [
        Score(
            (row["family"], int(row["parameter"])),
            row["model"],
            int(row["candidate"]),
            tuple(map(float, row["accuracies"].split())),
            int(row["failed"]),
            int(row["parameters"]),
            float(row["seconds"]),
            float(row["steps"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def sweeps_record(summary: Summary) -> dict[str, Any]:
    """Return means over each sweep beside the published ones."""
    titles = (
        "model", "family", "data sets", "equal means", "ours, %", "published, %", "difference", "standard error",
        "in errors", "largest difference, in samples", "processor seconds a fit", "steps a fit",
    )  # fmt: skip
    rows = [{"kind": ENTRIES[sweep.model].kind, "cells": _sweep_cells(sweep, summary)} for sweep in summary.sweeps()]
    measure = (
        "Mean test accuracy over the data sets that both have, at the settings that the study's searches chose, 5 fits "
        "each; equal means are so to the last of six digits; the standard error counts the spread over seeds, theirs "
        "and ours"
    )
    return record_of("Means over a sweep beside the published ones", measure, titles, rows)


def _sweep_cells(sweep: SweepMean, summary: Summary) -> list[Any]:
    own = [
        score
        for score in summary.scores
        if (score.model, score.data_set[0]) == (sweep.model, sweep.family)
        and published(*score.data_set, score.model) is not None
    ]
    errors = "-" if abs(sweep.deviations) == float("inf") else f"{sweep.deviations:+.1f}"
    places = sorted(score.data_set[1] for score in own)
    return [
        f"`{sweep.model}`",
        sweep.family.replace("_", " "),
        f"{sweep.n_sets} ({places[0]} to {places[-1]})",
        sweep.n_equal,
        f"{100 * sweep.ours:.1f}",
        f"{100 * sweep.published:.1f}",
        f"{100 * (sweep.ours - sweep.published):+.1f}",
        f"{100 * sweep.error:.1f}",
        errors,
        f"{round(sweep.worst, 1) + 0.0:+.1f}",
        f"{sum(score.seconds for score in own) / len(own):.2f}",
        f"{sum(score.n_steps for score in own) / len(own):.0f}",
    ]


def ranks_record(summary: Summary) -> dict[str, Any]:
    """Return mean normalised ranks: the study's, and on the data sets that we ran both ours and the study's."""
    summary = Summary([score for score in summary.scores if published(*score.data_set, score.model) is not None])
    everything = {key: {name: one.accuracy for name, one in row.items()} for key, row in published_table().items()}
    rows = []
    for family in (QNN, KERNEL, IMAGE):
        whole = normalised_ranks(everything, [ENTRIES[model].published for model in members(family)])
        present = [model for model in members(family) if model in summary.models]
        ours, theirs = (
            normalised_ranks(table, present) for table in (summary.accuracies, summary.published_accuracies)
        )
        for name, rank in whole.items():
            model = next(model for model in members(family) if ENTRIES[model].published == name)
            own = [f"{ours[model].rank:.3f} ({ours[model].n_sets})", f"{theirs[model].rank:.3f}"]
            cells = [family, f"`{model}`", f"{rank.rank:.3f} ({rank.n_sets})", *(own if model in ours else ["-", "-"])]
            rows.append({"kind": ENTRIES[model].kind, "cells": cells})
    titles = ("family", "model", "study, all data sets", "ours, data sets that we ran", "study, the same data sets")
    return record_of(
        "Mean normalised ranks", "Mean normalised rank, lower is better; in brackets data sets", titles, rows
    )


def unpublished_record(summary: Summary, *, are_digits: bool) -> dict[str, Any]:
    """Return the accuracies where the study has none: of digits that ship, or of sizes that it left out."""
    rows = []
    for score in summary.scores:
        family, parameter = score.data_set
        if published(*score.data_set, score.model) is not None or family.startswith("digits_") != are_digits:
            continue
        if score.model in ABLATED:  # they have a table of their own
            continue
        is_searched = score.candidate != chosen_there(score.data_set, score.model)
        setting = shown(settings(score.model)[score.candidate]) + (" (searched)" if is_searched else "")
        values = (f"{100 * score.mean:.1f}", f"{100 * score.variance**0.5:.1f}", str(len(score.accuracies)))
        cells = [family.replace("_", " "), str(parameter), f"`{score.model}`", *values, setting, f"{score.seconds:.2f}"]
        rows.append({"kind": ENTRIES[score.model].kind, "cells": cells})
    titles = ("family", "size", "model", "accuracy, %", "deviation", "fits", "setting", "processor seconds a fit")
    measure = "Mean test accuracy over fits with different seeds; settings that were not searched are the study's"
    if are_digits:
        return record_of("Digits that ship, 3 against 5", f"{measure} for MNIST with as many features", titles, rows)
    title, command = "Sizes beyond the study", f"{COMMAND} --option beyond=yes"
    return record_of(title, f"{measure} for the largest size that it ran", titles, rows) | {"command": command}


def ablations_record(summary: Summary) -> dict[str, Any]:
    """Return the accuracy of each ablation beside its model's: the study's on MNIST, and ours by family."""
    titles = ("ablation", "family", "data sets", "whole, %", "without, %", "difference", "standard error")
    scores = {(score.data_set, score.model): score for score in summary.scores}
    theirs = published_table()
    rows = []
    for model, whole in ABLATED.items():
        names = ENTRIES[whole].published, ENTRIES[model].published
        pairs = {
            key: [(row[name].accuracy, row[name].deviation ** 2 / 4.0) for name in names]
            for key, row in theirs.items()
            if all(name in row for name in names)
        }
        rows.append({"kind": "quantum", "cells": [f"`{model}`", "mnist pca, published", *_paired(pairs)]})
        own = [key for key, name in scores if name == model and (key, whole) in scores]
        for family in dict.fromkeys(key[0] for key in own):
            pairs = {
                key: [_mean_and_error(scores[key, name]) for name in (whole, model)] for key in own if key[0] == family
            }
            rows.append({"kind": "quantum", "cells": [f"`{model}`", family.replace("_", " "), *_paired(pairs)]})
    measure = (
        "Mean test accuracy over data sets that both ran, 5 fits each; the standard error of the difference counts the "
        "spread over seeds. Digits take each model's own setting for MNIST with as many features, the synthetic "
        "families the setting that the study chose for the whole model"
    )
    command = f"{COMMAND} --option beyond=yes"
    return record_of("Ablations beside their models", measure, titles, rows) | {"command": command}


def _mean_and_error(score: Score) -> tuple[float, float]:
    """Return mean and squared standard error of the fits of a model."""
    return score.mean, score.variance / len(score.accuracies)


def _paired(pairs: dict[Any, list[tuple[float, float]]]) -> list[str]:
    """Return number and range of data sets, both means, their difference, and its standard error."""
    places, n_sets = sorted(place for _, place in pairs), len(pairs)
    whole, without = (math.fsum(pair[side][0] for pair in pairs.values()) / n_sets for side in (0, 1))
    error = math.fsum(square for pair in pairs.values() for _, square in pair) ** 0.5 / n_sets
    numbers = (f"{100 * whole:.1f}", f"{100 * without:.1f}", f"{100 * (without - whole):+.1f}", f"{100 * error:.1f}")
    which = ", ".join(map(str, places)) if n_sets < 6 else f"{places[0]} to {places[-1]}"
    return [f"{n_sets} ({which})", *numbers]


def record_of(title: str, measure: str, titles: Sequence[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": title,
        "command": COMMAND,
        "measure": measure,
        "machine": describe_machine()["Machine"] + ", shared with other programs; older lines on Intel Xeon",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "columns": [{"title": name} for name in titles],
        "rows": rows,
    }


def write(name: str, record: dict[str, Any]) -> None:
    (RECORDS / f"{name}.json").write_text(as_json(record, "rows"), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
