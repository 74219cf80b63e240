"""The interface of every reservoir."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.reservoir import series_checks


class Reservoir(nn.Module):
    """A fixed dynamical system that is driven by a series; its features are read out at every step.

    A subclass sets `n_inputs`, `n_features` and `state_size`, and gives `initial_state`, `advance` and `config`.

    Args:
        n_inputs: numbers that drive it at each step.
        n_features: numbers that are read out at each step.
        state_size: numbers of its state.

    Shape:
        inputs (batch, time, n_inputs) to features (batch, time, n_features) and the state (batch, state_size); without
        the batch dimension all three lack it, as in nn.LSTM.
    """

    def __init__(self, n_inputs: int, n_features: int, state_size: int) -> None:
        super().__init__()
        n_inputs = checks.as_int(n_inputs, "n_inputs", 1)
        self.n_inputs, self.n_features, self.state_size = n_inputs, n_features, state_size

    __prepare_scriptable__ = checks.refuse_scripting

    def initial_state(self, batch: int, like: Tensor) -> Float[Tensor, "batch state"]:
        """Return the state before the first step, in the dtype and on the device of `like`."""
        raise NotImplementedError

    def place_of(self, inputs: Tensor) -> Tensor:
        """Return a tensor in the dtype and on the device of the reservoir's states."""
        return self.initial_state(0, inputs)

    def advance(
        self, inputs: Float[Tensor, "batch time inputs"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "batch time features"], Float[Tensor, "batch state"]]:
        """Run all steps of whole series from a state on; arguments were checked."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Reservoir":
        """Build the reservoir of a `config`."""
        return cls(**config)

    def forward(
        self,
        inputs: Tensor,  # of a shape and type that are checked below, with a message
        state: Tensor | None = None,
        *,
        lengths: Any = None,  # ints in a sequence, tensor or array
    ) -> tuple[Float[Tensor, "*batch time features"], Float[Tensor, "*batch state"]]:
        """Compute the features of every step, and the state after the last.

        Args:
            inputs: one series or a batch.
            state: where to go on from; None resets.
            lengths: steps of each series where they differ: the inputs behind them are padding. Features there are 0,
                and the state is that after the series' own last step.

        Inputs and states of any floating dtype are taken in the reservoir's.

        Raises:
            ValueError: a wrong shape or device, NaN, a length outside of the series.
            TypeError: inputs or a state that is no dense floating tensor, lengths that are no ints; a reservoir in half
                precision; a call by `torch.jit.trace`, which would keep the number of steps.
        """
        checks.refuse_tracing()
        series_checks.require_series(inputs, self.n_inputs)
        if inputs.ndim == 2:
            own = None if state is None else series_checks.as_state(state, None, self.state_size, self.place_of(inputs))
            features, end = self.forward(inputs[None], own, lengths=lengths)
            return features[0], end[0]
        batch, time, _ = inputs.shape
        sizes = series_checks.as_lengths(lengths, batch, time)
        like = self.place_of(inputs)
        checks.require_device(inputs, like, "inputs")
        if state is None:
            start = self.initial_state(batch, inputs)
        else:
            start = series_checks.as_state(state, batch, self.state_size, like)
        if batch == 0 or time == 0:
            return start.new_zeros(batch, time, self.n_features), start.clone()
        if sizes is None or set(sizes) == {time}:
            return self.advance(inputs, start)
        return self._advance_ragged(inputs, start, sizes)

    def _advance_ragged(self, inputs: Tensor, state: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """Drive series of different lengths: from one's end to the next only those that go on."""
        features = state.new_zeros(*inputs.shape[:2], self.n_features)
        for start, end in pairwise([0, *sorted(set(sizes) - {0})]):
            going = torch.tensor([row for row, size in enumerate(sizes) if size > start], device=inputs.device)
            part, after = self.advance(inputs[going, start:end], state[going])
            features[going, start:end] = part.to(features.dtype)
            state = state.index_copy(0, going, after)
        return features, state

    def stream(
        self,
        inputs: Float[Tensor, "batch time inputs"],
        state: Float[Tensor, "batch state"] | None = None,
        *,
        chunk: int = 1000,
    ) -> Iterator[Float[Tensor, "batch some features"]]:
        """Yield features of a long batch, `chunk` steps at a time, in memory that does not grow with its length."""
        chunk = checks.as_int(chunk, "chunk", 1)
        checks.require_tensor(inputs, "inputs")
        if inputs.ndim != 3:
            raise ValueError(f"Argument `inputs` must have shape (batch, time, inputs), but is {tuple(inputs.shape)}.")
        for start in range(0, inputs.shape[1], chunk):
            features, state = self.forward(inputs[:, start : start + chunk], state)
            yield features
