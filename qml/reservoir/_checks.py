"""Checks at the border of everything that takes series."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qml import checks


def is_finite(values: Tensor) -> bool:
    """Whether nothing is NaN or infinite, as far as values can be looked at: not on "meta" or inside torch.func."""
    if values.is_meta or checks.in_transform():
        return True
    # a sum is finite only where all terms are, and is cheaper than a look at each of them
    return math.isfinite(values.sum().item()) or bool(values.isfinite().all())


def require_no_gaps(values: Tensor, name: str) -> None:
    """Refuse NaN, which stands for a gap, and infinity."""
    if not is_finite(values):
        raise ValueError(
            f"Argument `{name}` must be finite, but holds NaN or infinity. Fill the gaps with qml.data.fill_gaps, or "
            "cut the series there and pass the pieces as a list."
        )


def require_series(inputs: Any, n_inputs: int, name: str = "inputs") -> None:
    """Refuse what is not one series or a batch of them, or has NaN."""
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
    """The state of a batch, or of one series for which `batch` is None, in the dtype of `like`, (batch, state)."""
    checks.require_tensor(state, "state")
    if state.dtype not in checks.FLOATING:
        raise TypeError(f"Argument `state` must be floating, but is {state.dtype}. Pass the state of an earlier call.")
    shape = (size,) if batch is None else (batch, size)
    if state.shape != shape:
        raise ValueError(f"Argument `state` must have shape {shape}, but has shape {tuple(state.shape)}.")
    checks.require_device(state, like, "state")
    if not is_finite(state):
        raise ValueError("Argument `state` must be finite, but holds NaN or infinity. Check where it comes from.")
    return (state if batch is not None else state[None]).to(like.dtype)


def as_lengths(lengths: Any, batch: int, time: int) -> list[int] | None:
    """The length of every series as ints in 0..time; None where all are whole."""
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


def padded(series: Tensor | Sequence[Tensor], n_columns: int, name: str) -> tuple[Tensor, list[int]]:
    """One series, a batch or a list of series of different length as (batch, time, columns) and lengths."""
    if isinstance(series, Tensor):
        require_series(series, n_columns, name)
        batch = series if series.ndim == 3 else series[None]
        return batch, [batch.shape[1]] * batch.shape[0]
    items = list(series)
    if not items:
        raise ValueError(f"Argument `{name}` must hold at least one series, but is empty.")
    for item in items:
        require_series(item, n_columns, name)
        if item.ndim != 2:
            raise ValueError(
                f"Argument `{name}` must hold series of shape (time, {n_columns}), but one has {tuple(item.shape)}."
            )
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True), [len(item) for item in items]
