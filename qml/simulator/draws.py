"""Random numbers drawn where their generator is, whatever device the rest is on: a seed is a seed."""

from collections.abc import Sequence

import torch
from torch import Tensor


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw numbers in [0, 1) in the dtype and on the device of `like`."""
    return torch.rand(*shape, dtype=like.dtype, device=_device(like, generator), generator=generator).to(like.device)


def multinomial(probabilities: Tensor, n_draws: int, generator: torch.Generator | None) -> Tensor:
    """Draw `n_draws` outcomes from each row; (rows, outcomes) to (rows, n_draws), int64."""
    on_device = probabilities.to(_device(probabilities, generator))
    return torch.multinomial(on_device, n_draws, replacement=True, generator=generator).to(probabilities.device)


def _device(like: Tensor, generator: torch.Generator | None) -> torch.device:
    return like.device if generator is None else generator.device
