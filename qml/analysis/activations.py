"""The functions that edges of a QKAN or KAN have learned: curves, importance, and pictures of both."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits.pictures import ShowsPlot, axes_of, new_figure
from qml import checks
from qml.edges import edge_layers
from qml.nn import JHCGNet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINTEST = 0.15  # opacity of an edge of no importance
PANEL_SIZE = (0.11, 0.13)  # width of an edge's curve in a network's picture, and its height in layers

MOST_PANELS = 60  # a notebook shows pictures of more edges only where they are asked for: each panel takes 10 ms


@dataclass(frozen=True, eq=False)
class LayerActivations(ShowsPlot):
    """The edges of one layer over the range of its inputs.

    Attributes:
        points: Evenly spaced inputs, shape (points, in_features).
        curves: f_ji, shape (points, out_features, in_features).
        importance: Standard deviation of every edge's part of the output over the data, (out_features, in_features).
        kept: False where the edge is pruned; of the same shape.
    """

    points: np.ndarray
    curves: np.ndarray
    importance: np.ndarray
    kept: np.ndarray

    @property
    def opacity(self) -> np.ndarray:
        """Return every edge's opacity in pictures: faint to 1 for the layer's most important one, 0 where pruned."""
        largest = max(self.importance.max(), np.finfo(float).tiny)
        return np.where(self.kept, 1 - (1 - FAINTEST) * (1 - self.importance / largest), 0.0)

    def plot(self, *, inputs: list | None = None, outputs: list | None = None) -> "Figure":
        """Draw a panel for each edge, a row an output, a column an input; pruned edges stay empty.

        Args:
            inputs: Names or sympy symbols of the inputs; None for x_1, x_2, ...
            outputs: Names of the outputs; None for y_1, y_2, ...

        Raises:
            ValueError: If there are not as many names as features.
        """
        rows, columns = self.importance.shape
        inputs, outputs = _names(inputs, columns, "x", "inputs"), _names(outputs, rows, "y", "outputs")
        figure = new_figure(figsize=(1.9 * columns + 0.4, 1.5 * rows + 0.4), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False)
        for j, i in product(range(rows), range(columns)):
            axes = panels[j, i]
            if self.kept[j, i]:
                axes.plot(self.points[:, i], self.curves[:, j, i], color="k", alpha=self.opacity[j, i])
            axes.set_title(f"{inputs[i]} to {outputs[j]}: {self.importance[j, i]:.2g}", fontsize=8)
            axes.tick_params(labelsize=7)
        return figure

    def _is_shown(self) -> bool:
        return self.importance.size <= MOST_PANELS


@dataclass(frozen=True, eq=False)
class NetworkActivations(ShowsPlot):
    """The edges of all layers of a network.

    Attributes:
        layers: Layers from the input to the output.
    """

    layers: tuple[LayerActivations, ...]

    def node_importance(self) -> list[np.ndarray]:
        """Return for every hidden node the smaller of its most important edges in and out."""
        pairs = zip(self.layers, self.layers[1:], strict=False)
        return [np.minimum(before.importance.max(1), after.importance.max(0)) for before, after in pairs]

    def plot(self, ax: "Axes | None" = None, *, inputs: list | None = None, outputs: list | None = None) -> "Figure":
        """Draw the network: inputs below, outputs above, on every edge its curve, the fainter the less it matters.

        Args:
            ax: The axes to draw on; None for a new figure.
            inputs: Names or sympy symbols of the inputs; None for x_1, x_2, ...
            outputs: Names of the outputs; None for y_1, y_2, ...

        Raises:
            ValueError: If there are not as many names as features.
        """
        sizes = [layer.importance.shape[1] for layer in self.layers] + [self.layers[-1].importance.shape[0]]
        inputs, outputs = _names(inputs, sizes[0], "x", "inputs"), _names(outputs, sizes[-1], "y", "outputs")
        axes = axes_of(ax)
        for level, layer in enumerate(self.layers):
            self._draw_layer(axes, layer, level, sizes[level], sizes[level + 1])
        for level, size in enumerate(sizes):
            axes.plot([_place(k, size) for k in range(size)], [level] * size, "o", color="k", ms=5, zorder=3)
        for names, level, offset in ((inputs, 0, -0.12), (outputs, len(self.layers), 0.12)):
            for k, name in enumerate(names):
                axes.text(_place(k, len(names)), level + offset, name, ha="center", va="center")
        axes.set(xlim=(0, 1), ylim=(-0.25, len(self.layers) + 0.25))
        axes.axis("off")
        return axes.figure  # pyright: ignore[reportReturnType]

    def _is_shown(self) -> bool:
        return sum(layer.importance.size for layer in self.layers) <= MOST_PANELS

    def _draw_layer(self, axes: "Axes", layer: LayerActivations, level: int, n_in: int, n_out: int) -> None:
        """Draw panels in one row, those of an input side by side, each tied to its two nodes."""
        width = min(PANEL_SIZE[0], 0.8 / (n_in * n_out))
        for i, j in product(range(n_in), range(n_out)):
            if not layer.kept[j, i]:
                continue
            centre, alpha = _place(i * n_out + j, n_in * n_out), float(layer.opacity[j, i])
            low, high = level + 0.5 - PANEL_SIZE[1], level + 0.5 + PANEL_SIZE[1]
            axes.plot([_place(i, n_in), centre], [level, low], color="k", lw=1, alpha=alpha, zorder=1)
            axes.plot([centre, _place(j, n_out)], [high, level + 1], color="k", lw=1, alpha=alpha, zorder=1)
            panel = axes.inset_axes((centre - width / 2, low, width, high - low), transform=axes.transData)
            panel.plot(layer.points[:, i], layer.curves[:, j, i], color="k", lw=1.2, alpha=alpha)
            panel.set(xticks=[], yticks=[], label=f"layer {level}, edge {i} to {j}")


@torch.no_grad()
def activations(
    network: nn.Module, inputs: Float[Tensor, "batch inputs"], *, n_points: int = 100
) -> NetworkActivations:
    """Return the learned curves of a network of functions on edges, over the range of the data.

    Args:
        network: A QKAN, a KAN, one layer of either, or an HQKAN, whose core is analysed.
        inputs: Data, at least one sample; curves are drawn over their range, and over that of each layer's inputs.
        n_points: Points of every curve, at least 2.

    Raises:
        TypeError: If the network is of another kind.
        ValueError: If there are no data, or fewer than two points.

    Reference:
        Liu et al., arXiv:2404.19756, whose figures show networks so.
    """
    n_points = checks.as_int(n_points, "n_points", 2)
    checks.require_tensor(inputs, "inputs")
    if inputs.ndim != 2 or len(inputs) == 0:
        raise ValueError(
            f"Argument `inputs` must have shape (batch, inputs) with at least one sample, but has shape "
            f"{tuple(inputs.shape)}."
        )
    if isinstance(network, JHCGNet):
        network, inputs = network.core, network.encoder(inputs)
    layers = []
    for layer in edge_layers(network, "network"):
        low, high = inputs.amin(0), inputs.amax(0)
        shares = torch.linspace(0, 1, n_points, dtype=inputs.dtype, device=inputs.device)[:, None]
        points = low + shares * (high - low)
        curves, importance = layer.edge_outputs(points), layer.edge_outputs(inputs).std(0, correction=0)
        kept = getattr(layer, "mask", torch.ones_like(importance)) != 0
        layers.append(LayerActivations(*(part.cpu().numpy() for part in (points, curves, importance, kept))))
        inputs = layer(inputs)
    return NetworkActivations(tuple(layers))


def _place(index: int, size: int) -> float:
    """Return the position of one of `size` nodes side by side, in [0, 1]."""
    return (index + 0.5) / size


def _names(names: list | None, size: int, letter: str, argument: str) -> list[str]:
    if names is None:
        return [f"${letter}_{{{k + 1}}}$" for k in range(size)]
    if len(names) != size:
        raise ValueError(f"Argument `{argument}` must hold {size} names, but holds {len(names)}.")
    return [str(name) for name in names]
