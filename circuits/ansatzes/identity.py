"""Circuits of blocks that are the identity at first, so that gradients do not vanish at the start."""

import numpy as np

from circuits import _checks
from circuits.circuit import Circuit


def identity_blocks(block: Circuit, n_blocks: int = 1) -> Circuit:
    """Return `n_blocks` times a block and the inverse of its copy, each with weights of their own.

    At the weights of `identity_weights` every block is the identity.

    Args:
        block: a circuit of weights that is unitary.
        n_blocks: number of blocks M, at least 1.

    Returns:
        A circuit with 2 M block.n_weights weights: of each block those of the first half, then those of the second.

    Raises:
        ValueError: data slots, or a block that is not unitary.

    Reference:
        Grant et al., arXiv:1903.05076, figure 1.

    Example:
        >>> from circuits import ansatzes
        >>> ansatzes.identity_blocks(ansatzes.basic_entangler(3), 2).n_weights
        12
    """
    _checks.require_kind(block, "block", Circuit)
    if block.n_data:
        raise ValueError(f"Argument `block` must hold weights only, but has {block.n_data} data slots.")
    pair = block.copy().compose(block.inverse(), fresh_weights=True)
    return pair.repeat(n_blocks)


def identity_weights(block: Circuit, n_blocks: int = 1, *, seed: int | np.random.Generator | None = None) -> np.ndarray:
    """Return first weights for `identity_blocks`: uniform in [-pi, pi), the same in both halves of a block.

    Args:
        block: as for `identity_blocks`.
        n_blocks: as for `identity_blocks`.
        seed: a seed or a generator of NumPy.

    Returns:
        An array of shape (2 n_blocks block.n_weights,).
    """
    n_blocks = _checks.as_int(n_blocks, "n_blocks", minimum=1)
    halves = np.random.default_rng(seed).uniform(-np.pi, np.pi, (n_blocks, 1, block.n_weights))
    return np.repeat(halves, 2, axis=1).reshape(-1)
