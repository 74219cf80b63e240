"""What the edges of a network have learned, and its pictures: their content, not their looks."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from qml.analysis import activations
from qml.baselines import KAN
from qml.nn import HQKAN, QKAN, QKANLayer
from tests.helpers import assert_close


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(features: int = 2) -> Tensor:
    return 2 * torch.rand(60, features, dtype=torch.float64, generator=seeded(1)) - 1


def pruned_network() -> QKAN:
    network = QKAN([2, 3, 1], dtype=torch.float64, generator=seeded())
    network.layers[0].mask[1, 0] = 0.0
    return network


def test_curves_and_importance_are_the_layers_own_over_the_range_of_the_data() -> None:
    network, inputs = pruned_network(), points()
    found = activations(network, inputs, n_points=50)
    reached = inputs
    for layer, part in zip(network.layers, found.layers, strict=True):
        assert_close(part.points[0], reached.amin(0), 0)
        assert_close(part.points[-1], reached.amax(0), 1e-15)  # one rounding
        assert_close(part.curves, layer.edge_outputs(torch.from_numpy(part.points)), 0)
        assert_close(part.importance, layer.importance(reached), 1e-15)
        reached = layer(reached)
    assert found.layers[0].kept.tolist() == [[True, True], [False, True], [True, True]]
    (nodes,) = found.node_importance()
    first, second = (part.importance for part in found.layers)
    assert_close(nodes, np.minimum(first.max(1), second[0]), 0)


def test_the_picture_of_a_network_has_a_curve_an_edge_and_what_matters_more_is_darker() -> None:
    found = activations(pruned_network(), points())
    figure = found.plot(inputs=["a", "b"], outputs=["f"])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["a", "b", "f"]
    panels = {panel.get_label(): panel for panel in axes.child_axes}
    kept = [(level, i, j) for level, layer in enumerate(found.layers) for j, i in np.argwhere(layer.kept).tolist()]
    assert len(kept) == 5 + 3
    assert set(panels) == {f"layer {level}, edge {i} to {j}" for level, i, j in kept}
    drawn, scores = [], []
    for level, i, j in kept:
        (line,) = panels[f"layer {level}, edge {i} to {j}"].lines
        assert_close(line.get_xdata(), found.layers[level].points[:, i], 0)
        assert_close(line.get_ydata(), found.layers[level].curves[:, j, i], 0)
        if level == 0:
            drawn.append(line.get_alpha())
            scores.append(found.layers[0].importance[j, i])
    assert np.argsort(drawn).tolist() == np.argsort(scores).tolist()
    assert max(drawn) == 1.0
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [2, 3, 1]
    ties = [line for line in axes.lines if line.get_marker() != "o"]
    assert len(ties) == 2 * len(kept)  # from a node to its curve, from the curve to a node
    assert sorted({line.get_alpha() for line in ties[:10]}) == sorted(drawn)


def test_a_layer_has_a_panel_an_edge_with_its_score() -> None:
    part = activations(pruned_network(), points()).layers[0]
    figure = part.plot(inputs=["a", "b"])
    assert len(figure.axes) == 6
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[1] == f"b to $y_{{1}}$: {part.importance[0, 1]:.2g}"
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 0, 1, 1, 1]
    assert_close(figure.axes[5].lines[0].get_ydata(), part.curves[:, 2, 1], 0)


def test_kans_single_layers_and_the_core_of_a_hybrid_are_drawn_too() -> None:
    kan = activations(KAN([2, 3, 1], dtype=torch.float64, generator=seeded()), points())
    assert all(layer.kept.all() for layer in kan.layers)
    assert isinstance(kan.plot(), Figure)
    (layer,) = activations(QKANLayer(2, 3, groups=1, dtype=torch.float64), points()).layers
    assert layer.curves.shape == (100, 3, 2)
    hybrid = HQKAN(6, 4, dtype=torch.float64, generator=seeded())
    inputs = points(6)
    (core,) = activations(hybrid, inputs).layers
    assert_close(core.importance, hybrid.core.importance(hybrid.encoder(inputs))[0], 1e-15)
    given = Figure()
    assert kan.plot(given.subplots()) is given


def test_what_cannot_be_drawn_is_refused() -> None:
    network = pruned_network()
    with pytest.raises(TypeError, match=r"`network` must be a network of functions on edges .*, but is Linear"):
        activations(nn.Linear(2, 1), points())
    with pytest.raises(ValueError, match=r"`inputs` must have shape .* with at least one sample"):
        activations(network, points()[:0])
    with pytest.raises(ValueError, match="`n_points` must be at least 2"):
        activations(network, points(), n_points=1)
    with pytest.raises(ValueError, match="`outputs` must hold 1 names, but holds 2"):
        activations(network, points()).plot(outputs=["f", "g"])


def test_regularised_training_concentrates_a_network_so_that_it_can_be_pruned() -> None:
    """One of three inputs matters: the penalty takes the others' importance away, and pruning takes them out."""
    network = QKAN([3, 2, 1], reps=2, dtype=torch.float64, generator=seeded(4))
    inputs = points(3)
    targets = torch.sin(2 * inputs[:, :1])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(250):
        optimizer.zero_grad()
        loss = (network(inputs) - targets).square().mean() + 0.01 * network.regularisation(inputs, entropy=2.0)
        loss.backward()
        optimizer.step()
    first = network.importance(inputs)[0].amax(0)
    assert first[0] > 10 * first[1:].max()
    before = (network(inputs) - targets).square().mean()
    left = network.prune(inputs, edge=0.02, node=0.02)
    assert 2 <= left <= 4
    assert network.layers[0].mask[:, 1:].sum() == 0
    assert (network(inputs) - targets).square().mean() < before + 0.01
