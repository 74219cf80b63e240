"""Pictures of the digits: as they ship, as the models see them, and those that were removed."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qml.compare.figures import FAINT, figure_style, new_figure
from qml.data import Dataset, downsample, unambiguous

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_SHOWN = 5
SIDE = 28


def samples_figure(whole: Dataset, seen: Dataset) -> "Figure":
    """Draw a few images of either digit, and the same ones as the models see them."""
    binary = seen.inputs.shape[1] < whole.inputs.shape[1]
    stages = [("28x28 pixels", whole.inputs)]
    if binary:
        side = _side(seen)
        stages += [
            (f"{side}x{side} means", downsample(whole.inputs, side)),
            (f"{side}x{side} bits", seen.inputs),
        ]
    keep = unambiguous(seen)
    return _stages_figure(stages, whole, keep)


def averaged_figure(whole: Dataset, seen: Dataset) -> "Figure":
    """Draw a few images of either digit, and the same ones after averaging."""
    side = _side(seen)
    stages = [("28x28 pixels", whole.inputs), (f"{side}x{side} means", seen.inputs)]
    return _stages_figure(stages, whole, torch.ones(len(whole), dtype=torch.bool))


def _stages_figure(stages: list[tuple[str, Tensor]], whole: Dataset, keep: Tensor) -> "Figure":
    """Draw the same images of either digit in a row a stage; `keep` tells which may be shown."""
    chosen = [torch.nonzero(keep & (whole.labels == label)).flatten()[:N_SHOWN].tolist() for label in (-1, 1)]
    columns = chosen[0] + chosen[1]
    with figure_style():
        figure = new_figure(0.95 * len(columns), 0.95 * len(stages) + 0.1)
        grid = figure.subplots(len(stages), len(columns), squeeze=False)
        for row, (title, images) in zip(grid, stages, strict=True):
            for axes, index in zip(row, columns, strict=True):
                _draw(axes, images[index].numpy())
            row[0].set_ylabel(title, fontsize=8)
    return figure


def ambiguous_figure(whole: Dataset, seen: Dataset) -> "Figure | None":
    """Draw pairs of images of different digits that share one pattern; None if there are none."""
    pairs = _ambiguous_pairs(seen)
    if not pairs:
        return None
    with figure_style():
        figure = new_figure(0.95 * 3 * len(pairs), 1.35)
        panels = figure.subplots(1, 3 * len(pairs))
        for number, (negative, positive) in enumerate(pairs):
            left, middle, right = panels[3 * number : 3 * number + 3]
            _draw(left, whole.inputs[negative].numpy())
            _draw(middle, seen.inputs[negative].numpy())
            _draw(right, whole.inputs[positive].numpy())
            middle.set_title("both", fontsize=8, loc="center", weight="normal")
    return figure


def _ambiguous_pairs(seen: Dataset) -> list[tuple[int, int]]:
    """Return indices of one image of either label for each of the most frequent shared patterns."""
    patterns, inverse, counts = torch.unique(seen.inputs, dim=0, return_inverse=True, return_counts=True)
    pairs = []
    for pattern in torch.argsort(counts, descending=True).tolist():
        members = inverse == pattern
        negative, positive = (torch.nonzero(members & (seen.labels == label)).flatten().tolist() for label in (-1, 1))
        if negative and positive:
            pairs.append((negative[0], positive[0]))
    return pairs[: min(3, len(patterns))]


def _draw(axes: "Axes", pixels: np.ndarray) -> None:
    side = round(len(pixels) ** 0.5)
    axes.imshow(1 - pixels.reshape(side, side), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)


def _side(data: Dataset) -> int:
    return round(data.inputs.shape[1] ** 0.5)
