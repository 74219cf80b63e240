"""From the final state to numbers: expectation values and probabilities, with their pullbacks.

A readout maps a state of shape (levels**sites, batch) to values of shape (rows, batch). The last row is the norm (or
the trace), by which circuits with post-selection divide.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from circuits.observables import PauliFactors

Terms = tuple[tuple[tuple[float, PauliFactors], ...], ...]  # for each observable its weighted strings


@dataclass(frozen=True, eq=False)
class FlipPart:
    """All strings that flip the same bits: value = Re sum_i conj(x_i) c_i x_{flip(i)}."""

    flip: Tensor | None
    phases: Tensor  # (rows, 2**n)


@dataclass(frozen=True, eq=False)
class StateReadout:
    """Expectation values of a state vector.

    Attributes:
        diagonal: (rows, 2**n), the weights of |x_i|^2 in each row.
        flips: the strings that contain X or Y.
    """

    diagonal: Tensor
    flips: tuple[FlipPart, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Values, shape (rows, batch)."""
        values = self.diagonal @ squared(x)
        for part in self.flips:
            values = values + _real_rows(part, x)
        return values

    def pullback(self, grad: Tensor, x: Tensor) -> Tensor:
        """The conjugate gradient with respect to the state."""
        total = x * (2.0 * (self.diagonal.mT @ grad))
        for part in self.flips:
            weights = part.phases.mT @ grad.to(part.phases.dtype)
            flipped = x if part.flip is None else x.index_select(0, part.flip)
            total = total + _as(2.0 * weights * flipped, x.dtype)
        return total.conj_physical() if total.is_complex() else total


@dataclass(frozen=True, eq=False)
class TransferReadout:
    """Expectation values in the Pauli transfer picture: weighted sums of a few components of the state."""

    components: Tensor
    weights: Tensor  # (rows, components)

    def forward(self, x: Tensor) -> Tensor:
        """Values, shape (rows, batch)."""
        return self.weights @ x.index_select(0, self.components)

    def pullback(self, grad: Tensor, x: Tensor) -> Tensor:
        """The gradient with respect to the state."""
        return torch.zeros_like(x).index_add(0, self.components, self.weights.mT @ grad)


@dataclass(frozen=True, eq=False)
class ProbabilityReadout:
    """Probabilities of some sites of a state vector: `order` brings them to the front, the rest is summed."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]
    n_rows: int

    def forward(self, x: Tensor) -> Tensor:
        """Values, shape (2**k + 1, batch), the norm last."""
        weights = squared(x).reshape(*self.sizes, -1).permute(*self.order, len(self.order))
        rows = weights.reshape(self.n_rows, -1, x.shape[-1]).sum(1)
        return torch.cat([rows, rows.sum(0, keepdim=True)])

    def pullback(self, grad: Tensor, x: Tensor) -> Tensor:
        """The conjugate gradient with respect to the state."""
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
    """Probabilities in the Pauli transfer picture: the Walsh transform of the I and Z components."""

    components: Tensor
    n_sites: int

    def forward(self, x: Tensor) -> Tensor:
        """Values, shape (2**k + 1, batch), the trace last."""
        chosen = x.index_select(0, self.components)
        return torch.cat([walsh(chosen, self.n_sites) / chosen.shape[0], chosen[:1]])

    def pullback(self, grad: Tensor, x: Tensor) -> Tensor:
        """The gradient with respect to the state."""
        rows = walsh(grad[:-1], self.n_sites) / (len(grad) - 1)
        rows = torch.cat([rows[:1] + grad[-1:], rows[1:]])
        return torch.zeros_like(x).index_add(0, self.components, rows)


Readout = StateReadout | TransferReadout | ProbabilityReadout | TransferProbabilityReadout


def squared(x: Tensor) -> Tensor:
    """|x|^2, elementwise."""
    return torch.view_as_real(x).square().sum(-1) if x.is_complex() else x.square()


def walsh(x: Tensor, n_sites: int) -> Tensor:
    """The Walsh-Hadamard transform over the first dimension, of size 2**n_sites."""
    shape = x.shape
    for k in range(n_sites):
        pairs = x.reshape(2**k, 2, -1)
        x = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(shape)
    return x


def state_readout(
    terms: Terms, layout: tuple[int, ...], *, dtype: torch.dtype, device: torch.device, with_norm: bool
) -> StateReadout:
    """The readout of weighted Pauli strings, with the sites of the register in the order `layout`."""
    n_sites, n_rows = len(layout), len(terms) + with_norm
    place = {site: n_sites - 1 - k for k, site in enumerate(layout)}
    diagonal = np.zeros((n_rows, 2**n_sites))
    flips: dict[int, np.ndarray] = {}
    if with_norm:
        diagonal[-1] = 1.0
    for row, strings in enumerate(terms):
        for coefficient, factors in strings:
            mask, phases = _string_phases(factors, place, n_sites)
            if mask == 0:
                diagonal[row] += coefficient * np.real(phases)
            else:
                part = flips.setdefault(mask, np.zeros((n_rows, 2**n_sites), dtype=complex))
                part[row] += coefficient * phases
    index = np.arange(2**n_sites)
    parts = tuple(
        FlipPart(
            torch.as_tensor(index ^ mask, device=device),
            torch.as_tensor(phases, device=device).to(dtype.to_complex()),
        )
        for mask, phases in flips.items()
    )
    return StateReadout(torch.as_tensor(diagonal, dtype=dtype.to_real(), device=device), parts)


def _string_phases(factors: PauliFactors, place: dict[int, int], n_sites: int) -> tuple[int, np.ndarray]:
    """(P x)_i = phase_i x_{i ^ mask}."""
    mask, letters = 0, {place[site]: letter for site, letter in factors}
    for position, letter in letters.items():
        if letter in "XY":
            mask |= 1 << position
    phases = np.ones(1)
    for position in range(n_sites):  # the least significant bit first, doubling up
        letter = letters.get(position, "I")
        if letter == "Y":
            phases = np.concatenate([-1j * phases, 1j * phases])
        else:
            phases = np.concatenate([phases, -phases if letter == "Z" else phases])
    return mask, phases


def transfer_readout(
    terms: Terms, layout: tuple[int, ...], *, dtype: torch.dtype, device: torch.device, with_norm: bool
) -> TransferReadout:
    """The readout of weighted Pauli strings from a Pauli transfer state."""
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


def _real_rows(part: FlipPart, x: Tensor) -> Tensor:
    """Re sum_i conj(x_i) c_i x_flip(i) for every row, without a (rows, 2**n, batch) tensor."""
    flipped = x if part.flip is None else x.index_select(0, part.flip)
    if not x.is_complex():
        return part.phases.real.to(x.dtype) @ (x * flipped)
    overlap = x.conj() * flipped
    return part.phases.real @ overlap.real - part.phases.imag @ overlap.imag


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x if dtype.is_complex else x.real.to(dtype)
