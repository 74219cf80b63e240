"""Means over seeds and their 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qml.compare.task import Metric, Record

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; `low` and `high` are NaN where one value gives none."""

    mean: float
    low: float
    high: float
    n_values: int


@dataclass(frozen=True)
class Row:
    """One model over its seeds: a row of the table."""

    model: str
    estimate: Estimate
    n_parameters: int
    seconds: float


def estimate_mean(values: Sequence[float]) -> Estimate:
    """The mean of `values` with Student's t interval: mean +- t_{0.975, n-1} s / sqrt(n).

    Seeds change the split and the initial weights: the interval covers both. The splits cut one data set and
    overlap, which makes it somewhat too narrow.
    """
    from scipy.stats import t

    n_values = len(values)
    if n_values == 0:
        raise ValueError("Argument `values` must hold at least one number, but is empty. Run a seed first.")
    mean = math.fsum(values) / n_values
    if n_values == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n_values - 1)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, n_values - 1)) * math.sqrt(variance / n_values)
    return Estimate(mean, mean - half, mean + half, n_values)


def estimate_metric(values: Sequence[float], metric: Metric) -> Estimate:
    """As `estimate_mean`, with the interval of a share cut to [0, 1]."""
    whole = estimate_mean(values)
    if not metric.percent or whole.n_values == 1:
        return whole
    return Estimate(whole.mean, max(whole.low, 0.0), min(whole.high, 1.0), whole.n_values)


def summarise(records: Sequence[Record], metric: Metric) -> list[Row]:
    """One row a model, in the order in which they first occur."""
    rows = []
    for model in dict.fromkeys(record.model for record in records):
        outcomes = [record.outcome for record in records if record.model == model]
        rows.append(
            Row(
                model,
                estimate_metric([outcome.value for outcome in outcomes], metric),
                outcomes[0].n_parameters,
                estimate_mean([outcome.seconds for outcome in outcomes]).mean,
            )
        )
    return rows


def paired_difference(records: Sequence[Record], model: str, other: str) -> Estimate:
    """The mean over common seeds of `model`'s value minus `other`'s, on the same splits."""
    first = {record.seed: record.outcome.value for record in records if record.model == model}
    second = {record.seed: record.outcome.value for record in records if record.model == other}
    return estimate_mean([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])
