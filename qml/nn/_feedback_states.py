"""The step of a feedback ring as few batched products: its layers are one rotation matrix and one permutation."""

from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

MAX_QUBITS = 12  # the rotation matrices of half the qubits have 2**n entries a row


def outcome_probabilities(
    first: Float[Tensor, "batch qubits"], measured: Float[Tensor, "batch qubits"], table: Int[Tensor, " amplitudes"]
) -> Float[Tensor, "batch amplitudes"]:
    """Probabilities of all basis states after `circuits.reservoir.feedback_ring`.

    The rotations about Y that end block 2 and begin block 3 are one rotation by twice the angle. A layer of rotations
    is the product of two matrices, one for either half of the register.

    Args:
        first: angles of the first layer.
        measured: angles of all others.
        table: of `pairs_table`.
    """
    batch, n_qubits = first.shape
    split = n_qubits // 2
    halves = torch.stack([first, measured, 2.0 * measured], 1) / 2.0
    cosine, sine = torch.cos(halves), torch.sin(halves)
    pairs = torch.stack([cosine[:, 0], sine[:, 0]], -1)
    state = pairs[:, 0]
    for qubit in range(1, n_qubits):
        state = (state[:, :, None] * pairs[:, qubit, None, :]).flatten(1)
    turns = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)[:, 1:]
    left, right = _product(turns[:, :, :split]), _product(turns[:, :, split:])
    state = state.index_select(1, table)
    for turn, permuted in ((0, True), (1, True), (0, False)):
        grid = state.view(batch, left.shape[-1], right.shape[-1])
        state = (left[:, turn] @ grid @ right[:, turn].mT).flatten(1)
        if permuted:
            state = state.index_select(1, table)
    return state.square()


def pairs_table(n_qubits: int) -> Int[Tensor, " amplitudes"]:
    """For every basis state the one that CX on every pair i < j, control i, brings there."""
    index = torch.arange(2**n_qubits)
    for control, target in combinations(range(n_qubits), 2):
        reads_one = (index >> (n_qubits - 1 - control)) & 1
        index = index ^ (reads_one << (n_qubits - 1 - target))
    return torch.argsort(index)


def _product(turns: Tensor) -> Tensor:
    """Kronecker product over qubits: (batch, layers, qubits, 2, 2) to (batch, layers, side, side)."""
    batch, layers, n_qubits = turns.shape[:3]
    result = turns.new_ones(batch, layers, 1, 1)
    for qubit in range(n_qubits):
        side = 2 * result.shape[-1]
        one = turns[:, :, qubit]
        result = (result[:, :, :, None, :, None] * one[:, :, None, :, None, :]).reshape(batch, layers, side, side)
    return result
