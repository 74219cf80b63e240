"""The step of a feedback ring as few batched products: its layers are one rotation matrix and one permutation."""

from functools import lru_cache
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
    turns = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
    if n_qubits == 2 * split:  # both halves in one go
        both = _product(turns.view(batch, 6, split, 2, 2)).unflatten(1, (3, 2))
        left, right = both[:, :, 0], both[:, :, 1]
    else:
        left, right = _product(turns[:, :, :split]), _product(turns[:, :, split:])
    state = (left[:, 0, :, :1] * right[:, 0, None, :, 0]).flatten(1).index_select(1, table)  # from |0...0>
    left, right = left[:, 1:], right[:, 1:]
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
    """Kronecker product over qubits: (batch, layers, qubits, 2, 2) to (batch, layers, side, side).

    Every entry is a product of one entry a qubit; gathered row by row, since axes of length 2 are slow to run over.
    """
    batch, layers, n_qubits = turns.shape[:3]
    side = 2**n_qubits
    result = turns.new_ones(batch, layers, 1)
    for qubit, places in enumerate(_places(n_qubits, turns.device)):
        factor = turns[:, :, qubit].flatten(2).index_select(2, places)
        result = result * factor if qubit else factor
    return result.view(batch, layers, side, side)


@lru_cache(maxsize=64)
def _places(n_qubits: int, device: torch.device) -> tuple[Tensor, ...]:
    """For each qubit where in its 2 x 2 matrix the factor of every entry is, row by row."""
    with torch.inference_mode(False):  # they serve gradients too
        entries, qubits = torch.arange(2**n_qubits, device=device), torch.arange(n_qubits - 1, -1, -1, device=device)
        bits = (entries >> qubits[:, None]) & 1
        return tuple(2 * row.repeat_interleave(len(row)) + row.repeat(len(row)) for row in bits)
