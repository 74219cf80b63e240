"""Sensor series: gaps, scales, and a user's own CSV file."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

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
TOLERANCE = 0.01  # of a step's length, for time stamps that were rounded


@dataclass(frozen=True)
class Sensor:
    """A sensor's readings at even times.

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


def read_sensor_csv(
    path: str | PathLike[str],
    columns: Sequence[str],
    *,
    time_column: str | None = None,
    units: Mapping[str, str] | None = None,
    max_gap: int = 6,
) -> Sensor:
    """Read a user's sensor from a CSV file with a header.

    Args:
        path: the file, UTF-8.
        columns: which to read, in order.
        time_column: ISO 8601 time stamps, even and ascending; rows that are missing become gaps. None for none.
        units: column to one of C, K, F (kept as C), %, share (kept as %), um, nm, mm (kept as um), 1 (kept).
        max_gap: longest run of missing readings that is interpolated; 0 refuses every gap.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column that is not there, an entry that is no number, times that are not ascending or even, an
            unknown unit, a longer gap, a file without rows.
    """
    wanted = [*columns] if time_column is None else [time_column, *columns]
    if not columns:
        raise ValueError("Argument `columns` must name at least one column, but is empty.")
    scales = {name: _unit(name, (units or {}).get(name, "1")) for name in columns}
    unknown = set(units or {}) - set(columns)
    if unknown:
        raise ValueError(f"Argument `units` must be of columns that are read, but names {', '.join(sorted(unknown))}.")
    rows = _rows(path, wanted)
    values = np.array([[_number(row[name], name, number) for name in columns] for number, row in rows])
    for place, name in enumerate(columns):
        factor, offset = scales[name]
        values[:, place] = factor * values[:, place] + offset
    step = None
    if time_column is not None:
        times = [_time(row[time_column], time_column, number) for number, row in rows]
        values, step = _even(values, np.array(times))
    filled, count = _filled(values, max_gap)
    return Sensor(torch.from_numpy(filled), tuple(columns), step, count)


def fill_gaps(series: Tensor, *, max_gap: int = 6) -> Float[Tensor, "time columns"]:
    """NaN replaced by linear interpolation in time.

    Args:
        series: readings, (time, columns), NaN where one is missing.
        max_gap: longest run of missing readings that is interpolated.

    Raises:
        ValueError: a longer gap, or one at either end, where there is nothing to interpolate between.
    """
    if series.ndim != 2:
        raise ValueError(f"Argument `series` must have shape (time, columns), but has shape {tuple(series.shape)}.")
    filled, _ = _filled(series.detach().cpu().double().numpy(), max_gap)
    return torch.from_numpy(filled).to(series)


@dataclass(frozen=True)
class Scaler:
    """A shift and scale of every column, found on the training part only.

    Attributes:
        mean: of every column.
        spread: standard deviation of every column.
    """

    mean: Float[Tensor, " columns"]
    spread: Float[Tensor, " columns"]

    @classmethod
    def fit(cls, series: Float[Tensor, "*batch columns"]) -> "Scaler":
        """Take mean and standard deviation over all but the last dimension.

        Raises:
            ValueError: a constant column, which has no scale.
        """
        flat = series.reshape(-1, series.shape[-1])
        spread = flat.std(0, correction=0)
        for column, value in enumerate(spread.tolist()):
            if not (math.isfinite(value) and value > 1e-12 * max(float(flat[:, column].abs().max()), 1e-300)):
                raise ValueError(
                    f"Argument `series` must vary, but column {column} is constant (or not finite). Leave it out: a "
                    "constant carries nothing to learn from."
                )
        return cls(flat.mean(0), spread)

    def __call__(self, series: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch columns"]:
        """Scaled to mean 0 and standard deviation 1 on the training part."""
        return (series - self.mean) / self.spread

    def undo(self, scaled: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch columns"]:
        """The inverse."""
        return scaled * self.spread + self.mean


def _rows(path: str | PathLike[str], wanted: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and entries of a file whose header has every wanted column once."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or [])
            rows = list(enumerate(reader, 2))
    except UnicodeDecodeError as error:
        raise ValueError(f"File {path} must be UTF-8, but is not: {error}. Save it as UTF-8.") from error
    for name in wanted:
        if name not in header:
            found = ", ".join(header) or "none"
            raise ValueError(f"File {path} must have the column {name!r} between commas, but has {found}.")
        if header.count(name) > 1:
            raise ValueError(f"File {path} must have the column {name!r} once, but has it {header.count(name)} times.")
    if not rows:
        raise ValueError(f"File {path} must hold readings, but has no rows below its header.")
    return rows


def _unit(name: str, unit: str) -> tuple[float, float]:
    if unit not in UNITS:
        raise ValueError(f"Argument `units` must give one of {', '.join(UNITS)} for {name!r}, but gives {unit!r}.")
    return UNITS[unit]


def _number(text: str | None, name: str, line: int) -> float:
    if text is None or text.strip().lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"Column {name!r} must hold numbers, but line {line} has {text!r}.") from error
    if math.isinf(value):
        raise ValueError(f"Column {name!r} must be finite, but line {line} has {text!r}.")
    return value


def _time(text: str | None, name: str, line: int) -> float:
    try:
        return datetime.fromisoformat((text or "").strip()).timestamp()
    except ValueError as error:
        raise ValueError(f"Column {name!r} must hold ISO 8601 times, but line {line} has {text!r}.") from error


def _even(values: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows at even times, NaN where one is missing."""
    if len(times) < 2:
        raise ValueError("A file with times must hold at least two rows, but holds one.")
    steps = np.diff(times)
    if steps.min() <= 0.0:
        place = int(np.argmin(steps)) + 3
        raise ValueError(f"Times must ascend, but line {place} is not after the one before. Sort the file.")
    step = float(steps.min())
    places = (times - times[0]) / step
    rounded = np.round(places).astype(int)
    if np.abs(places - rounded).max() > TOLERANCE:
        place = int(np.argmax(np.abs(places - rounded))) + 2
        raise ValueError(
            f"Times must be even steps of {step:g} s apart (some may be missing), but line {place} is not. Resample it."
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
        result[missing, column] = np.interp(np.flatnonzero(missing), known, values[known, column])
    return result, int(np.isnan(values).sum())
