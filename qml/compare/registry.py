"""The tasks that `qml compare` knows: those of this package, and those that other packages offer as entry points.

A package of somebody else adds a task by an entry point, whose name is the name of the task:

    [project.entry-points."qml.tasks"]
    spirals = "my_package.spirals:SPIRALS"
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from qml.compare.task import Task
from qml.entry_points import AnyEntryPoint, PlugInError, broken, find_plug_in, load_plug_in, names_offered, without_own

GROUP = "qml.tasks"  # group of the entry points
BUILT_IN = {
    "digits": "qml.compare.tasks.digits:DIGITS",
    "parity": "qml.compare.tasks.boolean:PARITY",
    "majority": "qml.compare.tasks.boolean:MAJORITY",
    "states": "qml.compare.tasks.states:STATES",
    "onion-reference": "qml.compare.tasks.onion:ONION_REFERENCE",
    "wide": "qml.compare.tasks.wide:WIDE",
    "sequences": "qml.compare.tasks.sequences:WORD_SEQUENCES",
    "sequence-digits": "qml.compare.tasks.sequence_digits:SEQUENCE_DIGITS",
    "functions": "qml.compare.tasks.functions:FUNCTIONS",
    "series": "qml.compare.tasks.series:SERIES_TASK",
    "calls": "qml.compare.tasks.calls:CALLS",
    "heads": "qml.compare.tasks.heads:HEADS",
    "text": "qml.compare.tasks.text:TEXT",
    "backends": "qml.compare.tasks.backends:BACKENDS",
    "pinn": "qml.compare.tasks.pinn:PINN",
    "operators": "qml.compare.tasks.operators:OPERATORS",
    "corrosion": "qml.compare.tasks.corrosion:CORROSION",
    "narma": "qml.compare.tasks.benchmark_series:NARMA",
    "mackey-glass": "qml.compare.tasks.benchmark_series:MACKEY_GLASS",
}
"""Module and constant of each task of this package, in the order of the tables."""

UNLISTED = {"benchmarks": "qml.compare.study.task:BENCHMARKS"}
"""Tasks that are found by name, and have a command, presets and a report of their own."""


class TaskRegistry(Mapping[str, Task[Any, Any]]):
    """A mapping from names to tasks that imports a task at its first use.

    Entry points are looked up only where a name is unknown to this package, or where all names are listed.

    Args:
        built_in: Module and constant of each task, as in `"package.module:CONSTANT"`.
        unlisted: Likewise of tasks that are found by name, and not among the names.
    """

    def __init__(self, built_in: Mapping[str, str], unlisted: Mapping[str, str] | None = None) -> None:
        self._built_in = built_in
        self._unlisted = unlisted or {}
        self._loaded: dict[str, Task[Any, Any]] = {}

    def __getitem__(self, name: str) -> Task[Any, Any]:
        if name not in self._loaded:
            path = self._built_in.get(name) or self._unlisted.get(name)
            point = find_plug_in(GROUP, name) if path is None else EntryPoint(name, path, GROUP)
            if point is None:
                raise KeyError(name)
            self._loaded[name] = _load(point)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from without_own(names_offered(GROUP), {**self._built_in, **self._unlisted})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:  # without the import that Mapping's own would make
        return name in self._built_in or name in self._unlisted or name in names_offered(GROUP)

    def sound(self) -> tuple[list[Task[Any, Any]], dict[str, PlugInError]]:
        """Import all tasks; return those that work, and the errors of broken plug-ins by their names."""
        tasks, errors = [], {}
        for name in self:
            try:
                tasks.append(self[name])
            except PlugInError as error:
                errors[name] = error
        return tasks, errors


TASKS = TaskRegistry(BUILT_IN, UNLISTED)


def find_task(name: str) -> Task[Any, Any]:
    """Return the task called `name`.

    Raises:
        ValueError: If there is none; the message lists those there are.
        PlugInError: It comes from another package, and is broken.
    """
    if name not in TASKS:
        raise ValueError(f"Argument `task` must be one of {', '.join(TASKS)}, but is {name!r}. Choose one of these.")
    return TASKS[name]


def _load(point: AnyEntryPoint) -> Task[Any, Any]:
    task = load_plug_in(point)
    if not isinstance(task, Task):
        raise broken(point, f"be a qml.compare.Task, but is a {type(task).__name__}")
    if task.name != point.name:
        raise broken(point, f"have the name of its task, but the task is called {task.name!r}")
    return task
