"""The page of a study: accuracies beside the published ones, ranks and their tests, time, parameters, failures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qml.compare.engine import ComparisonPlan
from qml.compare.figures import FAINT, figure_style, metric_figure, new_figure, ranks_figure
from qml.compare.report import write_page
from qml.compare.study.grids import ENTRIES, GROUPS, IMAGE, KERNEL, QNN, settings, shown
from qml.compare.study.published import published
from qml.compare.study.ranks import family_test, members, normalised_ranks
from qml.compare.study.run import Study
from qml.compare.study.summary import Summary
from qml.compare.study.task import BENCHMARKS
from qml.compare.task import Model, Outcome, Preset, Record, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMILIES = {QNN: "trained models", KERNEL: "kernels and random features", IMAGE: "models of images"}
PALETTE = ("#5b3fd6", "#b04bd0", "#e06aa8", "#3b7cc4", "#0f8f83", "#8a9a1f", "#e08214", "#c8503c", "#6b7686", "#1d1b2e")


def write_study(study: Study, summary: Summary, folder: Path) -> Path:
    """Write `report.html` into `folder`, and return its path.

    Raises:
        ValueError: If no model has a result.
    """
    if not summary.scores:
        raise ValueError("Argument `models` must name a model that runs on these data sets, but no fit has a result.")
    plan = _plan(study, summary, folder)
    return write_page(plan, summary_records(summary), folder, sentences(summary), sections(plan, summary))


def summary_records(summary: Summary) -> list[Record]:
    """Return the mean accuracy of each model on each data set as a record, whose seed is the number of the data set."""
    numbers = {data_set: number for number, data_set in enumerate(summary.accuracies)}
    metric = BENCHMARKS.metric.name
    return [
        Record(
            BENCHMARKS.name,
            score.model,
            numbers[score.data_set],
            metric,
            Outcome(
                score.mean,
                score.n_parameters,
                score.seconds,
                {"setting": f"{' '.join(map(str, score.data_set))}: {shown(settings(score.model)[score.candidate])}"},
            ),
        )
        for model in summary.models
        for score in summary.scores
        if score.model == model
    ]


def sentences(summary: Summary) -> list[str]:
    """Return who has the best rank in each family, and how ours compare with the published numbers."""
    said = []
    for family, words in FAMILIES.items():
        ranks = normalised_ranks(summary.accuracies, [m for m in members(family) if m in summary.models])
        if len(ranks) > 1:
            best, rank = next(iter(ranks.items()))
            kind = ENTRIES[best].kind
            said.append(f"Of the {words}, {best} ({kind}) has the best mean normalised rank: {rank.rank:.3f}.")
    sweeps = summary.sweeps()
    if sweeps:
        close = sum(abs(sweep.deviations) <= 2.0 for sweep in sweeps)
        said.append(
            f"{close} of {len(sweeps)} means over a sweep lie within two standard errors of the published ones; the "
            "table below names the others."
        )
    n_failed, n_fits = sum(summary.n_failed.values()), sum(summary.n_fits.values())
    return [*said, f"{n_failed} of {n_fits} fits failed and are left out of the means."]


def sections(plan: ComparisonPlan, summary: Summary) -> list[Section]:
    """Return the sections of the page."""
    records = summary_records(summary)
    drawn = [
        Section(
            "Accuracy by model",
            "Each small point is a data set, the large one the mean over those on which the model ran: different ones "
            "for different models, so that the means do not compare. The ranks below do.",
            metric_figure(records, plan.models, plan.task.metric),
        )
    ]
    for family, words in FAMILIES.items():
        drawn += _rank_sections(plan, summary, records, family, words)
    return [*drawn, *(_sweep_sections(summary)), _beside(summary), _costs(summary)]


def _rank_sections(
    plan: ComparisonPlan, summary: Summary, records: Sequence[Record], family: str, words: str
) -> list[Section]:
    models = [model for model in members(family) if model in summary.models]
    if len(models) < 2:
        return []
    ours, theirs = (normalised_ranks(table, models) for table in (summary.accuracies, summary.published_accuracies))
    rows = tuple(
        (model, f"{rank.rank:.3f}", str(rank.n_sets), f"{theirs[model].rank:.3f}" if model in theirs else "-")
        for model, rank in ours.items()
    )
    test = family_test(summary.accuracies, models)
    said = (
        "No data set has results of all of them."
        if test is None
        else f"On the {test.n_sets} data sets with results of all, Friedman's test gives p = {test.p:.2g}, and "
        f"Nemenyi's critical difference of mean ranks is {test.critical_difference:.2f}."
    )
    header = ("model", "mean normalised rank", "data sets", "published, same data sets and models")
    own = [record for record in records if record.model in models]
    figure = ranks_figure(own, plan.models, plan.task.metric, ranked_on="data sets") if test else None
    intro = (
        f"Ranks of the {words}: 1 is the best on a data set, equal ones share the smaller rank, divided by the number "
        "of models that ran there. Controls without entanglement are left out, as in the study. "
    )
    return [Section(f"Ranks: {words}", intro + said, figure, header, rows)]


def _sweep_sections(summary: Summary) -> list[Section]:
    sweeps = summary.sweeps()
    rows = tuple(
        (
            sweep.model,
            sweep.family,
            str(sweep.n_sets),
            str(sweep.n_equal),
            f"{100 * sweep.ours:.1f} %",
            f"{100 * sweep.published:.1f} %",
            f"{100 * (sweep.ours - sweep.published):+.1f}",
            f"{100 * sweep.error:.1f}",
            f"{sweep.deviations:+.1f}",
            f"{sweep.worst:+.1f}",
        )
        for sweep in sweeps
    )
    header = (
        "model", "family", "data sets", "equal", "ours", "published", "points", "standard error", "in errors",
        "largest, in samples",
    )  # fmt: skip
    text = (
        "Means over the data sets of a sweep that both have, and the number of those on which both are equal. The "
        "standard error counts the spread over seeds, ours and theirs; deterministic models have none."
    )
    families = list(dict.fromkeys(sweep.family for sweep in sweeps))
    return [
        *(Section(family, "Lines: ours; dashes: published.", _curves(summary, family)) for family in families),
        Section("Means over a sweep", text, None, header, rows),
    ]


def _curves(summary: Summary, family: str) -> "Figure":
    """Draw accuracies over a sweep, the published ones as dashes, in a panel for each family of models."""
    with figure_style():
        groups = GROUPS.get(family, (QNN, KERNEL))
        figure = new_figure(4.8 * len(groups), 3.6)
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, group in zip(panels, groups, strict=True):
            models = [model for model in members(group, with_controls=True) if model in summary.models]
            for model, colour in zip(models, PALETTE, strict=False):
                own = sorted(
                    (score.data_set[1], 100 * score.mean)
                    for score in summary.scores
                    if score.model == model and score.data_set[0] == family
                )
                if own:
                    places, values = zip(*own, strict=True)
                    theirs = [(p, 100 * one.accuracy) for p in places if (one := published(family, p, model))]
                    axes.plot(places, values, "o-", ms=3.0, color=colour, label=model)
                    if theirs:
                        axes.plot(*zip(*theirs, strict=True), "--", lw=1.0, color=colour)
            axes.set_title(FAMILIES[group])
            axes.set_xlabel("parameter of the sweep")
            axes.grid(color=FAINT, lw=0.7)
            if axes.lines:
                axes.legend(fontsize=7, frameon=False)
        panels[0].set_ylabel("test accuracy (%)")
    return figure


def _beside(summary: Summary) -> Section:
    rows = []
    for score in summary.scores:
        found = published(*score.data_set, score.model)
        theirs = ("-", "-") if found is None else (f"{100 * found.accuracy:.1f}", f"{100 * found.deviation:.1f}")
        family, parameter = score.data_set
        ours = (f"{100 * score.mean:.1f}", f"{100 * score.variance**0.5:.1f}", str(len(score.accuracies)))
        rows.append((family, str(parameter), score.model, *ours, *theirs))
    header = ("family", "parameter", "model", "ours, %", "deviation", "fits", "published, %", "deviation")
    return Section("Every result beside the published one", "Test accuracies.", None, header, tuple(rows))


def _costs(summary: Summary) -> Section:
    rows = []
    for model in summary.models:
        own = [score for score in summary.scores if score.model == model]
        sizes = sorted({score.n_parameters for score in own})
        search = summary.searches.get(model)
        rows.append(
            (
                model,
                f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0]),
                f"{sum(score.seconds for score in own) / len(own):.2f} s",
                f"{sum(score.n_steps for score in own) / len(own):.0f}",
                f"{summary.n_failed[model]} of {summary.n_fits[model]}",
                "-" if search is None else f"{search.n_failed} of {5 * search.n_candidates}",
                "-" if search is None else f"{search.n_same} of {search.n_searches}",
            )
        )
    header = (
        "model", "parameters", "processor time a fit", "steps", "failed fits", "failed fits in searches",
        "searches with the study's choice",
    )  # fmt: skip
    text = (
        "A fit fails where its loss has not settled after the largest number of steps, or is no number. Parameters of "
        "a kernel machine are its support vectors and an offset."
    )
    return Section("Time, parameters, failures", text, None, header, tuple(rows))


def _plan(study: Study, summary: Summary, folder: Path) -> ComparisonPlan:
    models = {
        name: Model(name, ENTRIES[name].kind, ENTRIES[name].recipe, _never, (0,), ENTRIES[name].family)
        for name in summary.models
    }
    protocol = (
        f"{study.amount.words}; as {study.variant}. Settings are chosen by five-fold cross-validation on the training "
        "samples, stratified and not shuffled; a winner is fitted to all of them with several seeds. Training stops "
        "when the mean losses of two intervals of 200 steps differ by less than half a standard error. A point in the "
        "tables is a data set, and its number stands in the column of seeds. Records are in the folders beside this "
        "file."
    )
    task = replace(BENCHMARKS, protocol=protocol, models=lambda options: models)
    seeds = tuple(range(len(summary.accuracies)))
    return ComparisonPlan(task, {"as": study.variant}, study.preset, Preset(len(seeds), 1, 1), models, seeds, folder)


def _never(*arguments: object) -> Outcome:
    raise RuntimeError("The models of a summary are not trained.")
