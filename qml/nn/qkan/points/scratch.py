"""Memory for intermediate results, kept from call to call: fresh memory costs a page fault for every 4 KiB of it."""

import math
import threading

import torch
from torch import Tensor

MOST = 2**22  # numbers that are kept of a precision: 16 MiB in float32
SHAPES = 64  # ways of cutting them up that are remembered


class Scratch(threading.local):
    """One block of numbers a thread and precision, on the CPU; elsewhere torch's allocator keeps memory by itself.

    What `take` gave is valid until the next call of `take` on the same thread.
    """

    def __init__(self) -> None:
        self._blocks: dict[torch.dtype, Tensor] = {}
        self._cut: dict[tuple[torch.dtype, int, tuple[int, ...]], tuple[Tensor, tuple[Tensor, ...]]] = {}

    def take(self, n: int, shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Uninitialised numbers in the precision and on the device of `like`: (n, *shape), and the n parts of it."""
        size = n * math.prod(shape)
        if like.device.type != "cpu" or size > MOST:
            block = like.new_empty(n, *shape)
            return block, block.unbind()
        key = like.dtype, n, shape
        if key not in self._cut:
            with torch.inference_mode(False):
                if like.dtype not in self._blocks or len(self._blocks[like.dtype]) < size:
                    self._blocks[like.dtype] = torch.empty(size, dtype=like.dtype)
                    self._cut.clear()
                if len(self._cut) >= SHAPES:
                    self._cut.clear()
                block = self._blocks[like.dtype][:size].view(n, *shape)
                self._cut[key] = block, block.unbind()
        return self._cut[key]


SCRATCH = Scratch()
