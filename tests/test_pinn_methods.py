"""Curriculum, Gaussians, memory over depth, subdomains, the Lagrangian frame, Feynman-Kac, uncertainty."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qml.jets.orders import Orders
from qml.nn import QKAN, QKANLayer
from qml.pinn import (
    MLP,
    Box,
    Curriculum,
    EdgeJets,
    Face,
    FeynmanKac,
    GaussianFeatures,
    Interface,
    Jet,
    LSTMTrunk,
    Observations,
    Pieces,
    Pinn,
    Problem,
    Training,
    bayesian_posterior,
    find_problem,
    in_frame_at_rest,
    lagrangian_convection,
    relative_l2,
    resampled,
    train,
    train_ensemble,
)
from qml.pinn.edges import SERIES_SIZE_LIMIT
from qml.pinn.problems.evolution import diffusivity
from qml.pinn.problems.radial import radial_diffusivity
from tests.helpers import assert_close
from tests.pinn_checks import assert_a_stop_changes_nothing, assert_jets_are_nested_passes, pure

DOUBLE = torch.float64
ROUNDING = 1e-10
CORNERS = {"low": (0.0, 0.0), "high": (1.0, 2.0)}


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def line(**options: object) -> Problem:
    """u'' = 2 on [0, 1] between 0 and 1: x^2."""
    return Problem(
        **{  # pyright: ignore[reportArgumentType]
            "name": "line",
            "domain": Box({"x": (0.0, 1.0)}),
            "fields": ("u",),
            "equations": {"bend": lambda u_xx: u_xx - 2.0},
            "conditions": (Face("left", {"x": 0.0}, lambda u: u), Face("right", {"x": 1.0}, lambda u: u - 1.0)),
            "reference": lambda points: points**2,
        }
        | options
    )


MADE = {
    "gaussians": lambda: nn.Sequential(
        GaussianFeatures(2, 9, width=0.4, dtype=DOUBLE, generator=seeded(), **CORNERS), nn.Linear(9, 1, dtype=DOUBLE)
    ),
    "lstm": lambda: LSTMTrunk(2, 4, 3, dtype=DOUBLE, generator=seeded()),
    "pieces": lambda: Pieces([MLP(2, (4,), dtype=DOUBLE, generator=seeded(n)) for n in range(3)], (0.3, 0.8), column=1),
}


@pytest.mark.parametrize("trunk", MADE)
def test_new_trunks_have_jets_that_agree_with_nested_passes(trunk: str) -> None:
    problem = find_problem("heat")
    network = MADE[trunk]()
    points = torch.as_tensor(problem.domain.sample(7, 1))
    asked = ("u", "u_x", "u_t", "u_xx", "u_xt")
    assert_jets_are_nested_passes(lambda derivatives: Pinn(problem, network, derivatives=derivatives), points, asked)


def test_jets_through_edges_agree_with_nested_passes_through_circuits() -> None:
    problem = find_problem("burgers")
    layers = QKAN([2, 3, 1], reps=2, dtype=DOUBLE, generator=seeded()).layers
    points = torch.as_tensor(problem.domain.sample(30, 1))
    asked = ("u", "u_x", "u_t", "u_xx", "u_xt", "diffusion")
    weights = [part for layer in layers for part in layer.parameters()]
    found = []
    for trunk, expected in ((nn.Sequential(*map(EdgeJets, layers)), "jets"), (nn.Sequential(*layers), "nested")):
        model = Pinn(problem, trunk)
        assert model.derivatives == expected
        values = model.evaluate(points, asked)
        total = torch.stack(list(values.values())).square().sum()
        found.append((values, torch.autograd.grad(total, weights)))
    # A Chebyshev series of some 20 terms: derivatives lose up to size^2 each of the last digits.
    for name in asked:
        assert_close(found[0][0][name], found[1][0][name], 1e-9)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert_close(one, other, 1e-9 * (1 + float(other.abs().max())))
    single = nn.Sequential(EdgeJets(QKAN([2, 1], generator=seeded()).layers[0]))
    assert Pinn(problem, single).derivatives == "nested"
    arcs = QKANLayer(2, 1, ansatz="px", train_preactivation=False, dtype=DOUBLE, generator=seeded())
    assert Pinn(problem, nn.Sequential(EdgeJets(arcs))).derivatives == "nested"
    with pytest.raises(ValueError, match="has no series in float64"):
        Pinn(problem, single, derivatives="jets")
    with pytest.raises(TypeError, match="must have a series of its edges, but is a Linear"):
        EdgeJets(nn.Linear(2, 1))


@pytest.mark.parametrize("base", ["silu", None])
def test_jets_through_edges_go_on_where_inputs_lie_far_apart(base: str | None) -> None:
    """What a step of training that went too far may ask for."""
    layer = QKANLayer(2, 2, reps=2, base=base, dtype=DOUBLE, generator=seeded())
    trunk = nn.Sequential(nn.Linear(2, 2, dtype=DOUBLE), EdgeJets(layer), nn.Linear(2, 1, dtype=DOUBLE))
    model, nested = Pinn(find_problem("burgers"), trunk), Pinn(find_problem("burgers"), trunk, derivatives="nested")
    points = torch.as_tensor(model.problem.domain.sample(20, 1))
    draws = seeded()
    with torch.no_grad():  # fixed, since the tolerance is that of sums of such sizes
        for parameter in (*trunk[0].parameters(), *trunk[2].parameters()):
            parameter.uniform_(-0.7, 0.7, generator=draws)
        trunk[0].weight.mul_(300.0)
    assert layer.series_on(-300.0, 300.0, most=SERIES_SIZE_LIMIT) is None
    found, asked = [], ("u", "u_x", "u_xt", "diffusion")
    for one in (model, nested):
        values = torch.stack(list(one.evaluate(points, asked).values()))
        found.append((values.detach(), *torch.autograd.grad(values.square().sum(), list(trunk.parameters()))))
        with torch.no_grad():
            unrecorded = torch.stack(list(one.evaluate(points, asked).values()))
        assert_close(unrecorded, found[-1][0], 1e-12 * (1 + float(unrecorded.abs().max())))
    assert model.derivatives == "jets"
    for mine, other in zip(*found, strict=True):
        assert_close(mine, other, 1e-12 * (1 + float(other.abs().max())))
    for weight in (math.inf, math.nan):
        with torch.no_grad():
            trunk[0].weight[0, 0] = weight
        assert not torch.stack(list(model.evaluate(points, asked).values())).isfinite().any()
    empty = model.evaluate(points[:0], asked)
    assert {value.shape for value in empty.values()} == {(0,)}


@pytest.mark.parametrize("base", ["silu", None])
@pytest.mark.parametrize(
    "orders",
    [pure(2, 1), pure(1, 1), pure(2, 0), pure(0, 0), Orders(2, (((0, 1.5), (1, -0.7)), ((1, 2.0),)))],
    ids=["2 1", "1 1", "2 0", "0 0", "forms"],
)
def test_gradients_of_jets_through_edges_pass_gradcheck(base: str | None, orders: Orders) -> None:
    edges = EdgeJets(QKANLayer(2, 3, reps=1, base=base, dtype=DOUBLE, generator=seeded()))
    data = torch.randn(orders.n_components, 4, 2, dtype=DOUBLE, generator=seeded())
    data[0] = torch.tensor([[-1.0, 0.5], [1.0, -0.2], [0.3, 0.4], [0.0, 0.1]])
    ends = torch.zeros_like(data, dtype=torch.bool)  # of the series' interval, which the rule takes as given
    ends[0, :2, 0] = True
    fixed = data.clone()

    def through(data: Tensor) -> Tensor:
        return edges(Jet(torch.where(ends, fixed, data), orders)).data  # pyright: ignore[reportAttributeAccessIssue]

    data.requires_grad_()
    assert torch.autograd.gradcheck(through, data)


def test_gaussian_features_follow_their_formula() -> None:
    features = GaussianFeatures(2, 5, width=0.3, dtype=DOUBLE, generator=seeded(), **CORNERS)
    points = torch.rand(4, 2, dtype=DOUBLE, generator=seeded())
    shift = (points[:, None] - features.centres) / features.log_widths.exp()
    assert_close(features(points), torch.exp(-shift.square().sum(-1) / 2), 1e-12)
    assert bool((features.centres[:, 1] > 1.0).any())  # they fill the box
    assert_close(features.log_widths[0].exp(), torch.tensor([0.3, 0.6], dtype=DOUBLE), 1e-12)


def test_the_lstm_trunk_is_torchs_cell_over_depth() -> None:
    trunk = LSTMTrunk(2, 4, 2, dtype=DOUBLE, generator=seeded())
    inputs = torch.rand(3, 2, dtype=DOUBLE, generator=seeded())
    hidden = torch.tanh(trunk.layers[0](inputs))
    memory = torch.zeros(3, 4, dtype=DOUBLE)
    for layer in trunk.layers[1:-1]:
        cell = nn.LSTMCell(1, 4, dtype=DOUBLE)
        order = torch.cat([torch.arange(0, 8), torch.arange(12, 16), torch.arange(8, 12)])  # torch's gates: i, f, g, o
        with torch.no_grad():
            cell.weight_ih.zero_()
            cell.bias_ih.zero_()
            cell.weight_hh.copy_(layer.weight[order])
            cell.bias_hh.copy_(layer.bias[order])
        hidden, memory = cell(torch.zeros(3, 1, dtype=DOUBLE), (hidden, memory))
    assert_close(trunk(inputs), trunk.layers[-1](hidden), 1e-12)


def test_subdomains_meet_only_with_their_interface() -> None:
    def solved(conditions: tuple) -> Pinn:
        trunk = Pieces([MLP(1, (8,), dtype=DOUBLE, generator=seeded(n)) for n in range(2)], (0.4,))
        model = Pinn(line(conditions=(*line().conditions, *conditions)), trunk)
        train(model, Training(n_adam=0, n_marquardt=50, n_points=12, collocation="quadrature"), seed=0)
        return model

    grid = np.linspace(0, 1, 101)[:, None]
    joined = solved((Interface("joint", "x", 0.4, ("u", "u_x")),))
    assert relative_l2(joined, grid) < 1e-3
    # Without it either half is a parabola through one end, of any slope.
    assert relative_l2(solved(()), grid) > 1e-2
    apart = Interface("joint", "x", 0.4, ("u",)).points(Box({"x": (0.0, 1.0)}), 1, 0)
    assert float(np.float32(apart[0, 0])) < float(np.float32(apart[1, 0]))  # also in single precision
    with pytest.raises(ValueError, match=r"`joint` must lie inside the domain.* at x = 1"):
        line(conditions=(*line().conditions, Interface("joint", "x", 1.0, ("u",))))


def test_the_curriculum_turns_from_easy_to_hard() -> None:
    easy, hard = torch.full((300,), 1e-4, dtype=DOUBLE), torch.full((100,), 1.0, dtype=DOUBLE)
    spread = torch.cat([easy, hard]) * (1 + 0.1 * torch.rand(400, dtype=DOUBLE, generator=seeded()))
    curriculum = Curriculum(n_components=2, sharpness=2.0, ramp=0.8)
    for share, ratio in ((0.0, math.exp(-2.0)), (0.4, 1.0), (0.8, math.exp(2.0)), (1.0, math.exp(2.0))):
        weights = curriculum.weights(spread, share, seed=0)
        assert float(weights.mean()) == pytest.approx(1.0)
        # The two groups are 4 decades apart, so that each component holds one of them.
        assert float(weights[300:].mean() / weights[:300].mean()) == pytest.approx(ratio, rel=1e-6)


def test_the_curriculum_weighs_the_loss_and_survives_a_stop(tmp_path: Path) -> None:
    training = Training(n_adam=30, n_points=40, curriculum=Curriculum(every=7, n_components=2), checkpoint_every=10)

    def model(seed: int) -> Pinn:
        return Pinn(find_problem("heat"), MLP(2, (5,), dtype=DOUBLE, generator=seeded(seed)))

    whole, plain = model(0), model(0)
    solution = train(whole, training, seed=1)
    train(plain, replace(training, curriculum=None), seed=1)
    assert solution.training.curriculum == training.curriculum
    assert not torch.equal(next(whole.parameters()), next(plain.parameters()))

    assert_a_stop_changes_nothing(model, training, whole, tmp_path)


def test_convection_is_solved_in_the_frame_that_moves() -> None:
    model = Pinn(lagrangian_convection(), MLP(3, (8,), 2, dtype=DOUBLE, generator=seeded()))
    problem = find_problem("convection")
    grid = problem.domain.grid(21)
    assert problem.reference is not None
    train(model, Training(n_adam=0, n_marquardt=40, n_points=200), seed=0)
    error = in_frame_at_rest(model, grid) - problem.reference(grid)
    assert np.linalg.norm(error) < 1e-3 * np.linalg.norm(problem.reference(grid))


def test_the_frame_at_rest_inverts_paths_and_refuses_crossing_ones() -> None:
    class Waves(nn.Module):
        """Paths x = a + 50 t (1 + b sin a) of values cos(a)."""

        def __init__(self, bend: float) -> None:
            super().__init__()
            self.bend = nn.Parameter(torch.tensor(bend, dtype=DOUBLE))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.stack([1 + self.bend * inputs[..., 1], inputs[..., 0]], -1)

    label, t = np.array([0.3, 2.0, 6.0]), 0.01
    place = label + 50 * t * (1 + 0.5 * np.sin(label))
    points = np.stack([np.mod(place, 2 * np.pi), np.full(3, t)], 1)
    found = in_frame_at_rest(Pinn(lagrangian_convection(), Waves(0.5)), points)
    np.testing.assert_allclose(found[:, 0], np.cos(label), atol=1e-9)  # Newton's steps use differences of 1e-6
    with pytest.raises(ValueError, match=r"paths that do not cross, but at t = 0\.01 they do"):
        in_frame_at_rest(Pinn(lagrangian_convection(), Waves(4.0)), points)


def test_feynman_kac_agrees_with_closed_forms() -> None:
    square = Box({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    points = np.array([[0.5, 0.5], [0.2, 0.7]])
    waves = FeynmanKac(source=lambda z: -2 * np.pi**2 * np.sin(np.pi * z[:, 0]) * np.sin(np.pi * z[:, 1]), n_paths=4000)
    means, errors = waves.values(square, points, seed=0)
    expected = np.sin(np.pi * points[:, 0]) * np.sin(np.pi * points[:, 1])
    # Four standard errors, and a bias of the order of the step (1e-3) times the curvature (20).
    assert (np.abs(means - expected) < 4 * errors + 5e-3).all()
    assert (errors < 0.02).all()
    # u'' - 4 u = 0 between cosh(-2) and cosh(2): cosh(2 x).
    interval = Box({"x": (-1.0, 1.0)})
    decays = FeynmanKac(
        source=lambda z: np.zeros(len(z)),
        boundary=lambda z: np.cosh(2 * z[:, 0]),
        potential=lambda z: np.full(len(z), 4.0),
        n_paths=4000,
    )
    means, errors = decays.values(interval, np.array([[0.0], [0.5]]), seed=1)
    assert (np.abs(means - np.cosh([0.0, 1.0])) < 4 * errors + 5e-3).all()
    # Mean exit time from [-1, 1] with D = 1/2: 1 - x^2.
    exits = FeynmanKac(source=lambda z: -np.ones(len(z)), diffusion=0.5, n_paths=4000)
    means, errors = exits.values(interval, np.array([[0.0], [0.6]]), seed=2)
    assert (np.abs(means - [1.0, 0.64]) < 4 * errors + 5e-3).all()
    labels = waves.labels("paths", "u", square, 3, seed=0)
    assert labels.where.shape == (3, 2)
    with pytest.raises(ValueError, match="1 points do not"):
        waves.values(square, np.array([[2.0, 0.0]]), seed=0)
    with pytest.raises(ValueError, match="`potential` must be at least 0"):
        replace(waves, potential=lambda z: -np.ones(len(z)), n_paths=2).values(square, points, seed=0)


def fit(noise: float = 0.05, n: int = 40) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Measurements of 1 + 2 x, and an equation that any affine function fulfils."""
    where = np.linspace(0, 1, n)[:, None]
    measured = 1 + 2 * where[:, 0] + noise * np.random.default_rng(0).standard_normal(n)
    problem = Problem(
        name="fit",
        domain=Box({"x": (0.0, 1.0)}),
        fields=("u",),
        equations={"free": lambda u: 0.0 * u},
        conditions=(Observations("seen", "u", where, measured),),
    )
    return problem, where[:, 0], measured


def test_a_bayesian_read_out_is_bayesian_linear_regression_where_that_is_exact() -> None:
    problem, x, measured = fit()
    model = Pinn(problem, nn.Linear(1, 1, dtype=DOUBLE))
    solution = train(model, Training(n_adam=0, n_marquardt=30, n_points=4), seed=0)
    found = bayesian_posterior(solution, seed=0, noise=0.05, prior=10.0)
    of_readout = bayesian_posterior(solution, seed=0, noise=0.05, prior=10.0, weights="readout")
    np.testing.assert_array_equal(found.covariance, of_readout.covariance)  # there are no others
    rows = np.stack([x, np.ones_like(x)], 1)
    covariance = np.linalg.inv(rows.T @ rows / 0.05**2 + np.eye(2) / 100)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8)
    at = np.array([[0.0], [0.7], [3.0]])
    mean, deviation = found.predict(at)
    rows = np.stack([at[:, 0], np.ones(3)], 1)
    np.testing.assert_allclose(deviation[:, 0], np.sqrt(np.einsum("nw,wv,nv->n", rows, covariance, rows)), rtol=1e-8)
    slope, start = np.polyfit(x, measured, 1)
    np.testing.assert_allclose(mean[:, 0], start + slope * at[:, 0], rtol=1e-5)
    assert bayesian_posterior(solution, seed=0).noise == pytest.approx(0.05, rel=0.3)
    with pytest.raises(ValueError, match="must have Observations for a posterior"):
        bayesian_posterior(train(Pinn(line(), nn.Linear(1, 1)), Training(n_adam=1, n_points=2), seed=0), seed=0)


def test_an_ensemble_of_bootstrap_samples_shows_the_noise() -> None:
    problem, x, _ = fit()
    (seen,) = problem.conditions
    assert isinstance(seen, Observations)

    def build(seed: int) -> Pinn:
        posed = replace(problem, conditions=(resampled(seen, seed),))
        torch.manual_seed(seed)
        return Pinn(posed, nn.Linear(1, 1, dtype=DOUBLE))

    ensemble = train_ensemble(build, Training(n_adam=0, n_marquardt=20, n_points=2), seeds=range(16))
    mean, deviation = ensemble.predict(np.array([[0.5]]))
    assert mean[0, 0] == pytest.approx(2.0, abs=0.05)
    # The mean of n measurements has the deviation 0.05 / sqrt(n); 16 members give it to a factor of two.
    assert 0.5 < deviation[0, 0] / (0.05 / math.sqrt(len(x))) < 2.0
    assert ensemble.scalars == {}
    with pytest.raises(ValueError, match="at least two different ones"):
        train_ensemble(build, Training(n_adam=1), seeds=[3])


@pytest.mark.slow
def test_permeability_is_found_with_honest_error_bars() -> None:
    """Of six seeds, each with noise of its own: the sum of squares of errors over deviations follows chi squared."""
    total = 0.0
    for seed in range(6):
        model = Pinn(diffusivity(seed=seed), MLP(2, (12, 12), dtype=DOUBLE, generator=seeded(seed)))
        solution = train(model, Training(n_adam=0, n_marquardt=60, n_points=300, n_condition_points=64), seed=seed)
        posterior = bayesian_posterior(solution, seed=0)
        (value, deviation) = posterior.scalars["k"]
        assert value == solution.scalars["k"]
        assert abs(value / 0.2 - 1) < 0.01
        total += ((value - 0.2) / deviation) ** 2
    assert 0.38 < total < 22.5  # in all but 0.2 % of cases
    with pytest.raises(ValueError, match="`weights` must be one of all, readout, but is 'last'"):
        bayesian_posterior(solution, seed=0, weights="last")  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.parametrize("make", [diffusivity, radial_diffusivity])
def test_simulated_measurements_have_the_noise_they_say(make: Any) -> None:
    problem = make(noise=0.02, n_observations=2000, seed=4)
    (seen,) = (item for item in problem.conditions if isinstance(item, Observations))
    errors = seen.measured - problem.reference(seen.where)[:, 0]
    # Of 2000 values the deviation is known to 1.6 % (one standard error); six of them are out by chance once in 1e9.
    assert errors.std() == pytest.approx(0.02, rel=0.1)
    assert make(noise=0.0, seed=4).conditions[-1].measured[0] == pytest.approx(problem.reference(seen.where)[0, 0])
    for options in ({"n_observations": 0}, {"noise": -0.1}):
        with pytest.raises(ValueError, match="`n_observations` and `noise` must be at least 1 and at least 0"):
            make(**options)


def test_posteriors_of_frozen_layers_and_of_trunks_without_jets() -> None:
    frozen = MLP(2, (6, 5), dtype=DOUBLE, generator=seeded(0))
    frozen.layers[0].requires_grad_(False)
    soft = nn.Sequential(nn.Linear(2, 6, dtype=DOUBLE), nn.Softplus(), nn.Linear(6, 1, dtype=DOUBLE))
    for trunk, sizes in ((frozen, {"all": 41 + 1, "readout": 6 + 1}), (soft, {"all": 25 + 1, "readout": 7 + 1})):
        training = Training(n_adam=0, n_marquardt=3, n_points=30, n_condition_points=8)
        solution = train(Pinn(diffusivity(), trunk), training, seed=0)
        for weights, size in sizes.items():
            posterior = bayesian_posterior(solution, seed=0, weights=weights)
            assert posterior.covariance.shape == (size, size)
            _, deviation = posterior.predict(np.array([[0.5, 0.5]]))
            assert deviation[0, 0] > 0


def test_deviations_of_predictions_are_those_of_measurements_far_from_them() -> None:
    """Where nothing was measured and no equation holds, a field's deviation grows."""
    model = Pinn(diffusivity(), MLP(2, (8, 8), dtype=DOUBLE, generator=seeded(0)))
    solution = train(model, Training(n_adam=0, n_marquardt=40, n_points=200, n_condition_points=32), seed=0)
    mean, deviation = bayesian_posterior(solution, seed=0).predict(np.array([[0.5, 0.5], [0.5, 3.0]]))
    assert mean.shape == deviation.shape == (2, 1)
    assert 0 < deviation[0, 0] < 0.01 < deviation[1, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianFeatures(1, 0, low=(0.0,), high=(1.0,)), "`n_gaussians` must be at least 1"),
        (lambda: GaussianFeatures(2, 3, low=(0.0,), high=(1.0,)), "corners of a box of 2 dimensions"),
        (lambda: LSTMTrunk(1, 0, 2), "`hidden_size` must be at least 1"),
        (lambda: Pieces([nn.Linear(1, 1)], (0.5,)), "one fewer than the 1 trunks"),
        (lambda: Pieces([nn.Linear(1, 1)] * 3, (0.5, 0.2)), "must rise"),
        (lambda: Curriculum(ramp=0.0), r"in \(0, 1\]"),
        (lambda: FeynmanKac(source=len, time_step=0.0), "must be above 0"),
        (lambda: Training(n_marquardt=-1), "`n_marquardt` must be at least 0"),
        (lambda: Training(n_marquardt=5, n_held=6), "`n_held` must be at most n_marquardt"),
    ],
)
def test_bad_options_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # pyright: ignore[reportCallIssue]


def test_a_model_is_evaluated_at_arrays_as_at_tensors() -> None:
    model = Pinn(line(), MLP(1, (4,), dtype=DOUBLE, generator=seeded()))
    grid = model.problem.domain.grid(7)
    assert_close(model.evaluate(grid, ["u_x"])["u_x"], model.evaluate(model.as_points(grid), ["u_x"])["u_x"], 0.0)
