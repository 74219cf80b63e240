"""A reservoir with a linear read-out: fit, predict, forecast."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from qml import checks
from qml.reservoir import series_checks
from qml.reservoir.progress import steps_bar
from qml.reservoir.ranges import RANGE_MARGIN, warn_of_range
from qml.reservoir.recursive import RecursiveLeastSquares
from qml.reservoir.reservoir import Reservoir
from qml.reservoir.ridge import DEFAULT_ALPHAS, RidgeReadout, as_alphas

Series = Tensor | Sequence[Tensor]
"""(time, columns), (batch, time, columns), or a list of (time, columns)."""


class Forecaster(nn.Module):
    """A model that learns to predict from a reservoir's features, and forecasts by feeding its predictions back.

    A forecast whose values leave `trained_range`, widened by a tenth of its width, warns with
    `ForecastRangeWarning`: outside of it the read-out was never fitted, and small weights of large features, or large
    weights of small ones, may drive it anywhere.

    Args:
        reservoir: any `Reservoir`.
        n_outputs: numbers to predict at each step; None for as many as the inputs.
        alphas: ridge penalties to choose from by leave-one-out, or one of them. They serve every `fit`, also one after
            `learn_online`.
        warm_up: how often the first value of every series is fed before the series begins.
        washout: steps at the beginning of every series that are not learnt, while the reservoir forgets its start.
        chunk: steps that are held in memory at once.

    Attributes:
        readout: the fitted `RidgeReadout`, or the `RecursiveLeastSquares` after `learn_online`.
        alphas: the penalties to choose from, as floats.
        trained_range: least and largest value of each output in what was learnt, (2, n_outputs); NaN before that.

    Raises:
        TypeError: series that are no tensors, or a list of them; a state that is none.
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
    trained_range: Tensor

    def __init__(
        self,
        reservoir: Reservoir,
        *,
        n_outputs: int | None = None,
        alphas: Any = DEFAULT_ALPHAS,  # a number or several, checked below
        warm_up: int = 0,
        washout: int = 0,
        chunk: int = 2000,
    ) -> None:
        super().__init__()
        if not isinstance(reservoir, Reservoir):
            raise TypeError(f"Argument `reservoir` must be a Reservoir, but is {type(reservoir).__name__}.")
        self.reservoir = reservoir
        self.n_outputs = reservoir.n_inputs if n_outputs is None else checks.as_int(n_outputs, "n_outputs", 1)
        self.alphas = as_alphas(alphas)
        self.warm_up = checks.as_int(warm_up, "warm_up", 0)
        self.washout = checks.as_int(washout, "washout", 0)
        self.chunk = checks.as_int(chunk, "chunk", 1)
        self.readout = RidgeReadout(reservoir.n_features, self.n_outputs, alphas=self.alphas)
        self.register_buffer("trained_range", torch.full((2, self.n_outputs), torch.nan, dtype=torch.float64))

    def fit(self, series: Series, targets: Series | None = None, *, progress: bool = False) -> "Forecaster":
        """Fit the read-out to one series, a batch, or a list of series of different length.

        Every series starts from the reset state. Memory does not grow with the length of the series.

        Args:
            series: inputs, (time, n_inputs), (batch, time, n_inputs) or a list.
            targets: what to predict at each step, in the same form; None for the next value of the series.
            progress: whether to show a bar in the terminal.
        """
        groups = self._groups(series, targets)
        if not isinstance(self.readout, RidgeReadout):
            readout = RidgeReadout(self.reservoir.n_features, self.n_outputs, alphas=self.alphas)
            self.readout = readout.to(self.trained_range.device)
        n_passes = 1 if len(self.readout.alphas) == 1 else 2
        total = n_passes * sum(inputs.shape[1] for inputs, _ in groups)
        with steps_bar("fit", total, shown=checks.as_flag(progress, "progress")) as advance, torch.no_grad():

            def chunks() -> Iterator[tuple[Tensor, Tensor]]:
                for inputs, wanted in groups:
                    for start, features in self._features(inputs):
                        skipped = min(max(0, self.washout - start), features.shape[1])
                        part = wanted[:, start + skipped : start + features.shape[1]]
                        yield features[:, skipped:].flatten(0, 1), part.flatten(0, 1)
                        advance(features.shape[1])

            self.readout.fit(chunks)
        self.trained_range = torch.stack([torch.full_like(self.trained_range[0], end) for end in (inf, -inf)])
        for _, wanted in groups:
            self._widen_range(wanted[:, self.washout :].flatten(0, 1))
        return self

    @torch.no_grad()
    def predict(self, series: Series, state: Any = None, *, progress: bool = False) -> Tensor | list[Tensor]:
        """Predict at every step from the series up to it: (..., time, n_outputs), or a list of them.

        Args:
            series: as in `fit`.
            state: the reservoir's state to go on from: (state_size,) for one series, (batch, state_size) for a batch,
                and for a list one state or None for each series. None starts anew, with the warm-up.
            progress: whether to show a bar.
        """
        self._require_fitted()
        size, progress = self.reservoir.state_size, checks.as_flag(progress, "progress")
        if not isinstance(series, Tensor):
            items = series_checks.as_list(series, self.reservoir.n_inputs, "series")
            states = series_checks.as_states(state, len(items), size)
            starts = [None if own is None else own[None] for own in states]
            return [self._predict(item[None], own, shown=progress)[0] for item, own in zip(items, starts, strict=True)]
        checks.require_tensor(series, "series")
        series_checks.require_series(series, self.reservoir.n_inputs, "series")
        if state is not None:
            series_checks.require_state(state, (size,) if series.ndim == 2 else (len(series), size))
        if series.ndim == 2:
            return self._predict(series[None], None if state is None else state[None], shown=progress)[0]
        return self._predict(series, state, shown=progress)

    @torch.no_grad()
    def forecast(
        self,
        context: Series,
        horizon: int,
        *,
        noise: Any = None,  # a tensor or numbers, checked below
        n_paths: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "*paths horizon outputs"]:
        """Forecast the next `horizon` values after each series, each prediction fed back as the next input.

        Args:
            context: the series so far, at least one step each; a list may hold different lengths.
            horizon: steps to forecast, at least 1.
            noise: standard deviation of normal noise that is added to every prediction, (n_outputs,); None for none.
            n_paths: how many futures to draw with it; they come as a first dimension. None for one without.
            generator: of that noise.

        Warns:
            ForecastRangeWarning: values leave the range that was learnt; see the class. Drawn futures do not warn:
                `Ensemble.forecast` says where their interval leaves it.
        """
        result = self._closed_loop(context, horizon, noise, n_paths, generator)
        if n_paths is None:
            warn_of_range(self.in_range(result), "The forecast")
        return result

    def in_range(self, values: Float[Tensor, "*batch outputs"]) -> Bool[Tensor, "*batch"]:
        """Tell whether all outputs lie in `trained_range`, widened by a tenth of its width at either end.

        Everything does where the range is not known, as after loading a file of an earlier version.
        """
        low, high = self.trained_range.to(values)
        margin = RANGE_MARGIN * (high - low) + 1e-9 * torch.maximum(low.abs(), high.abs())  # a constant has rounding
        return ~((values < low - margin) | (values > high + margin)).any(-1)

    def learn_online(self, *, alpha: float = 1e-4, forgetting: float = 1.0) -> "Forecaster":
        """Take a read-out that learns sample by sample from now on, from nothing; see `update`.

        Args:
            alpha: penalty at the start, above 0; `alphas` are kept for a later `fit`.
            forgetting: how much of a sample's weight is left a sample later, in (0, 1].
        """
        n_features = self.reservoir.n_features
        readout = RecursiveLeastSquares(n_features, self.n_outputs, alpha=alpha, forgetting=forgetting)
        self.readout = readout.to(self.trained_range.device)
        self.trained_range = torch.full_like(self.trained_range, torch.nan)
        return self

    @torch.no_grad()
    def update(
        self,
        inputs: Any,  # tensors that are checked below, with a message
        targets: Any,
        state: Any = None,
    ) -> tuple[Float[Tensor, "time outputs"], Tensor]:
        """Learn from the next steps of one series; see `learn_online`.

        Args:
            inputs: the steps, (time, n_inputs).
            targets: what was to be predicted at each, (time, n_outputs).
            state: the reservoir's state before them, (state_size,). None begins a series: the reservoir is reset and
                warmed up as in `fit`, and the first `washout` steps are predicted but not learnt.

        Returns:
            What was predicted at each step before it was learnt, and the state to pass to the next call.

        Raises:
            ValueError: a read-out that does not learn online; a series that begins with no more steps than the washout.
        """
        if not isinstance(self.readout, RecursiveLeastSquares):
            raise ValueError("The read-out must learn online to be updated, but was fitted. Call learn_online first.")
        series_checks.require_rows(inputs, self.reservoir.n_inputs, "inputs")
        series_checks.require_rows(targets, self.n_outputs, "targets")
        if len(inputs) != len(targets):
            raise ValueError(
                f"Argument `targets` must hold {len(inputs)} steps as the inputs, but holds {len(targets)}."
            )
        skipped = self.washout if state is None else 0
        if 0 < len(inputs) <= skipped:
            raise ValueError(
                f"Argument `inputs` must begin a series with more than the washout of {skipped} steps, but holds "
                f"{len(inputs)}. Pass more steps at first, or the state that the reservoir has after them."
            )
        if state is None:
            start = self._start(inputs[None])
            state = None if start is None else start[0]
        features, after = self.reservoir(inputs, state)
        washed_out = self.readout(features[:skipped]).to(targets.dtype)
        learnt = self.readout.update(features[skipped:], targets[skipped:])
        self._widen_range(targets[skipped:])
        return torch.cat([washed_out, learnt]), after

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _closed_loop(
        self, context: Series, horizon: int, noise: Any, n_paths: int | None, generator: torch.Generator | None
    ) -> Tensor:
        horizon = checks.as_int(horizon, "horizon", 1, " A forecast looks at least one step ahead.")
        n_paths = None if n_paths is None else checks.as_int(n_paths, "n_paths", 1)
        spread = None if noise is None else self._as_noise(noise)
        if self.n_outputs != self.reservoir.n_inputs:
            raise ValueError(
                f"A closed loop needs as many outputs as inputs, but the model has {self.n_outputs} and "
                f"{self.reservoir.n_inputs}. Fit it to targets that are the horizon ahead, and use predict."
            )
        alone = isinstance(context, Tensor) and context.ndim == 2
        batch, lengths = series_checks.padded(context, self.reservoir.n_inputs, "context")
        if min(lengths, default=1) < 1:
            raise ValueError("Argument `context` must hold at least one step of every series, but one is empty.")
        self._require_fitted()
        features, state = self._last_features(batch, lengths)
        if n_paths is not None:
            features, state = features.repeat(n_paths, 1), state.repeat(n_paths, 1)
        values = []
        for step in range(horizon):
            value = self.readout(features)
            if spread is not None:
                draw = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=value.device)
                value = value + spread.to(value) * draw
            if not bool(torch.isfinite(value).all()):
                raise ValueError(
                    f"The closed loop must stay finite, but diverges after {step} steps. Use a larger alpha, a smaller "
                    "spectral radius, or a shorter horizon."
                )
            values.append(value)
            one_step, state = self.reservoir(value[:, None], state)
            features = one_step[:, 0]
        result = torch.stack(values, 1)
        if n_paths is not None:
            result = result.reshape(n_paths, len(batch), horizon, self.n_outputs)
        return result.squeeze(-3) if alone else result

    def _as_noise(self, noise: Any) -> Tensor:
        """Return standard deviations as a tensor of shape (n_outputs,)."""
        if not isinstance(noise, Tensor):
            items = noise.tolist() if isinstance(noise, np.ndarray) else noise
            items = items if isinstance(items, Sequence) and not isinstance(items, str) else [items]
            noise = torch.tensor([checks.as_number(value, "noise", at_least=0.0) for value in items])
        if noise.numel() not in (1, self.n_outputs) or noise.ndim > 1 or not bool((noise >= 0).all()):
            raise ValueError(
                f"Argument `noise` must hold {self.n_outputs} standard deviations of at least 0, but is {noise}."
            )
        checks.require_finite(noise, "noise")
        return noise

    def _widen_range(self, targets: Float[Tensor, "rows outputs"]) -> None:
        if len(targets):
            low, high = (end.to(self.trained_range) for end in targets.aminmax(dim=0))
            self.trained_range = torch.stack(
                [torch.fmin(self.trained_range[0], low), torch.fmax(self.trained_range[1], high)]
            )

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride] - torch calls it so
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """Load as `nn.Module`; a state of an earlier version, which knows no range, leaves it unknown."""
        like = state_dict.get(f"{prefix}readout.weight", self.trained_range)
        state_dict.setdefault(f"{prefix}trained_range", like.new_full((2, self.n_outputs), torch.nan))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _require_fitted(self) -> None:
        if isinstance(self.readout, RidgeReadout) and bool(self.readout.alpha.isnan()):
            raise ValueError("The forecaster must be fitted before it predicts, but was not. Call fit or learn_online.")

    def _groups(self, series: Series, targets: Series | None) -> list[tuple[Tensor, Tensor]]:
        """Return pairs of inputs and targets, each (batch, time, columns): series of equal length together."""
        inputs, lengths = series_checks.padded(series, self.reservoir.n_inputs, "series")
        if targets is None:
            if self.n_outputs != self.reservoir.n_inputs:
                raise ValueError("Argument `targets` must be given where outputs are not the next inputs, but is None.")
            padded_targets = inputs[:, 1:]
            inputs, lengths = inputs[:, :-1], [length - 1 for length in lengths]
        else:
            padded_targets, target_lengths = series_checks.padded(targets, self.n_outputs, "targets")
            if target_lengths != lengths:
                raise ValueError(
                    f"Argument `targets` must have the lengths of the series, {lengths}, but has {target_lengths}."
                )
        if min(lengths, default=0) <= self.washout:
            raise ValueError(
                f"Argument `series` must be longer than the washout of {self.washout} steps (and one step to predict), "
                f"but one leaves {min(lengths, default=0)} to learn from. Pass longer series or a shorter washout."
            )
        if isinstance(series, Tensor):
            return [(inputs, padded_targets)]
        rows = {length: [row for row, own in enumerate(lengths) if own == length] for length in sorted(set(lengths))}
        return [(inputs[members, :length], padded_targets[members, :length]) for length, members in rows.items()]

    def _start(self, inputs: Tensor) -> Tensor | None:
        """Return the state after the first value was fed `warm_up` times."""
        if not self.warm_up or not inputs.shape[1]:
            return None
        return self.reservoir(inputs[:, :1].expand(-1, self.warm_up, -1))[1]

    def _features(self, inputs: Tensor, state: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
        state = self._start(inputs) if state is None else state
        stream = self.reservoir.stream(inputs, state, chunk=self.chunk)
        for number, features in enumerate(stream):
            yield number * self.chunk, features

    def _predict(self, series: Tensor, state: Tensor | None, *, shown: bool) -> Tensor:
        predictions = series.new_empty(*series.shape[:2], self.n_outputs)  # whole: pieces would leave holes in the heap
        with steps_bar("predict", series.shape[1], shown=shown) as advance:
            for start, features in self._features(series, state):
                predictions[:, start : start + features.shape[1]] = self.readout(features)
                advance(features.shape[1])
        return predictions

    def _last_features(self, inputs: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Compute the features at each series' last step and the state after it, chunk by chunk."""
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
        """Return the constructor's arguments but the reservoir, and the kind of read-out, as JSON values."""
        readout = self.readout
        own: dict[str, Any] = {
            "alphas": list(self.alphas),
            "n_outputs": self.n_outputs,
            "warm_up": self.warm_up,
            "washout": self.washout,
            "chunk": self.chunk,
        }
        if isinstance(readout, RidgeReadout):
            return own
        return own | {"online": {"alpha": readout.alpha, "forgetting": readout.forgetting}}
