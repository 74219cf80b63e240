"""What a torch user does with a layer besides calling it."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, vmap

from circuits import Circuit, X, Z, data, weight
from qml.backends import Native, PauliPropagation
from qml.nn import QNNClassifier, QuantumBoltzmannClassifier, QuantumLayer, logistic_loss


def small_circuit() -> Circuit:
    return Circuit(3).ry(data(0), 0).cx(0, 1).rx(weight(0), 2).cx(1, 2).rz(data(0), 2).ry(weight(1), 2)


def values(weights: torch.Tensor) -> torch.Tensor:
    inputs = torch.tensor([[0.1], [0.7], [1.3]], dtype=torch.float64)
    return Native().expectation(small_circuit(), inputs, weights, [Z(2), X(0)])


def test_layer_keeps_its_precision_under_autocast() -> None:
    layer = QNNClassifier(7, "zx", generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(4, 7), nn.Sigmoid(), layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = model(torch.rand(5, 4))
        loss = logistic_loss(predictions, torch.ones(5))
    loss.backward()
    assert predictions.dtype == torch.float32
    assert layer.weights.grad is not None
    assert layer.weights.grad.dtype == torch.float32


def _layers_of_matrix_products() -> dict[str, nn.Module]:
    generator = torch.Generator().manual_seed(0)
    plain = Native(method="autograd", compiled=False)
    return {
        "three classes": QNNClassifier(3, "zx", n_classes=3, generator=generator),
        "Boltzmann": QuantumBoltzmannClassifier(3, n_visible=2, generator=generator),
        "probabilities": QuantumLayer(small_circuit(), probabilities_of=[2, 0], generator=generator),
        "adjoint": QuantumLayer(small_circuit(), [Z(2)], backend=Native(method="adjoint"), generator=generator),
        "plain operations": QuantumLayer(small_circuit(), [Z(2)], backend=plain, generator=generator),
        "Pauli strings": QuantumLayer(
            small_circuit(), [Z(2)], backend=Native(method=PauliPropagation(max_weight=3)), generator=generator
        ),
    }


@pytest.mark.parametrize("name", _layers_of_matrix_products())
def test_autocast_changes_neither_values_nor_gradients(name: str) -> None:
    """Circuits keep their precision in a backward pass inside of the context too, as in loops that wrap a whole step.

    There torch multiplies matrices in 16 bits for the products of torch's own that are around a circuit.
    """
    layer, is_circuit_alone = _layers_of_matrix_products()[name], name in ("probabilities", "adjoint", "Pauli strings")
    inputs = torch.rand(5, 1 if isinstance(layer, QuantumLayer) else 3, generator=torch.Generator().manual_seed(1))
    found = []
    for enabled in (False, True):
        layer.zero_grad()
        rows = inputs.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            values = layer(rows)
            loss = (values * torch.arange(1.0, 1.0 + values.numel()).view_as(values)).sum()
            if is_circuit_alone:
                loss.backward()
        if not is_circuit_alone:
            loss.backward()
        found.append([values.detach(), rows.grad, *(parameter.grad for parameter in layer.parameters())])
    for before, under in zip(*found, strict=True):
        torch.testing.assert_close(under, before, atol=1e-6, rtol=1e-6)  # float32; bfloat16 has two or three digits


@pytest.mark.parametrize("derivative", [torch.autograd.functional.jacobian, torch.autograd.functional.hessian])
def test_many_gradients_at_once_equal_one_after_another(derivative: type) -> None:
    weights = torch.tensor([0.3, -0.8], dtype=torch.float64)

    def function(w: torch.Tensor) -> torch.Tensor:
        return values(w).pow(2).sum() if derivative is torch.autograd.functional.hessian else values(w)

    together = derivative(function, weights, vectorize=True)
    torch.testing.assert_close(together, derivative(function, weights), atol=1e-12, rtol=0)  # float64 algebra


def test_gradients_of_single_samples_by_vmap_add_up_to_the_batch() -> None:
    model = QNNClassifier(7, "zx", dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = torch.rand(4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def loss(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return logistic_loss(functional_call(model, p, (x[None],)), y[None])

    each = vmap(grad(loss), (None, 0, 0))(parameters, inputs, labels)["weights"]
    logistic_loss(model(inputs), labels).backward()
    torch.testing.assert_close(each.mean(0), model.weights.grad, atol=1e-12, rtol=0)


def test_a_first_call_in_inference_mode_does_not_spoil_training() -> None:
    circuit, weights = small_circuit(), torch.zeros(2, requires_grad=True)
    with torch.inference_mode():
        Native().expectation(circuit, torch.rand(3, 1), torch.zeros(2), [Z(2)])
    Native().expectation(circuit, torch.rand(3, 1), weights, [Z(2)]).sum().backward()
    assert weights.grad is not None


def test_graph_can_be_used_twice_and_scratch_memory_is_not_shared() -> None:
    circuit = small_circuit()
    weights = torch.tensor([0.3, -0.8], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor([[0.1], [0.7]], dtype=torch.float64)
    first = Native().expectation(circuit, inputs, weights, [Z(2)]).sum()
    (alone,) = torch.autograd.grad(first, weights, retain_graph=True)
    second = Native().expectation(circuit, inputs + 1.0, 2.0 * weights, [Z(2)]).sum()
    (again,) = torch.autograd.grad(first, weights, retain_graph=True)
    second.backward()
    (last,) = torch.autograd.grad(first, weights)
    assert torch.equal(alone, again)
    assert torch.equal(alone, last)


def test_answers_have_memory_of_their_own() -> None:
    circuit = Circuit(1).h(0)
    for answer in (
        Native().expectation(circuit, torch.zeros(3, 0), torch.zeros(0), [X(0)]),
        Native().probabilities(circuit, torch.zeros(3, 0), torch.zeros(0)),
    ):
        before = answer[1:].clone()
        answer[0] += 1.0
        assert torch.equal(answer[1:], before)


@pytest.mark.parametrize("method", ["auto", "autograd", "adjoint"])
@pytest.mark.parametrize("reads", ["expectation", "probabilities"])
def test_tangents_of_forward_mode_are_those_of_central_differences(method: str, reads: str) -> None:
    backend, step = Native(method=method), 1e-5  # pyright: ignore[reportArgumentType]
    inputs = torch.tensor([[0.1], [0.7]], dtype=torch.float64)
    weights, along = torch.tensor([0.3, -0.8], dtype=torch.float64), torch.tensor([1.0, -2.0], dtype=torch.float64)

    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if reads == "expectation":
            return backend.expectation(small_circuit(), x, w, [Z(2), X(0)])
        return backend.probabilities(small_circuit(), x, w, [2, 0])

    with forward_ad.dual_level():
        dual = function(forward_ad.make_dual(inputs, inputs + 1), forward_ad.make_dual(weights, along))
        tangent = forward_ad.unpack_dual(dual).tangent
    up, down = (function(inputs + s * (inputs + 1), weights + s * along) for s in (step, -step))
    torch.testing.assert_close(tangent, (up - down) / (2 * step), atol=1e-8, rtol=0)  # third derivatives times step**2


def test_a_tangent_of_the_gradient_that_comes_in_moves_on() -> None:
    weights = torch.tensor([0.3, -0.8], dtype=torch.float64, requires_grad=True)
    scale, output = torch.tensor(1.5, dtype=torch.float64), values(weights)
    (expected,) = torch.autograd.grad(output.sum(), weights, retain_graph=True)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(scale, torch.tensor(2.0, dtype=torch.float64))
        (gradient,) = torch.autograd.grad((dual * output).sum(), weights)
        tangent = forward_ad.unpack_dual(gradient).tangent
    torch.testing.assert_close(tangent, 2.0 * expected, atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")  # torch about its own graph
def test_a_circuit_is_linearised() -> None:
    weights, along = torch.tensor([0.3, -0.8], dtype=torch.float64), torch.tensor([1.0, -2.0], dtype=torch.float64)
    output, pushed = torch.func.linearize(values, weights)
    expected_output, expected = torch.func.jvp(values, (weights,), (along,))
    torch.testing.assert_close(output, expected_output, atol=1e-12, rtol=0)
    torch.testing.assert_close(pushed(along), expected, atol=1e-12, rtol=0)
