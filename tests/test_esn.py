import math
from typing import Any

import numpy as np
import pytest
import torch

from qml.baselines import EchoStateNetwork, OnionESN
from qml.baselines._slices import pays
from qml.baselines.esn import annular_matrix
from tests.helpers import assert_close

FLOAT64 = 1e-12  # sums of a few hundred products, tanh bounds the rest


def plain(network: EchoStateNetwork, series: np.ndarray) -> np.ndarray:
    """The update, written as in the literature."""
    entry, inner = network.input_weight.numpy(), network.recurrent().to_dense().numpy()
    state, found = np.full(len(inner), network.start), []
    for step in series:
        driven = entry @ np.concatenate([[1.0], network.input_scaling * step]) + inner @ state
        new = np.tanh(driven) if network.activation == "tanh" else driven
        state = (1 - network.leak_rate) * state + network.leak_rate * new
        found.append(np.concatenate([network.input_scaling * step, state]) if network.include_inputs else state)
    return np.array(found)


OPTIONS = [
    {},
    {"leak_rate": 0.3, "bias_scaling": 0.5, "input_scaling": 0.2},
    {"activation": "identity", "include_inputs": True, "density": 1.0, "start": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_features_follow_the_equation_alone_and_in_a_batch(options: dict[str, Any]) -> None:
    network = EchoStateNetwork(2, 30, seed=4, **options)
    series = torch.randn(3, 15, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features, state = network(series)
    for row in range(3):
        assert_close(features[row], plain(network, series[row].numpy()), FLOAT64)
        assert_close(network(series[row])[0], features[row], FLOAT64)
    assert_close(state, features[:, -1, -30:], FLOAT64)


@pytest.mark.parametrize("options", [{}, {"leak_rate": 0.3, "bias_scaling": 0.5, "include_inputs": True}])
def test_slices_of_many_series_of_a_large_network_change_nothing(options: dict[str, Any]) -> None:
    network, batch = EchoStateNetwork(2, 2000, density=0.01, seed=3, **options), 35  # slices of 12, the last of 11
    series = torch.randn(batch, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert pays(network.units, batch, network.values)
    features, state = network(series)
    again, end = network(series[:, 4:], network(series[:, :4])[1])
    plain, last = network(series.clone().requires_grad_())  # with derivatives all series run at once
    assert_close(features, plain.detach(), FLOAT64)
    assert_close(state, last.detach(), FLOAT64)
    assert_close(again, features[:, 4:], FLOAT64)
    assert_close(end, state, FLOAT64)


@pytest.mark.parametrize("batch", [1, 3])
def test_inputs_have_gradients(batch: int) -> None:
    network = EchoStateNetwork(1, 6, seed=1, density=0.5, leak_rate=0.7)
    inputs = torch.randn(batch, 4, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network(x)[0], inputs)


@pytest.mark.parametrize("units", [40, 700])  # all eigenvalues, and the largest only
def test_the_spectral_radius_is_what_was_asked_for(units: int) -> None:
    network = EchoStateNetwork(1, units, spectral_radius=0.8, seed=2)
    largest = np.abs(np.linalg.eigvals(network.recurrent().to_dense().numpy())).max()
    assert math.isclose(largest, 0.8, rel_tol=1e-6)  # Arnoldi stops there or nearer


def test_annuli_hold_the_eigenvalues() -> None:
    sizes, radii = (30, 25, 20), (0.1, 0.4, 0.8, 0.95)
    onion = OnionESN(1, sizes, radii, seed=3)
    whole = onion.recurrent().to_dense().numpy()
    start = 0
    for size, inner, outer in zip(sizes, radii, radii[1:], strict=False):
        block = whole[start : start + size, start : start + size]
        moduli = np.abs(np.linalg.eigvals(block))
        # eigenvalues of a matrix this far from normal are computed to about 1e-6
        assert moduli.min() > inner - 1e-5
        assert abs(moduli.max() - outer) < 1e-5
        whole[start : start + size, start : start + size] = 0.0
        start += size
    assert not whole.any()  # groups do not see each other


def test_an_annulus_is_filled_evenly() -> None:
    matrix = np.random.default_rng(0).standard_normal((300, 300))
    moduli = np.abs(np.linalg.eigvals(annular_matrix(matrix, 0.5, 1.0)))
    expected = (0.75**2 - 0.5**2) / (1.0 - 0.5**2)  # the area inside 0.75
    assert abs((moduli < 0.75).mean() - expected) < 0.06  # the disc of 300 eigenvalues is not quite even


@pytest.mark.parametrize("value", [-2.0, 0.0])
def test_a_matrix_of_one_entry_keeps_its_sign(value: float) -> None:
    assert_close(
        annular_matrix(np.array([[value]]), 0.2, 0.5), [[math.copysign(0.5, value) if value else 0.2]], FLOAT64
    )


def test_seeds_repeat_and_differ() -> None:
    first, again, other = (EchoStateNetwork(1, 20, seed=seed).values for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EchoStateNetwork(1, 0), "`units` must be at least 1"),
        (lambda: EchoStateNetwork(0), "`n_inputs` must be at least 1"),
        (lambda: EchoStateNetwork(1, 5, density=0.0), r"`density` must lie in \(0, 1\]"),
        (lambda: EchoStateNetwork(1, 5, leak_rate=1.5), r"`leak_rate` must lie in \(0, 1\]"),
        (lambda: EchoStateNetwork(1, 5, spectral_radius=-1.0), "`spectral_radius` must be at least 0"),
        (lambda: EchoStateNetwork(1, 5, activation="relu"), "must be one of tanh, identity"),
        (lambda: EchoStateNetwork(1, 1, density=1e-9), "without eigenvalues other than 0"),
        (lambda: OnionESN(1, (5, 5), (0.5, 0.1, 1.0)), "must hold 3 ascending numbers"),
        (lambda: OnionESN(1, (), (0.5,)), "at least one group, but is empty"),
        (lambda: EchoStateNetwork.from_matrices(np.ones((3, 2)), np.ones((3, 2))), "must have shapes"),
        (
            lambda: EchoStateNetwork.from_matrices(np.ones((3, 2)), np.full((3, 3), np.nan)),
            "`recurrent` must be finite",
        ),
    ],
)
def test_bad_options_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
