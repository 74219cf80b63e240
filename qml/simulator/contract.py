"""The contraction of a tensor network in a given order, as products of two tables each, in plain torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qml.checks import needs_plain_operations
from qml.simulator.network import Order, Source, Table, TensorNetwork
from qml.simulator.tables import as_tensor

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"
BATCH = "Z"


@dataclass(frozen=True, eq=False)
class ContractionStep:
    """A product of two tables, or the sum of one over a variable.

    Attributes:
        left, right: their places; the result takes the next free place. None for a table that is only summed.
        left_variables, right_variables, result: variables of all three.
    """

    left: int
    right: int | None
    left_variables: tuple[int, ...]
    right_variables: tuple[int, ...]
    result: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Contraction:
    """The network of one string, and the steps of its contraction.

    Attributes:
        network: what is contracted.
        order: of summing variables.
        steps: products of two tables.
        remaining: places of the tables that are left, which are numbers.
        outcomes: place and variables of the table that is left where qubits are read.
        takes_data: whether results differ from sample to sample.
        fixed: variables over which the sum is taken outside, one slice after another.
    """

    network: TensorNetwork
    order: Order
    steps: tuple[ContractionStep, ...]
    remaining: tuple[int, ...]
    outcomes: tuple[int, tuple[int, ...]] | None
    takes_data: bool
    fixed: tuple[int, ...] = ()

    @property
    def is_complex(self) -> bool:
        """Tell whether some table has entries that are not real."""
        return any(_is_complex(source) for source in self.network.sources)


class BatchedTable(NamedTuple):
    """Entries, with a dimension of samples in front where `is_batched`."""

    entries: Tensor
    is_batched: bool


def planned_contraction(network: TensorNetwork, order: Order, fixed: tuple[int, ...] = ()) -> Contraction:
    """Write an order of summing variables as products of two tables each."""
    held = {k: variables_of(table, fixed) for k, table in enumerate(network.tables)}
    steps: list[ContractionStep] = []
    holders: dict[int, set[int]] = {}
    for number, variables in held.items():
        for variable in variables:
            holders.setdefault(variable, set()).add(number)
    free = len(held)

    def combine(left: int, right: int | None, summed: int | None) -> int:
        nonlocal free
        lefts, rights = held.pop(left), () if right is None else held.pop(right)
        for variable in {*lefts, *rights}:
            holders[variable] -= {left, right}
        result = tuple(v for v in dict.fromkeys((*lefts, *rights)) if v != summed)
        steps.append(ContractionStep(left, right, lefts, rights, result))
        held[free] = result
        for variable in result:
            holders[variable].add(free)
        free += 1
        return free - 1

    for variable in order.variables:
        bucket = sorted(holders.get(variable, ()), key=lambda k: (len(held[k]), k))
        while len(bucket) > 2:
            bucket = sorted([*bucket[2:], combine(bucket[0], bucket[1], None)], key=lambda k: (len(held[k]), k))
        if bucket:
            combine(bucket[0], bucket[1] if len(bucket) == 2 else None, variable)
    unsummed = [number for number, variables in held.items() if variables]
    while len(unsummed) > 1:
        unsummed = [combine(unsummed[0], unsummed[1], None), *unsummed[2:]]
    outcomes = (unsummed[0], held.pop(unsummed[0])) if unsummed else None
    takes_data = any(_takes_data(network, number) for number in range(len(network.tables)))
    return Contraction(network, order, tuple(steps), tuple(held), outcomes, takes_data, fixed)


def variables_of(table: Table, fixed: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the distinct variables of a table but for fixed ones."""
    return tuple(variable for variable in dict.fromkeys(table.variables) if variable not in fixed)


def contract(plan: Contraction, data: Tensor, weights: Tensor, dtype: torch.dtype) -> Tensor:
    """Contract a network, ([batch], 2, ..., 2): a dimension of samples where data enters, one for each outcome read.

    Slices are added up one by one; the backward pass computes each of them again, so that it holds one at a time.
    """
    tables = network_tables(plan.network, data, weights, dtype)
    if not plan.fixed:
        return _contracted(plan, tables)
    recorded = torch.is_grad_enabled() and not needs_plain_operations()
    total = None
    for values in product((0, 1), repeat=len(plan.fixed)):
        chosen = dict(zip(plan.fixed, values, strict=True))

        def slice_of(*entries: Tensor, chosen: Mapping[int, int] = chosen) -> Tensor:
            again = [BatchedTable(value, table.is_batched) for value, table in zip(entries, tables, strict=True)]
            return _contracted(plan, _sliced(plan.network, again, chosen))

        entries = [table.entries for table in tables]
        part = checkpoint(slice_of, *entries, use_reentrant=False) if recorded else slice_of(*entries)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("A contraction must have at least one slice.")
    return total


def _contracted(plan: Contraction, tables: Sequence[BatchedTable]) -> Tensor:
    """Run all steps, and multiply what is left."""
    held: dict[int, BatchedTable] = dict(enumerate(tables))
    for number, step in enumerate(plan.steps, start=len(tables)):
        left = held.pop(step.left)
        right = None if step.right is None else held.pop(step.right)
        held[number] = multiplied(left, step.left_variables, right, step.right_variables, step.result)
    result = tables[0].entries.new_ones(())
    for place in plan.remaining:
        result = result * held[place].entries
    if plan.outcomes is None:
        return result
    place, variables = plan.outcomes
    entries, batched = held[place]
    axes = [variables.index(variable) + batched for variable in plan.network.read]
    scale = result.reshape(*result.shape, *(1,) * len(axes))
    return entries.permute(*range(batched), *axes) * scale


def multiplied(
    left: BatchedTable,
    left_variables: tuple[int, ...],
    right: BatchedTable | None,
    right_variables: tuple[int, ...],
    result: tuple[int, ...],
) -> BatchedTable:
    """Multiply two tables, or take one, and sum over the variables that the result lacks."""
    if right is None:
        summed = [left.is_batched + k for k, v in enumerate(left_variables) if v not in result]
        return BatchedTable(left.entries.sum(summed) if summed else left.entries, left.is_batched)
    names: dict[int, str] = {}
    for variable in (*left_variables, *right_variables):
        names.setdefault(variable, LETTERS[len(names)])

    def text(variables: tuple[int, ...], *, batched: bool) -> str:
        return BATCH * batched + "".join(names[variable] for variable in variables)

    batched = left.is_batched or right.is_batched
    first, second = text(left_variables, batched=left.is_batched), text(right_variables, batched=right.is_batched)
    equation = f"{first},{second}->{text(result, batched=batched)}"
    return BatchedTable(torch.einsum(equation, left.entries, right.entries), batched)


def _sliced(network: TensorNetwork, tables: Sequence[BatchedTable], chosen: Mapping[int, int]) -> list[BatchedTable]:
    """Take the part of every table in which fixed variables have the chosen values."""
    result = []
    for table, (whole, batched) in zip(network.tables, tables, strict=True):
        part = whole
        for place, variable in reversed(list(enumerate(dict.fromkeys(table.variables)))):
            if variable in chosen:
                part = part.select(place + batched, chosen[variable])
        result.append(BatchedTable(part, batched))
    return result


def _is_complex(source: Source) -> bool:
    parts = [source.constant, *(part for _, *pair in source.terms for part in pair)]
    has_imaginary_slots = len(source.amplitudes) > source.constant.size
    return has_imaginary_slots or any(bool(np.abs(np.imag(part)).max() > 0) for part in parts)


def _takes_data(network: TensorNetwork, number: int) -> bool:
    table = network.tables[number]
    slots = network.sources[table.source].amplitudes if table.slot is None else (table.slot,)
    return any(slot.kind == "data" for slot in slots)


def network_tables(network: TensorNetwork, data: Tensor, weights: Tensor, dtype: torch.dtype) -> list[BatchedTable]:
    """Compute the entries of all tables, and tell whether each has a dimension of samples in front."""
    entries: dict[int, BatchedTable] = {}
    groups: dict[tuple[int, str | None], list[int]] = {}
    for number, table in enumerate(network.tables):
        groups.setdefault((table.source, None if table.slot is None else table.slot.kind), []).append(number)
    for (source, kind), numbers in groups.items():
        slots = [network.tables[number].slot for number in numbers]
        indices = sorted({slot.index for slot in slots if slot is not None})
        angles = None if kind is None else (data[:, indices] if kind == "data" else weights[indices])
        values, batched = _entries(network.sources[source], angles, data, weights, dtype)
        plain = values.unbind(-1) if kind is not None else (values,)
        turned = (values.conj() if values.is_complex() else values).unbind(-1) if kind is not None else (_conj(values),)
        for number in numbers:
            table = network.tables[number]
            place = 0 if table.slot is None else indices.index(table.slot.index)
            value = turned[place] if table.is_conjugate else plain[place]
            entries[number] = BatchedTable(_without_repeats(value, table.variables, batched=batched), batched)
    return [entries[number] for number in range(len(network.tables))]


def _conj(values: Tensor) -> Tensor:
    return values.conj() if values.is_complex() else values


def _entries(
    source: Source, angles: Tensor | None, data: Tensor, weights: Tensor, dtype: torch.dtype
) -> tuple[Tensor, bool]:
    """Compute entries (*samples, *shape, angles), the last where there are angles; tell whether samples are there."""

    def constant(values: np.ndarray) -> Tensor:
        return as_tensor(values, dtype, data.device)

    shape = source.constant.shape
    if source.amplitudes:
        columns = data[:, [slot.index for slot in source.amplitudes]]
        n_entries = source.constant.size
        if len(source.amplitudes) > n_entries:
            return torch.complex(columns[:, :n_entries], columns[:, n_entries:]).reshape(-1, *shape), True
        return columns.to(dtype).reshape(-1, *shape), True
    plain = constant(source.constant)
    if angles is None:
        return plain, False
    batched = angles.ndim == 2
    lifted = angles.reshape(*angles.shape[:-1], *(1,) * len(shape), angles.shape[-1])
    total = plain[..., None].expand(*shape, angles.shape[-1])
    for frequency, cosine, sine in source.terms:
        cos_part, sin_part = (constant(part)[..., None] for part in (cosine, sine))
        total = total + torch.cos(frequency * lifted) * cos_part + torch.sin(frequency * lifted) * sin_part
    return total, batched


def _without_repeats(value: Tensor, variables: tuple[int, ...], *, batched: bool) -> Tensor:
    """Take the diagonal of a table that has one variable twice, as where state and conjugate are joined."""
    current = list(variables)
    while len(set(current)) < len(current):
        first = next(k for k, v in enumerate(current) if current.count(v) > 1)
        second = current.index(current[first], first + 1)
        value = torch.diagonal(value, dim1=batched + first, dim2=batched + second)
        variable = current[first]
        current = [v for k, v in enumerate(current) if k not in (first, second)] + [variable]
        order = tuple(dict.fromkeys(variables))
        if len(set(current)) == len(current):
            axes = [current.index(v) for v in order]
            value = value.permute(*range(batched), *(batched + axis for axis in axes))
    return value
