"""An overview of all comparisons: one HTML page and one table in Markdown, from the records of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from qml.compare.engine import ComparisonPlan
from qml.compare.report import describe_machine
from qml.compare.statistics import IntervalEstimate, estimate_median, holm, paired_p
from qml.compare.store import write_atomically
from qml.compare.table import show_interval
from qml.compare.task import BUDGET, Metric, Model, Record

OVERVIEW, SUMMARY = "overview.html", "summary.md"
SIGNIFICANT = 0.05


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


@dataclass(frozen=True)
class Side:
    """The best model of a kind in a comparison, by the median."""

    model: str
    title: str
    n_parameters: int
    estimate: IntervalEstimate


@dataclass(frozen=True)
class Line:
    """A comparison as a line of the table.

    Attributes:
        name: Names of the task and its subject.
        title: Title of the task.
        report: Path of the comparison's report, relative to the folder.
        metric: The number that models are compared by.
        quantum: The best quantum model.
        classical: The best classical model.
        equal: The best classical model whose number of parameters differs from the quantum one's by at most 10 %, or
            by 1; None where there is none.
        p: The p value of the paired test between them, corrected for the number of comparisons; NaN for one seed.
    """

    name: str
    title: str
    report: str
    metric: Metric
    quantum: Side
    classical: Side
    equal: Side | None
    p: float

    @property
    def winner(self) -> str:
        """Return the kind that is ahead by more than chance explains, or "neither"."""
        if not self.p < SIGNIFICANT:
            return "neither"
        lead = self.quantum.estimate.mean - self.classical.estimate.mean
        return "quantum" if (lead > 0) == self.metric.larger_is_better else "classical"

    def shown(self, side: Side | None) -> str:
        """Return a side's median, interval and size as text."""
        if side is None:
            return "-"
        value, interval = self.metric.show(side.estimate.mean), show_interval(side.estimate, self.metric)
        return f"{side.title}: {value} ({interval}; {side.n_parameters} parameters)"

    @property
    def p_shown(self) -> str:
        """Return the p value as text."""
        return "-" if self.p != self.p else f"{self.p:.2g}"


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
    """Write `overview.html` and `summary.md` into `folder`, and return the first.

    Args:
        finished: At least one comparison, with its report inside of `folder`.
        folder: The folder of both files.
    """
    from jinja2 import Environment

    lines = table_lines(finished, folder)
    source = files("qml.compare").joinpath("overview.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    write_atomically(folder / SUMMARY, markdown(lines))
    html = template.render(lines=lines, machine=describe_machine(), tally=_tally(lines), n=len(lines))
    path = folder / OVERVIEW
    write_atomically(path, html)
    return path


def markdown(lines: Sequence[Line]) -> str:
    """Return the table as Markdown, as the README shows it."""
    rows = ["| task | metric | best quantum | classical, its size | best classical | p | ahead |", f"|{'---|' * 7}"]
    for line in lines:
        sides = " | ".join(line.shown(side) for side in (line.quantum, line.equal, line.classical))
        rows.append(f"| `{line.name}` | {line.metric.title} | {sides} | {line.p_shown} | {line.winner} |")
    return "\n".join(rows) + "\n"


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


def _tally(lines: Sequence[Line]) -> Mapping[str, int]:
    winners = [line.winner for line in lines]
    return {name: winners.count(name) for name in ("quantum", "classical", "neither")}
