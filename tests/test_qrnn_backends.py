"""Quantum neurons and recurrent networks on every backend: the same numbers, or a refusal that names a way out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from circuits import Circuit
from qml.backends import Aer, Backend, Native, PennyLane
from qml.nn import (
    QRNN,
    FeedbackRing,
    OnionReservoir,
    QRNNCell,
    QRNNClassifier,
    QRNNRegressor,
    QuantumNeuron,
    load_layer,
    save_layer,
)

from .qrnn_layers import DOUBLE, seeded, words

SAME = 1e-10  # float64, through square roots of probabilities
CIRCUITS = Native(representation="state")  # runs circuits, since an option would be ignored otherwise
BACKENDS: dict[str, Backend | str] = {
    "circuits": CIRCUITS,
    "adjoint": Native(method="adjoint"),
    "pennylane": PennyLane("default.qubit"),
    "aer": "aer",
}
SMALL: dict[str, Any] = {"n_stages": 0, "order": 1, "degree": 1, "dtype": DOUBLE}


@dataclass(frozen=True)
class Counting(Native):
    """Counts its calls."""

    calls: list[int] | None = None

    def probabilities(
        self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int] | None = None
    ) -> Tensor:
        assert self.calls is not None
        self.calls.append(circuit.n_data)
        return super().probabilities(circuit, data, weights, qubits)


@dataclass(frozen=True)
class Shifted(Native):
    """Measures something else."""

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Any) -> Tensor:
        return super().expectation(circuit, data, weights, observables) / 2


@dataclass(frozen=True)
class Renamed(Native):
    """Computes as its parent does."""


def spread(layer: nn.Module) -> Any:
    """The layer with angles that matter."""
    for parameter in layer.parameters():
        parameter.data.normal_(0.0, 0.7, generator=seeded(parameter.numel()))
    return layer


def network(**options: Any) -> QRNN:
    return spread(QRNN(1, 2, **SMALL | options))


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, atol=SAME, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", [{}, {"order": 2, "degree": 1}, {"amplification": 1}, {"bias": False}])
def test_a_neuron_gives_the_same_states_everywhere(backend: str, options: dict[str, Any]) -> None:
    neuron = spread(QuantumNeuron(2, dtype=DOUBLE, **options))
    states = torch.randn(3, 2, 8, dtype=DOUBLE, generator=seeded())  # of both signs
    with torch.no_grad():
        expected = neuron(states)
        same(neuron.to_backend(BACKENDS[backend])(states), expected)


def test_a_neuron_on_a_backend_has_the_same_gradients_also_at_angles_where_it_never_turns() -> None:
    neuron = spread(QuantumNeuron(2, dtype=DOUBLE))
    states = torch.randn(3, 8, dtype=DOUBLE, generator=seeded()).requires_grad_()
    for angle in (None, -torch.pi / 2):  # S is 0 at the second
        if angle is not None:
            neuron.weights.data.zero_()
            neuron.get_parameter("bias").data.fill_(angle)
        gradients = []
        for place in ("native", CIRCUITS):
            loss = neuron.to_backend(place)(states).pow(3).sum()
            gradients.append(torch.autograd.grad(loss, [states, *neuron.parameters()]))
        same(gradients[1], gradients[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cell_goes_on_from_step_to_step_everywhere(backend: str) -> None:
    cell = spread(QRNNCell(1, 1, **SMALL))
    for parameter in cell.parameters():
        parameter.requires_grad_(False)
    read, outcomes = words(3, 2, n_words=2), words(3, 2, n_words=2, seed=1)
    answers = []
    for place in ("native", BACKENDS[backend]):
        cell.to_backend(place)
        state, probabilities = None, []
        for step in range(3):
            found = cell(read[step], state, targets=outcomes[step])
            state = found.state
            assert torch.equal(found.words, outcomes[step])
            probabilities.append(found.probabilities)
        answers.append(torch.stack(probabilities))
    same(answers[1], answers[0])
    assert state is not None
    assert state.shape == (2, 3, 2, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_gives_the_same_probabilities_everywhere(backend: str) -> None:
    net, read, outcomes = network(), words(2, 2, n_words=2), words(2, 2, n_words=2, seed=1)
    with torch.no_grad():
        expected = net(read, targets=outcomes)[0]
        probabilities, state = net.to_backend(BACKENDS[backend])(read, targets=outcomes)
        same(probabilities, expected)
        first, carried = net(read[:1], targets=outcomes[:1])
        second, last = net(read[1:], carried, targets=outcomes[1:])
        same(torch.cat([first, second]), expected)
        assert torch.equal(last, state)
        same(net(read[:, 1], targets=outcomes[:, 1])[0], expected[:, 1])


def test_gradients_of_a_network_on_circuits_are_the_same() -> None:
    net, read, outcomes = network(n_stages=1), words(3, 2, n_words=2), words(3, 2, n_words=2, seed=1)
    gradients = []
    for place in ("native", CIRCUITS):
        loss = net.to_backend(place)(read, targets=outcomes)[0].log().sum()
        gradients.append(torch.autograd.grad(loss, list(net.parameters())))
    same(gradients[1], gradients[0])


def test_packed_sequences_run_as_circuits_and_do_not_go_on_at_different_lengths() -> None:
    net = network()
    read, outcomes = (pack_sequence([words(n, n_words=2, seed=s + n) for n in (1, 3, 2)], False) for s in (0, 9))
    expected, _ = net(read, targets=outcomes)
    probabilities, state = net.to_backend(CIRCUITS)(read, targets=outcomes)
    assert isinstance(probabilities, PackedSequence)
    same(probabilities.data, expected.data)
    assert [int(row.isfinite()[:, 0, 0].sum()) for row in state] == [1, 3, 2]
    with pytest.raises(ValueError, match="NaN, which fills up the shorter ones"):
        net(words(2, 3, n_words=2), state)


def test_drawn_words_are_the_same_from_the_same_generator() -> None:
    net, read = network(), words(4, 3, n_words=2)
    drawn, prompted, greedy = [], [], []
    for place in ("native", CIRCUITS):
        net.to_backend(place)
        drawn.append(net.sample(read, generator=seeded(3)))
        prompted.append(net.generate(read[:2], 3, generator=seeded(4)))
        greedy.append(net.generate(read[:2], 3, greedy=True))
    assert torch.equal(drawn[1].words, drawn[0].words)
    same(drawn[1].probabilities, drawn[0].probabilities)
    assert torch.equal(prompted[1], prompted[0])
    assert torch.equal(greedy[1], greedy[0])


@pytest.mark.parametrize("encoding", ["angle", "bits", "serial"])
@pytest.mark.parametrize("kind", [QRNNRegressor, QRNNClassifier])
def test_series_of_numbers_go_on_as_circuits(kind: type[QRNNRegressor], encoding: str) -> None:
    options: dict[str, Any] = {"encoding": encoding, "n_bits": 2 if encoding == "serial" else 1, "dtype": DOUBLE}
    layer = kind(1, 1, 2, n_stages=0, degree=1, **options, generator=seeded())
    inputs = torch.rand(3, 2, 1, dtype=DOUBLE, generator=seeded())
    expected = layer(inputs)[0]
    calls: list[int] = []
    layer.to_backend(Counting(calls=calls))
    outputs, state = layer(inputs)
    assert len(calls) == (3 if kind is QRNNRegressor else 1)
    same(outputs, expected)
    same(layer(inputs[2:], layer(inputs[:2])[1])[0][-1], expected[-1])
    same(layer(inputs[:, 0])[0], expected[0] if kind is QRNNClassifier else expected[:, 0])
    assert layer(inputs[:, 0])[1].shape == state.shape[1:]


def test_a_subclass_that_computes_something_else_is_asked_and_one_that_does_not_is_not_in_the_way() -> None:
    calls: list[int] = []
    net, read = network(), words(2, 2, n_words=2)
    expected = net(read, targets=read)[0]
    same(net.to_backend(Counting(calls=calls))(read, targets=read)[0], expected)
    assert calls == [1, 3]  # slots of the circuits of one and of two steps
    neuron = QuantumNeuron(2, backend=Counting(calls=calls), dtype=DOUBLE)
    neuron(torch.eye(8, dtype=DOUBLE))
    assert len(calls) == 3
    assert net.to_backend(Renamed()).cell.closed_form
    assert torch.equal(net(read, targets=read)[0], expected)
    rings, inputs = [FeedbackRing(2, 0.5, -0.4)], torch.rand(1, 2, 1, dtype=DOUBLE, generator=seeded())
    asked, plain = (OnionReservoir(rings, backend=backend)(inputs)[0] for backend in (Shifted(), Renamed()))
    assert torch.equal(plain, OnionReservoir(rings)(inputs)[0])
    assert not torch.allclose(asked, plain)


def test_what_circuits_cannot_do_is_refused_with_a_way_out() -> None:
    read = words(2, 2, n_words=2)
    net = network(backend=CIRCUITS)
    for name in ("success_probability", "trace"):
        with pytest.raises(ValueError, match=rf"`{name}` needs .* Call to_backend\('native'\) first"):
            getattr(net, name)(read, targets=read)
    with pytest.raises(ValueError, match=r"`state` must be the angles .* Call to_backend\('native'\)"):
        net(read, torch.eye(4, dtype=DOUBLE)[:2])
    with pytest.raises(ValueError, match="must be one vector"):
        net(read[:, 0], torch.zeros(1, 2, 2, 1, dtype=DOUBLE))
    with pytest.raises(ValueError, match="adjoint"):
        net.to_backend(Native(method="adjoint"))(read, targets=read)[0].sum().backward()
    for layer in (QuantumNeuron(2), QRNNCell(1, 1, degree=1), net):
        with pytest.raises(ValueError, match=r"must be one of native, .* but is 'nowhere'"):
            layer.to_backend("nowhere")


def test_a_backend_that_cannot_post_select_is_refused() -> None:
    class Plain(Native):
        @property
        def capabilities(self) -> Any:
            from dataclasses import replace

            return replace(Native(method="adjoint").capabilities, mid_circuit=False)

    for layer in (QuantumNeuron(2), QRNNCell(1, 1, degree=1), network()):
        with pytest.raises(ValueError, match=r"must post-select .* Use 'native', 'pennylane' or 'aer'"):
            layer.to_backend(Plain())


def test_impossible_outcomes_are_refused_at_their_step() -> None:
    net = network(backend=CIRCUITS)
    for parameter in net.parameters():
        parameter.data.zero_()
    net.cell.get_parameter("bias").data.fill_(-torch.pi / 2)  # nothing ever turns
    with pytest.raises(ValueError, match="at step 1 of sequence 0 word 1 has probability 0"):
        net(torch.zeros(2, 1, dtype=torch.long), targets=torch.tensor([[0], [1]]))
    net.to_backend(Aer(shots=20, generator=seeded()))  # where a word that was not seen may be possible
    assert net(torch.zeros(1, 1, dtype=torch.long), targets=torch.tensor([[1]]))[0].tolist() == [[[1.0, 0.0]]]


def test_saved_layers_come_back_on_another_backend(tmp_path: Path) -> None:
    read = words(2, 2, n_words=2)
    layers: list[tuple[nn.Module, Any]] = [
        (spread(QuantumNeuron(2, dtype=DOUBLE)), lambda layer: layer(torch.eye(8, dtype=DOUBLE))),
        (spread(QRNNCell(1, 2, **SMALL)), lambda layer: layer(read[0], targets=read[1]).probabilities),
        (network(), lambda layer: layer(read, targets=read)[0]),
    ]
    for number, (layer, run) in enumerate(layers):
        path = tmp_path / f"{number}.safetensors"
        save_layer(layer, path)
        again: Any = load_layer(path, backend=CIRCUITS)
        assert again.backend is CIRCUITS
        same(run(again), run(layer))
