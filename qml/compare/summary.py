"""The table of all comparisons: its lines, as Markdown and as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qml.compare.statistics import IntervalEstimate
from qml.compare.store import write_atomically
from qml.compare.table import show_interval
from qml.compare.task import Metric

SIGNIFICANT = 0.05


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


def markdown(lines: Sequence[Line]) -> str:
    """Return the table as Markdown, as the documentation shows it."""
    rows = ["| task | metric | best quantum | classical, its size | best classical | p | ahead |", f"|{'---|' * 7}"]
    for line in lines:
        sides = " | ".join(line.shown(side) for side in (line.quantum, line.equal, line.classical))
        rows.append(f"| `{line.name}` | {line.metric.title} | {sides} | {line.p_shown} | {line.winner} |")
    return "\n".join(rows) + "\n"


def tally(lines: Sequence[Line]) -> Mapping[str, int]:
    """Count the lines by the kind that is ahead beyond chance: "quantum", "classical" or "neither"."""
    winners = [line.winner for line in lines]
    return {name: winners.count(name) for name in ("quantum", "classical", "neither")}


def write_summary(path: Path, lines: Sequence[Line], machine: Mapping[str, str]) -> None:
    """Write the lines, and the machine that they come from, as JSON. A number that is NaN becomes null.

    Args:
        path: The file.
        lines: The lines of the table.
        machine: The description that `qml.compare.report.describe_machine` returns.
    """
    contents = {"machine": dict(machine), "lines": [_without_nan(asdict(line)) for line in lines]}
    write_atomically(path, json.dumps(contents, indent=1) + "\n")


def read_lines(contents: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a summary that `write_summary` wrote, from its parsed JSON."""
    return [
        Line(
            stored["name"],
            stored["title"],
            stored["report"],
            Metric(**stored["metric"]),
            _side(stored["quantum"]),
            _side(stored["classical"]),
            None if stored["equal"] is None else _side(stored["equal"]),
            _number(stored["p"]),
        )
        for stored in contents["lines"]
    ]


def _side(stored: Mapping[str, Any]) -> Side:
    estimate = stored["estimate"]
    interval = IntervalEstimate(
        _number(estimate["mean"]), _number(estimate["low"]), _number(estimate["high"]), estimate["n_values"]
    )
    return Side(stored["model"], stored["title"], stored["n_parameters"], interval)


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
