"""The contract of `nn.LSTM` and `nn.GRU` around any cell: layers, directions, dropout, batches, packed sequences."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from qml import checks

State = tuple[Tensor, ...]
"""Of a cell: (h, c) or (h,), each (batch, size)."""


@runtime_checkable
class Cell(Protocol):
    """One time step, prepared for a whole sequence.

    A cell may also have `scan(inputs, start)`: outputs and the last state of a whole sequence at once, or None.
    """

    state_sizes: tuple[int, ...]

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """A function from (time, state) to the next state, for inputs (time, batch, input_size).

        What does not change from step to step is computed here, once.
        """
        ...


MakeCell = Callable[[int], nn.Module]
"""A cell for an input size."""


class Recurrent(nn.Module):
    """Cells in layers and directions.

    Args:
        make_cell: the cell of each layer and direction.
        input_size: features of a time step.
        num_layers: layers, each reading the one before.
        batch_first: whether inputs and outputs are (batch, time, features) instead of (time, batch, features).
        dropout: share of the outputs of every layer but the last that are set to 0 in training, in [0, 1).
        bidirectional: whether a second cell reads each sequence backwards.
    """

    def __init__(
        self,
        make_cell: MakeCell,
        input_size: int,
        *,
        num_layers: int,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        checks.as_int(input_size, "input_size", 1)
        checks.as_int(num_layers, "num_layers", 1)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"Argument `dropout` must lie in [0, 1), but is {dropout}. Pass 0 for none.")
        if dropout and num_layers == 1:
            raise ValueError(
                f"Argument `dropout` must be 0 for one layer, but is {dropout}: it acts between layers. Add a layer."
            )
        self.input_size, self.num_layers, self.batch_first = input_size, num_layers, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        self.cells = nn.ModuleList()
        size = input_size
        for _ in range(num_layers):
            self.cells.extend(make_cell(size) for _ in range(self.n_directions))
            size = self.n_directions * self.state_sizes[0]

    @property
    def n_directions(self) -> int:
        """1, or 2."""
        return 2 if self.bidirectional else 1

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Of h (and c) of a layer and direction."""
        return self._cell(0).state_sizes

    def run(self, inputs: Tensor | PackedSequence, state: State | None) -> tuple[Tensor | PackedSequence, State]:
        """Outputs and the last state; see `nn.LSTM`."""
        if isinstance(inputs, PackedSequence):
            return self._run_packed(inputs, state)
        if inputs.ndim not in (2, 3):
            raise ValueError(
                f"Argument `inputs` must have 2 (one sequence) or 3 dimensions, but has shape {tuple(inputs.shape)}."
            )
        checks.require_last_dimension(inputs, self.input_size, "inputs")
        checks.require_finite(inputs, "inputs")
        single = inputs.ndim == 2
        if single:
            inputs = inputs.unsqueeze(1)
            state = None if state is None else tuple(self._single(part).unsqueeze(1) for part in state)
        elif self.batch_first:
            inputs = inputs.transpose(0, 1)
        outputs, last = self._run_layers(inputs, self._start(inputs, state), None)
        if single:
            return outputs.squeeze(1), tuple(part.squeeze(1) for part in last)
        return (outputs.transpose(0, 1) if self.batch_first else outputs), last

    def _run_packed(self, inputs: PackedSequence, state: State | None) -> tuple[PackedSequence, State]:
        padded, lengths = pad_packed_sequence(inputs)
        checks.require_last_dimension(padded, self.input_size, "inputs")
        checks.require_finite(inputs.data, "inputs")
        outputs, last = self._run_layers(padded, self._start(padded, state), lengths.to(padded.device))
        packed = pack_padded_sequence(outputs, lengths, enforce_sorted=False)
        # The same order of sequences as came in, so that data and indices belong together.
        if inputs.unsorted_indices is None:
            packed = pack_padded_sequence(outputs, lengths, enforce_sorted=True)
        return packed, last

    def _single(self, part: Tensor) -> Tensor:
        if part.ndim != 2:
            raise ValueError(
                f"Argument `state` must have 2 dimensions for one sequence, but has shape {tuple(part.shape)}."
            )
        return part

    def _start(self, inputs: Tensor, state: State | None) -> State:
        """The given state, or zeros, each (num_layers * n_directions, batch, size)."""
        shapes = [(len(self.cells), inputs.shape[1], size) for size in self.state_sizes]
        if state is None:
            return tuple(inputs.new_zeros(shape) for shape in shapes)
        for part, shape in zip(state, shapes, strict=True):
            if tuple(part.shape) != shape:
                raise ValueError(f"Argument `state` must have shape {shape}, but has shape {tuple(part.shape)}.")
            checks.require_finite(part, "state")
        return state

    def _run_layers(self, inputs: Tensor, start: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            directions = []
            for direction in range(self.n_directions):
                index = layer * self.n_directions + direction
                begin = tuple(part[index] for part in start)
                outputs, final = _run_cell(self._cell(index), inputs, begin, lengths, backwards=direction == 1)
                directions.append(outputs)
                finals.append(final)
            inputs = directions[0] if len(directions) == 1 else torch.cat(directions, -1)
        return inputs, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _cell(self, index: int) -> Cell:
        cell: Any = self.cells[index]
        return cell


class RecurrentLSTM(Recurrent):
    """Cells of state (h, c)."""

    def forward(
        self, inputs: Tensor | PackedSequence, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
        """Outputs of the last layer at every step, and (h, c) after the last."""
        outputs, (h, c) = self.run(inputs, as_state(state, "h", "c"))
        return outputs, (h, c)


def as_state(state: Any, *names: str) -> State | None:
    """A state as a tuple: (h, c) of an LSTM, h of a GRU."""
    if state is None:
        return None
    parts = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(parts) != len(names):
        raise ValueError(f"Argument `state` must be ({', '.join(names)}), but holds {len(parts)} tensors.")
    return parts


def _run_cell(
    cell: Cell, inputs: Tensor, state: State, lengths: Tensor | None, *, backwards: bool
) -> tuple[Tensor, State]:
    scan = getattr(cell, "scan", None)
    if scan is not None and lengths is None:
        found = scan(inputs.flip(0) if backwards else inputs, state)
        if found is not None:
            return (found[0].flip(0) if backwards else found[0]), found[1]
    step = cell.prepare(inputs, state)
    outputs: list[Tensor] = []
    times = range(len(inputs))
    for time in reversed(times) if backwards else times:
        after = step(time, state)
        if lengths is not None:  # a sequence that has ended, or not begun, keeps its state
            alive = (time < lengths).unsqueeze(-1)
            after = tuple(torch.where(alive, new, old) for new, old in zip(after, state, strict=True))
        state = after
        outputs.append(state[0])
    if not outputs:
        return inputs.new_zeros(0, inputs.shape[1], cell.state_sizes[0]), state
    return torch.stack(outputs[::-1] if backwards else outputs), state
