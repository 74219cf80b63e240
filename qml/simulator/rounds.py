"""The rounds of one-site maps at the start of a plan: in each, some sites take one map, all at once.

A round has a forward on the vectors of its sites, shape (sites, levels, batch or 1), and a pullback of mu. Between the
two stand coefficients of the data, where a round has some.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qml.simulator.data_tables import DataTables
from qml.simulator.fetch import Fetch
from qml.simulator.matrix_groups import Evaluated


@dataclass(frozen=True, eq=False)
class SharedRound:
    """A round of matrices that the batch shares.

    Attributes:
        sites: on which the round acts; None for all of them.
        fetch: where the matrices are.
    """

    sites: Tensor | None
    fetch: Fetch

    def forward(self, vectors: Tensor, data: Tensor, evaluated: Evaluated) -> tuple[Tensor, None]:
        """Compute the vectors after the round; there are no coefficients."""
        matrices = self._matrices(evaluated)
        if matrices.is_complex() and not vectors.is_complex():
            vectors = vectors.to(matrices.dtype)
        elif vectors.is_complex() and not matrices.is_complex():
            matrices = matrices.to(vectors.dtype)
        return torch.bmm(matrices, vectors), None

    def pullback(self, mu: Tensor, before: Tensor, evaluated: Evaluated, grads: list[Tensor | None]) -> Tensor:
        """Compute mu before the round, and add mu of the matrices to `grads`."""
        matrices = self._matrices(evaluated)
        before = before.to(mu.dtype).expand(-1, -1, mu.shape[-1])
        self.fetch.pullback(torch.bmm(mu, before.mT), evaluated.values, grads)
        return torch.bmm(matrices.to(mu.dtype).mT, mu)

    def _matrices(self, evaluated: Evaluated) -> Tensor:
        dtypes = [evaluated.values[group].dtype for group in self.fetch.groups]
        return self.fetch(evaluated.values, max(dtypes, key=lambda dtype: dtype.is_complex))


@dataclass(frozen=True, eq=False)
class DataRound:
    """A round of maps with an angle of each sample.

    Attributes:
        sites: on which the round acts; None for all of them.
        tables: the data slots and the frequencies of the maps.
        constants: their matrices, (sites, terms, levels, levels).
    """

    sites: Tensor | None
    tables: DataTables
    constants: Tensor

    def forward(self, vectors: Tensor, data: Tensor, evaluated: Evaluated) -> tuple[Tensor, Tensor]:
        """Compute the vectors after the round, and the coefficients of the data."""
        dtype = torch.promote_types(self.constants.dtype, vectors.dtype)
        m, terms, levels, _ = self.constants.shape
        parts = torch.bmm(self.constants.to(dtype).view(m, terms * levels, levels), vectors.to(dtype))
        coefficients = self.tables.coefficients(data)
        if parts.shape[-1] > 1:
            return (parts.view(m, terms, levels, -1) * coefficients[:, :, None]).sum(1), coefficients
        flat = parts.view(m, terms, levels).mT  # every sample starts from the same vector: one product gives all
        if flat.is_complex():
            return torch.complex(torch.bmm(flat.real, coefficients), torch.bmm(flat.imag, coefficients)), coefficients
        return torch.bmm(flat, coefficients), coefficients

    def pullback(self, mu: Tensor, before: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mu before the round, and the gradient of the coefficients."""
        m, terms, levels, _ = self.constants.shape
        stacked = self.constants.to(mu.dtype).view(m, terms * levels, levels)
        parts = torch.bmm(stacked, before.to(mu.dtype)).view(m, terms, levels, -1)
        coefficient_grad = (mu[:, None] * parts).sum(2)
        weighted = (mu[:, None] * coefficients[:, :, None]).view(m, terms * levels, -1)
        mu_before = torch.bmm(stacked.mT, weighted)
        return mu_before, coefficient_grad.real if coefficient_grad.is_complex() else coefficient_grad
