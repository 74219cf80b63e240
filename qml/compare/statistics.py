"""Means and medians over seeds with their 95 % intervals, paired tests, and ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qml.compare.task import Metric, Record

CONFIDENCE = 0.95
N_RESAMPLES = 9999


@dataclass(frozen=True)
class IntervalEstimate:
    """A mean or median with its interval; `low` and `high` are NaN where one value gives none."""

    mean: float
    low: float
    high: float
    n_values: int


@dataclass(frozen=True)
class ModelSummary:
    """A model's results over its seeds: a row of the table."""

    model: str
    estimate: IntervalEstimate
    n_parameters: int
    seconds: float
    values: tuple[float, ...] = ()


def estimate_mean(values: Sequence[float]) -> IntervalEstimate:
    """Estimate the mean of `values` with Student's t interval: mean +- t_{0.975, n-1} s / sqrt(n).

    Seeds change the split and the initial weights: the interval covers both. The splits cut one data set and
    overlap, which makes it somewhat too narrow.
    """
    from scipy.stats import t

    n_values = len(values)
    if n_values == 0:
        raise ValueError("Argument `values` must hold at least one number, but is empty. Run a seed first.")
    mean = math.fsum(values) / n_values
    if n_values == 1:
        return IntervalEstimate(mean, math.nan, math.nan, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n_values - 1)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, n_values - 1)) * math.sqrt(variance / n_values)
    return IntervalEstimate(mean, mean - half, mean + half, n_values)


def estimate_metric(values: Sequence[float], metric: Metric) -> IntervalEstimate:
    """Estimate the mean as `estimate_mean` does, and cut the interval of a share to [0, 1]."""
    whole = estimate_mean(values)
    if not metric.percent or whole.n_values == 1:
        return whole
    return IntervalEstimate(whole.mean, max(whole.low, 0.0), min(whole.high, 1.0), whole.n_values)


def summarise(records: Sequence[Record], metric: Metric) -> list[ModelSummary]:
    """Return a row for each model, in the order in which they first occur."""
    rows = []
    for model in dict.fromkeys(record.model for record in records):
        outcomes = [record.outcome for record in records if record.model == model]
        rows.append(
            ModelSummary(
                model,
                estimate_metric([outcome.value for outcome in outcomes], metric),
                outcomes[0].n_parameters,
                estimate_mean([outcome.seconds for outcome in outcomes]).mean,
                tuple(outcome.value for outcome in outcomes),
            )
        )
    return rows


def estimate_median(values: Sequence[float]) -> IntervalEstimate:
    """Estimate the median of `values` with the interval of the percentile bootstrap, always by the same resamples.

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3.
    """
    import numpy as np

    middle = float(np.median(values))
    if len(values) == 1:
        return IntervalEstimate(middle, math.nan, math.nan, 1)
    rows = np.random.default_rng(0).integers(0, len(values), (N_RESAMPLES, len(values)))
    medians = np.median(np.asarray(values)[rows], axis=1)
    low, high = np.quantile(medians, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return IntervalEstimate(middle, float(low), float(high), len(values))


def paired_p(records: Sequence[Record], model: str, other: str) -> float:
    """Return the two-sided p value of Student's paired t test over common seeds; NaN where one seed gives none."""
    from scipy.stats import t

    lead = paired_difference(records, model, other)
    if lead.n_values < 2:
        return math.nan
    half = 0.5 * (lead.high - lead.low)
    if half == 0.0:
        return 1.0 if lead.mean == 0.0 else 0.0
    error = half / float(t.ppf(0.5 + CONFIDENCE / 2, lead.n_values - 1))
    return float(2.0 * t.sf(abs(lead.mean) / error, lead.n_values - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number, so that all of them together are wrong in at most 5 % of cases.

    NaN stays NaN, and does not count.

    Reference:
        Holm, Scand. J. Statist. 6, 65 (1979).
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[place] = largest
    return corrected


def mean_ranks(records: Sequence[Record], metric: Metric) -> tuple[dict[str, float], int]:
    """Return each model's mean rank over the seeds that all of them have (1 is best, ties share), and their number."""
    from scipy.stats import rankdata

    models = list(dict.fromkeys(record.model for record in records))
    values = {(record.model, record.seed): record.outcome.value for record in records}
    seeds = [seed for seed in sorted({record.seed for record in records}) if all((m, seed) in values for m in models)]
    sign = -1.0 if metric.larger_is_better else 1.0
    ranks = [rankdata([sign * values[model, seed] for model in models]) for seed in seeds]
    return {model: math.fsum(row[k] for row in ranks) / len(ranks) for k, model in enumerate(models)}, len(seeds)


def critical_difference(n_models: int, n_blocks: int) -> float:
    """Compute the difference of mean ranks below which Nemenyi's test at 5 % does not tell models apart.

    Reference:
        Demsar, J. Mach. Learn. Res. 7, 1 (2006), section 3.2.2.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(CONFIDENCE, n_models, math.inf)) / math.sqrt(2.0)
    return q * math.sqrt(n_models * (n_models + 1) / (6.0 * n_blocks))


def paired_difference(records: Sequence[Record], model: str, other: str) -> IntervalEstimate:
    """Estimate the mean over common seeds of `model`'s value minus `other`'s, on the same splits."""
    first = {record.seed: record.outcome.value for record in records if record.model == model}
    second = {record.seed: record.outcome.value for record in records if record.model == other}
    return estimate_mean([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])
