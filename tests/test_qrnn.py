"""The recurrent quantum network: equal to a plain simulation of the published model, and a good torch module."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from qml.bench.peers.recurrent import PlainRecurrent
from qml.nn import QRNN, QuantumNeuron, floored_likelihood_loss, word_loss
from qml.nn.qrnn import _sequences as qrnn
from qml.nn.qrnn._words import as_bits
from qml.nn.qrnn.neuron import subsets

FLOAT64 = 1e-11  # float64 algebra; a few hundred products of numbers of order one
CASES = [  # W, I, stages, order, degree: odd sizes, one qubit, no stage, high order
    (3, 1, 1, 1, 2),
    (3, 2, 2, 2, 3),
    (4, 2, 1, 2, 2),
    (1, 1, 0, 1, 1),
    (1, 2, 1, 1, 2),
    (2, 3, 1, 3, 2),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(case: tuple[int, ...], **options: object) -> QRNN:
    """With angles far from the initial ones, so that every term counts."""
    hidden_size, n_bits, n_stages, order, degree = case
    net = QRNN(n_bits, hidden_size, n_stages=n_stages, order=order, degree=degree, dtype=torch.float64, **options)
    for parameter in net.parameters():
        parameter.data.normal_(0.0, 0.5, generator=seeded(parameter.numel()))
    return net


def words_for(case: tuple[int, ...], n_steps: int, batch: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    drawn = torch.randint(0, 2 ** case[1], (2, n_steps, batch), generator=seeded(seed))
    return drawn[0], drawn[1]


def plain_answer(net: QRNN, case: tuple[int, ...], inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (time, batch, words) and workspace states of the gate-by-gate simulation."""
    hidden_size, n_bits, *rest = case
    reference = PlainRecurrent(n_bits, hidden_size, *rest)
    cell = net.cell
    bits = (as_bits(words.T, n_bits) for words in (inputs, targets))
    probabilities, register = reference.probabilities(cell.bias, cell.weights, cell.rotations, *bits)
    in_and_out = register.unflatten(1, (2**hidden_size, 2**n_bits))
    assert not in_and_out[..., 1:].any()  # the in/out qubits are back in |0>
    return probabilities.transpose(0, 1), in_and_out[..., 0]


@pytest.fixture(params=["maps", "neurons"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to run a sequence, whatever the cost model would choose."""
    monkeypatch.setattr(qrnn, "maps_pay", lambda **_: request.param == "maps")
    return request.param


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_layer_equals_the_plain_simulation_with_its_gradients(
    case: tuple[int, ...], path: str, *, recompute: bool
) -> None:
    net = network(case, recompute=recompute)
    inputs, targets = words_for(case, 5, 3)
    factors = torch.randn(5, 3, 2 ** case[1], dtype=torch.float64, generator=seeded(2))
    chosen = [parameter for parameter in net.parameters() if parameter.numel()]
    answers = []
    for probabilities, state in (net(inputs, targets=targets), plain_answer(net, case, inputs, targets)):
        loss = (probabilities * factors).sum() + state.pow(3).sum()
        answers.append((probabilities, state, *torch.autograd.grad(loss, chosen)))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs, atol=FLOAT64, rtol=1e-10)


@pytest.mark.parametrize("grouped", [False, True])
def test_grouping_samples_by_word_changes_nothing(monkeypatch: pytest.MonkeyPatch, *, grouped: bool) -> None:
    monkeypatch.setattr(qrnn, "maps_pay", lambda **_: True)
    monkeypatch.setattr("qml.nn.qrnn._scan.groups_pay", lambda **_: grouped)
    case = (3, 2, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 4, 5)
    torch.testing.assert_close(
        net(inputs, targets=targets)[0], plain_answer(net, case, inputs, targets)[0], atol=FLOAT64, rtol=0
    )


def test_the_cell_step_by_step_is_the_layer() -> None:
    case = (3, 2, 1, 2, 3)
    net, (inputs, targets) = network(case), words_for(case, 4, 3)
    probabilities, last = net(inputs, targets=targets)
    state = None
    for step in range(4):
        found, words, state = net.cell(inputs[step], state, targets=targets[step])
        assert torch.equal(words, targets[step])
        torch.testing.assert_close(found, probabilities[step], atol=FLOAT64, rtol=0)
    torch.testing.assert_close(state, last, atol=FLOAT64, rtol=0)


def test_parameter_counts_are_the_published_ones() -> None:
    def count(net: QRNN) -> int:
        return sum(parameter.numel() for parameter in net.parameters())

    assert count(QRNN(2, 8, n_stages=2, degree=2)) == 1212
    assert count(QRNN(3, 5, n_stages=1, degree=3)) == 837


def test_subsets_come_by_size_and_then_lexicographically() -> None:
    assert subsets(3, 2) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_a_neuron_rotates_by_its_polynomial(order: int, rounds: int) -> None:
    neuron = QuantumNeuron(2, order=order, degree=2, amplification=rounds, dtype=torch.float64)
    with torch.no_grad():
        neuron.bias.fill_(0.3)
        neuron.weights.copy_(torch.tensor([0.5, -0.7, 1.1], dtype=torch.float64))
    for word, terms in enumerate([0.0, -0.7, 0.5, 0.5 - 0.7 + 1.1]):
        eta = math.pi / 2 + 0.3 + terms
        state = torch.zeros(8, dtype=torch.float64)
        state[2 * word] = 1.0
        # the direction does not depend on amplification, which changes both amplitudes alike
        expected = math.atan2(math.sin(eta / 2) ** 2**order, math.cos(eta / 2) ** 2**order)
        turned = neuron(state)
        assert turned[2 * word : 2 * word + 2].tolist() == pytest.approx(
            [math.cos(expected), math.sin(expected)], abs=1e-12
        )
    success = sum(part**2 for part in neuron.amplitudes())
    assert bool((success <= 1.0 + 1e-12).all())
    bound = 2.0 ** (1 - 2**order)  # of C^2 + S^2 without amplification
    for _ in range(rounds):
        bound *= (3 - bound) ** 2 / 4
    assert success.min() >= bound - 1e-12


def test_bits_and_words_batch_first_and_single_sequences_agree() -> None:
    case = (2, 2, 1, 1, 2)
    net, first = network(case), network(case, batch_first=True)
    inputs, targets = words_for(case, 4, 3)
    expected, state = net(inputs, targets=targets)
    for kind in (torch.bool, torch.float32):
        bits = [as_bits(words, 2).to(kind) for words in (inputs, targets)]
        torch.testing.assert_close(net(bits[0], targets=bits[1])[0], expected, atol=0, rtol=0)
    swapped, same = first(inputs.T, targets=targets.T)
    torch.testing.assert_close(swapped.transpose(0, 1), expected, atol=FLOAT64, rtol=0)
    torch.testing.assert_close(same, state, atol=FLOAT64, rtol=0)
    alone, own = first(inputs[:, 1], targets=targets[:, 1])
    torch.testing.assert_close(alone, expected[:, 1], atol=FLOAT64, rtol=0)
    torch.testing.assert_close(own, state[1], atol=FLOAT64, rtol=0)


def test_a_state_carries_a_sequence_on() -> None:
    case = (3, 1, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 6, 2)
    whole, last = net(inputs, targets=targets)
    first, middle = net(inputs[:2], targets=targets[:2])
    second, end = net(inputs[2:], middle, targets=targets[2:])
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=FLOAT64, rtol=0)
    torch.testing.assert_close(end, last, atol=FLOAT64, rtol=0)


@pytest.mark.parametrize("recompute", [False, True])
def test_packed_sequences_are_the_single_ones_with_their_gradients(path: str, *, recompute: bool) -> None:
    case, lengths = (2, 2, 1, 2, 2), [2, 5, 4]
    net, (inputs, targets) = network(case, recompute=recompute), words_for(case, 5, 3)
    packed = [pack_padded_sequence(words, torch.tensor(lengths), enforce_sorted=False) for words in (inputs, targets)]
    probabilities, state = net(packed[0], targets=packed[1])
    total, single_states = 0.0, []
    for row, length in enumerate(lengths):
        single, own = net(inputs[:length, row], targets=targets[:length, row])
        total, _ = total + single.pow(2).sum() + own.pow(3).sum(), single_states.append(own)
    torch.testing.assert_close(state, torch.stack(single_states), atol=FLOAT64, rtol=0)
    together = probabilities.data.pow(2).sum() + state.pow(3).sum()
    torch.testing.assert_close(together, total, atol=FLOAT64, rtol=0)
    chosen = list(net.parameters())
    for ours, theirs in zip(torch.autograd.grad(together, chosen), torch.autograd.grad(total, chosen), strict=True):
        torch.testing.assert_close(ours, theirs, atol=FLOAT64, rtol=1e-9)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_are_right_to_second_order(path: str, *, recompute: bool) -> None:
    case = (2, 1, 1, 1, 1)
    net, (inputs, targets) = network(case, recompute=recompute), words_for(case, 2, 2)
    names = [name for name, _ in net.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in net.parameters()]
    start = torch.randn(2, 4, dtype=torch.float64, generator=seeded(3))
    start = (start / start.norm(dim=1, keepdim=True)).requires_grad_()

    def run(state: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(net, dict(zip(names, parameters, strict=True)), (inputs, state), {"targets": targets})

    assert torch.autograd.gradcheck(run, (start, *values))
    if path == "maps" or not recompute:  # the second derivative is that of the plain steps on either path
        assert torch.autograd.gradgradcheck(run, (start, *values), fast_mode=True)


def test_sampled_frequencies_are_the_probabilities() -> None:
    """Binomial counts: 5 standard deviations are passed by chance once in 1.7 million; 4 words, 2 steps."""
    case, shots = (3, 2, 1, 2, 2), 20_000
    net = network(case)
    inputs = torch.tensor([[1], [2]]).expand(2, shots)
    words, probabilities, _ = net.sample(inputs, generator=seeded(4))
    probabilities = probabilities.detach()
    first = probabilities[0, 0]
    for word in range(4):
        chance = float(first[word])
        assert abs(float((words[0] == word).double().mean()) - chance) < 5 * math.sqrt(chance * (1 - chance) / shots)
        rows = torch.nonzero(words[0] == word).flatten()
        if not len(rows):
            continue
        forced, _ = net(inputs[:, :1], targets=torch.tensor([[word], [0]]))
        torch.testing.assert_close(probabilities[1, rows[0]], forced[1, 0], atol=FLOAT64, rtol=0)


def test_known_targets_are_kept_and_unknown_ones_are_drawn() -> None:
    net = network((2, 2, 1, 2, 2))
    inputs, targets = torch.zeros(3, 50, dtype=torch.long), torch.full((3, 50), -1)
    targets[1] = 2
    words = net.sample(inputs, targets=targets, generator=seeded(5)).words
    assert bool((words[1] == 2).all())
    assert len(words[0].unique()) > 1
    assert torch.equal(words, net.sample(inputs, targets=targets, generator=seeded(5)).words)


def test_generated_words_follow_the_prompt_and_repeat_with_their_seed() -> None:
    net = network((3, 2, 1, 2, 2), batch_first=True)
    prompt = torch.tensor([[1, 2, 3], [0, 0, 1]])
    made = net.generate(prompt, 4, generator=seeded(6))
    assert made.shape == (2, 4)
    assert torch.equal(made, net.generate(prompt, 4, generator=seeded(6)))
    assert net.generate(prompt[0], 4).shape == (4,)
    greedy = net.generate(prompt, 2, greedy=True)
    whole = torch.cat([prompt, greedy], 1)
    probabilities, _ = net(whole[:, :-1], targets=whole[:, 1:])
    assert torch.equal(probabilities[:, 2:].argmax(-1), greedy)


def test_success_probability_is_that_of_the_ancillas() -> None:
    case = (2, 1, 1, 1, 2)
    net, (inputs, targets) = network(case), words_for(case, 3, 2)
    success = net.success_probability(inputs, targets=targets)
    states = torch.zeros(2, 4, dtype=torch.float64)
    states[:, 0] = 1.0
    for step in range(3):
        amplitudes = [neuron_amplitudes_of(net, neuron) for neuron in range(len(net.cell.weights))]
        register = torch.zeros(2, 4, 2, dtype=torch.float64)
        register[torch.arange(2), :, inputs[step]] = states
        register = register.view(2, 2, 2, 2)  # sample, workspace qubits, in/out qubit
        for qubit, (c, s) in enumerate(amplitudes[:2]):
            register = turned(register, qubit, c, s)
        for qubit, angle in enumerate(net.cell.rotations[0].tolist()):
            same = torch.ones(2, 2, dtype=torch.float64)
            register = turned(register, qubit, math.cos(angle / 2) * same, math.sin(angle / 2) * same)
        for qubit, (c, s) in enumerate(amplitudes[2:4]):
            register = turned(register, qubit, c, s)
        kept = register[torch.arange(2), :, :, inputs[step]]
        register = torch.zeros_like(register)
        register[..., 0] = kept
        register = turned(register, 2, *amplitudes[4])
        torch.testing.assert_close(success[step], register.pow(2).sum((1, 2, 3)), atol=FLOAT64, rtol=0)
        states = register[torch.arange(2), :, :, targets[step]].flatten(1)
        states = states / states.norm(dim=1, keepdim=True)


def neuron_amplitudes_of(net: QRNN, neuron: int) -> tuple[Tensor, Tensor]:
    """C and S of one neuron of two sources, from its angles."""
    theta, (one, two, both) = net.cell.bias[neuron].item(), net.cell.weights[neuron].tolist()
    eta = torch.tensor([[0.0, two], [one, one + two + both]], dtype=torch.float64) + math.pi / 2 + theta
    return torch.cos(eta / 2) ** 2, torch.sin(eta / 2) ** 2


def turned(register: Tensor, qubit: int, cosine: Tensor, sine: Tensor) -> Tensor:
    zero, one = register.unbind(1 + qubit)
    return torch.stack([cosine * zero - sine * one, cosine * one + sine * zero], 1 + qubit)


def test_copies_and_vectors_of_angles_give_the_same_numbers() -> None:
    case = (2, 2, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 3, 2)
    expected = net(inputs, targets=targets)[0]
    restored, filled = QRNN(2, 2, dtype=torch.float64), QRNN(2, 2, dtype=torch.float64)
    restored.load_state_dict(net.state_dict())
    filled.cell.load_vector(net.cell.vector().detach().numpy())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), restored, filled):
        torch.testing.assert_close(twin(inputs, targets=targets)[0], expected, atol=0, rtol=0)
    theta, rotation = net.cell.vector()[0], net.cell.vector()[-1]
    assert (theta, rotation) == (net.cell.bias[0], net.cell.rotations[0, 1])


def test_without_biases_their_angles_are_zero() -> None:
    case = (2, 1, 1, 2, 2)
    with_bias = network(case)
    with_bias.cell.bias.data.zero_()
    without = QRNN(1, 2, bias=False, dtype=torch.float64)
    without.cell.load_vector(torch.cat([with_bias.cell.weights.flatten(), with_bias.cell.rotations.flatten()]).detach())
    inputs, targets = words_for(case, 3, 2)
    torch.testing.assert_close(without(inputs, targets=targets)[0], with_bias(inputs, targets=targets)[0])
    assert set(without.state_dict()) == {"cell.weights", "cell.rotations"}


def test_gradients_of_single_sequences_by_vmap_add_up_to_the_batch() -> None:
    case = (2, 1, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 3, 4)
    parameters = {name: value.detach() for name, value in net.named_parameters()}

    def loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return word_loss(functional_call(net, p, (x,), {"targets": y})[0], y)

    each = vmap(grad(loss), (None, 1, 1))(parameters, inputs, targets)["cell.weights"]
    word_loss(net(inputs, targets=targets)[0], targets).backward()
    torch.testing.assert_close(each.mean(0), net.cell.weights.grad, atol=FLOAT64, rtol=0)


def test_targets_that_are_not_known_are_drawn_inside_transforms_or_refused() -> None:
    """A target of -1 is no word: it must not be read as the last one."""
    case = (2, 1, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 3, 4)
    targets[1, 2] = -1
    parameters = {name: value.detach() for name, value in net.named_parameters()}

    def probabilities(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return functional_call(net, p, (x,), {"targets": y, "generator": seeded()})[0]

    def loss(p: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        found = probabilities(p, inputs, targets)
        return found.square().sum(), found

    gradient, found = grad(loss, has_aux=True)(parameters)
    expected = net(inputs, targets=targets, generator=seeded())[0]
    torch.testing.assert_close(found, expected, atol=FLOAT64, rtol=0)
    expected.square().sum().backward()
    torch.testing.assert_close(gradient["cell.weights"], net.cell.weights.grad, atol=FLOAT64, rtol=0)
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(probabilities, (0, None, None))({k: v[None] for k, v in parameters.items()}, inputs, targets)
    with pytest.raises(IndexError, match="out of bounds"):
        vmap(probabilities, (None, 1, 1))(parameters, inputs, targets)


def test_words_that_are_none_are_refused_inside_transforms() -> None:
    case = (2, 1, 1, 2, 2)
    net, (inputs, targets) = network(case), words_for(case, 3, 4)
    bad, parameters = inputs.clone(), {name: value.detach() for name, value in net.named_parameters()}
    bad[1, 2] = -1

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, p, (x,), {"targets": targets[:, : x.shape[1]]})[0].sum()

    with pytest.raises(ValueError, match=r"`inputs` must hold words in 0\.\."):
        grad(loss)(parameters, bad)
    half_bits = torch.full((3, 4, 1), 0.5)
    for values in (bad, half_bits):
        with pytest.raises(IndexError, match="out of bounds"):
            vmap(loss, (None, 1))(parameters, values[:, :, None])


def test_a_cell_with_known_outcomes_draws_nothing_inside_vmap() -> None:
    cell = QRNN(1, 2, dtype=torch.float64, generator=seeded()).cell
    words, targets = torch.tensor([0, 1, 1]), torch.tensor([1, 1, 0])
    stacked = {name: torch.stack([p.detach(), p.detach() + 0.1]) for name, p in cell.named_parameters()}
    each = vmap(lambda p: functional_call(cell, p, (words,), {"targets": targets}).probabilities)(stacked)
    torch.testing.assert_close(each[0], cell(words, targets=targets).probabilities.detach(), atol=FLOAT64, rtol=0)


def test_autocast_keeps_amplitudes_in_full_precision() -> None:
    net, (inputs, targets) = QRNN(1, 3, generator=seeded()), words_for((3, 1), 3, 2)
    expected = net(inputs, targets=targets)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(net(inputs, targets=targets)[0], expected, atol=0, rtol=0)


@pytest.mark.parametrize("batch", [0, 1])
def test_empty_and_single_batches_keep_their_shapes(batch: int, path: str) -> None:
    net = QRNN(2, 3)
    words = torch.zeros(4, batch, dtype=torch.long)
    probabilities, state = net(words, targets=words)
    assert probabilities.shape == (4, batch, 4)
    assert state.shape == (batch, 8)
    probabilities.sum().backward()
    assert net.sample(words).words.shape == (4, batch)
    assert net.cell(words[0]).probabilities.shape == (batch, 4)
    assert net.generate(words, 2).shape == (2, batch)


def test_a_thousand_steps_keep_their_norm_and_train() -> None:
    net = QRNN(1, 3, order=3, recompute=True, generator=seeded())
    words = torch.randint(0, 2, (1001, 2), generator=seeded(1))
    probabilities, state = net(words[:-1], targets=words[1:])
    word_loss(probabilities, words[1:]).backward()
    assert bool(net.cell.weights.grad.isfinite().all())
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(1000, 2))
    torch.testing.assert_close(state.norm(dim=1), torch.ones(2))


def kept_bytes(net: QRNN, n_steps: int) -> int:
    """Bytes of all different tensors that a forward pass saves for the backward pass."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    words = torch.zeros(n_steps, 4, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        net(words, targets=words)
    return sum(kept.values())


def test_memory_is_linear_in_time_and_far_less_with_recomputing() -> None:
    net = QRNN(1, 5, generator=seeded())
    short, long = kept_bytes(net, 100), kept_bytes(net, 1000)
    assert long < 10.5 * short
    net.recompute = True
    assert kept_bytes(net, 1000) < long / 5


def test_training_memorises_a_repeated_sentence() -> None:
    net = QRNN(2, 3, batch_first=True, generator=seeded(2))
    words = torch.tensor([[0, 1, 2, 3] * 3])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = word_loss(net(words[:, :-1], targets=words[:, 1:])[0], words[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    assert net.generate(words[:, :4], 4, greedy=True).tolist() == [[0, 1, 2, 3]]


def test_word_loss_is_zero_for_certain_targets_and_skips_unknown_ones() -> None:
    certain = torch.eye(4)
    assert word_loss(certain, torch.arange(4)).item() == pytest.approx(0.0, abs=1e-6)
    assert word_loss(torch.full((1, 4), 0.25), torch.tensor([2])).item() == pytest.approx(
        math.log(4) - math.log(3 + math.e) + 1, abs=1e-6
    )
    assert word_loss(certain, torch.tensor([0, -1, -1, 3])).item() == pytest.approx(0.0, abs=1e-6)


def test_a_likelihood_with_a_floor_is_zero_for_certain_targets_and_its_slope_bounded() -> None:
    certain = torch.eye(4, dtype=torch.float64)
    assert floored_likelihood_loss(certain, torch.tensor([0, 1, -1, 3])).item() == pytest.approx(0.0, abs=1e-12)
    probabilities = torch.tensor([[0.0, 0.25, 0.75]], dtype=torch.float64, requires_grad=True)
    loss = floored_likelihood_loss(probabilities, torch.tensor([0]), floor=0.1)
    assert loss.item() == pytest.approx(math.log(11.0), abs=1e-12)
    (slope,) = torch.autograd.grad(loss, probabilities)
    assert slope.tolist() == [[pytest.approx(-10.0), 0.0, 0.0]]
    even = floored_likelihood_loss(torch.full((1, 4), 0.25, dtype=torch.float64), torch.tensor([1]))
    assert even.item() == pytest.approx(math.log(1.15 / 0.4), abs=1e-12)  # the floor is 0.15 if not given
    with pytest.raises(ValueError, match="`floor` must be above 0"):
        floored_likelihood_loss(certain, torch.arange(4), floor=0.0)
    with pytest.raises(ValueError, match="`targets` must be words below 4"):
        floored_likelihood_loss(certain, torch.tensor([0, 1, 2, 4]))


def impossible_network() -> QRNN:
    """One output neuron at eta = 0 whatever the workspace holds: S = 0, so the word 1 is never measured."""
    net = QRNN(1, 1, n_stages=0, degree=1)
    net.cell.load_vector([0.0, 0.0, -math.pi / 2, 0.0])
    return net


@pytest.mark.parametrize("n_steps", [1, 3])
def test_an_impossible_target_is_refused_and_never_nan(n_steps: int, path: str) -> None:
    words = torch.zeros(3, 2, dtype=torch.long)
    targets = words.clone()
    targets[n_steps - 1, 1] = 1
    message = f"`targets` must hold words that can be measured, but at step {n_steps - 1} of sequence 1 word 1 has"
    with pytest.raises(ValueError, match=message):
        impossible_network()(words, targets=targets)
    with pytest.raises(ValueError, match="at step 0 of sequence 1 word 1 has probability"):
        impossible_network().cell(words[0], targets=torch.tensor([0, 1]))


def test_bad_arguments_are_refused() -> None:
    for sizes, message in [
        ((0, 2), "`input_size` must be at least 1"),
        ((1, 0), "`hidden_size` must be at least 1"),
        ((12, 14), "must add up to at most 24"),
    ]:
        with pytest.raises(ValueError, match=message):
            QRNN(*sizes)
    for options, message in [
        ({"order": 0}, "`order` must be at least 1"),
        ({"degree": 0}, "`degree` must be at least 1"),
        ({"degree": 4}, "`degree` must be at most 3"),
        ({"n_stages": -1}, "`n_stages` must be at least 0"),
        ({"amplification": -1}, "`amplification` must be at least 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            QRNN(2, 2, **options)
    with pytest.raises(ValueError, match=r"`states` must have shape \(..., 8\)"):
        QuantumNeuron(2)(torch.ones(4))


def test_bad_words_and_states_are_refused() -> None:
    net, words = QRNN(2, 2), torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"`inputs` must hold words in 0..3 for 2 bits, but holds 0..4"):
        net(torch.tensor([[0], [4]]))
    with pytest.raises(ValueError, match=r"`targets` must hold words in -1..3"):
        net(words, targets=words - 2)
    with pytest.raises(ValueError, match="at least one step"):
        net(words[:0])
    with pytest.raises(ValueError, match="must hold bits 0 and 1"):
        net(torch.full((3, 1, 2), 0.5))
    with pytest.raises(ValueError, match=r"must have shape \(..., 2\)"):
        net(torch.zeros(3, 1, 3))
    with pytest.raises(TypeError, match="must hold integer words or bits"):
        net(torch.zeros(3, 1, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"`targets` must hold one word for each of `inputs`, shape \(3, 2\)"):
        net(words, targets=words[:2])
    with pytest.raises(TypeError, match="packed sequence exactly where"):
        net(pack_sequence([words[:, 0]]), targets=words)
    with pytest.raises(ValueError, match="must be packed as `inputs` is"):
        net(pack_sequence([words[:, 0]]), targets=pack_sequence([words[:2, 0]]))
    with pytest.raises(ValueError, match=r"`state` must be one vector, as the sequence is, but is \(1, 4\)"):
        QRNN(1, 2)(torch.tensor([0, 1]), torch.ones(1, 4) / 2)
    with pytest.raises(ValueError, match=r"`state` must have shape \(2, 4\)"):
        net(words, torch.ones(2, 3))
    with pytest.raises(ValueError, match="vectors of norm 1"):
        net(words, torch.ones(2, 4))
    with pytest.raises(ValueError, match="must hold 44 finite angles"):
        net.cell.load_vector(torch.zeros(3))
    with pytest.raises(ValueError, match="words below 4, but holds 5"):
        word_loss(torch.full((1, 4), 0.25), torch.tensor([5]))
