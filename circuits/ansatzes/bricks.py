"""Two-qubit blocks in a wall of bricks: even pairs, then odd pairs."""

from circuits import _checks
from circuits.ansatzes.blocks import as_block, general_block
from circuits.ansatzes.patterns import require_neighbours
from circuits.circuit import Circuit
from circuits.slots import weight


def brickwork(n_qubits: int, n_layers: int = 1, *, block: Circuit | None = None, is_periodic: bool = False) -> Circuit:
    """Return layers of two-qubit blocks on the pairs (0, 1), (2, 3), ... and then on (1, 2), (3, 4), ...

    Args:
        n_qubits: number of qubits, at least 2.
        n_layers: number of layers, each of both rows of bricks, at least 1.
        block: a circuit on two qubits (default: `general_block`, any unitary, with 15 weights).
        is_periodic: close the wall: the last of the odd pairs is (n - 1, 0). Needs an even number of qubits.

    Returns:
        A circuit with (n - 1) n_layers block.n_weights weights (n n_layers block.n_weights if it is periodic, for
        n > 2), each block's after those of the block before.

    Raises:
        ValueError: one qubit alone, a block on another number of qubits or with data, an odd number of qubits in a
            periodic wall.

    Reference:
        Nahum et al., arXiv:1608.06950, figure 2.

    Example:
        >>> from circuits import Circuit, weight
        >>> brickwork(4, 2, block=Circuit(2).ry(weight(0), 0).ry(weight(1), 1).cz(0, 1)).n_weights
        12
    """
    n_qubits = require_neighbours(n_qubits)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    block = general_block() if block is None else as_block(block)
    pairs = [(k, k + 1) for k in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2))]
    if _checks.as_flag(is_periodic, "is_periodic"):
        if n_qubits % 2:
            raise ValueError(
                f"Argument `n_qubits` must be even for a periodic wall, but is {n_qubits}: two bricks would overlap."
            )
        pairs += [(n_qubits - 1, 0)] if n_qubits > 2 else []
    circuit = Circuit(n_qubits)
    for _ in range(n_layers):
        for pair in pairs:
            circuit.compose(block, pair, fresh_weights=True)
    return circuit


def simplified_two_design(n_qubits: int, n_layers: int = 1) -> Circuit:
    """Return RY on every qubit, then bricks of CZ and two RY.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.

    Returns:
        A circuit with n + 2 (n - 1) n_layers weights: PennyLane's `SimplifiedTwoDesign`, first the n initial weights
        and then those of shape (n_layers, n - 1, 2) flattened.

    Reference:
        Cerezo et al., arXiv:2001.00550, figure 3.

    Example:
        >>> simplified_two_design(3, 2).n_weights
        11
    """
    circuit = Circuit(require_neighbours(n_qubits))
    for qubit in range(n_qubits):
        circuit.ry(weight(qubit), qubit)
    brick = Circuit(2).cz(0, 1).ry(weight(0), 0).ry(weight(1), 1)
    wall = brickwork(n_qubits, n_layers, block=brick)
    return circuit.compose(wall, fresh_weights=True)
