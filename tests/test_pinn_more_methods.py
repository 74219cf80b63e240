"""Task weights, the trunk with attention, and the hypernetwork."""

import numpy as np
import pytest
import torch
from torch import nn

from qml.pinn import (
    MLP,
    AttentionTrunk,
    Box,
    Face,
    HyperNetwork,
    LinearFamily,
    Pinn,
    Problem,
    Training,
    relative_l2,
    solve_by_hypernetwork,
    train,
    train_hypernetwork,
    train_tasks,
    weighted_tasks,
)
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.loss import LossParts
from tests.helpers import assert_close
from tests.pinn_checks import assert_jets_are_nested_passes

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_tasks(other: float) -> Problem:
    """u' = u with u(0) = 1, and v' = v with v(0) = `other`, which also has a slope that contradicts it at 1."""
    return Problem(
        name="two",
        domain=Box({"t": (0.0, 1.0)}),
        fields=("u", "v"),
        equations={"u grows": lambda u, u_t: u_t - u, "v grows": lambda v, v_t: v_t - v},
        conditions=(Face("u start", {"t": 0.0}, lambda u: u - 1.0), Face("v start", {"t": 0.0}, lambda v: v - other)),
        reference=np.exp,
        judged=("u",),
    )


TASKS = {"main": ("u grows", "u start"), "other": ("v grows", "v start")}
SHORT = Training(n_adam=0, n_marquardt=24, n_points=16, collocation="quadrature")


def test_gradients_that_agree_count_and_those_that_oppose_do_not() -> None:
    """With equal read-outs, equal tasks have the same gradients in the hidden layer, and opposite ones the opposite."""
    for other, expected in ((1.0, 1.0), (-1.0, None)):
        problem = two_tasks(other)
        trunk = MLP(1, (6,), 2, dtype=DOUBLE, generator=seeded())
        with torch.no_grad():
            trunk.layers[-1].weight[1] = trunk.layers[-1].weight[0]  # pyright: ignore[reportIndexIssue, reportArgumentType]
        training = Training(n_adam=0, n_marquardt=0, n_points=16, collocation="quadrature")
        found = train_tasks(Pinn(problem, trunk), training, TASKS, rule="similarity", n_rounds=2, seed=0).weights
        assert found[0] == {"main": 1.0, "other": 1.0}
        assert found[1]["main"] == 1.0
        if expected is not None:
            assert found[1]["other"] == pytest.approx(expected, abs=1e-12)
        else:
            assert 0.0 <= found[1]["other"] < 1.0


@pytest.mark.parametrize("rule", ["equal", "similarity", "variance"])
def test_tasks_are_solved_together_by_every_rule(rule: str) -> None:
    problem = two_tasks(0.5)
    model = Pinn(problem, MLP(1, (8,), 2, dtype=DOUBLE, generator=seeded()))
    assert relative_l2(model, problem.domain.grid(21)) > 0.5
    found = train_tasks(model, SHORT, TASKS, rule=rule, n_rounds=3, seed=0)
    assert relative_l2(model, problem.domain.grid(21)) < 1e-3
    assert len(found.solutions) == len(found.weights) == 3
    assert [solution.history["step"][-1] for solution in found.solutions] == [8, 8, 8]
    assert found.seconds > 0
    if rule == "variance":
        assert all(weights["main"] == 1.0 for weights in found.weights)


def test_weights_of_tasks_scale_the_loss() -> None:
    problem = two_tasks(0.5)
    weighed = weighted_tasks(problem, TASKS, {"main": 1.0, "other": 4.0})
    trunk = MLP(1, (4,), 2, dtype=DOUBLE, generator=seeded())
    points = problem.domain.sample(9, 0)
    before, after = (
        LossParts(Pinn(item, trunk), points, n_condition_points=4, seed=0).parts() for item in (problem, weighed)
    )
    assert_close(after["u grows"], before["u grows"], 1e-14)
    assert_close(after["v grows"], 4 * before["v grows"], 1e-12)
    assert [item.weight for item in weighed.conditions] == [1.0, 4.0]


def test_tasks_that_do_not_partition_the_loss_are_refused() -> None:
    model = Pinn(two_tasks(1.0), MLP(1, (4,), 2, dtype=DOUBLE, generator=seeded()))
    for tasks in (
        {"main": ("u grows",)},
        {"main": ("u grows",), "other": ("nothing",)},
        {"main": ("u grows",), "other": ("u grows",)},
        {"main": ("u grows",), "other": ()},
    ):
        with pytest.raises(ValueError, match="two tasks at least"):
            train_tasks(model, SHORT, tasks, seed=0)
    with pytest.raises(ValueError, match="`rule`"):
        train_tasks(model, SHORT, TASKS, rule="best", seed=0)
    with pytest.raises(ValueError, match="`n_rounds`"):
        train_tasks(model, SHORT, TASKS, n_rounds=0, seed=0)
    with pytest.raises(ValueError, match="at least 0 for each task"):
        weighted_tasks(two_tasks(1.0), TASKS, {"main": 1.0})


def waves() -> Problem:
    return Problem(
        name="waves",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u", "v"),
        equations={"a": lambda u_t, u_xx, v: u_t - u_xx + v, "b": lambda v_xt: v_xt, "c": lambda v_xx, u: v_xx - u},
        conditions=tuple(
            Face(f"{f} at {axis} = {end}", {axis: end}, (lambda u: u) if f == "u" else (lambda v: v))
            for f in "uv"
            for axis in "xt"
            for end in (0.0, 1.0)
        ),
    )


def test_attention_is_a_softmax_over_the_times_of_a_sequence() -> None:
    trunk = AttentionTrunk(2, 5, 3, offsets=(0.1, 0.2, 0.3), dtype=DOUBLE, generator=seeded())
    points = torch.rand(6, 2, dtype=DOUBLE, generator=seeded(1))
    embed, ask, key, value, mix, read_out = trunk.layers
    times = torch.stack([points + torch.tensor([0.0, 0.1 * k], dtype=DOUBLE) for k in range(4)], 1)
    hidden = torch.tanh(embed(times))
    attended = torch.nn.functional.scaled_dot_product_attention(ask(hidden[:, :1]), key(hidden), value(hidden))
    expected = read_out(torch.tanh(mix(hidden[:, 0] + attended[:, 0])))
    assert_close(trunk(points), expected, 1e-13)
    far = 1e3 * points  # large scores must not overflow
    assert bool(torch.isfinite(trunk(far)).all())


def test_jets_move_through_attention_and_rows_of_the_jacobian_are_exact() -> None:
    problem = waves()
    trunk = AttentionTrunk(2, 4, 2, dtype=DOUBLE, generator=seeded())
    points = torch.as_tensor(problem.domain.sample(5, 1))
    asked = ("u", "v", "u_t", "u_xx", "v_xt", "v_xx")
    assert_jets_are_nested_passes(lambda derivatives: Pinn(problem, trunk, derivatives=derivatives), points, asked)
    model = Pinn(problem, trunk)
    residuals = Residuals(LossParts(model, problem.domain.sample(7, 0), n_condition_points=3, seed=0), {})
    assert residuals.by_layers
    values, jacobian = residuals.values_and_jacobian()
    step, parameter = 1e-6, trunk.layers[1].get_parameter("weight")
    with torch.no_grad():
        parameter[1, 2] += step
        moved = residuals.values()
        parameter[1, 2] -= 2 * step
        difference = (moved - residuals.values()) / (2 * step)
        parameter[1, 2] += step
    start = sum(part.numel() for part in trunk.layers[0].parameters())
    assert_close(jacobian[:, start + 4 + 2], difference, 1e-8)
    assert len(values) == len(jacobian)


def test_times_around_a_point_are_exact_whatever_the_trunk_went_through() -> None:
    """They follow from the offsets: neither a dtype in between nor memory without values changes them."""
    trunk = AttentionTrunk(2, 5, offsets=(0.1, 0.3), dtype=DOUBLE, generator=seeded())
    state, inputs = trunk.state_dict(), torch.rand(4, 2, dtype=DOUBLE, generator=seeded(2))
    expected = trunk(inputs)
    for change in (nn.Module.double, nn.Module.bfloat16, lambda part: part.to("meta").to_empty(device="cpu")):
        other = AttentionTrunk(2, 5, offsets=(0.1, 0.3), dtype=torch.float32, generator=seeded(1))
        other(inputs.float())
        moved = change(other).double()
        with torch.no_grad():
            for values in (*moved.parameters(), *moved.buffers()):
                values.fill_(7)  # `to_empty` leaves whatever the memory held
        moved.load_state_dict(state)
        assert_close(moved(inputs), expected, 1e-14)
    stacked = {name: torch.stack([part.detach(), part.detach() + 0.1]) for name, part in trunk.named_parameters()}
    each = torch.func.vmap(lambda values: torch.func.functional_call(trunk, values, (inputs,)))(stacked)
    assert_close(each[0], expected, 1e-14)


@pytest.mark.plain
def test_attention_refuses_sequences_that_are_none() -> None:
    for options, words in (
        ({"offsets": ()}, "`offsets`"),
        ({"offsets": (0.0, 0.1)}, "`offsets`"),
        ({"offsets": (0.2, 0.1)}, "`offsets`"),
        ({"column": 2}, "`column`"),
        ({"column": -3}, "`column`"),
    ):
        with pytest.raises(ValueError, match=words):
            AttentionTrunk(2, 4, 1, **options)  # pyright: ignore[reportArgumentType]


def test_solutions_of_the_family_solve_its_equations() -> None:
    family = LinearFamily.drawn(3, seed=0)
    points = np.random.default_rng(0).random((9, 2))
    step = 1e-4
    shifts = {"u_x": [step, 0.0], "u_y": [0.0, step]}
    for term, shift in shifts.items():
        upper, lower = family.solution(points + shift), family.solution(points - np.array(shift))
        assert np.abs((upper - lower) / (2 * step) - family.solution(points, term)).max() < 1e-6
        bend = (upper - 2 * family.solution(points) + lower) / step**2
        assert np.abs(bend - family.solution(points, term + term[-1])).max() < 1e-5
    sides = np.array([[0.0, 0.3], [1.0, 0.2], [0.7, 0.0], [0.1, 1.0]])
    assert np.abs(family.solution(sides)).max() < 1e-14
    problem = family.problem(1)
    x = torch.as_tensor(points)
    c = family.coefficients[1]
    exact = {term: torch.as_tensor(family.solution(points, term)[1]) for term in ("u", "u_x", "u_y", "u_xx", "u_yy")}
    move = sum(weight * exact[term] for weight, term in zip(c[1:], ("u_x", "u_y", "u_xx", "u_yy"), strict=True))
    residual = problem.equations["linear"](u=exact["u"], move=move, x=x[:, 0], y=x[:, 1])
    assert float(residual.abs().max()) < 1e-12
    source = c[0] * exact["u"] + move
    assert_close(source, torch.as_tensor(family.source(points)[1]), 1e-12)


def test_a_hypernetwork_evaluates_the_solvers_whose_weights_it_writes() -> None:
    network = HyperNetwork((6,), solver_sizes=(4, 3), n_grid=2, dtype=DOUBLE, generator=seeded())
    family = LinearFamily.drawn(2, seed=0, n_modes=2)
    weights = solve_by_hypernetwork(network, family).weights[0]
    points = torch.rand(7, 2, dtype=DOUBLE, generator=seeded(1))
    values = network.evaluate(weights, points)
    problem = family.problem(1)
    model = Pinn(problem, torch.nn.Sequential(Centred(), network.solver(weights[1])), derivatives="nested")
    expected = model.evaluate(points, ("u", "u_x", "u_y", "u_xx", "u_yy"))
    for name, value in expected.items():
        assert_close(values[name][1], value, 1e-12)


class Centred(torch.nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * inputs - 1


def test_a_hypernetwork_learns_a_family_and_refinement_lowers_what_is_left_of_the_source() -> None:
    family, others = (LinearFamily.drawn(count, seed=seed, n_modes=1) for count, seed in ((200, 0), (8, 1)))
    network = HyperNetwork((24,), solver_sizes=(8,), n_grid=3, dtype=DOUBLE, generator=seeded())
    grid = Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}).grid(11)
    before = np.median(solve_by_hypernetwork(network, others).relative_l2(others, grid))
    losses = train_hypernetwork(network, family, n_steps=150, batch_size=16, n_points=16, learning_rate=1e-2)
    solved = solve_by_hypernetwork(network, others, n_rounds=1)
    after = np.median(solved.relative_l2(others, grid, 0))
    assert losses[-1] < 0.1 * losses[0]
    assert after < 0.3 * before
    assert solved.residuals.shape == (2, 8)
    both = network.evaluate(solved.weights[0], torch.as_tensor(grid))["u"] * solved.scales[0][:, None]
    assert np.allclose(solved.predict(grid, 0), both.detach().numpy())


def test_hypernetworks_refuse_what_does_not_fit() -> None:
    network = HyperNetwork((4,), solver_sizes=3, n_grid=2)
    with pytest.raises(ValueError, match="5 and 4 columns"):
        network(torch.zeros(1, 5), torch.zeros(1, 9))
    with pytest.raises(ValueError, match="`n_grid`"):
        HyperNetwork((4,), n_grid=1)
    family = LinearFamily.drawn(2, seed=0)
    with pytest.raises(ValueError, match="`n_rounds`"):
        solve_by_hypernetwork(network, family, n_rounds=-1)
    with pytest.raises(ValueError, match="at most 1"):
        solve_by_hypernetwork(HyperNetwork((4,), solver_sizes=3, n_grid=2), family, n_rounds=1).predict(
            np.zeros((1, 2)), 2
        )
    with pytest.raises(ValueError, match="less than 2"):
        family.problem(2)
    with pytest.raises(ValueError, match="shapes"):
        LinearFamily(np.zeros((2, 4)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="finite"):
        LinearFamily(np.full((1, 5), np.nan), np.zeros((1, 3, 3)))


def test_a_solver_can_be_trained_further() -> None:
    family = LinearFamily.drawn(1, seed=0, n_modes=1)
    network = HyperNetwork((4,), solver_sizes=(6,), n_grid=2, dtype=DOUBLE, generator=seeded())
    weights = solve_by_hypernetwork(network, family).weights[0][0]
    model = Pinn(family.problem(0), network.solver(weights))
    train(model, Training(n_adam=0, n_marquardt=15, n_points=60), seed=0)
    assert relative_l2(model, model.problem.domain.grid(11)) < 0.05
