"""Tensors that are made once and serve every later call."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def outside_of_modes() -> Iterator[None]:
    """Make tensors here that outlive inference mode and the transform of torch.func that is active."""
    with torch.inference_mode(False), torch._C._DisableFuncTorch():
        yield
