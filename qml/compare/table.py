"""The result as a table and in plain words."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from rich.markup import escape
from rich.table import Table

from qml.compare.statistics import (
    CONFIDENCE,
    IntervalEstimate,
    ModelSummary,
    holm,
    paired_difference,
    paired_p,
    summarise,
)
from qml.compare.task import Metric, Model, Record
from qml.terminal import verbatim

NOTHING_DRAWN = "trained once"  # in place of an interval
EQUAL = 1e-12  # means that differ by less differ by rounding only


def result_table(records: Sequence[Record], models: Mapping[str, Model], metric: Metric) -> Table:
    """Return a row for each model, the best mean in bold.

    Errors span orders of magnitude, so that their median and range are shown.
    """
    rows = summarise(records, metric)
    best = best_mean(rows, metric)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    title = metric.title.lower()
    shown = (title, "95 % interval") if metric.percent else (f"{title}\nmedian", "range")
    for column in ("parameters", *map(escape, shown), "training"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            verbatim(row.model),
            verbatim(models[row.model].kind),
            f"{row.n_parameters}",
            *_middle_and_spread(row, models[row.model], metric),
            f"{row.seconds:.2f} s",
            style="bold" if abs(row.estimate.mean - best) < EQUAL else "",
        )
    return table


def show_interval(estimate: IntervalEstimate, metric: Metric) -> str:
    """Return the interval as text, a dash where one seed gives none."""
    if math.isnan(estimate.low):
        return "-"
    if metric.percent:
        return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
    return f"{metric.show(estimate.low)} to {metric.show(estimate.high)}"


def _middle_and_spread(row: ModelSummary, model: Model, metric: Metric) -> tuple[str, str]:
    """Return mean and interval of a share, median and range of an error; words where there is nothing to spread."""
    middle = row.estimate.mean if metric.percent else median(row.values)
    if not model.is_seeded:
        return metric.show(middle), NOTHING_DRAWN
    if metric.percent:
        return metric.show(middle), show_interval(row.estimate, metric)
    return metric.show(middle), f"{metric.show(min(row.values))} to {metric.show(max(row.values))}"


def best_mean(rows: Sequence[ModelSummary], metric: Metric) -> float:
    """Return the best mean among `rows`."""
    means = [row.estimate.mean for row in rows]
    return max(means) if metric.larger_is_better else min(means)


def verdict(records: Sequence[Record], models: Mapping[str, Model], metric: Metric) -> list[str]:
    """Return sentences on who wins: first the best, then each classical model against the first quantum one.

    Families of models, which answer different questions, are judged one by one.
    """
    families: dict[str, list[Record]] = {}
    for record in records:
        families.setdefault(models[record.model].family, []).append(record)
    return [sentence for family in families.values() for sentence in _judged(family, models, metric)]


def _judged(records: Sequence[Record], models: Mapping[str, Model], metric: Metric) -> list[str]:
    """Return the sentences on models that answer one question."""
    rows = {row.model: row for row in summarise(records, metric)}
    best = best_mean(list(rows.values()), metric)
    winners = [models[name].title for name, row in rows.items() if abs(row.estimate.mean - best) < EQUAL]
    verb = "has" if len(winners) == 1 else "share"
    if len(rows) == 1:
        return [f"The mean of {winners[0]} is {metric.show(best)}; no other model here answers its question."]
    sentences = [f"{_join(winners)} {verb} the best mean: {metric.show(best)}."]
    quantum = next((name for name in rows if models[name].kind == "quantum" and models[name].settings), None)
    if quantum is None:
        return sentences
    classical = [name for name in rows if models[name].kind == "classical"]
    corrected = holm([paired_p(records, name, quantum) for name in classical])
    return sentences + [
        _against(models[quantum], models[name], rows[quantum], rows[name], records, metric, p)
        for name, p in zip(classical, corrected, strict=True)
    ]


def _against(
    quantum: Model,
    twin: Model,
    quantum_row: ModelSummary,
    twin_row: ModelSummary,
    records: Sequence[Record],
    metric: Metric,
    p: float,
) -> str:
    """Compare `twin` with `quantum` in a sentence, by the paired test, corrected for the number of twins."""
    lead = paired_difference(records, twin_row.model, quantum_row.model)
    if not metric.larger_is_better:
        lead = IntervalEstimate(-lead.mean, -lead.high, -lead.low, lead.n_values)
    named = [
        f"{model.title} ({row.n_parameters} parameters)" for model, row in ((twin, twin_row), (quantum, quantum_row))
    ]
    if abs(lead.mean) < EQUAL:
        return f"{named[0]} and {named[1]} are level."
    ahead, behind = named if lead.mean > 0 else reversed(named)
    amount = f"{100 * abs(lead.mean):.1f} points" if metric.percent else f"{abs(lead.mean):.3g}"
    if math.isnan(p):
        certainty = "one seed says nothing about chance"
    elif p > 1.0 - CONFIDENCE:
        certainty = f"no more than chance explains over {lead.n_values} seeds (p = {p:.2g}), so neither wins"
    else:
        certainty = f"more than chance explains over {lead.n_values} seeds (p = {p:.2g})"
    return f"{ahead} is {amount} ahead of {behind}: {certainty}."


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
