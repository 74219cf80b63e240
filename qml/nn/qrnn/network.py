"""The recurrent quantum neural network along sequences."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from circuits import Circuit
from circuits.neuron import recurrent_circuit
from qml import checks
from qml.checks import full_precision
from qml.nn._torch_names import either
from qml.nn.qrnn._neurons import NeuronScan
from qml.nn.qrnn._scan import Advance, MapScan, map_advance, neuron_advance, scan_plain
from qml.nn.qrnn._tables import Tables, maps_pay, word_maps
from qml.nn.qrnn._words import Steps, as_bits
from qml.nn.qrnn.cell import QRNNCell, draw_outcomes, normalised, outcome_probabilities, require_possible


class QRNNSamples(NamedTuple):
    """Measured words, the probabilities they were drawn from, and the last states."""

    words: Tensor | PackedSequence
    probabilities: Tensor | PackedSequence
    state: Tensor


class QRNN(nn.Module):
    """Recurrent quantum neural network: a `QRNNCell` along sequences of words.

    With `targets` every step's outcome is post-selected on the target, as in training; without, outcomes are measured,
    that is drawn from their probabilities. The map between two measurements is linear and the same for every step and
    sample: it is built once a call as one real matrix an input word, or the neurons are applied one by one, whichever
    costs less. Memory grows linearly with the number of steps.

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
        device: of the angles.
        dtype: of the angles, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        inputs, targets: integer words (time, batch), (batch, time) with `batch_first`, or (time,) for one sequence; or
        bits, bool or floating, with a last dimension of input_size; or a `PackedSequence` of either. Probabilities:
        the same with a last dimension of 2**input_size. State: (batch, 2**hidden_size), or (2**hidden_size,) for one
        sequence, real and of norm 1.

    Attributes:
        cell: the `QRNNCell` with all parameters.

    Raises:
        ValueError: words out of range, no steps, a state of another shape or norm, a target whose
            probability underflows (below 1e-31 in float32, 1e-292 in float64), angles with NaN or infinity (which
            torch.func and torch.compile do not let us see).
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
            device=device,
            dtype=dtype,
            generator=generator,
        )

    @property
    def input_size(self) -> int:
        """Bits of a word."""
        return self.cell.input_size

    @property
    def hidden_size(self) -> int:
        """Workspace qubits."""
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
        """Probabilities of each step's outcome, and the last states.

        Args:
            inputs: words or bits that are read.
            state: states to start from; None for |0...0>.
            targets: outcomes to post-select, -1 where one is to be drawn; None to draw all.
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
        """As `forward`, with the outcomes: the targets, and words that were drawn where they are not known."""
        steps, start, known = self._read(inputs, state, targets)
        with full_precision(start):
            tables = self.cell.tables()
            if targets is None or not (checks.in_transform() or bool((known >= 0).all())):
                with torch.no_grad():
                    known = self._draw(tables, start, steps, known, generator)
            shares, last = self._run(tables, start, steps, known)
            probabilities = shares / shares.sum(1, keepdim=True)
            require_possible(probabilities, known, steps.sizes)
        return QRNNSamples(steps.restore(known), steps.restore(probabilities), self._written(normalised(last), steps))

    def success_probability(
        self,
        inputs: Tensor | PackedSequence,
        state: Tensor | None = None,
        *,
        targets: Tensor | PackedSequence | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor | PackedSequence:
        """The probability of each step that all its neurons' ancillas read 0, given the steps before.

        What a device that repeats until success pays for; arguments as in `forward`, one number a word.
        """
        steps, start, known = self._read(inputs, state, targets)
        with torch.no_grad(), full_precision(start):
            tables = self.cell.tables()
            if bool((known < 0).any()):
                known = self._draw(tables, start, steps, known, generator)
            shares, _ = self._run(tables, start, steps, known)
            return steps.restore(torch.exp(shares.sum(1).log() + 2.0 * tables.log_scale))

    def trace(self, inputs: Tensor, state: Tensor | None = None, *, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward` for a padded batch, by plain steps, with the state (batch, 2**hidden_size) after each of them.

        For looking inside: `torch.autograd.grad(loss, states)` shows how gradients fade over time.
        """
        steps, states, known = self._read(inputs, state, targets)
        if targets is None or steps.packed is not None or bool((known < 0).any()):
            raise ValueError("Arguments of `trace` must be a padded batch and known targets, but are not.")
        with full_precision(states):
            return self._trace(steps, states, known)

    def _trace(self, steps: Steps, states: Tensor, known: Tensor) -> tuple[Tensor, list[Tensor]]:
        tables = self.cell.tables()
        advance, found, shares = self._advance(tables, steps)[0], [], []
        squares = (tables.readout * tables.readout).T
        for words, wanted in zip(steps.words.split(steps.sizes), known.split(steps.sizes), strict=True):
            middle = advance(states, words)
            shares.append((middle * middle) @ squares)
            states = normalised(middle * tables.readout[wanted])
            found.append(states)
        together = torch.cat(shares)
        probabilities = together / together.sum(1, keepdim=True)
        require_possible(probabilities, known, steps.sizes)
        restored = steps.restore(probabilities)
        return restored if isinstance(restored, Tensor) else restored.data, found

    def generate(
        self,
        prompt: Tensor,
        n_steps: int,
        state: Tensor | None = None,
        *,
        greedy: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Go on with sequences: each measured word is the next input.

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
            tables = self.cell.tables()
            advance = neuron_advance(tables.cosine, tables.sine, tables.rotations)
            for step in range(len(words) + n_steps - 1):
                read = words[step] if step < len(words) else made[-1]
                middle = advance(states, read)
                probabilities = outcome_probabilities(middle, tables)
                known = words[step + 1] if step + 1 < len(words) else torch.full_like(read, -1)
                if greedy:
                    known = torch.where(known < 0, probabilities.argmax(1), known)
                outcomes = draw_outcomes(probabilities, known, generator)
                require_possible(probabilities, outcomes, (len(outcomes),))
                if step + 1 >= len(words):
                    made.append(outcomes)
                states = normalised(middle * tables.readout[outcomes])
        result = replace(steps, sizes=(steps.batch,) * n_steps).restore(torch.cat(made))
        return result if isinstance(result, Tensor) else result.data

    def circuit(self, n_steps: int, *, measured: bool = False) -> Circuit:
        """The network as a circuit with ancillas, for any backend: see `circuits.neuron.recurrent_circuit`.

        Its weights are `cell.vector()`, its data `circuit_data(...)`; the last outcome's distribution is that of qubits
        hidden_size to hidden_size + input_size - 1.

        Args:
            n_steps: number of steps.
            measured: measure and record outcomes instead of post-selecting them.
        """
        cell = self.cell
        return recurrent_circuit(
            cell.input_size,
            cell.hidden_size,
            n_steps,
            n_stages=cell.n_stages,
            order=cell.order,
            degree=cell.degree,
            rounds=cell.amplification,
            bias=cell.bias is not None,
            measured=measured,
        )

    def circuit_data(self, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Words as data of `circuit`, (batch, n_data): pi times each bit.

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
        """What `repr` shows beside the cell."""
        return f"batch_first={self.batch_first}, recompute={self.recompute}"

    def _read(self, inputs: Any, state: Any, targets: Any, *, name: str = "inputs") -> tuple[Steps, Tensor, Tensor]:
        """Steps, first states in their order, and outcomes, -1 where none is given."""
        n_bits = self.cell.input_size
        self.cell.require_words(inputs, name)
        steps = Steps.of(inputs, n_bits, name, batch_first=self.batch_first)
        if state is not None and not steps.is_batched:
            checks.require_tensor(state, "state")
            if state.ndim != 1:
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

    def _draw(
        self, tables: Tables, start: Tensor, steps: Steps, known: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """The outcomes, drawn step by step where they are not known."""
        if steps.batch == 0:
            return known
        advance = self._advance(tables, steps)[0]
        states, outcomes = start, []
        for words, wanted in zip(steps.words.split(steps.sizes), known.split(steps.sizes), strict=True):
            middle = advance(states[: len(words)], words)
            outcomes.append(draw_outcomes(outcome_probabilities(middle, tables), wanted, generator))
            states = normalised(middle * tables.readout[outcomes[-1]])
        return torch.cat(outcomes)

    def _advance(self, tables: Tables, steps: Steps) -> tuple[Advance, tuple[Tensor, ...]]:
        """A step by the cheaper way, and the tensors it is made of."""
        cell = self.cell
        sizes = {"n_words": cell.n_words, "n_lanes": cell.hidden_size, "n_stages": cell.n_stages}
        if maps_pay(**sizes, batch=steps.batch, n_steps=len(steps.sizes)):
            maps = word_maps(tables)
            return map_advance(maps), (maps,)
        parts = (tables.cosine, tables.sine, tables.rotations)
        return neuron_advance(*parts), parts

    def _run(self, tables: Tables, start: Tensor, steps: Steps, outcomes: Tensor) -> tuple[Tensor, Tensor]:
        """|G[word] u|^2 for every step and word, (sum of sizes, words), and the last states."""
        if steps.batch == 0:  # zero gradients, as every torch layer gives them
            zero = 0.0 * sum((parameter.sum() for parameter in self.cell.parameters()), start.sum())
            return start.new_zeros(0, self.cell.n_words) + zero, start
        advance, parts = self._advance(tables, steps)
        squares = (tables.readout * tables.readout).T
        plain = checks.in_transform() or checks.in_forward_mode()
        scan = MapScan if len(parts) == 1 else NeuronScan

        def run(states: Tensor, words: Tensor, wanted: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
            if plain:
                middle, last = scan_plain(advance, tables.readout, states, words, wanted, sizes)
            else:
                middle, last = scan.apply(*parts, tables.readout, states, words, wanted, sizes)
            return (middle * middle) @ squares, last

        if plain or not (self.recompute and torch.is_grad_enabled()):
            return run(start, steps.words, outcomes, steps.sizes)
        # copies, since what is computed again must be of the same words and states even if the caller's have changed
        own = replace(steps, words=steps.words.clone())
        return _in_chunks(run, start.clone(), own, outcomes.clone())


def _in_chunks(run: object, start: Tensor, steps: Steps, outcomes: Tensor) -> tuple[Tensor, Tensor]:
    """`run` over pieces of about sqrt(time) steps, each recomputed in the backward pass."""
    length = max(1, math.isqrt(len(steps.sizes)))
    shares, states, first = [], start, 0
    for place in range(0, len(steps.sizes), length):
        sizes = steps.sizes[place : place + length]
        rows = slice(first, first + sum(sizes))
        first += sum(sizes)
        part, ahead = checkpoint(  # pyright: ignore[reportGeneralTypeIssues]
            run,
            states[: sizes[0]],
            steps.words[rows],
            outcomes[rows],
            sizes,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        shares.append(part)
        states = ahead if len(ahead) == len(states) else torch.cat([ahead, states[len(ahead) :]])
    return torch.cat(shares), states
