"""Recurrent quantum networks and reservoirs in a torch user's hands: devices, modes, precisions, misuse, threads."""

import copy
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from circuits import channels
from qml.baselines import EchoStateNetwork, OnionESN
from qml.nn import QRNN, FeedbackRing, OnionReservoir, PersistentRing, QRNNRegressor, QuantumNeuron, QuantumReservoir
from qml.nn.qrnn import _sequences as qrnn
from qml.nn.qrnn.cell import QRNNCell
from tests.qrnn_layers import DOUBLE, LAYERS, MIXED, ROUNDING, first, numbers, word_network, words


@pytest.fixture(params=LAYERS)
def layer_and_inputs(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    make, shape = LAYERS[request.param]
    return make(DOUBLE), numbers(*shape)


@pytest.fixture(params=["maps", "neurons"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to run a sequence, whatever the cost model would choose."""
    monkeypatch.setattr(qrnn, "maps_pay", lambda **_: request.param == "maps")
    return request.param


# --- the meta device --------------------------------------------------------------------------------------------------


def meta_layers() -> dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]]:
    asked = words(3, 2)
    layers: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]] = {
        "words": (word_network, lambda net: net(asked, targets=asked)[0]),
        "cell": (lambda: QRNNCell(2, 2), lambda cell: cell(asked[0], targets=asked[0])[0]),
        "trajectories": (
            lambda: QuantumReservoir(PersistentRing(3, 1), trajectories=5, noise=channels.bit_flip(0.1)),
            lambda found: copy.deepcopy(found)(numbers(2, 3, 1))[0],
        ),
        "onion echo": (lambda: OnionESN(1, (4, 5), (0.1, 0.5, 0.9)), lambda found: found(numbers(2, 3, 1))[0]),
    }
    for name, (make, shape) in LAYERS.items():
        layers[name] = (lambda make=make: make(DOUBLE), lambda layer, shape=shape: first(layer(numbers(*shape))))
    return layers


@pytest.mark.parametrize("how", ["to_empty", "assign"])
@pytest.mark.parametrize("name", list(meta_layers()))
def test_a_layer_of_the_meta_device_is_the_one_whose_state_it_loads(name: str, how: str) -> None:
    make, run = meta_layers()[name]
    layer = make()
    with torch.device("meta"):
        other = make() if name != "words" else QRNN(2, 2, dtype=DOUBLE)
    if how == "to_empty":
        other = other.to_empty(device="cpu")
        with torch.no_grad():
            for values in (*other.parameters(), *other.buffers()):
                values.fill_(3)  # as memory may hold anything
    other.load_state_dict(layer.state_dict(), assign=how == "assign")
    torch.testing.assert_close(run(other), run(layer), atol=0, rtol=0)


def test_no_layer_has_values_in_buffers_that_are_in_no_state() -> None:
    for make, _ in meta_layers().values():
        layer = make()
        saved = set(layer.state_dict())
        assert not [name for name, buffer in layer.named_buffers() if name not in saved and buffer.numel()]


def test_states_have_the_entries_that_they_always_had() -> None:
    assert set(QRNN(1, 2).state_dict()) == {"cell.weights", "cell.bias", "cell.rotations"}
    assert set(QuantumNeuron(2).state_dict()) == {"weights", "bias"}
    assert set(QRNNRegressor(1, 2).state_dict()) == {
        *(f"qrnn.cell.{name}" for name in ("weights", "bias", "rotations")),
        "readout.weight",
        "readout.bias",
    }
    assert not OnionReservoir(MIXED).state_dict()


@pytest.mark.parametrize("name", ["neuron", "feedback", "persistent", "noisy", "onion", "regressor", "echo"])
def test_copies_and_conversions_keep_their_numbers(name: str) -> None:
    make, shape = LAYERS[name]
    layer, inputs = make(DOUBLE), numbers(*shape)
    expected = first(layer(inputs))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.to("cpu"), layer.float().double()):
        torch.testing.assert_close(first(twin(inputs)), expected, atol=1e-5, rtol=0)  # by way of float32
    single = first(layer.float()(inputs.float()))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, atol=1e-5, rtol=0)


def test_a_reservoir_converted_to_double_has_tables_of_that_precision() -> None:
    inputs = numbers(2, 4, 1)
    for ring in (FeedbackRing(3, 0.7, -0.6), PersistentRing(3, 2, seed=1)):
        converted = QuantumReservoir(ring, dtype=torch.float32).double()
        torch.testing.assert_close(converted(inputs)[0], QuantumReservoir(ring)(inputs)[0], atol=ROUNDING, rtol=0)


def test_scales_of_trajectories_are_those_of_the_ring_to_the_last_digit() -> None:
    ring = PersistentRing(2, 2, input_scale=0.1)  # which float32 does not hold
    inputs = numbers(1, 1, 1)
    exact = QuantumReservoir(ring)(inputs)[0]  # the first step draws nothing before it is read
    torch.testing.assert_close(QuantumReservoir(ring, trajectories=1)(inputs)[0], exact, atol=ROUNDING, rtol=0)


def test_tables_that_are_first_made_under_autocast_are_exact() -> None:
    ring, inputs = PersistentRing(3, 2, seed=1), numbers(1, 3, 1)
    expected = QuantumReservoir(ring)(inputs)[0]
    late = QuantumReservoir(ring).float()  # whose tables are made at the next call
    with torch.autocast("cpu", dtype=torch.bfloat16):
        late(inputs.float())
    torch.testing.assert_close(late(inputs)[0].double(), expected, atol=1e-6, rtol=0)  # float32


def test_layers_without_values_say_so() -> None:
    with torch.device("meta"):
        net, regressor, network = QRNN(1, 2), QRNNRegressor(1, 2), EchoStateNetwork(1, 5)
    with pytest.raises(ValueError, match="must have values to be run"):
        net(words(3, 1, n_words=2))
    with pytest.raises(ValueError, match="must have values to be run"):
        regressor(torch.rand(3, 1))
    with pytest.raises(ValueError, match="`inputs` must be on meta"):
        network(torch.rand(3, 1))
    with pytest.raises(ValueError, match="Buffer `input_weight` must be finite"):
        network.to_empty(device="cpu")(torch.rand(3, 1))
    reservoir = QuantumReservoir(FeedbackRing(2)).to("meta")
    with pytest.raises(ValueError, match="must have values to be run"):
        reservoir(torch.rand(3, 1))
    assert QuantumNeuron(2, device="meta")(torch.zeros(3, 8, device="meta")).shape == (3, 8)


# --- derivatives of every kind ----------------------------------------------------------------------------------------


def difference(function: Callable[[Tensor], Tensor], at: Tensor, along: Tensor) -> Tensor:
    """The derivative of `function` along a direction, by central differences."""
    with torch.no_grad():
        return (function(at + 1e-6 * along) - function(at - 1e-6 * along)) / 2e-6


def test_tangents_and_many_gradients_at_once(layer_and_inputs: tuple[nn.Module, Tensor]) -> None:
    layer, inputs = layer_and_inputs
    along = numbers(*inputs.shape, seed=1) - 0.5

    def run(values: Tensor) -> Tensor:
        return first(layer(values))

    expected = difference(run, inputs, along)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(run(forward_ad.make_dual(inputs, along))).tangent
    torch.testing.assert_close(tangent, expected, atol=1e-7, rtol=0)  # differences of that step
    torch.testing.assert_close(torch.func.jvp(run, (inputs,), (along,))[1], expected, atol=1e-7, rtol=0)
    leaf = inputs.clone().requires_grad_()
    found = run(leaf).flatten()
    units = torch.eye(len(found), dtype=DOUBLE)
    rows = torch.autograd.grad(found, leaf, units, is_grads_batched=True)[0]
    torch.testing.assert_close(rows.flatten(1) @ along.flatten(), expected.flatten(), atol=1e-7, rtol=0)
    together = torch.func.vmap(run)(torch.stack([inputs, 0.5 * inputs]))
    torch.testing.assert_close(together[1], run(0.5 * inputs), atol=ROUNDING, rtol=0)
    torch.testing.assert_close(first(layer(inputs)), found.detach().view_as(together[0]), atol=ROUNDING, rtol=0)


def test_vectorised_second_derivatives(layer_and_inputs: tuple[nn.Module, Tensor]) -> None:
    layer, inputs = layer_and_inputs
    along = numbers(*inputs.shape, seed=1) - 0.5

    def loss(values: Tensor) -> Tensor:
        return first(layer(values)).pow(2).sum()

    def slope(values: Tensor) -> Tensor:
        with torch.enable_grad():
            return torch.autograd.functional.jacobian(loss, values)

    hessian = torch.autograd.functional.hessian(loss, inputs, vectorize=True)
    times = hessian.flatten(inputs.ndim).flatten(0, inputs.ndim - 1) @ along.flatten()
    torch.testing.assert_close(times, difference(slope, inputs, along).flatten(), atol=1e-6, rtol=0)


def word_loss_of(net: QRNN) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor]:
    """A loss in the neurons' weights and the first state, and both."""
    read, wanted = words(4, 3), words(4, 3, seed=1)
    rest = {name: value.detach() for name, value in net.named_parameters()}

    def loss(weights: Tensor, start: Tensor) -> Tensor:
        states = start / start.norm(dim=1, keepdim=True)
        probabilities, last = functional_call(
            net, rest | {"cell.weights": weights}, (read, states), {"targets": wanted}
        )
        return probabilities.pow(2).sum() + last.pow(3).sum()

    return loss, rest["cell.weights"], numbers(3, 4, seed=2)


@pytest.mark.parametrize("recompute", [False, True])
def test_every_derivative_of_a_network_of_words(path: str, *, recompute: bool) -> None:
    """Recomputed stretches share their maps; a first derivative of which another is taken must not count them twice."""
    loss, weights, start = word_loss_of(word_network(recompute=recompute))
    for place, leaf in enumerate((weights, start)):
        along = numbers(*leaf.shape, seed=3) - 0.5

        def run(values: Tensor, place: int = place) -> Tensor:
            return loss(values, start) if place == 0 else loss(weights, values)

        def slope(values: Tensor, run: Callable[[Tensor], Tensor] = run) -> Tensor:
            with torch.enable_grad():
                own = values.detach().requires_grad_()
                return torch.autograd.grad(run(own), own)[0]

        expected = difference(run, leaf, along)
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(run(forward_ad.make_dual(leaf, along))).tangent
        torch.testing.assert_close(tangent, expected, atol=1e-6, rtol=0)
        own = leaf.clone().requires_grad_()
        (graph,) = torch.autograd.grad(run(own), own, create_graph=True)
        torch.testing.assert_close((graph.detach() * along).sum(), expected, atol=1e-6, rtol=0)
        hessian = torch.autograd.functional.hessian(run, leaf, vectorize=True)
        times = hessian.flatten(leaf.ndim).flatten(0, leaf.ndim - 1) @ along.flatten()
        torch.testing.assert_close(times, difference(slope, leaf, along).flatten(), atol=1e-5, rtol=0)


def test_a_batch_of_single_gradients_is_pulled_back_at_once(path: str) -> None:
    net, read = word_network(), words(3, 2)
    weights, found = net.cell.weights, net(read, targets=read)[0].flatten()
    units = torch.eye(len(found), dtype=DOUBLE)
    (together,) = torch.autograd.grad(found, weights, units, is_grads_batched=True, retain_graph=True)
    by_vmap = torch.func.vmap(lambda unit: torch.autograd.grad(found, weights, unit, retain_graph=True)[0])(units)
    singly = torch.stack([torch.autograd.grad(found, weights, unit, retain_graph=True)[0] for unit in units])
    torch.testing.assert_close(together, singly, atol=ROUNDING, rtol=0)
    torch.testing.assert_close(by_vmap, singly, atol=ROUNDING, rtol=0)


# --- operations in place ----------------------------------------------------------------------------------------------


def test_operations_in_place_behind_and_before_a_layer(layer_and_inputs: tuple[nn.Module, Tensor]) -> None:
    layer, inputs = layer_and_inputs
    leaf = inputs.clone().requires_grad_()
    (expected,) = torch.autograd.grad(first(layer(leaf)).relu().sum(), leaf)
    (found,) = torch.autograd.grad(torch.relu_(first(layer(leaf))).sum(), leaf)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    changed = leaf * 1.0
    total = first(layer(changed)).relu().sum()
    changed.mul_(0.3)
    assert_same_or_refused(total, leaf, expected)
    answer = layer(leaf)
    if isinstance(answer, tuple) and answer[1] is not None:
        before = answer[0].clone()
        answer[1].mul_(0.0)
        torch.testing.assert_close(answer[0], before, atol=0, rtol=0)


def assert_same_or_refused(total: Tensor, leaf: Tensor, expected: Tensor) -> None:
    """The right gradient, or torch's own error that something was changed."""
    try:
        (found,) = torch.autograd.grad(total, leaf)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017 - either is right
    else:
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("changed", ["words", "targets", "state"])
def test_words_that_are_changed_before_the_backward_pass(changed: str, path: str, *, recompute: bool) -> None:
    net = word_network(recompute=recompute)
    given = {"words": words(4, 3), "targets": words(4, 3, seed=1), "state": torch.eye(3, 4, dtype=DOUBLE)}

    def loss(parts: dict[str, Tensor]) -> Tensor:
        return net(parts["words"], parts["state"], targets=parts["targets"])[0].pow(2).sum()

    (expected,) = torch.autograd.grad(loss(given), net.cell.weights)
    own = {name: part.clone() for name, part in given.items()}
    total = loss(own)
    own[changed].zero_()
    assert_same_or_refused(total, net.cell.weights, expected)


# --- threads ----------------------------------------------------------------------------------------------------------


def thread_jobs() -> list[tuple[nn.Module, Callable[[], list[Tensor]]]]:
    """Layers, each with calls that give values and gradients."""
    jobs: list[tuple[nn.Module, Callable[[], list[Tensor]]]] = []
    for name in ("neuron", "regressor", "feedback", "persistent", "echo"):
        make, shape = LAYERS[name]
        layer = make(DOUBLE)
        for inputs in (numbers(*shape, seed=seed) for seed in range(4)):

            def run(layer: nn.Module = layer, inputs: Tensor = inputs) -> list[Tensor]:
                leaf = inputs.clone().requires_grad_()
                found = first(layer(leaf))
                return [found.detach(), *torch.autograd.grad(found.sin().sum(), [leaf, *layer.parameters()])]

            jobs.append((layer, run))
    for recompute in (False, True):
        net = word_network(recompute=recompute)
        for read in (words(5, 3, seed=seed) for seed in range(4)):

            def words_run(net: QRNN = net, read: Tensor = read) -> list[Tensor]:
                found = net(read, targets=read)[0]
                return [found.detach(), *torch.autograd.grad(found.sin().sum(), list(net.parameters()))]

            jobs.append((net, words_run))
    return jobs


def test_threads_share_layers_and_have_the_numbers_of_one() -> None:
    """Tables are forgotten before every call, so that all threads make them and take them from each other."""
    jobs = thread_jobs()
    expected = [run() for _, run in jobs]

    def forgetful(number: int) -> list[Tensor]:
        layer, run = jobs[number]
        for part in layer.modules():
            part.__dict__.pop("_kept", None)
        return run()

    order = list(range(len(jobs))) * 4
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(forgetful, order))
    finally:
        sys.setswitchinterval(interval)
    for number, found in zip(order, answers, strict=True):
        for ours, theirs in zip(found, expected[number], strict=True):
            torch.testing.assert_close(ours, theirs, atol=ROUNDING, rtol=0)


def test_tables_of_a_transform_or_an_inference_are_not_kept() -> None:
    layer, inputs = QuantumNeuron(2, dtype=torch.float32).double(), numbers(3, 8)  # tables of float32 alone
    torch.func.grad(lambda values: layer(values).pow(3).sum())(inputs)
    assert layer(inputs).dtype == DOUBLE
    with torch.inference_mode():
        made = QuantumReservoir(FeedbackRing(3)), OnionReservoir(MIXED)
    for reservoir in made:
        series = numbers(1, 3, 1).requires_grad_()
        reservoir(series)[0].sum().backward()
        assert series.grad is not None


def test_default_devices_reach_every_part() -> None:
    with torch.device("meta"):
        layer = QRNNRegressor(1, 2)
    assert all(parameter.is_meta for parameter in layer.parameters())
