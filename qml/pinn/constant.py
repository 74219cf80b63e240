"""Numbers that every step of training needs as a tensor."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class Constant:
    """An array of numbers, made a tensor once for every dtype and device that it meets.

    Args:
        numbers: of any shape; they are copied.
    """

    def __init__(self, numbers: Float[np.ndarray, "..."]) -> None:
        self._numbers = np.array(numbers)
        self._made: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def like(self, other: Tensor) -> Tensor:
        """Return the numbers in the dtype and on the device of another tensor; it must not be written to."""
        key = other.dtype, other.device
        if type(other) is Tensor and key in self._made:
            return self._made[key]
        with torch.inference_mode(False):  # or nobody could train with it later
            made = torch.as_tensor(self._numbers, dtype=other.dtype, device=other.device)
        if type(made) is Tensor and not torch.compiler.is_dynamo_compiling() and _has_memory(made):
            self._made[key] = made
        return made


def _has_memory(made: Tensor) -> bool:
    """Return False if it only stands for a tensor while torch.func differentiates."""
    try:
        made.untyped_storage()
    except NotImplementedError:
        return False
    return True
