"""Checks of series, states and features, made at the border of every layer and model that takes series."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qml import checks


def require_no_gaps(values: Tensor, name: str) -> None:
    """Refuse infinity, and NaN, which stands for a gap."""
    if not checks.is_finite(values):
        raise ValueError(
            f"Argument `{name}` must be finite, but holds NaN or infinity. Fill the gaps with qml.data.fill_gaps, or "
            "cut the series there and pass the pieces as a list."
        )


def require_series(inputs: Any, n_inputs: int, name: str = "inputs") -> None:
    """Refuse anything but a series or a batch of series, without NaN."""
    checks.require_tensor(inputs, name)
    if inputs.dtype not in checks.FLOATING:
        raise TypeError(
            f"Argument `{name}` must be floating of 16 bits or more, but is {inputs.dtype}. Convert it with "
            ".to(torch.float64)."
        )
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != n_inputs:
        fix = " Add the last dimension with series[..., None]." if n_inputs == 1 else ""
        raise ValueError(
            f"Argument `{name}` must have shape (time, {n_inputs}) or (batch, time, {n_inputs}), but has shape "
            f"{tuple(inputs.shape)}.{fix}"
        )
    require_no_gaps(inputs, name)


def as_state(state: Any, batch: int | None, size: int, like: Tensor) -> Tensor:
    """Return a state of shape (batch, state) in the dtype of `like`; `batch` is None for the state of one series."""
    checks.require_tensor(state, "state")
    if state.dtype not in checks.FLOATING:
        raise TypeError(f"Argument `state` must be floating, but is {state.dtype}. Pass the state of an earlier call.")
    shape = (size,) if batch is None else (batch, size)
    if state.shape != shape:
        raise ValueError(f"Argument `state` must have shape {shape}, but has shape {tuple(state.shape)}.")
    checks.require_device(state, like, "state")
    if not checks.is_finite(state):
        raise ValueError("Argument `state` must be finite, but holds NaN or infinity. Check where it comes from.")
    return (state if batch is not None else state[None]).to(like.dtype)


def as_lengths(lengths: Any, batch: int, time: int) -> list[int] | None:
    """Return the length of every series as ints in 0..time, or None if all series are whole."""
    if lengths is None:
        return None
    if isinstance(lengths, Tensor):
        checks.require_tensor(lengths, "lengths")
        if lengths.is_meta or lengths.ndim != 1:
            raise ValueError(
                f"Argument `lengths` must be one vector with values, but has shape {tuple(lengths.shape)}."
            )
        lengths = lengths.tolist()
    values = checks.as_ints(lengths, "lengths", 0, at_least=0)
    if len(values) != batch or max(values, default=0) > time:
        raise ValueError(
            f"Argument `lengths` must hold {batch} lengths in 0..{time}, one a series, but is {list(values)}."
        )
    return list(values)


def padded(series: Any, n_columns: int, name: str) -> tuple[Tensor, list[int]]:
    """Return one series, a batch or a list of series of different length as (batch, time, columns) and lengths."""
    if isinstance(series, Tensor):
        checks.require_tensor(series, name)
        require_series(series, n_columns, name)
        batch = series if series.ndim == 3 else series[None]
        return batch, [batch.shape[1]] * batch.shape[0]
    items = as_list(series, n_columns, name)
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True), [len(item) for item in items]


def as_list(series: Any, n_columns: int, name: str) -> list[Tensor]:
    """Return a list of at least one series of shape (time, columns), all of one dtype and on one device."""
    if not isinstance(series, Sequence) or isinstance(series, (str, bytes)):
        raise TypeError(
            f"Argument `{name}` must be a tensor or a list of tensors, but is {type(series).__name__}. Use "
            "torch.as_tensor."
        )
    if not series:
        raise ValueError(f"Argument `{name}` must hold at least one series, but is empty.")
    for place, item in enumerate(series):
        require_rows(item, n_columns, f"{name}[{place}]")
    for field in ("dtype", "device"):
        kinds = {str(getattr(item, field)) for item in series}
        if len(kinds) > 1:
            raise ValueError(
                f"Argument `{name}` must hold series of one {field}, but holds {', '.join(sorted(kinds))}."
            )
    return list(series)


def as_states(states: Any, count: int, size: int) -> Sequence[Tensor | None]:
    """Return a state, or None, for each series of a list.

    Args:
        states: None; a list of states of shape (size,) and None; or a tensor of shape (count, size).
        count: series in the list.
        size: numbers of a state.
    """
    if states is None:
        return [None] * count
    if isinstance(states, Tensor):
        require_state(states, (count, size))
        return list(states)
    if not isinstance(states, Sequence) or isinstance(states, (str, bytes)):
        raise TypeError(
            "Argument `state` must be a list of states, one a series, where the series are a list, but is "
            f"{type(states).__name__}."
        )
    if len(states) != count:
        raise ValueError(f"Argument `state` must hold one state for each of {count} series, but holds {len(states)}.")
    for place, state in enumerate(states):
        if state is not None:
            require_state(state, (size,), f"state[{place}]")
    return states


def require_rows(values: Any, n_columns: int, name: str) -> None:
    """Refuse anything but one series of shape (time, n_columns), without NaN."""
    checks.require_tensor(values, name)
    require_series(values, n_columns, name)
    if values.ndim != 2:
        raise ValueError(
            f"Argument `{name}` must have shape (time, {n_columns}), but has shape {tuple(values.shape)}. Take one "
            "series at a time."
        )


def require_features(features: Any, n_features: int) -> None:
    """Refuse anything but a floating tensor of shape (..., n_features); values are not read."""
    _require_floating(features, "features")
    checks.require_last_dimension(features, n_features, "features")


def require_state(state: Any, shape: tuple[int, ...], name: str = "state") -> None:
    """Refuse anything but a state of that shape, without NaN."""
    _require_floating(state, name)
    if tuple(state.shape) != shape:
        raise ValueError(f"Argument `{name}` must have shape {shape}, but has shape {tuple(state.shape)}.")
    checks.require_finite(state, name)


def _require_floating(values: Any, name: str) -> None:
    checks.require_tensor(values, name)
    if not values.dtype.is_floating_point:
        raise TypeError(
            f"Argument `{name}` must be floating, but is {values.dtype}. Convert it with .to(torch.float64)."
        )
    if values.device.type == "meta":
        raise ValueError(f"Argument `{name}` must hold values, but is on the meta device.")
