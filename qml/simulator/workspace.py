"""Scratch memory for states that is used again by the next call.

Fresh memory of a megabyte costs more than a matrix product over it: the operating system hands it out in pages that are
cleared one by one. A plan keeps a bounded amount of scratch instead. A buffer belongs to one pass at a time and comes
back when the pass, or the graph that holds it for a backward pass, is gone.
"""

import torch
from torch import Tensor

KEPT_BYTES = 2**26  # 64 MiB a plan; registers beyond it use ordinary memory


class Workspace:
    """A pool of tensors of one shape and dtype at a time."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []
        self._shape: tuple[int, ...] = ()

    def lend(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor whose content is undefined."""
        if shape != self._shape:
            self._free, self._shape = [], shape
        try:
            return self._free.pop()
        except IndexError:  # another thread may take the last one between a check and the pop
            with torch.inference_mode(False):  # the buffer outlives the mode in which it is first needed
                return torch.empty(shape, dtype=dtype, device=device)

    def take_back(self, tensor: Tensor) -> None:
        """Accept a tensor of the present shape, up to the limit; others are let go."""
        if tuple(tensor.shape) != self._shape:
            return
        if (len(self._free) + 1) * tensor.numel() * tensor.element_size() <= KEPT_BYTES:
            self._free.append(tensor)


class Loan:
    """The buffers of one pass; they go back together, or when the loan is dropped."""

    def __init__(self, workspace: Workspace, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.workspace, self.shape, self.dtype, self.device = workspace, shape, dtype, device
        self._held: list[Tensor] = []

    def buffer(self) -> Tensor:
        """One more buffer of the loan's shape."""
        tensor = self.workspace.lend(self.shape, self.dtype, self.device)
        self._held.append(tensor)
        return tensor

    def give_back(self) -> None:
        """Return all buffers."""
        while self._held:
            self.workspace.take_back(self._held.pop())

    def __del__(self) -> None:
        self.give_back()
