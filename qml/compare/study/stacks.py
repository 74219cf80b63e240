"""Several fits as one training: the folds and learning rates of a search, or the seeds of a winner."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

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
    settings: Sequence[Setting],
    parts: Sequence[Part],
    *,
    seed: int,
    is_published: bool,
    on_part: Callable[[int], None],
) -> list[list[Fitted]]:
    """Fit each setting to each of some parts with the same seed; layers are trained together, as they would be alone.

    Args:
        model: A name in `ENTRIES`.
        settings: Candidates of its grid; those of a model that trains together have one architecture, see
            `competitors.architecture`. Of equal ones with one learning rate a single one is trained, and they share
            its time.
        parts: The folds.
        seed: Seed of weights, batches and shots.
        is_published: Whether the code of the study is followed where it parts from its text.
        on_part: Told of the number of each fit that starts.
    """
    if trains_together(model, is_published):
        on_part(0)
        rates = [setting["learning_rate"] for setting in settings]
        apart = dict(zip(rates, settings, strict=True))
        places = [(setting, part, seed) for setting in apart.values() for part in parts]
        stack = iter(_fit_stack(model, places, is_published))
        found = {rate: [_shared(next(stack), rates.count(rate)) for _ in parts] for rate in apart}
        return [found[rate] for rate in rates]
    fits = []
    for setting in settings:
        fits.append([])
        for number, part in enumerate(parts):
            on_part(number)
            fits[-1].append(competitors.fit(model, setting, part, seed=seed, is_published=is_published))
    return fits


def _shared(one: Fitted, n_settings: int) -> Fitted:
    """Return a fit with its share of the time, of settings that are the same model."""
    return replace(one, seconds=one.seconds / n_settings)


def fit_seeds(model: str, setting: Setting, part: Part, *, seeds: Sequence[int], is_published: bool) -> list[Fitted]:
    """Fit a layer with each of some seeds, as one training that ends as they would alone.

    Args:
        model: A name in `ENTRIES` of which `trains_together` is true.
        setting: A candidate of its grid.
        part: The samples.
        seeds: Seeds of weights and batches.
        is_published: Whether the code of the study is followed where it parts from its text.
    """
    return _fit_stack(model, [(setting, part, seed) for seed in seeds], is_published)


def _fit_stack(model: str, places: Sequence[tuple[Setting, Part, int]], is_published: bool) -> list[Fitted]:
    """Fit a layer of each setting to its part with its seed; each step's share of the time is the same."""
    started = time.process_time()
    models = [MAKERS[model](model, setting, part.n_features, seed, is_published) for setting, part, seed in places]
    failures = fit_layers_together(models, [(part.fit_inputs, part.fit_labels) for _, part, _ in places])
    n_steps = [np.size(made.losses_) for made in models]
    seconds = (time.process_time() - started) / sum(n_steps)
    return [
        scored(made, part, failure, time.process_time() - n_own * seconds)
        for made, (_, part, _), failure, n_own in zip(models, places, failures, n_steps, strict=True)
    ]
