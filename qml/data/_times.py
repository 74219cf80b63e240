"""Time stamps of files: with a zone of their own, without one, or in a zone that the caller names."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
from jaxtyping import Int

from qml.data._csv import shown

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
NAIVE_EPOCH = datetime(1970, 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ticks(stamps: Sequence[tuple[int, str | None]], name: str, time_zone: str | None) -> Int[np.ndarray, " time"]:
    """Return the microseconds of ISO 8601 time stamps, whose differences are those of real time.

    Stamps with an offset are moments. Those without one have no zone, and differ as they are written, whatever the zone
    of this machine; with `time_zone` they are local times there.

    Args:
        stamps: line numbers and texts.
        name: of the column.
        time_zone: an IANA name, or None.

    Raises:
        ValueError: no time stamp; stamps with and without an offset; an unknown zone, or stamps with an offset beside
            one; local times that the zone does not have, or has twice.
    """
    times = [(line, _parsed(text, name, line)) for line, text in stamps]
    aware = [time.tzinfo is not None for _, time in times]
    if any(aware) and not all(aware):
        line = times[aware.index(not aware[0])][0]
        raise ValueError(
            f"Column {name!r} must hold times that all have an offset from UTC or all have none, but line {line} is "
            "unlike those before it. Write the offset everywhere, as in 2024-01-01T00:00+01:00."
        )
    if time_zone is not None:
        if any(aware):
            raise ValueError(
                f"Argument `time_zone` must be None where times have an offset from UTC, as column {name!r} has, but "
                f"is {time_zone!r}."
            )
        return np.array(_local(times, name, _zone(time_zone), time_zone), dtype=np.int64)
    epoch = EPOCH if any(aware) else NAIVE_EPOCH
    return np.array([(time - epoch) // TICK for _, time in times], dtype=np.int64)


def _parsed(text: str | None, name: str, line: int) -> datetime:
    try:
        return datetime.fromisoformat((text or "").strip())
    except ValueError as error:
        raise ValueError(f"Column {name!r} must hold ISO 8601 times, but line {line} has {shown(text)}.") from error


def _zone(time_zone: Any) -> tzinfo:
    from zoneinfo import ZoneInfo

    if not isinstance(time_zone, str):
        raise TypeError(f"Argument `time_zone` must be a name such as 'Europe/Berlin', but is {time_zone!r}.")
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError) as error:  # an unknown name, none at all, or a folder of zones
        raise ValueError(
            f"Argument `time_zone` must be a name of the IANA data base such as 'Europe/Berlin', but is {time_zone!r}. "
            "If this machine has no such data base, install tzdata."
        ) from error


def _local(times: Sequence[tuple[int, datetime]], name: str, zone: tzinfo, zone_name: str) -> list[int]:
    """Return microseconds since 1970 of local times. Of those that come twice, the second are behind the step back."""
    moments, twice = [], []
    for place, (line, time) in enumerate(times):
        first, second = (_offset(time, zone, fold, name, line) for fold in (0, 1))
        if first < second:
            raise ValueError(
                f"Column {name!r} must hold times that there are in {zone_name}, but line {line} has {time}, which its "
                "clocks skip. Write the offset from UTC behind the times instead."
            )
        if first > second:
            twice.append(place)
        moments.append([(time - NAIVE_EPOCH) // TICK - offset // TICK for offset in (first, second)])
    folds = _folds(times, twice, name, zone_name)
    return [both[folds.get(place, 0)] for place, both in enumerate(moments)]


def _offset(time: datetime, zone: tzinfo, fold: int, name: str, line: int) -> timedelta:
    try:
        return time.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
    except OverflowError as error:
        raise ValueError(f"Column {name!r} must hold times of this age, but line {line} has {time}.") from error


def _folds(times: Sequence[tuple[int, datetime]], twice: Sequence[int], name: str, zone_name: str) -> dict[int, int]:
    """Tell whether each local time that the zone has twice is the first (0) or the second (1)."""
    runs: list[list[int]] = []
    for place in twice:
        if runs and place == runs[-1][-1] + 1 and abs(times[place][1] - times[place - 1][1]) < DAY:
            runs[-1].append(place)
        else:
            runs.append([place])
    folds = {}
    for run in runs:
        back = [place for place in run[1:] if times[place][1] <= times[place - 1][1]]
        if len(back) != 1:
            line, time = times[run[0]]
            raise ValueError(
                f"Column {name!r} must hold times of one meaning, but line {line} has {time}, which {zone_name} "
                "has twice as its clocks go back, and the file does not go through both. Write the offset from UTC "
                "behind the times instead."
            )
        folds |= {place: int(place >= back[0]) for place in run}
    return folds
