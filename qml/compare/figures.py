"""The figures that every comparison has: the metric by model, learning curves, confusion matrices."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from circuits import Circuit, pictures
from qml.compare.statistics import ModelSummary, critical_difference, mean_ranks, summarise
from qml.compare.task import Metric, Model, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIN_RANKED_MODELS, MIN_RANKED_SEEDS = 3, 5  # fewer give a test of ranks no force
INK, FAINT = "#1d1b2e", "#d9d7e4"
QUANTUM = ("#5b3fd6", "#b04bd0", "#e06aa8")
CLASSICAL = ("#0f8f83", "#e08214", "#6b7686", "#c8503c", "#3b7cc4", "#8a9a1f")
STYLE: dict[Any, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "qml",  # else the ids inside differ from run to run
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the package's look inside of the context."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def new_figure(width: float, height: float | int) -> "Figure":
    """Return an empty figure, measured in inches, that belongs to no window system."""
    return pictures.new_figure(figsize=(width, height), layout="constrained")


def model_colours(models: Mapping[str, Model]) -> dict[str, str]:
    """Return a colour for each model: violet for quantum, others for classical ones."""
    colours = {}
    for kind, palette in (("quantum", QUANTUM), ("classical", CLASSICAL)):
        names = [name for name, model in models.items() if model.kind == kind]
        colours |= {name: palette[index % len(palette)] for index, name in enumerate(names)}
    return colours


def metric_figure(records: Sequence[Record], models: Mapping[str, Model], metric: Metric) -> "Figure":
    """Draw a row for each model: a point a seed, the mean over seeds and its 95 % interval."""
    with figure_style():
        rows = summarise(records, metric)
        colours = model_colours(models)
        figure = new_figure(8.0, 0.9 + 0.55 * len(rows))
        axes = figure.subplots()
        for height, row in enumerate(reversed(rows)):
            _draw_summary(axes, row, height, colours[row.model], metric)
        axes.set_yticks(
            range(len(rows)),
            [f"{models[row.model].title}\n{row.n_parameters} parameters" for row in reversed(rows)],
        )
        axes.set_ylim(-0.5, len(rows) - 0.4)
        axes.margins(x=0.08)
        axes.set_xlabel(f"{metric.title}{' (%)' if metric.percent else ''}: seeds, mean and 95 % interval")
        axes.tick_params(length=0)
        axes.grid(axis="x", color=FAINT, lw=0.7)
        axes.set_axisbelow(True)
    return figure


def _draw_summary(axes: "Axes", row: ModelSummary, height: float | int, colour: str, metric: Metric) -> None:
    """Draw a model's seeds as points at a height, and below them its mean and interval."""
    unit = 100.0 if metric.percent else 1.0
    values, mean = [unit * value for value in row.values], unit * row.estimate.mean
    spread = np.linspace(-0.13, 0.13, len(values)) if len(values) > 1 else [0.0]
    axes.scatter(values, height + 0.2 + np.array(spread) / 2, s=22, color=colour, alpha=0.55, lw=0)
    ends = [unit * row.estimate.low, unit * row.estimate.high]
    axes.plot(ends, [height - 0.08] * 2, color=colour, lw=4, solid_capstyle="round", alpha=0.4)
    axes.plot(mean, height - 0.08, "o", ms=9, color=colour, mec="white", mew=1.5)
    axes.annotate(
        metric.show(row.estimate.mean),
        (1.01, height - 0.08),
        xycoords=("axes fraction", "data"),
        va="center",
        weight="bold",
        color=colour,
    )


def ranks_figure(
    records: Sequence[Record], models: Mapping[str, Model], metric: Metric, *, ranked_on: str = "seeds"
) -> "Figure | None":
    """Draw a critical-difference diagram: mean ranks over seeds, with bars over models that are not told apart.

    The result is None for fewer than three models or five seeds, where the test has no force.

    Reference:
        Demsar, J. Mach. Learn. Res. 7, 1 (2006), figure 1.
    """
    ranks, n_seeds = mean_ranks(records, metric)
    if len(ranks) < MIN_RANKED_MODELS or n_seeds < MIN_RANKED_SEEDS:
        return None
    least = critical_difference(len(ranks), n_seeds)
    order = sorted(ranks, key=lambda name: ranks[name])
    with figure_style():
        figure = new_figure(8.0, 1.2 + 0.32 * len(order))
        axes = figure.subplots()
        for row, name in enumerate(order):
            colour = model_colours(models)[name]
            axes.plot([ranks[name]] * 2, [0.0, -1.0 - row], color=colour, lw=1.0)
            axes.annotate(
                f" {models[name].title}  {ranks[name]:.2f}", (ranks[name], -1.0 - row), va="center", color=colour
            )
        for level, group in enumerate(alike([ranks[name] for name in order], least)):
            ends = [ranks[order[group[0]]] - 0.03, ranks[order[group[1]]] + 0.03]
            axes.plot(ends, [0.35 + 0.3 * level] * 2, color=INK, lw=3.5, solid_capstyle="round")
        axes.set_xlim(0.8, len(order) + 1.2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"mean rank over {n_seeds} {ranked_on}, 1 is best; critical difference {least:.2f}")
        axes.tick_params(length=0)
    return figure


def alike(ranks: Sequence[float], least: float) -> list[tuple[int, int]]:
    """Return first and last place of each longest run of two or more sorted ranks that lie within `least`."""
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(place for place in range(first, len(ranks)) if ranks[place] - ranks[first] < least)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def curves_figure(records: Sequence[Record], models: Mapping[str, Model]) -> "Figure | None":
    """Draw each curve of the models that keep it: the mean over seeds, and the range as a band."""
    kept = [record for record in records if record.outcome.details.get("curves")]
    if not kept:
        return None
    names = list(dict.fromkeys(name for record in kept for name in record.outcome.details["curves"]))
    with figure_style():
        figure = new_figure(9.6, 3.2)
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        colours = model_colours(models)
        for axes, name in zip(panels, names, strict=True):
            share = name.endswith("accuracy")
            having = [record for record in kept if name in record.outcome.details["curves"]]
            for model in dict.fromkeys(record.model for record in having):
                curves = [record.outcome.details["curves"][name] for record in having if record.model == model]
                _band(axes, curves, 100.0 if share else 1.0, colours[model], models[model].title)
            axes.set_title(name.replace("_", " ").capitalize() + (" (%)" if share else ""))
            axes.set_xlabel("epoch")
            axes.grid(color=FAINT, lw=0.7)
            axes.tick_params(length=0)
        handles: dict[str, Any] = {}
        for axes in panels:
            handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def confusion_figure(
    records: Sequence[Record], models: Mapping[str, Model], labels: tuple[str, str]
) -> "Figure | None":
    """Draw the test counts of all seeds together, as a matrix for each model."""
    kept = [record for record in records if record.outcome.details.get("confusion")]
    names = list(dict.fromkeys(record.model for record in kept))
    if not names:
        return None
    with figure_style():
        figure = new_figure(max(2.3 * len(names), 4.0), 2.6)
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            counts = sum(np.array(record.outcome.details["confusion"]) for record in kept if record.model == name)
            _matrix(axes, np.array(counts), model_colours(models)[name])
            axes.set_title(models[name].title, fontsize=9)
            axes.set_xticks([0, 1], labels)
            axes.set_yticks([0, 1], labels if name == names[0] else ["", ""])
            axes.set_xlabel("predicted")
        figure.axes[0].set_ylabel("true")
    return figure


def circuit_figure(circuit: Circuit) -> "Figure":
    """Draw `circuit` in the package's look."""
    with figure_style():
        figure = circuit.draw("mpl")
    if isinstance(figure, str):
        raise TypeError('Argument `circuit` must draw a figure for "mpl", but drew text.')
    return figure


def to_data_uri(figure: "Figure") -> str:
    """Return `figure` as an SVG inside a data URI, so that an HTML file needs no other."""
    buffer = io.BytesIO()
    with figure_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _band(axes: "Axes", curves: list[list[float]], unit: float, colour: str, title: str) -> None:
    length = min(len(curve) for curve in curves)
    values = unit * np.array([curve[:length] for curve in curves])
    epochs = np.arange(1, length + 1)
    axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)
    axes.plot(epochs, values.mean(0), color=colour, lw=1.8, label=title)


def _matrix(axes: "Axes", counts: np.ndarray, colour: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap=LinearSegmentedColormap.from_list("", ["#ffffff", colour]), vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        dark = shares[row, column] > 0.7
        axes.text(
            column,
            row,
            f"{counts[row, column]}\n{100 * shares[row, column]:.1f} %",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else INK,
        )
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
