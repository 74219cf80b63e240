"""Memory that is used again: a buffer is lent to one borrower at a time and comes back when its loan ends.

Fresh memory costs a page fault for every 4 KiB of it, which is more than many operations on it cost. So buffers that
nobody uses are kept, up to a bound for the whole process, and lent again. Three parts of the package borrow here: the
simulator (states of a circuit), `qml.jets` (layers of a fused network) and QKAN layers (registers of their circuits).

The rule of ownership, which is the same for all of them:

1. A buffer on loan belongs to its loan alone. Nobody else reads it or writes to it, in whatever thread.
2. A loan ends at one of three moments: at the end of its `with` block, when the `Loan` object is dropped, or, after
   `end_with(tensor)`, when that tensor is gone. The last two hand a buffer to a graph: a graph drops an object that it
   holds when it goes itself, and a tensor that it has saved already by its backward pass.
3. After that, nobody may read what lay in the buffer: another thread may be writing to it already. A result that
   outlives its loan must not lie in a buffer.
4. A buffer that someone else might still hold is not given back at all; it is left to Python, and a new one is made.

Threads share one pool. A loan may begin in one thread and end in another, and it may end inside a finaliser that
interrupts the pool's own code. A forked process starts with an empty pool.
"""

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

IDLE_BYTES_LIMIT = 2**28  # 256 MiB of idle buffers in the whole process; what is beyond goes back to the system
STACK_BYTES_LIMIT = 2**24  # 16 MiB: a larger `StackedBuffer` is not kept


@runtime_checkable
class Buffer(Protocol):
    """Memory that can be lent: a tensor, or an object that holds one and its views."""

    @property
    def nbytes(self) -> int:
        """Return its size in bytes."""
        ...


Lent = TypeVar("Lent", bound=Buffer)


class BufferPool:
    """Idle buffers by key; the keys that were used least recently go first where the pool is full.

    Args:
        idle_bytes_limit: size of all idle buffers, in bytes.

    Attributes:
        idle_bytes: size of the buffers that are idle now.
    """

    def __init__(self, idle_bytes_limit: int = IDLE_BYTES_LIMIT) -> None:
        self.idle_bytes_limit = idle_bytes_limit
        self.empty()

    def empty(self) -> None:
        """Forget all idle buffers, and whoever may hold the lock: a forked process has one thread only."""
        self.idle_bytes = 0
        self._idle: dict[Hashable, list[Any]] = {}
        self._returned: deque[tuple[Hashable, list[Any]]] = deque()
        self._lock = threading.Lock()

    def lend(self, key: Hashable, make: Callable[[], Lent]) -> Lent:
        """Return a buffer whose content is undefined: an idle one of this key, or else a new one from `make`."""
        with self._lock:
            if self._returned:
                self._sort_in()
            idle = self._idle.get(key)
            buffer = idle.pop() if idle else None
            if buffer is not None:
                self.idle_bytes -= buffer.nbytes
        if self._returned:
            self._tidy()
        if buffer is not None:
            return buffer
        with torch.inference_mode(False):  # the buffer outlives the mode in which it is first needed
            return make()

    def take_back(self, key: Hashable, buffers: list[Any]) -> None:
        """Accept buffers of a key, up to the limit; those of older keys make room.

        A finaliser may call this while its thread holds the lock. So it only puts the buffers into a queue, which needs
        no lock; whoever holds the lock sorts them in.
        """
        self._returned.append((key, buffers))
        self._tidy()

    def _tidy(self) -> None:
        """Sort in what was returned, unless another call holds the lock: that one looks again after its release."""
        while self._returned and self._lock.acquire(False):
            try:
                self._sort_in()
            finally:
                self._lock.release()

    def _sort_in(self) -> None:
        """Move what was returned to the idle buffers. The caller holds the lock."""
        while self._returned:
            key, buffers = self._returned.popleft()
            idle = self._idle.pop(key, [])
            self._idle[key] = idle  # as the key that was used last
            for buffer in buffers:
                size = buffer.nbytes
                if size > self.idle_bytes_limit:
                    continue
                while self.idle_bytes + size > self.idle_bytes_limit and next(iter(self._idle)) != key:
                    oldest = self._idle.pop(next(iter(self._idle)))
                    self.idle_bytes -= sum(old.nbytes for old in oldest)
                if self.idle_bytes + size <= self.idle_bytes_limit:
                    idle.append(buffer)
                    self.idle_bytes += size


POOL = BufferPool()


def _empty_the_pool() -> None:
    POOL.empty()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_empty_the_pool)


class Loan(Generic[Lent]):
    """Buffers of one key on loan; the head of this file says when the loan ends.

    Args:
        key: what makes buffers alike: begins with their class, then shape or layout, dtype and device.
        make: returns a new buffer of this key.
        is_kept: if False, all buffers are new and none is given back.
    """

    __slots__ = ("_held", "_is_kept", "_key", "_make")

    def __init__(self, key: Hashable, make: Callable[[], Lent], *, is_kept: bool = True) -> None:
        self._key, self._make, self._is_kept = key, make, is_kept
        self._held: list[Lent] = []

    def buffer(self) -> Lent:
        """Return one more buffer, whose content is undefined."""
        if not self._is_kept:
            return self._make()
        buffer = POOL.lend(self._key, self._make)
        self._held.append(buffer)
        return buffer

    def end(self) -> None:
        """Give all buffers back."""
        if self._held:
            held, self._held = self._held, []
            POOL.take_back(self._key, held)

    def end_with(self, holder: "weakref.ref[Tensor]") -> None:
        """Let the loan end when a tensor is gone, which is an alias of the buffer that a graph has saved.

        Call this once the graph is recorded. If the tensor is gone by then, hooks on saved tensors have taken it and
        may still use its memory: such a buffer is never given back.
        """
        tensor, held, self._held = holder(), self._held, []
        if tensor is not None and held:
            weakref.finalize(tensor, POOL.take_back, self._key, held).atexit = False

    def __enter__(self) -> "Loan[Lent]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def __del__(self) -> None:
        if self._held:
            self.end()


def is_worth_keeping(like: Tensor) -> bool:
    """Return True if buffers beside this tensor gain by the pool.

    They do not where tensors only stand for others (while compiling, or in a tensor's subclass), nor on other devices,
    whose memory torch keeps by itself.
    """
    return type(like) is Tensor and like.is_cpu and not torch.compiler.is_dynamo_compiling()


def tensor_loan(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Loan[Tensor]:
    """Return a loan of tensors of one kind."""
    return Loan((Tensor, shape, dtype, device), lambda: torch.empty(shape, dtype=dtype, device=device))


class StackedBuffer:
    """Tensors of one shape that lie in one block of memory.

    Args:
        n_parts: number of tensors.
        shape: of each.
        like: a tensor of their dtype and device.

    Attributes:
        block: all of them, (n_parts, *shape).
        parts: the tensors one by one.
        nbytes: size in bytes.
    """

    def __init__(self, n_parts: int, shape: tuple[int, ...], like: Tensor) -> None:
        self.block = like.new_empty(n_parts, *shape)
        self.parts = self.block.unbind()
        self.nbytes = self.block.nbytes


def stack_loan(n_parts: int, shape: tuple[int, ...], like: Tensor) -> Loan[StackedBuffer]:
    """Return a loan of stacks of tensors, of the dtype and device of `like`."""
    size = n_parts * math.prod(shape) * like.element_size()
    key = StackedBuffer, n_parts, shape, like.dtype
    is_kept = size <= STACK_BYTES_LIMIT and is_worth_keeping(like)
    return Loan(key, lambda: StackedBuffer(n_parts, shape, like), is_kept=is_kept)
