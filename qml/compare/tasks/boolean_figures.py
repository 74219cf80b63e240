"""The picture of what a QNN learnt about a hidden subset."""

from typing import TYPE_CHECKING

import numpy as np

from qml.compare.figures import FAINT, QUANTUM, figure_style, new_figure
from qml.compare.task import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_SHOWN = 5


def angles_figure(records: list[Record]) -> "Figure | None":
    """Draw the learnt angle of every bit, a panel for each seed; None where no model kept its angles."""
    kept = [record for record in records if "angles" in record.outcome.details][:N_SHOWN]
    if not kept:
        return None
    with figure_style():
        figure = new_figure(2.0 * len(kept) + 0.6, 2.3)
        panels = figure.subplots(1, len(kept), squeeze=False, sharey=True)[0]
        for axes, record in zip(panels, kept, strict=True):
            angles = record.outcome.details["angles"]
            inside = np.isin(np.arange(len(angles)), record.outcome.details["subset"])
            axes.axhline(0, color=FAINT, lw=1)
            axes.vlines(range(len(angles)), 0, angles, color=QUANTUM[0], alpha=0.5, lw=2)
            fill = [QUANTUM[0] if member else "white" for member in inside]
            axes.scatter(range(len(angles)), angles, s=38, c=fill, edgecolors=QUANTUM[0], linewidths=1.6, zorder=3)
            axes.set_title(f"seed {record.seed}", fontsize=9)
            axes.set_xlabel("bit")
            axes.set_xticks(range(len(angles)))
            axes.tick_params(length=0)
        panels[0].set_ylabel("angle (radians)")
    return figure
