"""Writes the result pages from the records beside them: `python -m tools.results [FOLDER ...]`.

A folder is what `qml compare` wrote: one of a single comparison, or that of `qml compare all`. Its results become a
record in docs/results/records first. Without a folder, tables and figures are written again from the records.
"""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill
from typing import Any

from qml.compare import TASKS
from qml.compare.overview import SUMMARY_DATA
from qml.compare.report import describe_machine
from qml.compare.store import RESULTS, SETTINGS
from qml.compare.summary import Line, read_lines, tally
from tools.results_figures import has_figure, svg_of
from tools.results_tables import Record, source_of, table_of

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"
RECORDS, FIGURES = PAGES / "records", PAGES / "figures"
README = ROOT / "README.md"
# A definition of a link that nothing uses is a comment, on code hosts and on the site.
BLOCK = re.compile(r"^\[//\]: # \(record ([\w-]+)\)\n(.*?)^\[//\]: # \(end\)$", re.DOTALL | re.MULTILINE)
TALLY = re.compile(r"^\[//\]: # \(tally\)\n(.*?)^\[//\]: # \(end\)$", re.DOTALL | re.MULTILINE)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def main(folders: list[str]) -> None:
    for folder in map(Path, folders):
        name, contents = (
            ("all", record_of_all(folder)) if (folder / SUMMARY_DATA).exists() else record_of_comparison(folder)
        )
        (RECORDS / f"{name}.json").write_text(contents, encoding="utf-8")
    FIGURES.mkdir(exist_ok=True)
    for record in all_records().values():
        path = figure_path(record)
        if has_figure(record) and not (path.exists() and record.digest in path.read_text(encoding="utf-8")):
            path.write_text(svg_of(record), encoding="utf-8")
    for page in pages():
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


def pages() -> list[Path]:
    """Return the files that have tables or the tally between marks."""
    return [README, *sorted(PAGES.glob("*.md"))]


def all_records() -> dict[str, Record]:
    return {path.stem: Record(path.stem, path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.json"))}


def figure_path(record: Record) -> Path:
    return FIGURES / f"{record.name}.svg"


def written(text: str) -> str:
    """Return a page with everything between marks written again from the records."""
    records = all_records()

    def block(match: re.Match[str]) -> str:
        return f"[//]: # (record {match[1]})\n\n{block_of(records[match[1]])}\n\n[//]: # (end)"

    text = BLOCK.sub(block, text)
    return TALLY.sub(lambda _: f"[//]: # (tally)\n\n{tally_sentence(records['all'])}\n\n[//]: # (end)", text)


def block_of(record: Record) -> str:
    """Return figure, table and source of a record in Markdown."""
    title = record.contents.get("title", "All comparisons")
    figure = f"![{title}](figures/{record.name}.svg)\n\n" if has_figure(record) else ""
    return f"{figure}{table_of(record)}\n\n{source_of(record)}"


def tally_sentence(record: Record) -> str:
    """Return how many comparisons have which side ahead beyond chance."""
    lines = read_lines(record.plain)
    counts, tested = tally(lines), [line for line in lines if line.p == line.p]
    better = {name: sum(leads(line, name) for line in tested) for name in ("quantum", "classical")}
    open_ones = len(tested) - counts["quantum"] - counts["classical"]
    ahead, behind = word(counts["classical"]), word(counts["quantum"], "none")
    sentence = (
        f"Of {len(lines)} comparisons, a classical model is ahead beyond chance in {ahead}, a quantum one in {behind}. "
        f"In {open_ones} the difference is no larger than chance explains, and {word(len(lines) - len(tested))} ran on "
        f"one seed, which allows no test. By the medians of the {len(tested)} tested ones alone, the classical side is "
        f"better in {better['classical']} and the quantum side in {better['quantum']}."
    )
    return fill(sentence, 120)


def leads(line: Line, kind: str) -> bool:
    """Tell whether the best model of a kind has the better median."""
    lead = line.quantum.estimate.mean - line.classical.estimate.mean
    return lead != 0.0 and (lead > 0.0) == (line.metric.larger_is_better == (kind == "quantum"))


def word(count: int, none: str = "no") -> str:
    return none if count == 0 else NUMBERS[count] if count < len(NUMBERS) else str(count)


def record_of_all(folder: Path) -> str:
    """Return the record of `qml compare all`."""
    contents = json.loads((folder / SUMMARY_DATA).read_text(encoding="utf-8"))
    return as_json({"command": "make table", **contents}, "lines")


def record_of_comparison(folder: Path) -> tuple[str, str]:
    """Return name and record of a comparison: every value by its seed."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    cells = [json.loads(line) for line in (folder / RESULTS).read_text(encoding="utf-8").splitlines()]
    task = TASKS[settings["task"]]
    options = {name: settings[name] for name in task.options}
    models: list[dict[str, Any]] = []
    for name, model in task.models(options).items():
        found = [cell for cell in cells if cell["model"] == name]
        if found:
            seconds = sum(cell["seconds"] for cell in found) / len(found)
            entry = {"model": name, "title": model.title, "kind": model.kind, "n_parameters": found[0]["n_parameters"]}
            values = {str(cell["seed"]): cell["value"] for cell in found}
            models.append(entry | {"seconds": round(seconds, 4), "values": values})
    subject = [str(option) for option in list(options.values())[:1]]
    ended = datetime.fromtimestamp((folder / RESULTS).stat().st_mtime, UTC)
    contents = {
        "title": task.title,
        "command": " ".join(["qml compare", task.name, *subject, "--preset", settings["preset"]]),
        "machine": describe_machine() | {"Date": ended.strftime("%Y-%m-%d %H:%M UTC")},
        "metric": {key: getattr(task.metric, key) for key in task.metric.__dataclass_fields__},
        "models": models,
    }
    return "-".join(["run", task.name, *subject]), as_json(contents, "models")


def as_json(contents: dict[str, Any], listed: str) -> str:
    """Return JSON that has a line for each item of one list, so that changes can be reviewed."""
    rest = json.dumps({key: value for key, value in contents.items() if key != listed}, indent=1, ensure_ascii=False)
    items = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in contents[listed])
    return f'{rest[:-2]},\n "{listed}": [\n{items}\n ]\n}}\n'


if __name__ == "__main__":
    main(sys.argv[1:])
