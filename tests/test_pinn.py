"""Physics-informed problems, their references, training, checkpoints, and what is refused."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qml.pinn import (
    MLP,
    PROBLEMS,
    Annealing,
    Box,
    Causal,
    DivergenceError,
    Face,
    Integral,
    Observations,
    Periodic,
    Pinn,
    Problem,
    Resampling,
    Training,
    find_problem,
    relative_l2,
    train,
)
from qml.pinn.conditions import QUADRATURE
from qml.pinn.names import operator
from qml.pinn.problems import finite_well
from qml.pinn.problems.wells import barrier_energy, well_energies
from qml.pinn.training.checkpoint import load_checkpoint
from qml.pinn.training.loss import LossParts
from tests.helpers import assert_close

STEP = 1e-3  # of the differences that check references
TIGHT = 1e-12


def network(problem: Problem, hidden: tuple[int, ...] = (8,), seed: int = 0) -> Pinn:
    n_features = len(problem.coordinates)
    if problem.features is not None:
        asked = {name: torch.zeros(1) for name in inspect.signature(problem.features).parameters}
        n_features = len(problem.features(**asked))
    generator = torch.Generator().manual_seed(seed)
    return Pinn(problem, MLP(n_features, hidden, len(problem.fields), dtype=torch.float64, generator=generator))


def differences(
    problem: Problem, points: np.ndarray, field: str, axes: tuple[str, ...], step: np.ndarray
) -> np.ndarray:
    """A field or derivative of the reference, by central differences of sixth order applied in turn."""
    assert problem.reference is not None
    weights = {-3: -1 / 60, -2: 3 / 20, -1: -3 / 4, 1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    terms = {(0,) * points.shape[1]: 1.0}
    for axis in axes:
        column = problem.coordinates.index(axis)
        grown: dict[tuple[int, ...], float] = {}
        for place, factor in terms.items():
            for shift, weight in weights.items():
                moved = (*place[:column], place[column] + shift, *place[column + 1 :])
                grown[moved] = grown.get(moved, 0.0) + factor * weight / step[column]
        terms = grown
    index = problem.fields.index(field)
    return sum(factor * problem.reference(points + step * np.array(place))[:, index] for place, factor in terms.items())


@pytest.mark.parametrize("name", [name for name in PROBLEMS if not find_problem(name).judged])
def test_the_reference_solves_the_equations_and_the_conditions(name: str) -> None:
    problem = find_problem(name)
    box = problem.domain
    widths = np.array([high - low for low, high in box.intervals.values()])
    step = STEP * widths * (0.3 if name in {"burgers", "poisson", "convection"} else 1.0)
    rows = box.sample(64, 5)
    lows = np.array([low for low, _ in box.intervals.values()])
    points = lows + 0.02 * widths + 0.96 * (rows - lows)
    for axis, places in box.breaks.items():
        column = points[:, problem.coordinates.index(axis)]
        near = np.min(np.abs(column[:, None] - np.array(places)), 1) < 8 * step[0]
        points = points[~near]
    coordinates = dict(zip(problem.coordinates, torch.as_tensor(points).T, strict=True))
    scalars = {key: torch.tensor(value, dtype=torch.float64) for key, value in problem.reference_scalars.items()}
    for equation, names in problem.equation_names.items():
        values: dict[str, Tensor] = {}
        scale = 1.0
        for asked in names:
            item = problem.derivative(asked)
            if item is not None:
                terms = [factor * differences(problem, points, item.field, axes, step) for axes, factor in item.terms]
                values[asked] = torch.as_tensor(sum(terms))
                scale = max(scale, *(float(np.abs(term).max()) for term in terms))
            else:
                values[asked] = (coordinates | scalars)[asked]
        residual = problem.equations[equation](**values)
        # Sixth-order differences over steps of a thousandth of the domain, whose error is far below the terms.
        assert float(residual.abs().max()) < 1e-4 * scale, equation
    for condition in problem.conditions:
        if isinstance(condition, Observations) or any("_" in asked for asked in condition.names if asked != QUADRATURE):
            continue
        place = condition.points(box, 16, 2)
        assert problem.reference is not None
        reference = problem.reference(place[:, : len(box.coordinates)])
        known = dict(zip(problem.fields, torch.as_tensor(reference).T, strict=True))
        known |= dict(zip(box.coordinates, torch.as_tensor(place[:, : len(box.coordinates)]).T, strict=True))
        known[QUADRATURE] = torch.as_tensor(place[:, -1])
        values = {asked: known[asked] for asked in condition.names}
        # A cosine series rounds the corner of Allen-Cahn's initial values.
        assert float(condition.residual(values).abs().max()) < (2e-3 if name == "allen-cahn" else 1e-6)


def test_energies_are_those_of_a_matrix_of_differences() -> None:
    """An independent eigen-solver: second differences on a fine grid, by Lanczos."""
    from scipy.linalg import eigh_tridiagonal

    def lowest(potential: np.ndarray, step: float, count: int) -> np.ndarray:
        ends = (0, count - 1)
        return eigh_tridiagonal(
            potential + 2 / step**2, np.full(len(potential) - 1, -1 / step**2), select="i", select_range=ends
        )[0]

    n = 6000  # a node at each place where the potential jumps
    x, step = np.linspace(-3, 3, n + 1, retstep=True)
    inner = x[1:-1]
    depth = 20.0 * ((np.abs(inner) > 1) + 0.5 * np.isclose(np.abs(inner), 1))  # the mean where it jumps
    # Second-order differences: the error is step^2 times the fourth derivatives, about E^2 step^2 / 12.
    np.testing.assert_allclose(well_energies(), lowest(depth, float(step), 3), rtol=1e-4)
    x, step = np.linspace(0, 1, n + 1, retstep=True)
    inner = x[1:-1]
    edges = np.isclose(np.abs(inner - 0.5), 0.1)
    height = 50.0 * ((np.abs(inner - 0.5) < 0.1 - 1e-9) * 1.0 + 0.5 * edges)
    np.testing.assert_allclose(barrier_energy(), lowest(height, float(step), 1)[0], rtol=1e-5)


def test_the_infinite_well_is_found_with_its_energy() -> None:
    problem = find_problem("infinite-well-energy")
    model = network(problem, (12, 12))
    training = Training(n_adam=300, learning_rate=1e-2, n_lbfgs=150, n_points=24, collocation="quadrature")
    before = relative_l2(model, problem.domain.grid(101))
    assert before > 0.1
    solution = train(model, training, seed=0)
    assert relative_l2(model, problem.domain.grid(101)) < 1e-3
    assert abs(solution.scalars["E"] / math.pi**2 - 1) < 1e-3
    assert set(solution.loss_parts) == {"schroedinger", "norm"}


def decay(**options: Any) -> Problem:
    arguments: dict[str, Any] = {
        "name": "decay",
        "domain": Box({"x": (-1.0, 1.0), "t": (0.0, 2.0)}),
        "fields": ("u",),
        "equations": {"decay": lambda u, u_t, u_xx: u_t + u - u_xx},
        "conditions": (
            Face("left", {"x": -1.0}, lambda u: u),
            Face("right", {"x": 1.0}, lambda u_x: u_x),
            Face("initial", {"t": 0.0}, lambda u, x: u - torch.cos(x)),
        ),
    }
    return Problem(**(arguments | options))


METHODS = Training(
    n_adam=60,
    n_lbfgs=0,
    n_points=40,
    n_condition_points=8,
    annealing=Annealing(every=7),
    causal=Causal(n_slices=4, epsilons=(0.1, 1.0)),
    resampling=Resampling(every=25, n_candidates=200),
    checkpoint_every=20,
)


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    for name, training in (("adam", METHODS), ("lbfgs", Training(n_adam=5, n_lbfgs=120, n_points=20))):
        whole = network(decay())
        expected = train(whole, training, seed=4, checkpoint=tmp_path / f"{name}-whole.safetensors")

        class Stop(Exception):
            pass

        def stop(share: float, text: str, limit: float = 0.75) -> None:
            if share > limit:
                raise Stop

        path = tmp_path / f"{name}.safetensors"
        with pytest.raises(Stop):
            train(network(decay()), training, seed=4, checkpoint=path, on_step=stop)
        model = network(decay(), seed=9)  # its weights are replaced
        resumed = train(model, training, seed=4, checkpoint=path)
        assert resumed.condition_weights == expected.condition_weights
        assert resumed.epsilon == expected.epsilon
        assert resumed.history["step"] == sorted(set(resumed.history["step"]))
        for mine, other in zip(model.parameters(), whole.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_methods_are_visible_in_the_solution() -> None:
    solution = train(network(decay()), METHODS, seed=0)
    assert re.fullmatch(r"Solution\('decay', \d+ steps, [\d.]+ s(, loss of \w+=[\d.e+-]+)+\)", repr(solution))
    assert solution.training is METHODS
    assert solution.epsilon in {0.1, 1.0}
    assert all(weight != 1.0 for weight in solution.condition_weights.values())
    plain = train(network(decay()), Training(n_adam=3, n_points=8), seed=0)
    assert plain.epsilon is None
    assert plain.condition_weights == {"left": 1.0, "right": 1.0, "initial": 1.0}


def test_annealed_weights_follow_the_formula() -> None:
    model = network(decay())
    loss = LossParts(model, model.problem.domain.sample(40, 4), n_condition_points=8, seed=4)
    parts, weights = loss.parts(), list(model.parameters())

    def gradient(part: Tensor) -> Tensor:
        found = torch.autograd.grad(part, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        return torch.cat([one.flatten() for one in found])

    ratio = gradient(parts["decay"]).abs().max() / gradient(parts["left"]).abs().mean()
    options = Training(n_adam=1, n_points=40, n_condition_points=8, annealing=Annealing(rate=0.3))
    solution = train(model, options, seed=4)
    assert solution.condition_weights["left"] == pytest.approx(0.7 + 0.3 * float(ratio.detach()), rel=TIGHT)


def test_causal_weights_follow_the_formula() -> None:
    model = network(decay())
    points = model.problem.domain.sample(64, 1)
    loss = LossParts(model, points, n_condition_points=4, seed=0, causal=Causal(n_slices=4, epsilons=(2.0,)))
    part = float(loss.parts()["decay"].detach())
    squares = loss.residuals(loss.points)["decay"].detach().numpy() ** 2
    slices = np.minimum((points[:, 1] / 0.5).astype(int), 3)
    means = np.array([squares[slices == index].mean() for index in range(4)])
    weights = np.exp(-2.0 * np.concatenate([[0.0], np.cumsum(means)[:-1]]))
    assert part == pytest.approx(float((weights[slices] * squares).mean()), rel=TIGHT)


def test_resampling_prefers_large_residuals() -> None:
    residual = torch.cat([torch.full((900,), 0.01), torch.full((100,), 1.0)])
    chosen = Resampling(power=2.0, floor=0.0).draw(residual, 50, 3)
    assert len(set(chosen.tolist())) == 50
    assert int((chosen >= 900).sum()) >= 45  # the mean is 49.5 of 50


def test_a_loss_that_is_not_finite_names_itself_and_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    broken = decay(equations={"decay": lambda u, u_t, u_xx: torch.log(u - u - 1) * u_t * u_xx})
    with pytest.raises(DivergenceError, match="at step 0 `decay` is nan; there is no checkpoint yet"):
        train(network(broken), Training(n_adam=2, n_points=8), seed=0)
    calls: list[int] = []

    def later(u: Tensor, u_t: Tensor, u_xx: Tensor) -> Tensor:
        calls.append(len(calls))
        return u_t + u - u_xx + (math.nan if len(calls) > 9 else 0.0)

    slow = Training(n_adam=50, n_points=8, checkpoint_every=5)
    with pytest.raises(DivergenceError, match=r"the last good checkpoint is .*run\.safetensors") as caught:
        train(network(decay(equations={"decay": later})), slow, seed=0, checkpoint=path)
    assert caught.value.checkpoint == path
    assert load_checkpoint(path).progress["step"] == 5
    huge = Training(n_adam=50, n_points=8, learning_rate=1e160, checkpoint_every=1)
    with pytest.raises(DivergenceError, match=r"`decay` is (inf|nan).*there is no checkpoint yet"):
        train(network(decay()), huge, seed=0, checkpoint=tmp_path / "huge.safetensors")


def test_a_checkpoint_of_other_settings_or_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(network(decay()), Training(n_adam=2, n_points=8), seed=0, checkpoint=path)
    with pytest.raises(ValueError, match="has another seed"):
        train(network(decay()), Training(n_adam=2, n_points=8), seed=1, checkpoint=path)
    with pytest.raises(ValueError, match="has another training"):
        train(network(decay()), Training(n_adam=3, n_points=8), seed=0, checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is corrupt"):
        train(network(decay()), Training(n_adam=2, n_points=8), seed=0, checkpoint=path)
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        train(network(decay()), Training(n_adam=2), seed=0, checkpoint=tmp_path / "run.pt")


ZERO = Face("left", {"x": -1.0}, lambda u: u)
INITIAL = Face("initial", {"t": 0.0}, lambda u: u)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"equations": {"e": lambda u_z: u_z}}, "asks for `u_z`, which is unbound"),
        ({"equations": {"e": lambda w: w}}, "asks for `w`, which is unbound"),
        ({"conditions": (Face("far", {"x": 3.0}, lambda u: u),)}, "`far` must lie in the domain.* at x = 3"),
        ({"conditions": (Face("odd", {"y": 0.0}, lambda u: u),)}, "condition `odd` must be one of x, t, but is 'y'"),
        ({"conditions": (Face("bad", {"x": 1.0}, lambda u_q: u_q),)}, "asks for `u_q`, which is unbound"),
        ({"conditions": (Face("free", {}, lambda u: u),)}, "`free` must fix a coordinate"),
        ({"conditions": (ZERO, INITIAL)}, "must hold 2 on `u` across x.* but 1 of them fix x"),
        ({"conditions": (Periodic("p", "x", ("u", "u_x")),)}, "must hold 1 on `u` across t"),
        ({"scalars": {"k": 1.0}}, "must hold an Integral or Observations, since k"),
        ({"fields": ("u", "u")}, "u is there twice"),
        ({"equations": {"left": lambda u: u}}, "left is there twice"),
        ({"operators": {"u": {"u_x": 1.0}}}, "scalars and operators must differ, but u is there twice"),
        ({"operators": {"u_xx": {"u_x": 1.0}}}, "Operator `u_xx` must be called by a name .* means nothing else"),
        ({"operators": {"two words": {"u_x": 1.0}}}, "Operator `two words` must be called by a name"),
        ({"operators": {"flow": {}}}, "`flow` must be a sum of derivatives of one field, but is {}"),
        ({"operators": {"flow": {"u": 1.0}}}, "`flow` must map derivatives .* holds 'u': 1.0"),
        ({"operators": {"flow": {"w_x": 1.0}}}, "`flow` must map derivatives .* holds 'w_x': 1.0"),
        ({"operators": {"flow": {"u_x": 0.0}}}, "finite numbers other than 0, .* holds 'u_x': 0.0"),
        ({"operators": {"flow": {"u_x": float("nan")}}}, "finite numbers other than 0, .* holds 'u_x': nan"),
        ({"operators": {"flow": {"u_xt": 1.0, "u_tx": 1.0}}}, "each once, .* holds 'u_tx': 1.0"),
        ({"fields": ("u", "v"), "operators": {"flow": {"u_x": 1.0, "v_x": 1.0}}}, "`flow` must be .* of one field"),
        ({"operators": {"class": {"u_x": 1.0}}}, "Operator `class` must be called by a name"),
        ({"operators": {"flow": {"u_x": 5e-324}}}, "finite numbers other than 0, .* holds 'u_x': 5e-324"),
        ({"trial": lambda u, flow: u, "operators": {"flow": {"u_x": 1.0}}}, r"scalars \(none\), but asks for `flow`"),
        ({"equations": {"e": lambda flux: flux}, "operators": {"flow": {"u_x": 1.0}}}, "`flux`, which is unbound"),
        ({"equations": {"e": lambda *u: u}}, "must name each of its arguments"),
        (
            {"conditions": (Observations("seen", "u", np.array([[0.0, 9.0]]), np.zeros(1)),)},
            "`seen` must lie in the domain, but 1 points do not",
        ),
        (
            {"conditions": (Observations("seen", "u", np.array([[0.0, 1.0]]), np.zeros(2)),)},
            "`seen` must have one value a point",
        ),
    ],
)
def test_a_problem_that_does_not_hold_together_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        decay(**options)


@pytest.mark.parametrize(
    ("terms", "error", "message"),
    [
        ([("u_x", 1.0)], TypeError, "`flow` must be a mapping from derivatives to coefficients"),
        ({"u_x": "k"}, ValueError, "which are not trained, but holds 'u_x': 'k'"),
        ({"u_x": torch.ones(())}, ValueError, "which are not trained, but holds 'u_x': tensor"),
        ({3: 1.0}, ValueError, "must map derivatives .* holds 3: 1.0"),
    ],
)
def test_operators_of_other_types_are_refused_by_name(terms: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        operator("flow", terms, ("u",), ("x",))


def test_fields_together_may_have_enough_conditions() -> None:
    """A stream function has all of them, its vorticity none; one fewer is too few."""
    sides = [("low", -1.0), ("high", 1.0)]
    walls = [Face(name, {"x": at}, lambda p: p) for name, at in sides]
    slips = [Face(f"slip {name}", {"x": at}, lambda p_x: p_x) for name, at in sides]

    def bent(*conditions: Face) -> Problem:
        return Problem(
            name="plate",
            domain=Box({"x": (-1.0, 1.0)}),
            fields=("p", "w"),
            equations={"vorticity": lambda p_xx, w: p_xx + w, "load": lambda w_xx: w_xx - 1.0},
            conditions=conditions,
        )

    assert bent(*walls, *slips).orders == {"p": {"x": 2}, "w": {"x": 2}}
    with pytest.raises(ValueError, match=r"must hold 2 on `w` across x.* but 1 of them fix x"):
        bent(*walls, slips[0])
    with pytest.raises(ValueError, match=r"must hold 2 on `w` across x.* but 0 of them fix x"):  # not one of its own
        replace(bent(*walls, *slips), equations={"load": lambda w_xx: w_xx, "vorticity": lambda p_xx: p_xx})


def test_a_condition_that_is_not_exact_after_all_is_refused() -> None:
    conditions = (replace(ZERO, exact=True), Face("right", {"x": 1.0}, lambda u: u), INITIAL)
    with pytest.raises(ValueError, match="Condition `left` must hold exactly"):
        network(decay(conditions=conditions))
    exact = decay(conditions=conditions, trial=lambda x, u: (1 + x) * u)
    solution = train(network(exact), Training(n_adam=1, n_points=8), seed=0)
    assert set(solution.loss_parts) == {"decay", "right", "initial"}


def test_excited_states_need_the_lower_ones() -> None:
    with pytest.raises(ValueError, match=r"must be in 0\.\.2"):
        finite_well(3)
    with pytest.raises(ValueError, match="must hold models of the 1 lower states"):
        finite_well(1)
    ground = network(finite_well())
    excited = finite_well(1, lower=[ground])
    (overlap,) = (part for part in excited.conditions if part.name == "orthogonal to 0")
    model = network(excited, seed=5)
    nodes, weights = excited.domain.quadrature(64)
    expected = (weights * model.predict(nodes)[:, 0] * ground.predict(nodes)[:, 0]).sum()
    points = torch.as_tensor(overlap.points(excited.domain, 0, 0))
    with torch.no_grad():
        found = overlap.residual(model.evaluate(points, overlap.names))
    assert_close(found[0], expected, TIGHT)


def test_quadrature_stops_at_breaks() -> None:
    box = Box({"x": (0.0, 2.0), "y": (-1.0, 1.0)}, breaks={"x": (0.7,)})
    nodes, weights = box.quadrature(6)
    step = np.where(nodes[:, 0] < 0.7, 1.0, 5.0) * nodes[:, 1] ** 2
    assert (weights * step).sum() == pytest.approx((0.7 + 5 * 1.3) * 2 / 3, rel=TIGHT)
    assert Integral("norm", lambda u: u, 1.0).fixed == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box({}), "at least one coordinate"),
        (lambda: Box({"xy": (0.0, 1.0)}), "by one letter"),
        (lambda: Box({"x": (1.0, 0.0)}), "low < high"),
        (lambda: Box({"x": (0.0, 1.0)}, breaks={"x": (2.0,)}), "inside x's interval"),
        (lambda: Training(n_adam=-1), "`n_adam` must be at least 0"),
        (lambda: Training(decay=0.0), r"in \(0, 1\]"),
        (lambda: Training(collocation="random"), "must be one of"),
        (lambda: Training(n_points=99, resampling=Resampling(n_candidates=9)), "at least n_points"),
        (lambda: Annealing(rate=0.0), r"in \(0, 1\]"),
        (lambda: Causal(epsilons=(2.0, 1.0)), "positive and rise"),
        (lambda: Causal(n_slices=1), "at least 2"),
        (lambda: MLP(1, ()), "`hidden_sizes` must hold at least 1"),
        (lambda: MLP(1, (3,), activation="relu"), "must be one of 'tanh', 'sin'"),
        (lambda: find_problem("euler"), "but is 'euler'"),
        (lambda: Pinn(decay(), nn.Linear(2, 1), derivatives="finite"), "but is 'finite'"),
    ],
)
def test_bad_options_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
