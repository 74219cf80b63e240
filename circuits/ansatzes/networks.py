"""Tensor networks as circuits: a block of two qubits for each tensor."""

from circuits.ansatzes.blocks import as_block, tree_block
from circuits.ansatzes.patterns import require_neighbours
from circuits.circuit import Circuit
from circuits.slots import weight

Pair = tuple[int, int]


def matrix_product_state(n_qubits: int, *, block: Circuit | None = None) -> Circuit:
    """Return a staircase of blocks on the qubits (0, 1), (1, 2), ..., (n - 2, n - 1).

    Args:
        n_qubits: number of qubits n, at least 2.
        block: a circuit on two qubits (default: `tree_block`, 2 weights).

    Returns:
        A circuit with (n - 1) block.n_weights weights: PennyLane's `MPS` with blocks of two wires, its weights
        flattened.

    Reference:
        Huggins et al., arXiv:1803.11537, figure 4.
    """
    n_qubits = require_neighbours(n_qubits)
    return _placed(n_qubits, [(qubit, qubit + 1) for qubit in range(n_qubits - 1)], block)


def tree_tensor_network(n_qubits: int, *, block: Circuit | None = None) -> Circuit:
    """Return a binary tree of blocks; qubit n - 1 is at its root and is to be read.

    Args:
        n_qubits: number of qubits n, a power of two.
        block: a circuit on two qubits (default: `tree_block`, 2 weights).

    Returns:
        A circuit with (n - 1) block.n_weights weights, the leaves' first: PennyLane's `TTN` with blocks of two wires,
        its weights flattened.

    Raises:
        ValueError: a number of qubits that is not a power of two, a block on another number of qubits or with data.

    Reference:
        Grant et al., arXiv:1804.03680, figure 1; Huggins et al., arXiv:1803.11537, figure 3.

    Example:
        >>> tree_tensor_network(8).n_weights
        14
    """
    _require_power_of_two(n_qubits)
    pairs: list[Pair] = []
    row = list(range(n_qubits))
    while len(row) > 1:
        pairs += zip(row[::2], row[1::2], strict=True)
        row = row[1::2]
    return _placed(n_qubits, pairs, block)


def binary_tree(n_qubits: int) -> Circuit:
    """Return a tree of RY on the qubits of a level and CX to their left neighbours; RY on qubit 0, the root, ends it.

    Args:
        n_qubits: number of qubits n, a power of two.

    Returns:
        A circuit with 2 n - 1 weights in the order of the gates. Qubit 0 is to be read.

    Raises:
        ValueError: a number of qubits that is not a power of two.

    Reference:
        Zhang et al., arXiv:2011.06258, figure 1; the tree tensor network of Bowles et al., arXiv:2403.07059.

    Example:
        >>> binary_tree(4).n_weights
        7
    """
    _require_power_of_two(n_qubits)
    circuit, number = Circuit(n_qubits), 0
    step = 1
    while step < n_qubits:
        for qubit in range(0, n_qubits, step):
            circuit.ry(weight(number), qubit)
            number += 1
        for qubit in range(0, n_qubits, 2 * step):
            circuit.cx(qubit + step, qubit)
        step *= 2
    return circuit.ry(weight(number), 0)


def mera(n_qubits: int, *, block: Circuit | None = None) -> Circuit:
    """Return the multi-scale entanglement renormalisation ansatz: a tree with disentangling blocks between its levels.

    Args:
        n_qubits: number of qubits n, a power of two.
        block: a circuit on two qubits (default: `tree_block`, 2 weights).

    Returns:
        A circuit with (2 n - 3) block.n_weights weights, those of the lowest level first: PennyLane's `MERA` with
        blocks of two wires, its weights flattened. The last block acts on qubits 0 and 1, which are to be read.

    Raises:
        ValueError: a number of qubits that is not a power of two, a block on another number of qubits or with data.

    Reference:
        Vidal, arXiv:quant-ph/0610099, figure 1; Grant et al., arXiv:1804.03680, figure 1.

    Example:
        >>> mera(8).n_weights
        26
    """
    _require_power_of_two(n_qubits)
    level: list[Pair] = [(0, 1)]
    pairs, n_placed = [level], 2
    while n_placed < n_qubits:  # from the top: each pair is split, and either half gets a new partner
        level = [
            pair
            for k, (left, right) in enumerate(level)
            for pair in ((left, n_placed + 2 * k), (n_placed + 2 * k + 1, right))
        ]
        n_placed += len(level)
        shifted = [(level[k][1], level[(k + 1) % len(level)][0]) for k in range(len(level))]
        pairs += [level, shifted]
        level = shifted
    return _placed(n_qubits, [pair for row in pairs for pair in row][::-1], block)


def _require_power_of_two(n_qubits: int) -> None:
    if require_neighbours(n_qubits) & (n_qubits - 1):
        raise ValueError(
            f"Argument `n_qubits` must be a power of two, so that every qubit has a partner on each level, but is "
            f"{n_qubits}."
        )


def _placed(n_qubits: int, pairs: list[Pair], block: Circuit | None) -> Circuit:
    block = tree_block() if block is None else as_block(block)
    circuit = Circuit(n_qubits)
    for pair in pairs:
        circuit.compose(block, pair, fresh_weights=True)
    return circuit
