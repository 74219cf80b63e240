"""Pictures of recurrent models: their losses, and the norms of their gradients over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qml.compare.figures import FAINT, figure_style, model_colours, new_figure
from qml.compare.task import Model, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOWEST_NORM = 1e-12  # smaller norms are drawn there, for the sake of the logarithm


def losses_figure(records: Sequence[Record], models: Mapping[str, Model], goal: float | None) -> "Figure":
    """Draw the loss by mini-batch, a thin line for each seed, and the goal."""
    colours = model_colours(models)
    with figure_style():
        figure = new_figure(7.6, 3.4)
        axes = figure.subplots()
        for record in records:
            numbers, losses = zip(*record.outcome.details["losses"], strict=True)
            first = record.seed == records[0].seed
            axes.plot(
                numbers,
                np.maximum(losses, LOWEST_NORM),
                color=colours[record.model],
                lw=1.1,
                alpha=0.6,
                label=models[record.model].title if first else None,
            )
        if goal is not None:
            axes.axhline(goal, color=FAINT, lw=1.2, ls="--")
        axes.set_yscale("log")
        axes.set_xlabel("mini-batch")
        axes.set_ylabel("loss")
        if records:
            axes.legend(frameon=False)
        axes.grid(color=FAINT, lw=0.7)
        axes.tick_params(length=0)
    return figure


def norms_figure(records: Sequence[Record], models: Mapping[str, Model]) -> "Figure":
    """Draw gradient norms over time steps, before training (dashed) and after."""
    colours = model_colours(models)
    with figure_style():
        figure = new_figure(7.6, 3.4)
        axes = figure.subplots()
        for model in dict.fromkeys(record.model for record in records):
            for kind, style in (("norms_before", "--"), ("norms_after", "-")):
                rows = [record.outcome.details[kind] for record in records if record.model == model]
                norms = np.sqrt(np.mean(np.square(rows), axis=0))
                axes.plot(
                    range(1, len(norms) + 1),
                    np.maximum(norms, LOWEST_NORM),
                    style,
                    color=colours[model],
                    lw=1.6,
                    label=models[model].title if kind == "norms_after" else None,
                )
        axes.set_yscale("log")
        axes.set_xlabel("time step")
        axes.set_ylabel("gradient norm")
        if records:
            axes.legend(frameon=False)
        axes.grid(color=FAINT, lw=0.7)
        axes.tick_params(length=0)
    return figure


def digit_shares(records: Sequence[Record]) -> list[float]:
    """Compute the share of each digit's test images that one model names right, a median over its records."""
    counts = np.array([record.outcome.details["matrix"] for record in records], dtype=float)
    right = np.diagonal(counts, axis1=1, axis2=2)
    return np.median(right / counts.sum(2), axis=0).tolist()


def digits_figure(records: Sequence[Record], models: Mapping[str, Model], digits: Sequence[int]) -> "Figure":
    """Draw the right answers digit by digit, a bar for each model."""
    colours, names = model_colours(models), list(dict.fromkeys(record.model for record in records))
    with figure_style():
        figure = new_figure(7.6, 3.0)
        axes = figure.subplots()
        width = 0.8 / max(1, len(names))
        for number, name in enumerate(names):
            shares = digit_shares([record for record in records if record.model == name])
            places = np.arange(len(digits)) + (number - (len(names) - 1) / 2) * width
            axes.bar(places, 100 * np.array(shares), width, color=colours[name], label=models[name].title)
        axes.set_xticks(range(len(digits)), [str(digit) for digit in digits])
        axes.set_xlabel("digit")
        axes.set_ylabel("right, %")
        axes.set_ylim(0, 100)
        if names:
            axes.legend(frameon=False, ncols=len(names), loc="lower left", bbox_to_anchor=(0.0, 1.0))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
    return figure
