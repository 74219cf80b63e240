"""Residual activations, which a QKAN layer adds to its circuits on every edge."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "identity": torch.positive,
}


def base_function(base: str | Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor] | None:
    """Return the function of a name, or the function itself.

    Raises:
        ValueError: another name, or no function.
    """
    if base is None or callable(base):
        return base
    if not isinstance(base, str) or base not in BASES:
        raise ValueError(f"Argument `base` must be a function, None or one of {', '.join(BASES)}, but is {base!r}.")
    return BASES[base]
