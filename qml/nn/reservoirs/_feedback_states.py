"""The step of a feedback ring as few batched products: its layers are one rotation matrix and one permutation."""

from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Places = tuple[Tensor, ...]
"""For each qubit of a half the places of `factor_places`."""

MAX_QUBITS = 12  # the rotation matrices of half the qubits have 2**n entries a row


def outcome_probabilities(
    first: Float[Tensor, "batch qubits"],
    measured: Float[Tensor, "batch qubits"],
    pairs: Int[Tensor, " amplitudes"],
    places: tuple[Places, Places],
) -> Float[Tensor, "batch amplitudes"]:
    """Compute the probabilities of all basis states after `circuits.reservoir.feedback_ring`.

    The rotations about Y that end block 2 and begin block 3 are one rotation by twice the angle. A layer of rotations
    is the product of two matrices, one for either half of the register.

    Args:
        first: angles of the first layer.
        measured: angles of all others.
        pairs: of `pairs_table`.
        places: of `factor_places`, row by row.
    """
    batch, n_qubits = first.shape
    split = n_qubits // 2
    halves = torch.stack([first, measured, 2.0 * measured], 1) / 2.0
    cosine, sine = torch.cos(halves), torch.sin(halves)
    turns = torch.stack([cosine, -sine, sine, cosine], -1)
    if n_qubits == 2 * split:  # both halves in one go
        both = _product(turns.view(batch, 6, split, 4), places[0]).unflatten(1, (3, 2))
        left, right = both[:, :, 0], both[:, :, 1]
    else:
        left, right = _product(turns[:, :, :split], places[0]), _product(turns[:, :, split:], places[1])
    state = (left[:, 0, :, :1] * right[:, 0, None, :, 0]).flatten(1).index_select(1, pairs)  # from |0...0>
    left, right = left[:, 1:], right[:, 1:]
    for turn, permuted in ((0, True), (1, True), (0, False)):
        grid = state.view(batch, left.shape[-1], right.shape[-1])
        state = (left[:, turn] @ grid @ right[:, turn].mT).flatten(1)
        if permuted:
            state = state.index_select(1, pairs)
    return state.square()


def pairs_table(n_qubits: int) -> Int[Tensor, " amplitudes"]:
    """Return for every basis state the one that CX on every pair i < j, control i, takes to it."""
    index = torch.arange(2**n_qubits)
    for control, target in combinations(range(n_qubits), 2):
        reads_one = (index >> (n_qubits - 1 - control)) & 1
        index = index ^ (reads_one << (n_qubits - 1 - target))
    return torch.argsort(index)


def factor_places(n_qubits: int) -> tuple[Tensor, Tensor]:
    """Return, for either half of the register and each qubit, the place of every entry's factor in its 2 x 2 matrix."""
    return _places(n_qubits // 2), _places(n_qubits - n_qubits // 2)


def _places(n_qubits: int) -> Int[Tensor, "qubits entries"]:
    """Return these places for one half, row by row of the matrix of its qubits."""
    index, qubits = torch.arange(2**n_qubits), torch.arange(n_qubits - 1, -1, -1)
    bits = (index >> qubits[:, None]) & 1
    return (2 * bits[:, :, None] + bits[:, None, :]).flatten(1)


def _product(turns: Tensor, places: Places) -> Tensor:
    """Compute the Kronecker product over qubits: (batch, layers, qubits, 4) to (batch, layers, side, side).

    Every entry is a product of one entry a qubit; gathered row by row, since axes of length 2 are slow to run over.
    """
    batch, layers, n_qubits = turns.shape[:3]
    side = 2**n_qubits
    if not places:
        return turns.new_ones(batch, layers, 1, 1)
    factors = turns.unbind(2)
    result = factors[0].index_select(2, places[0])
    for factor, entries in zip(factors[1:], places[1:], strict=True):
        result = result * factor.index_select(2, entries)
    return result.view(batch, layers, side, side)
