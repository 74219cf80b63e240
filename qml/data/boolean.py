"""Boolean functions of all strings of n bits: subset parity and subset majority (arXiv 1802.06002)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

MAX_BITS = 20  # 2**20 strings of 20 float32 bits take 84 MB


def all_strings(n_bits: int) -> Float[Tensor, "batch inputs"]:
    """List every string of `n_bits` bits in binary order, bit 0 the most significant.

    Shape:
        (2**n_bits, n_bits), zeros and ones.
    """
    n_bits = checks.as_int(n_bits, "n_bits", 0)
    if not 1 <= n_bits <= MAX_BITS:
        raise ValueError(
            f"Argument `n_bits` must lie in 1..{MAX_BITS}, but is {n_bits}. Sample strings of more bits instead."
        )
    shifts = torch.arange(n_bits - 1, -1, -1)
    return ((torch.arange(2**n_bits)[:, None] >> shifts) & 1).to(torch.float32)


def random_subset(n_bits: int, size: int, *, seed: int) -> tuple[int, ...]:
    """Draw `size` of the bits 0..n_bits-1 at random, and sort them."""
    n_bits, size = checks.as_int(n_bits, "n_bits", 1), checks.as_int(size, "size", 0)
    seed = checks.as_int(seed, "seed", -(2**63))
    if not 1 <= size <= n_bits:
        raise ValueError(f"Argument `size` must lie in 1..{n_bits}, but is {size}. Choose a smaller subset.")
    generator = torch.Generator().manual_seed(seed)
    return tuple(sorted(torch.randperm(n_bits, generator=generator)[:size].tolist()))


def subset_parity(bits: Any, subset: Sequence[int]) -> Float[Tensor, " batch"]:  # both are checked below
    """Return +1 where an even number of the subset's bits is 1, else -1.

    Args:
        bits: zeros and ones, (batch, inputs).
        subset: different places among the inputs.

    Raises:
        TypeError: bits that are no tensor, places that are no ints.
        ValueError: a place that there is none of, or twice.
    """
    subset = _as_subset(bits, subset)
    return 1.0 - 2.0 * (bits[:, list(subset)].sum(-1) % 2)


def subset_majority(bits: Any, subset: Sequence[int]) -> Float[Tensor, " batch"]:  # both are checked below
    """Return +1 where most of the subset's bits are 0 (Z = +1), -1 where most are 1.

    Raises:
        TypeError: As in `subset_parity`.
        ValueError: If the subset has an even number of bits, which can tie, or as in `subset_parity`.
    """
    subset = _as_subset(bits, subset)
    if len(subset) % 2 == 0:
        raise ValueError(
            f"Argument `subset` must hold an odd number of bits, but holds {len(subset)}. A tie has no "
            "majority: add or remove a bit."
        )
    return torch.sign((1.0 - 2.0 * bits[:, list(subset)]).sum(-1))


def _as_subset(bits: Any, subset: Any) -> tuple[int, ...]:
    """Return different places among the columns of `bits`."""
    checks.require_tensor(bits, "bits")
    if bits.ndim != 2:
        raise ValueError(f"Argument `bits` must have shape (batch, inputs), but has shape {tuple(bits.shape)}.")
    places = checks.as_ints(subset, "subset", 0, at_least=0)
    if len(set(places)) < len(places) or max(places, default=0) >= bits.shape[1]:
        raise ValueError(f"Argument `subset` must hold different places in 0..{bits.shape[1] - 1}, but is {places}.")
    return places
