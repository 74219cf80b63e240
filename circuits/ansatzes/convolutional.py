"""The quantum convolutional neural network: convolutions over neighbours, and pooling that halves the qubits."""

from collections.abc import Sequence

from circuits import _checks
from circuits.ansatzes.blocks import as_block, convolution_block, pooling_block
from circuits.ansatzes.patterns import require_neighbours
from circuits.circuit import Circuit


def convolution(n_qubits: int, *, block: Circuit | None = None, is_shared: bool = False) -> Circuit:
    """Return a block on the pairs (0, 1), (2, 3), ... and then on (1, 2), (3, 4), ..., (n - 1, 0).

    Every qubit is in two blocks. On two qubits these are (0, 1) and (1, 0).

    Args:
        n_qubits: number of qubits n, at least 2.
        block: a circuit on two qubits (default: `convolution_block`, 3 weights).
        is_shared: give all blocks the same weights, as a classical convolution does.

    Returns:
        A circuit with n block.n_weights weights (block.n_weights if they are shared), each block's after those of the
        block before.

    Raises:
        ValueError: one qubit alone, a block on another number of qubits or with data.
    """
    n_qubits = require_neighbours(n_qubits)
    block = convolution_block() if block is None else as_block(block)
    pairs = [(k, k + 1) for k in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2))]
    pairs.append((n_qubits - 1, 0))
    return _placed(n_qubits, block, pairs, is_shared=is_shared)


def pooling(n_qubits: int, *, block: Circuit | None = None, is_shared: bool = False) -> Circuit:
    """Return a block on qubits (k, k + n/2) for each k in the first half, whose information the second half takes.

    Args:
        n_qubits: number of qubits n, even.
        block: a circuit on two qubits, of which the first is dropped (default: `pooling_block`, 3 weights).
        is_shared: give all blocks the same weights.

    Returns:
        A circuit with n/2 block.n_weights weights (block.n_weights if they are shared). Qubits n/2..n-1 are kept.

    Raises:
        ValueError: an odd number of qubits, a block on another number of qubits or with data.
    """
    n_qubits = require_neighbours(n_qubits)
    if n_qubits % 2:
        raise ValueError(
            f"Argument `n_qubits` must be even for pooling, which joins qubits in pairs, but is {n_qubits}. Add one."
        )
    block = pooling_block() if block is None else as_block(block)
    half = n_qubits // 2
    return _placed(n_qubits, block, [(k, k + half) for k in range(half)], is_shared=is_shared)


def qcnn(
    n_qubits: int,
    *,
    n_kept: int = 1,
    convolution_by: Circuit | None = None,
    pooling_by: Circuit | None = None,
    is_shared: bool = False,
) -> Circuit:
    """Return convolutions and poolings by turns, until `n_kept` qubits are left; the last ones are kept.

    Args:
        n_qubits: number of qubits n, `n_kept` times a power of two.
        n_kept: number of qubits that are left.
        convolution_by: the block of convolutions (default: `convolution_block`).
        pooling_by: the block of poolings (default: `pooling_block`).
        is_shared: give the blocks of a layer the same weights.

    Returns:
        A circuit whose qubits n - n_kept..n-1 are to be read. In each stage of m qubits the convolution's weights come
        first (3 m), and then the pooling's (3 m / 2): 63 for 8 qubits, as in Qiskit's tutorial; with
        `is_shared` 6 a stage.

    Raises:
        ValueError: a number of qubits that pooling does not bring to `n_kept`, blocks on another number of qubits or
            with data.

    Reference:
        Cong et al., arXiv:1810.03787, figure 1.

    Example:
        >>> qcnn(8).n_weights, qcnn(8, is_shared=True).n_weights
        (63, 18)
    """
    n_qubits = require_neighbours(n_qubits)
    n_kept = _checks.as_int(n_kept, "n_kept", minimum=1)
    n_stages = (n_qubits // n_kept).bit_length() - 1
    if n_stages < 1 or n_kept * 2**n_stages != n_qubits:
        raise ValueError(
            f"Argument `n_qubits` must be {n_kept} times 2, 4, 8, ..., which pooling halves down to {n_kept}, but is "
            f"{n_qubits}. Add qubits."
        )
    circuit = Circuit(n_qubits)
    for stage in range(n_stages):
        size = n_qubits >> stage
        kept = range(n_qubits - size, n_qubits)
        circuit.compose(convolution(size, block=convolution_by, is_shared=is_shared), kept, fresh_weights=True)
        circuit.compose(pooling(size, block=pooling_by, is_shared=is_shared), kept, fresh_weights=True)
    return circuit


def _placed(n_qubits: int, block: Circuit, pairs: Sequence[tuple[int, int]], *, is_shared: bool) -> Circuit:
    is_fresh = not _checks.as_flag(is_shared, "is_shared")
    circuit = Circuit(n_qubits)
    for pair in pairs:
        circuit.compose(block, pair, fresh_weights=is_fresh)
    return circuit
