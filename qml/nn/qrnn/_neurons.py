"""A recurrent cell's neurons one by one along sequences, for cells whose matrices cost more than they save.

A pair of amplitudes (a0, a1) of the target qubit is the complex number a0 + i a1, and a neuron multiplies it by
C + i S. Qubits are moved to the last place one after another, by a transposition each.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qml.checks import in_full_precision, needs_plain_pullback
from qml.nn.qrnn._scan import ScanRun, neuron_advance, pull_steps, scan_plain
from qml.plain_pullback import plain_pullback


class NeuronScan(torch.autograd.Function):
    """The function `scan_plain` with `neuron_advance`, which recomputes a step before it pulls it back."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - the tensors it differentiates in, and the sequences
        ctx: Any,
        cosine: Tensor,
        sine: Tensor,
        rotations: Tensor,
        readout: Tensor,
        start: Tensor,
        words: Tensor,
        outcomes: Tensor,
        sizes: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Return what `scan_plain` returns."""
        neurons = _Neurons(cosine, sine, rotations, words, sizes)
        run = ScanRun(readout, start, outcomes, sizes, neurons.advance)
        ctx.save_for_backward(
            cosine, sine, rotations, readout, start, words, outcomes, run.before, run.middle, run.norms
        )
        ctx.sizes = sizes
        return run.middle, run.last

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pull gradients back, by autograd through the plain steps where a derivative of them is wanted."""
        cosine, sine, rotations, readout, start, words, outcomes, before, middle, norms = ctx.saved_tensors
        if any(map(needs_plain_pullback, grads)):
            plain = lambda c, s, k, g, v: scan_plain(neuron_advance(c, s, k), g, v, words, outcomes, ctx.sizes)  # noqa: E731
            inputs = (cosine, sine, rotations, readout, start)
            return *plain_pullback(plain, inputs, ctx.needs_input_grad[:5], grads), None, None, None
        neurons = _Neurons(cosine, sine, rotations, words, ctx.sizes)
        neurons.start_pullback(before)
        _, readout_grad, start_grad = pull_steps(
            neurons.pull, (readout, outcomes, middle, norms), grads, ctx.sizes, needs_readout=ctx.needs_input_grad[3]
        )
        return *neurons.gradients(), readout_grad, start_grad, None, None, None


class _Neurons:
    """The neurons of `neuron_advance` on complex numbers, with tables whose qubits are in the order of the loop."""

    def __init__(self, cosine: Tensor, sine: Tensor, rotations: Tensor, words: Tensor, sizes: Sequence[int]) -> None:
        self.n_layers, self.n_qubits, self.n_words, self.half = cosine.shape
        turns = torch.complex(cosine, sine)
        # By word, so that one look-up a step serves all neurons; the qubits before the target go behind the others.
        ordered = [
            turns[:, qubit].unflatten(-1, (2**qubit, -1)).mT.flatten(-2) for qubit in range(self.n_qubits)
        ]  # each (layers, words, half)
        self.turns = torch.stack(ordered, 1).permute(2, 0, 1, 3).reshape(self.n_words, -1)
        self.rotations, self.words = rotations, words.split(sizes)
        self.sizes = sizes

    def advance(self, states: Tensor, step: int, out: Tensor) -> None:
        """Write the states after all neurons and rotations of a step into `out`."""
        turns = self._look_up(step)
        for layer in range(self.n_layers):
            if layer:
                states = states @ self.rotations[layer - 1].T
            for qubit in range(self.n_qubits):
                states = torch.view_as_real(_last(states) * turns[layer * self.n_qubits + qubit]).flatten(1)
        out.copy_(states)

    def start_pullback(self, before: Tensor) -> None:
        """Begin to collect gradients, from the states before every step."""
        self.before = before.split(self.sizes)
        self.turn_grad = torch.zeros_like(torch.view_as_real(self.turns).flatten(1))
        self.rotation_grad = torch.zeros_like(self.rotations)

    def pull(self, grad: Tensor, step: int, out: Tensor) -> None:
        """Write the gradient before a step into `out`, and collect those of tables and rotations."""
        turns = self._look_up(step)
        tape, between = self._replay(self.before[step], turns)
        grads: list[Tensor] = []
        for layer in reversed(range(self.n_layers)):
            for qubit in reversed(range(self.n_qubits)):
                place = layer * self.n_qubits + qubit
                pairs = torch.view_as_complex(grad.reshape(len(grad), self.half, 2))
                grads.append(pairs * tape[place].conj())
                grad = _first(pairs * turns[place].conj())
            if layer:
                self.rotation_grad[layer - 1].addmm_(grad.T, between[layer - 1])
                grad = grad @ self.rotations[layer - 1]
        together = torch.view_as_real(torch.stack(grads[::-1], 1)).flatten(1)
        self.turn_grad.index_add_(0, self.words[step], together)
        out.copy_(grad)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of cosine, sine and rotations."""
        shape = (self.n_words, self.n_layers, self.n_qubits, self.half, 2)
        ordered = self.turn_grad.view(shape).permute(4, 1, 2, 0, 3)  # (2, layers, qubits, words, half)
        by_qubit = [ordered[:, :, qubit].unflatten(-1, (-1, 2**qubit)).mT.flatten(-2) for qubit in range(self.n_qubits)]
        cosine_grad, sine_grad = torch.stack(by_qubit, 2)
        return cosine_grad, sine_grad, self.rotation_grad

    def _look_up(self, step: int) -> list[Tensor]:
        """Look up the turn of each neuron, (batch, half), at the words of a step."""
        return list(self.turns.index_select(0, self.words[step]).split(self.half, 1))

    def _replay(self, states: Tensor, turns: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Recompute the pairs before each neuron, and the states before each rotation."""
        tape, between = [], []
        for layer in range(self.n_layers):
            if layer:
                between.append(states)
                states = states @ self.rotations[layer - 1].T
            for qubit in range(self.n_qubits):
                tape.append(_last(states))
                states = torch.view_as_real(tape[-1] * turns[layer * self.n_qubits + qubit]).flatten(1)
        return tape, between


def _last(states: Tensor) -> Tensor:
    """Move the first qubit to the last place, as pairs: (batch, 2 half) to complex (batch, half)."""
    return torch.view_as_complex(states.view(len(states), 2, -1).mT.contiguous())


def _first(pairs: Tensor) -> Tensor:
    """Invert `_last`."""
    return torch.view_as_real(pairs).mT.reshape(len(pairs), -1)
