"""Where activations start."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from qml import checks

if TYPE_CHECKING:
    from qml.nn.qkan.activations import Activations


def reset_activations(module: "Activations", generator: torch.Generator | None) -> None:
    """Angles from N(0, 0.5), pre-activations x."""
    checks.require_generator(generator)
    nn.init.normal_(module.weights, std=0.5, generator=generator)
    if module.input_weight is not None and module.input_bias is not None:
        nn.init.ones_(module.input_weight)
        nn.init.zeros_(module.input_bias)
