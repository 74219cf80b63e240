"""The results of a study beside the published ones: means, their errors, ranks, failures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qml.compare.study.grids import ENTRIES
from qml.compare.study.published import DataSet, published, published_table
from qml.compare.study.ranks import Accuracies
from qml.compare.study.run import Finished
from qml.compare.study.task import read_cell_name

N_PUBLISHED = 5  # seeds behind every published mean
DETERMINISTIC = ("svc", "iqp-kernel", "separable-kernel")
POINTS = 60  # samples of a test set, but of these families
MORE_POINTS = {"bars_and_stripes": 200, "mnist_pca": 1902, "mnist_pca-": 250, "mnist_cg": 1902}
ROUNDING = 1e-5  # of published accuracies, which have six digits


@dataclass(frozen=True)
class Score:
    """The result of a model on a data set, over the fits that did not fail.

    Attributes:
        data_set: Family and parameter.
        model: Name in `ENTRIES`.
        candidate: Number of the setting in the grid.
        accuracies: Test accuracy of each fit that did not fail.
        n_failed: Number of fits that failed.
        n_parameters: Number of trained numbers.
        seconds: Mean processor time of a fit.
        n_steps: Mean number of steps of a fit.
    """

    data_set: DataSet
    model: str
    candidate: int
    accuracies: tuple[float, ...]
    n_failed: int
    n_parameters: int
    seconds: float
    n_steps: float

    @property
    def mean(self) -> float:
        """Return the mean accuracy."""
        return math.fsum(self.accuracies) / len(self.accuracies)

    @property
    def variance(self) -> float:
        """Return the sample variance over the seeds; 0 of one."""
        n_values, mean = len(self.accuracies), self.mean
        return math.fsum((value - mean) ** 2 for value in self.accuracies) / max(n_values - 1, 1)


@dataclass(frozen=True)
class SweepMean:
    """A model's mean over the data sets of a family on which both we and the study have a result.

    Attributes:
        family: The family of data sets.
        model: Name in `ENTRIES`.
        n_sets: Number of the data sets.
        ours: Our mean accuracy.
        published: The published mean accuracy.
        error: Standard error of the difference, from the spread over seeds alone.
        worst: The largest difference on a data set, in test samples, 60 of the synthetic families.
        n_equal: Number of data sets on which the means are equal to the last of their six digits.
    """

    family: str
    model: str
    n_sets: int
    ours: float
    published: float
    error: float
    worst: float
    n_equal: int

    @property
    def deviations(self) -> float:
        """Return the difference in standard errors; infinite where a difference stands against no spread."""
        difference = self.ours - self.published
        if abs(difference) < ROUNDING:
            return 0.0
        return difference / self.error if self.error > ROUNDING else math.copysign(math.inf, difference)


@dataclass(frozen=True)
class SearchCost:
    """The candidates of a model that were searched.

    Attributes:
        n_candidates: Number of candidates, five fits each.
        n_failed: Number of fits that failed.
        n_same: Number of searches that chose the study's candidate.
        n_searches: Number of searches.
        seconds: Processor time of all of them.
    """

    n_candidates: int
    n_failed: int
    n_same: int
    n_searches: int
    seconds: float


@dataclass(frozen=True)
class Summary:
    """The results of a study so far.

    Attributes:
        scores: A score for each data set and model with a fit that did not fail.
        n_failed: Number of failed fits of each model.
        n_fits: Number of fits of each model.
        searches: Searches of each model.
    """

    scores: Sequence[Score]
    n_failed: dict[str, int] = field(default_factory=dict)
    n_fits: dict[str, int] = field(default_factory=dict)
    searches: dict[str, SearchCost] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Return the models that have a score, in the order of `ENTRIES`."""
        present = {score.model for score in self.scores}
        return [model for model in ENTRIES if model in present]

    @property
    def accuracies(self) -> Accuracies:
        """Return our mean accuracies by data set and model."""
        table: dict[DataSet, dict[str, float]] = {}
        for score in self.scores:
            table.setdefault(score.data_set, {})[score.model] = score.mean
        return table

    @property
    def published_accuracies(self) -> Accuracies:
        """Return the published mean accuracies of the same data sets and models."""
        table = published_table()
        return {
            data_set: {
                model: table[data_set][ENTRIES[model].published].accuracy
                for model in scores
                if ENTRIES[model].published in table.get(data_set, {})
            }
            for data_set, scores in self.accuracies.items()
        }

    def sweeps(self) -> list[SweepMean]:
        """Return the mean of each model over each family, beside the published mean of the same data sets."""
        groups: dict[tuple[str, str], list[Score]] = {}
        for score in self.scores:
            if published(*score.data_set, score.model) is not None:
                groups.setdefault((score.model, score.data_set[0]), []).append(score)
        order = {model: place for place, model in enumerate(ENTRIES)}
        return [
            sweep_of(family, model, own)
            for (model, family), own in sorted(groups.items(), key=lambda g: order[g[0][0]])
        ]


def summary_of(finished: Iterable[Finished]) -> Summary:
    """Return the summary of the results on some data sets."""
    scores: list[Score] = []
    n_failed: dict[str, int] = {}
    n_fits: dict[str, int] = {}
    searches: dict[str, SearchCost] = {}
    for item in finished:
        by_cell: dict[str, list] = {}
        for record in item.fits:
            by_cell.setdefault(record.model, []).append(record.outcome)
        for cell, outcomes in by_cell.items():
            model, candidate = read_cell_name(cell)
            good = [outcome for outcome in outcomes if not outcome.extras["failures"]]
            n_fits[model] = n_fits.get(model, 0) + len(outcomes)
            n_failed[model] = n_failed.get(model, 0) + len(outcomes) - len(good)
            if good:
                scores.append(
                    Score(
                        item.data_set,
                        model,
                        candidate,
                        tuple(outcome.value for outcome in good),
                        len(outcomes) - len(good),
                        good[0].n_parameters,
                        sum(outcome.seconds for outcome in good) / len(good),
                        sum(outcome.extras["steps"] for outcome in good) / len(good),
                    )
                )
        _add_searches(searches, item, {read_cell_name(cell)[0]: read_cell_name(cell)[1] for cell in by_cell})
    return Summary(scores, n_failed, n_fits, searches)


def _add_searches(searches: dict[str, SearchCost], item: Finished, chosen: dict[str, int]) -> None:
    for model in dict.fromkeys(read_cell_name(record.model)[0] for record in item.searched):
        own = [record.outcome for record in item.searched if read_cell_name(record.model)[0] == model]
        before = searches.get(model, SearchCost(0, 0, 0, 0, 0.0))
        theirs = published(*item.data_set, model)
        is_same = theirs is not None and theirs.candidate == chosen.get(model, -1)
        searches[model] = SearchCost(
            before.n_candidates + len(own),
            before.n_failed + sum(int(outcome.extras["failures"]) for outcome in own),
            before.n_same + int(is_same),
            before.n_searches + 1,
            before.seconds + sum(outcome.seconds for outcome in own),
        )


def sweep_of(family: str, model: str, scores: Sequence[Score]) -> SweepMean:
    """Return the mean of a model over data sets of which the study has a result, beside the published one."""
    theirs = [found for score in scores if (found := published(*score.data_set, score.model)) is not None]
    n_sets = len(scores)
    variances = [
        score.variance / len(score.accuracies) + found.deviation**2 / (N_PUBLISHED - 1)
        for score, found in zip(scores, theirs, strict=True)
    ]
    gaps = [
        MORE_POINTS.get(family, POINTS) * (score.mean - found.accuracy)
        for score, found in zip(scores, theirs, strict=True)
    ]
    return SweepMean(
        family,
        model,
        n_sets,
        math.fsum(score.mean for score in scores) / n_sets,
        math.fsum(found.accuracy for found in theirs) / n_sets,
        math.sqrt(math.fsum(variances)) / n_sets,
        max(gaps, key=abs),
        sum(abs(score.mean - found.accuracy) < ROUNDING for score, found in zip(scores, theirs, strict=True)),
    )
