"""`qml compare benchmarks`: the study "Better than classical?". Heavy imports are inside."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qml.terminal import verbatim

if TYPE_CHECKING:
    from rich.console import RenderableType

    from qml.compare.engine import RunCells
    from qml.compare.study.run import Study
    from qml.compare.study.summary import Summary

STUDY = "benchmarks"
YES = ("yes", "no")


@dataclass(frozen=True)
class Wishes:
    """The options of the command, as they were given."""

    families: Sequence[str]
    models: Sequence[str] | None
    preset: str | None
    variant: str | None
    n_seeds: int | None
    options: Sequence[str]
    out: Path | None


def wished_study(wishes: Wishes) -> "Study":
    """Return the study that the options ask for.

    Raises:
        ValueError: If something is not offered; the message lists what is.
    """
    from qml.checks import require_choice
    from qml.compare.study.run import make_study

    options: dict[str, str] = {}
    for text in wishes.options:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"Argument `option` must be written as name=value, but is {text!r}.")
        require_choice(name, "option", ("sizes", "beyond", "mnist"))
        options[name] = value
    beyond = options.get("beyond", "no")
    require_choice(beyond, "beyond", YES)
    return make_study(
        wishes.families,
        models=wishes.models,
        preset=wishes.preset or "full",
        variant=wishes.variant or "published",
        parameters=_sizes(options["sizes"]) if "sizes" in options else None,
        n_seeds=wishes.n_seeds,
        beyond=beyond == "yes",
        folder=wishes.out or Path("runs", STUDY),
        mnist=options.get("mnist"),
    )


def run(console: Console, study: "Study", runner: AbstractContextManager["RunCells | None"]) -> None:
    """Run what is missing, show the tables, and write the page."""
    from qml.compare import LiveProgress
    from qml.compare.study.page import write_study
    from qml.compare.study.run import run_study
    from qml.compare.study.summary import summary_of

    finished, folder = [], study.folder or Path()
    with runner as run_cells:
        for item in run_study(study, lambda: LiveProgress(console, is_brief=True), run_cells):
            finished.append(item)
            console.print(verbatim(_line(item, study)), highlight=False, soft_wrap=True)
    summary = summary_of(finished)
    console.print()
    console.print(summary_table(summary))
    path = write_study(study, summary, folder)
    console.print("\nReport:", verbatim(path, style="bold"), highlight=False, soft_wrap=True)


def help_text() -> "RenderableType":
    """Return the families, models, presets and options of the study."""
    from rich.console import Group
    from rich.text import Text

    from qml.compare.study.grids import ENTRIES, candidates
    from qml.compare.study.run import PRESETS
    from qml.compare.study.task import BENCHMARKS, SYNTHETIC, VARIANTS
    from qml.data.benchmark_sets import FAMILIES

    models = _table("model", "kind", "candidates", "recipe")
    for name, entry in ENTRIES.items():
        models.add_row(verbatim(name, style="bold"), entry.kind, str(len(candidates(name))), verbatim(entry.recipe))
    presets = _table("preset", "work")
    for name, amount in PRESETS.items():
        presets.add_row(verbatim(name, style="bold"), verbatim(amount.words))
    return Group(
        verbatim(BENCHMARKS.title, style="bold"),
        verbatim(BENCHMARKS.question),
        Text(),
        verbatim("Usage: qml compare benchmarks [FAMILY ...] [--as NAME] [--models NAMES] [--preset NAME] [--dry-run]"),
        Text(),
        verbatim(f"family: {' '.join(SYNTHETIC)}; all of these where none is named, and"),
        verbatim(f"        {' '.join(family for family in FAMILIES if family not in SYNTHETIC)}"),
        verbatim(
            f"--as NAME: {' '.join(VARIANTS)}; where the study's code parts from its text, published if not given"
        ),
        verbatim("--option sizes=2,3,10: parameters of the sweeps; the preset's if not given"),
        verbatim("--option beyond=yes: models run at sizes too that the study left out for cost"),
        verbatim("--option mnist=FOLDER: the four files of MNIST, for the families that begin with mnist"),
        Text(),
        models,
        Text(),
        presets,
    )


def dry_run(study: "Study") -> "RenderableType":
    """Return what would be fitted, and its cost from short timings."""
    from rich.console import Group
    from rich.text import Text

    from qml.compare.rough_times import show_seconds
    from qml.compare.study.estimate import MOST_FEATURES, estimate, total_hours

    costs = estimate(study)
    table = _table("model", "fits", "one core")
    for cost in costs:
        mark = " (extrapolated)" if cost.is_extrapolated else ""
        table.add_row(verbatim(cost.model, style="bold"), str(cost.n_fits), show_seconds(3600 * cost.hours) + mark)
    return Group(
        table,
        Text(),
        verbatim(f"{len(study.data_sets)} data sets, {sum(cost.n_fits for cost in costs)} fits."),
        verbatim(f"All together: {show_seconds(3600 * total_hours(costs))} of one core."),
        verbatim(
            f"Timed on a few steps of each architecture and size, for a typical number of steps a fit, kernels up to "
            f"{MOST_FEATURES} features; what is stored already is not taken off. Nothing was written."
        ),
    )


def summary_table(summary: "Summary") -> "RenderableType":
    """Return a row for each model: mean accuracies, ranks, parameters, failures."""
    from qml.compare.study.grids import ENTRIES
    from qml.compare.study.ranks import members, normalised_ranks

    table = _table("model", "data sets", "mean accuracy", "published", "mean normalised rank", "failed fits", "a fit")
    for family in dict.fromkeys(entry.family for entry in ENTRIES.values()):
        present = [model for model in members(family, with_controls=True) if model in summary.models]
        ranks = normalised_ranks(summary.accuracies, [m for m in present if not ENTRIES[m].is_control])
        for model in present:
            own = [score for score in summary.scores if score.model == model]
            theirs = [row[model] for row in summary.published_accuracies.values() if model in row]
            table.add_row(
                verbatim(model, style="bold"),
                str(len(own)),
                f"{100 * sum(score.mean for score in own) / len(own):.1f} %",
                f"{100 * sum(theirs) / len(theirs):.1f} %" if theirs else "-",
                f"{ranks[model].rank:.3f}" if model in ranks else "-",
                f"{summary.n_failed[model]} of {summary.n_fits[model]}",
                f"{sum(score.seconds for score in own) / len(own):.2f} s",
            )
    return table


def _line(item: Any, study: "Study") -> str:
    from qml.compare.study.summary import summary_of

    family, parameter = item.data_set
    shown = [f"{score.model} {100 * score.mean:.1f}" for score in summary_of([item]).scores]
    return f"{family} {parameter}: {', '.join(shown) or 'no result'}"


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"Argument `sizes` must be whole numbers with commas between, but is {text!r}.") from error


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column in ("model", "preset", "kind"))
    return table
