"""Coefficients kept from call to call while no parameter changes: what makes inference one matrix product."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qml.nn.qkan.series.bases import Basis


class Kept:
    """Coefficients of one layer in one basis, with copies of the parameters that they were computed from.

    Parameters are compared by value, since not every way of changing them leaves a trace. Copies and pickles of a layer
    start without. What is kept is one tuple, replaced as a whole: threads may share a layer.
    """

    def __init__(self) -> None:
        self._found: tuple[Basis, list[Tensor], Tensor] | None = None
        self._bandwidth: tuple[Tensor, float] | None = None

    def coefficients(self, basis: Basis, tensors: Sequence[Tensor], compute: Callable[[], Tensor]) -> Tensor:
        """The coefficients in `basis` that belong to the parameters `tensors`, outside of autograd."""
        found = self._found
        if found is not None and found[0] == basis and all(map(_same, found[1], tensors)):
            return found[2]
        coefficients = compute()
        self._found = basis, [tensor.detach().clone() for tensor in tensors], coefficients
        return coefficients

    def bandwidth(self, scale: Tensor, compute: Callable[[], float]) -> float:
        """The highest frequency that belongs to the scales of the input."""
        found = self._bandwidth
        if found is None or not _same(found[0], scale):
            found = scale.detach().clone(), compute()
            self._bandwidth = found
        return found[1]

    def __reduce__(self) -> tuple[type["Kept"], tuple[()]]:
        return Kept, ()

    def __deepcopy__(self, memo: dict) -> "Kept":
        return Kept()


def _same(kept: Tensor, now: Tensor) -> bool:
    return kept.dtype == now.dtype and kept.device == now.device and torch.equal(kept, now)
