"""The end of a training: SSBroyden's updates and line search, held-out points, and when points are drawn anew."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml.baselines import KANLayer
from qml.nn import QKANLayer, QuantumLayer
from qml.pinn import (
    MLP,
    EdgeJets,
    Geodesic,
    Holdout,
    Pinn,
    Polish,
    Resampling,
    Training,
    find_problem,
    recipe_of,
    relative_l2,
    train,
)
from qml.pinn.training.broyden import SSBroyden, broyden_factors, updated_inverse
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.judge import Judge
from qml.pinn.training.loss import LossParts
from qml.pinn.training.marquardt import Marquardt, inverse_hessian
from tests.helpers import assert_close
from tests.pinn_checks import assert_a_stop_changes_nothing

DOUBLE = torch.float64


@pytest.fixture(autouse=True, scope="module")
def forward_mode() -> None:
    """A first product in forward mode loads torch's compiler, for 2 to 15 seconds, which are no test's."""
    one = torch.ones(1, dtype=DOUBLE)
    torch.func.vmap(lambda tangent: torch.func.jvp(lambda x: x * one, (one,), (tangent,))[1])(one[None])


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positive(size: int, seed: int) -> Tensor:
    """A symmetric matrix with eigenvalues from 0.1 to 10."""
    turn, _ = torch.linalg.qr(torch.randn(size, size, dtype=DOUBLE, generator=seeded(seed)))
    return turn @ torch.diag(torch.logspace(-1, 1, size, dtype=DOUBLE)) @ turn.T


@pytest.mark.parametrize("seed", range(6))
def test_an_update_fulfils_the_secant_equation_and_stays_positive(seed: int) -> None:
    """H+ y = s, and H+ is the inverse of tau (B - B s s^T B / sBs + theta w w^T) + y y^T / ys of Al-Baali's paper."""
    inverse, s = positive(7, seed), torch.randn(7, dtype=DOUBLE, generator=seeded(seed + 10))
    y = positive(7, seed + 20) @ s
    hessian = torch.linalg.inv(inverse)
    along, curvature = float(s @ hessian @ s), float(y @ s)
    b, h = along / curvature, float(y @ inverse @ y) / curvature
    updated = updated_inverse(inverse.clone(), s, y, inverse @ y, along)
    assert_close(updated @ y, s, 1e-12)
    assert_close(updated, updated.T, 1e-12)
    assert float(torch.linalg.eigvalsh(updated).min()) > 0
    phi, tau = broyden_factors(b, h, 7)
    theta = (1 - phi) / (1 + (b * h - 1) * phi)  # the map of phi to theta is its own inverse
    w = math.sqrt(along) * (y / curvature - hessian @ s / along)
    kept = hessian - torch.outer(hessian @ s, hessian @ s) / along + theta * torch.outer(w, w)
    expected = tau * kept + torch.outer(y, y) / curvature
    assert_close(torch.linalg.inv(updated), expected, 1e-8)


def test_the_update_is_that_of_bfgs_where_the_model_is_exact() -> None:
    """With B s = y nothing is to be learnt: a = 0, tau = 1, and H stays."""
    inverse, s = positive(5, 1), torch.randn(5, dtype=DOUBLE, generator=seeded())
    y = torch.linalg.solve(inverse, s)
    updated = updated_inverse(inverse.clone(), s, y, inverse @ y, float(s @ y))
    assert_close(updated, inverse, 1e-10)


def test_a_quadratic_is_minimised_in_about_as_many_steps_as_dimensions() -> None:
    matrix, target = positive(20, 0), torch.randn(20, dtype=DOUBLE, generator=seeded())
    point = nn.Parameter(torch.zeros(20, dtype=DOUBLE))

    def loss_and_gradient() -> tuple[float, Tensor]:
        difference = point.detach() - target
        return float(difference @ matrix @ difference) / 2, matrix @ difference

    optimizer = SSBroyden([point], loss_and_gradient)
    for _ in range(60):
        if not optimizer.step():
            break
    assert_close(point, target, 1e-6)
    assert optimizer.loss < 1e-12


def test_a_valley_with_a_bend_is_followed_to_its_end() -> None:
    """Rosenbrock's function from (-1.2, 1): the search has to shorten and to lengthen steps."""
    point = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=DOUBLE))

    def loss_and_gradient() -> tuple[float, Tensor]:
        loss = (1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2
        return float(loss.detach()), torch.autograd.grad(loss, point)[0]

    optimizer, losses = SSBroyden([point], loss_and_gradient), []
    while optimizer.step() and len(losses) < 100:
        losses.append(optimizer.loss)
    assert losses == sorted(losses, reverse=True)
    assert_close(point, np.ones(2), 1e-6)


def circuit() -> nn.Module:
    drawn = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).rx(weight(0), 0).ry(data(0), 1).rz(weight(1), 1)
    layer = QuantumLayer(drawn, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded())
    return nn.Sequential(nn.Linear(2, 2, dtype=DOUBLE), layer, nn.Linear(2, 1, dtype=DOUBLE))


TRUNKS: dict[str, Any] = {
    "mlp": lambda: MLP(2, (5, 4), dtype=DOUBLE, generator=seeded()),
    "circuit": circuit,
    "qkan": lambda: EdgeJets(QKANLayer(2, 1, reps=2, dtype=DOUBLE, generator=seeded())),
    "kan": lambda: KANLayer(2, 1, grid=4, domain=(-1.0, 1.0), dtype=DOUBLE, generator=seeded()),
}


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_polish_lowers_the_loss_of_every_kind_of_trunk(trunk: str) -> None:
    torch.manual_seed(0)
    model = Pinn(find_problem("heat"), TRUNKS[trunk]())
    short = Training(n_adam=0, n_marquardt=3, n_points=16, n_condition_points=4, polish=Polish(6))
    solution = train(model, short, seed=0)
    totals = [sum(values) for values in zip(*(solution.history[name] for name in solution.loss_parts), strict=True)]
    steps = solution.history["step"]
    after_marquardt = totals[steps.index(3.0)]
    assert totals[-1] < after_marquardt
    assert steps[-1] <= 9


def test_the_inverse_hessian_is_that_of_a_linear_problem() -> None:
    """For an affine trunk and a linear equation the loss is quadratic: autograd's Hessian is exact."""
    model = Pinn(find_problem("heat"), nn.Linear(2, 1, dtype=DOUBLE), derivatives="nested")
    loss = LossParts(model, model.problem.domain.sample(20, 1), n_condition_points=4, seed=0)
    weights, bias = model.trunk.weight, model.trunk.bias

    def total(flat: Tensor) -> Tensor:
        given = {"trunk.weight": flat[:2].view(1, 2), "trunk.bias": flat[2:]}
        residual = [
            term.functions[name](**torch.func.functional_call(_Evaluate(model, term), given, ()))
            for term in loss.terms()
            for name in term.functions
        ]
        return torch.stack([part.square().mean() for part in residual]).sum()

    flat = torch.cat([weights.detach().flatten(), bias.detach()])
    hessian = torch.autograd.functional.hessian(total, flat)
    assert_close(inverse_hessian(Residuals(loss, {})), torch.linalg.inv(hessian), 1e-6)


def test_the_first_quasi_newton_step_is_one_of_levenberg_and_marquardt() -> None:
    model = Pinn(find_problem("heat"), TRUNKS["mlp"]())
    loss = LossParts(model, model.problem.domain.sample(60, 1), n_condition_points=8, seed=0)
    residuals = Residuals(loss, {})
    values, jacobian = residuals.values_and_jacobian()
    step = inverse_hessian(residuals, 0.3) @ (2 * jacobian.T @ values)
    damped = jacobian.T @ jacobian + 0.3 * torch.eye(jacobian.shape[1], dtype=DOUBLE)
    assert_close(step, torch.linalg.solve(damped, jacobian.T @ values), 1e-10)


class _Evaluate(nn.Module):
    def __init__(self, model: Pinn, term: Any) -> None:
        super().__init__()
        self.trunk, self.model, self.term = model.trunk, [model], term

    def forward(self) -> dict[str, Tensor]:
        return self.model[0].evaluate(self.term.points, self.term.names)


HELD_OUT = Training(
    n_adam=0,
    n_marquardt=12,
    n_points=12,
    n_condition_points=8,
    holdout=Holdout(256, every=2),
    resampling=Resampling(every=4, n_candidates=100, overfit=5.0, weighted=True),
    polish=Polish(30, n_points=24, redraw_every=10),
    checkpoint_every=5,
)


def test_the_weights_that_are_kept_are_the_best_on_held_out_points() -> None:
    """A network with more weights than points fits these; judging changes nothing else in the training."""
    assert HELD_OUT.resampling is not None
    training = replace(HELD_OUT, resampling=replace(HELD_OUT.resampling, overfit=None))
    model = Pinn(find_problem("heat"), TRUNKS["mlp"]())
    losses = train(model, training, seed=0).held_out["loss"]
    assert len(losses) >= 6
    judge = Judge(model, HELD_OUT, 0)
    assert judge.loss({}) == pytest.approx(min(losses), rel=1e-12)
    assert min(losses) < losses[0]
    last = Pinn(find_problem("heat"), TRUNKS["mlp"]())
    train(last, replace(training, holdout=None), seed=0)
    assert judge.loss({}) <= Judge(last, HELD_OUT, 0).loss({})


def test_a_polished_run_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    def make(seed: int) -> Pinn:
        return Pinn(find_problem("heat"), MLP(2, (5, 4), dtype=DOUBLE, generator=seeded(seed)))

    whole = make(0)
    train(whole, HELD_OUT, seed=1)
    assert_a_stop_changes_nothing(make, HELD_OUT, whole, tmp_path)


def test_points_stay_until_the_network_has_overfitted_them() -> None:
    """With a ratio that no loss reaches the points stay; with one just above 1 they are drawn anew."""
    for ratio, stays in ((1e12, True), (1.000001, False)):
        model = Pinn(find_problem("heat"), TRUNKS["mlp"]())
        seen = []
        training = replace(HELD_OUT, polish=None, resampling=Resampling(every=4, n_candidates=100, overfit=ratio))
        original = LossParts.set_points

        def note(self: LossParts, points: Tensor, original: Any = original, seen: list = seen) -> None:
            seen.append(len(points))
            original(self, points)

        LossParts.set_points = note  # pyright: ignore[reportAttributeAccessIssue]
        try:
            train(model, training, seed=0)
        finally:
            LossParts.set_points = original
        drawn = [n_points for n_points in seen if n_points == training.n_points]
        assert (len(drawn) == 1) is stays


def test_weighted_draws_estimate_the_uniform_mean() -> None:
    """Points by residual count too much where it is large; divided by their chance they do not, to a few percent."""
    x = torch.as_tensor(find_problem("heat").domain.sample(8192, 0))[:, 0]
    residual = torch.exp(4 * x)
    resampling = Resampling(n_candidates=8192, floor=0.5)
    chosen = resampling.draw(residual, 1024, 1)
    weights = 1 / resampling.chances(residual)[chosen]
    plain = float(residual[chosen].square().mean() / residual.square().mean())
    weighted = float((weights / weights.sum() * residual[chosen].square()).sum() / residual.square().mean())
    assert plain > 1.3
    assert weighted == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polish(0), "`n_steps` must be at least 1"),
        (lambda: Holdout(every=0), "`n_points` and `every` must be at least 1"),
        (lambda: Resampling(overfit=1.0), "`overfit` must be above 1"),
        (lambda: Training(resampling=Resampling(overfit=5.0)), "`holdout` must be given"),
        (lambda: Training(polish=Polish(redraw_every=10)), "`resampling` must be given"),
    ],
)
def test_bad_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_geodesic_term_is_half_of_the_second_derivatives_step() -> None:
    """The second derivative along the step by central differences of the residuals, far finer than the option's."""
    problem = find_problem("burgers")  # whose residuals are quadratic in the field
    for n_points in (6, 60):
        model = Pinn(problem, TRUNKS["mlp"]())
        loss = LossParts(model, problem.domain.sample(n_points, 1), n_condition_points=2, seed=0)
        stepper = Marquardt(Residuals(loss, {}), Geodesic(limit=1e9, probe=1e-4))
        values, jacobian = stepper.residuals.values_and_jacobian()
        before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        stepper.damping = 30.0  # large enough for the first trial to be taken
        damped = jacobian.T @ jacobian + 30.0 * torch.eye(len(before), dtype=DOUBLE)
        v = -torch.linalg.solve(damped, jacobian.T @ values)

        def residual_at(weights: Tensor, model: Pinn = model, stepper: Marquardt = stepper) -> Tensor:
            torch.nn.utils.vector_to_parameters(weights, model.parameters())
            return stepper.residuals.values()

        step = 1e-3
        second = (residual_at(before + step * v) - 2 * values + residual_at(before - step * v)) / step**2
        bend = -torch.linalg.solve(damped, jacobian.T @ second) / 2
        torch.nn.utils.vector_to_parameters(before.clone(), model.parameters())
        assert stepper.step()
        found = torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before - v
        assert float(bend.norm()) > 1e-6
        assert_close(found, bend, 1e-2 * float(bend.norm()))  # one-sided, at a step of 1e-4


def test_the_geodesic_term_is_left_out_where_it_is_large() -> None:
    found = []
    for geodesic in (None, Geodesic(limit=1e-12)):
        model = Pinn(find_problem("burgers"), TRUNKS["mlp"]())
        train(model, Training(n_adam=0, n_marquardt=3, n_points=20, n_condition_points=4, geodesic=geodesic), seed=0)
        found.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    assert_close(*found, 0.0)


@pytest.mark.parametrize(("name", "panels"), [("heat", 4), ("infinite-well", 3), ("lorenz", 3)])
def test_the_picture_shows_the_field_the_reference_and_the_error(name: str, panels: int) -> None:
    problem = find_problem(name)
    size = problem.n_features
    model = Pinn(problem, MLP(size, (4,), len(problem.fields), dtype=DOUBLE, generator=seeded()))
    points = {"n_points": 9, "n_condition_points": 4}
    solution = train(model, Training(n_adam=0, n_marquardt=3, n_held=0, holdout=Holdout(16, every=1), **points), seed=0)  # pyright: ignore[reportArgumentType]
    figure = solution.plot(problem.fields[-1])
    panel = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert len(panel) == panels
    if panels == 4:
        grid = problem.domain.grid(101)
        error = model.predict(grid) - problem.reference(grid)  # pyright: ignore[reportOptionalCall]
        np.testing.assert_allclose(panel[2].images[0].get_array(), error.reshape(101, 101))
    lines = {line.get_label(): line.get_ydata() for line in panel[-1].get_lines()}
    assert list(lines["held-out points"]) == solution.held_out["loss"]
    assert set(lines) == {"held-out points", *solution.loss_parts}
    with pytest.raises(ValueError, match="`field` must be one of"):
        solution.plot("nothing")


@pytest.mark.slow
def test_burgers_is_solved_to_five_digits_on_its_odd_half() -> None:
    problem = find_problem("burgers")
    recipe = recipe_of(problem)
    posed = recipe.posed(problem)
    assert recipe.training.polish is not None
    short = replace(recipe.training, n_marquardt=60, polish=replace(recipe.training.polish, n_steps=1500))
    model = Pinn(posed, recipe.trunk(posed, seeded(0)))
    train(model, short, seed=0)
    assert relative_l2(model, posed.domain.grid(101)) < 2e-5  # 3e-7 by the whole recipe


def test_the_weights_are_those_of_the_loss_where_a_search_ends_early() -> None:
    """At the kink of |w - 0.3| no step fulfils the conditions on slopes, and the best is not the last one tried."""
    weight = nn.Parameter(torch.zeros(1, dtype=DOUBLE))

    def loss_and_gradient() -> tuple[float, Tensor]:
        loss = (weight - 0.3).abs().sum()
        return float(loss.detach()), torch.autograd.grad(loss, weight)[0]

    optimizer = SSBroyden([weight], loss_and_gradient)
    assert optimizer.step()
    assert optimizer.loss == abs(float(weight.detach()) - 0.3)


def test_judging_survives_held_out_losses_that_are_not_finite() -> None:
    model = Pinn(find_problem("heat"), TRUNKS["mlp"]())
    judge, run = Judge(model, HELD_OUT, 0), SimpleNamespace(loss=SimpleNamespace(conditions=()), step=0)
    losses = iter([math.nan, 2.0, math.nan])
    judge.loss = lambda weights: next(losses)
    judge.see(run, 0)
    assert judge.best == {}
    judge.see(run, 0)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    judge.keep_best(run)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
