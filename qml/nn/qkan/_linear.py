"""Affine maps that start from a generator."""

import math

import torch
from torch import nn


def linear(
    in_features: int,
    out_features: int,
    *,
    bias: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> nn.Linear:
    """Build an `nn.Linear` with its initial distribution drawn from `generator`; none is seeded or drawn globally."""
    place = torch.get_default_device() if device is None else device
    layer = nn.Linear(in_features, out_features, bias=bias, device="meta", dtype=dtype).to_empty(device=place)
    reset_linear(layer, generator)
    return layer


def reset_linear(layer: nn.Linear, generator: torch.Generator | None) -> None:
    """Draw the parameters from the distribution of `nn.Linear`, U(-k, k) with k = in_features**(-1 / 2)."""
    bound = 1.0 / math.sqrt(layer.in_features)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
