"""How the operands of batched operations are collected from the results of earlier ones."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class MatrixPlace(NamedTuple):
    """A place of one matrix: the group that computes it, and its number there."""

    group: int
    entry: int


@dataclass(frozen=True, eq=False)
class Fetch:
    """A collection of matrices from earlier groups, as one batch.

    Attributes:
        groups: the earlier groups, laid behind each other.
        sizes: how many matrices each of them has.
        selection: which of those are taken: all (None), a slice, or an index.
    """

    groups: tuple[int, ...]
    sizes: tuple[int, ...]
    selection: slice | Tensor | None

    def __call__(self, values: list[Tensor], dtype: torch.dtype) -> Tensor:
        source = values[self.groups[0]]
        if len(self.groups) > 1:
            source = torch.cat([values[group].to(dtype) for group in self.groups])
        elif source.dtype != dtype:
            source = source.to(dtype)
        if self.selection is None:
            return source
        if isinstance(self.selection, slice):
            return source[self.selection]
        return source.index_select(0, self.selection)

    def pullback(self, mu: Tensor, values: list[Tensor], grads: list[Tensor | None]) -> None:
        """Add mu of the collected matrices to mu of the groups they came from."""
        if len(self.groups) == 1:
            group = self.groups[0]
            grads[group] = _plus_selected(grads[group], _real_if(values[group], mu), self.selection, self.sizes[0])
            return
        joined = _plus_selected(None, mu, self.selection, sum(self.sizes))
        start = 0
        for group, size in zip(self.groups, self.sizes, strict=True):
            part = _real_if(values[group], joined[start : start + size])
            grads[group] = _plus_selected(grads[group], part, None, size)
            start += size


def fetch_for(places: list[MatrixPlace], sizes: list[int], device: torch.device) -> Fetch:
    """Plan how to collect the matrices at `places`, without a copy where a slice will do.

    Args:
        places: where they are.
        sizes: the number of matrices of every group.
        device: where an index is needed.
    """
    sources = tuple(sorted({group for group, _ in places}))
    chosen = tuple(sizes[group] for group in sources)
    starts = dict(zip(sources, np.cumsum((0, *chosen[:-1])).tolist(), strict=True))
    wanted = np.array([starts[group] + entry for group, entry in places])
    steps = np.unique(np.diff(wanted))
    if np.array_equal(wanted, np.arange(sum(chosen))):
        return Fetch(sources, chosen, None)
    if len(wanted) == 1:
        return Fetch(sources, chosen, slice(int(wanted[0]), int(wanted[0]) + 1))
    if len(steps) == 1 and steps[0] > 0:
        return Fetch(sources, chosen, slice(int(wanted[0]), int(wanted[-1]) + 1, int(steps[0])))
    return Fetch(sources, chosen, torch.as_tensor(wanted, device=device))


def _real_if(value: Tensor, mu: Tensor) -> Tensor:
    """Return the part of mu that `value` has a share in: the real part for a real matrix."""
    return mu.real if mu.is_complex() and not value.is_complex() else mu


def _plus_selected(total: Tensor | None, mu: Tensor, selection: slice | Tensor | None, size: int) -> Tensor:
    """Return total with mu added at `selection`, where None stands for zeros; `total` may be changed."""
    if selection is None:
        return mu if total is None else total + mu
    if total is None:
        total = mu.new_zeros(size, *mu.shape[1:])
        if isinstance(selection, slice):
            total[selection] = mu
            return total
    if isinstance(selection, slice):
        total[selection] += mu
    else:
        total.index_add_(0, selection, mu)
    return total
