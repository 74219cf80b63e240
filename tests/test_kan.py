"""B-spline networks, and moving functions between them and QKANs."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

from circuits import Z
from circuits.daruan import daruan_circuit
from qml.baselines import KAN, KANLayer, count_parameters
from qml.edges import edge_layers, sample_edges
from qml.nn import HQKAN, QKAN, JHCGNet, QKANLayer
from qml.nn.qkan.synthesis import angles_of
from tests import oracle
from tests.helpers import assert_close

SAME = 1e-12  # float64 algebra


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def square(n: int, features: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return (2 * torch.rand(n, features, dtype=torch.float64, generator=seeded(9)) - 1).to(dtype)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("grid", [1, 4])
def test_splines_are_those_of_scipy(grid: int, degree: int) -> None:
    layer = KANLayer(2, 3, grid=grid, degree=degree, domain=(-0.5, 2.0), dtype=torch.float64, generator=seeded())
    step = 2.5 / grid
    knots = -0.5 + step * np.arange(-degree, grid + degree + 1)
    inputs = torch.linspace(-0.5, 1.999, 40, dtype=torch.float64)[:, None].expand(-1, 2)
    assert layer.splines(inputs).shape == (40, 2, grid + degree)
    assert_close(layer.splines(inputs).sum(-1), torch.ones(40, 2), SAME)
    for j, i in ((0, 1), (2, 0)):
        expected = BSpline(knots, layer.coefficients[j, i].detach().numpy(), degree)(inputs[:, i])
        expected = torch.from_numpy(expected) + layer.base_weight[j, i] * nn.functional.silu(inputs[:, i])
        assert_close(layer.edge_outputs(inputs)[:, j, i], expected, SAME)
    assert_close(layer(inputs), layer.edge_outputs(inputs).sum(2), SAME)


def test_a_kan_has_the_shapes_and_habits_of_a_layer() -> None:
    network = KAN([3, 4, 2], generator=seeded())
    assert count_parameters(network) == (3 * 4 + 4 * 2) * (5 + 3 + 1)
    for shape in ((3,), (5, 3), (2, 5, 3), (0, 3)):
        assert network(torch.zeros(shape)).shape == (*shape[:-1], 2)
    before = torch.get_rng_state()
    assert torch.equal(KAN([3, 4, 2], generator=seeded()).layers[0].coefficients, network.layers[0].coefficients)
    assert torch.equal(before, torch.get_rng_state())
    inputs = square(4, 2).requires_grad_()
    assert torch.autograd.gradcheck(KAN([2, 2, 1], dtype=torch.float64, generator=seeded()), inputs)
    for value in (1e6, 1e-45, 1e30):
        assert torch.isfinite(network(torch.full((2, 3), value))).all()


@pytest.mark.parametrize("core", ["qkan", "kan", "mlp"])
def test_any_core_stands_between_affine_maps(core: str) -> None:
    cores: dict[str, nn.Module] = {
        "qkan": QKAN([2, 3], dtype=torch.float64, generator=seeded()),
        "kan": KAN([2, 3], dtype=torch.float64, generator=seeded()),
        "mlp": nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double(),
    }
    network = JHCGNet(5, 4, cores[core], latent=(2, 3), dtype=torch.float64, generator=seeded())
    inputs = torch.rand(2, 7, 5, dtype=torch.float64, generator=seeded(1))
    outputs = network(inputs)
    assert outputs.shape == (2, 7, 4)
    expected = cores[core](inputs @ network.encoder.weight.mT + network.encoder.bias)
    assert_close(outputs, expected @ network.decoder.weight.mT + network.decoder.bias, SAME)
    outputs.square().sum().backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in network.parameters())


def test_bad_arguments_of_a_kan_are_refused() -> None:
    for name in ("in_features", "out_features", "grid", "degree"):
        options: dict[str, Any] = {"in_features": 2, "out_features": 2} | {name: 0}
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1, but is 0"):
            KANLayer(**options)
    with pytest.raises(ValueError, match="`domain` must be"):
        KANLayer(1, 1, domain=(1.0, 1.0))
    with pytest.raises(ValueError, match="`widths` must hold at least 2"):
        KAN([2])
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 2\), but has shape \(4, 3\)"):
        KAN([2, 1])(torch.zeros(4, 3))


@pytest.mark.parametrize("reps", [1, 2, 5, 30])
def test_angles_make_any_trigonometric_polynomial_below_one(reps: int) -> None:
    draw = np.random.default_rng(reps).normal
    cosines, sines = (draw(size=(3, reps + 1)) / (1 + np.arange(reps + 1)) for _ in range(2))
    sines[:, 0] = 0.0
    points = np.linspace(0, 2 * np.pi, 500)
    orders = np.arange(reps + 1)

    def values(at: np.ndarray) -> np.ndarray:
        return np.cos(np.outer(at, orders)) @ cosines.T + np.sin(np.outer(at, orders)) @ sines.T

    scale = 0.9 / np.abs(values(points)).max(0)
    cosines, sines = cosines * scale[:, None], sines * scale[:, None]
    angles, circuit = angles_of(cosines, sines), daruan_circuit("pz", reps)
    at = np.array([0.0, 0.7, -2.5])
    found = [oracle.expectation(circuit, np.tile(at[:, None], reps), edge, [Z(0)])[:, 0] for edge in angles]
    assert_close(np.stack(found, 1), values(at), SAME)
    with pytest.raises(ValueError, match=r"must stay below 1 to be an expectation value, but reaches 1\.8"):
        angles_of(2 * cosines, 2 * sines)


def test_a_qkan_moves_into_splines_and_the_error_falls_as_the_fourth_power_of_an_interval() -> None:
    source = QKAN([2, 5, 1], dtype=torch.float64, generator=seeded(1))
    inputs, others = square(500, 2), 0.99 * square(800, 2)[500:]
    errors = []
    for grid in (10, 20, 40):
        kan, edges, error = KAN.from_network(source, inputs, grid=grid)
        assert kan.widths == (2, 5, 1)
        assert [part.shape for part in edges] == [(5, 2), (1, 5)]
        errors.append((kan(others) - source(others)).abs().max().item())
        assert 0.2 * error < errors[-1] < 2 * error  # other samples of the same range
    assert errors[0] < 5e-3
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 10
    assert all(share.sum() == 0 for share in kan.outside(inputs))
    beyond = 1.5 * inputs
    assert kan.outside(beyond)[0].min() > 0.2
    assert (kan(beyond) - source(beyond)).abs().max() > 100 * errors[2]


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 3e-7), (torch.float32, 3e-5)])
def test_a_round_trip_gives_the_function_back(dtype: torch.dtype, allowed: float) -> None:
    """`allowed`: four times what splines of 80 intervals and polynomials of degree 20 leave, of values up to 5."""
    source, inputs = QKAN([2, 3, 1], dtype=dtype, generator=seeded(1)), square(400, 2, dtype)
    kan = KAN.from_network(source, inputs, grid=80).network
    again = QKAN.from_network(kan, inputs, reps=20)
    assert again.network.layers[0].weights.dtype == dtype
    difference = (again.network(inputs) - source(inputs)).abs().max().item()
    assert difference < allowed
    assert all(error.max() < allowed for error in again.edge_errors)
    assert max(layer.output_weight.abs().max().item() for layer in again.network.layers) < 50  # no waves that cancel


def test_a_kan_that_was_trained_moves_into_a_qkan() -> None:
    kan = KAN([1, 2, 1], dtype=torch.float64, generator=seeded())
    inputs = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
    optimizer = torch.optim.LBFGS(kan.parameters(), line_search_fn="strong_wolfe", max_iter=200)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (kan(inputs) - torch.sin(math.pi * inputs)).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    coarse, fine = (QKAN.from_network(kan, inputs, reps=reps) for reps in (2, 12))
    assert coarse.error > 10 * fine.error
    assert fine.error < 2e-3
    assert (fine.network(inputs) - torch.sin(math.pi * inputs)).abs().max() < 5e-3


def test_grids_follow_what_reaches_them_and_keep_the_function() -> None:
    kan = KAN([2, 3, 1], grid=8, domain=(-1.05, 1.05), dtype=torch.float64, generator=seeded())
    inputs = 0.5 * square(300, 2)
    before = kan(inputs)
    kan.update_grids(inputs)
    assert 0.5 < kan.layers[0].high[0] < 0.55
    assert (kan(inputs) - before).abs().max() < 2e-2  # splines on other knots
    again = kan(inputs)
    kan.update_grids(inputs)
    assert_close(kan(inputs), again, 1e-3)  # the knots of hidden features moved with them


def test_what_cannot_be_transferred_is_refused() -> None:
    source, inputs = QKAN([2, 1], dtype=torch.float64), square(50, 2)
    for bad, message in (
        (inputs[:1], r"must have shape \(at least 2, 2\), but has shape \(1, 2\)"),
        (inputs[:, :1], r"must have shape \(at least 2, 2\)"),
        (inputs * torch.nan, "must be finite"),
        (inputs * torch.tensor([1.0, 0.0]), "must vary in every feature"),
    ):
        for target in (KAN, QKAN):
            with pytest.raises(ValueError, match=message):
                target.from_network(source, bad)
    for other in (nn.Linear(2, 1), nn.Sequential(source), HQKAN(4, 2)):
        with pytest.raises(TypeError, match="`source` must be a network of functions on edges"):
            KAN.from_network(other, inputs)
    with pytest.raises(ValueError, match="`reps` must be at least 1"):
        QKAN.from_network(source, inputs, reps=0)
    with pytest.raises(ValueError, match='must have ansatz "pz", base "silu", no groups and everything trained'):
        QKANLayer(2, 1, base=None).fit(sample_edges(edge_layers(source), inputs, 9)[0])
