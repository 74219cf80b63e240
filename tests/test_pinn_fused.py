"""The fused network: memory that stays from step to step, values at other points, gradients in the points."""

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from qml.pinn import MLP, Box, Face, Pinn, Problem, find_problem
from qml.pinn.loss import LossParts
from qml.pinn.workspace import KEPT, LARGEST, Workspace, lend
from tests.helpers import assert_close
from tests.pinn_checks import ROUNDING

DOUBLE = torch.float64
NAMES = ("u", "u_x", "u_t", "u_xx")
Trial = Callable[..., Tensor]


def heat(trial: Trial | None = None) -> Problem:
    """One field with an equation of first and second order, on a rectangle."""
    sides = [("left", {"x": -1.0}), ("right", {"x": 2.0}), ("start", {"t": 0.0})]
    return Problem(
        name="test",
        domain=Box({"x": (-1.0, 2.0), "t": (0.0, 0.5)}),
        fields=("u",),
        equations={"heat": lambda u, u_x, u_t, u_xx: u_t + u * u_x - u_xx},
        conditions=tuple(Face(name, at, lambda u, x: u - torch.sin(x)) for name, at in sides),
        trial=trial,
    )


def mlp(activation: str = "tanh") -> MLP:
    return MLP(2, (7, 5, 6), activation=activation, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))


def points(n: int = 9, seed: int = 1) -> Tensor:
    return torch.as_tensor(heat().domain.sample(n, seed))


def gradients(total: Tensor, trunk: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(total, list(trunk.parameters())))


def sum_of(values: dict[str, Tensor]) -> Tensor:
    return torch.stack([(1 + n) * value.square().sum() for n, value in enumerate(values.values())]).sum()


@pytest.mark.parametrize("trial", [None, lambda x, t, u: t * u + torch.sin(x)], ids=["plain", "trial"])
@pytest.mark.parametrize("activation", ["tanh", "sin"])  # a sine network is not fused, and gives the same
def test_values_at_other_points_come_along_and_change_nothing(trial: Trial | None, activation: str) -> None:
    trunk = mlp(activation)
    at, others = points(), points(4, seed=2)
    jets, nested = (Pinn(heat(trial), trunk, derivatives=way) for way in ("jets", "nested"))
    values, plain = jets.evaluate_both(at, (*NAMES, "x"), others)
    expected, expected_plain = nested.evaluate(at, (*NAMES, "x")), nested.evaluate(others, ("u",))
    for name in (*NAMES, "x"):
        assert_close(values[name], expected[name], ROUNDING)
    assert_close(plain["u"], expected_plain["u"], ROUNDING)
    found = gradients(sum_of(values) + plain["u"].cos().sum(), trunk)
    wanted = gradients(sum_of(expected) + expected_plain["u"].cos().sum(), trunk)
    for one, other in zip(found, wanted, strict=True):
        assert_close(one, other, ROUNDING * (1 + float(other.abs().max())))


def test_gradients_in_the_points_pass_gradcheck() -> None:
    model = Pinn(heat(), mlp())

    def both(at: Tensor, others: Tensor) -> tuple[Tensor, ...]:
        values, plain = model.evaluate_both(at, NAMES, others)
        return (*values.values(), plain["u"])

    assert torch.autograd.gradcheck(both, (points(3).requires_grad_(), points(2, seed=2).requires_grad_()))


def test_graphs_that_are_alive_at_once_do_not_disturb_each_other() -> None:
    trunk = mlp()
    model = Pinn(heat(), trunk)
    one, two = points(), points(seed=5)
    alone = [gradients(sum_of(model.evaluate(at, NAMES)), trunk) for at in (one, two)]
    totals = [sum_of(model.evaluate(at, NAMES)) for at in (one, two)]
    with torch.no_grad():
        model.evaluate(one, NAMES)  # takes a third workspace, and gives it back
    for total, expected in zip(totals, alone, strict=True):
        for again in (True, False):  # a graph that is kept can be walked twice
            found = torch.autograd.grad(total, list(trunk.parameters()), retain_graph=again)
            for mine, other in zip(found, expected, strict=True):
                assert torch.equal(mine, other)


def test_a_workspace_comes_back_with_its_graph_and_only_then() -> None:
    like, sizes, widths = torch.zeros(1), (1, 1), (3,)
    first = lend(like, 11, 0, sizes, widths)
    kept = first.workspace
    assert lend(like, 11, 0, sizes, widths).workspace is not kept
    del first
    gc.collect()
    lent = [lend(like, 11, 0, sizes, widths).workspace for _ in range(3)]
    assert kept in lent
    for n in range(2 * KEPT):  # of other kinds: the oldest kind goes
        lend(like, 20 + n, 0, sizes, widths)
    assert lend(like, 11, 0, sizes, widths).workspace not in [kept, *lent]


def test_a_large_workspace_is_not_kept() -> None:
    like, n = torch.zeros(1), LARGEST // 64
    sizes: tuple[int, int] = (2, 2)
    assert Workspace(like, n, 0, sizes, (8,)).numel > LARGEST
    loan = lend(like, n, 0, sizes, (8,))
    first = loan.workspace
    del loan
    assert lend(like, n, 0, sizes, (8,)).workspace is not first


def test_training_after_inference_mode_works() -> None:
    trunk = mlp()
    model = Pinn(heat(), trunk)
    with torch.inference_mode():
        values = model.evaluate(points(13), NAMES)
    trained = model.evaluate(points(13), NAMES)
    gradients(sum_of(trained), trunk)
    assert_close(values["u_xx"], trained["u_xx"], 0)


def test_hooks_see_every_layer() -> None:
    trunk, seen = mlp(), []
    model = Pinn(heat(), trunk)
    expected = model.evaluate(points(), NAMES)
    handles = [layer.register_forward_hook(lambda *_: seen.append(1)) for layer in trunk.layers]
    found, _ = model.evaluate_both(points(), NAMES, points(3))
    assert len(seen) == 2 * len(trunk.layers)
    for name in NAMES:
        assert_close(found[name], expected[name], ROUNDING)
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("name", ["heat", "cavity", "burgers"])
def test_the_loss_is_that_of_its_terms_one_by_one(name: str) -> None:
    posed = find_problem(name)
    assert posed.features is None
    generator = torch.Generator().manual_seed(4)
    model = Pinn(posed, MLP(len(posed.coordinates), (6, 6), len(posed.fields), dtype=DOUBLE, generator=generator))
    loss = LossParts(model, posed.domain.sample(20, 1), n_condition_points=7, seed=3)
    parts = loss.parts()
    for term in loss.terms():
        values = model.evaluate(term.points, term.names)
        for part, function in term.functions.items():
            assert_close(parts[part], function(**values).square().mean(), ROUNDING)
