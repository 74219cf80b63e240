"""The contract of `nn.LSTM` and `nn.GRU` around any cell: layers, directions, dropout, batches, packed sequences."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from qml import checks
from qml.checks import full_precision
from qml.nn._packed_steps import PackedSteps
from qml.nn._torch_names import either

Sequences = Tensor | PackedSequence
"""A batch of sequences, or one alone."""

State = tuple[Tensor, ...]
"""Of a cell: (h, c) or (h,), each (batch, size)."""


@runtime_checkable
class Cell(Protocol):
    """A cell whose time step is prepared for a whole sequence.

    A cell may also have `scan(inputs, start)`: outputs and the last state of a whole sequence at once, or None.
    """

    state_sizes: tuple[int, ...]

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """Return a function from (time, state) to the next state, for inputs (time, batch, input_size).

        What does not change from step to step is computed here, once.
        """
        ...


MakeCell = Callable[[int], nn.Module]
"""A cell for an input size."""


class Recurrent(nn.Module):
    """A network that runs cells in layers and directions.

    Args:
        make_cell: the cell of each layer and direction.
        input_size: features of a time step.
        num_layers: layers, each reading the one before.
        bias: True; see `as_bias`.
        batch_first: whether inputs and outputs are (batch, time, features) instead of (time, batch, features).
        dropout: share of the outputs of every layer but the last that are set to 0 in training, in [0, 1].
        bidirectional: whether a second cell reads each sequence backwards.

    Attributes:
        hidden_size: features of the widest part of a state.
        proj_size: features of h if a projection makes them fewer, else 0.
    """

    def __init__(
        self,
        make_cell: MakeCell,
        input_size: int,
        *,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.input_size = checks.as_int(input_size, "input_size", 1)
        self.num_layers = checks.as_int(num_layers, "num_layers", 1)
        self.bias, self.batch_first = as_bias(bias), checks.as_flag(batch_first, "batch_first")
        self.dropout = checks.as_number(dropout, "dropout", at_least=0.0, at_most=1.0)
        self.bidirectional = checks.as_flag(bidirectional, "bidirectional")
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                f"Argument `dropout` must be 0 for one layer, but is {dropout}: it acts between layers. Add a layer."
            )
        self.cells = nn.ModuleList()
        size = self.input_size
        for _ in range(self.num_layers):
            self.cells.extend(make_cell(size) for _ in range(self.n_directions))
            size = self.n_directions * self.state_sizes[0]
        h_size, self.hidden_size = self.state_sizes[0], self.state_sizes[-1]
        self.proj_size = h_size if h_size < self.hidden_size else 0

    @property
    def n_directions(self) -> int:
        """Return 1, or 2 if sequences are read backwards too."""
        return 2 if self.bidirectional else 1

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Return the sizes of h (and c) of a layer and direction."""
        return self._cell(0).state_sizes

    __prepare_scriptable__ = checks.refuse_scripting

    def flatten_parameters(self) -> None:
        """Do nothing: `nn.LSTM` lays its weights out for cuDNN here, which circuits do not use."""

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the parameters of all cells anew."""
        for cell in self.cells:
            cell.reset_parameters(generator)  # pyright: ignore[reportCallIssue]

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        names = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return what `repr` shows before the cells: both sizes, and what differs from the default."""
        defaults = {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0}
        chosen = {name: getattr(self, name) for name, default in defaults.items() if getattr(self, name) != default}
        return ", ".join([str(self.input_size), str(self.hidden_size), *(f"{k}={v}" for k, v in chosen.items())])

    def run(self, inputs: Any, state: State | None) -> tuple[Sequences, State]:
        """Compute outputs and the last state; see `nn.LSTM`."""
        if isinstance(inputs, PackedSequence):
            return self._run_packed(inputs, state)
        inputs = self._as_features(inputs)
        if inputs.ndim not in (2, 3):
            raise ValueError(
                f"Argument `inputs` must have 2 (one sequence) or 3 dimensions, but has shape {tuple(inputs.shape)}."
            )
        single = inputs.ndim == 2
        if single:
            inputs = inputs.unsqueeze(1)
            state = None if state is None else tuple(_single(part).unsqueeze(1) for part in state)
        elif self.batch_first:
            inputs = inputs.transpose(0, 1)
        outputs, last = self._run_layers(inputs, self._start(inputs, state), None)
        if single:
            return outputs.squeeze(1), tuple(part.squeeze(1) for part in last)
        return (outputs.transpose(0, 1) if self.batch_first else outputs), last

    def _run_packed(self, inputs: PackedSequence, state: State | None) -> tuple[PackedSequence, State]:
        data, steps = self._as_features(inputs.data), PackedSteps(inputs)
        padded = steps.padded(data)
        start = tuple(steps.in_order(part) for part in self._start(padded, state))
        outputs, last = self._run_layers(padded, start, steps.alive)
        return steps.packed(outputs), tuple(steps.out_of_order(part) for part in last)

    def _as_features(self, inputs: Any) -> Tensor:
        inputs = checks.as_inputs(inputs, next(self.parameters()))
        checks.require_last_dimension(inputs, self.input_size, "inputs")
        checks.require_finite(inputs, "inputs")
        return inputs

    def _start(self, inputs: Tensor, state: State | None) -> State:
        """Return the given state, or zeros, each (num_layers * n_directions, batch, size)."""
        shapes = [(len(self.cells), inputs.shape[1], size) for size in self.state_sizes]
        return start_state(inputs, state, shapes)

    def _run_layers(self, inputs: Tensor, start: State, alive: Tensor | None) -> tuple[Tensor, State]:
        if inputs.is_meta:  # shapes alone
            n_features = self.n_directions * self.state_sizes[0]
            return inputs.new_empty(*inputs.shape[:2], n_features), tuple(map(torch.empty_like, start))
        try:
            with full_precision(inputs):
                return self._through_layers(inputs, start, alive)
        except ValueError:
            if not checks.hides_values():  # NaN of a parameter is refused a step later, as the input of a QKAN layer
                checks.require_finite_parameters(self)
            raise

    def _through_layers(self, inputs: Tensor, start: State, alive: Tensor | None) -> tuple[Tensor, State]:
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            directions = []
            for direction in range(self.n_directions):
                index = layer * self.n_directions + direction
                begin = tuple(part[index] for part in start)
                outputs, final = _run_cell(self._cell(index), inputs, begin, alive, backwards=direction == 1)
                checks.require_finite_result(final[0], self)  # what is NaN in a cell stays in its state
                directions.append(outputs)
                finals.append(final)
            inputs = directions[0] if len(directions) == 1 else torch.cat(directions, -1)
        return inputs, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _cell(self, index: int) -> Cell:
        cell: Any = self.cells[index]
        return cell


class RecurrentLSTM(Recurrent):
    """A network of cells whose state is (h, c)."""

    def forward(
        self,
        inputs: Sequences | None = None,
        state: tuple[Tensor, Tensor] | list[Tensor] | None = None,
        *,
        input: Sequences | None = None,
        hx: tuple[Tensor, Tensor] | list[Tensor] | None = None,
    ) -> tuple[Sequences, tuple[Tensor, Tensor]]:
        """Compute the outputs of the last layer at every step, and (h, c) after the last.

        Args:
            inputs: sequences; see the class.
            state: (h, c) to start from; None for zeros.
            input: `nn.LSTM`'s name of `inputs`.
            hx: `nn.LSTM`'s name of `state`.
        """
        given = either(state, hx, "state", "hx")
        outputs, (h, c) = self.run(either(inputs, input, "inputs", "input"), as_state(given, "h", "c"))
        return outputs, (h, c)


def as_bias(bias: Any) -> bool:
    """Return `bias`, which must be True: activations of circuits have constant parts that cannot be left out."""
    if not checks.as_flag(bias, "bias"):
        raise ValueError(
            "Argument `bias` must be True, but is False: what a circuit computes has a constant part, so there are no "
            "biases to leave out. Leave the argument out."
        )
    return True


def require_no_projection(proj_size: Any, why: str) -> None:
    """Refuse `proj_size` for a layer that has none; `why` is the clause that explains it."""
    if checks.as_int(proj_size, "proj_size", 0):
        raise ValueError(
            f"Argument `proj_size` must be 0, but is {proj_size}: {why}. Put an nn.Linear behind the layer."
        )


def as_state(state: Any, *names: str) -> State | None:
    """Return a state as a tuple: (h, c) of an LSTM, h of a GRU."""
    if state is None:
        return None
    form = names[0] if len(names) == 1 else f"({', '.join(names)})"
    if not isinstance(state, Tensor | tuple | list):
        raise TypeError(f"Argument `state` must be {form} in torch.Tensors, but is {type(state).__name__}.")
    parts = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(parts) != len(names):
        raise ValueError(f"Argument `state` must be {form}, but holds {len(parts)} tensors.")
    for part in parts:
        checks.require_tensor(part, "state")
    return parts


def start_state(inputs: Tensor, state: State | None, shapes: list[tuple[int, ...]]) -> State:
    """Return the given state in the dtype of the inputs, its parts of these shapes, or zeros."""
    if state is None:
        return tuple(inputs.new_zeros(shape) for shape in shapes)
    parts = tuple(checks.as_inputs(part, inputs, "state") for part in state)
    for part, shape in zip(parts, shapes, strict=True):
        if tuple(part.shape) != shape:
            raise ValueError(f"Argument `state` must have shape {shape}, but has shape {tuple(part.shape)}.")
        checks.require_finite(part, "state")
    return parts


def _single(part: Tensor) -> Tensor:
    if part.ndim != 2:
        raise ValueError(
            f"Argument `state` must have 2 dimensions for one sequence, but has shape {tuple(part.shape)}."
        )
    return part


def _run_cell(
    cell: Cell, inputs: Tensor, state: State, alive: Tensor | None, *, backwards: bool
) -> tuple[Tensor, State]:
    scan = getattr(cell, "scan", None)
    if scan is not None and alive is None:
        scanned = scan(inputs.flip(0) if backwards else inputs, state)
        if scanned is not None:
            return (scanned[0].flip(0) if backwards else scanned[0]), scanned[1]
    step = cell.prepare(inputs, state)
    outputs: list[Tensor] = []
    times = range(len(inputs))
    for time in reversed(times) if backwards else times:
        after = step(time, state)
        if alive is not None:  # a sequence that has ended, or not begun, keeps its state
            running = alive[time].unsqueeze(-1)
            after = tuple(torch.where(running, new, old) for new, old in zip(after, state, strict=True))
        state = after
        outputs.append(state[0])
    if not outputs:
        return inputs.new_zeros(0, inputs.shape[1], cell.state_sizes[0]), state
    return torch.stack(outputs[::-1] if backwards else outputs), state
