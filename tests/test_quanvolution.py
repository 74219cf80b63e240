"""The quanvolution: each pixel against a loop over windows written by hand, and the shapes of nn.Conv2d."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, X, Y, Z, data, weight
from qml.nn import Quanvolution
from tests import oracle

SAME_WARNING = pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")
"""Of nn.Conv2d, once a process: it copies its inputs."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(*sizes: Any, **options: Any) -> Quanvolution:
    return Quanvolution(*sizes, **({"dtype": torch.float64, "generator": seeded(0)} | options))


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=seeded(1))


def by_hand(
    layer: Quanvolution, circuit: Circuit, inputs: Tensor, stride: int, padding: int, dilation: int
) -> np.ndarray:
    """Output [filter, row, column] of one image (channels, height, width): windows one by one."""
    padded = np.pad(inputs.numpy(), ((0, 0), (padding, padding), (padding, padding)))
    size = layer.kernel_size
    reach = [dilation * (k - 1) for k in size]
    tops = range(0, padded.shape[1] - reach[0], stride)
    lefts = range(0, padded.shape[2] - reach[1], stride)
    mean = [(1 / circuit.n_qubits) * Z(qubit) for qubit in range(circuit.n_qubits)]
    result = np.zeros((layer.out_channels, len(tops), len(lefts)))
    for number in range(layer.out_channels):
        weights = layer.weights[number].detach().numpy()
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                window = [
                    layer.scale * padded[channel, top + dilation * i, left + dilation * j]
                    for channel in range(layer.in_channels)
                    for i in range(size[0])
                    for j in range(size[1])
                ]
                if layer.observables is None:
                    value = oracle.expectation(circuit, [window], weights, mean).sum()
                else:
                    one = layer.observables[number % len(layer.observables)]
                    value = oracle.expectation(circuit, [window], weights, [one])[0, 0]
                result[number, row, column] = value
    return result


def default_circuit(rotation: str) -> Circuit:
    """Four qubits and one layer, gate by gate."""
    circuit, number = Circuit(4), 0
    for qubit in range(4):
        getattr(circuit, f"r{rotation}")(data(qubit), qubit)
    for qubit in range(4):
        circuit.rz(weight(number), qubit).ry(weight(number + 1), qubit).rz(weight(number + 2), qubit)
        number += 3
    return circuit.cx(0, 1).cx(1, 2).cx(2, 3).cx(3, 0)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "rotation"), [(1, 0, 1, "y"), (2, 1, 1, "x"), (1, 1, 2, "y")]
)
def test_every_pixel_is_the_circuit_of_its_window(stride: int, padding: int, dilation: int, rotation: str) -> None:
    layer = made(1, 2, 2, stride, padding, dilation, rotation=rotation, scale=2.5)
    inputs = images(2, 1, 4, 3)
    for image, found in zip(inputs, layer(inputs), strict=True):
        wanted = by_hand(layer, default_circuit(rotation), image, stride, padding, dilation)
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=0, atol=1e-12)


def test_own_circuit_and_observables_of_each_channel() -> None:
    circuit = Circuit(2).rx(data(0), 0).ry(data(1), 1).cx(0, 1).ry(data(2), 0).rz(data(3), 1).rx(weight(0), 1)
    for observables in ([Z(0) @ X(1)], [Z(0), Y(1)]):
        layer = made(2, 2, (1, 2), circuit=circuit, observables=observables)
        inputs = images(2, 2, 3)
        wanted = by_hand(layer, circuit, inputs, 1, 0, 1)
        np.testing.assert_allclose(layer(inputs).detach().numpy(), wanted, rtol=0, atol=1e-12)


def test_one_entry_needs_one_qubit_and_its_formula_is_a_cosine() -> None:
    layer = made(1, 1, 1)
    with torch.no_grad():
        layer.weights.zero_()
    inputs = images(3, 1, 2, 2)
    torch.testing.assert_close(layer(inputs), torch.cos(math.pi * inputs), rtol=0, atol=1e-12)


@SAME_WARNING
@pytest.mark.parametrize("padding", [0, 1, (0, 1), "same", "valid"])
@pytest.mark.parametrize("dilation", [1, 2, (1, 2)])
@pytest.mark.parametrize("stride", [1, 2, (2, 1), 3])
@pytest.mark.parametrize("kernel_size", [(1, 2), (2, 2), (3, 2)])
def test_shapes_are_those_of_conv2d(kernel_size: Any, stride: Any, dilation: Any, padding: Any) -> None:
    if padding == "same" and stride != 1:
        with pytest.raises(ValueError, match="`padding` must be numbers where stride is not 1"):
            made(1, 2, kernel_size, stride, padding, dilation)
        return
    layer = made(1, 2, kernel_size, stride, padding, dilation)
    twin = nn.Conv2d(1, 2, kernel_size, stride, padding, dilation, dtype=torch.float64)
    for shape in ((2, 1, 7, 6), (1, 5, 5), (0, 1, 6, 7)):
        assert layer(images(*shape)).shape == twin(images(*shape)).shape


@SAME_WARNING
def test_windows_of_same_padding_lie_where_those_of_conv2d_lie() -> None:
    circuit = Circuit(1).ry(data(0), 0).ry(data(1), 0).ry(data(2), 0).ry(data(3), 0).ry(weight(0), 0)
    layer = made(1, 1, 2, padding="same", circuit=circuit)  # cos of the sum of the window, times pi, and the weight
    twin = nn.Conv2d(1, 1, 2, padding="same", dtype=torch.float64)
    with torch.no_grad():
        twin.weight.fill_(math.pi)
        twin.bias.copy_(layer.weights[0])  # pyright: ignore[reportOptionalMemberAccess]
    inputs = images(2, 1, 3, 4)
    torch.testing.assert_close(layer(inputs), torch.cos(twin(inputs)), rtol=0, atol=1e-12)


def test_gradients_by_images_and_weights() -> None:
    layer = made(1, 2, (1, 2), stride=(1, 2), padding=(0, 1))

    def outputs(inputs: Tensor, weights: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weights": weights}, (inputs,))

    arguments = images(1, 1, 2, 2).requires_grad_(), layer.weights.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(outputs, arguments)
    assert torch.autograd.gradgradcheck(outputs, arguments)


def test_fixed_filters_are_no_parameters_and_are_saved() -> None:
    layer, other = made(1, 2, 2, trainable=False), made(1, 2, 2, trainable=False, generator=seeded(5))
    assert list(layer.parameters()) == []
    assert torch.equal(layer.weights, made(1, 2, 2).weights)
    inputs = images(2, 1, 3, 3).requires_grad_()
    assert not torch.allclose(layer(inputs), other(inputs))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(inputs), layer(inputs))
    (gradient,) = torch.autograd.grad(layer(inputs).sum(), inputs)
    assert gradient.abs().min() > 0


def test_it_learns_in_a_network_in_the_place_of_conv2d() -> None:
    inputs = images(24, 1, 4, 4)
    labels = (inputs[:, 0, :2].mean((1, 2)) > inputs[:, 0, 2:].mean((1, 2))).long()
    head = nn.Linear(8, 2, dtype=torch.float64)
    with torch.no_grad():
        head.weight.uniform_(-0.3, 0.3, generator=seeded(2))
        head.bias.zero_()
    model = nn.Sequential(made(1, 2, 2, 2), nn.Flatten(), head)
    before = model[0].weights.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert (model[0].weights - before).abs().max() > 0.1


def test_another_backend_gives_the_same() -> None:
    layer, inputs = made(1, 2, 2), images(1, 3, 3)
    expected = layer(inputs)
    assert layer.to_backend("pennylane") is layer
    torch.testing.assert_close(layer(inputs), expected, rtol=0, atol=1e-10)


NO_WEIGHTS = Circuit(1).ry(data(0), 0)
ONE = Circuit(1).ry(data(0), 0).ry(weight(0), 0)


@pytest.mark.plain
@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((0, 1, 2), {}, "`in_channels` must be at least 1"),
        ((1, 0, 2), {}, "`out_channels` must be at least 1"),
        ((1, 1, 0), {}, "`kernel_size` must be at least 1"),
        ((1, 1, (2, 2, 2)), {}, r"`kernel_size` must be a number or \(height, width\)"),
        ((1, 1, 2, 0), {}, "`stride` must be at least 1"),
        ((1, 1, 2, 1, -1), {}, "`padding` must be at least 0"),
        ((1, 1, 2, 1, "full"), {}, "`padding` must be one of"),
        ((2, 1, 3), {}, r"at most 16 entries, .* has 2 \* 3 \* 3 = 18. Pass a smaller kernel_size"),
        ((1, 1, 2), {"n_layers": 0}, "`n_layers` must be at least 1"),
        ((1, 1, 2), {"rotation": "z"}, "`rotation` must be one of"),
        ((1, 1, 2), {"scale": math.inf}, "`scale` must"),
        ((1, 1, 2), {"circuit": ONE}, "`circuit` must have 4 data slots"),
        ((1, 1, 1), {"circuit": NO_WEIGHTS}, "`circuit` must have weights"),
        ((1, 1, 1), {"circuit": ONE, "n_layers": 2}, "must be left out where a `circuit` is given"),
        ((1, 3, 2), {"observables": [Z(0), Z(1)]}, "must hold 1 observable or 3"),
        ((1, 1, 2), {"observables": [Z(4)]}, r"must act on qubits 0\.\.3"),
        ((1, 1, 2), {"dtype": torch.float16}, "`dtype` must be"),
    ],
)
def test_bad_arguments_are_refused(sizes: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(*sizes, **options)


@pytest.mark.plain
@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (images(2, 3, 3), ValueError, r"must have shape \(batch, 1, height, width\)"),
        (images(1, 1, 1, 3, 3), ValueError, "must have shape"),
        (images(3, 3), ValueError, "must have shape"),
        (images(1, 1, 3), ValueError, "2 pixels in height, but has 1"),
        (images(1, 3, 1), ValueError, "2 pixels in width, but has 1"),
        (images(1, 3, 3).float(), TypeError, "float64"),
        (torch.full((1, 3, 3), math.nan, dtype=torch.float64), ValueError, "NaN"),
        ([[1.0]], TypeError, r"must be a torch\.Tensor"),
    ],
)
def test_bad_images_are_refused(inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        made(1, 1, 2)(inputs)
