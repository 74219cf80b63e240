"""Outcomes of a recurrent cell's in/out qubits: their probabilities, draws, and the states that are left."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qml import checks
from qml.nn.qrnn._tables import NeuronTables
from qml.simulator.draws import multinomial


def outcome_probabilities(middle: Tensor, tables: NeuronTables) -> Tensor:
    """Compute the probabilities of outcomes, (rows, words), from the states u after the workspace's neurons."""
    shares = (middle * middle) @ (tables.readout * tables.readout).T
    return shares / shares.sum(1, keepdim=True)


def draw_outcomes(probabilities: Tensor, known: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return the known words, with draws in place of -1."""
    if len(known) == 0 or not (checks.hides_values_of(known) or bool((known < 0).any())):
        return known
    drawn = multinomial(probabilities, 1, generator).squeeze(1)
    return torch.where(known < 0, drawn, known)


def normalised(states: Tensor) -> Tensor:
    """Divide the states by their norms, differentiably."""
    norms = torch.linalg.vector_norm(states, dim=1, keepdim=True)
    return states / norms.clamp_min(torch.finfo(states.dtype).tiny)


def require_possible(probabilities: Tensor, outcomes: Tensor, sizes: Sequence[int], *, first_step: int = 0) -> None:
    """Refuse an outcome whose probability underflows.

    Small probabilities are products of small factors and keep their digits, so that training may pass through them.

    Args:
        probabilities: of all words, one row an outcome.
        outcomes: the words, one step after another.
        sizes: number of rows of each step.
        first_step: number of the first of these steps.
    """
    if checks.in_transform():
        return
    chances = probabilities.detach().gather(1, outcomes[:, None]).squeeze(1)
    least = torch.finfo(probabilities.dtype).tiny / torch.finfo(probabilities.dtype).eps
    bad = torch.nonzero(~(chances >= least))
    if len(bad):
        row, step = int(bad[0]), 0
        while row >= sizes[step]:
            row, step = row - sizes[step], step + 1
        raise ValueError(
            f"Argument `targets` must hold words that can be measured, but at step {first_step + step} of sequence "
            f"{row} word {int(outcomes[bad[0]])} has probability {float(chances[bad[0]]):.3g}, zero in "
            f"{probabilities.dtype} (below {least:.1g}). Choose another word or start, other angles, or float64."
        )
