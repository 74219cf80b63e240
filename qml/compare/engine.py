"""Tasks x models x seeds: cells that are not in the folder yet are run, and every finished one is kept."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from qml.checks import as_int, as_texts
from qml.compare.lock import held
from qml.compare.store import append_record, open_folder
from qml.compare.task import Model, Option, Options, Outcome, Preset, Record, Task

FORMAT = 1  # version of the folder; another number makes old folders unreadable to this version


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison that is to be run, with every argument checked.

    Attributes:
        task: The task.
        options: A value for each of the task's options.
        preset_name: Name of `preset`.
        preset: Amount of work.
        models: The chosen models, in the task's order.
        seeds: 0..n-1.
        folder: The folder of the results; None keeps none.
    """

    task: Task[Any, Any]
    options: Options
    preset_name: str
    preset: Preset
    models: Mapping[str, Model[Any]]
    seeds: tuple[int, ...]
    folder: Path | None = None

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Return every (model, seed) to train, seed by seed, so that an interrupted run still compares models."""
        return list(dict.fromkeys(self._cell(name, seed) for seed in self.seeds for name in self.models))

    def in_order(self, finished: Mapping[tuple[str, int], Record]) -> list[Record]:
        """Return a record for every model and seed; that of a model that draws nothing stands for each of them."""
        return [replace(finished[self._cell(name, seed)], seed=seed) for seed in self.seeds for name in self.models]

    def _cell(self, name: str, seed: int) -> tuple[str, int]:
        return name, seed if self.models[name].is_seeded else 0

    @property
    def settings(self) -> dict[str, Any]:
        """Return the values that a cell's result depends on, as JSON; other models or seeds may join later."""
        models = {
            name: {"recipe": model.recipe, "settings": [_plain(setting) for setting in model.settings]}
            for name, model in self.task.models(self.options).items()
        }
        work = {"n_settings": self.preset.n_settings, "n_epochs": self.preset.n_epochs}
        return {"format": FORMAT, "task": self.task.name, **self.options, "preset": self.preset_name} | {
            "work": work,
            "models": models,
        }


Cell = tuple[str, int]
RunCells = Callable[[ComparisonPlan, Sequence[Cell]], Iterator[tuple[Cell, Outcome]]]
"""From a plan and its missing cells to their outcomes, in the order in which they end."""


@runtime_checkable
class Listener(Protocol):
    """A listener that hears the steps of a running comparison."""

    def started(self, plan: ComparisonPlan, n_finished: int, warnings: Sequence[str]) -> None:
        """Note that the folder was read, and how many of its cells are finished."""
        ...

    def cell_started(self, model: str, seed: int) -> None:
        """Note that a cell begins."""
        ...

    def step(self, share: float, text: str) -> None:
        """Note how far the cell has come."""
        ...

    def cell_finished(self, record: Record) -> None:
        """Note that a cell is finished and stored."""
        ...


class Silence:
    """A listener that says nothing."""

    def started(self, plan: ComparisonPlan, n_finished: int, warnings: Sequence[str]) -> None:
        """Say nothing."""

    def cell_started(self, model: str, seed: int) -> None:
        """Say nothing."""

    def step(self, share: float, text: str) -> None:
        """Say nothing."""

    def cell_finished(self, record: Record) -> None:
        """Say nothing."""


def make_plan(
    task: Task[Any, Any],
    *,
    n_seeds: int | None = None,
    models: Sequence[str] | None = None,
    preset: str | None = None,
    n_trials: int | None = None,
    options: Mapping[str, Option] | None = None,
    folder: Path | None = None,
) -> ComparisonPlan:
    """Check the arguments, and fill in the rest.

    Args:
        task: The task.
        n_seeds: How many seeds; None takes the preset's.
        models: Names of models; None takes all.
        preset: Name of an amount of work; None takes the task's first.
        n_trials: Settings tried for each model and seed; None takes the preset's. See `qml.compare.tuning`.
        options: Values of the task's options; those not given take their first allowed value.
        folder: The folder of the results; None keeps none.

    Raises:
        ValueError: If something is not offered; the message lists what is.
    """
    preset = next(iter(task.presets)) if preset is None else preset
    _require_one_of(preset, tuple(task.presets), "preset", task.name)
    chosen = {name: allowed[0] for name, allowed in task.options.items()}
    for name, value in (options or {}).items():
        if name not in task.options:
            known = ", ".join(f"`{option}`" for option in task.options) or "no options"
            raise ValueError(
                f"Argument `{name}` must be left out for task {task.name!r}, which has {known}, but is {value!r}."
            )
        _require_one_of(value, task.options[name], name, task.name)
        chosen[name] = value
    offered = task.models(chosen)
    n_trials = None if n_trials is None else as_int(n_trials, "trials", -math.inf)
    names = tuple(offered) if models is None else as_texts(models, "models")
    if not names:
        raise ValueError(f"Argument `models` must name at least one of {', '.join(offered)}, but is empty. Name one.")
    for name in names:
        _require_one_of(name, tuple(offered), "models", " ".join([task.name, *map(str, chosen.values())]))
    n_seeds = task.presets[preset].n_seeds if n_seeds is None else as_int(n_seeds, "seeds", 1, " Pass 5 for intervals.")
    if folder is not None and not isinstance(folder, str | Path):
        raise TypeError(f"Argument `folder` must be a path or None, but is {type(folder).__name__}.")
    ordered = {name: model for name, model in offered.items() if name in names}
    if not task.protocol:
        _require_equal_counts(offered)
    work = _with_trials(task, offered, task.presets[preset], n_trials)
    return ComparisonPlan(
        task, chosen, preset, work, ordered, tuple(range(n_seeds)), None if folder is None else Path(folder)
    )


def _require_equal_counts(models: Mapping[str, Model[Any]]) -> None:
    """Refuse models that list unequally many settings: whoever tries more has the better chance."""
    counts = {name: len(model.settings) for name, model in models.items() if model.settings}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"All models must list equally many `settings`, but list {listed}. Give each as many.")


def _with_trials(task: Task[Any, Any], offered: Mapping[str, Model[Any]], work: Preset, n_trials: int | None) -> Preset:
    if n_trials is None:
        return work
    if n_trials < 1:
        raise ValueError(f"Argument `trials` must be at least 1, but is {n_trials}. Pass 20 for a thorough search.")
    if max((len(model.settings) for model in offered.values()), default=0) < 2:
        raise ValueError(
            f"Argument `trials` must be left out for task {task.name!r}, whose models have fixed recipes, but is "
            f"{n_trials}."
        )
    return replace(work, n_settings=n_trials)


def choose_subjects(task: Task[Any, Any], named: Sequence[str]) -> list[dict[str, Option]]:
    """Return a choice of the task's first option for each name, or for those that it compares where none is named.

    Args:
        task: The task.
        named: Values of its first option, as text, or names of its groups; `make_plan` refuses those it does not have.

    Raises:
        ValueError: If a task without options is given names.
    """
    if not task.options:
        if named:
            raise ValueError(f"Argument `task` must be {task.name!r} alone, but {' '.join(named)} comes after it.")
        return [{}]
    option, allowed = next(iter(task.options.items()))
    by_text: dict[str, Option] = {str(value): value for value in allowed}
    chosen = [value for name in named for value in task.groups.get(name, (by_text.get(name, name),))] or task.together
    return [{option: value} for value in dict.fromkeys(chosen)] or [{}]


def read_options(task: Task[Any, Any], texts: Sequence[str]) -> dict[str, Option]:
    """Return the options that are written as "name=value"; `make_plan` refuses those that the task does not have.

    Raises:
        ValueError: If a text has no "=", or names the first option, whose values stand behind the task's name.
    """
    chosen: dict[str, Option] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"Argument `option` must be written as name=value, but is {text!r}.")
        if name == next(iter(task.options), None):
            raise ValueError(
                f"Argument `option` must not be {name!r}, whose values stand behind the task's name. Write "
                f"`{task.name} {value}`."
            )
        chosen[name] = next((allowed for allowed in task.options.get(name, ()) if str(allowed) == value), value)
    return chosen


def require_folder(plan: ComparisonPlan) -> None:
    """Refuse a folder that cannot take the plan's results, before anything runs.

    Raises:
        ValueError: If it is a file, holds results of other settings, or another comparison is working in it.
    """
    if plan.folder and plan.folder.is_dir():
        with held(plan.folder):
            open_folder(plan.folder, plan.settings)
    elif plan.folder and plan.folder.exists():
        open_folder(plan.folder, plan.settings)


def run_plan(plan: ComparisonPlan, listener: Listener | None = None, run_cells: RunCells | None = None) -> list[Record]:
    """Run the cells that are not stored yet, and return all records of the plan in its order.

    A `KeyboardInterrupt` passes through: finished cells stay, and the same plan goes on after them.

    Args:
        plan: The comparison.
        listener: Hears of each step.
        run_cells: Runs the cells elsewhere, see `qml.compare.distribute`; None runs them here, one after another.

    Raises:
        ValueError: If the folder holds results of other settings, another comparison is working in it, or a model
            reaches a metric that is no number. Finished cells stay.
    """
    listener = listener or Silence()
    if plan.folder is None:
        return _run(plan, listener, run_cells, [], [])
    if not plan.folder.exists():
        plan.folder.mkdir(parents=True)
    if not plan.folder.is_dir():
        raise ValueError(f"Argument `out` must be a folder, but {plan.folder} is a file. Name another one.")
    with held(plan.folder) as warnings:  # results of another process are read after it has ended
        stored, repairs = open_folder(plan.folder, plan.settings)
        return _run(plan, listener, run_cells, stored, [*warnings, *repairs])


def _run(
    plan: ComparisonPlan,
    listener: Listener,
    run_cells: RunCells | None,
    stored: Sequence[Record],
    warnings: Sequence[str],
) -> list[Record]:
    finished = {(record.model, record.seed): record for record in stored}
    missing = [cell for cell in plan.cells if cell not in finished]
    listener.started(plan, len(plan.cells) - len(missing), warnings)
    outcomes = _one_after_another(plan, missing, listener) if run_cells is None else run_cells(plan, missing)
    for (name, seed), outcome in outcomes:
        if not isinstance(outcome, Outcome):
            raise TypeError(
                f"The function `train` of model {name} must return an Outcome, but returned {type(outcome).__name__}. "
                "Return Outcome(value, n_parameters, seconds)."
            )
        if not math.isfinite(outcome.value):
            raise ValueError(
                f"Model {name} with seed {seed} must reach a finite {plan.task.metric.title.lower()}, but reached "
                f"{outcome.value}: its training diverged. Finished cells are kept; leave the model out with --models."
            )
        record = Record(plan.task.name, name, seed, plan.task.metric.name, outcome)
        if plan.folder:
            append_record(plan.folder, record, plan.settings)
        finished[name, seed] = record
        listener.cell_finished(record)
    return plan.in_order(finished)


def _one_after_another(
    plan: ComparisonPlan, cells: Sequence[Cell], listener: Listener
) -> Iterator[tuple[Cell, Outcome]]:
    data = plan.task.prepare(plan.options) if cells else None
    splits: dict[int, Any] = {}
    for name, seed in cells:
        if seed not in splits:
            splits = {seed: plan.task.split(data, seed)}
        listener.cell_started(name, seed)
        yield (name, seed), plan.models[name].train(splits[seed], seed, plan.preset, listener.step)


def _plain(setting: object) -> object:
    return asdict(setting) if is_dataclass(setting) and not isinstance(setting, type) else setting


def _require_one_of(value: Option, allowed: tuple[Option, ...], name: str, task: str) -> None:
    if value not in allowed:
        listed = ", ".join(map(str, allowed))
        raise ValueError(
            f"Argument `{name}` must be one of {listed} for task {task!r}, but is {value!r}. Choose one of these."
        )
