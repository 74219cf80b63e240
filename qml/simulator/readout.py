"""The readouts, from the final state to expectation values and probabilities, with their pullbacks.

A readout maps a state of shape (levels**sites, batch) to values of shape (rows, batch). The last row is the norm (or
the trace), by which circuits with post-selection divide.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from circuits.observables import PauliFactors

MAX_TABLE_ENTRIES = 2**22  # of one group of strings; larger ones are summed by Walsh transforms
Terms = tuple[tuple[tuple[float, PauliFactors], ...], ...]  # for each observable its weighted strings


@runtime_checkable
class Readout(Protocol):
    """A map from a state to numbers, with the way back from their gradient to mu of the state."""

    def forward(self, x: Tensor) -> Tensor:
        """Read the rows, differentiable by autograd."""
        ...

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the conjugate gradient with respect to the state, in `out` where that can be used."""
        ...


@dataclass(frozen=True, eq=False)
class DenseTable:
    """A stored table of the sums sum_i table[row, i] y_i."""

    table: Tensor  # (rows, 2**n)

    def forward(self, y: Tensor) -> Tensor:
        return self.table @ (y.to(self.table.dtype) if self.table.is_complex() else real_part(y))

    def transposed(self, grad: Tensor) -> Tensor:
        return self.table.mT @ grad.to(self.table.dtype)


@dataclass(frozen=True, eq=False)
class WalshTable:
    """A large table that is not stored: it sums sum_s matrix[row, s] sum_i (-1)**(i . z_s) y_i.

    Attributes:
        index: the bits z_s of every string, shape (strings,).
        matrix: its coefficients, shape (rows, strings).
    """

    index: Tensor
    matrix: Tensor
    n_sites: int

    def forward(self, y: Tensor) -> Tensor:
        y = y.to(self.matrix.dtype) if self.matrix.is_complex() else real_part(y)
        return self.matrix @ walsh(y, self.n_sites).index_select(0, self.index)

    def transposed(self, grad: Tensor) -> Tensor:
        weights = self.matrix.mT @ grad.to(self.matrix.dtype)
        spread = weights.new_zeros(2**self.n_sites, weights.shape[1]).index_add(0, self.index, weights)
        return walsh(spread, self.n_sites)


@dataclass(frozen=True, eq=False)
class StringGroup:
    """A group of strings that flip the same bits: value = Re sum_i conj(x_i) c_i x_flip(i).

    Attributes:
        sizes, flipped: the register as groups of neighbouring bits, and the groups that are reversed.
        table: the c_i.
    """

    sizes: tuple[int, ...]
    flipped: tuple[int, ...]
    table: DenseTable | WalshTable

    def forward(self, x: Tensor) -> Tensor:
        """Read the group's share of every row; (rows, batch)."""
        if not self.flipped:
            return real_part(self.table.forward(squared(x)))
        return real_part(self.table.forward((x.conj() if x.is_complex() else x) * self.flipped_rows(x)))

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the gradient with respect to the state: 2 g (P x)."""
        weights = 2.0 * self.table.transposed(grad)
        source = self.flipped_rows(x) if self.flipped else x
        if weights.is_complex() and not x.is_complex():
            return real_part(weights * source)
        return torch.mul(weights, source, out=out)

    def flipped_rows(self, x: Tensor) -> Tensor:
        """Return the state with the group's bits reversed."""
        return x.reshape(*self.sizes, -1).flip(self.flipped).reshape(x.shape)


@dataclass(frozen=True, eq=False)
class StateReadout:
    """A readout of expectation values of a state vector; its squared norm is the last row where that is asked for."""

    groups: tuple[StringGroup, ...]
    n_rows: int

    def forward(self, x: Tensor) -> Tensor:
        """Read the values, shape (rows, batch)."""
        if not self.groups:
            return torch.zeros(self.n_rows, x.shape[-1], dtype=x.dtype.to_real(), device=x.device)
        values = self.groups[0].forward(x)
        for group in self.groups[1:]:
            values = values + group.forward(x)
        return values

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the conjugate gradient with respect to the state."""
        if not self.groups:
            return torch.zeros_like(x)
        total = self.groups[0].pullback(grad, x, out)
        for group in self.groups[1:]:
            total = total + group.pullback(grad, x)
        return total.conj_physical_() if total.is_complex() else total


@dataclass(frozen=True, eq=False)
class TransferReadout:
    """A readout of expectation values in the Pauli transfer picture: weighted sums of a few components of the state."""

    components: Tensor
    weights: Tensor  # (rows, components)

    def forward(self, x: Tensor) -> Tensor:
        """Read the values, shape (rows, batch)."""
        return self.weights @ x.index_select(0, self.components)

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the gradient with respect to the state."""
        return torch.zeros_like(x).index_add(0, self.components, self.weights.mT @ grad)


@dataclass(frozen=True, eq=False)
class ProbabilityReadout:
    """A readout of probabilities of some sites of a state: `order` brings them to the front, the rest is summed."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]
    n_rows: int

    def forward(self, x: Tensor) -> Tensor:
        """Read the values, shape (2**k + 1, batch), the norm last."""
        weights = squared(x).reshape(*self.sizes, -1).permute(*self.order, len(self.order))
        rows = weights.reshape(self.n_rows, -1, x.shape[-1]).sum(1)
        return torch.cat([rows, rows.sum(0, keepdim=True)])

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the conjugate gradient with respect to the state."""
        rows = grad[:-1] + grad[-1:]
        batch = x.shape[-1]
        permuted = tuple(self.sizes[k] for k in self.order)
        spread = rows[:, None].expand(-1, x.shape[0] // self.n_rows, -1).reshape(*permuted, batch)
        back = tuple(self.order.index(k) for k in range(len(self.order)))
        weights = spread.permute(*back, len(back)).reshape(x.shape)
        total = x * (2.0 * weights)
        return total.conj_physical() if total.is_complex() else total


@dataclass(frozen=True, eq=False)
class TransferProbabilityReadout:
    """A readout of probabilities in the Pauli transfer picture: the Walsh transform of the I and Z components."""

    components: Tensor
    n_sites: int

    def forward(self, x: Tensor) -> Tensor:
        """Read the values, shape (2**k + 1, batch), the trace last."""
        chosen = x.index_select(0, self.components)
        return torch.cat([walsh(chosen, self.n_sites) / chosen.shape[0], chosen[:1]])

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the gradient with respect to the state."""
        rows = walsh(grad[:-1], self.n_sites) / (len(grad) - 1)
        rows = torch.cat([rows[:1] + grad[-1:], rows[1:]])
        return torch.zeros_like(x).index_add(0, self.components, rows)


def squared(x: Tensor) -> Tensor:
    """Compute |x|^2, elementwise."""
    return torch.addcmul(x.real.square(), x.imag, x.imag) if x.is_complex() else x.square()


def walsh(x: Tensor, n_sites: int) -> Tensor:
    """Compute the Walsh-Hadamard transform over the first dimension, of size 2**n_sites."""
    shape = x.shape
    for k in range(n_sites):
        pairs = x.reshape(2**k, 2, -1)
        x = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(shape)
    return x


def state_readout(
    terms: Terms, layout: tuple[int, ...], *, dtype: torch.dtype, device: torch.device, with_norm: bool
) -> StateReadout:
    """Build the readout of weighted Pauli strings, with the sites of the register in the order `layout`."""
    n_sites = len(layout)
    rows: list[tuple[tuple[float, PauliFactors], ...]] = [*terms, ((1.0, ()),)] if with_norm else list(terms)
    by_mask: dict[int, list[tuple[int, int, complex]]] = {}
    for row, strings in enumerate(rows):
        for coefficient, factors in strings:
            mask, signs, phase = string_bits(factors, layout)
            by_mask.setdefault(mask, []).append((row, signs, coefficient * phase))
    groups = tuple(
        StringGroup(*flip_runs(mask, n_sites), _table(entries, len(rows), n_sites, dtype, device))
        for mask, entries in by_mask.items()
    )
    return StateReadout(groups, len(rows))


def string_bits(factors: PauliFactors, layout: tuple[int, ...]) -> tuple[int, int, complex]:
    """Return mask, signs and phase of (P x)_i = phase (-1)**(i . signs) x_{i ^ mask}; Y gives -i where its bit is 0."""
    mask, signs, phase = 0, 0, 1.0 + 0.0j
    for site, letter in factors:
        bit = 1 << (len(layout) - 1 - layout.index(site))
        mask |= bit if letter in "XY" else 0
        signs |= bit if letter in "YZ" else 0
        phase *= -1j if letter == "Y" else 1.0
    return mask, signs, phase


def flip_runs(mask: int, n_sites: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Group the bits of the register into runs that are flipped or not, the most significant first."""
    bits = [(mask >> (n_sites - 1 - k)) & 1 for k in range(n_sites)]
    runs = [(bit, len(list(run))) for bit, run in groupby(bits)]
    return tuple(2**length for _, length in runs), tuple(k for k, (bit, _) in enumerate(runs) if bit)


def _table(
    entries: list[tuple[int, int, complex]], n_rows: int, n_sites: int, dtype: torch.dtype, device: torch.device
) -> DenseTable | WalshTable:
    is_real = all(value.imag == 0.0 for _, _, value in entries)
    kind = dtype.to_real() if is_real else dtype.to_complex()
    if n_rows * 2**n_sites <= MAX_TABLE_ENTRIES:
        table = np.zeros((n_rows, 2**n_sites), dtype=float if is_real else complex)
        for row, signs, value in entries:
            table[row] += (value.real if is_real else value) * sign_vector(signs, n_sites)
        return DenseTable(torch.as_tensor(table, device=device).to(kind))
    matrix = np.zeros((n_rows, len(entries)), dtype=complex)
    for column, (row, _, value) in enumerate(entries):
        matrix[row, column] = value
    index = torch.as_tensor([signs for _, signs, _ in entries], device=device)
    return WalshTable(index, torch.as_tensor(np.real(matrix) if is_real else matrix, device=device).to(kind), n_sites)


def sign_vector(signs: int, n_sites: int) -> np.ndarray:
    """Compute (-1)**(i . signs) for all i, the least significant bit first, doubling up."""
    vector = np.ones(1)
    for position in range(n_sites):
        vector = np.concatenate([vector, -vector if signs >> position & 1 else vector])
    return vector


def transfer_readout(
    terms: Terms, layout: tuple[int, ...], *, dtype: torch.dtype, device: torch.device, with_norm: bool
) -> TransferReadout:
    """Build the readout of weighted Pauli strings from a Pauli transfer state."""
    place = {site: len(layout) - 1 - k for k, site in enumerate(layout)}
    columns: dict[int, int] = {}
    entries: list[tuple[int, int, float]] = []
    rows = [*terms, ((1.0, ()),)] if with_norm else list(terms)
    for row, strings in enumerate(rows):
        for coefficient, factors in strings:
            component = sum("IXYZ".index(letter) * 4 ** place[site] for site, letter in factors)
            entries.append((row, columns.setdefault(component, len(columns)), coefficient))
    weights = np.zeros((len(rows), max(1, len(columns))))
    for row, column, coefficient in entries:
        weights[row, column] += coefficient
    components = torch.as_tensor(list(columns) or [0], device=device)
    return TransferReadout(components, torch.as_tensor(weights, dtype=dtype.to_real(), device=device))


def real_part(x: Tensor) -> Tensor:
    """Return the real part without a copy, and a real tensor itself."""
    return x.real if x.is_complex() else x
