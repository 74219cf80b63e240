"""An overview of all comparisons: one HTML page and one table in Markdown, from the records of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from qml.compare.engine import ComparisonPlan
from qml.compare.report import describe_machine
from qml.compare.statistics import estimate_median, holm, paired_p
from qml.compare.store import write_atomically
from qml.compare.summary import Line, Side, markdown, tally, write_summary
from qml.compare.task import BUDGET, Model, Record

OVERVIEW, SUMMARY, SUMMARY_DATA = "overview.html", "summary.md", "summary.json"


@dataclass(frozen=True)
class Finished:
    """A comparison that has run, with its results.

    Attributes:
        plan: The comparison.
        records: Its results.
        report: The path of its own page.
    """

    plan: ComparisonPlan
    records: Sequence[Record]
    report: Path


def table_lines(finished: Sequence[Finished], folder: Path) -> list[Line]:
    """Return a line for each comparison that has trained models of both kinds.

    Where a task asks several questions, each family of models that has quantum ones is a line of its own, beside its
    classical models and those of the families without quantum ones.
    """
    both = []
    for item in finished:
        for name, models in _questions(item.plan):
            quantum, classical = _best(item, models, "quantum"), _best(item, models, "classical")
            if quantum and classical:
                equal = _best(item, models, "classical", size=quantum.n_parameters)
                both.append((item, name, quantum, classical, equal))
    corrected = holm([paired_p(item.records, quantum.model, best.model) for item, _, quantum, best, _ in both])
    return [
        Line(
            name,
            item.plan.task.title,
            item.report.relative_to(folder).as_posix(),
            item.plan.task.metric,
            quantum,
            classical,
            equal,
            p,
        )
        for (item, name, quantum, classical, equal), p in zip(both, corrected, strict=True)
    ]


def write_overview(finished: Sequence[Finished], folder: Path) -> Path:
    """Write `overview.html`, `summary.md` and `summary.json` into `folder`, and return the first.

    Args:
        finished: At least one comparison, with its report inside of `folder`.
        folder: The folder of the files.
    """
    from jinja2 import Environment

    lines = table_lines(finished, folder)
    source = files("qml.compare").joinpath("overview.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    machine = describe_machine()
    write_atomically(folder / SUMMARY, markdown(lines))
    write_summary(folder / SUMMARY_DATA, lines, machine)
    html = template.render(lines=lines, machine=machine, tally=tally(lines), n=len(lines))
    path = folder / OVERVIEW
    write_atomically(path, html)
    return path


def _questions(plan: ComparisonPlan) -> list[tuple[str, Mapping[str, Model]]]:
    """Return the name of each question of a task, and the models that answer it."""
    asked = dict.fromkeys(model.family for model in plan.models.values() if model.kind == "quantum")
    classical = {model.family for model in plan.models.values()} - set(asked)
    return [
        (
            _name(plan) if len(asked) == 1 else f"{_name(plan)} {family}",
            {name: model for name, model in plan.models.items() if model.family in {family, *classical}},
        )
        for family in asked
    ]


def _best(item: Finished, models: Mapping[str, Model], kind: str, *, size: int | None = None) -> Side | None:
    """Return the trained model of a kind and size with the best median; None where there is none."""
    sign = 1.0 if item.plan.task.metric.larger_is_better else -1.0
    sides = []
    for name, model in models.items():
        outcomes = [record.outcome for record in item.records if record.model == name]
        trained = outcomes and outcomes[0].n_parameters > 0
        fits = trained and (size is None or abs(outcomes[0].n_parameters - size) <= max(1.0, BUDGET * size))
        if model.kind == kind and fits:
            estimate = estimate_median([outcome.value for outcome in outcomes])
            sides.append(Side(name, model.title, outcomes[0].n_parameters, estimate))
    return max(sides, key=lambda side: sign * side.estimate.mean, default=None)


def _name(plan: ComparisonPlan) -> str:
    return " ".join([plan.task.name, *map(str, plan.options.values())])
