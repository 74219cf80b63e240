"""Options of Levenberg-Marquardt's steps: QR, sketches of rows, probed dampings, momentum."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml.baselines import KANLayer
from qml.nn import QKAN, QuantumLayer
from qml.pinn import (
    MLP,
    Causal,
    EdgeJets,
    Geodesic,
    Momentum,
    Orthogonal,
    Pinn,
    Probing,
    RowSketch,
    Training,
    find_problem,
    train,
)
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.linearised import KINDS, Linearised, LinearisedByQR, rises, sketched
from qml.pinn.training.loss import LossParts
from qml.pinn.training.marquardt import Marquardt
from tests.helpers import assert_close
from tests.pinn_checks import assert_a_stop_changes_nothing
from tests.test_pinn_marquardt import TRUNKS, everything

DOUBLE = torch.float64


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(seed: int = 3) -> Pinn:
    return Pinn(find_problem("burgers"), MLP(2, (6, 6), dtype=DOUBLE, generator=seeded(seed)))


def stepper(n_points: int = 60, model: Pinn | None = None, **options: Any) -> Marquardt:
    model = mlp() if model is None else model
    points = model.problem.domain.sample(n_points, 1)
    return Marquardt(Residuals(LossParts(model, points, n_condition_points=8, seed=0), {}), **options)


def weights_of(marquardt: Marquardt) -> Tensor:
    return torch.cat([part.detach().flatten() for part in marquardt.residuals.parameters])


@pytest.mark.parametrize("n_rows", [7, 12, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_every_decomposition_gives_the_step_of_the_damped_normal_equations(
    kind: tuple[bool, bool], n_rows: int
) -> None:
    jacobian, values = (torch.randn(n_rows, *size, dtype=DOUBLE, generator=seeded()) for size in ((12,), ()))
    here = KINDS[kind](values, jacobian)
    for damping in (1e-2, 3.0):
        damped = jacobian.T @ jacobian + damping * torch.eye(12, dtype=DOUBLE)
        step = here.solve(damping, values)
        assert step is not None
        assert_close(step, torch.linalg.solve(damped, jacobian.T @ values), 1e-11)
    assert_close(here.gradient, jacobian.T @ values, 1e-13)


def test_qr_keeps_the_digits_that_the_normal_equations_lose() -> None:
    """A condition of 1e9, whose square is beyond float64: QR finds the known solution, Cholesky does not."""
    left, _ = torch.linalg.qr(torch.randn(60, 10, dtype=DOUBLE, generator=seeded()))
    right, _ = torch.linalg.qr(torch.randn(10, 10, dtype=DOUBLE, generator=seeded(4)))
    jacobian = (left * torch.logspace(0, -9, 10, dtype=DOUBLE)) @ right.T
    solution = torch.randn(10, dtype=DOUBLE, generator=seeded(5))
    values = jacobian @ solution
    errors = {}
    for kind, make in KINDS.items():
        here = make(values, jacobian)
        step = here.solve(here.least, values)
        errors[kind] = math.inf if step is None else float((step - solution).norm() / solution.norm())
    assert max(errors[True, False], errors[True, True]) < 1e-6  # condition 1e9 times rounding
    assert min(errors[False, False], errors[False, True]) > 1e-3


def test_undamped_qr_steps_of_wide_jacobians_are_the_shortest() -> None:
    jacobian, values = (torch.randn(5, *size, dtype=DOUBLE, generator=seeded()) for size in ((12,), ()))
    here = LinearisedByQR(values, jacobian)
    step = here.solve(0.0, values)
    assert step is not None
    assert_close(step, torch.linalg.pinv(jacobian) @ values, 1e-12)


def test_the_qr_step_is_that_of_cholesky_where_the_jacobian_is_well_conditioned() -> None:
    found = []
    for orthogonal in (None, Orthogonal()):
        marquardt = stepper(orthogonal=orthogonal)
        assert marquardt.step()
        found.append(weights_of(marquardt))
    assert_close(found[0], found[1], 1e-10)


def test_qr_takes_over_below_a_loss() -> None:
    marquardt = stepper(orthogonal=Orthogonal(below=1.0))
    loss = float(marquardt.residuals.values().square().sum())
    for below, kind in ((0.5 * loss, Linearised), (2.0 * loss, LinearisedByQR)):
        marquardt.orthogonal = Orthogonal(below=below)
        assert type(marquardt._linearise()) is kind
    marquardt = stepper(orthogonal=Orthogonal(damping=1e-6))
    here = marquardt._linearise()
    marquardt.step()
    assert here is not None
    assert marquardt.damping <= 1e-6 * here.largest * 2**10  # not the 1e-3 of the plain method, times trials


def test_momentum_of_nothing_is_the_plain_method() -> None:
    found = []
    for momentum in (None, Momentum(share=0.0)):
        marquardt = stepper(momentum=momentum)
        for _ in range(4):
            marquardt.step()
        found.append(weights_of(marquardt))
    assert torch.equal(*found)


def test_a_step_with_momentum_minimises_the_loss_that_pulls_towards_the_last() -> None:
    """min |r - J d|^2 + mu |d - share d_old|^2, as one least squares problem of stacked rows."""
    marquardt = stepper(momentum=Momentum(share=0.8))
    marquardt.step()
    marquardt.damping = 3.0  # with which the next trial is taken
    values, jacobian = marquardt.residuals.values_and_jacobian()
    before, last = weights_of(marquardt), marquardt._last
    assert last is not None
    root = math.sqrt(3.0)
    rows = torch.cat([jacobian, root * torch.eye(len(before), dtype=DOUBLE)])
    expected = torch.linalg.lstsq(rows, torch.cat([values, root * 0.8 * last])[:, None], driver="gelsd").solution[:, 0]
    here = marquardt._linearise()
    assert here is not None
    fall = float(values.square().sum() - (values - jacobian @ expected).square().sum())
    assert marquardt._foretold(here, 3.0, expected, 0.8 * last) == pytest.approx(fall, rel=1e-9)
    assert marquardt.step()
    assert_close(before - weights_of(marquardt), expected, 1e-9)


def test_pieces_are_the_rows_of_the_whole() -> None:
    """For every kind of condition, weights of points and causal weights."""
    model = Pinn(everything(), TRUNKS["mlp"]())
    loss = LossParts(
        model,
        model.problem.domain.sample(32, 1),
        n_condition_points=4,
        seed=0,
        causal=Causal(n_slices=3, epsilons=(0.5,)),
    )
    loss.point_weights = torch.rand(32, dtype=DOUBLE, generator=seeded())
    residuals = Residuals(loss, {"flux": 3.0})
    with loss.fixed_causal_weights(renew=True):
        values, jacobian = residuals.values_and_jacobian()
        for n_rows in (5, 1000):
            pieces = list(residuals.pieces(n_rows))
            found = torch.cat([torch.cat([rows, part[:, None]], 1) for part, rows in pieces])
            table = torch.cat([jacobian, values[:, None]], 1)
            assert found.shape == table.shape
            order = [torch.argsort(item[:, -1]) for item in (found, table)]  # equations come piece by piece
            assert_close(found[order[0]], table[order[1]], 1e-12 * float(table.abs().max()))


def test_a_sketch_is_a_sparse_matrix_of_signs_times_all_rows() -> None:
    """Every column of that matrix, the sketch of a unit vector by the same draws, has signs or sums of them."""
    options = RowSketch(n_buckets=2.0, n_hashes=3)
    rows = torch.randn(9, 3, dtype=DOUBLE, generator=seeded())

    def sketch_of(values: Tensor) -> tuple[float, Tensor, Tensor]:
        return sketched(zip(values.split(4), rows.split(4), strict=True), options, seeded())

    matrix = torch.stack([sketch_of(unit)[1] for unit in torch.eye(9, dtype=DOUBLE)], 1)
    values = torch.randn(9, dtype=DOUBLE, generator=seeded(5))
    loss, small_values, small_rows = sketch_of(values)
    assert matrix.shape == (6, 9)
    assert_close(matrix @ values, small_values, 1e-13)
    assert_close(matrix @ rows, small_rows, 1e-13)
    assert loss == pytest.approx(float(values @ values))
    signs = matrix * math.sqrt(3)
    assert_close(signs, signs.round(), 1e-12)
    assert float(signs.abs().sum(0).max()) == pytest.approx(3.0)


def test_rows_that_are_no_more_than_a_sketch_stay_as_they_are() -> None:
    rows = torch.randn(6, 3, dtype=DOUBLE, generator=seeded())
    values = torch.randn(6, dtype=DOUBLE, generator=seeded(5))
    pieces = list(zip(values.split(4), rows.split(4), strict=True))
    loss, same_values, same_rows = sketched(pieces, RowSketch(n_buckets=2.0), seeded())
    assert torch.equal(same_values, values)
    assert torch.equal(same_rows, rows)
    assert loss == pytest.approx(float(values @ values))


def test_a_sketch_keeps_lengths_on_the_mean() -> None:
    """The mean of |S v|^2 over 4000 draws is |v|^2; its deviation is below sqrt(2 / buckets) a draw: 5 of them."""
    rows = torch.randn(30, 4, dtype=DOUBLE, generator=seeded())
    vector = torch.randn(4, dtype=DOUBLE, generator=seeded(5))
    generator, n_draws = seeded(8), 1000
    lengths = []
    for _ in range(n_draws):
        _, _, small = sketched([(rows[:, 0], rows)], RowSketch(n_buckets=3.0, n_hashes=2), generator)
        lengths.append(float((small @ vector).square().sum()))
    exact = float((rows @ vector).square().sum())
    mean = sum(lengths) / n_draws
    assert abs(mean - exact) < 5 * exact * math.sqrt(2 / 12 / n_draws)  # a false alarm in two million


def test_a_sketched_step_lowers_the_loss_on_all_points() -> None:
    marquardt = stepper(600, sketch=RowSketch(n_rows=100))
    before = float(marquardt.residuals.values().square().sum())
    assert marquardt.step()
    after = float(marquardt.residuals.values().square().sum())
    assert after < 0.8 * before
    assert marquardt.loss == pytest.approx(after)
    assert len(marquardt.residuals.values()) > len(marquardt._linearise().values)  # pyright: ignore[reportOptionalMemberAccess]


def test_probing_takes_the_longest_step_whose_gain_is_the_target() -> None:
    marquardt = stepper(probing=Probing(n_candidates=9, spread=10.0, first=0.3))
    marquardt.damping = 0.02
    here = marquardt._linearise()
    assert here is not None
    before, loss = [part.detach().clone() for part in marquardt.residuals.parameters], marquardt.loss
    gains = {}
    for factor in Probing(n_candidates=9, spread=10.0).factors:
        damping = 0.02 * factor
        change = here.solve(damping, here.values)
        assert change is not None
        marquardt._move(before, change)
        fall = loss - float(marquardt.residuals.values().square().sum())
        gains[damping] = fall / marquardt._foretold(here, damping, change, None)
    marquardt._move(before, None)
    running, expected = math.inf, math.nan
    for damping in sorted(gains, reverse=True):
        running = min(running, gains[damping])
        if running < 0.3:
            break
        expected = damping
    assert min(gains) < expected < max(gains)  # the target is crossed within
    assert marquardt.step()
    assert marquardt.damping == pytest.approx(expected)


def test_the_target_rises_once_the_damping_does() -> None:
    assert rises([0.01 * k for k in range(30)])
    assert not rises([-0.01 * k for k in range(30)])
    assert not rises([0.0] * 30)
    marquardt = stepper(probing=Probing(patience=0, memory=3))
    marquardt._logarithms = [-20.0, -19.0, -18.0]
    marquardt.damping = 1.0
    assert marquardt.target == 0.1
    marquardt.step()
    assert marquardt.target == 0.5


def circuit() -> nn.Module:
    drawn = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).rx(weight(0), 0).ry(data(0), 1).rz(weight(1), 1)
    layer = QuantumLayer(drawn, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded())
    return nn.Sequential(nn.Linear(2, 2, dtype=DOUBLE), layer, nn.Linear(2, 1, dtype=DOUBLE))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(2, (5,), dtype=DOUBLE, generator=seeded()),
    "kan": lambda: KANLayer(2, 1, grid=3, domain=(-1.0, 1.0), dtype=DOUBLE, generator=seeded()),
    "qkan": lambda: QKAN([2, 1], reps=1, dtype=DOUBLE, generator=seeded()),
    "edges": lambda: EdgeJets(next(iter(QKAN([2, 1], reps=1, dtype=DOUBLE, generator=seeded()).layers))),
    "circuit": circuit,
}


@pytest.mark.parametrize("trunk", MODELS)
def test_all_options_together_train_any_trunk(trunk: str) -> None:
    model = Pinn(find_problem("burgers"), MODELS[trunk]())
    options = Training(
        n_adam=0,
        n_marquardt=3,
        n_points=60,
        n_condition_points=8,
        orthogonal=Orthogonal(),
        momentum=Momentum(),
        probing=Probing(n_candidates=3),
        sketch=RowSketch(n_buckets=4.0, n_rows=30),
    )
    start = LossParts(model, model.problem.domain.sample(60, 0), n_condition_points=8, seed=0)
    with torch.no_grad():
        before = float(sum(start.parts().values()))
    solution = train(model, options, seed=0)
    assert sum(solution.loss_parts.values()) < before


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": Momentum()},
        {"probing": Probing(n_candidates=3), "momentum": Momentum(share=0.5)},
        {"sketch": RowSketch(n_rows=20), "orthogonal": Orthogonal()},
    ],
)
def test_a_run_that_stops_and_goes_on_ends_as_one_that_did_not(options: dict[str, Any], tmp_path: Any) -> None:
    training = Training(n_adam=0, n_marquardt=10, n_points=60, n_condition_points=8, checkpoint_every=2, **options)
    whole = mlp(0)
    train(whole, training, seed=1)
    assert_a_stop_changes_nothing(mlp, training, whole, tmp_path)


def test_options_out_of_range_are_refused() -> None:
    for name, make in {
        "n_buckets": lambda: RowSketch(n_buckets=0.5),
        "n_candidates": lambda: Probing(n_candidates=25),
        "first": lambda: Probing(first=1.0),
        "share": lambda: Momentum(share=1.0),
        "below": lambda: Orthogonal(below=0.0),
        "sketch": lambda: Training(n_adam=0, n_marquardt=1, geodesic=Geodesic(), sketch=RowSketch()),
        "probing": lambda: Training(n_adam=0, n_marquardt=1, geodesic=Geodesic(), probing=Probing()),
    }.items():
        with pytest.raises(ValueError, match=f"`{name}`"):
            make()
