"""The run of a cell along sequences whose outcomes are known: plain steps, and a function with a pullback of its own.

Only ratios of amplitudes matter, so that states are divided by their norms as by constants: every derivative of a
probability is right all the same. Memory is linear in the number of steps. A derivative of a derivative is taken
through the plain steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from qml.checks import in_full_precision, needs_plain_pullback
from qml.nn.qrnn._tables import groups_pay
from qml.plain_pullback import plain_pullback

Advance = Callable[[Tensor, Tensor], Tensor]
"""States (batch, 2**W) before a step and the words read in it, to the states after the workspace's neurons."""


def scan_plain(
    advance: Advance, readout: Tensor, start: Tensor, words: Tensor, outcomes: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Compute the states u of all steps, (sum of sizes, 2**W), and the last state of every sequence, (batch, 2**W).

    Args:
        advance: the workspace's part of a step.
        readout: G of the tables.
        start: the first states, one a sequence.
        words: the words that are read, step after step.
        outcomes: the words that the in/out qubits are projected on.
        sizes: sequences that reach each step.
    """
    states, parts, first = start, [], 0
    for size in sizes:
        rows = slice(first, first + size)
        first += size
        parts.append(advance(states[:size], words[rows]))
        projected = parts[-1] * readout[outcomes[rows]]
        ahead = projected / _norms(projected)
        states = ahead if size == len(states) else torch.cat([ahead, states[size:]])
    return torch.cat(parts), states


def map_advance(maps: Tensor) -> Advance:
    """Multiply by M[word]."""
    n_words, side, _ = maps.shape
    flat = maps.reshape(n_words * side, side).T

    def advance(states: Tensor, words: Tensor) -> Tensor:
        products = (states @ flat).unflatten(1, (n_words, side))
        return products[torch.arange(len(states), device=states.device), words]

    return advance


def neuron_advance(cosine: Tensor, sine: Tensor, rotations: Tensor) -> Advance:
    """Apply the neurons and rotations one by one; see `NeuronTables` for the shapes."""

    def advance(states: Tensor, words: Tensor) -> Tensor:
        for layer in range(len(cosine)):
            if layer:
                states = states @ rotations[layer - 1].T
            for qubit in range(cosine.shape[1]):
                before, behind = 2**qubit, cosine.shape[-1] // 2**qubit
                c, s = (part[layer, qubit][words].unflatten(1, (before, behind)) for part in (cosine, sine))
                zero, one = states.unflatten(1, (before, 2, behind)).unbind(2)
                states = torch.stack([c * zero - s * one, s * zero + c * one], 2).flatten(1)
        return states

    return advance


class MapScan(torch.autograd.Function):
    """The function `scan_plain` with `map_advance`, which multiplies states by matrices."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, readout: Tensor, start: Tensor, words: Tensor, outcomes: Tensor, sizes: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return what `scan_plain` returns."""
        n_words, side, _ = maps.shape
        multiply = _Multiply(maps.reshape(n_words * side, side).T, n_words, words, sizes)
        run = ScanRun(readout, start, outcomes, sizes, multiply)
        ctx.save_for_backward(maps, readout, start, words, outcomes, run.before, run.middle, run.norms)
        ctx.sizes = sizes
        return run.middle, run.last

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pull gradients back, by autograd through the plain steps where a derivative of them is wanted."""
        maps, readout, start, words, outcomes, before, middle, norms = ctx.saved_tensors
        if any(map(needs_plain_pullback, grads)):
            plain = lambda m, g, v: scan_plain(map_advance(m), g, v, words, outcomes, ctx.sizes)  # noqa: E731
            return *plain_pullback(plain, (maps, readout, start), ctx.needs_input_grad[:3], grads), None, None, None
        n_words, side, _ = maps.shape
        multiply = _Multiply(maps.transpose(0, 1).reshape(side, n_words * side), n_words, words, ctx.sizes)
        pulled, readout_grad, start_grad = pull_steps(
            multiply, (readout, outcomes, middle, norms), grads, ctx.sizes, needs_readout=ctx.needs_input_grad[1]
        )
        maps_grad = None
        if ctx.needs_input_grad[0]:
            maps_grad = torch.zeros_like(maps)
            order, counts = torch.argsort(words), torch.bincount(words, minlength=n_words).tolist()
            for word, rows in enumerate(order.split(counts)):
                torch.mm(pulled[rows].T, before[rows], out=maps_grad[word])
        return maps_grad, readout_grad, start_grad, None, None, None


class ScanRun:
    """The forward pass of both functions, which keeps states before and in the middle of every step, and norms.

    Args:
        readout: G of the tables.
        start: the first states.
        outcomes: the words that the in/out qubits are projected on.
        sizes: sequences that reach each step.
        advance: writes the middle of step t, from the states before it, into `out`.
    """

    def __init__(
        self, readout: Tensor, start: Tensor, outcomes: Tensor, sizes: Sequence[int], advance: "AdvanceInto"
    ) -> None:
        self.middle = start.new_empty(len(outcomes), start.shape[1])
        self.before, self.norms = torch.empty_like(self.middle), start.new_empty(len(outcomes), 1)
        tiny = torch.finfo(start.dtype).tiny
        earlier_states, middles, all_norms = (part.split(sizes) for part in (self.before, self.middle, self.norms))
        factors, last = readout[outcomes].split(sizes), start.clone()
        earlier_states[0].copy_(start)
        for step, size in enumerate(sizes):
            advance(earlier_states[step], step, middles[step])
            projected = middles[step] * factors[step]
            norms = torch.linalg.vector_norm(projected, dim=1, keepdim=True, out=all_norms[step]).clamp_min_(tiny)
            following = sizes[step + 1] if step + 1 < len(sizes) else 0
            if following == size:
                torch.div(projected, norms, out=earlier_states[step + 1])
                continue
            ahead = projected.div_(norms)
            last[:size] = ahead
            if following:
                earlier_states[step + 1].copy_(ahead[:following])
        self.last = last


AdvanceInto = Callable[[Tensor, int, Tensor], Any]
"""States before step t, t, and where the states in its middle go."""


def pull_steps(
    pull_step: AdvanceInto,
    run: tuple[Tensor, Tensor, Tensor, Tensor],
    grads: Sequence[Tensor],
    sizes: Sequence[int],
    *,
    needs_readout: bool,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Compute gradients in the states u of all steps, in the readout and in the first states.

    Args:
        pull_step: writes the gradient before step t, from that in its middle, into `out`.
        run: readout, outcomes, middle and norms of the run.
        grads: of the middle of all steps, and of the last states.
        sizes: sequences that reach each step.
        needs_readout: whether the readout's gradient is wanted.
    """
    readout, outcomes, middle, norms = run
    factors = (readout[outcomes] / norms).split(sizes)
    pulled, carried = torch.empty_like(middle), torch.empty_like(middle)
    pulled_at, carried_at, middle_grad = (part.split(sizes) for part in (pulled, carried, grads[0]))
    start_grad = grads[1].clone()
    carried_at[-1].copy_(start_grad[: sizes[-1]])
    for step in reversed(range(len(sizes))):
        torch.addcmul(middle_grad[step], factors[step], carried_at[step], out=pulled_at[step])
        size, earlier = sizes[step], sizes[step - 1] if step else 0
        if earlier == size:
            pull_step(pulled_at[step], step, carried_at[step - 1])
            continue
        pull_step(pulled_at[step], step, start_grad[:size])
        if earlier:
            carried_at[step - 1].copy_(start_grad[:earlier])
    readout_grad = None
    if needs_readout:
        readout_grad = torch.zeros_like(readout).index_add_(0, outcomes, carried.mul_(middle).div_(norms))
    return pulled, readout_grad, start_grad


class _Multiply:
    """A function that multiplies each row by the matrix of its word: by those of all words, or grouped by word.

    Args:
        side_by_side: the matrices of all words, (side, n_words * side), for rows times matrices.
    """

    def __init__(self, side_by_side: Tensor, n_words: int, words: Tensor, sizes: Sequence[int]) -> None:
        self.matrices, self.n_words, self.side = side_by_side.contiguous(), n_words, len(side_by_side)
        self.words = words.split(sizes)
        self.grouped = groups_pay(n_words=n_words, side=self.side, batch=max(sizes))
        if not self.grouped:
            place = torch.arange(sizes[0], device=words.device) * n_words
            self.places = (words + torch.cat([place[:size] for size in sizes])).split(sizes)

    def __call__(self, states: Tensor, step: int, out: Tensor) -> None:
        if not self.grouped:
            products = torch.mm(states, self.matrices).view(-1, self.side)
            torch.index_select(products, 0, self.places[step], out=out)
            return
        words = self.words[step]
        counts = torch.bincount(words, minlength=self.n_words).tolist()
        for word, members in enumerate(torch.argsort(words).split(counts)):
            if len(members):
                matrix = self.matrices[:, word * self.side : (word + 1) * self.side]
                out.index_copy_(0, members, states.index_select(0, members) @ matrix)


def _norms(states: Tensor) -> Tensor:
    """Compute norms as constants, never 0: impossible outcomes are refused where the probabilities are known."""
    norms = torch.linalg.vector_norm(states.detach(), dim=1, keepdim=True)
    return norms.clamp_min(torch.finfo(states.dtype).tiny)
