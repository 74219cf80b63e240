"""Options that networks and recurrent layers hand on to each of their QKAN layers."""

from collections.abc import Callable
from typing import Literal, TypedDict

import torch
from torch import Tensor

from circuits import Circuit
from qml.backends import Backend


class LayerOptions(TypedDict, total=False):
    """Keyword arguments of `QKANLayer`; a misspelt one is refused there."""

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
