"""Derivatives of the QKAN family in every way that torch has of asking for them, against central differences."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, functional, gradcheck, gradgradcheck
from torch.func import functional_call

from circuits import Circuit, X, Z, data, weight
from qml.nn import DARUAN, HQKAN, QKAN, QKANGRU, QKANLSTM, JHCGNet, QKANLayer, QuantumLayer
from qml.nn.qkan.points import evaluate, small
from tests.minimal_backend import OracleBackend

OWN = Circuit(1).ry(weight(0), 0).rz(data(1), 0).t(0).rx(data(0), 0).ry(weight(1), 0)
STEP = 1e-5  # of central differences, whose error is about STEP**2 times a third derivative near 1
NEAR = 1e-7  # of those of values; a second difference of values would be near 1e-5
Make = Callable[..., nn.Module]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LAYERS: dict[str, Make] = {
    "DARUAN": partial(DARUAN, 2, reps=2),
    "DARUAN px": partial(DARUAN, 2, reps=1, ansatz="px"),
    "QKANLayer": partial(QKANLayer, 2, 3, reps=2),
    "one output": partial(QKANLayer, 2, 1, reps=1, train_postactivation=False),
    "fixed": partial(QKANLayer, 2, 2, train_preactivation=False),
    "no base": partial(QKANLayer, 2, 2, base=None),
    "fixed, no base": partial(QKANLayer, 2, 2, train_preactivation=False, base=None),
    "fixed px": partial(QKANLayer, 2, 2, reps=1, ansatz="px", train_preactivation=False, base="gelu"),
    "groups": partial(QKANLayer, 2, 2, reps=1, groups=1),
    "own circuit": partial(QKANLayer, 2, 2, ansatz=OWN, base=None),
    "amplitudes": partial(QKANLayer, 2, 1, reps=1, readout="amplitudes"),
    "QKAN": partial(QKAN, [2, 2, 1], reps=1),
    "HQKAN": partial(HQKAN, 2, 2, latent=(2, 2), reps=1),
}
BATCHES = [3, 12]  # point by point, and by a series


def made(name: str, batch: int) -> tuple[nn.Module, Tensor]:
    """A layer away from its start, and inputs of modulus below 0.5, where arccosines are smooth."""
    layer = LAYERS[name](dtype=torch.float64, generator=seeded())
    draws = seeded(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            shift = torch.rand(parameter.shape, generator=draws, dtype=parameter.dtype)
            parameter.mul_(0.6).add_(shift, alpha=0.2)
    return layer, torch.rand(batch, 2, generator=draws, dtype=torch.float64) - 0.5


def with_parameters(layer: nn.Module) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The layer as a function of its inputs and parameters, and the parameters."""
    names = [name for name, _ in layer.named_parameters()]

    def function(inputs: Tensor, *values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, values, strict=True)), (inputs,))

    return function, [value.detach().clone().requires_grad_() for value in layer.parameters()]


def differences(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """The Jacobian of `function` at `point` by central differences, shape (*outputs, *inputs)."""
    steps = STEP * torch.eye(point.numel(), dtype=point.dtype).reshape(-1, *point.shape)
    columns = [(function(point + step) - function(point - step)).detach() / (2 * STEP) for step in steps]
    return torch.stack(columns, -1).reshape(*columns[0].shape, *point.shape)


def near(actual: Tensor, expected: Tensor, size: float = 1.0) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=NEAR * size)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_one_by_one_many_at_once_and_forwards_are_those_of_differences(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)
    function, parameters = with_parameters(layer)
    arguments = (inputs.requires_grad_(), *parameters)
    checked = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert gradcheck(function, arguments, fast_mode=True, **checked)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_of_either_mode_over_the_other_are_those_of_differences(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)
    function, parameters = with_parameters(layer)
    arguments = (inputs.requires_grad_(), *parameters)
    checked = {"check_fwd_over_rev": True, "check_rev_over_rev": True, "check_batched_grad": True}
    assert gradgradcheck(lambda *values: function(*values).square(), arguments, fast_mode=True, **checked)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["DARUAN", "QKANLayer", "fixed", "QKAN", "HQKAN"])
def test_vectorised_hessians_are_differences_of_the_gradient(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)

    def loss(values: Tensor) -> Tensor:
        return layer(values).square().sum()

    expected = differences(lambda values: functional.jacobian(loss, values), inputs)
    for strategy in ("reverse-mode", "forward-mode"):
        found = functional.hessian(loss, inputs, vectorize=True, outer_jacobian_strategy=strategy)
        near(found, expected, 10)
    near(torch.func.hessian(loss)(inputs), expected, 10)
    near(torch.func.jacrev(torch.func.jacfwd(loss))(inputs), expected, 10)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["DARUAN", "QKANLayer", "fixed", "QKAN", "HQKAN"])
def test_jacobians_by_every_function_of_torch_are_those_of_differences(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)
    expected = differences(layer, inputs)
    near(functional.jacobian(layer, inputs, vectorize=True), expected)
    near(functional.jacobian(layer, inputs, vectorize=True, strategy="forward-mode"), expected)
    near(torch.func.jacfwd(layer)(inputs), expected)
    tangent = torch.rand(inputs.shape, generator=seeded(3), dtype=inputs.dtype)
    along = torch.tensordot(expected, tangent, 2)
    near(torch.func.jvp(layer, (inputs,), (tangent,))[1], along, 10)


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")  # torch does so for nn.Linear too
@pytest.mark.parametrize("name", ["DARUAN", "QKANLayer", "fixed"])
def test_a_linearised_layer_is_its_derivative_along_any_direction(name: str) -> None:
    layer, inputs = made(name, 12)
    tangent = torch.rand(inputs.shape, generator=seeded(3), dtype=inputs.dtype)
    along = torch.tensordot(differences(layer, inputs), tangent, 2)
    near(torch.func.linearize(layer, inputs)[1](tangent), along, 10)


@pytest.mark.parametrize("name", ["DARUAN", "QKANLayer", "fixed", "QKAN", "HQKAN"])
def test_tangents_pass_without_gradients_too(name: str) -> None:
    """Where coefficients and bandwidths are kept from call to call, which know no tangents."""
    layer, inputs = made(name, 12)
    with torch.no_grad():
        layer(inputs)  # now they are kept
        tangent = torch.rand(inputs.shape, generator=seeded(3), dtype=inputs.dtype)
        expected = (layer(inputs + STEP * tangent) - layer(inputs - STEP * tangent)) / (2 * STEP)
        with forward_ad.dual_level():
            found = forward_ad.unpack_dual(layer(forward_ad.make_dual(inputs, tangent))).tangent
        near(found, expected)
        function, parameters = with_parameters(layer)
        tangents = [torch.rand(p.shape, generator=seeded(4), dtype=p.dtype) for p in parameters]
        moved = [[p + sign * STEP * t for p, t in zip(parameters, tangents, strict=True)] for sign in (1, -1)]
        expected = (function(inputs, *moved[0]) - function(inputs, *moved[1])) / (2 * STEP)
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(p, t) for p, t in zip(parameters, tangents, strict=True)]
            found = forward_ad.unpack_dual(function(inputs, *duals)).tangent
        near(found, expected, 10)


# Without silu, whose first-order backward pass torch cannot differentiate forwards.
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["DARUAN", "no base", "fixed, no base"])
def test_a_backward_pass_hands_on_the_tangent_of_its_gradient(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)
    outputs = layer(inputs.requires_grad_())
    value, tangent = (torch.rand(outputs.shape, generator=seeded(s), dtype=outputs.dtype) for s in (3, 4))
    (expected,) = torch.autograd.grad(outputs, inputs, tangent, retain_graph=True)  # it is linear
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(value, tangent)
        found = forward_ad.unpack_dual(torch.autograd.grad(outputs, inputs, dual)[0]).tangent
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)  # float64 algebra


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["DARUAN", "QKANLayer", "fixed"])
def test_a_vmap_over_backward_passes_is_one_after_another(name: str, batch: int) -> None:
    layer, inputs = made(name, batch)
    outputs = layer(inputs.requires_grad_())
    rows = torch.rand(4, *outputs.shape, generator=seeded(3), dtype=outputs.dtype)

    def back(row: Tensor) -> Tensor:
        return torch.autograd.grad(outputs, inputs, row, retain_graph=True)[0]

    torch.testing.assert_close(
        torch.func.vmap(back)(rows), torch.stack([back(row) for row in rows]), rtol=0, atol=1e-12
    )


def twice(layer: nn.Module, inputs: Tensor) -> Tensor:
    """A layer on its own outputs: its inputs depend on its weights."""
    return layer(layer(inputs))


def states(layer: nn.Module, inputs: Tensor) -> Tensor:
    """A recurrent layer on a series, and on the series again from its own last state."""
    outputs, last = layer(inputs)
    return torch.cat([outputs, layer(inputs, last)[0]])


CIRCUIT = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 1).rx(weight(1), 0)
DEPENDENT: dict[str, tuple[Make, Callable[[nn.Module, Tensor], Tensor], tuple[int, ...]]] = {
    "DARUAN": (partial(DARUAN, 2), twice, (3, 2)),
    "QKANLayer": (partial(QKANLayer, 2, 2), twice, (3, 2)),
    "fixed": (partial(QKANLayer, 2, 2, train_preactivation=False), twice, (3, 2)),
    "series": (partial(QKANLayer, 2, 2), twice, (40, 2)),
    "QuantumLayer": (partial(QuantumLayer, CIRCUIT, [Z(0), X(1)]), twice, (3, 2)),
    "QKANGRU": (partial(QKANGRU, 2, 2), states, (3, 2, 2)),
    "QKANLSTM": (partial(QKANLSTM, 2, 2), states, (3, 2, 2)),
    "QKANLSTM series": (partial(QKANLSTM, 2, 2), states, (3, 20, 2)),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_gradients_that_can_be_differentiated_are_right_where_inputs_depend_on_weights(name: str) -> None:
    make, run, shape = DEPENDENT[name]
    layer = make(dtype=torch.float64, generator=seeded())
    inputs = torch.rand(shape, generator=seeded(1), dtype=torch.float64)
    parameters = list(layer.parameters())
    steps = [torch.rand(p.shape, generator=seeded(2 + k), dtype=p.dtype) - 0.5 for k, p in enumerate(parameters)]

    def loss() -> Tensor:
        return run(layer, inputs).square().sum()

    def gradient(**options: bool) -> Tensor:
        found = torch.autograd.grad(loss(), parameters, **options)
        return sum((g * s).sum() for g, s in zip(found, steps, strict=True))

    def along(function: Callable[[], Tensor]) -> float:
        """The derivative of a number along `steps` by central differences."""
        values = []
        for size in (STEP, -2 * STEP, STEP):
            with torch.no_grad():
                for parameter, step in zip(parameters, steps, strict=True):
                    parameter.add_(step, alpha=size)
            values.append(float(function().detach()))
        return (values[0] - values[1]) / (2 * STEP)

    first, second = along(loss), along(gradient)
    differentiable = gradient(create_graph=True)
    assert float(differentiable.detach()) == pytest.approx(first, rel=1e-5, abs=1e-7)
    again = torch.autograd.grad(differentiable, parameters, materialize_grads=True)
    found = sum((g * s).sum() for g, s in zip(again, steps, strict=True))
    assert float(found) == pytest.approx(second, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kept", [evaluate.MAX_KEPT_SLOPES, 0])  # slopes kept for the way back, or computed again
@pytest.mark.parametrize("limit", [small.MAX_NUMPY_ACTIVATIONS, 0])  # NumPy, and torch
def test_gradients_at_once_do_not_depend_on_the_engine(monkeypatch: pytest.MonkeyPatch, limit: int, kept: int) -> None:
    monkeypatch.setattr(small, "MAX_NUMPY_ACTIVATIONS", limit)
    monkeypatch.setattr(evaluate, "MAX_KEPT_SLOPES", kept)
    layer, inputs = made("DARUAN", 3)
    outputs = layer(inputs.requires_grad_()).flatten()
    rows = torch.autograd.grad(outputs, inputs, torch.eye(6, dtype=torch.float64), is_grads_batched=True)[0]
    near(rows.reshape(3, 2, 3, 2), differences(layer, inputs.detach()))


def test_a_core_of_any_kind_is_differentiated_forwards() -> None:
    layer = JHCGNet(2, 2, nn.Sequential(nn.Linear(2, 3), nn.Tanh(), DARUAN(3)), latent=(2, 3)).double()
    inputs = torch.rand(3, 2, generator=seeded(), dtype=torch.float64)
    near(functional.jacobian(layer, inputs, vectorize=True, strategy="forward-mode"), differences(layer, inputs))


def test_backends_that_measure_refuse_forward_mode_by_name() -> None:
    layer: Any = QKANLayer(2, 1, backend=OracleBackend())
    with forward_ad.dual_level(), pytest.raises(TypeError, match=r"Backend oracle cannot run inside.*forward-mode"):
        layer(forward_ad.make_dual(torch.rand(3, 2), torch.ones(3, 2)))
