"""Terms of equations that are found from measurements, and sparse regression."""

import numpy as np
import pytest
import torch
from torch import nn

from qml.pinn import (
    MLP,
    Observations,
    Pinn,
    Polynomial,
    Problem,
    Training,
    WithTerm,
    differences_formula,
    find_problem,
    sparse_regression,
    term_formula,
    train,
)
from qml.pinn.problems.unknown_reaction import fisher_front as front
from qml.pinn.problems.unknown_reaction import unknown_reaction
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.loss import LossParts
from tests.pinn_checks import assert_jets_are_nested_passes

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unknown(noise: float, n_observations: int) -> Problem:
    return unknown_reaction(noise=noise, n_observations=n_observations)


def discovered(term: nn.Module, noise: float, n_observations: int) -> tuple[dict[str, float], Pinn]:
    problem = unknown(noise, n_observations)
    trunk = WithTerm(MLP(2, (16, 16), dtype=DOUBLE, generator=seeded()), term)
    model = Pinn(problem, trunk)
    train(model, Training(n_adam=0, n_marquardt=60, n_points=400, n_condition_points=4), seed=0)
    return term_formula(term, 0.0, 1.0, threshold=0.1, degree=3), model


def test_jets_move_through_the_term() -> None:
    problem = unknown(0.0, 8)
    network = WithTerm(MLP(2, (5,), dtype=DOUBLE, generator=seeded()), Polynomial(3, dtype=DOUBLE, generator=seeded(1)))
    points = torch.as_tensor(problem.domain.sample(6, 1))
    asked = ("u", "f", "u_t", "u_xx", "f_xx")
    assert_jets_are_nested_passes(lambda derivatives: Pinn(problem, network, derivatives=derivatives), points, asked)


def test_a_reaction_is_found_from_measurements_of_the_field() -> None:
    formula, _ = discovered(Polynomial(3, dtype=DOUBLE, generator=seeded()), 0.0, 100)
    assert set(formula) == {"u", "u^2"}
    assert formula["u"] == pytest.approx(1.0, abs=0.1)
    assert formula["u^2"] == pytest.approx(-1.0, abs=0.1)


def test_sparse_regression_keeps_what_counts() -> None:
    u = np.linspace(-1, 2, 50)
    library = {"1": np.ones_like(u), "u": u, "u^2": u**2, "u^3": u**3}
    noisy = 2 * u - 0.5 * u**3 + 1e-3 * np.random.default_rng(0).standard_normal(50)
    formula = sparse_regression(library, noisy, threshold=0.1)
    assert set(formula) == {"u", "u^3"}
    assert formula["u"] == pytest.approx(2.0, abs=1e-2)
    assert sparse_regression(library, np.zeros(50), threshold=0.1) == {}


def test_differences_find_the_reaction_without_noise_and_lose_it_with_some() -> None:
    x, t = np.linspace(-10, 20, 121), np.linspace(0, 4, 81)
    options = {"diffusivity": 1.0, "threshold": 0.1, "degree": 3}
    clean = differences_formula(front, x, t, **options)
    assert set(clean) == {"u", "u^2"}
    rng = np.random.default_rng(0)
    noisy = differences_formula(lambda x, t: front(x, t) + 0.01 * rng.standard_normal(x.shape), x, t, **options)
    assert abs(noisy.get("u", 0.0) - 1) > 10 * abs(clean["u"] - 1)


def test_the_known_reaction_has_no_residual() -> None:
    fisher, found = find_problem("fisher-kpp"), unknown(0.0, 4)
    u, u_t, u_xx = (torch.rand(5, generator=seeded(index), dtype=DOUBLE) for index in range(3))
    expected = fisher.equations["fisher-kpp"](u=u, diffusion=u_t - u_xx)
    assert torch.allclose(found.equations["diffusion"](u_t=u_t, u_xx=u_xx, f=u * (1 - u)), expected)


def test_measurements_go_with_trunks_that_take_rows_in_pieces() -> None:
    """A trunk without rules for its weights gets rows a few at a time, and each keeps its own measured value."""
    problem = unknown(0.01, 40)
    network = WithTerm(MLP(2, (3,), dtype=DOUBLE, generator=seeded()), EdgeTerm())
    model = Pinn(problem, network)
    loss = LossParts(model, problem.domain.sample(5, 0), n_condition_points=4, seed=0)
    residuals = Residuals(loss, {})
    assert residuals.copies
    residuals._at_once = {term.names: 16 for term in loss.terms()}
    values, jacobian = residuals.values_and_jacobian()
    assert torch.allclose(values, residuals.values())
    measured = problem.conditions[0]
    assert isinstance(measured, Observations)
    expected = (model(torch.as_tensor(measured.where))[:, 0] - torch.as_tensor(measured.measured)) / 40**0.5
    assert torch.allclose(values[-40:], expected)
    assert jacobian.shape == (45, sum(part.numel() for part in model.parameters()))


class EdgeTerm(nn.Module):
    """A term without a rule for jets: c tanh(u)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.tanh(inputs)


def test_coefficients_are_fitted_again_after_the_last_round() -> None:
    u = np.linspace(-1, 1, 201)
    formula = sparse_regression({"u": u, "u^3": u**3}, u + 0.05 * u**3, threshold=0.1, n_rounds=1)
    assert set(formula) == {"u"}
    assert formula["u"] == pytest.approx(1 + 0.05 * np.sum(u**4) / np.sum(u**2), rel=1e-12)


def test_central_differences_refuse_steps_that_differ() -> None:
    options = {"diffusivity": 1.0, "threshold": 0.1}
    with pytest.raises(ValueError, match="`x` must hold at least three numbers with equal steps"):
        differences_formula(front, np.array([0.0, 1.0, 3.0, 4.0]), np.linspace(0, 1, 5), **options)
    with pytest.raises(ValueError, match="`t` must hold at least three"):
        differences_formula(front, np.linspace(0, 1, 5), np.array([0.0, 1.0]), **options)
