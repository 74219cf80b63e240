"""Solutions of differential equations and their errors: lines on a line, maps on a plane."""

from typing import TYPE_CHECKING, Any

import numpy as np

from qml.compare.figures import CLASSICAL, INK, QUANTUM, figure_style, new_figure
from qml.compare.task import Record
from qml.pinn import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (*QUANTUM, *CLASSICAL)


def solution_figure(problem: Problem, records: list[Record]) -> "Figure | None":
    """Draw the solutions of the first seed's models, beside the reference."""
    return _figure(problem, records, error=False)


def error_figure(problem: Problem, records: list[Record]) -> "Figure | None":
    """Draw the errors of the first seed's models: solution minus reference."""
    return _figure(problem, records, error=True)


def _figure(problem: Problem, records: list[Record], *, error: bool) -> "Figure | None":
    kept = [record for record in records if record.seed == 0 and "values" in record.outcome.details]
    if not kept or problem.reference is None or len(problem.coordinates) > 2:
        return None
    n_points = len(kept[0].outcome.details["values"])
    on_a_line = len(problem.coordinates) == 1
    points = problem.domain.grid(n_points if on_a_line else round(n_points**0.5))
    reference = problem.reference(points)[:, 0]
    fields = {record.model: np.array(record.outcome.details["values"]) - error * reference for record in kept}
    if not error:
        fields = {"reference": reference} | fields
    with figure_style():
        return _lines(problem, points[:, 0], fields) if on_a_line else _maps(problem, fields, diverging=error)


def _lines(problem: Problem, x: np.ndarray, fields: dict[str, np.ndarray]) -> "Figure":
    figure = new_figure(8.0, 3.6)
    axes = figure.subplots()
    for index, (name, values) in enumerate(fields.items()):
        is_reference = name == "reference"
        colour = INK if is_reference else COLOURS[index % len(COLOURS)]
        axes.plot(
            x, values, label=name, color=colour, lw=3.0 if is_reference else 1.2, alpha=0.5 if is_reference else 1
        )
    axes.set_xlabel(problem.coordinates[0])
    axes.set_ylabel(problem.fields[0])
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _maps(problem: Problem, fields: dict[str, np.ndarray], *, diverging: bool) -> "Figure":
    n_columns = min(3, len(fields))
    n_rows = -(-len(fields) // n_columns)
    figure = new_figure(3.0 * n_columns, 2.3 * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    ends = [end for axis in reversed(problem.coordinates) for end in problem.domain.intervals[axis]]
    for axes, (name, values) in zip(panels, fields.items(), strict=False):
        size = round(len(values) ** 0.5)
        limit: float = float(np.abs(values).max()) or 1.0
        options: dict[str, Any] = {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r" if diverging else "viridis"}
        image = axes.imshow(values.reshape(size, size), origin="lower", aspect="auto", extent=ends, **options)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(problem.coordinates[1])
        axes.set_ylabel(problem.coordinates[0])
        figure.colorbar(image, ax=axes)
    for axes in panels[len(fields) :]:
        axes.set_visible(False)
    return figure
