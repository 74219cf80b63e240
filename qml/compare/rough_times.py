"""Rough times of comparisons, scaled from demonstrations that were measured once."""

from collections.abc import Mapping

from qml.compare.engine import ComparisonPlan
from qml.compare.task import Option, Preset, Task

MEASURED = "demo"  # the preset that was measured
DEMO_SECONDS: Mapping[str, float] = {
    "digits 4": 9,
    "digits 28": 17,
    "parity": 8,
    "majority": 8,
    "states": 8,
    "onion-reference": 4,
    "wide": 13,
    "sequences memory": 6,
    "sequences letters": 7,
    "functions": 16,
    "operators": 15,
    "series pendulum": 11,
    "series bessel": 11,
    "calls 4": 14,
    "heads": 13,
    "text": 15,
    "corrosion": 8,
    "narma": 10,
    "mackey-glass": 11,
}
"""Processor seconds of `qml compare SUBJECT --preset demo --seeds 1`, all models; some 4 s of them are Python's start.

A subject that is not here was not measured, and its time is said to be not known.

Measured on one core of a cloud machine (x86-64, AVX-512) on 2026-11-29; to be repeated with `time`.
"""


def rough_seconds(plan: ComparisonPlan, n_cells: int) -> float | None:
    """Estimate the seconds that one core takes for `n_cells` of a plan's cells; None where nothing was measured.

    The measured time is scaled by the number of settings and epochs, so that a model which stops early, as most do,
    takes less; cells of a few models alone are taken for average ones.
    """
    seconds = DEMO_SECONDS.get(subject_name(plan.task, plan.options))
    if seconds is None or MEASURED not in plan.task.presets:
        return None
    n_models = len(plan.task.models(plan.options))
    return seconds * n_cells / n_models * _work(plan.preset) / _work(plan.task.presets[MEASURED])


def subject_name(task: Task, options: Mapping[str, Option]) -> str:
    """Return the words that name a task and its subject on the command line."""
    first = next(iter(task.options), None)
    return task.name if first is None else f"{task.name} {options[first]}"


def show_seconds(seconds: float | None) -> str:
    """Return a rough duration in words, rounded to one figure."""
    if seconds is None:
        return "not known"
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 0.9 * size:
            return f"about {_rounded(seconds / size)} {unit}"
    return f"about {_rounded(max(seconds, 1.0))} s"


def _work(preset: Preset) -> int:
    return max(preset.n_settings, 1) * max(preset.n_epochs, 1)


def _rounded(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}"
