"""The state in which a propagation ends: a product over blocks of qubits, on which strings have known values.

A block is a qubit with the one-qubit operations that come before anything else on it, or the qubits of one preparation.
Strings are not split by those operations; their letters on a block are read from its vector of expectation values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from circuits import Operation, Slot
from circuits.gates import StatePreparation
from qml.simulator.light_cone import alone, constants_of
from qml.simulator.linear import NEGLIGIBLE, Linear, linear_maps
from qml.simulator.pauli.table import PauliTable

ZERO_STATE = np.array([1.0, 0.0, 0.0, 1.0])  # of I, X, Y, Z


class Angles:
    """The distinct angles of a propagation: factors of slots. Number 0 is the angle 0."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[Slot, float], int] = {}

    def number(self, slot: Slot, factor: float) -> int:
        """Return the number of an angle."""
        return self.numbers.setdefault((slot, factor), len(self.numbers) + 1)

    @property
    def takes_data(self) -> bool:
        """Tell whether some angle differs from sample to sample."""
        return any(slot.kind == "data" for slot, _ in self.numbers)

    def values(self, data: Tensor, weights: Tensor) -> Tensor:
        """Return all angles, (angles, samples), with one sample if none takes data."""
        batch = len(data) if self.takes_data else 1
        rows = [weights.new_zeros(1, batch)]
        for kind in ("weight", "data"):
            chosen = [(slot.index, factor) for slot, factor in self.numbers if slot.kind == kind]
            if chosen:
                places = torch.tensor([place for place, _ in chosen], device=weights.device)
                factors = weights.new_tensor([factor for _, factor in chosen])
                own = weights[places][:, None].expand(-1, batch) if kind == "weight" else data[:, places].mT
                rows.append(own * factors[:, None])
        order = [0] * (len(self.numbers) + 1)
        ranked = [number for kind in ("weight", "data") for (s, _), number in self.numbers.items() if s.kind == kind]
        for row, number in enumerate(ranked, start=1):
            order[number] = row
        return torch.cat(rows)[torch.tensor(order, device=weights.device)]


@dataclass(eq=False)
class Block:
    """A group of qubits that starts in a state of its own.

    Attributes:
        qubits: the first the most significant.
        vector: (4**k,), expectation values of all strings on them at the start.
        maps: one-qubit operations on it, with the slot of each.
    """

    qubits: tuple[int, ...]
    vector: np.ndarray
    maps: list[tuple[Linear, Slot | None]] = field(default_factory=list)

    @property
    def nonzero(self) -> np.ndarray:
        """Tell which strings have an expectation value that is not 0 at all angles."""
        size = np.abs(self.vector)
        for linear, _ in self.maps:
            parts = [linear.constant, *(part for _, *pair in linear.terms for part in pair)]
            size = sum(np.abs(part) for part in parts) @ size
        return size > 100 * NEGLIGIBLE


def split_start(operations: Sequence[Operation]) -> tuple[list[Block], list[Operation]]:
    """Return the blocks in which a circuit starts, for qubits that operations touch, and the other operations."""
    blocks: dict[int, Block] = {}
    touched: set[int] = set()
    others: list[Operation] = []
    for operation in operations:
        qubits = operation.all_qubits
        if isinstance(operation.gate, StatePreparation):
            block = Block(qubits, _expectations(operation.gate))
            blocks.update(dict.fromkeys(qubits, block))
            if len(qubits) > 1:
                touched.update(qubits)
        elif len(qubits) == 1 and qubits[0] not in touched:
            block = blocks.setdefault(qubits[0], Block(qubits, ZERO_STATE))
            for linear in linear_maps(alone(operation.gate, 0, constants_of(operation)), 4)[1]:
                block.maps.append((linear, None if linear.slot is None else operation.slots[linear.slot.index]))
        else:
            touched.update(qubits)
            others.append(operation)
    return list(dict.fromkeys(blocks.values())), others


def _expectations(gate: StatePreparation) -> np.ndarray:
    if gate.amplitudes is None:
        raise TypeError("A block must be prepared from constant amplitudes.")
    vector = gate.amplitudes.values
    k = gate.n_qubits
    rho = np.outer(vector, vector.conj()).reshape((2,) * (2 * k))
    rho = rho.transpose([place for site in range(k) for place in (site, k + site)])
    to_pauli = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1j, -1j, 0], [1, 0, 0, -1]])
    result = rho.reshape(4**k)
    for site in range(k):
        result = (to_pauli @ result.reshape(4**site, 4, -1)).reshape(4**k)
    return np.real(result)


class Start:
    """The blocks of a circuit and how the strings of a table are read from them.

    Args:
        blocks: of all qubits that strings of the table can reach; other qubits are in |0>.
        table: the last one of a propagation.
        angles: to which those of the blocks are added.
    """

    def __init__(self, blocks: Sequence[Block], table: PauliTable, angles: Angles) -> None:
        self._blocks, self._angles = [block for block in blocks if len(block.qubits) == 1], angles
        self._wide = [block for block in blocks if len(block.qubits) > 1]
        offset, columns = 1, np.zeros((1, len(table)), dtype=np.int64)
        counts = np.zeros(len(table), dtype=np.int64)
        for block in (*self._blocks, *self._wide):
            codes = table.codes(block.qubits)
            (chosen,) = np.nonzero(codes)
            if len(chosen) and counts[chosen].max() == len(columns):
                columns = np.concatenate([columns, np.zeros((1, len(table)), dtype=np.int64)])
            columns[counts[chosen], chosen] = offset + codes[chosen]
            counts[chosen] += 1
            offset += 4 ** len(block.qubits)
        self._columns = torch.from_numpy(columns)
        self._rounds = [
            _round([(place, *block.maps[depth]) for place, block in enumerate(self._blocks) if len(block.maps) > depth],
                   angles)
            for depth in range(max((len(block.maps) for block in self._blocks), default=0))
        ]  # fmt: skip

    def values(self, cosines: Tensor, sines: Tensor) -> Tensor:
        """Return the expectation values of the table's strings, (strings, samples)."""
        device, dtype, samples = cosines.device, cosines.dtype, cosines.shape[1]

        def constant(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        parts = [cosines.new_ones(1, samples)]
        if self._blocks:
            vectors = constant(np.stack([block.vector for block in self._blocks]))[..., None].expand(-1, -1, samples)
            for places, fixed, numbers, cosine, sine in self._rounds:
                chosen, numbered = torch.as_tensor(places, device=device), torch.as_tensor(numbers, device=device)
                matrices = constant(fixed)[..., None] + (
                    constant(cosine)[..., None] * cosines[numbered][:, :, None, None]
                    + constant(sine)[..., None] * sines[numbered][:, :, None, None]
                ).sum(1)
                new = (matrices * vectors[chosen][:, None]).sum(2)
                vectors = vectors.index_copy(0, chosen, new) if len(places) < len(self._blocks) else new
            parts.append(vectors.flatten(0, 1))
        parts.extend(constant(block.vector)[:, None].expand(-1, samples) for block in self._wide)
        flat = torch.cat(parts)
        columns = self._columns.to(device)
        result = flat.index_select(0, columns[0])
        for column in columns[1:]:
            result = result * flat.index_select(0, column)
        return result


Round = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _round(entries: Sequence[tuple[int, Linear, Slot | None]], angles: Angles) -> Round:
    """Maps of several qubits at once: which, (q, 4, 4) constants, (q, f) angles, (q, f, 4, 4) cosines and sines."""
    n_terms = max(len(linear.terms) for _, linear, _ in entries)
    numbers = np.zeros((len(entries), n_terms), dtype=np.int64)
    cosine, sine = (np.zeros((len(entries), n_terms, 4, 4)) for _ in range(2))
    for row, (_, linear, slot) in enumerate(entries):
        for term, (frequency, of_cosine, of_sine) in enumerate(linear.terms):
            if slot is not None:
                numbers[row, term] = angles.number(slot, frequency)
            cosine[row, term], sine[row, term] = np.real(of_cosine), np.real(of_sine)
    fixed = np.stack([np.real(linear.constant) for _, linear, _ in entries])
    return np.array([place for place, _, _ in entries]), fixed, numbers, cosine, sine
