"""Samples: outcomes drawn from exact probabilities, or from trajectories where a circuit records bits on its way.

A trajectory is one run of the device: at each measurement, reset, post-selection or channel an outcome is drawn with
its Born probability and the state is projected. Many trajectories run side by side as a batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from circuits import Circuit, Operation, Slot
from circuits.gates import Channel, Measure, PostSelect, Reset
from circuits.slots import data as data_slot
from qml.simulator import engine
from qml.simulator.draws import uniform
from qml.simulator.memory import MemoryNeed

SLOT_BYTES = 100  # of one slot of a segment that starts from amplitudes
MAX_PARALLEL_AMPLITUDES = 2**22  # of all trajectories that run side by side
MAX_SELECTION_ROUNDS = 1000  # of repeating runs whose post-selection failed


def draw(probabilities: Tensor, shots: int, generator: torch.Generator | None) -> Tensor:
    """Draw `shots` outcomes from each row; (batch, outcomes) to (batch, shots), int64."""
    cumulative = torch.cumsum(probabilities.double(), 1)
    total = cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, uniform((len(cumulative), shots), total, generator) * total, right=True)
    return drawn.clamp_max(probabilities.shape[1] - 1)


def as_bits(outcomes: Tensor, n_bits: int) -> Tensor:
    """Write outcome numbers as bits, the first the most significant; (...) to (..., n_bits), int8."""
    shifts = torch.arange(n_bits - 1, -1, -1, device=outcomes.device)
    return ((outcomes[..., None] >> shifts) & 1).to(torch.int8)


def trajectories(
    circuit: Circuit, data: Tensor, weights: Tensor, shots: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw the final bits of all qubits and the recorded bits of `shots` runs a sample.

    Returns:
        int8 tensors of shape (batch, shots, n_qubits) and (batch, shots, n_bits).

    Raises:
        RuntimeError: post-selection succeeds so rarely that the runs cannot be collected.
    """
    trajectory_need(circuit, data).require()
    sampler = _Trajectories(circuit, weights.detach(), generator)
    finals, records = [], []
    for row in data.detach():
        final, record = sampler.collect(row, shots)
        finals.append(final)
        records.append(record)
    return torch.stack(finals), torch.stack(records)


def trajectory_need(circuit: Circuit, data: Tensor) -> MemoryNeed:
    """Return the memory of one trajectory."""
    slots = SLOT_BYTES * 2 ** (circuit.n_qubits + 1)
    return MemoryNeed(circuit.n_qubits, 2, 1, data.dtype.to_complex(), data.device, more=slots)


@dataclass(frozen=True, eq=False)
class _Segment:
    """A segment of unitary operations, and the event after them (None at the end).

    Attributes:
        circuit: the operations; None for none.
        event: a measurement, reset, post-selection or channel.
        data_index, weight_index: which of the whole circuit's slots it uses.
        takes_state: whether its first data slots are the amplitudes to start from.
    """

    circuit: Circuit | None
    event: Operation | None
    data_index: list[int]
    weight_index: list[int]
    takes_state: bool

    def run(self, states: Tensor, row: Tensor, weights: Tensor) -> Tensor:
        """Compute the states after the operations; (runs, 2**n) to the same."""
        if self.circuit is None:
            return states
        columns = row[self.data_index][None]
        if self.takes_state:
            columns = torch.cat([states.real, states.imag, columns.expand(len(states), -1)], 1)
        return engine.final_state(self.circuit, columns, weights[self.weight_index]).expand(len(states), -1)


class _Trajectories:
    """A sampler of runs, many side by side, segment by segment."""

    def __init__(self, circuit: Circuit, weights: Tensor, generator: torch.Generator | None) -> None:
        self.n_qubits, self.n_bits = circuit.n_qubits, circuit.n_bits
        self.weights, self.generator = weights, generator
        self.segments = list(_segments(circuit))
        self.chunk = max(1, MAX_PARALLEL_AMPLITUDES // 2**circuit.n_qubits)

    def collect(self, row: Tensor, shots: int) -> tuple[Tensor, Tensor]:
        """Collect successful runs for one sample until there are `shots` of them."""
        finals, records, n_collected = [], [], 0
        for _ in range(MAX_SELECTION_ROUNDS):
            if n_collected >= shots:
                break
            final, record, succeeded = self._run(row, min(self.chunk, max(shots - n_collected, 16)))
            finals.append(final[succeeded])
            records.append(record[succeeded])
            n_collected += len(finals[-1])
        if n_collected < shots:
            raise RuntimeError(
                f"Post-selection must succeed often enough to collect {shots} runs, but after {MAX_SELECTION_ROUNDS} "
                f"rounds only {n_collected} did. Use Native().probabilities, which is exact, or fewer shots."
            )
        return torch.cat(finals)[:shots], torch.cat(records)[:shots]

    def _run(self, row: Tensor, n_runs: int) -> tuple[Tensor, Tensor, Tensor]:
        MemoryNeed(self.n_qubits, 2, n_runs, row.dtype.to_complex(), row.device).require()
        side = 2**self.n_qubits
        states = torch.zeros(n_runs, side, dtype=row.dtype.to_complex(), device=row.device)
        states[:, 0] = 1.0
        record = torch.zeros(n_runs, self.n_bits, dtype=torch.int8, device=row.device)
        succeeded = torch.ones(n_runs, dtype=torch.bool, device=row.device)
        for segment in self.segments:
            states = segment.run(states, row, self.weights)
            if segment.event is not None:
                states = self._event(segment.event, states, record, succeeded)
        outcomes = draw(states.abs().square(), 1, self.generator)[:, 0]
        return as_bits(outcomes, self.n_qubits), record, succeeded

    def _event(self, event: Operation, states: Tensor, record: Tensor, succeeded: Tensor) -> Tensor:
        gate = event.gate
        if isinstance(gate, Channel):
            operators = torch.as_tensor(gate.kraus.values.copy(), dtype=states.dtype, device=states.device)
            return self._jump(operators, event.qubits, states)[0]
        zero = torch.tensor([[1, 0], [0, 0]], dtype=states.dtype, device=states.device)
        one = torch.tensor([[0, 0], [0, 1]], dtype=states.dtype, device=states.device)
        lower = torch.tensor([[0, 1], [0, 0]], dtype=states.dtype, device=states.device)
        operators = torch.stack([zero, lower if isinstance(gate, Reset) else one])
        states, outcome = self._jump(operators, event.qubits, states)
        if isinstance(gate, Measure):
            record[:, gate.bit] = outcome.to(torch.int8)
        if isinstance(gate, PostSelect):
            succeeded &= outcome == gate.value
        return states

    def _jump(self, operators: Tensor, qubits: tuple[int, ...], states: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one Kraus operator a run, with probability |K psi|^2, and apply it."""
        n = self.n_qubits
        rest = [qubit for qubit in range(n) if qubit not in qubits]
        order = [0, *(1 + qubit for qubit in (*qubits, *rest))]
        tensor = states.reshape(-1, *(2,) * n).permute(order).reshape(len(states), 2 ** len(qubits), -1)
        branches = torch.einsum("kij,rjm->rkim", operators, tensor)
        chances = branches.abs().square().sum((2, 3))
        outcome = draw(chances, 1, self.generator)[:, 0]
        chosen = branches[torch.arange(len(states), device=states.device), outcome]
        chosen = chosen / torch.linalg.vector_norm(chosen, dim=(1, 2), keepdim=True)
        back = [0, *(1 + order[1:].index(1 + qubit) for qubit in range(n))]
        return chosen.reshape(-1, *(2,) * n).permute(back).reshape(states.shape), outcome


def _segments(circuit: Circuit) -> Iterator[_Segment]:
    """Cut a circuit at every operation that is not unitary."""
    pending: list[Operation] = []
    is_first = True
    # a preparation acts on fresh qubits, so it commutes with everything before it
    for operation in sorted(circuit.operations, key=lambda operation: not operation.is_preparation):
        if operation.is_unitary or operation.is_preparation:
            pending.append(operation)
            continue
        yield _segment(circuit.n_qubits, pending, operation, is_first=is_first)
        pending, is_first = [], False
    yield _segment(circuit.n_qubits, pending, None, is_first=is_first)


def _segment(n_qubits: int, operations: list[Operation], event: Operation | None, *, is_first: bool) -> _Segment:
    """Build a segment, its slots numbered anew; all but the first segment start from amplitudes as data."""
    if not operations:
        return _Segment(None, event, [], [], takes_state=False)
    n_amplitudes = 0 if is_first else 2 * 2**n_qubits
    result, numbers = Circuit(n_qubits), {"data": {}, "weight": {}}
    if not is_first:
        result.prepare_slots([data_slot(index) for index in range(n_amplitudes)])
    for operation in operations:
        angles = []
        for angle in operation.angles:
            if not isinstance(angle, Slot):
                angles.append(angle)
                continue
            place = numbers[angle.kind].setdefault(angle.index, len(numbers[angle.kind]))
            angles.append(Slot(angle.kind, place + (n_amplitudes if angle.kind == "data" else 0)))
        result.append(operation.gate, operation.qubits, controls=operation.controls, angles=angles)
    return _Segment(result, event, list(numbers["data"]), list(numbers["weight"]), takes_state=not is_first)
