"""The picture of what a QNN learnt about a hidden observable."""

from typing import TYPE_CHECKING

from qml.compare.figures import CLASSICAL, FAINT, QUANTUM, figure_style, new_figure
from qml.compare.task import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def readout_figure(records: list[Record]) -> "Figure | None":
    """Draw the read-out against the observable, a point for each state; None where no model kept them."""
    kept = next((record.outcome.details for record in records if "readout" in record.outcome.details), None)
    if kept is None:
        return None
    with figure_style():
        figure = new_figure(5.2, 3.4)
        axes = figure.subplots()
        axes.axhline(0, color=FAINT, lw=1)
        axes.axvline(0, color=FAINT, lw=1)
        colours = [QUANTUM[0] if value > 0 else CLASSICAL[1] for value in kept["observable"]]
        axes.scatter(kept["observable"], kept["readout"], s=14, c=colours, alpha=0.7, lw=0)
        axes.set_xlabel("hidden observable")
        axes.set_ylabel("read-out <Y> of the QNN")
        axes.tick_params(length=0)
    return figure
