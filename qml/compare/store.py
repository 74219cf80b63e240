"""The folder of a comparison: results that survive a crash, bound to the settings they were made with."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qml import files
from qml.compare.task import Outcome, Record

RESULTS = "results.jsonl"
SETTINGS = "settings.json"
CHECK = "check"
EXTRA_KEYS = ("settings", "details", CHECK)  # keys of a line beside those of the cell
KEYS = ("task", "model", "seed", "metric", "value", "n_parameters", "seconds")


def open_folder(folder: Path, settings: Mapping[str, Any]) -> tuple[list[Record], list[str]]:
    """Return the records of an earlier run with the same settings, and warnings about repairs.

    Args:
        folder: Made if it does not exist.
        settings: The values that the results depend on, as JSON.

    Raises:
        ValueError: If the folder is a file, or holds results of other settings.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"Argument `out` must be a folder, but {folder} is a file. Name another one.")
    folder.mkdir(parents=True, exist_ok=True)
    warnings: list[str] = []
    stored = _read_settings(folder / SETTINGS, warnings)
    lines = _read_lines(folder / RESULTS, warnings)
    fingerprint = settings_hash(settings)
    if stored is not None and stored != json.loads(_canonical(settings)):
        raise ValueError(_refusal(folder, _difference(stored, settings)))
    if any(line["settings"] != fingerprint for line in lines):
        raise ValueError(_refusal(folder, "other settings"))
    if stored is None:
        write_atomically(folder / SETTINGS, json.dumps(settings, indent=2, sort_keys=True) + "\n")
    first = {(line["model"], line["seed"]): line for line in reversed(lines)}
    return [_to_record(line) for line in reversed(first.values())], warnings


def stored_cells(folder: Path, settings: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Return the model and seed of every finished cell in a folder, which is only read.

    Raises:
        ValueError: If the folder is a file, or holds results of other settings.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"Argument `out` must be a folder, but {folder} is a file. Name another one.")
    path = folder / RESULTS
    lines = [_parse(line) for line in path.read_bytes().split(b"\n")] if path.exists() else []
    cells = [line for line in lines if line is not None]
    if any(line["settings"] != settings_hash(settings) for line in cells):
        raise ValueError(_refusal(folder, "other settings"))
    return {(line["model"], line["seed"]) for line in cells}


def stored_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a folder's results were made with.

    Raises:
        ValueError: If the folder holds none that can be read.
    """
    settings = _read_settings(folder / SETTINGS, []) if (folder / SETTINGS).is_file() else None
    if settings is None or not isinstance(settings.get("task"), str):
        raise ValueError(
            f"Argument `out` must be a folder that `qml compare` wrote, but {folder} holds no settings that can be "
            f"read. Name the folder that holds {SETTINGS} and {RESULTS}."
        )
    return settings


def append_record(folder: Path, record: Record, settings: Mapping[str, Any]) -> None:
    """Add one finished cell, and return when it is on the disk."""
    outcome = asdict(record.outcome)
    values = (record.task, record.model, record.seed, record.metric, *(outcome[key] for key in KEYS[4:]))
    line = dict(zip(KEYS, values, strict=True)) | outcome["extras"]
    line |= {"settings": settings_hash(settings), "details": outcome["details"]}
    line |= {CHECK: _check_of(line)}
    path = folder / RESULTS
    with files.naming_file(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that a crash leaves the old file or the new one, never half of either."""
    files.write_atomically(path, text.encode())


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Compute a short fingerprint of `settings`, the same for the same values in any order."""
    return hashlib.sha256(_canonical(settings).encode()).hexdigest()[:12]


def _canonical(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _read_settings(path: Path, warnings: list[str]) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError):
        stored = None
    if isinstance(stored, dict):
        return stored
    warnings.append(f"{path} could not be read; it is kept as {_keep_aside(path, 'corrupt').name}.")
    return None


def _read_lines(path: Path, warnings: list[str]) -> list[dict[str, Any]]:
    """Read the readable lines; where some are not, keep the file aside as it was and go on without them."""
    if not path.exists():
        return []
    *lines, tail = path.read_bytes().split(b"\n")
    parsed = [_parse(line) for line in lines]
    last = _parse(tail)
    good = [line for line in (*parsed, last) if line is not None]
    if tail or len(good) < len(parsed):
        n_bad = len(parsed) + bool(tail) - len(good)
        if n_bad:
            torn = n_bad == 1 and bool(tail)
            kept = _keep_aside(path, "torn" if torn else "corrupt")
            damage = "Its last line was cut short" if torn else f"{n_bad} of its lines could not be read"
            warnings.append(f"{path}: {damage}; the file is kept as {kept.name}, and those cells run again.")
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in good))
    return good


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parse the cell of a line; return None for a line that `append_record` did not write."""
    try:
        record = json.loads(line)
        complete = isinstance(record, dict) and record.keys() >= {*KEYS, "settings", "details"}
        if not complete or not _is_sound(record):
            return None
        json.dumps(record, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written again
    except (RecursionError, ValueError):  # json's and Unicode's errors both
        return None
    return record


def _is_sound(record: dict[str, Any]) -> bool:
    """Tell whether all values are of the kinds that a cell has and, where a check was written, unchanged."""
    texts = [record[key] for key in ("task", "model", "metric", "settings")]
    counts = [record["seed"], record["n_parameters"]]
    numbers = [record["value"], record["seconds"]]
    extras = [record[key] for key in record.keys() - {*KEYS, *EXTRA_KEYS}]
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(count) is int for count in counts)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and all(isinstance(extra, str | int | float) for extra in extras)
        and _are_details(record["details"])
        and record.get(CHECK, _check_of(record)) == _check_of(record)
    )


def _are_details(details: Any) -> bool:
    """Tell whether details have the form that the figures draw."""
    if not isinstance(details, dict):
        return False
    curves, counts = details.get("curves", {}), details.get("confusion", [[0, 0], [0, 0]])
    return (
        isinstance(curves, dict)
        and all(isinstance(curve, list) and _are_numbers(curve) for curve in curves.values())
        and isinstance(counts, list)
        and len(counts) == 2
        and all(isinstance(row, list) and len(row) == 2 and _are_numbers(row) for row in counts)
    )


def _are_numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)


def _check_of(line: Mapping[str, Any]) -> str:
    """Compute a fingerprint of a line without its check, the same before it is written and after it was read."""
    plain = json.loads(json.dumps({key: value for key, value in line.items() if key != CHECK}))
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()[:12]


def _keep_aside(path: Path, reason: str) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.{reason}-{number}")).exists():
        number += 1
    shutil.copy2(path, kept)
    return kept


def _to_record(line: dict[str, Any]) -> Record:
    extras = {key: value for key, value in line.items() if key not in {*KEYS, *EXTRA_KEYS}}
    outcome = Outcome(line["value"], line["n_parameters"], line["seconds"], extras, line["details"])
    return Record(line["task"], line["model"], line["seed"], line["metric"], outcome)


def _difference(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Describe the settings that differ, the stored value first."""
    now = json.loads(_canonical(settings))
    keys = [key for key in sorted({*stored, *now}) if stored.get(key) != now.get(key)]
    short = [key for key in keys if not isinstance(now.get(key), dict | list)]
    if short:
        return ", ".join(f"{key} {stored.get(key)!r} (now {now.get(key)!r})" for key in short)
    return f"other {', '.join(keys)}"


def _refusal(folder: Path, contents: str) -> str:
    return (
        f"Argument `out` must be a new folder or one of this very comparison, but {folder} holds results "
        f"of {contents}. Name another folder with --out, or repeat the settings of that one."
    )
