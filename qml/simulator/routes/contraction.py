"""The route by contraction: a wide circuit of low width as a tensor network (see `qml.simulator.network`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator.cost import CALL_NS
from qml.simulator.execution import Method
from qml.simulator.memory import MemoryNeed
from qml.simulator.network import Order, Source, TensorNetwork, find_order, network_of
from qml.simulator.plan import Request
from qml.simulator.routes.register import require_possible
from qml.simulator.tables import TableCache, as_tensor

WIDE = 12  # qubits: a register of so few is as quick
CALLS_A_STEP = 4.0  # tensor operations in one product of two tables
ENTRY_NS = 4.0  # one multiplication of entries
AMPLITUDE_NS = 1.0  # one amplitude in one operation on a register
CLEARLY = 4.0  # times cheaper than a register, where both costs are estimates
PLANNING_NS = 4e4  # of one operation in the network of one string
QUICK_NS = 3e7  # of a register, below which no order is looked for
STATES_OF_A_TABLE = 4  # tables of the largest size that are held at once
LARGEST_EXPONENT = 500  # of levels in an estimate, which must stay a finite float
LARGEST_WIDTH = 27
MOST_CONTROLS = 12  # of one gate, whose table has a dimension for each
LARGEST_COST = 1e11  # multiplications, some minutes
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
    """The network of one string, and the steps of its contraction."""

    network: TensorNetwork
    order: Order
    steps: tuple[ContractionStep, ...]
    remaining: tuple[int, ...]
    takes_data: bool


class ContractionRoute:
    """A contraction for every string; see `ExpectationRoute`.

    Args:
        strings: a contraction for each distinct string; the last one is of the norm where the circuit post-selects.
        terms: (observable, coefficient, string) of all strings.
        n_observables: how many observables there are.
        request: what is asked.
        projects: whether the circuit post-selects.
        register_cost: an estimate of what a register would cost.
    """

    def __init__(
        self,
        strings: tuple[Contraction, ...],
        terms: tuple[tuple[int, float, int], ...],
        n_observables: int,
        request: Request,
        *,
        projects: bool,
        register_cost: float,
    ) -> None:
        self._register_cost = register_cost
        self.strings, self._terms, self._n_observables = strings, terms, n_observables
        self._projects, self._request = projects, request
        self._is_complex = any(_is_complex(source) for entry in strings for source in entry.network.sources)
        self._tables: TableCache[tuple[torch.dtype, torch.device], Tensor] = TableCache()

    @property
    def is_final(self) -> bool:
        """Tell whether no register comes near the cost, so that none need be planned."""
        return CLEARLY * self.cost < self._register_cost

    @property
    def cost(self) -> float:
        """Estimate the products of tables of all strings."""
        batch = max(self._request.batch, 1)
        return sum(
            len(entry.steps) * CALLS_A_STEP * CALL_NS + entry.order.cost * ENTRY_NS * (batch if entry.takes_data else 1)
            for entry in self.strings
        )

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the largest table of every contraction."""
        dtype = data.dtype.to_complex() if self._is_complex else data.dtype
        return tuple(
            MemoryNeed(
                entry.order.width,
                2,
                len(data) if entry.takes_data else 1,
                dtype,
                data.device,
                register=f"a contraction whose largest table has {entry.order.width} variables,",
                n_states=STATES_OF_A_TABLE,
                more=self._recorded_bytes(entry, len(data), dtype),
            )
            for entry in self.strings
        )

    def _recorded_bytes(self, entry: Contraction, batch: int, dtype: torch.dtype) -> int:
        """Count the bytes of all tables, which stay until the backward pass where gradients are recorded."""
        if not torch.is_grad_enabled():
            return 0
        return int(min(entry.order.written, 2.0**60)) * dtype.itemsize * (batch if entry.takes_data else 1)

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Contract all networks; derivatives are by autograd, whatever the method."""
        for need in self.needs(data):
            need.require()
        dtype = data.dtype.to_complex() if self._is_complex else data.dtype
        values = [_contract(entry, data, weights, dtype) for entry in self.strings]
        known = torch.stack([value.expand(data.shape[0]) for value in values], 1)
        matrix = self._tables.get((data.dtype, data.device), lambda: self._matrix(data))
        answer = known @ matrix + 0.0 * (data.sum(1, keepdim=True) + weights.sum())
        if not self._projects:
            return answer
        require_possible(known[:, -1:], levels=2)
        return answer / known[:, -1:]

    def _matrix(self, like: Tensor) -> Tensor:
        """Return the coefficient of every string in every observable."""
        matrix = like.new_zeros(len(self.strings), self._n_observables)
        for observable, coefficient, string in self._terms:
            matrix[string, observable] += coefficient
        return matrix


def find_contraction(circuit: Circuit, request: Request) -> ContractionRoute | None:
    """Plan the contraction of all strings; None where a register is certainly quicker."""
    if request.terms is None or request.only_registers or circuit.n_qubits <= WIDE:
        return None
    limit = len(circuit) * AMPLITUDE_NS * float(request.levels) ** min(circuit.n_qubits, LARGEST_EXPONENT)
    if limit < QUICK_NS or any(len(op.controls) > MOST_CONTROLS for op in circuit.operations):
        return None
    projects = any(op.gate.name == "post_select" for op in circuit.operations)
    distinct = list(dict.fromkeys(factors for weighted in request.terms for _, factors in weighted))
    if projects:
        distinct = [factors for factors in distinct if factors] + [()]
    if len(distinct) * len(circuit) * PLANNING_NS > limit:
        return None
    planned, left = [], limit / ENTRY_NS
    for string in distinct:
        network = network_of(circuit, string)
        order = find_order(network, min(left, LARGEST_COST))
        if order is None or order.width > LARGEST_WIDTH:
            return None
        planned.append(planned_contraction(network, order))
        left -= order.cost
    terms = tuple(
        (observable, coefficient, distinct.index(factors))
        for observable, weighted in enumerate(request.terms)
        for coefficient, factors in weighted
    )
    return ContractionRoute(tuple(planned), terms, len(request.terms), request, projects=projects, register_cost=limit)


def _is_complex(source: Source) -> bool:
    parts = [source.constant, *(part for _, *pair in source.terms for part in pair)]
    has_imaginary_slots = len(source.amplitudes) > source.constant.size
    return has_imaginary_slots or any(bool(np.abs(np.imag(part)).max() > 0) for part in parts)


def planned_contraction(network: TensorNetwork, order: Order) -> Contraction:
    """Write an order of summing variables as products of two tables each."""
    held: dict[int, tuple[int, ...]] = {k: tuple(dict.fromkeys(t.variables)) for k, t in enumerate(network.tables)}
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
        gone = {summed} | {v for v in (*lefts, *rights) if not holders[v] and v == summed}
        result = tuple(v for v in dict.fromkeys((*lefts, *rights)) if v not in gone)
        steps.append(ContractionStep(left, right, lefts, rights, result))
        held[free] = result
        for variable in result:
            holders[variable].add(free)
        free += 1
        return free - 1

    for variable in order.variables:
        bucket = sorted(holders[variable], key=lambda k: (len(held[k]), k))
        while len(bucket) > 2:
            bucket = sorted([*bucket[2:], combine(bucket[0], bucket[1], None)], key=lambda k: (len(held[k]), k))
        combine(bucket[0], bucket[1] if len(bucket) == 2 else None, variable)
    takes_data = any(_takes_data(network, number) for number in range(len(network.tables)))
    return Contraction(network, order, tuple(steps), tuple(held), takes_data)


def _contract(plan: Contraction, data: Tensor, weights: Tensor, dtype: torch.dtype) -> Tensor:
    """Contract the network of one string, (batch,) or () where no data enters."""
    tables: list[tuple[Tensor, bool] | None] = [*_tables(plan.network, data, weights, dtype)]
    for step in plan.steps:
        tables.append(_step(step, tables))
        tables[step.left] = None
        if step.right is not None:
            tables[step.right] = None
    result = data.new_ones(())
    for number in plan.remaining:
        entry = tables[number]
        if entry is not None:
            result = result * entry[0]
    return result.real if dtype.is_complex else result


def _takes_data(network: TensorNetwork, number: int) -> bool:
    table = network.tables[number]
    slots = network.sources[table.source].amplitudes if table.slot is None else (table.slot,)
    return any(slot.kind == "data" for slot in slots)


def _step(step: ContractionStep, tables: Sequence[tuple[Tensor, bool] | None]) -> tuple[Tensor, bool]:
    names: dict[int, str] = {}
    for variable in (*step.left_variables, *step.right_variables):
        names.setdefault(variable, LETTERS[len(names)])

    def text(variables: tuple[int, ...], *, batched: bool) -> str:
        return BATCH * batched + "".join(names[variable] for variable in variables)

    left = tables[step.left]
    right = None if step.right is None else tables[step.right]
    if left is None:
        raise ValueError("A table must be contracted only once.")
    if right is None:
        summed = [left[1] + k for k, v in enumerate(step.left_variables) if v not in step.result]
        return (left[0].sum(summed) if summed else left[0]), left[1]
    batched = left[1] or right[1]
    first, second = text(step.left_variables, batched=left[1]), text(step.right_variables, batched=right[1])
    equation = f"{first},{second}->{text(step.result, batched=batched)}"
    return torch.einsum(equation, left[0], right[0]), batched


def _tables(network: TensorNetwork, data: Tensor, weights: Tensor, dtype: torch.dtype) -> list[tuple[Tensor, bool]]:
    """Compute the entries of all tables, and tell whether each has a dimension of samples in front."""
    entries: list[tuple[Tensor, bool] | None] = [None] * len(network.tables)
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
            entries[number] = _without_repeats(value, table.variables, batched=batched), batched
    return [entry for entry in entries if entry is not None]


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
