"""A recurrent cell along whole sequences whose outcomes are known, by the way of computing that costs less."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qml import checks
from qml.nn.qrnn._neurons import NeuronScan
from qml.nn.qrnn._outcomes import draw_outcomes, normalised, outcome_probabilities
from qml.nn.qrnn._scan import Advance, MapScan, map_advance, neuron_advance, scan_plain
from qml.nn.qrnn._tables import NeuronTables, maps_pay, word_maps
from qml.nn.qrnn._words import Steps

Scan = Callable[[Tensor, Tensor, Tensor, Sequence[int]], tuple[Tensor, Tensor]]
"""First states, words, outcomes and sizes of steps, to |G[word] u|^2 of every step and word and the last states."""


def run_sequences(
    tables: NeuronTables, start: Tensor, steps: Steps, outcomes: Tensor, *, recompute: bool
) -> tuple[Tensor, Tensor]:
    """Compute |G[word] u|^2 for every step and word, (sum of sizes, words), and the last states.

    Args:
        tables: of the cell.
        start: the first states, at least one.
        steps: the words that are read.
        outcomes: the words that are post-selected.
        recompute: keep the states of about sqrt(time) steps only for the backward pass.
    """
    advance, parts = make_advance(tables, steps)
    squares = (tables.readout * tables.readout).T
    plain = checks.in_transform() or checks.in_forward_mode()
    scan = MapScan if len(parts) == 1 else NeuronScan

    def run(states: Tensor, words: Tensor, outcomes: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        if plain:
            middle, last = scan_plain(advance, tables.readout, states, words, outcomes, sizes)
        else:
            middle, last = scan.apply(*parts, tables.readout, states, words, outcomes, sizes)
        return (middle * middle) @ squares, last

    if plain or not (recompute and torch.is_grad_enabled()):
        return run(start, steps.words, outcomes, steps.sizes)
    # copies, since what is computed again must be of the same words and states even if the caller's have changed
    own = replace(steps, words=steps.words.clone())
    return _in_chunks(run, start.clone(), own, outcomes.clone())


def draw_sequences(
    tables: NeuronTables, start: Tensor, steps: Steps, known: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draw the outcomes step by step where they are not known."""
    if steps.batch == 0:
        return known
    advance = make_advance(tables, steps)[0]
    states, outcomes = start, []
    for words, targets in zip(steps.words.split(steps.sizes), known.split(steps.sizes), strict=True):
        middle = advance(states[: len(words)], words)
        outcomes.append(draw_outcomes(outcome_probabilities(middle, tables), targets, generator))
        states = normalised(middle * tables.readout[outcomes[-1]])
    return torch.cat(outcomes)


def make_advance(tables: NeuronTables, steps: Steps) -> tuple[Advance, tuple[Tensor, ...]]:
    """Choose the cheaper way of a step; return it with the tensors that it is made of."""
    n_layers, hidden_size, n_words, _ = tables.cosine.shape
    sizes = {"n_words": n_words, "hidden_size": hidden_size, "n_stages": n_layers - 1}
    if maps_pay(**sizes, batch=steps.batch, n_steps=len(steps.sizes)):
        maps = word_maps(tables)
        return map_advance(maps), (maps,)
    parts = (tables.cosine, tables.sine, tables.rotations)
    return neuron_advance(*parts), parts


def _in_chunks(scan: Scan, start: Tensor, steps: Steps, outcomes: Tensor) -> tuple[Tensor, Tensor]:
    """Scan pieces of about sqrt(time) steps, each recomputed in the backward pass."""
    length = max(1, math.isqrt(len(steps.sizes)))
    shares, states, first = [], start, 0
    for place in range(0, len(steps.sizes), length):
        sizes = steps.sizes[place : place + length]
        rows = slice(first, first + sum(sizes))
        first += sum(sizes)
        part, ahead = checkpoint(  # pyright: ignore[reportGeneralTypeIssues]
            scan,
            states[: sizes[0]],
            steps.words[rows],
            outcomes[rows],
            sizes,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        shares.append(part)
        states = ahead if len(ahead) == len(states) else torch.cat([ahead, states[len(ahead) :]])
    return torch.cat(shares), states
