"""Checks at the border of everything that takes series."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def require_no_gaps(values: Tensor, name: str) -> None:
    """Refuse NaN, which stands for a gap, and infinity."""
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"Argument `{name}` must be finite, but holds NaN or infinity. Fill the gaps with qml.data.fill_gaps, or "
            "cut the series there and pass the pieces as a list."
        )


def require_series(inputs: Any, n_inputs: int, name: str = "inputs") -> None:
    """Refuse what is not one series or a batch of them, or has NaN."""
    if not isinstance(inputs, Tensor):
        raise TypeError(f"Argument `{name}` must be a tensor, but is {type(inputs).__name__}. Use torch.as_tensor.")
    if not inputs.dtype.is_floating_point:
        raise TypeError(
            f"Argument `{name}` must be floating, but is {inputs.dtype}. Convert it with .to(torch.float64)."
        )
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != n_inputs:
        fix = " Add the last dimension with series[..., None]." if n_inputs == 1 else ""
        raise ValueError(
            f"Argument `{name}` must have shape (time, {n_inputs}) or (batch, time, {n_inputs}), but has shape "
            f"{tuple(inputs.shape)}.{fix}"
        )
    require_no_gaps(inputs, name)


def as_lengths(lengths: Any, batch: int, time: int) -> list[int] | None:
    """The length of every series as ints in 0..time; None where all are whole."""
    if lengths is None:
        return None
    values = [int(value) for value in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    if len(values) != batch or not all(0 <= value <= time for value in values):
        raise ValueError(f"Argument `lengths` must hold {batch} lengths in 0..{time}, one a series, but is {values}.")
    return values


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
