"""Scratch memory for states that is used again by the next call.

Fresh memory of a megabyte costs more than a matrix product over it: the operating system hands it out in pages that are
cleared one by one. The simulator keeps a bounded amount of scratch instead. A buffer belongs to one pass at a time and
comes back when the pass, or the graph that holds it for a backward pass, is gone.
"""

import threading
from collections import deque
from types import TracebackType

import torch
from torch import Tensor

KEPT_BYTES = 2**28  # 256 MiB in the whole process; what is beyond goes back to the system

Key = tuple[tuple[int, ...], torch.dtype, torch.device]


class Workspace:
    """Idle buffers by shape, dtype and device; the kinds that were used least recently go first.

    Any thread may borrow and return, and so may a finaliser that interrupts this very code: what is returned is put
    into a queue, which needs no lock, and whoever holds the lock sorts it in.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept_bytes, self.idle_bytes = kept_bytes, 0
        self._idle: dict[Key, list[Tensor]] = {}
        self._returned: deque[tuple[Key, list[Tensor]]] = deque()
        self._lock = threading.Lock()

    def lend(self, key: Key) -> Tensor:
        """A tensor whose content is undefined."""
        with self._lock:
            self._sort_in()
            idle = self._idle.get(key)
            tensor = idle.pop() if idle else None
            if tensor is not None:
                self.idle_bytes -= _bytes(tensor)
        self._tidy()
        if tensor is not None:
            return tensor
        shape, dtype, device = key
        with torch.inference_mode(False):  # the buffer outlives the mode in which it is first needed
            return torch.empty(shape, dtype=dtype, device=device)

    def take_back(self, key: Key, tensors: list[Tensor]) -> None:
        """Accept buffers, up to the limit; older kinds make room."""
        self._returned.append((key, tensors))
        self._tidy()

    def _tidy(self) -> None:
        """Sort in what was returned, unless somebody is at it, who looks again behind the lock's end."""
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._sort_in()
            finally:
                self._lock.release()

    def _sort_in(self) -> None:
        """Take what was returned, with the lock held."""
        while self._returned:
            key, tensors = self._returned.popleft()
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
    """The buffers of one pass, all of one kind. They go back together, when the loan ends or is dropped.

    Nothing that lies in a buffer may be used afterwards: another thread may be writing to it.
    """

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

    def __enter__(self) -> "Loan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def __del__(self) -> None:
        self.give_back()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
