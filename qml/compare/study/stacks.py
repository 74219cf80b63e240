"""Several fits of one setting as one training: the folds of a search, or the seeds of a winner."""

import time
from collections.abc import Callable, Sequence

from qml.compare.study import competitors
from qml.compare.study.competitors import MAKERS, Fitted, layer_of, scored
from qml.compare.study.data import Part
from qml.compare.study.grids import Setting
from qml.compare.study.layers import fit_layers_together


def trains_together(model: str, is_published: bool) -> bool:
    """Return whether several fits of a model can be one training: layers whose trainings are equal, step by step."""
    return MAKERS.get(model) is layer_of or (model == "metric" and is_published)


def fit_folds(
    model: str,
    setting: Setting,
    parts: Sequence[Part],
    *,
    seed: int,
    is_published: bool,
    on_part: Callable[[int], None],
) -> list[Fitted]:
    """Fit a model to each of some parts with the same seed; layers are trained together, as they would be alone.

    Args:
        model: A name in `ENTRIES`.
        setting: A candidate of its grid.
        parts: The folds.
        seed: Seed of weights, batches and shots.
        is_published: Whether the code of the study is followed where it parts from its text.
        on_part: Told of the number of each fit that starts.
    """
    if trains_together(model, is_published):
        on_part(0)
        return _fit_stack(model, setting, [(part, seed) for part in parts], is_published)
    fits = []
    for number, part in enumerate(parts):
        on_part(number)
        fits.append(competitors.fit(model, setting, part, seed=seed, is_published=is_published))
    return fits


def fit_seeds(model: str, setting: Setting, part: Part, *, seeds: Sequence[int], is_published: bool) -> list[Fitted]:
    """Fit a layer with each of some seeds, as one training that ends as they would alone.

    Args:
        model: A name in `ENTRIES` of which `trains_together` is true.
        setting: A candidate of its grid.
        part: The samples.
        seeds: Seeds of weights and batches.
        is_published: Whether the code of the study is followed where it parts from its text.
    """
    return _fit_stack(model, setting, [(part, seed) for seed in seeds], is_published)


def _fit_stack(model: str, setting: Setting, places: Sequence[tuple[Part, int]], is_published: bool) -> list[Fitted]:
    """Fit a layer to each part with its seed; the time of the training is shared equally."""
    started = time.process_time()
    models = [MAKERS[model](model, setting, part.n_features, seed, is_published) for part, seed in places]
    failures = fit_layers_together(models, [(part.fit_inputs, part.fit_labels) for part, _ in places])
    share = (time.process_time() - started) / len(places)
    return [
        scored(made, part, failure, time.process_time() - share)
        for made, (part, _), failure in zip(models, places, failures, strict=True)
    ]
