"""The tables of what depends on data: coefficients and angles, computed for all steps of a plan together."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qml.simulator.linear import Linear
from qml.simulator.trigonometry import phase_gradient, waves


@dataclass(frozen=True, eq=False)
class DataTables:
    """Maps with an angle of each sample, whose coefficients are computed together.

    Attributes:
        index: data slot of each map.
        frequencies: shape (maps, F).
    """

    index: Tensor
    frequencies: Tensor

    def coefficients(self, data: Tensor) -> Tensor:
        """Compute (1, cos, sin) of every map and sample; data (batch, slots) to (maps, 1 + 2 F, batch)."""
        angles = data.mT.index_select(0, self.index)
        return waves(self.frequencies[:, :, None] * angles[:, None])

    def pullback(self, grad: Tensor | None, coefficients: Tensor | None, data_grad: Tensor) -> None:
        """Add the gradient of the data, shape (batch, slots), to `data_grad`."""
        if grad is None or coefficients is None:
            return
        of_phases = phase_gradient(grad, coefficients)
        data_grad.index_add_(1, self.index, (of_phases * self.frequencies[:, :, None]).sum(1).mT)


@dataclass(frozen=True, eq=False)
class PhaseTables:
    """The data slots of all phases, one after another."""

    index: Tensor

    def coefficients(self, data: Tensor) -> Tensor:
        """Return the angles themselves; data (batch, slots) to (phases, batch)."""
        return data.mT.index_select(0, self.index)

    def pullback(self, grad: Tensor | None, coefficients: Tensor | None, data_grad: Tensor) -> None:
        """Add the gradient of the data, shape (batch, slots), to `data_grad`."""
        if grad is not None:
            data_grad.index_add_(1, self.index, grad.mT)


def data_tables(maps: list[Linear], dtype: torch.dtype, device: torch.device) -> DataTables:
    """Build the table of maps with the same number of frequencies."""
    index = [linear.slot.index for linear in maps if linear.slot is not None]
    frequencies = np.array([[frequency for frequency, _, _ in linear.terms] for linear in maps])
    return DataTables(torch.as_tensor(index, device=device), torch.as_tensor(frequencies, dtype=dtype, device=device))
