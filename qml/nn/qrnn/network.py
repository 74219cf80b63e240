"""The recurrent quantum neural network along sequences."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.nn._torch_names import either
from qml.nn.qrnn._circuits import side_by_side
from qml.nn.qrnn._outcomes import draw_outcomes, normalised, require_possible
from qml.nn.qrnn._sequences import draw_sequences, make_advance, run_sequences
from qml.nn.qrnn._tables import NeuronTables
from qml.nn.qrnn._words import Steps, as_bits
from qml.nn.qrnn.cell import QRNNCell


class QRNNSamples(NamedTuple):
    """The words that were measured, the probabilities they were drawn from, and the last states."""

    words: Tensor | PackedSequence
    probabilities: Tensor | PackedSequence
    state: Tensor


class QRNN(nn.Module):
    """A recurrent quantum neural network, which runs a `QRNNCell` along sequences of words.

    With `targets` every step's outcome is post-selected on the target, as in training; without, outcomes are measured,
    that is drawn from their probabilities. The map between two measurements is linear and the same for every step and
    sample: it is built once a call as one real matrix an input word, or the neurons are applied one by one, whichever
    costs less. Memory grows linearly with the number of steps. On another backend than the built-in simulator every
    step is one circuit, of all steps up to it; see `QRNNCell` for its states.

    Args:
        input_size: bits of a word, in and out.
        hidden_size: workspace qubits.
        n_stages: stages of rotations and neurons.
        order: order of every neuron.
        degree: degree of every neuron.
        amplification: rounds of amplitude amplification of every neuron.
        bias: whether the neurons' constant angles are trained.
        batch_first: whether the batch dimension comes before time.
        recompute: keep only the states of about sqrt(time) steps for the backward pass, and compute the rest again.
            Where circuits run, on another backend, no states are kept at all.
        backend: a backend or its name; see `to_backend`.
        device: of the angles.
        dtype: of the angles, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        inputs, targets: integer words (time, batch), (batch, time) with `batch_first`, or (time,) for one sequence; or
        bits, bool or floating, with a last dimension of input_size; or a `PackedSequence` of either. Probabilities:
        the same with a last dimension of 2**input_size. State: (batch, 2**hidden_size), or (2**hidden_size,) for one
        sequence, real and of norm 1; on another backend (batch, steps, 2, input_size), or (steps, 2, input_size).

    Attributes:
        cell: the `QRNNCell` with all parameters.

    Raises:
        ValueError: words out of range, no steps, a state of another shape or norm, a target whose
            probability underflows (below 1e-31 in float32, 1e-292 in float64), angles with NaN or infinity (which
            torch.func and torch.compile do not let us see); a backend that cannot do what is asked for, see `QRNNCell`.
        TypeError: words and targets of which one is packed; words, targets or a state that are no dense tensors; a
            state of another dtype; a layer in half precision.

    Reference:
        Bausch, "Recurrent quantum neural networks", arXiv:2006.14619.

    Example:
        >>> import torch
        >>> from qml.nn import QRNN
        >>> words = torch.tensor([[0, 1, 2, 3, 0, 1]])
        >>> probabilities, state = QRNN(2, 4, batch_first=True)(words[:, :-1], targets=words[:, 1:])
        >>> probabilities.shape, state.shape
        (torch.Size([1, 5, 4]), torch.Size([1, 16]))
    """

    def __init__(  # noqa: PLR0913 - the sizes of a recurrent layer, and torch's device, dtype and generator
        self,
        input_size: int,
        hidden_size: int,
        *,
        n_stages: int = 1,
        order: int = 2,
        degree: int = 2,
        amplification: int = 0,
        bias: bool = True,
        batch_first: bool = False,
        recompute: bool = False,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.batch_first = checks.as_flag(batch_first, "batch_first")
        self.recompute = checks.as_flag(recompute, "recompute")
        self.cell = QRNNCell(
            input_size,
            hidden_size,
            n_stages=n_stages,
            order=order,
            degree=degree,
            amplification=amplification,
            bias=bias,
            backend=backend,
            device=device,
            dtype=dtype,
            generator=generator,
        )

    __prepare_scriptable__ = checks.refuse_scripting

    def to_backend(self, backend: Backend | str) -> "QRNN":
        """Run on another backend from now on; the weights stay."""
        self.cell.to_backend(backend)
        return self

    @property
    def backend(self) -> Backend:
        """Return the backend that the cell runs on."""
        return self.cell.backend

    @property
    def input_size(self) -> int:
        """Return the number of bits of a word."""
        return self.cell.input_size

    @property
    def hidden_size(self) -> int:
        """Return the number of workspace qubits."""
        return self.cell.hidden_size

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles anew."""
        self.cell.reset_parameters(generator)

    def flatten_parameters(self) -> None:
        """Do nothing: the method of `torch.nn.LSTM`, whose weights cuDNN wants in one piece of memory."""

    def forward(
        self,
        inputs: Tensor | PackedSequence | None = None,
        state: Tensor | None = None,
        *,
        targets: Tensor | PackedSequence | None = None,
        generator: torch.Generator | None = None,
        input: Tensor | PackedSequence | None = None,
        hx: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Compute the probabilities of each step's outcome, and the last states.

        Args:
            inputs: words or bits that are read.
            state: states to start from; None for |0...0>.
            targets: outcomes to post-select, -1 where one is to be drawn; None to draw all. Where values cannot be
                read, in torch.compile and where torch.func.vmap maps them, targets must not hold -1.
            generator: for the draws.
            input: `nn.LSTM`'s name of `inputs`.
            hx: `nn.LSTM`'s name of `state`.
        """
        words, start = either(inputs, input, "inputs", "input"), either(state, hx, "state", "hx")
        return self.sample(words, start, targets=targets, generator=generator)[1:]

    def sample(
        self,
        inputs: Tensor | PackedSequence,
        state: Tensor | None = None,
        *,
        targets: Tensor | PackedSequence | None = None,
        generator: torch.Generator | None = None,
    ) -> QRNNSamples:
        """Run as `forward`, and return the outcomes too: the targets, and drawn words where they are not known."""
        steps, start, known = self._read(inputs, state, targets)
        with full_precision(start):
            if not self.cell.closed_form:
                known, probabilities, last = self._run_circuits(steps, start, known, generator)
            else:
                tables = self.cell.tables()
                if targets is None or not (checks.hides_values_of(known) or bool((known >= 0).all())):
                    with torch.no_grad():
                        known = draw_sequences(tables, start, steps, known, generator)
                shares, last = self._run(tables, start, steps, known)
                probabilities, last = shares / shares.sum(1, keepdim=True), normalised(last)
                require_possible(probabilities, known, steps.sizes)
        return QRNNSamples(steps.restore(known), steps.restore(probabilities), self._written(last, steps))

    def success_probability(
        self,
        inputs: Tensor | PackedSequence,
        state: Tensor | None = None,
        *,
        targets: Tensor | PackedSequence | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor | PackedSequence:
        """Compute the probability of each step that all its neurons' ancillas read 0, given the steps before.

        A device that repeats until success pays for its inverse. Arguments are those of `forward`; one number a word.

        Raises:
            ValueError: a backend that runs circuits, whose probabilities are those of the runs that succeed.
        """
        self._require_closed_form("success_probability")
        steps, start, known = self._read(inputs, state, targets)
        with torch.no_grad(), full_precision(start):
            tables = self.cell.tables()
            if bool((known < 0).any()):
                known = draw_sequences(tables, start, steps, known, generator)
            shares, _ = self._run(tables, start, steps, known)
            return steps.restore(torch.exp(shares.sum(1).log() + 2.0 * tables.log_scale))

    def trace(self, inputs: Tensor, state: Tensor | None = None, *, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run as `forward` a padded batch by plain steps, with the state (batch, 2**hidden_size) after each of them.

        This is for looking inside: `torch.autograd.grad(loss, states)` shows how gradients fade over time.

        Raises:
            ValueError: a backend that runs circuits, which give no states.
        """
        self._require_closed_form("trace")
        steps, states, known = self._read(inputs, state, targets)
        if targets is None or steps.packed is not None or bool((known < 0).any()):
            raise ValueError("Arguments of `trace` must be a padded batch and known targets, but are not.")
        with full_precision(states):
            return self._trace(steps, states, known)

    def _trace(self, steps: Steps, states: Tensor, known: Tensor) -> tuple[Tensor, list[Tensor]]:
        tables = self.cell.tables()
        advance, all_states, shares = make_advance(tables, steps)[0], [], []
        squares = (tables.readout * tables.readout).T
        for words, outcomes in zip(steps.words.split(steps.sizes), known.split(steps.sizes), strict=True):
            middle = advance(states, words)
            shares.append((middle * middle) @ squares)
            states = normalised(middle * tables.readout[outcomes])
            all_states.append(states)
        together = torch.cat(shares)
        probabilities = together / together.sum(1, keepdim=True)
        require_possible(probabilities, known, steps.sizes)
        restored = steps.restore(probabilities)
        return restored if isinstance(restored, Tensor) else restored.data, all_states

    def generate(
        self,
        prompt: Tensor,
        n_steps: int,
        state: Tensor | None = None,
        *,
        greedy: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Continue sequences: each measured word is the next input.

        Args:
            prompt: words or bits as `inputs`, at least one; each is post-selected as the outcome of the one before.
            n_steps: words to measure, at least 1.
            state: states to start from; None for |0...0>.
            greedy: take the most probable word instead of drawing.
            generator: for the draws.

        Returns:
            The new words, (time, batch), (batch, time) or (time,) as the prompt.
        """
        n_steps, greedy = checks.as_int(n_steps, "n_steps", 1), checks.as_flag(greedy, "greedy")
        steps, states, _ = self._read(prompt, state, None, name="prompt")
        if steps.packed is not None:
            raise TypeError("Argument `prompt` must be a tensor, but is a packed sequence. Generate by length.")
        words = steps.words.view(len(steps.sizes), -1)
        made: list[Tensor] = []
        with torch.no_grad(), full_precision(states):
            tables = self.cell.tables() if self.cell.closed_form else None
            for step in range(len(words) + n_steps - 1):
                read = words[step] if step < len(words) else made[-1]
                opened = self.cell.open(read, states, tables)
                known = words[step + 1] if step + 1 < len(words) else torch.full_like(read, -1)
                if greedy:
                    known = torch.where(known < 0, opened.probabilities.argmax(1), known)
                outcomes = draw_outcomes(opened.probabilities, known, generator)
                self.cell.require_possible(opened.probabilities, outcomes)
                if step + 1 >= len(words):
                    made.append(outcomes)
                states = opened.project(outcomes)
        result = replace(steps, sizes=(steps.batch,) * n_steps).restore(torch.cat(made))
        return result if isinstance(result, Tensor) else result.data

    def circuit(self, n_steps: int, *, measured: bool = False) -> Circuit:
        """Return the network as a circuit with ancillas, for any backend: see `circuits.neuron.recurrent_circuit`.

        Its weights are `cell.vector()`, its data `circuit_data(...)`; the last outcome's distribution is that of qubits
        hidden_size to hidden_size + input_size - 1.

        Args:
            n_steps: number of steps.
            measured: measure and record outcomes instead of post-selecting them.
        """
        return self.cell.circuit(n_steps, measured=measured)

    def circuit_data(self, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return words as data of `circuit`, (batch, n_data): pi times each bit.

        Args:
            inputs: words or bits as in `forward`.
            targets: as in `forward`, the last step's being ignored; None for a circuit that measures.
        """
        steps, _, known = self._read(inputs, None, targets)
        n_bits = self.cell.input_size
        parts = [as_bits(steps.words.view(len(steps.sizes), -1).T, n_bits)]
        if targets is not None:
            if bool((known.view(len(steps.sizes), -1)[:-1] < 0).any()):
                raise ValueError("Argument `targets` must be known before the last step, but holds -1.")
            parts.append(as_bits(known.view(len(steps.sizes), -1)[:-1].T, n_bits))
        return math.pi * torch.cat(parts, 1).flatten(1).to(self.cell.weights.dtype)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        return self.cell.config() | {"batch_first": self.batch_first, "recompute": self.recompute}

    def extra_repr(self) -> str:
        """Return what `repr` shows beside the cell."""
        return f"batch_first={self.batch_first}, recompute={self.recompute}"

    def _read(self, inputs: Any, state: Any, targets: Any, *, name: str = "inputs") -> tuple[Steps, Tensor, Tensor]:
        """Return steps, first states in their order, and outcomes, -1 where none is given."""
        n_bits = self.cell.input_size
        self.cell.require_words(inputs, name)
        steps = Steps.of(inputs, n_bits, name, batch_first=self.batch_first)
        if state is not None and not steps.is_batched:
            checks.require_tensor(state, "state")
            if state.ndim != self.cell.state_ndim - 1:
                raise ValueError(
                    f"Argument `state` must be one vector, as the sequence is, but is {tuple(state.shape)}."
                )
            state = state[None]
        start = steps.into_order(self.cell.start(state, steps.batch))
        if targets is None:
            return steps, start, torch.full_like(steps.words, -1)
        self.cell.require_words(targets, "targets")
        return steps, start, steps.alike(targets, n_bits, "targets")

    def _written(self, last: Tensor, steps: Steps) -> Tensor:
        return steps.out_of_order(last) if steps.is_batched else last[0]

    def _run(self, tables: NeuronTables, start: Tensor, steps: Steps, outcomes: Tensor) -> tuple[Tensor, Tensor]:
        """Compute |G[word] u|^2 for every step and word, (sum of sizes, words), and the last states."""
        if steps.batch == 0:  # zero gradients, as every torch layer gives them
            zero = 0.0 * sum((parameter.sum() for parameter in self.cell.parameters()), start.sum())
            return start.new_zeros(0, self.cell.n_words) + zero, start
        return run_sequences(tables, start, steps, outcomes, recompute=self.recompute)

    def _run_circuits(
        self, steps: Steps, histories: Tensor, known: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return outcomes, their probabilities and the last histories, by one circuit a step."""
        words, outcomes, probabilities, ended = steps.words.split(steps.sizes), [], [], []
        for step, targets in enumerate(known.split(steps.sizes)):
            ended.append(histories[len(targets) :])
            opened = self.cell.open(words[step], histories[: len(targets)], None)
            outcomes.append(draw_outcomes(opened.probabilities.detach(), targets, generator))
            self.cell.require_possible(opened.probabilities, outcomes[-1], step=step)
            probabilities.append(opened.probabilities)
            histories = opened.project(outcomes[-1])
        last = side_by_side([histories, *reversed(ended)])
        return torch.cat(outcomes), torch.cat(probabilities), last

    def _require_closed_form(self, method: str) -> None:
        if not self.cell.closed_form:
            raise ValueError(
                f"Method `{method}` needs the workspace's amplitudes, but backend {self.backend.name!r} runs circuits "
                "as it is set up. Call to_backend('native') first."
            )
