"""Checks at the border of every layer."""

import math

import torch
from torch import Tensor

from qml.simulator.evolve import in_functorch


def require_at_least(value: int, name: str, minimum: int) -> None:
    """Refuse a value below `minimum`, or one that is not an int."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"Argument `{name}` must be an int, but is {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"Argument `{name}` must be at least {minimum}, but is {value}.")


def require_last_dimension(inputs: Tensor, size: int, name: str) -> None:
    """Refuse a tensor whose last dimension is not `size`."""
    if inputs.ndim < 1 or inputs.shape[-1] != size:
        raise ValueError(
            f"Argument `{name}` must have shape (..., {size}), but has shape {tuple(inputs.shape)}. Pass that many "
            "features, or build the layer for as many as there are."
        )


def require_choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among `choices`."""
    if value not in choices:
        raise ValueError(f"Argument `{name}` must be one of {', '.join(map(repr, choices))}, but is {value!r}.")


def require_finite_bounds(low: float, high: float, name: str) -> None:
    """Refuse a tensor whose least or largest value is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity. Check where it comes from.")


def require_finite(inputs: Tensor, name: str) -> None:
    """Refuse NaN and infinity, where values can be looked at."""
    if inputs.numel() and not in_transform():
        low, high = (bound.item() for bound in inputs.detach().aminmax())
        require_finite_bounds(low, high, name)


def in_transform() -> bool:
    """Whether values cannot be looked at: inside torch.func transforms or torch.compile."""
    return torch.compiler.is_compiling() or in_functorch()
