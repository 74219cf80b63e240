"""The fused network: memory that stays from step to step, values at other points, gradients in the points."""

import copy
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qml import buffers
from qml.jets import JetModule
from qml.jets.layer_buffers import HiddenRows, RowLayout, hidden_rows_loan, pass_buffers_loan
from qml.pinn import MLP, Box, Face, Pinn, Problem, find_problem
from qml.pinn.constant import Constant
from qml.pinn.training.loss import LossParts
from tests.helpers import assert_close
from tests.pinn_checks import ROUNDING, pure

DOUBLE = torch.float64
NAMES = ("u", "u_x", "u_t", "u_xx", "mixed")
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
        operators={"mixed": {"u_t": 1.0, "u_xx": -0.3, "u_xt": 0.7}},
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
        model.evaluate(one, NAMES)
    for total, expected in zip(totals, alone, strict=True):
        for again in (True, False):  # a graph that is kept can be walked twice
            found = torch.autograd.grad(total, list(trunk.parameters()), retain_graph=again)
            for mine, other in zip(found, expected, strict=True):
                assert torch.equal(mine, other)


def test_threads_that_walk_one_graph_do_not_disturb_each_other() -> None:
    trunk = MLP(2, (20, 20), dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    total = sum_of(Pinn(heat(), trunk).evaluate(points(2000), NAMES))
    parameters = list(trunk.parameters())
    expected = torch.autograd.grad(total, parameters, retain_graph=True)

    def walk(_: int) -> bool:
        found = torch.autograd.grad(total, parameters, retain_graph=True)
        return all(torch.equal(mine, other) for mine, other in zip(found, expected, strict=True))

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(walk, range(150)))


def test_pass_buffers_are_lent_to_one_at_a_time() -> None:
    like = torch.zeros(1)
    layout = RowLayout(11, 0, pure(1, 1), (3,))
    with pass_buffers_loan(like, layout) as one, pass_buffers_loan(like, layout) as other:
        first, second = one.buffer(), other.buffer()
        assert first is not second
    with pass_buffers_loan(like, layout) as again:
        assert again.buffer() in (first, second)


def test_memory_of_many_graphs_is_not_kept_when_they_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    at, layout = points(37), RowLayout(37, 0, pure(2, 1), (7, 5, 6))
    size = HiddenRows(at, layout).nbytes
    pool = buffers.BufferPool(idle_bytes_limit=3 * size)
    monkeypatch.setattr(buffers, "POOL", pool)
    model = Pinn(heat(), mlp())
    graphs = [model.evaluate(at, NAMES[:4]) for _ in range(10)]
    before = pool.idle_bytes
    del graphs
    assert before < pool.idle_bytes <= 3 * size


def test_what_a_graph_keeps_goes_with_its_backward_pass() -> None:
    """A loss that is kept for a plot does not keep the activations."""
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    trunk = mlp()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total = sum_of(Pinn(heat(), trunk).evaluate(points(), NAMES))
    largest = weakref.ref(max(kept, key=Tensor.numel))
    kept.clear()
    assert largest() is not None
    total.backward()
    assert largest() is None


def test_memory_of_hidden_layers_is_taken_again_when_the_graph_is_gone() -> None:
    trunk, at = mlp(), points(31)
    model = Pinn(heat(), trunk)
    layout = RowLayout(31, 0, pure(2, 1), (7, 5, 6))
    total = sum_of(model.evaluate(at, NAMES))
    with hidden_rows_loan(at, layout) as loan:
        first = loan.buffer()
        total.backward()
        again = loan.buffer()
        assert again is not first
    model.evaluate(at, NAMES)  # recorded, and dropped at once
    with hidden_rows_loan(at, layout) as loan:
        assert {loan.buffer(), loan.buffer()} == {first, again}


def test_an_error_between_the_passes_gives_the_memory_back() -> None:
    at, layout = points(29), RowLayout(29, 0, pure(2, 1), (7, 5, 6))
    model = Pinn(heat(), mlp())

    def fail(_: Tensor) -> Tensor:
        raise KeyError

    for hook in (None, fail):
        with hidden_rows_loan(at, layout) as loan:
            expected = loan.buffer()
        values = model.evaluate(at, NAMES)
        if hook is not None:
            values["u_x"].register_hook(hook)
            with pytest.raises(KeyError):
                sum_of(values).backward()
        del values
        with hidden_rows_loan(at, layout) as loan:
            assert loan.buffer() is expected


def test_who_keeps_saved_tensors_in_another_way_keeps_what_they_hold() -> None:
    trunk, at = mlp(), points(33)
    model = Pinn(heat(), trunk)
    expected = gradients(sum_of(model.evaluate(at, NAMES)), trunk)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach().numpy(), torch.from_numpy):
        total = sum_of(model.evaluate(at, NAMES))
    for seed in range(3):  # would write into the memory if it were free
        model.evaluate(points(33, seed=seed + 7), NAMES)
    for mine, other in zip(gradients(total, trunk), expected, strict=True):
        assert torch.equal(mine, other)


def test_layers_that_are_moved_out_of_memory_come_back_as_they_were() -> None:
    """Offloading packs a copy in place of the alias that a graph would save."""
    trunk, at = mlp(), points(35)
    model = Pinn(heat(), trunk)
    expected = gradients(sum_of(model.evaluate(at, NAMES)), trunk)
    with torch.autograd.graph.save_on_cpu():
        total = sum_of(model.evaluate(at, NAMES))
    for seed in range(3):
        model.evaluate(points(35, seed=seed + 7), NAMES)
    for again in (True, False):
        found = torch.autograd.grad(total, list(trunk.parameters()), retain_graph=again)
        for mine, other in zip(found, expected, strict=True):
            assert torch.equal(mine, other)


def test_a_subclass_with_a_forward_of_its_own_is_asked() -> None:
    class Twice(MLP, JetModule):
        def forward(self, inputs: Any, others: Tensor | None = None) -> Any:
            return super().forward(inputs) * 2.0

    model = Pinn(heat(), Twice(2, (7,), dtype=DOUBLE, generator=torch.Generator().manual_seed(3)))
    values, plain = model.evaluate_both(points(), NAMES, points(4))
    for name, value in model.evaluate(points(), NAMES).items():
        assert_close(values[name], value, ROUNDING)
    assert_close(plain["u"], model(points(4))[:, 0], ROUNDING)
    with pytest.raises(ValueError, match="`others` must be None unless `fuses_layers`"):
        mlp()(points(), points())


def test_hooks_of_the_trunk_see_it() -> None:
    trunk, seen = mlp(), []
    trunk.register_forward_hook(lambda *_: seen.append(1))
    model = Pinn(heat(), trunk)
    seen.clear()
    model.evaluate_both(points(), NAMES, points(3))
    assert seen == [1]


def test_no_points_give_no_values() -> None:
    model = Pinn(heat(), mlp())
    none = points()[:0]
    for at, others in ((none, points(3)), (points(), none), (none, none)):
        values, plain = model.evaluate_both(at, NAMES, others)
        assert all(value.shape == (len(at),) for value in values.values())
        assert plain["u"].shape == (len(others),)
        gradients(sum_of(values) + plain["u"].sum(), model.trunk)


def test_autocast_stays_outside() -> None:
    trunk = MLP(2, (7, 5), generator=torch.Generator().manual_seed(3))
    model = Pinn(heat(), trunk)
    at = points().float()
    expected = model.evaluate(at, NAMES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.evaluate(at, NAMES)
        of_weights = gradients(sum_of(found), trunk)
    for name in NAMES:
        assert torch.equal(found[name], expected[name])
    for mine, other in zip(of_weights, gradients(sum_of(expected), trunk), strict=True):
        assert torch.equal(mine, other)


def test_constants_outlive_torch_func() -> None:
    ones = Constant(np.ones(3))
    torch.func.grad(lambda u: (u - ones.like(u)).square().sum())(torch.rand(3))
    assert_close(copy.deepcopy(ones).like(torch.zeros(3)), torch.ones(3), 0)


def test_fake_tensors_leave_nothing_behind() -> None:
    from torch._subclasses import FakeTensorMode

    problem, trunk = heat(), mlp()
    model, at = Pinn(problem, trunk), points(17)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.evaluate(at, ("u_tt", "u_x"))
    assert all(type(value) is Tensor for value in model.evaluate(at, ("u_tt", "u_x")).values())


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
