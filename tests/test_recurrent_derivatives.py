"""Derivatives of recurrent layers in every way that torch has, beside central differences; in-place use; threads."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from qml.nn import HQKANLSTM, QKANGRU, QKANLSTM, QLSTM, HQKANLSTMCell, QKANGRUCell, QKANLSTMCell
from qml.nn.qkan._lstm_scan import lstm_scan
from qml.nn.qkan.series.bases import Chebyshev, Fourier
from tests.helpers import assert_close

STEP = 1e-5  # of central differences, whose error is STEP**2 and rounding / STEP
FIRST, SECOND = 1e-8, 1e-7  # of sums of such differences


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=seeded(seed))


def central_jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """By central differences, shape (outputs, x.numel())."""
    steps = STEP * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    columns = [(function(x + step) - function(x - step)).detach().flatten() / (2 * STEP) for step in steps]
    return torch.stack(columns, 1)


def hessian_of(function: Callable[[Tensor], Tensor], x: Tensor, **options: Any) -> Tensor:
    """By torch, shape (x.numel(), x.numel())."""
    found: Any = torch.autograd.functional.hessian(function, x, **options)
    return found.reshape(x.numel(), -1)


def gradient_of(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def gradient(x: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf)[0]

    return gradient


@pytest.mark.parametrize(
    ("batch", "hidden", "trained"), [(1, 3, False), (1, 1, False), (1, 2, True), (2, 1, False), (2, 3, True)]
)
def test_second_derivatives_are_right_for_every_size_of_batch(batch: int, hidden: int, trained: bool) -> None:
    layer = QKANLSTM(1, hidden, reps=1, train_preactivation=trained, base=None, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("input_weight"):
                parameter.mul_(0.2)  # slow enough for few terms, so that the scan runs
    x = rand(24 // batch, batch, 1)

    def loss(values: Tensor) -> Tensor:
        outputs, (h, c) = layer(values)
        return outputs.square().sum() + h.sum() + c.square().sum()

    expected = central_jacobian(gradient_of(loss), x)
    assert_close(hessian_of(loss, x), expected, SECOND)
    assert_close(gradient_of(loss)(x).flatten(), central_jacobian(lambda z: loss(z)[None], x)[0], FIRST)


SCANS = {
    f"{type(basis).__name__}, {'silu' if base else 'no base'}, batch {batch}": (basis, base, batch)
    for basis, base, batch in product((Fourier(2), Chebyshev(0.1, 1.5, 7)), (True, False), (1, 3))
}
HIDDEN, TIME = 2, 4


def scan_leaves(name: str) -> list[Tensor]:
    """Inputs of the gates, coefficients, h, c, and the base's weight if there is one."""
    basis, base, batch = SCANS[name]
    shapes = [(TIME, batch, 4 * HIDDEN), (basis.size, HIDDEN, 4 * HIDDEN), (batch, HIDDEN), (batch, HIDDEN)]
    shapes += [(HIDDEN, 4 * HIDDEN)] if base else []
    return [rand(*shape, seed=seed) - 0.5 for seed, shape in enumerate(shapes)]


def scanned(name: str, leaves: list[Tensor]) -> Tensor:
    """All that comes out, as one vector."""
    given, coefficients, h, c, *base = leaves
    outputs, last = lstm_scan(SCANS[name][0], given, coefficients, base[0] if base else None, h, c)
    return torch.cat([outputs.flatten(), last.flatten()])


def scan_of_one(name: str, index: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The scan as a function of one of its leaves."""
    leaves = scan_leaves(name)
    return lambda x: scanned(name, [*leaves[:index], x, *leaves[index + 1 :]]), leaves[index]


@pytest.mark.parametrize("name", list(SCANS))
def test_many_gradients_of_a_scan_at_once_are_the_jacobian(name: str) -> None:
    for index in range(len(scan_leaves(name))):
        function, x = scan_of_one(name, index)
        leaf = x.requires_grad_()
        outputs = function(leaf)
        eye = torch.eye(len(outputs), dtype=outputs.dtype)
        (found,) = torch.autograd.grad(outputs, leaf, eye, is_grads_batched=True)
        assert_close(found.flatten(1), central_jacobian(function, x.detach()), FIRST)


@pytest.mark.parametrize("name", list(SCANS))
def test_vectorised_hessians_of_a_scan_are_right(name: str) -> None:
    for index in (0, 2, 3):
        function, x = scan_of_one(name, index)

        def loss(values: Tensor, function: Callable[[Tensor], Tensor] = function) -> Tensor:
            return function(values).square().sum()

        found = hessian_of(loss, x, vectorize=True)
        assert_close(found, central_jacobian(gradient_of(loss), x), SECOND)


@pytest.mark.parametrize("name", list(SCANS))
def test_tangents_pass_through_a_scan(name: str) -> None:
    for index in range(len(scan_leaves(name))):
        function, x = scan_of_one(name, index)
        direction = rand(*x.shape, seed=7)
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(x, direction))).tangent
        assert_close(tangent, central_jacobian(function, x) @ direction.flatten(), FIRST)


CELLS: dict[str, Callable[[], Any]] = {
    kind.__name__: lambda kind=kind: kind(2, 3, reps=1, dtype=torch.float64, generator=seeded())
    for kind in (QKANLSTMCell, HQKANLSTMCell, QKANGRUCell)
}
LAYERS: dict[str, Callable[..., Any]] = {
    **{
        f"{kind.__name__}, {hidden}": lambda kind=kind, hidden=hidden, **o: kind(
            2, hidden, reps=1, dtype=torch.float64, generator=seeded(), train_preactivation=False, **o
        )
        for kind in (QKANLSTM, HQKANLSTM, QKANGRU)
        for hidden in (1, 3)
    },
    "QLSTM, 1": lambda **o: QLSTM(2, 1, n_circuit_layers=1, dtype=torch.float64, generator=seeded(), **o),
}


def total(result: Any) -> Tensor:
    return torch.stack([part.sum() for part in tensors(result)]).sum()


def tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in tensors(part)]


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
@pytest.mark.parametrize("shape", [(4, 1, 2), (4, 3, 2), (1, 3, 2), (4, 2)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_results_may_be_changed_in_place(name: str, shape: tuple[int, ...], batch_first: bool) -> None:
    """The gradient of what follows is that of the same operation on a copy."""
    layer = CELLS[name]() if name in CELLS else LAYERS[name](batch_first=batch_first)
    inputs = rand(*(shape[1:] if name in CELLS else shape)).requires_grad_()
    parameters = [inputs, *layer.parameters()]

    def gradients(change: Callable[[Tensor], Tensor]) -> list[Tensor]:
        changed = [change(tensor) for tensor in tensors(layer(inputs))]
        loss = torch.stack([tensor.square().sum() for tensor in changed]).sum()
        return list(torch.autograd.grad(loss, parameters, materialize_grads=True))

    expected = gradients(lambda tensor: (3.0 * tensor).relu())
    for found, wanted in zip(gradients(lambda tensor: tensor.mul_(3.0).relu_()), expected, strict=True):
        assert_close(found, wanted, 1e-12)


@pytest.mark.parametrize("name", list(LAYERS))
def test_results_share_no_memory_with_what_the_gradient_needs(name: str) -> None:
    """Results that are overwritten behind autograd's back give the right gradient, or its version error."""
    layer, inputs = LAYERS[name](), rand(4, 1, 2).requires_grad_()
    expected = torch.autograd.grad(total(layer(inputs)), inputs)[0]
    results = tensors(layer(inputs))
    loss = total(results)  # its gradient needs no result
    for part in results:
        part.data.zero_()  # no version is counted
    assert_close(torch.autograd.grad(loss, inputs)[0], expected, 1e-12)


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_a_state_changed_after_the_pass_is_noticed_or_does_not_matter(name: str) -> None:
    layer = CELLS[name]() if name in CELLS else LAYERS[name]()
    inputs = rand(*((3, 2) if name in CELLS else (4, 3, 2))).requires_grad_()
    shapes = [tuple(part.shape) for part in tensors(layer(inputs))][0 if name in CELLS else 1 :]
    given = [rand(*shape) for shape in shapes]
    state: Any = given[0] if "GRU" in name else tuple(given)
    expected = torch.autograd.grad(total(layer(inputs, state)), inputs)[0]
    loss = total(layer(inputs, state))
    for part in given:
        part.mul_(2.0)
    message = ""
    try:
        found = torch.autograd.grad(loss, inputs)[0]
    except RuntimeError as error:
        found, message = expected, str(error)
    assert "modified by an inplace operation" in message or not message
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("name", [name for name in LAYERS if not name.startswith("QLSTM")])
def test_threads_get_their_own_answers(name: str) -> None:
    """Layers that four threads share, and threads that alternate every 10 microseconds."""
    layer = LAYERS[name]()
    inputs = [rand(6, batch, 2, seed=batch) for batch in (1, 3, 16, 40)]

    def answer(values: Tensor) -> list[Tensor]:
        leaf = values.clone().requires_grad_()
        outputs = tensors(layer(leaf))
        loss = torch.stack([part.square().sum() for part in outputs]).sum()
        with torch.no_grad():
            again = tensors(layer(values))
        return [*outputs, *again, *torch.autograd.grad(loss, [leaf, *layer.parameters()])]

    expected = [answer(values) for values in inputs]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(answer, inputs * 4))
    finally:
        sys.setswitchinterval(interval)
    for answers, wanted in zip(found, expected * 4, strict=True):
        for one, other in zip(answers, wanted, strict=True):
            assert_close(one, other, 1e-12)


def test_a_model_with_an_activation_in_place_trains_as_one_without() -> None:
    class Model(nn.Module):
        def __init__(self, *, inplace: bool) -> None:
            super().__init__()
            self.recurrent = QKANLSTM(
                2, 1, reps=1, train_preactivation=False, batch_first=True, dtype=torch.float64, generator=seeded()
            )
            self.activation = nn.ReLU(inplace=inplace)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.activation(self.recurrent(inputs)[0]).square().sum()

    inputs = rand(3, 5, 2)
    gradients = [
        torch.autograd.grad(model(inputs), list(model.parameters()))
        for model in (Model(inplace=True), Model(inplace=False))
    ]
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, 1e-12)


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_backward_pass_may_run_under_autocast(name: str) -> None:
    """Torch advises against it, since its own operations backward are then in 16 bits."""
    layer, inputs = LAYERS[name]().float(), rand(4, 16, 2).float()
    expected = torch.autograd.grad(total(layer(inputs)), list(layer.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad(total(layer(inputs)), list(layer.parameters()))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 2e-2 * max(float(part.abs().max()) for part in expected))  # bfloat16 keeps 8 bits


def test_second_derivatives_of_passes_in_line_are_partial() -> None:
    """The state of the second pass depends on the weights, and so does its own gradient."""
    layer = QKANLSTM(2, 2, reps=1, train_preactivation=False, dtype=torch.float64, generator=seeded())
    parameter = layer.cells[0].hidden_layer.base_weight
    inputs = rand(3, 2, 2)

    def loss(values: Tensor) -> Tensor:
        weights = {"cells.0.hidden_layer.base_weight": values}
        outputs, (h, c) = torch.func.functional_call(layer, weights, (inputs,))
        again, _ = torch.func.functional_call(layer, weights, (inputs, (h, c)))
        return outputs.sum() + again.square().sum()

    start = parameter.detach()
    expected = central_jacobian(gradient_of(loss), start)
    assert_close(hessian_of(loss, start), expected, SECOND)
    assert_close(hessian_of(loss, start, vectorize=True), expected, SECOND)
