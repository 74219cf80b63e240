"""The functions 1, cos(f t) and sin(f t) of which every matrix of an angle t is a sum, and their pullback."""

import torch
from torch import Tensor


def waves(phases: Tensor, ones: Tensor | None = None) -> Tensor:
    """Return (1, cos, sin) of phases (maps, F, ...) along their second dimension, of size 1 + 2 F.

    Args:
        phases: the products f t.
        ones: a tensor of ones of shape (maps, 1, ...), made here if it is not given.
    """
    first = torch.ones_like(phases[:, :1]) if ones is None else ones
    return torch.cat([first, torch.cos(phases), torch.sin(phases)], 1)


def phase_gradient(grad: Tensor, waves: Tensor) -> Tensor:
    """Return the gradient of the phases (maps, F, ...) from that of their waves; d cos = -sin, d sin = cos."""
    n = waves.shape[1] // 2
    cosine, sine = waves[:, 1 : n + 1], waves[:, n + 1 :]
    return cosine * grad[:, n + 1 :] - sine * grad[:, 1 : n + 1]
