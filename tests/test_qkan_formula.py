"""Spectra, formulas, extension, importance and pruning."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, data, weight
from qml.nn import DARUAN, QKAN, QKANLayer
from tests.helpers import assert_close

SAME = 1e-10  # float64 algebra over 3**3 terms, and frequencies rounded to 12 digits
OWN = Circuit(1).ry(weight(0), 0).rz(data(1), 0).t(0).exp_pauli(data(0), "X", 0).ry(weight(1), 0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomised(module: nn.Module) -> Any:
    generator = seeded(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype), alpha=0.4)
    return module


def values_of(formulas: list, inputs: np.ndarray) -> np.ndarray:
    import sympy

    symbols = sympy.symbols(f"x_1:{inputs.shape[1] + 1}", real=True)
    columns = [sympy.lambdify(symbols, formula, "numpy")(*inputs.T) for formula in formulas]
    return np.stack([np.broadcast_to(column, len(inputs)) for column in columns], 1)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("ansatz", ["pz", "rpz", "real", "mix", OWN])
def test_the_spectrum_is_the_activation(ansatz: str | Circuit, trained: bool) -> None:
    module = randomised(DARUAN(3, ansatz=ansatz, train_preactivation=trained, dtype=torch.float64, generator=seeded()))
    points = torch.linspace(-2, 2, 9, dtype=torch.float64)
    spectrum = module.spectrum()
    assert_close(module(points[:, None].expand(-1, 3)), spectrum.evaluate(points.numpy()), SAME)
    assert (np.diff(spectrum.frequencies[0]) > 0).all()
    assert (spectrum.frequencies >= 0).all()
    if not trained and ansatz == "pz":
        assert spectrum.frequencies[0].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("options", [{}, {"ansatz": "px", "train_preactivation": False}, {"groups": 2, "base": None}])
def test_formulas_are_the_layer(options: dict[str, Any]) -> None:
    layer = randomised(QKANLayer(3, 2, reps=2, dtype=torch.float64, generator=seeded(), **options))
    layer.mask[0, 1] = 0.0
    inputs = 0.9 * (2 * torch.rand(6, 3, dtype=torch.float64, generator=seeded(2)) - 1)
    assert_close(layer(inputs), values_of(layer.to_sympy(), inputs.numpy()), SAME)


def test_the_formula_of_a_network_is_the_network_and_the_tolerance_bounds_what_is_left_out() -> None:
    network = randomised(QKAN([2, 2, 1], reps=1, dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(6, 2, dtype=torch.float64, generator=seeded(2))
    assert_close(network(inputs), values_of(network.to_sympy(), inputs.numpy()), SAME)
    layer = network.layers[0]
    short = layer.to_sympy(tolerance=0.05)
    # 2 edges of at most 2 cosines and a residual: each left out is at most 0.05, and |silu| here below 3
    assert_close(layer(inputs), values_of(short, inputs.numpy()), 2 * (2 + 3) * 0.05)


def test_a_readable_formula_says_nearly_what_the_network_says() -> None:
    network = randomised(QKAN([2, 3, 1], reps=1, dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(20, 2, dtype=torch.float64, generator=seeded(2))
    everything = network.formula(["x", "y"], digits=15, tolerance=0.0)
    assert_close(network(inputs), everything.evaluate(inputs.numpy()), SAME)
    formula = network.formula(["x", "y"], outputs=["f"])
    text = str(formula)
    assert [line.split(" = ")[0] for line in text.splitlines()] == ["h1_1", "h1_2", "h1_3", "f"]
    assert "silu(x)" in text
    assert "exp(" not in text
    assert len(text) < 0.5 * len(str(network.to_sympy(["x", "y"])))
    error = np.abs(network(inputs).detach().numpy() - formula.evaluate(inputs.numpy())).max()
    assert 0 < error < 0.2  # some 40 terms of at most 1 % of a layer's largest
    assert formula._repr_latex_().startswith("$\\displaystyle")


def test_a_readable_formula_leaves_out_nodes_that_nothing_reads() -> None:
    network = randomised(QKAN([2, 3, 2], reps=1, dtype=torch.float64, generator=seeded()))
    network.layers[1].mask[:, 1] = 0.0
    formula = network.formula()
    assert [name for name, _ in formula.lines] == ["h1_1", "h1_3", "y_1", "y_2"]
    network.layers[1].mask[1] = 0.0
    inputs = torch.randn(4, 2, dtype=torch.float64, generator=seeded(2))
    assert (network.formula().evaluate(inputs.numpy())[:, 1] == 0).all()


def test_pruning_that_leaves_a_constant_is_refused_and_changes_nothing() -> None:
    network = randomised(QKAN([2, 3, 1], dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(20, 2, dtype=torch.float64, generator=seeded(2))
    before = network(inputs)
    for options in ({"edge": 99.0}, {"node": 99.0}):
        with pytest.raises(ValueError, match="layer 0 would have none: the network would be a constant"):
            network.prune(inputs, **options)
    assert torch.equal(network(inputs), before)


def test_what_has_no_formula_is_refused() -> None:
    for module, message in (
        (DARUAN(1, ansatz="px"), "only with train_preactivation=False"),
        (DARUAN(1, readout="amplitudes"), '`readout` must be "z"'),
        (DARUAN(1, reps=10), "10 uploads give 59049"),
    ):
        with pytest.raises(ValueError, match=message):
            module.spectrum()
    with pytest.raises(ValueError, match="`base` must be silu, identity or None"):
        QKANLayer(1, 1, base="gelu").to_sympy()
    with pytest.raises(ValueError, match="`variables` must hold 2 expressions"):
        QKANLayer(2, 1).to_sympy([1])


@pytest.mark.parametrize("ansatz", ["pz", "rpz", "mix", "real"])
def test_layer_extension_keeps_the_function(ansatz: str) -> None:
    network = randomised(QKAN([2, 3, 1], reps=2, ansatz=ansatz, dtype=torch.float64, generator=seeded()))
    network.layers[0].mask[1, 0] = 0.0
    inputs = torch.randn(40, 2, dtype=torch.float64, generator=seeded(2))
    bigger = network.extended(5)
    assert bigger.layers[0].reps == 5
    assert_close(bigger(inputs), network(inputs), 1e-12)  # float64 algebra
    bigger(inputs).sum().backward()
    added = bigger.layers[0].weights.grad[..., network.layers[0].weights.shape[-1] :]
    slots = bigger.layers[0].input_weight.grad[..., 2:]
    assert max(added.abs().max().item(), slots.abs().max().item()) > 1e-3  # what was added can be trained


def test_daruan_and_fixed_pre_activations_extend_too_and_what_cannot_is_refused() -> None:
    module = DARUAN(3, train_preactivation=False, dtype=torch.float64, generator=seeded())
    inputs = torch.randn(4, 3, dtype=torch.float64, generator=seeded(2))
    assert_close(module.extended(6)(inputs), module(inputs), 1e-12)
    with pytest.raises(ValueError, match="`reps` must be at least 3, but is 2"):
        module.extended(2)
    with pytest.raises(ValueError, match="`ansatz` must be one of pz, rpz, mix, real to be extended, but is 'px'"):
        DARUAN(1, ansatz="px").extended(4)
    with pytest.raises(ValueError, match="`train_preactivation` must be True"):
        DARUAN(1, ansatz="mix", train_preactivation=False).extended(4)


def test_edges_add_up_to_the_layer_and_pruning_takes_out_what_does_nothing() -> None:
    network = randomised(QKAN([3, 4, 1], dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(50, 3, dtype=torch.float64, generator=seeded(2))
    first = network.layers[0]
    assert_close(first.edge_outputs(inputs).sum(2), first(inputs), 1e-12)  # float64 algebra
    with torch.no_grad():
        for parameter in (first.output_weight, first.base_weight):
            parameter[:, 1] = 0.0  # input 1 matters to nothing
        network.layers[1].output_weight[0, 2] = network.layers[1].base_weight[0, 2] = 0.0  # nor does node 2
    before = network(inputs)
    assert network.prune(inputs, edge=1e-6, node=1e-6) == 3 * 2 + 3
    assert first.mask[:, 1].sum() == 0
    assert first.mask[2].sum() == 0
    shift = network(inputs) - before  # of what was constant
    assert_close(shift, shift[0].expand_as(shift), 1e-12)
    assert [score.shape for score in network.importance(inputs)] == [(4, 3), (1, 4)]


def test_regularisation_counts_sizes_and_spread() -> None:
    layer = randomised(QKANLayer(2, 2, dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(20, 2, dtype=torch.float64, generator=seeded(2))
    sizes = layer.edge_outputs(inputs).abs().mean(0)
    shares = sizes / sizes.sum()
    expected = sizes.sum() - 0.5 * (shares * shares.log()).sum()
    assert_close(layer.regularisation(inputs, entropy=0.5), expected, 1e-12)  # float64 algebra
