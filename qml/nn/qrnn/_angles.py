"""A recurrent cell whose in/out qubits are turned by angles where words would flip them.

A word's qubits are each in |0> or |1>; turned by RY they are in a superposition of all words, and the step is the same
sum of words: u[w] = a[w] M[w] v with the amplitudes a of the turned qubits, turned back along w; then the output
neurons, which now meet qubits that are not in |0>; then the qubits are post-selected on 0. All is linear in v.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from qml.nn.qrnn._outcomes import normalised, require_possible
from qml.nn.qrnn._scan import neuron_advance
from qml.nn.qrnn._tables import NeuronTables, layer_maps, maps_pay, word_maps
from qml.nn.qrnn.cell import QRNNCell

Spread = Callable[[Tensor], Tensor]
"""States v (batch, 2**W) to M[w] v for all words w, (batch, words, 2**W)."""


def run_angles(cell: QRNNCell, angles: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute outcome probabilities at each step, (time, batch, words), and the last states, (batch, 2**W).

    Args:
        cell: the cell.
        angles: of the in/out qubits in radians, (time, batch, input_size), at least one step.
        state: states to start from; None for |0...0>.

    Raises:
        ValueError: a state of another shape or norm, a post-selection that cannot succeed.
    """
    n_steps, batch, _ = angles.shape
    states, tables = cell.start(state, batch), cell.tables()
    spread = _spread(cell, tables, batch, n_steps)
    outputs = layer_maps(tables.output_cosine[None], tables.output_sine[None])[0]  # (2**W, words, words)
    probabilities = []
    for cosine, sine in zip(torch.cos(angles / 2), torch.sin(angles / 2), strict=True):
        middle = _turned_back(_amplitudes(cosine, sine)[..., None] * spread(states), cosine, sine)
        ahead = torch.bmm(outputs, middle.permute(2, 1, 0)).permute(2, 1, 0)  # (batch, words, 2**W)
        shares = ahead.square().sum(-1)
        probabilities.append(shares / shares.sum(1, keepdim=True))
        states = normalised(ahead[:, 0])
    require_possible(torch.cat(probabilities), angles.new_zeros(n_steps * batch, dtype=torch.long), (batch,) * n_steps)
    return torch.stack(probabilities), states


def _amplitudes(cosine: Tensor, sine: Tensor) -> Tensor:
    """Compute the amplitudes of all words in qubits turned from |0>, (batch, words)."""
    amplitudes = torch.ones_like(cosine[:, :1])  # not by len, which would fix the batch of an exported program
    for c, s in zip(cosine.unbind(1), sine.unbind(1), strict=True):
        amplitudes = torch.stack([amplitudes * c[:, None], amplitudes * s[:, None]], -1).flatten(1)
    return amplitudes


def _turned_back(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Apply RY(-angle) to each in/out qubit of (batch, words, 2**W)."""
    pairs = zip(cosine[..., None, None, None].unbind(1), sine[..., None, None, None].unbind(1), strict=True)
    for qubit, (c, s) in enumerate(pairs):
        zero, one = states.unflatten(1, (2**qubit, 2, -1)).unbind(2)
        states = torch.stack([c * zero + s * one, c * one - s * zero], 2).flatten(1, 3)
    return states


def _spread(cell: QRNNCell, tables: NeuronTables, batch: int, n_steps: int) -> Spread:
    """Choose the cheaper way of applying M of all words."""
    n_words, side = cell.n_words, 2**cell.hidden_size
    sizes = {"n_words": n_words, "hidden_size": cell.hidden_size, "n_stages": cell.n_stages}
    if maps_pay(**sizes, batch=batch * n_words, n_steps=n_steps):
        flat = word_maps(tables).flatten(0, 1).T
        return lambda states: (states @ flat).unflatten(1, (n_words, side))
    advance = neuron_advance(tables.cosine, tables.sine, tables.rotations)
    words = torch.arange(n_words, device=tables.readout.device).repeat(batch)
    return lambda states: advance(states.repeat_interleave(n_words, 0), words).unflatten(0, (batch, n_words))
