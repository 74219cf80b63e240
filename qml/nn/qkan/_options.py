"""Options that networks and recurrent layers pass on to each of their QKAN layers."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import torch
from torch import Tensor

from circuits import Circuit
from qml.backends import Backend


class LayerOptions(TypedDict, total=False):
    """The keyword arguments that `QKANLayer` takes; it refuses a misspelt one."""

    reps: int
    ansatz: str | Circuit
    train_preactivation: bool
    train_postactivation: bool
    base: str | Callable[[Tensor], Tensor] | None
    groups: int | None
    readout: Literal["z", "amplitudes"]
    backend: Backend | str
    device: torch.device | str | None
    dtype: torch.dtype | None
    generator: torch.Generator | None


def shared_options(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a `QKANLayer.config` that all layers of a network share: all but the sizes."""
    return {name: value for name, value in config.items() if name not in ("in_features", "out_features")}
