"""A comparison of an earlier day, from the folder of its results."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from qml.compare.engine import ComparisonPlan, make_plan
from qml.compare.registry import find_task
from qml.compare.store import SETTINGS, open_folder, stored_settings
from qml.compare.task import Record


def read_comparison(folder: Path) -> tuple[ComparisonPlan, list[Record]]:
    """Return the plan and the records of a folder: the models that have run, on the seeds that all of them finished.

    Args:
        folder: A folder that `qml compare` wrote.

    Raises:
        ValueError: If it is none, if no seed is finished by all models, or if this version of the package would train
            its models in another way.
    """
    stored = stored_settings(folder)
    task = find_task(stored["task"])
    plan = make_plan(
        task,
        preset=stored.get("preset"),
        options={name: stored[name] for name in task.options if name in stored},
        folder=folder,
    )
    n_settings = stored.get("work", {}).get("n_settings")
    if n_settings != plan.preset.n_settings and isinstance(n_settings, int):
        plan = replace(plan, preset=replace(plan.preset, n_settings=n_settings))
    records, _ = open_folder(folder, plan.settings)
    by_model: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in records:
        by_model[record.model][record.seed] = record
    models = {
        name: model
        for name, model in plan.models.items()
        if name in by_model and (model.is_seeded or 0 in by_model[name])
    }
    finished = [set(by_model[name]) for name, model in models.items() if model.is_seeded]
    seeds = sorted(set.intersection(*finished)) if finished else [0] * bool(models)
    if not seeds:
        raise ValueError(
            f"Argument `out` must hold a seed that all models have finished, but {folder} holds none. Go on with the "
            "same `qml compare`."
        )
    plan = replace(plan, models=models, seeds=tuple(seeds))
    return plan, plan.in_order({(record.model, record.seed): record for record in records})


def comparisons_in(folder: Path) -> list[Path]:
    """Return the folder itself where it holds a comparison, else the folders in it that do."""
    if (folder / SETTINGS).exists() or not folder.is_dir():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{SETTINGS}")) or [folder]
