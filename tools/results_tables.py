"""Tables of the result pages, from the records beside them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from qml.compare.statistics import estimate_metric
from qml.compare.summary import markdown, read_lines
from qml.compare.table import show_interval
from qml.compare.task import Metric


@dataclass(frozen=True)
class Number:
    """A number of a record, with the digits that it was noted with."""

    text: str


@dataclass(frozen=True)
class Record:
    """A file of `docs/results/records`.

    Attributes:
        name: The file's name without its ending.
        text: The file's text.
    """

    name: str
    text: str

    @cached_property
    def contents(self) -> Mapping[str, Any]:
        """Return the JSON, with numbers as `Number`."""
        return json.loads(self.text, parse_float=Number, parse_int=Number)

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Return the JSON with plain numbers."""
        return json.loads(self.text)

    @property
    def digest(self) -> str:
        """Return a fingerprint of the text, which the figure drawn from it carries."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def shape(self) -> str:
        """Return "table" for a table as noted, "run" for a comparison by seeds, "all" for all comparisons."""
        return "table" if "rows" in self.contents else "run" if "models" in self.contents else "all"


def table_of(record: Record) -> str:
    """Return a record's table in Markdown."""
    if record.shape == "all":
        return markdown(read_lines(record.plain)).strip()
    if record.shape == "run":
        return run_table(record.plain)
    columns = record.contents["columns"]
    rows = [
        [shown(cell, column.get("unit", "")) for cell, column in zip(row["cells"], columns, strict=True)]
        for row in record.contents["rows"]
    ]
    return as_table([column["title"] for column in columns], rows)


def run_table(contents: Mapping[str, Any]) -> str:
    """Return the table of one comparison: means with 95 % intervals of shares, medians with ranges of errors."""
    metric = Metric(**contents["metric"])
    header = ["model", "kind", "parameters", metric.title.lower(), "a training run"]
    rows = []
    for model in contents["models"]:
        values = list(model["values"].values())
        if metric.percent:
            estimate = estimate_metric(values, metric)
            middle, spread = estimate.mean, show_interval(estimate, metric)
        else:
            middle, spread = median(values), f"{metric.show(min(values))} to {metric.show(max(values))}"
        cells = (model["title"], model["kind"], model["n_parameters"], f"{metric.show(middle)} ({spread})")
        rows.append([*map(str, cells), f"{model['seconds']:.2f} s"])
    return as_table(header, rows)


def shown(cell: Any, unit: str) -> str:
    """Return a cell as text: words, a number, or a median with its range."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Number):
        return cell.text + unit
    spread = " to ".join("-" if end is None else end.text for end in cell["range"])
    text = f"{shown(cell['median'], unit)} ({spread})" if "median" in cell else spread
    return text + cell.get("note", "")


def as_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def source_of(record: Record) -> str:
    """Return the sentences below a table: the command, what is shown, machine and date."""
    contents = record.plain
    command = " and ".join(f"`{part.strip()}`" for part in contents["command"].split(";"))
    machine = contents["machine"]
    if record.shape != "table":
        date, machine = machine["Date"][:10], machine["Machine"]
    else:
        date = contents["date"]
    where = "The machine was not noted" if machine == "not noted" else f"Machine: {machine}"
    said = f"{contents['measure']}. " if "measure" in contents else ""
    return f"{said}Made by {command}. {where}. Noted on {date} ([record](records/{record.name}.json))."
