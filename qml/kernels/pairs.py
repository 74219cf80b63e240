"""Pairs of samples that a kernel matrix needs."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """The pairs of a kernel matrix that are measured.

    Attributes:
        first: Row of the samples, one a pair.
        second: Likewise, the larger number.
        places: For each entry of the matrix its pair; the number of pairs stands for a sample with itself.
    """

    first: Tensor
    second: Tensor
    places: Tensor


def pairs_of(rows: Tensor, columns: Tensor | None) -> Pairs:
    """List the pairs of samples that a matrix needs, each once.

    Samples that need no gradient are compared by value, so that equal ones are one; others by their number.
    """
    inputs = rows if columns is None else torch.cat([rows, columns])
    everyone = torch.arange(len(inputs), device=inputs.device)
    numbers = everyone if inputs.requires_grad else _first_of_equal(inputs)
    left = numbers[: len(rows), None]
    right = (numbers if columns is None else numbers[len(rows) :])[None, :]
    low, high = torch.minimum(left, right), torch.maximum(left, right)
    codes = low * len(inputs) + high
    distinct, places = torch.unique(codes[low != high], return_inverse=True)
    table = torch.full_like(codes, len(distinct))
    table[low != high] = places
    return Pairs(distinct // max(len(inputs), 1), distinct % max(len(inputs), 1), table)


def _first_of_equal(inputs: Tensor) -> Tensor:
    """Return for each row the number of the first row that is equal to it."""
    if not inputs.numel():  # rows without features are all equal, which torch.unique does not take
        return torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    _, group = torch.unique(inputs, dim=0, return_inverse=True)
    numbers = torch.arange(len(inputs), device=inputs.device)
    first = numbers.new_full((len(inputs),), len(inputs)).scatter_reduce(0, group, numbers, "amin")
    return first[group]
