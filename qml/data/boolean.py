"""Boolean functions of all strings of n bits: subset parity and subset majority (arXiv 1802.06002)."""

import torch
from jaxtyping import Float
from torch import Tensor

MAX_BITS = 20  # 2**20 strings of 20 float32 bits take 84 MB


def all_strings(n_bits: int) -> Float[Tensor, "batch inputs"]:
    """Every string of `n_bits` bits in binary order, bit 0 the most significant.

    Shape:
        (2**n_bits, n_bits), zeros and ones.
    """
    if not 1 <= n_bits <= MAX_BITS:
        raise ValueError(
            f"Argument `n_bits` must lie in 1..{MAX_BITS}, but is {n_bits}. Sample strings of more bits instead."
        )
    shifts = torch.arange(n_bits - 1, -1, -1)
    return ((torch.arange(2**n_bits)[:, None] >> shifts) & 1).to(torch.float32)


def random_subset(n_bits: int, size: int, *, seed: int) -> tuple[int, ...]:
    """`size` of the bits 0..n_bits-1, drawn at random and sorted."""
    if not 1 <= size <= n_bits:
        raise ValueError(f"Argument `size` must lie in 1..{n_bits}, but is {size}. Choose a smaller subset.")
    generator = torch.Generator().manual_seed(seed)
    return tuple(sorted(torch.randperm(n_bits, generator=generator)[:size].tolist()))


def subset_parity(bits: Float[Tensor, "batch inputs"], subset: tuple[int, ...]) -> Float[Tensor, " batch"]:
    """+1 where an even number of the subset's bits is 1, else -1."""
    return 1.0 - 2.0 * (bits[:, list(subset)].sum(-1) % 2)


def subset_majority(bits: Float[Tensor, "batch inputs"], subset: tuple[int, ...]) -> Float[Tensor, " batch"]:
    """+1 where most of the subset's bits are 0 (Z = +1), -1 where most are 1.

    Raises:
        ValueError: If the subset has an even number of bits, which can tie.
    """
    if len(subset) % 2 == 0:
        raise ValueError(
            f"Argument `subset` must hold an odd number of bits, but holds {len(subset)}. A tie has no "
            "majority: add or remove a bit."
        )
    return torch.sign((1.0 - 2.0 * bits[:, list(subset)]).sum(-1))
