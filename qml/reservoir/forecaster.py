"""A reservoir with a linear read-out: fit, predict, forecast."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.reservoir import _checks
from qml.reservoir.progress import steps_bar
from qml.reservoir.recursive import RecursiveLeastSquares
from qml.reservoir.reservoir import Reservoir
from qml.reservoir.ridge import DEFAULT_ALPHAS, RidgeReadout

Series = Tensor | Sequence[Tensor]
"""(time, columns), (batch, time, columns), or a list of (time, columns)."""


class Forecaster(nn.Module):
    """Learns to predict from a reservoir's features, and forecasts by feeding its predictions back.

    Args:
        reservoir: any `Reservoir`.
        n_outputs: numbers to predict at each step; None for as many as the inputs.
        alphas: ridge penalties to choose from by leave-one-out, or one of them.
        warm_up: how often the first value of every series is fed before the series begins.
        washout: steps at the beginning of every series that are not fitted, while the reservoir forgets its start.
        chunk: steps that are held in memory at once.

    Attributes:
        readout: the fitted `RidgeReadout`, or the `RecursiveLeastSquares` after `learn_online`.

    Raises:
        ValueError: series that are not longer than the washout, or have NaN; a horizon below 1; predictions before
            `fit`.

    Example:
        >>> import torch
        >>> from qml.baselines import EchoStateNetwork
        >>> wave = torch.sin(torch.arange(300, dtype=torch.float64) / 5)[:, None]
        >>> model = Forecaster(EchoStateNetwork(1, 50, seed=0), washout=20).fit(wave)
        >>> model.forecast(wave, 10).shape
        torch.Size([10, 1])
    """

    readout: RidgeReadout | RecursiveLeastSquares

    def __init__(
        self,
        reservoir: Reservoir,
        *,
        n_outputs: int | None = None,
        alphas: float | Sequence[float] = DEFAULT_ALPHAS,
        warm_up: int = 0,
        washout: int = 0,
        chunk: int = 2000,
    ) -> None:
        super().__init__()
        for name, value, minimum in (("warm_up", warm_up, 0), ("washout", washout, 0), ("chunk", chunk, 1)):
            checks.as_int(value, name, minimum)
        self.reservoir = reservoir
        self.n_outputs = reservoir.n_inputs if n_outputs is None else n_outputs
        self.warm_up, self.washout, self.chunk = warm_up, washout, chunk
        self.readout = RidgeReadout(reservoir.n_features, self.n_outputs, alphas=alphas)

    def fit(self, series: Series, targets: Series | None = None, *, progress: bool = False) -> "Forecaster":
        """Fit the read-out to one series, a batch, or a list of series of different length.

        Every series starts from the reset state. Memory does not grow with the length of the series.

        Args:
            series: inputs, (time, n_inputs), (batch, time, n_inputs) or a list.
            targets: what to predict at each step, in the same form; None for the next value of the series.
            progress: whether to show a bar in the terminal.
        """
        if not isinstance(self.readout, RidgeReadout):
            self.readout = RidgeReadout(self.reservoir.n_features, self.n_outputs)
        groups = self._groups(series, targets)
        n_passes = 1 if len(self.readout.alphas) == 1 else 2
        total = n_passes * sum(inputs.shape[1] for inputs, _ in groups)
        with steps_bar("fit", total, shown=progress) as advance, torch.no_grad():

            def chunks() -> Iterator[tuple[Tensor, Tensor]]:
                for inputs, wanted in groups:
                    for start, features in self._features(inputs):
                        skipped = min(max(0, self.washout - start), features.shape[1])
                        part = wanted[:, start + skipped : start + features.shape[1]]
                        yield features[:, skipped:].flatten(0, 1), part.flatten(0, 1)
                        advance(features.shape[1])

            self.readout.fit(chunks)
        return self

    @torch.no_grad()
    def predict(self, series: Series, state: Tensor | None = None, *, progress: bool = False) -> Tensor | list[Tensor]:
        """Predictions at every step, each from the series up to there: (..., time, n_outputs), or a list of them.

        Args:
            series: as in `fit`.
            state: the reservoir's state to go on from, for a tensor; None starts anew.
            progress: whether to show a bar.
        """
        self._require_fitted()
        if not isinstance(series, Tensor):
            _checks.padded(series, self.reservoir.n_inputs, "series")
            return [self._predict(item[None], None, shown=progress)[0] for item in series]
        _checks.require_series(series, self.reservoir.n_inputs, "series")
        if series.ndim == 2:
            return self._predict(series[None], None if state is None else state[None], shown=progress)[0]
        return self._predict(series, state, shown=progress)

    @torch.no_grad()
    def forecast(
        self,
        context: Series,
        horizon: int,
        *,
        noise: Float[Tensor, " outputs"] | None = None,
        n_paths: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "*paths horizon outputs"]:
        """The next `horizon` values after each series, each prediction fed back as the next input.

        Args:
            context: the series so far, at least one step each; a list may hold different lengths.
            horizon: steps to forecast, at least 1.
            noise: standard deviation of normal noise that is added to every prediction; None for none.
            n_paths: how many futures to draw with it; they come as a first dimension. None for one without.
            generator: of that noise.
        """
        checks.as_int(horizon, "horizon", 1, " A forecast looks at least one step ahead.")
        if self.n_outputs != self.reservoir.n_inputs:
            raise ValueError(
                f"A closed loop needs as many outputs as inputs, but the model has {self.n_outputs} and "
                f"{self.reservoir.n_inputs}. Fit it to targets that are the horizon ahead, and use predict."
            )
        alone = isinstance(context, Tensor) and context.ndim == 2
        batch, lengths = _checks.padded(context, self.reservoir.n_inputs, "context")
        if min(lengths, default=1) < 1:
            raise ValueError("Argument `context` must hold at least one step of every series, but one is empty.")
        self._require_fitted()
        features, state = self._last_features(batch, lengths)
        if n_paths is not None:
            features, state = features.repeat(n_paths, 1), state.repeat(n_paths, 1)
        values = []
        for step in range(horizon):
            value = self.readout(features)
            if noise is not None:
                draw = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=value.device)
                value = value + noise.to(value) * draw
            if not bool(torch.isfinite(value).all()):
                raise ValueError(
                    f"The closed loop must stay finite, but diverges after {step} steps. Use a larger alpha, a smaller "
                    "spectral radius, or a shorter horizon."
                )
            values.append(value)
            found, state = self.reservoir(value[:, None], state)
            features = found[:, 0]
        result = torch.stack(values, 1)
        if n_paths is not None:
            result = result.reshape(n_paths, -1, horizon, self.n_outputs)
        return result.squeeze(-3) if alone else result

    def learn_online(self, *, alpha: float = 1e-4, forgetting: float = 1.0) -> "Forecaster":
        """Take a read-out that learns sample by sample from now on, from nothing; see `update`."""
        n_features = self.reservoir.n_features
        self.readout = RecursiveLeastSquares(n_features, self.n_outputs, alpha=alpha, forgetting=forgetting)
        return self

    @torch.no_grad()
    def update(
        self, inputs: Float[Tensor, "time inputs"], targets: Float[Tensor, "time outputs"], state: Tensor | None = None
    ) -> tuple[Float[Tensor, "time outputs"], Tensor]:
        """Learn from the next steps of one series; see `learn_online`.

        Args:
            inputs: the steps.
            targets: what was to be predicted at each.
            state: the reservoir's state before them; None resets.

        Returns:
            What was predicted at each step before it was learnt, and the state to pass to the next call.
        """
        if not isinstance(self.readout, RecursiveLeastSquares):
            raise ValueError("The read-out must learn online to be updated, but was fitted. Call learn_online first.")
        features, after = self.reservoir(inputs, state)
        return self.readout.update(features, targets), after

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _require_fitted(self) -> None:
        if isinstance(self.readout, RidgeReadout) and bool(self.readout.alpha.isnan()):
            raise ValueError("The forecaster must be fitted before it predicts, but was not. Call fit or learn_online.")

    def _groups(self, series: Series, targets: Series | None) -> list[tuple[Tensor, Tensor]]:
        """Pairs of inputs and targets, each (batch, time, columns): series of equal length together."""
        items = list(series) if not isinstance(series, Tensor) else None
        inputs, lengths = _checks.padded(series, self.reservoir.n_inputs, "series")
        if targets is None:
            if self.n_outputs != self.reservoir.n_inputs:
                raise ValueError("Argument `targets` must be given where outputs are not the next inputs, but is None.")
            wanted = inputs[:, 1:]
            inputs, lengths = inputs[:, :-1], [length - 1 for length in lengths]
        else:
            wanted, found = _checks.padded(targets, self.n_outputs, "targets")
            if found != lengths:
                raise ValueError(f"Argument `targets` must have the lengths of the series, {lengths}, but has {found}.")
        if min(lengths, default=0) <= self.washout:
            raise ValueError(
                f"Argument `series` must be longer than the washout of {self.washout} steps (and one step to predict), "
                f"but one leaves {min(lengths, default=0)} to learn from. Pass longer series or a shorter washout."
            )
        if items is None:
            return [(inputs, wanted)]
        rows = {length: [row for row, own in enumerate(lengths) if own == length] for length in sorted(set(lengths))}
        return [(inputs[some, :length], wanted[some, :length]) for length, some in rows.items()]

    def _start(self, inputs: Tensor) -> Tensor | None:
        """The state after the first value was fed `warm_up` times."""
        if not self.warm_up or not inputs.shape[1]:
            return None
        return self.reservoir(inputs[:, :1].expand(-1, self.warm_up, -1))[1]

    def _features(self, inputs: Tensor, state: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
        state = self._start(inputs) if state is None else state
        stream = self.reservoir.stream(inputs, state, chunk=self.chunk)
        for number, features in enumerate(stream):
            yield number * self.chunk, features

    def _predict(self, series: Tensor, state: Tensor | None, *, shown: bool) -> Tensor:
        found = series.new_empty(*series.shape[:2], self.n_outputs)  # whole: pieces would leave holes in the heap
        with steps_bar("predict", series.shape[1], shown=shown) as advance:
            for start, features in self._features(series, state):
                found[:, start : start + features.shape[1]] = self.readout(features)
                advance(features.shape[1])
        return found

    def _last_features(self, inputs: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Features at each series' last step and the state after it, chunk by chunk."""
        state = self._start(inputs)
        last = inputs.new_zeros(len(inputs), self.reservoir.n_features)
        for start in range(0, inputs.shape[1], self.chunk):
            part = inputs[:, start : start + self.chunk]
            going = [min(max(length - start, 0), part.shape[1]) for length in lengths]
            features, state = self.reservoir(part, state, lengths=going)
            steps = torch.tensor(going, device=inputs.device)
            ends = features[torch.arange(len(steps), device=steps.device), (steps - 1).clamp_min(0)]
            last = torch.where(steps[:, None] > 0, ends, last) if start else ends  # in the features' own type
        if state is None:  # no series
            state = self.reservoir.initial_state(len(inputs), inputs)
        return last, state

    def config(self) -> dict[str, Any]:
        """The constructor's arguments but the reservoir, and the kind of read-out, as JSON values."""
        readout = self.readout
        own: dict[str, Any] = {
            "n_outputs": self.n_outputs,
            "warm_up": self.warm_up,
            "washout": self.washout,
            "chunk": self.chunk,
        }
        if isinstance(readout, RidgeReadout):
            return own | {"alphas": list(readout.alphas)}
        return own | {"online": {"alpha": readout.alpha, "forgetting": readout.forgetting}}
