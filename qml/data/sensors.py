"""Sensor series: gaps, scales, and a user's own CSV file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from qml import checks
from qml.data._csv import rows_of, shown
from qml.data._times import ticks
from qml.files import as_path
from qml.reservoir import Forecast

MISSING = {"", "na", "nan", "null", "none", "-"}
# unit to (factor, offset) into the unit it is kept in
UNITS = {
    "C": (1.0, 0.0),
    "K": (1.0, -273.15),
    "F": (5.0 / 9.0, -160.0 / 9.0),
    "%": (1.0, 0.0),
    "share": (100.0, 0.0),
    "um": (1.0, 0.0),
    "nm": (1e-3, 0.0),
    "mm": (1e3, 0.0),
    "1": (1.0, 0.0),
}
MAX_READINGS = 2**27  # of a file with its gaps filled; 1 GiB
STEP_TOLERANCE = 0.01  # of a step's length, for time stamps that were rounded


@dataclass(frozen=True)
class Sensor:
    """A sensor's readings, which were taken at even times.

    Attributes:
        values: shape (time, columns), float64, in degrees Celsius, per cent and micrometres where units were given.
        columns: their names.
        step_seconds: between two rows; None where the file has no times.
        n_filled: readings that were missing and interpolated.
    """

    values: Float[Tensor, "time columns"]
    columns: tuple[str, ...]
    step_seconds: float | None
    n_filled: int

    def __repr__(self) -> str:
        steps = f"step_seconds={self.step_seconds}, n_filled={self.n_filled}"
        return f"Sensor(values of shape {tuple(self.values.shape)}, columns={self.columns}, {steps})"


def read_series_csv(
    path: str | PathLike[str],
    columns: Sequence[str],
    *,
    time_column: str | None = None,
    time_zone: str | None = None,
    units: Mapping[str, str] | None = None,
    max_gap: int = 6,
) -> Sensor:
    """Read a series of your own, such as a sensor's readings or daily sales, from a CSV file with a header.

    Args:
        path: the file, UTF-8, with commas.
        columns: which to read, in order.
        time_column: ISO 8601 time stamps, even and ascending; rows that are missing become gaps. None for none. Stamps
            with an offset from UTC are moments; those without one have no zone and are never converted, so an hour
            follows on an hour wherever the program runs. Both in one file are refused.
        time_zone: an IANA name such as "Europe/Berlin", where stamps without an offset are local times of that zone:
            its changes of clocks are then taken into account. Times that the zone skips are refused, and so are those
            that it has twice unless the file goes through both. None for stamps of no zone, or with an offset.
        units: column to one of C, K, F (kept as C), %, share (kept as %), um, nm, mm (kept as um), 1 (kept).
        max_gap: longest run of missing readings that is interpolated; 0 refuses every gap.

    Raises:
        FileNotFoundError: no such file.
        TypeError: columns that are one text, a gap that is no int.
        ValueError: a column that is not there, an entry that is no number, a row of another length than the header,
            times that are not ascending or even, an unknown unit or zone, a longer gap, a file without rows or in
            another encoding.
    """
    names = _names(columns)
    max_gap = checks.as_int(max_gap, "max_gap", 0)
    scales = _scales(names, units)
    if time_column is None and time_zone is not None:
        raise ValueError(f"Argument `time_zone` must be None without a `time_column`, but is {time_zone!r}.")
    wanted = names if time_column is None else [time_column, *names]
    lines, cells = _rows(path, wanted)
    values = np.array(
        [
            [_number(cell, name, line) for name, cell in zip(names, row[-len(names) :], strict=True)]
            for line, row in cells
        ]
    )
    for place, (factor, offset) in enumerate(scales):
        with np.errstate(over="ignore"):  # infinity is refused below
            values[:, place] = factor * values[:, place] + offset
    if np.isinf(values).any():
        line, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"Column {names[column]!r} must be finite in its unit, but line {lines[line]} is not.")
    step = None
    if time_column is not None:
        times = ticks([(line, row[0]) for line, row in cells], time_column, time_zone)
        values, step = _even(values, times, lines, max_gap)
    filled, count = _filled(values, max_gap)
    return Sensor(torch.from_numpy(filled), tuple(names), step, count)


def fill_gaps(series: Any, *, max_gap: int = 6) -> Float[Tensor, "time columns"]:  # a tensor, checked below
    """Replace NaN by linear interpolation in time.

    Args:
        series: readings, a real tensor (time, columns), NaN where one is missing.
        max_gap: longest run of missing readings that is interpolated.

    Raises:
        TypeError: no real tensor.
        ValueError: a longer gap, or one at either end, where there is nothing to interpolate between; infinity.
    """
    _require_real(series, "series")
    max_gap = checks.as_int(max_gap, "max_gap", 0)
    if series.ndim != 2:
        raise ValueError(f"Argument `series` must have shape (time, columns), but has shape {tuple(series.shape)}.")
    if bool(torch.isinf(series).any()):
        raise ValueError("Argument `series` must be finite or NaN, which stands for a gap, but holds infinity.")
    filled, _ = _filled(series.detach().cpu().double().numpy(), max_gap)
    return torch.from_numpy(filled).to(series)


@dataclass(frozen=True)
class Scaler:
    """A shift and a scale of every column, which follow from the training part only.

    Attributes:
        mean: of every column.
        spread: standard deviation of every column.
    """

    mean: Float[Tensor, " columns"]
    spread: Float[Tensor, " columns"]

    @classmethod
    def fit(cls, series: Any) -> "Scaler":  # a tensor, checked below
        """Take mean and standard deviation over all but the last dimension of a floating tensor (..., columns).

        Raises:
            TypeError: no floating tensor.
            ValueError: a constant column, which has no scale; no steps.
        """
        _require_floating(series, "series")
        if series.ndim < 2 or not series.numel():
            raise ValueError(
                f"Argument `series` must have shape (time, columns) with a step or more, but has shape "
                f"{tuple(series.shape)}."
            )
        flat = series.reshape(-1, series.shape[-1])
        spread = flat.std(0, correction=0)
        for column, value in enumerate(spread.tolist()):
            if not (math.isfinite(value) and value > 1e-12 * max(float(flat[:, column].abs().max()), 1e-300)):
                raise ValueError(
                    f"Argument `series` must vary, but column {column} is constant (or not finite). Leave it out: a "
                    "constant carries nothing to learn from."
                )
        return cls(flat.mean(0), spread)

    def __call__(self, series: Any) -> Float[Tensor, "*batch columns"]:  # a tensor, checked below
        """Scale to mean 0 and standard deviation 1 on the training part."""
        self._require_columns(series, "series")
        return (series - self.mean) / self.spread

    def undo(self, scaled: Any) -> Any:  # a tensor or a forecast, checked below
        """Invert the scaling of a tensor (..., columns), or of a `Forecast` with its interval and paths."""
        if isinstance(scaled, Forecast):
            parts = {name: self.undo(getattr(scaled, name)) for name in ("mean", "low", "high", "paths")}
            return replace(scaled, **parts)
        self._require_columns(scaled, "scaled")
        return scaled * self.spread + self.mean

    def _require_columns(self, series: Any, name: str) -> None:
        _require_floating(series, name)
        checks.require_last_dimension(series, len(self.mean), name)


def _names(columns: Any) -> list[str]:
    if isinstance(columns, str):
        raise TypeError(f"Argument `columns` must be a list of names, but is the text {columns!r}. Pass [{columns!r}].")
    names = list(columns) if isinstance(columns, Sequence) else []
    if not names:
        raise ValueError(f"Argument `columns` must name at least one column, but is {columns!r}.")
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"Argument `columns[{place}]` must be a name, but is {name!r}.")
        if name in names[:place]:
            raise ValueError(f"Argument `columns` must name each column once, but names {name!r} twice.")
    return names


def _scales(names: Sequence[str], units: Any) -> list[tuple[float, float]]:
    """Factor and offset of every column."""
    if units is not None and not isinstance(units, Mapping):
        raise TypeError(f"Argument `units` must be a dict from columns to units, but is {type(units).__name__}.")
    given = dict(units or {})
    unknown = [str(name) for name in given if name not in names]
    if unknown:
        raise ValueError(f"Argument `units` must be of columns that are read, but names {', '.join(sorted(unknown))}.")
    return [_unit(name, given.get(name, "1")) for name in names]


def _unit(name: str, unit: Any) -> tuple[float, float]:
    if not isinstance(unit, str) or unit not in UNITS:
        raise ValueError(f"Argument `units` must give one of {', '.join(UNITS)} for {name!r}, but gives {unit!r}.")
    return UNITS[unit]


def _rows(path: str | PathLike[str], wanted: Sequence[str]) -> tuple[list[int], list[tuple[int, list[str]]]]:
    """Return line numbers, and with them the wanted cells, of a file whose header has every wanted column once."""
    rows = rows_of(as_path(path))
    header = next(rows, (0, []))[1]
    for name in wanted:
        if name not in header:
            columns = ", ".join(shown(cell)[1:-1] for cell in header[:20]) or "none"
            raise ValueError(f"File {path} must have the column {name!r} between commas, but has {columns}.")
        if header.count(name) > 1:
            raise ValueError(f"File {path} must have the column {name!r} once, but has it {header.count(name)} times.")
    places = [header.index(name) for name in wanted]
    readings = []
    for line, row in rows:
        if len(row) <= max(places) or any(cell.strip() for cell in row[len(header) :]):
            raise ValueError(
                f"File {path} must have {len(header)} cells in each row, as its header, but line {line} has {len(row)}."
                " Are there commas within numbers?"
            )
        readings.append((line, [row[place] for place in places]))
    if not readings:
        raise ValueError(f"File {path} must hold readings, but has no rows below its header.")
    return [line for line, _ in readings], readings


def _number(text: str, name: str, line: int) -> float:
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        value = float("" if "_" in text else text)  # Python reads 1_5 as 15
    except ValueError as error:
        raise ValueError(f"Column {name!r} must hold numbers, but line {line} has {shown(text)}.") from error
    if math.isinf(value):
        raise ValueError(f"Column {name!r} must be finite, but line {line} has {shown(text)}.")
    return value


def _even(
    values: np.ndarray, times: Int[np.ndarray, " time"], lines: Sequence[int], max_gap: int
) -> tuple[np.ndarray, float]:
    """Return rows at even times, given in microseconds, with NaN where one is missing; and the step in seconds."""
    if len(times) < 2:
        raise ValueError("A file with times must hold at least two rows, but holds one.")
    steps = np.diff(times)
    if steps.min() <= 0:
        line = lines[int(np.argmax(steps <= 0)) + 1]
        raise ValueError(f"Times must ascend, but line {line} is not after the one before. Sort the file.")
    places = (times - times[0]) / steps.min()
    step, rounded = float(steps.min()) / 1e6, np.round(places).astype(np.int64)
    if np.abs(places - rounded).max() > STEP_TOLERANCE:
        line = lines[int(np.argmax(np.abs(places - rounded)))]
        raise ValueError(
            f"Times must be even steps of {step:g} s apart (some may be missing), but line {line} is not. Resample it."
        )
    missing = np.diff(rounded) - 1
    if missing.max() > max_gap:
        raise ValueError(
            f"Gaps must be at most {max_gap} steps of {step:g} s long, but before line "
            f"{lines[int(np.argmax(missing)) + 1]} {int(missing.max())} are missing. Pass a larger max_gap, or cut the "
            "file there."
        )
    if (int(rounded[-1]) + 1) * values.shape[1] > MAX_READINGS:
        raise ValueError(
            f"A file with its gaps filled must hold at most {MAX_READINGS} readings, but would hold "
            f"{(int(rounded[-1]) + 1) * values.shape[1]}. Cut it at its gaps, with a smaller max_gap."
        )
    result = np.full((rounded[-1] + 1, values.shape[1]), np.nan)
    result[rounded] = values
    return result, step


def _filled(values: np.ndarray, max_gap: int) -> tuple[np.ndarray, int]:
    result = values.copy()
    for column in range(values.shape[1]):
        missing = np.isnan(values[:, column])
        if not missing.any():
            continue
        known = np.flatnonzero(~missing)
        if missing[0] or missing[-1] or not len(known):
            raise ValueError(
                f"Column {column} must begin and end with a reading, but one is missing there. Cut the series."
            )
        longest = int(np.diff(known).max()) - 1
        if longest > max_gap:
            raise ValueError(
                f"Gaps must be at most {max_gap} steps long, but column {column} has one of {longest}. Pass a larger "
                "max_gap, or cut the series there."
            )
        places, halves = np.flatnonzero(missing), values[known, column] / 2  # halves have finite differences
        result[missing, column] = 2 * np.interp(places, known, halves)
    return result, int(np.isnan(values).sum())


def _require_real(series: Any, name: str) -> None:
    checks.require_tensor(series, name)
    if series.dtype == torch.bool or series.is_complex():
        raise TypeError(f"Argument `{name}` must hold real numbers, but is {series.dtype}.")


def _require_floating(series: Any, name: str) -> None:
    checks.require_tensor(series, name)
    if not series.is_floating_point():
        raise TypeError(
            f"Argument `{name}` must be floating, but is {series.dtype}. Convert it with .to(torch.float64)."
        )
