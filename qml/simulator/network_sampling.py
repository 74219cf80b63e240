"""Samples of many qubits from a tensor network, without the probabilities of all outcomes.

The tree of a contraction is walked twice. Upwards, every node gets the table that stands for what is below it, with
the outcomes below it summed over. Downwards, every node gets the table that stands for all the rest, in which outcomes
that were drawn are fixed. Where both meet, in the line of a qubit, they give the probabilities of its outcome after
those that were drawn before. So a sample costs a few contractions, however many qubits there are, and all shots run
as one batch. (Perfect sampling, Ferris and Vidal, Phys. Rev. B 85, 165146, 2012, on the tree of any contraction.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from qml.simulator.contract import (
    BatchedTable,
    Contraction,
    ContractionStep,
    multiplied,
    network_tables,
    planned_contraction,
    variables_of,
)
from qml.simulator.draws import uniform
from qml.simulator.network import Source, Table, TensorNetwork, find_order


@dataclass(frozen=True, eq=False)
class SamplingTree:
    """The tree of a contraction in which every outcome has a table of its own.

    Attributes:
        plan: the contraction.
        readers: for the table of every outcome its place among the qubits that are read.
        below: for every node the number of outcomes below it.
    """

    plan: Contraction
    readers: dict[int, int]
    below: tuple[int, ...]


def sampling_tree(network: TensorNetwork, limit: float) -> SamplingTree | None:
    """Plan samples of the outcomes that a network reads; None where no order costs less than the limit."""
    outcomes = tuple(Table((variable,), len(network.sources)) for variable in network.read)
    summed = TensorNetwork((*network.tables, *outcomes), (*network.sources, Source(np.ones(2))))
    order = find_order(summed, limit)
    if order is None or order.cost > limit:
        return None
    plan = planned_contraction(summed, order)
    readers = {len(network.tables) + place: place for place in range(len(outcomes))}
    below = [int(number in readers) for number in range(len(summed.tables))]
    for step in plan.steps:
        below.append(below[step.left] + (0 if step.right is None else below[step.right]))
    return SamplingTree(plan, readers, tuple(below))


def draw_outcomes(
    tree: SamplingTree, data: Tensor, weights: Tensor, shots: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw outcomes of one sample.

    Args:
        tree: of the circuit.
        data: (1, inputs).
        weights: (weights,).
        shots: how many outcomes are drawn.
        generator: of random numbers.

    Returns:
        Bits, int8 (shots, read qubits), and the probability that every post-selection succeeds, ().
    """
    dtype = data.dtype.to_complex() if tree.plan.is_complex else data.dtype
    tables = network_tables(tree.plan.network, data, weights, dtype)
    return _Walk(tree, tables, shots, generator).run()


@dataclass(frozen=True, eq=False)
class _Rest:
    """The table that stands for all but what is below a node, over the node's variables."""

    table: BatchedTable
    variables: tuple[int, ...]


class _Walk:
    """A walk through the tree for many shots of one sample.

    Of two children the one with fewer outcomes is visited first, so that few tables must be computed again.
    """

    def __init__(
        self, tree: SamplingTree, tables: list[BatchedTable], shots: int, generator: torch.Generator | None
    ) -> None:
        plan = tree.plan
        self._tree, self._generator, self._n_leaves = tree, generator, len(tables)
        self._variables = [variables_of(table) for table in plan.network.tables] + [step.result for step in plan.steps]
        self._tables = [BatchedTable(entries[0] if batched else entries, False) for entries, batched in tables]
        for step in plan.steps:
            self._tables.append(self._product(step))
        self._bits = tables[0].entries.new_zeros(shots, len(tree.readers), dtype=torch.int8)
        self._tasks: list[Callable[[], None]] = []

    def run(self) -> tuple[Tensor, Tensor]:
        """Draw all outcomes, those of one tree of the forest after those of another."""
        chance = self._bits.new_ones((), dtype=torch.float64)
        for root in self._tree.plan.remaining:
            chance = chance * self._tables[root].entries.real
            nothing = _Rest(BatchedTable(self._tables[root].entries.new_ones(()), False), ())
            self._tasks.append(partial(self._down, root, nothing, is_needed=False))
            while self._tasks:
                self._tasks.pop()()
        return self._bits, chance

    def _down(self, node: int, rest: _Rest, *, is_needed: bool) -> None:
        """Plan to draw the outcomes below a node and, where it is needed, to compute its own table again after that."""
        if node in self._tree.readers:
            self._draw(node, rest.table)
        if node < self._n_leaves or not self._tree.below[node]:
            return
        step = self._tree.plan.steps[node - self._n_leaves]
        children = [child for child in (step.left, step.right) if child is not None]
        *firsts, last = sorted(children, key=self._tree.below.__getitem__)
        if is_needed:
            self._tasks.append(partial(self._renew, node, step))
        self._tasks.append(partial(self._enter, last, step, rest, is_needed=is_needed))
        self._tasks += [partial(self._enter, first, step, rest, is_needed=True) for first in firsts]

    def _enter(self, child: int, step: ContractionStep, rest: _Rest, *, is_needed: bool) -> None:
        """Go down to a child; its rest is that of its parent and its sibling as it is now."""
        if not self._tree.below[child]:
            return
        sibling = step.right if child == step.left else step.left
        own = self._variables[child]
        others = () if sibling is None else self._variables[sibling]
        known = tuple(v for v in dict.fromkeys((*rest.variables, *others)) if v in own)
        other = None if sibling is None else self._tables[sibling]
        table = multiplied(rest.table, rest.variables, other, others, known)
        missing = tuple(variable for variable in own if variable not in known)  # nothing else depends on them
        entries = table.entries[(..., *(None,) * len(missing))]
        entries = entries.expand(*table.entries.shape, *(2,) * len(missing))
        self._down(child, _Rest(BatchedTable(entries, table.is_batched), known + missing), is_needed=is_needed)

    def _renew(self, node: int, step: ContractionStep) -> None:
        self._tables[node] = self._product(step)

    def _product(self, step: ContractionStep) -> BatchedTable:
        right = None if step.right is None else self._tables[step.right]
        return multiplied(self._tables[step.left], step.left_variables, right, step.right_variables, step.result)

    def _draw(self, node: int, rest: BatchedTable) -> None:
        """Draw an outcome; its table becomes 1 over its probability there, and 0 for the other outcome."""
        chances = rest.entries.real.double().clamp_min(0.0).expand(len(self._bits), 2)
        draws = uniform((len(self._bits),), chances, self._generator)
        outcomes = (draws * chances.sum(1) >= chances[:, 0]).long()
        self._bits[:, self._tree.readers[node]] = outcomes.to(torch.int8)
        scale = chances.gather(1, outcomes[:, None]).clamp_min(torch.finfo(torch.float64).tiny)
        table = torch.zeros_like(chances).scatter(1, outcomes[:, None], 1.0 / scale)
        self._tables[node] = BatchedTable(table.to(self._tables[node].entries.dtype), True)
