"""The study's fits as cells of a comparison: one data set at a time, a candidate of a grid a model.

It is not in the list of tasks: `qml.compare.study.run` makes its plans, one to search and one to fit what was chosen.
"""

from collections.abc import Sequence
from functools import partial

from qml.compare.study.competitors import SEED_OF_SEARCH, Fitted, fit
from qml.compare.study.data import StudySet, study_set
from qml.compare.study.grids import ENTRIES, GROUPS, PCA, Setting, candidates, models_on, settings, shown
from qml.compare.study.stacks import fit_folds
from qml.compare.task import Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.data.benchmark_sets import FAMILIES, SIDES, SWEEP, WIDE

VARIANTS = ("published", "intended")
SEARCH, FITS = "search", "fits"
SYNTHETIC = tuple(family for family in FAMILIES if family not in GROUPS)


def models(options: Options) -> dict[str, Model[StudySet]]:
    """Return every candidate of every grid as a model, by names such as `svc.7`."""
    train = _search if options["stage"] == SEARCH else _fit
    is_published = options["as"] == "published"
    offered = settings if options["family"] in PCA else candidates
    return {
        cell_name(name, number): Model(
            name, entry.kind, shown(setting), partial(train, name, setting, is_published), (dict(setting),)
        )
        for name, entry in ((name, ENTRIES[name]) for name in models_on(str(options["family"])))
        for number, setting in enumerate(offered(name))
    }


def cell_name(model: str, candidate: int) -> str:
    """Return the name of a candidate in the folder of results."""
    return f"{model}.{candidate}"


def read_cell_name(name: str) -> tuple[str, int]:
    """Return model and candidate of a name that `cell_name` made."""
    model, _, number = name.rpartition(".")
    return model, int(number)


def _search(
    model: str, setting: Setting, is_published: bool, data: StudySet, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    (outcome,) = search_outcomes(model, [setting], is_published, data, seed, on_step)
    return outcome


def search_outcomes(
    model: str, settings: Sequence[Setting], is_published: bool, data: StudySet, seed: int, on_step: OnStep
) -> list[Outcome]:
    """Return the outcome of each of some candidates, which have one architecture where they are layers."""

    def on_part(number: int) -> None:
        on_step(number / len(data.folds), f"fold {number + 1}")

    options = {"seed": SEED_OF_SEARCH + seed, "is_published": is_published}
    searched = fit_folds(model, settings, data.folds, on_part=on_part, **options)
    return [_search_outcome(setting, fits) for setting, fits in zip(settings, searched, strict=True)]


def _search_outcome(setting: Setting, fits: Sequence[Fitted]) -> Outcome:
    """Return the mean accuracy over the folds; the study ranks a candidate last where one of them failed."""
    failures = [one.failure for one in fits if one.failure]
    return Outcome(
        value=0.0 if failures else sum(one.accuracy for one in fits) / len(fits),
        n_parameters=fits[0].n_parameters,
        seconds=sum(one.seconds for one in fits),
        extras={"setting": shown(setting), "failures": len(failures), "steps": sum(one.n_steps for one in fits)},
        details={"folds": [one.accuracy for one in fits], "reasons": failures},
    )


def _fit(
    model: str, setting: Setting, is_published: bool, data: StudySet, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    """Return the test accuracy of one fit on all training samples."""
    return fit_outcome(setting, fit(model, setting, data.whole, seed=seed, is_published=is_published))


def fit_outcome(setting: Setting, one: Fitted) -> Outcome:
    """Return the outcome of a fit on all training samples."""
    return Outcome(
        value=one.accuracy,
        n_parameters=one.n_parameters,
        seconds=one.seconds,
        extras={
            "setting": shown(setting),
            "train_accuracy": one.train_accuracy,
            "failures": int(bool(one.failure)),
            "reason": one.failure,
            "steps": one.n_steps,
        },
    )


def _prepare(options: Options) -> StudySet:
    mnist = options.get("mnist")  # of its families alone, see `qml.compare.study.run`
    return study_set(str(options["family"]), int(options["parameter"]), None if mnist is None else str(mnist))


def _same(data: StudySet, seed: int) -> StudySet:
    """Return the data: their split is part of the benchmark, and seeds change the fit alone."""
    return data


def _no_sections(data: StudySet, records: list[Record], options: Options) -> list[Section]:
    return []


BENCHMARKS: Task[StudySet, StudySet] = Task(
    name="benchmarks",
    title="Better than classical?",
    question="Quantum models and classical champions on the data sets of Bowles, Ahmed and Schuld "
    "(arXiv:2403.07059), by their protocol.",
    prepare=_prepare,
    split=_same,
    models=models,
    presets={"study": Preset(5, 1, 1)},
    sections=_no_sections,
    options={
        "family": tuple(FAMILIES),
        "parameter": (*SWEEP, *(side for side in SIDES if side not in SWEEP), *WIDE),
        "as": VARIANTS,
        "stage": (FITS, SEARCH),
    },
)
"""A task whose presets, subjects and report belong to `qml.compare.study`."""
