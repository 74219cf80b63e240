"""Any circuit as a torch module."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from circuits import Circuit, X, Z, data, weight
from qml.backends import Aer, Native, PennyLane
from qml.nn import QuantumLayer
from tests import oracle
from tests.helpers import assert_close
from tests.named import CASES


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**options: Any) -> QuantumLayer:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).ry(weight(0), 1).rz(weight(1), 0).cx(1, 0)
    read = {} if "probabilities_of" in options else {"observables": [Z(0), X(1), Z(0) @ Z(1)]}
    return QuantumLayer(circuit, **(read | {"generator": seeded()} | options))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0, 3), (1, 1)])
def test_any_leading_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert make()(torch.rand(*shape, 2)).shape == (*shape, 3)
    assert make(probabilities_of=[1])(torch.rand(*shape, 2)).shape == (*shape, 2)


def test_values_and_probabilities_are_the_circuits() -> None:
    case = CASES["data_and_weights_by_turns"]
    for read, expected in (
        ({"observables": case.observables}, oracle.expectation(*case)),
        ({"probabilities_of": [2, 0]}, oracle.probabilities(*case[:3], [2, 0])),
    ):
        layer = QuantumLayer(case.circuit, dtype=torch.float64, **read)
        with torch.no_grad():
            layer.weights.copy_(torch.tensor(case.weights))
        for backend in ("native", Aer(), PennyLane()):
            assert_close(layer.to_backend(backend)(torch.tensor(case.data)), expected, 1e-10)


def test_gradients_are_right_to_second_order_on_native() -> None:
    layer = make(dtype=torch.float64)
    inputs = torch.rand(2, 2, dtype=torch.float64, generator=seeded(), requires_grad=True)
    weights = layer.weights.detach().clone().requires_grad_()

    def call(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weights": w}, (x,))

    assert torch.autograd.gradcheck(call, (inputs, weights))
    assert torch.autograd.gradgradcheck(call, (inputs, weights))


@pytest.mark.parametrize("options", [{}, {"probabilities_of": [1, 0]}])
@pytest.mark.parametrize("backend", ["native", "pennylane"])
def test_weights_of_every_sample_give_what_each_gives_alone(options: dict[str, Any], backend: str) -> None:
    layer = make(dtype=torch.float64, backend=backend, **options)
    inputs = torch.rand(2, 3, 2, dtype=torch.float64, generator=seeded())
    weights = torch.rand(2, 3, 2, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    found = layer(inputs, weights)
    for place in np.ndindex(2, 3):
        alone = torch.func.functional_call(layer, {"weights": weights[place]}, (inputs[place],))
        assert_close(found[place], alone, 1e-10)
        expected = torch.autograd.grad(alone.square().sum(), weights)[0]
        mine = torch.autograd.grad(found[place].square().sum(), weights, retain_graph=True)[0]
        assert_close(mine, expected, 1e-10)
    shared = layer(inputs, layer.weights.expand(2, 3, 2))
    assert_close(shared, layer(inputs), 1e-10)


def test_weights_of_another_shape_are_refused() -> None:
    for shape in ((3, 1), (3, 3)):
        with pytest.raises(ValueError, match=r"Argument `weights` must have shape \(3, 2\), one vector a sample"):
            make()(torch.rand(3, 2), torch.rand(shape))


def test_copies_pickles_and_states_give_the_same() -> None:
    layer, inputs = make(backend=Native(method="adjoint")), torch.rand(4, 2, generator=seeded())
    other = make(generator=seeded(5))
    assert not torch.equal(other.weights, layer.weights)
    other.load_state_dict(layer.state_dict())
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), other):
        torch.testing.assert_close(twin(inputs), layer(inputs))


def test_weights_begin_as_asked_and_no_global_generator_moves() -> None:
    before = torch.random.get_rng_state()
    uniform, small = make(), make(initial="small")
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(uniform.weights, make().weights)
    assert uniform.weights.abs().max() <= np.pi
    assert small.weights.abs().max() < 0.5
    assert "backend='native'" in repr(uniform)
    assert "probabilities_of=(1,)" in repr(make(probabilities_of=[1]))


def test_training_lowers_a_known_high_loss_with_shots() -> None:
    layer = QuantumLayer(Circuit(1).ry(weight(0), 0), [Z(0)], backend=Aer(shots=200, generator=seeded()))
    torch.nn.init.constant_(layer.weights, 0.3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        value = layer(torch.zeros(1, 0)).sum()
        value.backward()
        optimizer.step()
    assert value.item() < -0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: QuantumLayer(Circuit(1)), "Exactly one of"),
        (lambda: QuantumLayer(Circuit(1), [Z(0)], probabilities_of=[0]), "Exactly one of"),
        (lambda: QuantumLayer(Circuit(1), [Z(1)]), "act on qubits 0..0"),
        (lambda: QuantumLayer(Circuit(1), probabilities_of=[1]), "distinct and lie in 0..0"),
        (lambda: make(backend="nativ"), "must be one of native"),
        (lambda: make()(torch.rand(3, 5)), r"`inputs` must have shape \(..., 2\), but has shape \(3, 5\)"),
        (lambda: make()(torch.tensor([[0.1, np.nan]])), "must be finite"),
    ],
)
def test_bad_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
