"""Pictures of forecasts beside the truth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from qml.compare.figures import CLASSICAL, INK, QUANTUM, figure_style, new_figure
from qml.compare.task import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (*QUANTUM, *CLASSICAL)


def forecasts_figure(
    series: Float[Tensor, "series time"], records: Sequence[Record], context: int, *, label: str = "step"
) -> "Figure":
    """Draw a panel for each series: its context, the truth, and each model's forecast of its first seed.

    Args:
        series: Whole series.
        records: Records whose details hold `forecast`, (series, horizon).
        context: Number of steps that were given.
        label: Label of the time axis.
    """
    with figure_style():
        figure = new_figure(8.0, 1.9 * len(series))
        panels = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
        kept = {record.model: record for record in reversed(records) if "forecast" in record.outcome.details}
        for number, axes in enumerate(panels):
            axes.plot(series[number], color=INK, lw=1.6, label="truth")
            axes.axvline(context - 1, color=INK, lw=0.6, ls=":")
            for place, (model, record) in enumerate(reversed(kept.items())):
                values = torch.tensor(record.outcome.details["forecast"][number])
                axes.plot(range(context, context + len(values)), values, color=COLOURS[place % 7], lw=1.2, label=model)
            axes.tick_params(length=0)
        panels[-1].set_xlabel(label)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    return figure
