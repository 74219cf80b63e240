"""The readout of the halves of a cut circuit: overlaps between all branches, and the values made of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from circuits.observables import PauliFactors
from qml.simulator.compiled import Compiled
from qml.simulator.cut import Cut
from qml.simulator.fuse import digit_groups
from qml.simulator.readout import flip_runs, sign_vector, string_bits


@dataclass(frozen=True, eq=False)
class GramString:
    """A Pauli string on the own sites of a half, without its phase: a flip of bits, then signs.

    Attributes:
        sizes, flipped: the own sites as groups of neighbouring bits, and the groups that are reversed.
        signs: shape (2**n_own, 1); None where all are 1.
        parity: -1 where the matrix is antisymmetric (an odd number of Y), else 1.
    """

    sizes: tuple[int, ...]
    flipped: tuple[int, ...]
    signs: Tensor | None
    parity: float

    def __call__(self, states: Tensor) -> Tensor:
        """Apply the string to states of shape (batch, 2**n_own, 2**n_branches)."""
        if self.flipped:
            groups = states.reshape(len(states), *self.sizes, -1)
            states = groups.flip([1 + k for k in self.flipped]).reshape(states.shape)
        return states if self.signs is None else states * self.signs


@dataclass(frozen=True, eq=False)
class GramReadout:
    """A readout of <x_b| P |x_b'> for all pairs of branches and some strings P; (strings, batch, 2**m, 2**m).

    Attributes:
        sizes: the register as groups of neighbouring sites.
        order: the groups of the own sites, then those of the branches.
        n_own: how many of the sites are own ones.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...]
    n_own: int
    strings: tuple[GramString, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the overlaps."""
        states = self._states(x)
        return torch.stack([torch.bmm(states.mH, string(states)) for string in self.strings])

    def pullback(self, grad: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Compute the conjugate gradient with respect to the state: conj(P x (g^dagger + parity g))."""
        states = self._states(x)
        parts = [
            string(torch.bmm(states, g.mH + string.parity * g)) for string, g in zip(self.strings, grad, strict=True)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        n_runs = len(self.sizes)
        back = total.reshape(-1, *(self.sizes[k] for k in self.order))
        back = back.permute(*(1 + self.order.index(k) for k in range(n_runs)), 0)
        if out is None:
            return back.reshape(x.shape).conj_physical()
        out.view(back.shape).copy_(back.conj())
        return out

    def _states(self, x: Tensor) -> Tensor:
        """View the register as (batch, 2**n_own, 2**n_branches)."""
        moved = x.reshape(*self.sizes, -1).permute(len(self.sizes), *self.order)
        return moved.reshape(moved.shape[0], 2**self.n_own, -1)


def gram_readout(cut: Cut, side: int, compiled: Compiled) -> GramReadout:
    """Build the readout of one half (0 left, 1 right) in the dtype of its state."""
    n_own = cut.n_own[side]
    sizes, order = digit_groups(compiled.plan.layout, tuple(range(compiled.plan.n_sites)), 2)
    strings = tuple(_gram_string(factors, n_own, compiled) for factors in cut.strings[side])
    return GramReadout(sizes, order, n_own, strings)


def joined_values(cut: Cut, left: Tensor, right: Tensor) -> Tensor:
    """Compute expectation values from the overlaps of both halves; (batch or 1, observables)."""
    observables, coefficients, rows, columns = (list(part) for part in zip(*cut.terms, strict=True))
    phases = [
        coefficient * _phase(cut.strings[0][row]) * _phase(cut.strings[1][column])
        for coefficient, row, column in zip(coefficients, rows, columns, strict=True)
    ]
    dtype = torch.promote_types(left.dtype, right.dtype)
    scale = torch.tensor(phases, dtype=torch.complex128, device=left.device)
    if dtype.is_complex:
        products = _picked(left, rows).to(dtype) * _picked(right, columns).to(dtype)
        values = (products.sum((2, 3)) * scale.to(dtype)[:, None]).real
    else:
        values = (_picked(left, rows) * _picked(right, columns)).sum((2, 3)) * scale.real.to(dtype)[:, None]
    index = torch.tensor(observables, device=left.device)
    result = values.new_zeros(cut.n_observables, values.shape[1]).index_add(0, index, values)
    return result.mT


def _picked(grams: Tensor, places: list[int]) -> Tensor:
    """Return the overlaps at `places`, without a copy where that is all of them in order."""
    if places == list(range(len(grams))):
        return grams
    return grams.index_select(0, torch.tensor(places, device=grams.device))


def _phase(factors: PauliFactors) -> complex:
    """Return the phase of a string beside its flip and signs: -i for every Y."""
    return (-1j) ** sum(letter == "Y" for _, letter in factors)


def _gram_string(factors: PauliFactors, n_own: int, compiled: Compiled) -> GramString:
    mask, signs, _ = string_bits(factors, tuple(range(n_own)))
    n_y = sum(letter == "Y" for _, letter in factors)
    table = None
    if signs:
        vector = np.ascontiguousarray(sign_vector(signs, n_own))[:, None]
        table = torch.as_tensor(vector, dtype=compiled.dtype.to_real(), device=compiled.device)
    return GramString(*flip_runs(mask, n_own), table, (-1.0) ** n_y)
