"""Coefficients kept from call to call while no parameter changes, so that inference is one matrix product."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qml.nn.qkan.series.bases import Basis


class Kept:
    """Coefficients of one layer in one basis, with copies of the parameters that they were computed from.

    Parameters are compared by value, since not every way of changing them leaves a trace. Copies and pickles of a layer
    start empty. The entry is one tuple, replaced as a whole, so that threads may share a layer.
    """

    def __init__(self) -> None:
        self._last: tuple[Basis, list[Tensor], Tensor] | None = None
        self._bandwidth: tuple[Tensor, float] | None = None

    def coefficients(self, basis: Basis, tensors: Sequence[Tensor], compute: Callable[[], Tensor]) -> Tensor:
        """Return the coefficients in `basis` that belong to the parameters `tensors`, outside of autograd."""
        last = self._last
        if last is not None and last[0] == basis and all(map(_same, last[1], tensors)):
            return last[2]
        coefficients = compute()
        self._last = basis, [tensor.detach().clone() for tensor in tensors], coefficients
        return coefficients

    def bandwidth(self, scale: Tensor, compute: Callable[[], float]) -> float:
        """Return the highest frequency that belongs to the scales of the input."""
        last = self._bandwidth
        if last is None or not _same(last[0], scale):
            last = scale.detach().clone(), compute()
            self._bandwidth = last
        return last[1]

    def __reduce__(self) -> tuple[type["Kept"], tuple[()]]:
        return Kept, ()

    def __deepcopy__(self, memo: dict) -> "Kept":
        return Kept()


def _same(kept: Tensor, now: Tensor) -> bool:
    return kept.dtype == now.dtype and kept.device == now.device and torch.equal(kept, now)
