"""A recurrent quantum network with its ancillas on a device: the parity of a sequence of bits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qml.backends import IBM, Backend, Native
from qml.baselines import WordRNN, count_parameters
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.tasks.backends_places import DEVICE
from qml.compare.tuning import one_thread
from qml.nn import QRNN

N_STEPS = 3
SHOTS = 500  # for each of the eight sequences
N_EPOCHS = 120  # passes over all sequences for each start
STARTS = (0, 1, 2, 3, 4)  # half of all starts end in a local minimum; the best on the training loss is kept
LEARNING_RATE = 0.1
SPREAD = 1.5  # bound of the first angles: near 0, where the layer starts, the gradient of a parity vanishes
RNN_SIZE = 2
FORMS = {0: "repeated until success", 1: "with one round of fixed-point amplitude amplification a neuron"}


@dataclass(frozen=True)
class ParityWords:
    """The sequences of bits of one length, all of them.

    Args:
        inputs: Bits, (sequences, steps).
        targets: The parity of the bits so far after each step, of the same shape.
    """

    inputs: Tensor
    targets: Tensor


def prepare() -> ParityWords:
    """Return the eight sequences of three bits."""
    inputs = torch.tensor(list(product((0, 1), repeat=N_STEPS)))
    return ParityWords(inputs, inputs.cumsum(1) % 2)


def split(data: ParityWords, seed: int) -> ParityWords:
    """Return all sequences, to train and to test on: the device is under test, not generalisation."""
    return data


def models() -> dict[str, Model[ParityWords]]:
    """Return the cell as a circuit without noise and on the device, in both forms, and two classical networks."""
    about = f"Recurrent quantum network of one workspace qubit, {N_STEPS} steps; neurons of order 1, "
    places = {"ideal": ("exactly", Native), "noisy": (f"on {DEVICE}, {SHOTS} shots", partial(IBM, DEVICE, shots=SHOTS))}
    offered = {}
    for name, rounds in (("qrnn", 0), ("qrnn-amplified", 1)):
        for where, (how, backend) in places.items():
            title = f"{'QRNN' if rounds == 0 else 'QRNN amplified'}, {where}"
            recipe = (
                f"{about}{FORMS[rounds]}, the best of {len(STARTS)} starts without noise, its circuit tested {how}."
            )
            offered[f"{name}-{where}"] = Model(title, "quantum", recipe, partial(_quantum, rounds, backend))
    best = "the best of as many starts"
    one = f"One tanh unit of the bit (-1 or 1) and of its last value; the logit is affine in it; {best}."
    two = f"torch.nn.RNN of {RNN_SIZE} units, {best}."
    return offered | {
        "unit": Model("One unit", "classical", one, partial(_classical, Unit)),
        "rnn": Model("RNN", "classical", two, partial(_classical, _rnn)),
    }


def trained_network(
    words: ParityWords, seed: int, *, rounds: int = 0, on_step: OnStep = lambda share, text: None
) -> QRNN:
    """Train from several starts, post-selected on the targets of every step, and return the best network."""

    def build(generator: torch.Generator) -> QRNN:
        network = QRNN(1, 1, n_stages=0, order=1, degree=1, amplification=rounds, batch_first=True, generator=generator)
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -SPREAD, SPREAD, generator=generator)
        return network

    def loss(network: QRNN) -> Tensor:
        probabilities = torch.as_tensor(network(words.inputs, targets=words.targets)[0])
        return -probabilities.gather(2, words.targets[..., None]).log().mean()

    return _best(build, loss, seed, on_step)


@torch.no_grad()
def right_answers(network: QRNN, words: ParityWords, backend: Backend) -> tuple[float, float]:
    """Measure the share of right last words, and the share of runs that count: those whose ancillas all read 0.

    Both are means over all sequences. The circuit measures the words before the last, records them and goes on.
    """
    cell = network.cell
    circuit = network.circuit(words.inputs.shape[1], measured=True)
    data, weights = network.circuit_data(words.inputs), cell.vector()
    ends = range(cell.hidden_size, cell.hidden_size + cell.input_size)
    probabilities = backend.probabilities(circuit, data, weights, ends)
    success = backend.success_probability(circuit, data, weights)  # pyright: ignore[reportAttributeAccessIssue]
    return float(probabilities.gather(1, words.targets[:, -1:]).mean()), float(success.mean())


def _quantum(
    rounds: int, backend: Callable[[], Backend], words: ParityWords, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    started = time.perf_counter()
    network = trained_network(words, seed, rounds=rounds, on_step=on_step)
    trained = time.perf_counter()
    share, success = right_answers(network, words, backend())
    extras: dict[str, float | int | str] = {
        "success_probability": success,
        "test_seconds": time.perf_counter() - trained,
    }
    return Outcome(share, count_parameters(network), trained - started, extras)


class Unit(nn.Module):
    """A unit h <- tanh(w x + u h) whose logit of 1 is g h + b: as many numbers as the quantum network has angles."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.empty(4).uniform_(-1.0, 1.0, generator=generator))

    def forward(self, words: Tensor) -> Tensor:
        """Return logits (batch, time, 2) of the parity after each bit."""
        inward, back, gain, bias = self.weights
        state, logits = torch.zeros(len(words)), []
        for bits in words.unbind(1):
            state = torch.tanh(inward * (2.0 * bits - 1.0) + back * state)
            logits.append(gain * state + bias)
        of_one = torch.stack(logits, 1)
        return torch.stack([torch.zeros_like(of_one), of_one], 2)


def _rnn(generator: torch.Generator) -> nn.Module:
    return WordRNN("rnn", 1, RNN_SIZE, generator=generator)


def _classical(
    build: Callable[[torch.Generator], nn.Module], words: ParityWords, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    def loss(network: nn.Module) -> Tensor:
        return cross_entropy(network(words.inputs).flatten(0, 1), words.targets.flatten())

    started = time.perf_counter()
    network = _best(build, loss, seed, on_step)
    seconds = time.perf_counter() - started
    shares = network(words.inputs).detach()[:, -1].softmax(1).gather(1, words.targets[:, -1:])
    return Outcome(float(shares.mean()), count_parameters(network), seconds)


def _best(build: Callable[[torch.Generator], Any], loss_of: Callable[[Any], Tensor], seed: int, on_step: OnStep) -> Any:
    """Return the network with the lowest loss after training from each start."""
    candidates: list[tuple[float, Any]] = []
    with one_thread():
        for start in STARTS:
            network = build(torch.Generator().manual_seed(1000 * seed + start))
            optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
            for _ in range(N_EPOCHS):
                loss = loss_of(network)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            candidates.append((float(loss_of(network).detach()), network))
            on_step((start + 1) / len(STARTS), f"start {start + 1}/{len(STARTS)}, loss {candidates[-1][0]:.3g}")
    return min(candidates, key=lambda pair: pair[0])[1]
