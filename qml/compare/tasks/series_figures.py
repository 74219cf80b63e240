"""Pictures of a series, and of what models foretold of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from qml.compare.figures import FAINT, INK, figure_style, model_colours, new_figure
from qml.compare.task import Model, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def series_figure(values: Float[Tensor, " time"], n_train: int) -> "Figure":
    """Draw the whole series; the part behind the dotted line is for the test."""
    with figure_style():
        figure = new_figure(8.0, 2.2)
        axes = figure.subplots()
        axes.plot(values, color=INK, lw=1.2)
        axes.axvline(n_train, color=INK, lw=0.8, ls=":")
        axes.set_xlabel("step")
        axes.tick_params(length=0)
    return figure


def ahead_figure(truth: Float[Tensor, " time"], records: Sequence[Record], models: Mapping[str, Model]) -> "Figure":
    """Draw the truth and each model's forecast a step ahead, of its first seed, and below it the size of its error."""
    colours = model_colours(models)
    with figure_style():
        figure = new_figure(8.0, 5.0)
        values, errors = figure.subplots(2, 1, sharex=True)
        values.plot(truth, color=INK, lw=2.2, label="truth")
        for name in dict.fromkeys(record.model for record in records):
            record = next(record for record in records if record.model == name)
            forecast = np.array(record.outcome.details["forecast"][0])[: len(truth)]
            error = np.abs(forecast - truth.numpy())
            style = {"color": colours[name], "lw": 1.1, "ls": "-" if models[name].kind == "quantum" else "--"}
            values.plot(forecast, label=models[name].title, **style)
            errors.semilogy(np.maximum(error, 1e-8), **style)
        values.set_ylabel("scaled value")
        errors.set_ylabel("size of the error")
        errors.set_xlabel("step of the test part")
        for axes in (values, errors):
            axes.grid(color=FAINT, lw=0.7)
            axes.tick_params(length=0)
        figure.legend(*values.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure
