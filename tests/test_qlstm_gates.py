"""The four circuits of a step of the QLSTM as one call of the kernel: the numbers and derivatives of four calls."""

import math

import pytest
import torch
from torch import Tensor

from qml.backends import Native
from qml.nn import QLSTM
from qml.simulator.routes.kernel import KernelRoute


def _layer(dtype: torch.dtype = torch.float64) -> tuple[QLSTM, Tensor]:
    generator = torch.Generator().manual_seed(5)
    layer = QLSTM(2, 3, n_circuit_layers=2, dtype=dtype, generator=generator)
    return layer, torch.rand(4, 3, 2, dtype=dtype, generator=generator)


def _values(layer: QLSTM, inputs: Tensor) -> Tensor:
    outputs, (h, c) = layer(inputs)
    return torch.cat([outputs.flatten(), h.flatten(), c.flatten()])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_outputs_and_gradients_are_those_of_single_calls(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = _layer(dtype)
    calls: list[int] = []
    original = KernelRoute.for_each

    def counted(self: KernelRoute, data: Tensor, weights: Tensor) -> Tensor:
        calls.append(len(weights))
        return original(self, data, weights)

    monkeypatch.setattr(KernelRoute, "for_each", counted)
    inputs.requires_grad_()
    found = []
    for backend in (Native(), Native(compiled=False)):
        values = _values(layer.to_backend(backend), inputs)
        pull = torch.linspace(-1.0, 1.0, len(values), dtype=dtype)
        found.append([values, *torch.autograd.grad(values @ pull, [inputs, *layer.parameters()])])
    assert calls == [4] * len(inputs)
    tolerance = 1e-12 if dtype == torch.float64 else 5e-6
    torch.testing.assert_close(found[0], found[1], rtol=tolerance, atol=tolerance)


def test_second_derivatives() -> None:
    layer, inputs = _layer()
    found = []
    for backend in (Native(), Native(compiled=False)):
        values = _values(layer.to_backend(backend), inputs)
        first = torch.autograd.grad(values.square().sum(), list(layer.parameters()), create_graph=True)
        found.append(torch.autograd.grad(sum(part.square().sum() for part in first), list(layer.parameters())))
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-11)


def test_transforms_take_single_calls() -> None:
    layer, inputs = _layer()
    mapped = torch.vmap(lambda one: layer(one)[0])(torch.stack([inputs, 0.5 * inputs]))
    torch.testing.assert_close(mapped[1], layer(0.5 * inputs)[0], rtol=1e-12, atol=1e-12)
    _, slopes = torch.func.jvp(lambda one: layer(one)[0], (inputs,), (torch.ones_like(inputs),))
    step = 1e-6
    differences = (layer(inputs + step)[0] - layer(inputs - step)[0]) / (2 * step)
    torch.testing.assert_close(slopes, differences, rtol=0.0, atol=1e-8)  # step squared, and rounding over step


@pytest.mark.parametrize("name", ["inputs", "weights"])
def test_numbers_that_are_not_finite_are_refused(name: str) -> None:
    layer, inputs = _layer()
    with torch.no_grad():
        if name == "inputs":
            inputs[1, 2, 0] = math.nan
        else:
            next(layer.parameters())[2, 1] = math.inf
    with pytest.raises(ValueError, match="must be finite, but holds NaN or infinity"):
        layer(inputs)


def test_a_batch_of_one() -> None:
    layer, inputs = _layer()
    torch.testing.assert_close(layer(inputs[:, 1:2])[0], layer(inputs)[0][:, 1:2], rtol=1e-12, atol=1e-12)
