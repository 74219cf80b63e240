"""`qml bench qrnn`: a training step of the recurrent quantum network, beside the method of its research code."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers.recurrent import PlainRecurrent
from qml.nn import QRNN, word_loss

SEED = 0


@dataclass(frozen=True)
class RecurrentWork:
    """Sizes, angles and words of a case.

    Args:
        sizes: W, I, stages, order, degree.
        bias: (n_neurons,).
        weights: (n_neurons, n_subsets).
        rotations: (n_stages, W).
        inputs: bits (batch, time, I).
        targets: bits (batch, time, I).
    """

    sizes: tuple[int, int, int, int, int]
    bias: Tensor
    weights: Tensor
    rotations: Tensor
    inputs: Tensor
    targets: Tensor

    @property
    def words(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets as integers (batch, time)."""
        places = 2 ** torch.arange(self.sizes[1] - 1, -1, -1)
        return (self.inputs * places).sum(-1), (self.targets * places).sum(-1)

    def step(self, model: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Step:
        """Build a step: loss and gradients of a model from (bias, weights, rotations) to (batch, time, words)."""
        leaves = [part.clone().requires_grad_() for part in (self.bias, self.weights, self.rotations)]
        targets = self.words[1]

        def step() -> dict[str, Tensor]:
            loss = word_loss(model(*leaves), targets)
            gradients = torch.autograd.grad(loss, leaves)
            return {"loss": loss.detach(), **dict(zip(("bias", "weights", "rotations"), gradients, strict=True))}

        return step


def make_work(case: str) -> RecurrentWork:
    """Draw angles as a network starts from, and random words."""
    *sizes, batch, length = map(int, case.split(","))
    hidden_size, n_bits, n_stages, order, degree = sizes
    generator = torch.Generator().manual_seed(SEED)
    layer = QRNN(n_bits, hidden_size, n_stages=n_stages, order=order, degree=degree, generator=generator)
    words = torch.randint(0, 2, (2, batch, length, n_bits), generator=generator)
    bias, weights, rotations = (layer.state_dict()[f"cell.{name}"] for name in ("bias", "weights", "rotations"))
    return RecurrentWork((hidden_size, n_bits, n_stages, order, degree), bias, weights, rotations, words[0], words[1])


def ours(case: str) -> Step:
    """Build a step of the package's layer."""
    work = make_work(case)
    hidden_size, n_bits, n_stages, order, degree = work.sizes
    layer = QRNN(n_bits, hidden_size, n_stages=n_stages, order=order, degree=degree, batch_first=True)
    layer.cell.load_vector(
        torch.cat([torch.cat([work.bias[:, None], work.weights], 1).flatten(), work.rotations.flatten()])
    )
    inputs, targets = work.words
    leaves = dict(layer.cell.named_parameters())

    def step() -> dict[str, Tensor]:
        probabilities, _ = layer(inputs, targets=targets)
        loss = word_loss(probabilities, targets)
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        return {"loss": loss.detach(), **dict(zip(leaves, gradients, strict=True))}

    return step


def plain(case: str) -> Step:
    """Build a step on the same angles and words, gate by gate."""
    work = make_work(case)
    hidden_size, n_bits, *rest = work.sizes
    network = PlainRecurrent(n_bits, hidden_size, *rest)
    return work.step(lambda b, w, r: network.probabilities(b, w, r, work.inputs, work.targets)[0])


EINSUM = ("einsum",)
BENCH = Bench(
    title="QRNN, post-selected on random words, cross-entropy, forward and backward, float32; case is workspace "
    "qubits, in/out qubits, stages, order, degree, batch, length; einsum is the research code's method, gate by gate",
    ours=ours,
    peers={"einsum": Peer(plain, ("torch",), "torch")},
    cases={
        "4,1,1,2,2,16,20": Case(EINSUM),
        "5,1,2,2,3,16,20": Case(EINSUM),
        "6,2,2,2,3,16,20": Case(EINSUM),
        "8,4,2,2,2,8,10": Case(EINSUM),
    },
)
