"""The route through factors: every spoke evolves alone in every sector of the hubs (see `qml.simulator.factorised`).

Bloch vectors of the spokes' starts meet 2x2 forms of their evolutions, and a product goes over all spokes. All of it is
plain tensor operations, so derivatives of any order follow. The product is taken in pairs; its factors have modulus at
most one, so it can only vanish where the true value is below the smallest number.
"""

import torch
from torch import Tensor

from circuits import Circuit
from circuits.gates import PAULIS
from circuits.observables import PauliFactors
from qml.simulator.compiled import Compiled, compile_plan
from qml.simulator.cost import factorised_cost
from qml.simulator.execution import Method
from qml.simulator.factorised import FactorisedPlan, Pair, plan_factorised
from qml.simulator.fetch import Fetch
from qml.simulator.initial import site_vectors
from qml.simulator.map_matrices import AXIS_BASES
from qml.simulator.matrix_groups import Evaluated
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.tables import TableCache, as_tensor

Sector = tuple[int, ...]  # for every hub the number of its eigenvector


class FactorisedRoute:
    """A simulation of hubs and spokes one by one; see `ExpectationRoute`."""

    is_final = True

    def __init__(self, plan: FactorisedPlan) -> None:
        self._plan = plan
        self._compiled: TableCache[tuple[torch.dtype, torch.device], _CompiledSectors] = TableCache()

    @property
    def cost(self) -> float:
        """Estimate the products over the spokes of all strings."""
        pairs = [len(pairs) for strings in self._plan.strings for _, _, pairs in strings]
        return factorised_cost(len(self._plan.spokes), pairs, batch=self._plan.plan.request.batch)

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return nothing: no state of the register is made."""
        return ()

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values; derivatives are by autograd, whatever the method."""
        key = (data.dtype, data.device)
        compiled = self._compiled.get(key, lambda: _CompiledSectors(self._plan, data.dtype, data.device))
        return compiled.expectation(data, weights)


def find_factorised(circuit: Circuit, request: Request) -> FactorisedRoute | None:
    """Plan a circuit that factorises; None for any other."""
    plan = plan_factorised(circuit, request)
    return None if plan is None else FactorisedRoute(plan)


class _CompiledSectors:
    """A factorised plan with its tables, for one dtype and device."""

    def __init__(self, plan: FactorisedPlan, dtype: torch.dtype, device: torch.device) -> None:
        self.plan, self.device = plan, device
        self.compiled: Compiled = compile_plan(plan.plan, dtype=dtype, device=device)
        self.dtype = self.compiled.dtype
        self.fetches: dict[Sector, Fetch] = {
            sector: self.compiled.program.fetch(nodes, device) for sector, nodes in plan.sector_nodes.items()
        }
        self.paulis = {letter: as_tensor(PAULIS[letter], self.dtype, device) for letter in "IXYZ"}
        self.bases = [as_tensor(AXIS_BASES[axis], self.dtype, device) for axis in plan.axes]
        self.scales = [
            [
                torch.tensor([coefficient * pair.weight for pair in pairs], dtype=dtype, device=device)
                for coefficient, _, pairs in strings
            ]
            for strings in plan.strings
        ]

    def expectation(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the expectation values of the plan's observables; (batch, observables)."""
        shared = self.plan.plan.request.shared_data
        angles = torch.cat([weights, data[0]]) if shared and data.shape[1] else weights
        evaluated = self.compiled.program(angles)
        vectors = site_vectors(self.compiled, data, evaluated).to(self.dtype)
        sums = _SectorSums(self, evaluated, vectors)
        rows = []
        for strings, scales in zip(self.plan.strings, self.scales, strict=True):
            values = [
                scale @ sums.products(factors, pairs)
                for (_, factors, pairs), scale in zip(strings, scales, strict=True)
            ]
            rows.append(sum(values[1:], values[0]) if values else data.new_zeros(1))
        return torch.stack([row.expand(len(data)) for row in rows], 1)


class _SectorSums:
    """The factors of all strings at some data and weights."""

    def __init__(self, tables: _CompiledSectors, evaluated: Evaluated, vectors: Tensor) -> None:
        self.plan, self.tables, self.evaluated, self.vectors = tables.plan, tables, evaluated, vectors
        spokes = self.plan.spokes
        in_order = spokes == tuple(range(len(spokes)))
        self.bloch = _bloch(vectors[: len(spokes)] if in_order else vectors[list(spokes)])
        self.sectors: dict[Sector, Tensor] = {}

    def products(self, factors: PauliFactors, pairs: list[Pair]) -> Tensor:
        """Compute the real part of the product over hubs and spokes for every pair of sectors; (pairs, batch or 1)."""
        letters = dict(factors)
        hubs = self._hub_factors(pairs, [letters.get(hub, "I") for hub in self.plan.hubs])
        spokes = self._spoke_products(pairs, [letters.get(spoke, "I") for spoke in self.plan.spokes])
        return (hubs * spokes).real

    def _spoke_products(self, pairs: list[Pair], letters: list[str]) -> Tensor:
        """Compute prod_j <z_j| V_j(s)^dagger P_j V_j(s') |z_j> for every pair; shape (pairs, batch or 1)."""
        left, right = (torch.stack([self._sector(signs) for signs in side]) for side in _sides(pairs))
        if any(letter != "I" for letter in letters):
            right = torch.matmul(torch.stack([self.tables.paulis[letter] for letter in letters]), right)
        # tr(L^dagger R sigma_c) / 2 for c = I, X, Y, Z from the four entries of L^dagger R, without tiny products
        form = (left.conj()[..., :, None] * right[..., None, :]).sum(2)
        a, b, c, d = form[..., 0, 0], form[..., 0, 1], form[..., 1, 0], form[..., 1, 1]
        components = torch.stack([a + d, b + c, 1j * (b - c), a - d], -1) / 2  # (pairs, spokes, 4)
        flat = torch.view_as_real(components).permute(1, 0, 3, 2).reshape(len(letters), -1, 4)
        overlaps = torch.bmm(flat, self.bloch).view(len(letters), len(pairs), 2, -1)
        return _product(torch.complex(overlaps[:, :, 0], overlaps[:, :, 1]))

    def _hub_factors(self, pairs: list[Pair], letters: list[str]) -> Tensor:
        """Compute prod_r conj(a_r(s)) a_r(s') <s| W^dagger P_r W |s'> for every pair; shape (pairs, batch or 1)."""
        result = torch.ones(1, 1, dtype=self.tables.dtype, device=self.tables.device)
        for k, hub in enumerate(self.plan.hubs):
            basis = self.tables.bases[k]
            tail = self._node(self.plan.tail_nodes[k]) @ basis
            elements = tail.mH @ self.tables.paulis[letters[k]] @ tail
            phases = torch.stack([self._node(node)[0, 0] for node in self.plan.phase_nodes[k]])
            amplitudes = phases[:, None] * (basis.mH @ self.vectors[hub])
            table = elements[:, :, None] * amplitudes.conj()[:, None] * amplitudes[None]
            left, right = ([signs[k] for signs in side] for side in _sides(pairs))
            result = result * table[left, right]
        return result

    def _sector(self, signs: Sector) -> Tensor:
        """Collect V_j(s) of all spokes; (spokes, 2, 2)."""
        if signs not in self.sectors:
            self.sectors[signs] = self.tables.fetches[signs](self.evaluated.values, self.tables.dtype)
        return self.sectors[signs]

    def _node(self, node: int) -> Tensor:
        group, entry = self.tables.compiled.program.places[node]
        return self.evaluated.values[group][entry].to(self.tables.dtype)


def _sides(pairs: list[Pair]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    return [pair.left for pair in pairs], [pair.right for pair in pairs]


def _bloch(vectors: Tensor) -> Tensor:
    """Return <1>, <X>, <Y>, <Z> of one-qubit vectors; (spokes, 2, batch) to (spokes, 4, batch)."""
    zero, one = vectors[:, 0], vectors[:, 1]
    cross = zero.conj() * one
    weights = torch.view_as_real(vectors).square().sum(-1)
    return torch.stack(
        [weights[:, 0] + weights[:, 1], 2 * cross.real, 2 * cross.imag, weights[:, 0] - weights[:, 1]], 1
    )


def _product(factors: Tensor) -> Tensor:
    """Multiply over the first dimension, in pairs; zeros are harmless to every derivative."""
    while len(factors) > 1:
        half = len(factors) // 2
        paired = factors[:half] * factors[half : 2 * half]
        factors = torch.cat([paired, factors[2 * half :]]) if len(factors) % 2 else paired
    return factors[0]
