"""Recurrent quantum networks on continuous features."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from qml.backends import Backend, Native
from qml.nn import QRNNClassifier, QRNNRegressor
from qml.nn.qrnn import _angles as _qrnn_angles

ENCODINGS = ("angle", "bits", "serial")
FLOAT64 = 1e-10  # promised in float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_features_become_levels_and_levels_become_words() -> None:
    inputs = torch.tensor([[-1.0, 0.99], [0.0, -0.5], [9.0, -9.0]])  # three steps of two features
    side_by_side = QRNNRegressor(2, 2, encoding="bits", n_bits=2)
    assert side_by_side.words(inputs).tolist() == [0b0011, 0b1001, 0b1100]
    serial = QRNNRegressor(2, 2, encoding="serial", n_bits=2)
    # step by step the high bits of both features, then the low ones
    assert serial.words(inputs).tolist() == [0b01, 0b01, 0b10, 0b01, 0b10, 0b10]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_batch_first_time_first_and_single_series_agree(encoding: str) -> None:
    options = {"n_bits": 2, "encoding": encoding, "dtype": torch.float64}
    time_first = QRNNRegressor(2, 2, 3, **options, generator=seeded())
    batch_first = QRNNRegressor(2, 2, 3, **options, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    inputs = torch.rand(5, 4, 2, dtype=torch.float64, generator=seeded(1))
    outputs, state = time_first(inputs)
    assert outputs.shape == (5, 4, 3)
    swapped, same = batch_first(inputs.transpose(0, 1))
    torch.testing.assert_close(swapped.transpose(0, 1), outputs, atol=1e-12, rtol=0)  # float64 algebra
    torch.testing.assert_close(same, state, atol=1e-12, rtol=0)
    torch.testing.assert_close(time_first(inputs[:, 1])[0], outputs[:, 1], atol=1e-12, rtol=0)
    first, carried = time_first(inputs[:2])
    second, _ = time_first(inputs[2:], carried)
    torch.testing.assert_close(torch.cat([first, second]), outputs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_copy_gives_the_same_numbers_and_gradients_reach_every_parameter(encoding: str) -> None:
    layer = QRNNRegressor(1, 2, encoding=encoding, n_bits=2, generator=seeded())
    inputs = torch.rand(6, 3, 1, generator=seeded(1))
    outputs, _ = layer(inputs)
    torch.testing.assert_close(copy.deepcopy(layer)(inputs)[0], outputs, atol=0, rtol=0)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("encoding", "n_bits", "hidden"), [("angle", 1, 3), ("angle", 2, 2), ("bits", 2, 2), ("serial", 2, 2)]
)
def test_every_step_is_what_the_circuit_of_the_steps_so_far_gives(encoding: str, n_bits: int, hidden: int) -> None:
    layer = QRNNRegressor(1, 2, 2, encoding=encoding, n_bits=n_bits, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        layer.qrnn.cell.weights.mul_(30.0)  # weights that matter
    inputs = 2.0 * torch.rand(3, 2, 1, dtype=torch.float64, generator=seeded(1)) - 1.0
    outputs, _ = layer(inputs)
    cell = layer.qrnn.cell
    ends = range(cell.hidden_size, cell.hidden_size + cell.input_size)
    for n_steps in (1, 2, 3):
        circuit, data = layer.circuit(n_steps), layer.circuit_data(inputs[:n_steps])
        found = layer.read(Native().probabilities(circuit, data, cell.vector(), list(ends)))
        torch.testing.assert_close(outputs[n_steps - 1], found, atol=FLOAT64, rtol=0)


BACKENDS: dict[str, Backend | str] = {"circuits": Native(readout_error=(0.0, 0.0)), "aer": "aer"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_other_backends_give_the_same_outputs_and_gradients(kind: str, backend: str) -> None:
    options: dict[str, Any] = {"n_stages": 0, "degree": 1, "batch_first": True, "dtype": torch.float64}
    layer = (QRNNRegressor if kind == "regressor" else QRNNClassifier)(1, 1, 2, **options, generator=seeded())
    inputs = torch.rand(2, 2, 1, dtype=torch.float64, generator=seeded(1)).requires_grad_()
    trained = [parameter for parameter in layer.parameters() if parameter.numel()]  # there are no rotations
    found = []
    for place in ("native", BACKENDS[backend]):
        outputs, state = layer.to_backend(place)(inputs)
        assert state.shape == ((2, 2) if place == "native" else (2, 2, 2, 1))  # amplitudes, or angles of two steps
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), [inputs, *trained])])
    for theirs, ours in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(theirs, ours, atol=FLOAT64 if backend == "circuits" else 1e-6, rtol=0)
    torch.testing.assert_close(layer(inputs[0])[0], found[0][0][0], atol=1e-6, rtol=0)


def test_what_a_device_cannot_do_is_refused() -> None:
    layer = QRNNRegressor(1, 1, n_stages=0, degree=1, backend=Native(readout_error=(0.01, 0.02)))
    with pytest.raises(
        ValueError, match=r"`state` must be the angles that steps on Native\(.* returned, of shape \(1, steps, 2, 1\)"
    ):
        layer(torch.rand(2, 1, 1), torch.tensor([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="at least one step"):
        layer(torch.rand(0, 1, 1))
    inputs = torch.rand(1, 1, 1, generator=seeded())
    assert not torch.equal(layer(inputs)[0], layer.to_backend("native")(inputs)[0])
    adjoint = layer.to_backend(Native(method="adjoint"))
    with pytest.raises(ValueError, match="adjoint"):  # which has no gradients of circuits that are not unitary
        adjoint(inputs)[0].sum().backward()


def test_large_offsets_and_far_values_lose_nothing() -> None:
    inputs = 1.7e9 + torch.arange(0.0, 60.0, 10.0, dtype=torch.float64)[:, None]
    layer = QRNNRegressor(1, 2, low=1.7e9, high=1.7e9 + 100.0)
    expected = math.pi / 10 * torch.arange(6.0)[:, None]
    torch.testing.assert_close(layer.angles(inputs), expected)
    torch.testing.assert_close(layer.angles(inputs.long()), expected)
    levels = QRNNRegressor(1, 2, encoding="bits", n_bits=2).words(torch.tensor([[1e20], [1.0], [-1e20], [5.0]]))
    assert levels.tolist() == [3, 3, 0, 3]


def test_angles_at_the_ends_are_words_of_zeros_and_ones() -> None:
    angle = QRNNRegressor(2, 2, dtype=torch.float64, generator=seeded())
    bits = QRNNRegressor(2, 2, encoding="bits", n_bits=1, dtype=torch.float64)
    bits.load_state_dict(angle.state_dict())
    inputs = 2.0 * torch.randint(2, (6, 3, 2), generator=seeded(1)).double() - 1.0
    for found, expected in zip(angle(inputs), bits(inputs), strict=True):
        torch.testing.assert_close(found, expected, atol=FLOAT64, rtol=0)


@pytest.mark.parametrize("hidden", [2, 8])  # matrices, and neurons one by one
def test_derivatives_in_features_and_weights(hidden: int) -> None:
    layer = QRNNRegressor(1, hidden, n_bits=2 if hidden == 2 else 1, degree=1, dtype=torch.float64, generator=seeded())
    inputs = torch.rand(2, 1, 1, dtype=torch.float64, generator=seeded(1)).requires_grad_()
    parameters = {name: value.detach().requires_grad_(hidden == 2) for name, value in layer.named_parameters()}

    def outputs(features: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(layer, named, (features,))[0]

    assert torch.autograd.gradcheck(outputs, (inputs, *parameters.values()))
    if hidden == 2:
        assert torch.autograd.gradgradcheck(outputs, (inputs, *parameters.values()))


def test_neurons_one_by_one_are_their_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = QRNNRegressor(2, 3, dtype=torch.float64, generator=seeded())
    inputs = torch.rand(4, 5, 2, dtype=torch.float64, generator=seeded(1))
    found = []
    for pays in (True, False):
        monkeypatch.setattr(_qrnn_angles, "maps_pay", lambda pays=pays, **_: pays)
        found.append(layer(inputs)[0])
    torch.testing.assert_close(found[0], found[1], atol=1e-12, rtol=0)  # float64 algebra


@pytest.mark.parametrize("encoding", ["angle", "bits"])
def test_the_next_value_of_a_wave_is_learnt(encoding: str) -> None:
    windows = torch.sin(torch.linspace(0.0, 6.0 * math.pi, 61)).unfold(0, 5, 1)
    inputs, targets = windows[:, :-1, None], windows[:, -1:]
    layer = QRNNRegressor(1, 3, encoding=encoding, low=-1.1, high=1.1, batch_first=True, generator=seeded())
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(inputs)[0][:, -1], targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * targets.var().item() < losses[0]  # seeds 0 to 2 reach 0.0002 to 0.006


def test_a_classifier_reads_the_last_step() -> None:
    layer = QRNNClassifier(2, 2, 4, batch_first=True, generator=seeded())
    inputs = torch.rand(3, 5, 2, generator=seeded(1))
    logits, state = layer(inputs)
    assert logits.shape == (3, 4)
    assert state.shape == (3, 4)
    assert layer(inputs[0])[0].shape == (4,)
    torch.testing.assert_close(layer(inputs[0])[0], logits[0])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`in_features` must be at least 1"):
        QRNNRegressor(0, 2)
    with pytest.raises(ValueError, match="`low` and `high` must be finite and ascending"):
        QRNNRegressor(1, 2, low=1.0, high=1.0)
    with pytest.raises(ValueError, match="`n_classes` must be at least 2"):
        QRNNClassifier(1, 2, 1)
    layer = QRNNRegressor(2, 2, encoding="bits", n_bits=1)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 2\)"):
        layer(torch.rand(3, 1, 3))
    with pytest.raises(ValueError, match="2 or 3 dimensions"):
        layer(torch.rand(2))
    with pytest.raises(ValueError, match="must be finite"):
        layer(torch.full((3, 1, 2), math.nan))
    with pytest.raises(ValueError, match="must not require gradients"):
        layer(torch.rand(3, 1, 2, requires_grad=True))
    with pytest.raises(ValueError, match="at least one step"):
        layer(torch.rand(0, 1, 2))
    with pytest.raises(ValueError, match="at least one step"):
        QRNNRegressor(2, 2)(torch.rand(0, 1, 2))
    with pytest.raises(ValueError, match="`encoding` must be one of angle, bits, serial"):
        QRNNRegressor(1, 2, encoding="amplitude")
    for encoding, asked in (("angle", "words"), ("serial", "angles")):
        with pytest.raises(ValueError, match=f"encoding must be .* for this, but is {encoding}"):
            getattr(QRNNRegressor(1, 2, encoding=encoding), asked)(torch.rand(3, 1))
    with pytest.raises(TypeError, match="`inputs` must be a tensor of real numbers"):
        QRNNRegressor(2, 2)(torch.rand(3, 1, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"angles that torch.float32 can hold"):
        QRNNRegressor(2, 2)(torch.full((3, 1, 2), 1e39, dtype=torch.float64))
    with pytest.raises(ValueError, match="`n_bits` must be at most 24"):
        QRNNRegressor(1, 2, encoding="serial", n_bits=70)
    with pytest.raises(ValueError, match="`high` must be finite"):
        QRNNRegressor(1, 2, high=math.inf)
    with pytest.raises(ValueError, match="`state` must be one vector"):
        QRNNRegressor(2, 2)(torch.rand(3, 2), torch.ones(1, 4) / 2)
    with pytest.raises(ValueError, match=r"`state` must have shape \(3, 4\)"):
        QRNNRegressor(2, 2)(torch.rand(5, 3, 2), torch.ones(2, 4) / 2)
