"""Figures of the result pages, from the records beside them: they read on white and on black."""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from qml.compare.statistics import estimate_median, estimate_metric
from qml.compare.summary import Line, Side, read_lines
from qml.compare.task import Metric
from tools.results_tables import Record

GREY, FAINT = "#7d8390", "#7d839040"
COLOURS = {"quantum": "#8a5cf0", "classical": "#12a594", "other": "#c77d1e"}
KINDS = ("quantum", "classical")
SERIES = ("#8a5cf0", "#d6549a", "#c77d1e", "#3f8fe0", "#12a594")
SECOND = "#3f8fe0"  # of a kind that has two columns
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlecolor": GREY,
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": FAINT,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: a third of the size, and it can be searched
    "svg.hashsalt": "qml",  # else the ids inside differ from run to run
}
ROW, TOP = 0.3, 1.25  # inches


def has_figure(record: Record) -> bool:
    return record.shape != "table" or "figure" in record.contents


def svg_of(record: Record) -> str:
    """Draw a record, and return the SVG, which carries the record's digest."""
    with rc_context(STYLE):
        if record.shape == "all":
            figure = lead_figure(read_lines(record.plain))
        elif record.shape == "run":
            figure = run_figure(record.plain)
        else:
            figure = table_figure(record.plain)
        buffer = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Title": record.name, "Identifier": record.digest}
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    drawn = buffer.getvalue().replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    return re.sub(r"[ \t]+\n", "\n", drawn)


def table_figure(contents: Mapping[str, Any]) -> Figure:
    options = contents["figure"]
    draw: Callable[[Mapping[str, Any]], Figure] = by_model
    if "x" in options:
        draw = curves
    elif options.get("conditions"):
        draw = by_condition
    return draw(contents)


def by_model(contents: Mapping[str, Any]) -> Figure:
    """Draw a row for each row of the table and a panel for each column: the median as a point, the range as a bar."""
    options, rows = contents["figure"], contents["rows"]
    columns = options["columns"]
    figure = new_figure(8.0, TOP + ROW * len(rows))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for place, row in enumerate(rows):
            draw_cell(axes, row["cells"][column], place, COLOURS[row["kind"]])
        axes.set_title(plain(contents["columns"][column]["title"]) if len(columns) > 1 else "")
        finish(axes, [label_of(row, contents) for row in rows], options)
    add_legend(figure, {kind: COLOURS[kind] for kind in KINDS if any(row["kind"] == kind for row in rows)})
    return figure


def by_condition(contents: Mapping[str, Any]) -> Figure:
    """Draw one panel, with a row for each row of the table and in it a point for each column."""
    options, rows = contents["figure"], contents["rows"]
    columns = options["columns"]
    colours = [COLOURS[kind] for kind in options["kinds"]] if "kinds" in options else list(SERIES)
    colours = [SECOND if colour in colours[:place] else colour for place, colour in enumerate(colours)]
    figure = new_figure(8.0, TOP + (0.14 + 0.12 * len(columns)) * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        for number, column in enumerate(columns):
            offset = 0.62 * ((number + 0.5) / len(columns) - 0.5)
            draw_cell(axes, row["cells"][column], place + offset, colours[number])
    finish(axes, [label_of(row, contents) for row in rows], options)
    titles = [plain(contents["columns"][column]["title"]) for column in columns]
    add_legend(figure, dict(zip(titles, colours, strict=False)))
    return figure


def curves(contents: Mapping[str, Any]) -> Figure:
    """Draw a line for each row of the table over the columns' numbers, named at its end."""
    options = contents["figure"]
    figure = new_figure(8.0, 4.0)
    axes = figure.subplots()
    counts = {"quantum": 0, "classical": 0}
    for row in contents["rows"]:
        values = [row["cells"][column] for column in options["columns"]]
        points = [(x, y) for x, y in zip(options["x"], values, strict=True) if not isinstance(y, str)]
        dashes = DASHES[counts[row["kind"]] % len(DASHES)]
        counts[row["kind"]] += 1
        marker = "osD^v"[counts[row["kind"]] % 5]
        axes.plot(
            *zip(*points, strict=True),
            dashes,
            marker=marker,
            ms=4,
            color=COLOURS[row["kind"]],
            label=label_of(row, contents),
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(options["x"], [str(x) for x in options["x"]])
    axes.minorticks_off()
    axes.set_xlabel(options["xlabel"])
    axes.set_ylabel(options["axis"])
    axes.grid(visible=True, axis="y")
    figure.legend(loc="outside right center", handlelength=3)
    return figure


def run_figure(contents: Mapping[str, Any]) -> Figure:
    """Draw a row for each model of a comparison: a faint point for each seed, the middle and its interval."""
    metric, models = Metric(**contents["metric"]), contents["models"]
    scale = 100.0 if metric.percent else 1.0
    figure = new_figure(6.6, TOP + 1.25 * ROW * len(models))
    axes = figure.subplots()
    for place, model in enumerate(models):
        values = list(model["values"].values())
        estimate = estimate_metric(values, metric) if metric.percent else estimate_median(values)
        colour = COLOURS[model["kind"]]
        axes.plot(
            [scale * value for value in values], [place + 0.22] * len(values), "o", color=colour, alpha=0.45, ms=4
        )
        ends = [end for end in (estimate.low, estimate.high) if not math.isnan(end)]
        draw_range(axes, scale * estimate.mean, [scale * end for end in ends], place, colour)
    share = "mean" if metric.percent else "median"
    options = {"axis": f"{metric.title}{' (%)' if metric.percent else ''}: seeds, {share} and 95 % interval"}
    options |= {"log": not metric.percent and spans_decades(models)}
    labels = [f"{model['title']}, {model['n_parameters']} parameters" for model in models]
    finish(axes, labels, options)
    add_legend(figure, {kind: COLOURS[kind] for kind in KINDS if any(model["kind"] == kind for model in models)})
    return figure


def spans_decades(models: Sequence[Mapping[str, Any]]) -> bool:
    values = [value for model in models for value in model["values"].values()]
    return min(values) > 0 and max(values) / min(values) > 10


def lead_figure(lines: Sequence[Line]) -> Figure:
    """Draw by how much quantum models lead (to the right) or trail: points of a share, ratios of an error."""
    shares = [line for line in lines if line.metric.percent]
    errors = [line for line in lines if not line.metric.percent and not line.metric.larger_is_better]
    figure = new_figure(8.0, 1.5 + 0.22 * (len(shares) + len(errors)))
    upper, lower = figure.subplots(2, 1, height_ratios=[len(shares), len(errors)])
    for axes, chosen in ((upper, shares), (lower, errors)):
        for place, line in enumerate(chosen):
            for other, marker in ((line.classical, "o"), (line.equal, "D")):
                if other is not None:
                    filled = "full" if marker == "o" and line.winner != "neither" else "none"
                    axes.plot(
                        [lead(line, other)], [place], marker, color=colour_of(line, other), fillstyle=filled, ms=6
                    )
        axes.axvline(0.0 if chosen is shares else 1.0, color=GREY, lw=0.8)
        finish(axes, [line.name for line in chosen], {"log": chosen is errors})
    upper.set_xlabel("Quantum minus classical, points of per cent")
    lower.set_xlabel("Classical error or duration over the quantum one's")
    names = (("o", "none", "best classical model"), ("D", "none", "best of the quantum one's size"))
    names = (*names, ("o", "full", "ahead beyond chance"))
    for marker, filled, name in names:
        upper.plot([], [], marker, color=GREY, fillstyle=filled, label=name, linestyle="none")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def lead(line: Line, other: Side) -> float:
    if line.metric.percent:
        return 100.0 * (line.quantum.estimate.mean - other.estimate.mean)
    return other.estimate.mean / line.quantum.estimate.mean


def colour_of(line: Line, other: Side) -> str:
    nothing = 0.0 if line.metric.percent else 1.0
    difference = lead(line, other) - nothing
    return GREY if difference == 0.0 else COLOURS["quantum" if difference > 0.0 else "classical"]


def new_figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def draw_cell(axes: Axes, cell: Any, place: float, colour: str) -> None:
    """Draw a cell of a table: a number, a median with a range, or a range; an end that is open becomes an arrow."""
    if isinstance(cell, int | float):
        draw_range(axes, float(cell), [], place, colour)
    elif isinstance(cell, dict):
        ends = [end for end in cell["range"] if end is not None]
        draw_range(axes, cell.get("median"), ends, place, colour)
        if None in cell["range"]:
            last = max([*ends, cell.get("median") or 0.0])
            axes.annotate(
                "to never", (last, place), (8, 0), textcoords="offset points", color=colour, va="center", fontsize=8
            )


def draw_range(axes: Axes, middle: float | None, ends: Sequence[float], place: float, colour: str) -> None:
    points = [*ends, *([] if middle is None else [middle])]
    if len(points) > 1:
        axes.plot([min(points), max(points)], [place, place], "-", color=colour, lw=2.2, alpha=0.75)
    if middle is not None:
        axes.plot([middle], [place], "o", color=colour, ms=6)


def finish(axes: Axes, labels: Sequence[str], options: Mapping[str, Any]) -> None:
    if options.get("one"):
        axes.axvline(1.0, color=GREY, lw=0.8)
    if "limits" in options:
        low, high = options["limits"]
        mark_points_beyond(axes, low)
        axes.set_xlim(low, high)
    if options.get("log"):
        log_scale(axes, len(options.get("columns", "1")) if not options.get("conditions") else 1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(options.get("axis", ""))


def log_scale(axes: Axes, n_panels: int) -> None:
    """Scale by decades, with 2 and 5 between them where there are few."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high / low < 500 / n_panels**2:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def mark_points_beyond(axes: Axes, low: float) -> None:
    """Say at the left edge what lies to the left of it."""
    for line in axes.get_lines():
        values, places = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        if len(values) == 1 and values[0] < low:
            text = f"\u25c2 {values[0]:g}"
            axes.text(low, places[0], text, color=line.get_color(), va="center", ha="left", fontsize=9)


def add_legend(figure: Figure, colours: Mapping[str, str]) -> None:
    if len(colours) > 1:
        handles = [figure.axes[0].plot([], [], "o", color=colour, label=name)[0] for name, colour in colours.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


def label_of(row: Mapping[str, Any], contents: Mapping[str, Any]) -> str:
    cells = [row["cells"][column] for column in contents["figure"]["labels"]]
    label = plain(", ".join(str(cell) for cell in cells if cell != ""))
    return label if len(label) <= 44 else "\n".join(wrapped(label))


def wrapped(label: str) -> list[str]:
    cut = label.rfind(" ", 0, len(label) // 2 + 6)
    return [label[:cut], label[cut + 1 :]]


def plain(text: str) -> str:
    return text.replace("`", "")
