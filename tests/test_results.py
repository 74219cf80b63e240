"""Result pages and the README's count are those of the records, and figures were drawn from their records."""

import json
import math
import re
from pathlib import Path

import pytest

from qml.compare import TASKS, Model, Task, make_plan, run_plan
from qml.compare.statistics import IntervalEstimate, estimate_mean
from qml.compare.summary import Line, Side, markdown, read_lines, write_summary
from qml.compare.task import Metric
from tests.test_overview import toy
from tools import results
from tools.results import (
    BLOCK,
    README,
    all_records,
    block_of,
    figure_path,
    pages,
    record_of_all,
    record_of_comparison,
    written,
)
from tools.results_figures import has_figure, svg_of
from tools.results_tables import Record, shown, source_of, table_of

LARGEST = 100_000  # bytes of a figure

SINCE_THE_LAST_TABLE = {"operators"}  # tasks that `make table` has not run yet; the page names them


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_pages_say_what_the_records_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert written(text) == text, "run: python -m tools.results"


def test_the_comparison_of_pages_can_fail() -> None:
    page = results.PAGES / "series.md"
    text = page.read_text(encoding="utf-8")
    assert "3.0e-4 (1.6e-4 to 6.3e-4)" in text
    assert written(text.replace("3.0e-4 (1.6e-4", "2.9e-4 (1.6e-4")) == text
    readme = README.read_text(encoding="utf-8")
    assert "ahead beyond chance in two" in readme
    assert written(readme.replace("ahead beyond chance in two", "ahead beyond chance in one")) == readme


def test_every_record_is_on_one_page_and_says_where_it_is_from() -> None:
    records = all_records()
    shown_on = [name for page in pages() for name, _ in BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(shown_on) == sorted(records)
    for record in records.values():
        machine = record.contents["machine"]
        date = record.contents["date"] if record.shape == "table" else machine["Date"]
        assert re.match(r"20\d\d-\d\d-\d\d", date), record.name
        assert all(part.strip().startswith(("qml ", "make ")) for part in record.contents["command"].split(";"))
        assert machine
        assert record.shape != "table" or record.contents["measure"]


def test_every_figure_was_drawn_from_its_record_and_is_small() -> None:
    drawn = {figure_path(record): record.digest for record in all_records().values() if has_figure(record)}
    assert set(results.FIGURES.glob("*")) == set(drawn)
    for path, digest in drawn.items():
        assert digest in path.read_text(encoding="utf-8"), f"{path.name} is of an older record: python -m tools.results"
        assert path.stat().st_size < LARGEST, path.name


def test_cells_keep_their_digits() -> None:
    text = '{"a": [0.90, {"median": 3.0e-4, "range": [1.60e-4, null]}, {"range": [2, 10], "note": " (x)"}, "-", null]}'
    cells = Record("a", text).contents["a"]
    assert [shown(cell, " %") for cell in cells] == ["0.90 %", "3.0e-4 % (1.60e-4 to -)", "2 to 10 (x)", "-", "-"]


def test_the_table_of_all_has_every_task_of_both_kinds() -> None:
    lines = table_of(all_records()["all"]).splitlines()
    assert lines[:2] == markdown([]).splitlines()
    tasks = {re.match(r"\| `([\w-]+)", line)[1] for line in lines[2:]}  # pyright: ignore[reportOptionalSubscript]
    both = {name for name, task in TASKS.items() if {m.kind for m in models_of(task)} == {"quantum", "classical"}}
    assert tasks | SINCE_THE_LAST_TABLE == both
    assert not tasks & SINCE_THE_LAST_TABLE


def models_of(task: Task) -> list[Model]:
    return list(task.models({name: allowed[0] for name, allowed in task.options.items()}).values())


def test_lines_are_the_same_once_they_were_written(tmp_path: Path) -> None:
    metric = Metric("e", "E", larger_is_better=False, percent=False)
    one = Side("q", "Q", 7, IntervalEstimate(0.25, 0.2, 0.3, 5))
    alone = Side("c", "C", 70, IntervalEstimate(0.5, math.nan, math.nan, 1))
    lines = [
        Line("a", "A", "a/report.html", metric, one, alone, None, 0.01),
        Line("b", "B", "", metric, one, one, one, 1.0),
    ]
    write_summary(tmp_path / "summary.json", lines, {"Date": "2026-11-29", "Machine": "two cores"})
    contents = json.loads((tmp_path / "summary.json").read_text())
    assert contents["machine"] == {"Date": "2026-11-29", "Machine": "two cores"}
    assert markdown(read_lines(contents)) == markdown(lines)
    assert read_lines(contents)[1] == lines[1]
    assert [line.winner for line in read_lines(contents)] == ["quantum", "neither"]
    record = Record("all", record_of_all(tmp_path))
    assert table_of(record) == markdown(lines).strip()
    assert source_of(record).startswith("Made by `make table`. Machine: two cores. Noted on 2026-11-29")


def test_a_comparison_becomes_a_record_with_table_and_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    task = toy("one", 0.9, 0.5, [])
    monkeypatch.setattr(results, "TASKS", {"one": task})
    run_plan(make_plan(task, folder=tmp_path / "one"))
    name, text = record_of_comparison(tmp_path / "one")
    record = Record(name, text)
    values = [0.9, 0.9101, 0.92, 0.9301, 0.94]
    estimate = estimate_mean(values)
    said = f"{100 * estimate.mean:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f} %)"
    assert name == "run-one"
    assert table_of(record).splitlines()[2] == f"| quantum one | quantum | 7 | {said} | 0.10 s |"
    assert block_of(record).startswith("![Toy one](figures/run-one.svg)\n\n| model |")
    assert "`qml compare one --preset full`" in block_of(record)
    assert svg_of(record) == svg_of(record)
    assert record.digest in svg_of(record)


def test_the_readme_is_short_and_shows_a_picture_from_a_run() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    (picture,) = re.findall(r"!\[.+\]\((docs/results/figures/run-.+\.svg)\)", text)
    assert results.ROOT.joinpath(picture).exists()
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in linked if not results.ROOT.joinpath(link).exists()] == []
