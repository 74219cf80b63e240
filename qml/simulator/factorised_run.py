"""Evaluating a factorised plan: Bloch vectors of the spokes' starts, 2x2 forms of their evolutions, products over them.

All of it is plain tensor operations, so derivatives of any order follow. The product over the spokes is taken in pairs;
its factors have modulus at most one, so it can only vanish where the true value is below the smallest number.
"""

import torch
from torch import Tensor

from circuits.gates import PAULIS
from circuits.observables import PauliFactors
from qml.simulator.compiled import Compiled, compile_plan, plain_tensors
from qml.simulator.factorised import AXIS_BASES, FactorisedPlan, Pair
from qml.simulator.initial import site_vectors
from qml.simulator.program import Evaluated, as_tensor, fetch_for


def factorised_expectation(plan: FactorisedPlan, data: Tensor, weights: Tensor) -> Tensor:
    """Expectation values of the plan's observables; shape (batch, observables)."""
    compiled = compile_plan(plan.plan, dtype=data.dtype, device=data.device)
    shared = plan.plan.request.shared_data
    angles = torch.cat([weights, data[0]]) if shared and data.shape[1] else weights
    evaluated = compiled.program(angles)
    run = _Run(plan, compiled, evaluated, site_vectors(compiled, data, evaluated).to(compiled.dtype))
    values = [sum(run.string(c, factors, pairs) for c, factors, pairs in strings) for strings in plan.strings]
    rows = [value if isinstance(value, Tensor) else data.new_zeros(1) for value in values]
    return torch.stack([row.expand(len(data)) for row in rows], 1)


class _Run:
    def __init__(self, plan: FactorisedPlan, compiled: Compiled, evaluated: Evaluated, vectors: Tensor) -> None:
        self.plan, self.compiled, self.evaluated = plan, compiled, evaluated
        self.vectors = vectors
        in_order = plan.spokes == tuple(range(len(plan.spokes)))
        self.bloch = _bloch(vectors[: len(plan.spokes)] if in_order else vectors[list(plan.spokes)])
        self.sectors: dict[tuple[int, ...], Tensor] = {}

    def string(self, coefficient: float, factors: PauliFactors, pairs: list[Pair]) -> Tensor:
        """coefficient * <P>, shape (batch or 1,)."""
        letters = dict(factors)
        hubs = self._hub_factors(pairs, [letters.get(hub, "I") for hub in self.plan.hubs])
        spokes = self._spoke_products(pairs, [letters.get(spoke, "I") for spoke in self.plan.spokes])
        weights = torch.tensor(
            [coefficient * pair.weight for pair in pairs], dtype=self.bloch.dtype, device=self.bloch.device
        )
        return weights @ (hubs * spokes).real

    def _spoke_products(self, pairs: list[Pair], letters: list[str]) -> Tensor:
        """prod_j <z_j| V_j(s)^dagger P_j V_j(s') |z_j> for every pair; shape (pairs, batch or 1)."""
        left, right = (torch.stack([self._sector(signs) for signs in side]) for side in _sides(pairs))
        if any(letter != "I" for letter in letters):
            right = torch.matmul(torch.stack([self._pauli(letter) for letter in letters]), right)
        # tr(L^dagger R sigma_c) / 2 for c = I, X, Y, Z from the four entries of L^dagger R, without tiny products
        form = (left.conj()[..., :, None] * right[..., None, :]).sum(2)
        a, b, c, d = form[..., 0, 0], form[..., 0, 1], form[..., 1, 0], form[..., 1, 1]
        components = torch.stack([a + d, b + c, 1j * (b - c), a - d], -1) / 2  # (pairs, spokes, 4)
        flat = torch.view_as_real(components).permute(1, 0, 3, 2).reshape(len(letters), -1, 4)
        overlaps = torch.bmm(flat, self.bloch).view(len(letters), len(pairs), 2, -1)
        return _product(torch.complex(overlaps[:, :, 0], overlaps[:, :, 1]))

    def _hub_factors(self, pairs: list[Pair], letters: list[str]) -> Tensor:
        """prod_r conj(a_r(s)) a_r(s') <s| W^dagger P_r W |s'> for every pair; shape (pairs, batch or 1)."""
        result = torch.ones(1, 1, dtype=self.compiled.dtype, device=self.compiled.device)
        for k, hub in enumerate(self.plan.hubs):
            basis = as_tensor(AXIS_BASES[self.plan.axes[k]], self.compiled.dtype, self.compiled.device)
            tail = self._node(self.plan.tail_nodes[k]) @ basis
            elements = tail.mH @ self._pauli(letters[k]) @ tail
            phases = torch.stack([self._node(node)[0, 0] for node in self.plan.phase_nodes[k]])
            amplitudes = phases[:, None] * (basis.mH @ self.vectors[hub])
            table = elements[:, :, None] * amplitudes.conj()[:, None] * amplitudes[None]
            left, right = ([signs[k] for signs in side] for side in _sides(pairs))
            result = result * table[left, right]
        return result

    def _sector(self, signs: tuple[int, ...]) -> Tensor:
        """V_j(s) of all spokes, shape (spokes, 2, 2)."""
        if signs not in self.sectors:
            program = self.compiled.program
            places = [program.places[node] for node in self.plan.sector_nodes[signs]]
            key = ("sector", signs, self.compiled.dtype, self.compiled.device)
            if key not in self.plan.plan.compiled:
                with plain_tensors():
                    self.plan.plan.compiled[key] = fetch_for(places, program.groups, self.compiled.device)
            self.sectors[signs] = self.plan.plan.compiled[key](self.evaluated.values, self.compiled.dtype)
        return self.sectors[signs]

    def _node(self, node: int) -> Tensor:
        group, entry = self.compiled.program.places[node]
        return self.evaluated.values[group][entry].to(self.compiled.dtype)

    def _pauli(self, letter: str) -> Tensor:
        return as_tensor(PAULIS[letter], self.compiled.dtype, self.compiled.device)


def _sides(pairs: list[Pair]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    return [pair.left for pair in pairs], [pair.right for pair in pairs]


def _bloch(vectors: Tensor) -> Tensor:
    """<1>, <X>, <Y>, <Z> of one-qubit vectors; (spokes, 2, batch) to (spokes, 4, batch)."""
    zero, one = vectors[:, 0], vectors[:, 1]
    cross = zero.conj() * one
    weights = torch.view_as_real(vectors).square().sum(-1)
    return torch.stack(
        [weights[:, 0] + weights[:, 1], 2 * cross.real, 2 * cross.imag, weights[:, 0] - weights[:, 1]], 1
    )


def _product(factors: Tensor) -> Tensor:
    """The product over the first dimension, in pairs; zeros are harmless to every derivative."""
    while len(factors) > 1:
        half = len(factors) // 2
        paired = factors[:half] * factors[half : 2 * half]
        factors = torch.cat([paired, factors[2 * half :]]) if len(factors) % 2 else paired
    return factors[0]
