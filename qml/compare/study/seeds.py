"""The cells of a study in this process: equal layers are one training, other cells run one by one.

On small circuits a step is mostly overhead, which the trainings share: the seeds of a winner, and in a search the
candidates of one architecture with the folds of each. These differ in the learning rate, or are the same model. An
interruption loses those that are being trained.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from qml.compare.engine import Cell, ComparisonPlan, Listener
from qml.compare.study.competitors import architecture
from qml.compare.study.grids import settings
from qml.compare.study.stacks import fit_seeds, trains_together
from qml.compare.study.task import FITS, fit_outcome, read_cell_name, search_outcomes
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
    n_features = data.whole.n_features if plan.options["stage"] != FITS and cells else None
    for group in groups(cells, searched_features=n_features, is_published=is_published):
        name, seed = group[0]
        listener.cell_started(name, seed)
        if len(group) == 1:
            yield group[0], plan.models[name].train(data, seed, plan.preset, listener.step)
            continue
        model, _ = read_cell_name(name)
        chosen = [settings(model)[read_cell_name(other)[1]] for other, _ in group]
        if plan.options["stage"] == FITS:
            seeds = [other for _, other in group]
            fits = fit_seeds(model, chosen[0], data.whole, seeds=seeds, is_published=is_published)
            outcomes = [fit_outcome(chosen[0], one) for one in fits]
        else:
            outcomes = search_outcomes(model, chosen, is_published, data, seed, listener.step)
        yield from zip(group, outcomes, strict=True)


def groups(cells: Sequence[Cell], *, searched_features: int | None, is_published: bool) -> list[list[Cell]]:
    """Return the cells that are one training each, in the order of the first of each.

    Args:
        cells: Names and seeds.
        searched_features: The number of features in a search, where candidates of one architecture belong together;
            None where the seeds of a candidate do.
        is_published: Whether the code of the study is followed where it parts from its text.
    """
    found: dict[Any, list[Cell]] = {}
    for name, seed in cells:
        model, number = read_cell_name(name)
        key: Any = (name, seed)
        if trains_together(model, is_published):
            key = name
            if searched_features is not None:
                own = architecture(model, settings(model)[number], searched_features, is_published)
                key = (model, own, seed)
        found.setdefault(key, []).append((name, seed))
    return list(found.values())
