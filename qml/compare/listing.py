"""Tables that say what can be compared, before anything is trained."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qml.compare.engine import ComparisonPlan, choose_subjects, make_plan
from qml.compare.registry import TaskRegistry
from qml.compare.rough_times import rough_seconds, show_seconds
from qml.compare.store import stored_cells
from qml.compare.task import Model, Task
from qml.terminal import one_line, verbatim

TIMES = (
    "Times are rough: one core, all models, scaled from demonstrations that were measured once. Models that stop early "
    "take less, a busy machine takes more."
)


def tasks_listing(tasks: TaskRegistry) -> RenderableType:
    """Return a line for each task: its question, its subjects, and rough times; broken plug-ins last."""
    table = _table("task", "question", "subjects", "demo", "full")
    sound, errors = tasks.sound()
    for task in sound:
        subjects = " ".join(map(str, next(iter(task.options.values()), ())))
        times = [show_times(task, preset) for preset in ("demo", "full")]
        words = Text.assemble(verbatim(task.title, style="bold"), "\n", verbatim(first_sentence(task.question)))
        table.add_row(verbatim(task.name, style="bold"), words, verbatim(subjects), *times)
    for name, error in errors.items():
        table.add_row(verbatim(name, style="bold"), verbatim(f"Broken: {one_line(error)}"), *("-",) * 3)
    words = Text.assemble(
        verbatim("Better than classical?", style="bold"),
        "\n",
        verbatim("The study of arXiv:2403.07059: 23 models, 160 data sets, its grids and its protocol."),
    )
    table.add_row(verbatim("benchmarks", style="bold"), words, "families of data sets", "about 10 min", "days")
    more = (
        "`qml compare TASK [SUBJECT] --help` tells a task's models and options; `--dry-run` says what would be trained."
    )
    return Group(table, Text(), verbatim(TIMES), verbatim(more))


def task_help(task: Task[Any, Any], subjects: Sequence[str] = ()) -> RenderableType:
    """Return a task's question, models, subjects, options and amounts of work.

    Args:
        task: the task.
        subjects: whose models are listed, those that any of them has; none is the first subject.

    Raises:
        ValueError: If the task has no such subject.
    """
    parts: list[RenderableType] = [verbatim(task.title, style="bold"), verbatim(task.question), Text()]
    (subject, allowed), *others = list(task.options.items()) or [("", ())]
    usage = f"qml compare {task.name}" + (f" [{subject.upper()} ...]" if subject else "")
    parts += [verbatim(f"Usage: {usage} [--models NAMES] [--preset NAME] [--seeds N] [--out FOLDER] ..."), Text()]
    if subject:
        listed = " ".join(map(str, allowed))
        together = " ".join(map(str, task.together or allowed[:1]))
        parts.append(verbatim(f"{subject}: {listed}; compared where none is named: {together}"))
        for name, members in task.groups.items():
            parts.append(verbatim(f"{name} stands for {' '.join(map(str, members))}"))
        whose = " ".join(subjects) or f"{allowed[0]}; name a {subject} before --help for its own"
        parts.append(verbatim(f"The models are those of {whose}."))
    for name, values in others:
        parts.append(verbatim(f"--option {name}=VALUE: {' '.join(map(str, values))}; {values[0]} if not given"))
    models = _table("model", "kind", "recipe")
    offered: dict[str, Model[Any]] = {}
    for chosen in choose_subjects(task, subjects) if subjects else [{}]:
        offered = dict(make_plan(task, options=chosen).models) | offered
    for name, model in offered.items():
        models.add_row(verbatim(name, style="bold"), verbatim(model.kind), verbatim(model.recipe))
    work = _table("preset", "seeds", "settings", "epochs at most", "time")
    for name, preset in task.presets.items():
        counts = (preset.n_seeds, max(preset.n_settings, 1), preset.n_epochs)
        work.add_row(verbatim(name, style="bold"), *map(str, counts), show_times(task, name))
    return Group(*parts, *([Text()] if task.options else []), models, Text(), work, Text(), verbatim(TIMES))


def dry_run(plans: Sequence[tuple[ComparisonPlan, Path]]) -> RenderableType:
    """Return a line for each plan: what is left to be trained, and roughly how long it takes.

    Raises:
        ValueError: If a folder holds results of other settings.
    """
    table = _table("comparison", "models", "seeds", "trained already", "left", "settings", "epochs at most", "time")
    total: float | None = 0.0
    for plan, folder in plans:
        left = set(plan.cells) - stored_cells(folder, plan.settings)
        seconds = rough_seconds(plan, len(left))
        total = None if total is None or seconds is None else total + seconds
        name = " ".join([plan.task.name, *map(str, plan.options.values()), f"({plan.preset_name})"])
        done = len(plan.cells) - len(left)
        counts = (len(plan.seeds), done, len(left), max(plan.preset.n_settings, 1), plan.preset.n_epochs)
        shown = show_seconds(seconds) if left else "none"
        table.add_row(verbatim(name, style="bold"), verbatim(" ".join(plan.models)), *map(str, counts), shown)
    ends = [f"All together: {show_seconds(total)}."] if len(plans) > 1 else []
    return Group(table, Text(), *map(verbatim, [*ends, TIMES, "Nothing was trained, and nothing was written."]))


def show_times(task: Task[Any, Any], preset: str) -> str:
    """Return the rough time of a preset: of the task, or from the quickest to the slowest of its usual subjects."""
    if preset not in task.presets:
        return "-"
    first = next(iter(task.options), None)
    subjects = [{}] if first is None else [{first: value} for value in task.together or task.options[first][:1]]
    plans = [make_plan(task, preset=preset, options=subject) for subject in subjects]
    seconds = [known for plan in plans if (known := rough_seconds(plan, len(plan.cells))) is not None]
    if len(seconds) < len(plans):
        return show_seconds(None)
    ends = list(dict.fromkeys([show_seconds(min(seconds)), show_seconds(max(seconds))]))
    return " to ".join([ends[0], *(end.removeprefix("about ") for end in ends[1:])])


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", text, maxsplit=1)[0]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column in ("task", "model", "preset", "kind"))
    return table
