"""Scratch memory for states that is used again by the next call.

Fresh memory of a megabyte costs more than a matrix product over it: the operating system hands it out in pages that are
cleared one by one. The simulator keeps a bounded amount of scratch instead. A buffer belongs to one pass at a time and
comes back when the pass, or the graph that holds it for a backward pass, is gone.
"""

import threading

import torch
from torch import Tensor

KEPT_BYTES = 2**28  # 256 MiB in the whole process; what is beyond goes back to the system

Key = tuple[tuple[int, ...], torch.dtype, torch.device]


class Workspace:
    """Idle buffers by shape, dtype and device; the kinds that were used least recently go first."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept_bytes, self.idle_bytes = kept_bytes, 0
        self._idle: dict[Key, list[Tensor]] = {}
        self._lock = threading.RLock()  # a garbage collection inside may give buffers back

    def lend(self, key: Key) -> Tensor:
        """A tensor whose content is undefined."""
        with self._lock:
            idle = self._idle.get(key)
            if idle:
                tensor = idle.pop()
                self.idle_bytes -= _bytes(tensor)
                return tensor
        shape, dtype, device = key
        with torch.inference_mode(False):  # the buffer outlives the mode in which it is first needed
            return torch.empty(shape, dtype=dtype, device=device)

    def take_back(self, key: Key, tensors: list[Tensor]) -> None:
        """Accept buffers, up to the limit; older kinds make room."""
        with self._lock:
            idle = self._idle.pop(key, [])
            self._idle[key] = idle
            for tensor in tensors:
                size = _bytes(tensor)
                while self.idle_bytes + size > self.kept_bytes and next(iter(self._idle)) != key:
                    oldest = self._idle.pop(next(iter(self._idle)))
                    self.idle_bytes -= sum(_bytes(old) for old in oldest)
                if self.idle_bytes + size <= self.kept_bytes:
                    idle.append(tensor)
                    self.idle_bytes += size


WORKSPACE = Workspace()


class Loan:
    """The buffers of one pass, all of one kind; they go back together, or when the loan is dropped."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.key: Key = (shape, dtype, device)
        self._held: list[Tensor] = []

    def buffer(self) -> Tensor:
        """One more buffer."""
        tensor = WORKSPACE.lend(self.key)
        self._held.append(tensor)
        return tensor

    def give_back(self) -> None:
        """Return all buffers."""
        held, self._held = self._held, []
        if held:
            WORKSPACE.take_back(self.key, held)

    def __del__(self) -> None:
        self.give_back()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
