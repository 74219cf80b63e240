"""QKAN layers on other backends: circuits side by side, one job forward and one backward."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Observable
from circuits.daruan import ANSATZES
from qml.backends import Native
from qml.nn import DARUAN, QKAN, QKANLSTM, QKANLayer
from tests.helpers import assert_close
from tests.minimal_backend import OracleBackend

SHIFTED = 1e-12  # float64; shifts by a quarter turn add rounding


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclasses.dataclass(frozen=True)
class Counting(OracleBackend):
    """Counts calls, and rows in them."""

    rows: list[int] = dataclasses.field(default_factory=list)

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]) -> Tensor:
        self.rows.append(len(data))
        return super().expectation(circuit, data, weights, observables)


@pytest.mark.parametrize(("width", "options"), [(1, {}), (4, {"train_preactivation": False}), (3, {"groups": 2})])
@pytest.mark.parametrize("ansatz", list(ANSATZES))
def test_values_and_all_gradients_are_those_of_the_simulator(ansatz: str, options: dict[str, Any], width: int) -> None:
    layer = QKANLayer(3, 2, ansatz=ansatz, dtype=torch.float64, generator=seeded(), **options)
    inputs = torch.randn(3, 3, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    leaves = [inputs, *layer.parameters()]
    expected = layer(inputs)
    gradients = torch.autograd.grad(expected.square().sum(), leaves)
    found = layer.to_backend(OracleBackend(), width=width)(inputs)
    assert_close(found, expected, SHIFTED)
    for one, other in zip(torch.autograd.grad(found.square().sum(), leaves), gradients, strict=True):
        assert_close(one, other, 10 * SHIFTED)  # sums over the batch


def test_a_pass_is_one_call_however_many_edges() -> None:
    backend = Counting()
    layer = QKANLayer(4, 4, dtype=torch.float64, generator=seeded()).to_backend(backend, width=2)
    layer(torch.rand(2, 4, dtype=torch.float64)).sum().backward()
    # 16 edges, 2 samples, 2 qubits a register; backward shifts each of 8 merged rotations both ways.
    assert backend.rows == [16, 16 * 16]


def test_daruan_and_networks_move_too() -> None:
    inputs = torch.rand(3, 2, dtype=torch.float64, generator=seeded(1))
    for module in (DARUAN(2, dtype=torch.float64, generator=seeded()), QKAN([2, 2, 1], dtype=torch.float64)):
        expected = module(inputs)
        assert_close(module.to_backend(OracleBackend(), width=3)(inputs), expected, SHIFTED)
        assert_close(module.to_backend("native")(inputs), expected, 0)


def test_readout_errors_of_the_simulator_are_not_ignored() -> None:
    module = DARUAN(1, dtype=torch.float64, generator=seeded())
    inputs = torch.rand(3, 1, dtype=torch.float64)
    expected = (1 - 2 * 0.1) * module(inputs)  # a symmetric error of probability 0.1
    assert_close(module.to_backend(Native(readout_error=(0.1, 0.1)))(inputs), expected, SHIFTED)


def test_what_a_device_cannot_do_is_refused() -> None:
    layer = QKANLayer(2, 1, dtype=torch.float64, backend=OracleBackend())
    inputs = torch.rand(2, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(inputs).sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="only once differentiable"):
        gradient.sum().backward()
    with pytest.raises(ValueError, match='`readout` must be "z" on backend'):
        QKANLayer(2, 1, readout="amplitudes", dtype=torch.float64, backend=OracleBackend())(inputs)
    with pytest.raises(TypeError, match=r"cannot run inside torch\.func"):
        torch.func.grad(lambda x: layer(x).sum())(inputs.detach())
    with pytest.raises(ValueError, match="`width` must be at least 1"):
        layer.to_backend("native", width=0)


LAYERS: dict[str, Callable[[Native | str], Any]] = {
    "QKANLayer": lambda backend: QKANLayer(1, 2, dtype=torch.float64, backend=backend, generator=seeded()),
    "QKAN": lambda backend: QKAN([1, 1, 1], dtype=torch.float64, backend=backend, generator=seeded()),
    "DARUAN": lambda backend: DARUAN(1, dtype=torch.float64, backend=backend, generator=seeded()),
    "QKANLSTM": lambda backend: Outputs(QKANLSTM(1, 1, dtype=torch.float64, backend=backend, generator=seeded())),
}


class Outputs(nn.Module):
    """The outputs of a recurrent layer, without its state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)[0]


@dataclasses.dataclass(frozen=True)
class Logged(Native):
    """A simulator of a user, which counts the rows that it runs."""

    rows: list[int] = dataclasses.field(default_factory=list, compare=False)

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]) -> Tensor:
        self.rows.append(len(data))
        return super().expectation(circuit, data, weights, observables)


def derivatives(layer: nn.Module) -> list[Tensor]:
    """Values, their derivative and its derivative."""
    inputs = torch.linspace(0.1, 0.6, 3, dtype=torch.float64)[:, None].requires_grad_()
    values = layer(inputs)
    (first,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), inputs)
    return [values, first, second]


@pytest.mark.parametrize("name", LAYERS)
def test_a_method_without_second_derivatives_is_honoured(name: str) -> None:
    layer, inputs = LAYERS[name](Native(method="adjoint")), torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    values = layer(inputs)
    (gradient,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    expected = LAYERS[name]("native")(inputs)
    assert_close(values, expected, SHIFTED)
    assert_close(gradient, torch.autograd.grad(expected.sum(), inputs)[0], 10 * SHIFTED)
    with pytest.raises(RuntimeError, match="only once differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("options", [{"representation": "density"}, {"method": "autograd"}])
@pytest.mark.parametrize("name", LAYERS)
def test_options_of_the_simulator_are_honoured_to_any_order(name: str, options: dict[str, Any]) -> None:
    backend = Logged(**options)
    found = derivatives(LAYERS[name](backend))
    assert backend.rows
    for one, other in zip(found, derivatives(LAYERS[name]("native")), strict=True):
        assert_close(one, other, 100 * SHIFTED)  # other operations, and sums of their second derivatives


@pytest.mark.parametrize("name", LAYERS)
def test_an_own_simulator_is_used_and_not_bypassed(name: str) -> None:
    backend = Logged()
    found = derivatives(LAYERS[name](backend))
    assert backend.rows
    assert_close(found[0], LAYERS[name]("native")(torch.linspace(0.1, 0.6, 3, dtype=torch.float64)[:, None]), SHIFTED)


def test_a_backend_that_is_assigned_is_used() -> None:
    layer, inputs = QKANLayer(1, 1, dtype=torch.float64), torch.rand(2, 1, dtype=torch.float64)
    expected = layer(inputs)
    layer.backend = backend = Counting()
    assert_close(layer(inputs), expected, SHIFTED)
    assert backend.rows == [1]
    layer.backend = Native()
    assert_close(layer(inputs), expected, 0)


def test_the_simulators_own_derivatives_work_inside_transforms() -> None:
    layer, inputs = QKANLayer(2, 1, dtype=torch.float64, generator=seeded()), torch.rand(2, dtype=torch.float64)
    expected = torch.func.grad(lambda x: layer(x).sum())(inputs)
    layer.to_backend(Native(method="autograd"))
    assert_close(torch.func.grad(lambda x: layer(x).sum())(inputs), expected, 10 * SHIFTED)
