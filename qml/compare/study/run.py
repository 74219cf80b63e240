"""The study's protocol on the engine of comparisons: search each grid, then fit the winners over seeds.

Every candidate of a search and every fit is a cell of the engine's store, in a folder a data set and stage; an
interrupted study goes on where it stopped, and presets of one folder share what they have in common.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qml.checks import as_int, require_choice
from qml.compare.engine import ComparisonPlan, Listener, RunCells, make_plan, run_plan
from qml.compare.store import open_folder
from qml.compare.study.grids import ABLATED, ENTRIES, candidates, models_on, settings
from qml.compare.study.published import DataSet, published
from qml.compare.study.seeds import run_here
from qml.compare.study.task import (
    BENCHMARKS,
    FITS,
    SEARCH,
    SYNTHETIC,
    VARIANTS,
    cell_name,
    read_cell_name,
)
from qml.compare.task import Record
from qml.data.benchmark_sets import FAMILIES, WIDE, WIDE_FAMILIES, benchmark_set, parameters_of

N_SEEDS = 5
WIDE_MODELS = (
    "circuit-centric", "tree", "mlp", "separable", "boltzmann-separable", "kitchen-sinks", "svc", "separable-kernel",
)  # fmt: skip
"""Models with 50 features and more: amplitudes, products of qubits, circuits that permute bits, and the champions."""
WIDE_WITH_ONE_LAYER = "dressed"  # whose CX then move into the observables, which makes it a product of qubits too


@dataclass(frozen=True)
class Amount:
    """An amount of work.

    Attributes:
        words: Its description.
        parameters: Places of the sweeps; None for all.
        n_candidates: Candidates of each grid, spread evenly; None for all, 0 for the study's own choice, not searched.
        n_seeds: Number of fits of a winner.
        families: Families of data sets where none is named.
    """

    words: str
    parameters: tuple[int, ...] | None
    n_candidates: int | None
    n_seeds: int = N_SEEDS
    families: tuple[str, ...] = SYNTHETIC


PRESETS = {
    "demo": Amount("one small data set, 2 candidates of each grid, 2 fits", (2,), 2, 2, ("two_curves",)),
    "chosen": Amount("all sizes at the settings that the study's searches chose, 5 fits", None, 0),
    "full": Amount("all sizes, whole grids, 5 fits", None, None),
}


@dataclass(frozen=True)
class Study:
    """A study that is to be run, with every argument checked.

    Attributes:
        families: Families of data sets.
        models: Names in `ENTRIES`.
        variant: `"published"`, as the study's code has it, or `"intended"`, as its text has it.
        preset: Name of the amount of work.
        amount: The amount of work.
        parameters: Places of the sweeps that are run; None for those of the preset.
        beyond: Whether models run at sizes that the study left out.
        folder: Folder of the results; None keeps none.
        mnist: Folder with the files of MNIST; None where no family needs them.
    """

    families: tuple[str, ...]
    models: tuple[str, ...]
    variant: str
    preset: str
    amount: Amount
    parameters: tuple[int, ...] | None
    beyond: bool
    folder: Path | None
    mnist: Path | None = None

    @property
    def data_sets(self) -> list[DataSet]:
        """Return the data sets, the smallest of every family first."""
        wanted = self.amount.parameters if self.parameters is None else self.parameters
        pairs = [(family, place) for family in self.families for place in parameters_of(family, with_wide=self.beyond)]
        return sorted((pair for pair in pairs if wanted is None or pair[1] in wanted), key=lambda pair: pair[1])

    def runs(self, data_set: DataSet) -> list[str]:
        """Return the models that run on a data set: those that the study ran there, or all of the family's.

        On the digits that ship these are the models of MNIST with as many features; with 50 features and more, those
        that need no state of a qubit a feature, and the dressed circuit where it has one layer.
        """
        offered = [model for model in self.models if model in models_on(data_set[0])]
        if data_set[1] in WIDE and data_set[0] in WIDE_FAMILIES:
            offered = [model for model in offered if model in WIDE_MODELS or self._has_one_layer(data_set, model)]
        return [model for model in offered if self.beyond or published(*twin(data_set), model) is not None]

    def _has_one_layer(self, data_set: DataSet, model: str) -> bool:
        number = chosen_there(data_set, model) if self.amount.n_candidates == 0 else None
        return model == WIDE_WITH_ONE_LAYER and number is not None and settings(model)[number]["n_layers"] == 1

    def searched(self, data_set: DataSet) -> list[str]:
        """Return the cells of the search on a data set."""
        if self.amount.n_candidates == 0:
            return []
        return [cell_name(model, number) for model in self.runs(data_set) for number in self.numbers(model)]

    def numbers(self, model: str) -> Sequence[int]:
        """Return the numbers of the candidates of a model that are searched."""
        n_all = len(candidates(model))
        wanted = n_all if self.amount.n_candidates is None else min(self.amount.n_candidates, n_all)
        return [round((place + 0.5) * n_all / wanted - 0.5) for place in range(wanted)]

    def plan(self, data_set: DataSet, stage: str, cells: Sequence[str] | None) -> ComparisonPlan:
        """Return the engine's plan of a stage on a data set, with all cells for None."""
        family, parameter = data_set
        options: Mapping[str, Any] = {"family": family, "parameter": parameter, "as": self.variant, "stage": stage}
        n_seeds = 1 if stage == SEARCH else self.amount.n_seeds
        plan = make_plan(
            BENCHMARKS, n_seeds=n_seeds, models=cells, options=options, folder=self.stage_folder(data_set, stage)
        )
        files = self.files_of(data_set)
        return plan if files is None else replace(plan, options={**plan.options, "mnist": str(files)})

    def files_of(self, data_set: DataSet) -> Path | None:
        """Return the folder with the files of MNIST for a data set that is made of them."""
        return self.mnist if needs_files(data_set[0]) else None

    def stage_folder(self, data_set: DataSet, stage: str) -> Path | None:
        """Return the folder of a stage on a data set."""
        family, parameter = data_set
        return None if self.folder is None else self.folder / self.variant / family / f"{parameter:02d}" / stage


def make_study(  # noqa: PLR0913 - one for each option of the command
    families: Sequence[str] = (),
    *,
    models: Sequence[str] | None = None,
    preset: str = "full",
    variant: str = "published",
    parameters: Sequence[int] | None = None,
    n_seeds: int | None = None,
    beyond: bool = False,
    folder: Path | None = None,
    mnist: Path | str | None = None,
) -> Study:
    """Check the arguments, and fill in the rest.

    Args:
        families: Families of data sets; none for those of the preset.
        models: Names in `ENTRIES`; None for all.
        preset: Name in `PRESETS`.
        variant: `"published"` or `"intended"`.
        parameters: Places of the sweeps, such as numbers of features; None for the preset's.
        n_seeds: Fits of each winner; None for the preset's.
        beyond: Whether models run at sizes that the study left out, there with the setting that it chose at the
            largest size it ran, unless settings are searched.
        folder: Folder of the results; None keeps none.
        mnist: Folder with the four files of MNIST, for its families.

    Raises:
        ValueError: If something is not offered; the message lists what is.
        FileNotFoundError: If the folder with the files of MNIST, or one of them, is missing.
    """
    for family in families:
        require_choice(family, "family", tuple(FAMILIES))
    for model in models or ():
        require_choice(model, "models", tuple(ENTRIES))
    require_choice(preset, "preset", tuple(PRESETS))
    require_choice(variant, "as", VARIANTS)
    if models is not None and not models:
        raise ValueError(f"Argument `models` must name at least one of {', '.join(ENTRIES)}, but is empty.")
    amount = PRESETS[preset]
    chosen = tuple(dict.fromkeys(families)) or amount.families
    offered = sorted({place for family in chosen for place in parameters_of(family, with_wide=beyond)})
    for place in parameters or ():
        require_choice(place, "sizes", tuple(offered))
    mnist = _checked_files(chosen, mnist)
    if n_seeds is not None:
        amount = replace(amount, n_seeds=as_int(n_seeds, "seeds", 1))
    wanted = None if models is None else tuple(name for name in ENTRIES if name in models)
    places = None if parameters is None else tuple(parameters)
    return Study(chosen, wanted or tuple(ENTRIES), variant, preset, amount, places, beyond, folder, mnist)


def _checked_files(families: Sequence[str], mnist: Path | str | None) -> Path | None:
    """Return the folder with the files of MNIST, after reading them where a family needs them."""
    named = [family for family in families if needs_files(family)]
    if bool(named) != (mnist is not None):
        raise ValueError(
            "Argument `mnist` must be the folder with the files of MNIST for mnist_pca, mnist_pca- and mnist_cg, and "
            f"left out for others, but is {mnist!r} for {', '.join(families)}. The families digits_pca, digits_pca- "
            "and digits_cg need no files."
        )
    if mnist is None:
        return None
    for family in named:
        benchmark_set(family, parameters_of(family)[0], folder=mnist)
    return Path(mnist).resolve()


def needs_files(family: str) -> bool:
    """Return whether a family is made of files that the user has."""
    return family.startswith("mnist_")


def twin(data_set: DataSet) -> DataSet:
    """Return the data set of the study that the digits that ship stand for; others are their own."""
    return data_set[0].replace("digits_", "mnist_"), data_set[1]


def winners(records: Sequence[Record]) -> dict[str, int]:
    """Return the candidate with the best mean accuracy of each model; of equal ones the first, as the study does.

    A model whose candidates all failed has none.
    """
    best: dict[str, tuple[float, int]] = {}
    for record in records:
        model, number = read_cell_name(record.model)
        if record.outcome.extras["failures"]:
            continue
        value = round(record.outcome.value, 12)
        if model not in best or (value, -number) > (best[model][0], -best[model][1]):
            best[model] = (value, number)
    return {model: number for model, (_, number) in best.items()}


@dataclass(frozen=True)
class Finished:
    """The results on one data set.

    Attributes:
        data_set: Family and parameter.
        searched: Cells of the search, or none.
        fits: Cells of the fits, `n_seeds` a model.
    """

    data_set: DataSet
    searched: Sequence[Record]
    fits: Sequence[Record]


Watch = Callable[[], AbstractContextManager[Listener]]
"""Makes the listener of one stage on one data set."""


def run_study(study: Study, watch: Watch, run_cells: RunCells | None = None) -> Iterator[Finished]:
    """Run what is not stored yet, data set by data set, and yield their results.

    Args:
        study: The study.
        watch: Makes a listener for each stage.
        run_cells: Runs cells elsewhere, see `qml.compare.distribute`; None runs them here.
    """
    for data_set in study.data_sets:
        searched: list[Record] = []
        cells = study.searched(data_set)
        if cells:
            searched = _run(study.plan(data_set, SEARCH, cells), watch, run_cells)
        names = _fitted_cells(study, data_set, searched)
        fits = _run(study.plan(data_set, FITS, names), watch, run_cells) if names else []
        yield Finished(data_set, searched, fits)


def _fitted_cells(study: Study, data_set: DataSet, searched: Sequence[Record]) -> list[str]:
    """Return the cells that are fitted: the winners of the search, or without one the study's own choice."""
    if study.amount.n_candidates == 0:
        found = {model: chosen_there(data_set, model) for model in study.runs(data_set)}
    else:
        found = winners(searched)
    return [cell_name(model, number) for model, number in found.items() if number is not None]


def chosen_there(data_set: DataSet, model: str) -> int | None:
    """Return the number of the candidate that the study's own search chose; None where it has no result.

    Beyond the study's sizes it is the choice for the largest one that the study ran. An ablation takes the setting of
    the model that it is taken from in the families in which the study did not run it.
    """
    found = _chosen(data_set, model)
    if found is not None or model not in ABLATED:
        return found
    whole = _chosen(data_set, ABLATED[model])
    if whole is None:
        return None
    setting = candidates(ABLATED[model])[whole]
    return candidates(model).index({name: setting[name] for name in ENTRIES[model].grid})


def _chosen(data_set: DataSet, model: str) -> int | None:
    family, parameter = twin(data_set)
    for place in sorted(parameters_of(family), reverse=True):
        found = published(family, place, model)
        if place <= parameter and found is not None and found.candidate is not None:
            return found.candidate
    return None


def _run(plan: ComparisonPlan, watch: Watch, run_cells: RunCells | None) -> list[Record]:
    with watch() as listener:
        return run_plan(plan, listener, run_cells or partial(run_here, listener=listener))


def stored_results(study: Study) -> Iterator[Finished]:
    """Return what the folder of a study holds, data set by data set, without running anything.

    Presets that share a folder may have fitted different settings of a model there; those of this study's preset count.

    Raises:
        ValueError: If results were made with other settings.
    """
    for data_set in study.data_sets:
        cells = study.searched(data_set)
        searched = [record for record in _stored(study, data_set, SEARCH) if record.model in cells]
        names = _fitted_cells(study, data_set, searched)
        fits = [
            record
            for record in _stored(study, data_set, FITS)
            if record.model in names and record.seed < study.amount.n_seeds
        ]
        if searched or fits:
            yield Finished(data_set, searched, fits)


def _stored(study: Study, data_set: DataSet, stage: str) -> list[Record]:
    folder = study.stage_folder(data_set, stage)
    if folder is None or not folder.is_dir():
        return []
    return open_folder(folder, study.plan(data_set, stage, None).settings)[0]
