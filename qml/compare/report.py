"""The report of a comparison: one self-contained HTML file."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from qml.compare.engine import ComparisonPlan
from qml.compare.figures import confusion_figure, curves_figure, metric_figure, ranks_figure, to_data_uri
from qml.compare.statistics import ModelSummary, summarise
from qml.compare.store import write_atomically
from qml.compare.table import EQUAL, NOTHING_DRAWN, best_mean, show_interval, verdict
from qml.compare.task import Record, Section

REPORT = "report.html"
ONCE = "Nothing is drawn: it was trained once, and the result stands for every seed."
PACKAGES = ("qml-circuits", "torch", "numpy", "scipy", "matplotlib", "mlxtend")


def write_report(plan: ComparisonPlan, records: Sequence[Record], folder: Path) -> Path:
    """Write `report.html` into `folder`, with every figure inside, and return its path.

    Args:
        plan: The comparison.
        records: Its results.
        folder: The folder of the file.
    """
    own = plan.task.sections(plan.task.prepare(plan.options), list(records), plan.options)
    sentences = verdict(records, plan.models, plan.task.metric)
    return write_page(plan, records, folder, sentences, (*_common_sections(plan, records), *own))


def write_page(
    plan: ComparisonPlan, records: Sequence[Record], folder: Path, sentences: Sequence[str], sections: Sequence[Section]
) -> Path:
    """Write `report.html` with the given sentences on top and the given sections, and return its path."""
    from jinja2 import Environment

    source = files("qml.compare").joinpath("report.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    metric = plan.task.metric
    rows = summarise(records, metric)
    html = template.render(
        task=plan.task,
        plan=plan,
        verdict=sentences,
        rows=[_row(row, plan, best_mean(rows, metric)) for row in rows],
        sections=[_shown(section) for section in sections],
        runs=[_run(record, plan) for record in records if _was_run(record, plan)],
        machine=describe_machine(),
    )
    path = folder / REPORT
    write_atomically(path, html)
    return path


def describe_machine() -> dict[str, str]:
    """Describe the machine that the numbers depend on: versions, processor, threads, the day."""
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "Python": platform.python_version(),
        "Threads": "1 while a model trains",
    } | {package: _version(package) for package in PACKAGES}


def _common_sections(plan: ComparisonPlan, records: Sequence[Record]) -> list[Section]:
    metric, models = plan.task.metric, plan.models
    sections = [
        Section(
            metric.title,
            "Each small point is one seed: its own split and its own initial weights, the same split for "
            f"every model. The large point is the mean over {len(plan.seeds)} seeds, the bar its 95 % "
            "interval by Student's t. The test part was looked at once, when settings and stopping epoch "
            "were chosen.",
            metric_figure(records, models, metric),
        ),
        Section(
            "Ranks",
            "Every seed ranks the models; the line shows their mean ranks. Models under one bar are not told apart by "
            "Nemenyi's test at 5 %.",
            ranks_figure(records, models, metric),
        ),
        Section(
            "Learning curves",
            "Mean over seeds, and the range as a band, of the setting that the validation part chose. "
            "Models may be trained on different losses, whose values do not compare.",
            curves_figure(records, models),
        ),
        Section(
            "Confusion matrices",
            "Test samples of all seeds together, by true label (rows) and prediction (columns).",
            confusion_figure(records, models, plan.task.labels),
        ),
    ]
    return [section for section in sections if section.figure is not None]


def _row(row: ModelSummary, plan: ComparisonPlan, best: float) -> dict[str, Any]:
    model, metric = plan.models[row.model], plan.task.metric
    return {
        "name": row.model,
        "title": model.title,
        "kind": model.kind,
        "recipe": model.recipe if model.is_seeded else f"{model.recipe} {ONCE}",
        "n_parameters": f"{row.n_parameters:,}",
        "mean": metric.show(row.estimate.mean),
        "interval": show_interval(row.estimate, metric) if model.is_seeded else NOTHING_DRAWN,
        "seconds": f"{row.seconds:.2f} s",
        "best": abs(row.estimate.mean - best) < EQUAL,
    }


def _was_run(record: Record, plan: ComparisonPlan) -> bool:
    """Tell whether a record is not the copy, for another seed, of one that stands for all."""
    return plan.models[record.model].is_seeded or record.seed == plan.seeds[0]


def _run(record: Record, plan: ComparisonPlan) -> dict[str, Any]:
    outcome = record.outcome
    return {
        "title": plan.models[record.model].title,
        "seed": record.seed if plan.models[record.model].is_seeded else "none",
        "value": plan.task.metric.show(outcome.value),
        "setting": outcome.extras.get("setting", "nothing to choose"),
        "epoch": outcome.extras.get("epoch", "-"),
        "seconds": f"{outcome.seconds:.2f} s",
    }


def _shown(section: Section) -> dict[str, Any]:
    image = to_data_uri(section.figure) if section.figure else ""
    return {
        "title": section.title,
        "text": section.text,
        "image": image,
        "header": section.header,
        "rows": section.rows,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Return the processor's name where Linux tells it, else as Python knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
