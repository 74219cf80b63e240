"""The cells of a study in this process: the seeds of a trained winner are one training, other cells run one by one.

On small circuits a step is mostly overhead, which the seeds share, as the folds of a search do. An interruption loses
the winner that is being fitted.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from qml.compare.engine import Cell, ComparisonPlan, Listener
from qml.compare.study.grids import candidates
from qml.compare.study.stacks import fit_seeds, trains_together
from qml.compare.study.task import FITS, fit_outcome, read_cell_name
from qml.compare.task import Outcome


def run_here(plan: ComparisonPlan, cells: Sequence[Cell], listener: Listener) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells of a study, and yield their outcomes as they end.

    Args:
        plan: The plan of a stage on a data set.
        cells: Its cells that are not stored yet, seed by seed.
        listener: Told of each cell, or group of cells, that starts.
    """
    data: Any = plan.task.prepare(plan.options) if cells else None
    is_published = plan.options["as"] == "published"
    seeds_of: dict[str, list[int]] = {}
    for name, seed in cells:
        seeds_of.setdefault(name, []).append(seed)
    for name, seed in cells:
        model, number = read_cell_name(name)
        seeds = seeds_of[name]
        if plan.options["stage"] != FITS or len(seeds) < 2 or not trains_together(model, is_published):
            listener.cell_started(name, seed)
            yield (name, seed), plan.models[name].train(data, seed, plan.preset, listener.step)
        elif seed == seeds[0]:
            listener.cell_started(name, seed)
            setting = candidates(model)[number]
            fits = fit_seeds(model, setting, data.whole, seeds=seeds, is_published=is_published)
            for other, one in zip(seeds, fits, strict=True):
                yield (name, other), fit_outcome(setting, one)
