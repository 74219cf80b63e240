"""Recurrent quantum networks and reservoirs meet wrong inputs at the door; what is right works in every form."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from qml.baselines import EchoStateNetwork, OnionESN
from qml.nn import (
    QRNN,
    FeedbackRing,
    OnionReservoir,
    PersistentRing,
    QRNNClassifier,
    QRNNRegressor,
    QuantumNeuron,
    sampled_features,
)
from tests.qrnn_layers import DOUBLE, LAYERS, MIXED, ROUNDING, first, numbers, seeded, word_network, words

REFUSED = (TypeError, ValueError, TypeCheckError)  # the last where tests check annotations, which name arguments too


def named(name: str) -> str:
    return f"(?s)Argument `{name}|parameter.*{name}"


@pytest.fixture(params=LAYERS)
def layer_and_inputs(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    make, shape = LAYERS[request.param]
    return make(DOUBLE), numbers(*shape)


# --- precisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [nn.Module.bfloat16, nn.Module.half])
@pytest.mark.parametrize("batch", [0, 1, 600])
def test_modules_in_half_precision_are_refused(convert: Callable[[nn.Module], nn.Module], batch: int) -> None:
    for make, shape in LAYERS.values():
        layer = convert(make(torch.float32))
        inputs = torch.zeros(*(batch if place == len(shape) - 2 else size for place, size in enumerate(shape)))
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            with pytest.raises(TypeError, match="layer must be in float32 or float64, but its parameters are torch"):
                layer(inputs.to(dtype))
    net, read = convert(QRNN(2, 2)), words(2, batch)
    for call in (
        lambda: net(read, targets=read),
        lambda: net(read),
        lambda: net.cell(read[0]),
        lambda: net.generate(read, 2),
        lambda: net.success_probability(read, targets=read),
    ):
        with pytest.raises(TypeError, match="layer must be in float32 or float64"):
            call()


@pytest.mark.parametrize("name", list(LAYERS))
def test_autocast_with_inputs_of_16_bits_is_near_float64(name: str) -> None:
    make, shape = LAYERS[name]
    layer, inputs = make(torch.float32), numbers(*shape).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = first(layer(inputs))
    # a trained read-out is an nn.Linear, which autocast runs in bfloat16; all else is in float32
    atol = 0.02 if found.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(found.double(), first(layer.double()(inputs.double())), atol=atol, rtol=0)


def test_autocast_leaves_every_method_of_a_network_in_full_precision() -> None:
    net, read = word_network().float(), words(4, 2)
    neuron = QuantumNeuron(2, generator=seeded())
    calls: tuple[Callable[[], Tensor], ...] = (
        lambda: net.trace(read, targets=read)[0],
        lambda: net.success_probability(read, targets=read),
        lambda: neuron(torch.eye(8)),
    )
    for call in calls:
        expected = call()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(call(), expected, atol=0, rtol=0)


def test_reservoirs_take_series_and_states_of_any_floating_dtype() -> None:
    for reservoir in (OnionReservoir(MIXED), EchoStateNetwork(1, 9, density=0.5)):
        inputs = numbers(2, 4, 1).bfloat16()
        expected, last = reservoir(inputs.double())
        state = last.float()
        for lengths in (None, [4, 2]):
            assert reservoir(inputs, lengths=lengths)[0].dtype == DOUBLE
        assert reservoir(inputs[:0])[0].dtype == DOUBLE
        torch.testing.assert_close(reservoir(inputs)[0], expected, atol=0, rtol=0)
        further = reservoir(inputs.double(), state.double())[0]
        torch.testing.assert_close(reservoir(inputs, state)[0], further, atol=0, rtol=0)


# --- arguments of the wrong kind --------------------------------------------------------------------------------------


def odd(values: Tensor) -> Iterator[Any]:
    """The values in forms that no layer takes, and other things."""
    yield values.tolist()
    yield values.numpy()
    yield 3
    yield "a"
    yield values.to(torch.complex64)
    yield values.to_sparse()
    yield values.to("meta")
    yield values.to(torch.float8_e4m3fn)


def assert_refused(call: Callable[[Any], Any], values: Tensor, name: str, *more: Any) -> None:
    for value in (*odd(values), *more):
        with pytest.raises(REFUSED, match=named(name)):
            call(value)


def test_inputs_of_layers(layer_and_inputs: tuple[nn.Module, Tensor]) -> None:
    layer, inputs = layer_and_inputs
    name = "states" if isinstance(layer, QuantumNeuron) else "inputs"
    wider = inputs.repeat_interleave(3, -1)
    assert_refused(layer, inputs, name, None, inputs * math.nan, inputs / 0.0, wider, torch.tensor(1.0, dtype=DOUBLE))


@pytest.mark.parametrize("name", ["feedback", "persistent", "onion", "echo"])
def test_states_and_lengths_of_reservoirs(name: str) -> None:
    make, shape = LAYERS[name]
    layer, inputs = make(DOUBLE), numbers(*shape)
    state = layer(inputs)[1]
    integers = torch.ones_like(state).long()
    assert_refused(lambda value: layer(inputs, value), state, "state", integers, state * math.nan, state[:1])
    assert_refused(lambda value: layer(inputs[0], value), state[0], "state", state)
    for lengths in ([1.0, 2.0], ["1", "2"], 3, "12", torch.tensor([1.5, 2.0]), torch.tensor([[1, 2]]), [True, False]):
        with pytest.raises(REFUSED, match=named("lengths")):
            layer(inputs, lengths=lengths)
    expected = layer(inputs, lengths=[1, 3])[0]
    for lengths in (np.array([1, 3]), torch.tensor([1, 3]), (np.int32(1), 3)):
        torch.testing.assert_close(layer(inputs, lengths=lengths)[0], expected, atol=0, rtol=0)
    with pytest.raises(REFUSED, match=named("inputs")):
        next(iter(layer.stream([1.0])))


def test_words_targets_and_states_of_networks() -> None:
    net, read = QRNN(2, 2, dtype=DOUBLE), words(3, 2)
    state, halves = torch.eye(2, 4, dtype=DOUBLE), read + 0.5
    assert_refused(lambda value: net(value, targets=read), read, "inputs", None, halves)
    assert_refused(lambda value: net(read, targets=value), read, "targets", halves)
    assert_refused(lambda value: net(read, value, targets=read), state, "state", state.long(), state.float(), state * 0)
    assert_refused(lambda value: net(read[:, 0], value, targets=read[:, 0]), state[0], "state")
    assert_refused(lambda value: net.trace(value, targets=read), read, "inputs")
    assert_refused(lambda value: net.generate(value, 2), read, "prompt")
    assert_refused(net.circuit_data, read, "inputs")
    assert_refused(net.cell, read[0], "inputs", None)
    assert_refused(lambda value: net.cell(read[0], targets=value), read[0], "targets")
    assert_refused(lambda value: net.cell(read[0], value), state, "state", state.float())
    layer, series = QRNNRegressor(2, 2, dtype=DOUBLE), numbers(3, 2, 2)
    assert_refused(lambda value: layer(series, value), state, "state", state.float())
    assert_refused(lambda value: layer(series[:, 0], value), state[0], "state")
    assert_refused(layer.read, numbers(3, 4), "probabilities", None, numbers(3, 5))
    for values in (["a"], 1j * np.ones(3), None, "a", torch.ones(3, dtype=torch.bool), torch.ones(3, device="meta")):
        with pytest.raises(REFUSED, match=named("values")):
            net.cell.load_vector(values)


def test_words_of_every_integer_dtype_are_taken() -> None:
    net, read = word_network(), words(3, 2)
    expected = net(read, targets=read)[0]
    kinds = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64)
    for kind in kinds:
        torch.testing.assert_close(net(read.to(kind), targets=read.to(kind))[0], expected, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("rings", lambda: OnionReservoir(3)),
        ("rings", lambda: OnionReservoir(FeedbackRing(3))),
        ("n_inputs", lambda: OnionReservoir([FeedbackRing(3)], "1")),
        ("shots", lambda: OnionReservoir([FeedbackRing(3)], shots="5")),
        ("trajectories", lambda: OnionReservoir([PersistentRing(3)], trajectories=2.5)),
        ("seed", lambda: OnionReservoir([FeedbackRing(3)], seed="1")),
        ("dtype", lambda: OnionReservoir([FeedbackRing(3)], dtype=torch.float16)),
        ("readout_error", lambda: OnionReservoir([PersistentRing(3)], readout_error=("a", 0.1))),
        ("n_qubits", lambda: FeedbackRing("3")),
        ("input_scale", lambda: FeedbackRing(3, "0.1")),
        ("input_scale", lambda: FeedbackRing(3, True)),
        ("feedback_scale", lambda: FeedbackRing(3, 0.1, None)),
        ("weight_scale", lambda: PersistentRing(3, weight_scale="1")),
        ("seed", lambda: PersistentRing(3, seed="1")),
        ("seed", lambda: PersistentRing(3, seed=-1)),
        ("shots", lambda: sampled_features([PersistentRing(2, 1)], torch.rand(1, 2, 1), shots="5")),
        ("inputs", lambda: sampled_features([PersistentRing(2, 1)], [[1.0]], shots=5)),
        ("leak_rate", lambda: EchoStateNetwork(1, 20, leak_rate="0.3")),
        ("leak_rate", lambda: EchoStateNetwork(1, 20, leak_rate=math.nan)),
        ("density", lambda: EchoStateNetwork(1, 20, density=None)),
        ("spectral_radius", lambda: EchoStateNetwork(1, 20, spectral_radius="0.9")),
        ("input_scaling", lambda: EchoStateNetwork(1, 20, input_scaling=math.inf)),
        ("activation", lambda: EchoStateNetwork(1, 20, activation=["tanh"])),
        ("include_inputs", lambda: EchoStateNetwork(1, 20, include_inputs="no")),
        ("seed", lambda: EchoStateNetwork(1, 20, seed="1")),
        ("dtype", lambda: EchoStateNetwork(1, 20, dtype=torch.bfloat16)),
        ("units", lambda: OnionESN(1, 200)),
        ("radii", lambda: OnionESN(1, (5,), 0.9)),
        ("input_weight", lambda: EchoStateNetwork.from_matrices(1j * np.ones((3, 2)), np.ones((3, 3)))),
        ("recurrent", lambda: EchoStateNetwork.from_matrices(np.ones((3, 2)), "a")),
        ("input_size", lambda: QRNN("2", 2)),
        ("bias", lambda: QRNN(2, 2, bias="no")),
        ("batch_first", lambda: QRNN(2, 2, batch_first=1)),
        ("dtype", lambda: QRNN(2, 2, dtype=torch.float16)),
        ("order", lambda: QuantumNeuron(2, order="1")),
        ("encoding", lambda: QRNNRegressor(1, 2, encoding=["angle"])),
        ("low", lambda: QRNNRegressor(1, 2, low="0")),
        ("n_bits", lambda: QRNNRegressor(1, 2, n_bits="1")),
        ("n_classes", lambda: QRNNClassifier(1, 2, n_classes="3")),
        ("greedy", lambda: QRNN(1, 2).generate(words(3, n_words=2), 2, greedy="no")),
        ("n_steps", lambda: QRNN(1, 2).generate(words(3, n_words=2), "2")),
    ],
)
def test_options_of_the_wrong_kind_are_refused_by_name(name: str, build: Callable[[], Any]) -> None:
    with pytest.raises(REFUSED, match=named(name)):
        build()


def test_numbers_of_numpy_are_numbers() -> None:
    try:
        ring = PersistentRing(np.int64(3), np.int32(1), np.float32(0.5), np.float64(1.5), seed=np.int64(4))
    except TypeCheckError:
        pytest.skip("annotations, which name plain numbers, are checked")
    assert ring == PersistentRing(3, 1, 0.5, 1.5, seed=4)
    reservoir = OnionReservoir([ring], np.int64(1), shots=np.int64(4), seed=np.int64(2))
    twin = OnionReservoir.from_config(reservoir.config())
    inputs = numbers(1, 3, 1)
    torch.testing.assert_close(reservoir(inputs)[0], twin(inputs)[0], atol=0, rtol=0)
    network = EchoStateNetwork(np.int64(1), np.int64(9), leak_rate=np.float64(0.5), density=np.float32(0.5))
    assert type(network.leak_rate) is float
    net = QRNN(np.int64(1), np.int64(2), order=np.int64(1), n_stages=np.int64(1))
    assert net.generate(words(3, n_words=2), np.int64(2)).shape == (2,)
    layer = QRNNRegressor(np.int64(1), np.int64(2), low=np.float32(0.0), high=np.int64(2))
    assert (layer.low, layer.high) == (0.0, 2.0)
    net.cell.load_vector(net.cell.vector().detach().double().numpy())


# --- what is not finite -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_named(value: float) -> None:
    read = words(3, 2, n_words=2)
    net, layer, neuron = QRNN(1, 2), QRNNRegressor(1, 2), QuantumNeuron(2)
    calls: list[tuple[nn.Module, Callable[[], Any]]] = [
        (net.cell, lambda: net(read, targets=read)),
        (net.cell, lambda: net(read)),
        (net.cell, lambda: net.generate(read, 2)),
        (net.cell, lambda: net.trace(read, targets=read)),
        (net.cell, lambda: net.cell(read[0])),
        (layer.qrnn.cell, lambda: layer(torch.rand(3, 2, 1))),
        (layer.readout, lambda: layer(torch.rand(3, 2, 1))),
        (neuron, lambda: neuron(torch.eye(8))),
    ]
    for module, call in calls:
        for name, parameter in module.named_parameters():
            kept = parameter.detach().clone()
            with torch.no_grad():
                parameter.view(-1)[0] = value
            with pytest.raises(ValueError, match=rf"Parameter `\S*{name}` .*must be finite"):
                call()
            with torch.no_grad():
                parameter.copy_(kept)
        call()


def test_states_without_a_direction_are_refused() -> None:
    with pytest.raises(ValueError, match="`states` must have norms above 0"):
        QuantumNeuron(1, degree=1)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="`order` must be so low"):
        QRNN(1, 1, n_stages=0, order=9, degree=1)(words(2, 1, n_words=2))


def test_an_echo_state_network_with_nan_is_refused() -> None:
    network = EchoStateNetwork(1, 9, density=0.5)
    network.values[0] = math.nan
    with pytest.raises(ValueError, match="Buffer `values` must be finite"):
        network(torch.rand(2, 3, 1))
    growing = EchoStateNetwork(1, 9, density=0.5, spectral_radius=1e200, activation="identity")
    with pytest.raises(ValueError, match="states must stay finite"):
        growing(torch.rand(2, 5, 1))


# --- the habits of nn.LSTM --------------------------------------------------------------------------------------------


def test_torchs_names_of_arguments_and_its_methods() -> None:
    net, read, state = word_network(), words(3, 2), torch.eye(2, 4, dtype=DOUBLE)
    net.flatten_parameters()
    assert (net.input_size, net.hidden_size) == (2, 2)
    expected = net(read, state, targets=read)[0]
    torch.testing.assert_close(net(input=read, hx=state, targets=read)[0], expected, atol=0, rtol=0)
    cell = net.cell(input=read[0], hx=state, targets=read[0])[0]
    torch.testing.assert_close(cell, expected[0], atol=ROUNDING, rtol=0)
    series = numbers(3, 2, 2)
    for layer in (QRNNRegressor(2, 2, dtype=DOUBLE), QRNNClassifier(2, 2, n_classes=3, dtype=DOUBLE)):
        layer.flatten_parameters()
        found = layer(input=series, hx=state)[0]
        torch.testing.assert_close(found, layer(series, state)[0], atol=0, rtol=0)
        with pytest.raises(TypeError, match="`input` must be left out where `inputs` is given"):
            layer(series, input=series)
    with pytest.raises(TypeError, match="`hx` must be left out where `state` is given"):
        net(read, state, hx=state, targets=read)


def test_packed_sequences_keep_their_own_order_of_ties() -> None:
    net, read = word_network(), words(3, 3)
    lengths = torch.tensor([3, 2, 3])
    usual = pack_padded_sequence(read, lengths, enforce_sorted=False)
    order = torch.tensor([2, 0, 1])  # the two long ones the other way round
    data = torch.cat([read[step, order[:size]] for step, size in enumerate(usual.batch_sizes.tolist())])
    own = PackedSequence(data, usual.batch_sizes, order, torch.argsort(order))
    probabilities, state = net(own, targets=own)
    assert torch.equal(probabilities.sorted_indices, order)
    single = [net(read[:length, row], targets=read[:length, row]) for row, length in enumerate(lengths.tolist())]
    by_row = torch.stack([single[row][0][0] for row in order.tolist()])
    torch.testing.assert_close(probabilities.data[:3], by_row, atol=ROUNDING, rtol=0)
    torch.testing.assert_close(state, torch.stack([last for _, last in single]), atol=ROUNDING, rtol=0)
    plain = pack_padded_sequence(read, torch.tensor([3, 3, 2]))  # without an order, which is that of its rows
    ordered = pack_padded_sequence(read, torch.tensor([3, 3, 2]), enforce_sorted=False)
    alike = net(plain, targets=ordered)[0].data
    torch.testing.assert_close(alike, net(plain, targets=plain)[0].data, atol=ROUNDING, rtol=0)
