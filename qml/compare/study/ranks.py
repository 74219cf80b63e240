"""Ranks over data sets: the study's mean normalised ranks, and the tests that go with ranks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qml.compare.statistics import critical_difference
from qml.compare.study.grids import ENTRIES
from qml.compare.study.published import DataSet

SAME = 1e-9  # accuracies that differ by less differ by rounding
Accuracies = Mapping[DataSet, Mapping[str, float]]
"""Mean test accuracies by data set and model."""


@dataclass(frozen=True)
class NormalisedRank:
    """A model's mean normalised rank, and the number of data sets behind it."""

    rank: float
    n_sets: int


@dataclass(frozen=True)
class FamilyTest:
    """Friedman's test over the data sets on which all members ran, and Nemenyi's critical difference.

    Attributes:
        n_sets: Number of those data sets.
        p: P value of Friedman's test with the correction for ties; NaN for less than two data sets or three models.
        critical_difference: Difference of mean ranks below which two models are not told apart at 5 %.
        mean_ranks: Mean ranks, 1 is best, ties share the mean.
    """

    n_sets: int
    p: float
    critical_difference: float
    mean_ranks: Mapping[str, float]


def members(family: str, *, with_controls: bool = False) -> tuple[str, ...]:
    """Return the models of a family, by the names in `ENTRIES`."""
    return tuple(
        name for name, entry in ENTRIES.items() if entry.family == family and (with_controls or not entry.is_control)
    )


def normalised_ranks(accuracies: Accuracies, models: Sequence[str]) -> dict[str, NormalisedRank]:
    """Return the mean normalised rank of each model that has a result, the best first.

    On each data set 1 is the best and equal accuracies share the smaller rank; it is divided by the number of models
    that have a result there, and averaged over the data sets on which the model has one.

    Args:
        accuracies: Mean test accuracies.
        models: The models that are ranked against each other.

    Reference:
        Bowles, Ahmed and Schuld, arXiv:2403.07059, figure on ranks.
    """
    ranks: dict[str, list[float]] = {model: [] for model in models}
    for scores in accuracies.values():
        present = [model for model in models if model in scores]
        for model in present:
            better = sum(scores[other] > scores[model] + SAME for other in present)
            ranks[model].append((1 + better) / len(present))
    means = {model: NormalisedRank(math.fsum(own) / len(own), len(own)) for model, own in ranks.items() if own}
    return dict(sorted(means.items(), key=lambda item: item[1].rank))


def family_test(accuracies: Accuracies, models: Sequence[str]) -> FamilyTest | None:
    """Test whether the models of a family differ, on the data sets on which all of them have a result.

    Returns:
        None where no data set has results of all models, or there is one model.

    Reference:
        Demsar, J. Mach. Learn. Res. 7, 1 (2006), section 3.2.2.
    """
    from scipy.stats import friedmanchisquare, rankdata

    rows = [[scores[model] for model in models] for scores in accuracies.values() if all(m in scores for m in models)]
    if not rows or len(models) < 2:
        return None
    ranked = [rankdata([-round(value, 9) for value in row]) for row in rows]
    means = {model: math.fsum(row[place] for row in ranked) / len(rows) for place, model in enumerate(models)}
    p = math.nan
    if len(rows) > 1 and len(models) > 2 and any(len(set(row)) > 1 for row in ranked):
        p = float(friedmanchisquare(*zip(*([round(value, 9) for value in row] for row in rows), strict=True)).pvalue)
    return FamilyTest(len(rows), p, critical_difference(len(models), len(rows)), means)
