"""Pictures of the corrosion task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qml.compare.figures import CLASSICAL, QUANTUM, figure_style, new_figure
from qml.compare.statistics import estimate_mean
from qml.compare.task import Record
from qml.data import Corrosion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_figure(years: Sequence[Corrosion], names: Sequence[str]) -> "Figure":
    """Draw the modelled loss of every station over its year."""
    with figure_style():
        figure = new_figure(7.0, 2.8)
        axes = figure.subplots()
        for year, name, colour in zip(years, names, CLASSICAL, strict=False):
            days = np.arange(1, len(year.loss) + 1) * year.step_hours / 24
            axes.plot(days, year.loss, label=name, color=colour)
        axes.set(xlabel="day of the year", ylabel="loss (micrometres, modelled)")
        axes.legend(frameon=False)
    return figure


def horizons_figure(records: Sequence[Record], horizons: tuple[str, ...]) -> "Figure":
    """Draw the error of every model at each horizon, with its interval over seeds."""
    names = list(dict.fromkeys(record.model for record in records))
    with figure_style():
        figure = new_figure(8.0, 0.8 + 0.4 * len(names))
        axes = figure.subplots()
        for shift, (horizon, colour) in enumerate(zip(horizons, (QUANTUM[0], CLASSICAL[1]), strict=False)):
            for row, name in enumerate(reversed(names)):
                values = [float(r.outcome.extras[f"nrmse_{horizon}"]) for r in records if r.model == name]
                estimate, height = estimate_mean(values), row + 0.2 * (0.5 - shift)
                axes.plot([estimate.low, estimate.high], [height] * 2, color=colour, lw=3, alpha=0.4)
                axes.plot(estimate.mean, height, "o", color=colour, label=horizon if row == 0 else None)
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_xlabel("root mean squared error over standard deviation")
        axes.legend(frameon=False, title="horizon")
    return figure
