"""Files of samples, which are checked when they are read, and files of predictions."""

import csv
import io
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from qml.files import write_atomically

PREFERRED_ARRAY = "inputs"  # the array that is taken from a file with several
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MARKS, EXPONENTS = "+-.,'(#$€£ \t;", frozenset("eij")  # around the digits of numbers in other notations
HEXADECIMAL = re.compile(r"[+-]?0x[\da-f]+")
NOT_FINITE = ("nan", "inf", "infinity", "1.#inf", "1.#qnan")
MISSING = ("", "na", "n/a", "#n/a", "null", "none", "-", "--", "?", "true", "false")
UNREADABLE = (
    ArithmeticError, BadZipFile, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError,
    csv.Error, struct.error, zlib.error,
)  # fmt: skip
"""The errors that readers raise for damaged files: NumPy's, zip's and ours."""


def read_inputs(path: Path | str) -> np.ndarray:
    """Read the samples of a file, float64, shape (..., features), at least two dimensions.

    Args:
        path: `.npy`; `.npz` or `.safetensors` with one array, or one called `inputs`; `.csv` with commas, one sample a
            line, with or without a line of names at its head. A line of names holds no number and no name twice. Lines
            that begin with `#` before the first sample are remarks.

    Raises:
        ValueError: a file of another kind, or one that cannot be read, is empty, holds anything but finite real
            numbers, or has fewer than two dimensions. For a `.csv` file the message names the line.
        FileNotFoundError: no such file.
        TypeError: no path.
    """
    path = _as_path(path, "data")
    if path.suffix not in READERS:
        raise ValueError(f"Argument `data` must be a file ending in {', '.join(READERS)}, but is {path}.")
    content = path.read_bytes()
    try:
        array = READERS[path.suffix](content)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Argument `data` must be a readable {path.suffix} file, but {path} is not: {reason}"
        ) from error
    return _checked(array, path)


def write_outputs(path: Path | str, outputs: np.ndarray) -> None:
    """Write predictions as `.npy` or `.csv`, whole or not at all.

    Raises:
        ValueError: another suffix, or more than two dimensions for `.csv`.
        TypeError: no path.
    """
    path = _as_path(path, "out")
    require_output(path)
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, outputs, allow_pickle=False)
    elif outputs.ndim > 2:
        raise ValueError(f"Argument `out` must end in .npy for shape {outputs.shape}, but is {path}.")
    else:
        np.savetxt(buffer, outputs, delimiter=",", fmt="%.9g" if outputs.dtype == np.float32 else "%.17g")
    write_atomically(path, buffer.getvalue())


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as `.npz`, whole or not at all.

    Raises:
        ValueError: another suffix.
        TypeError: no path.
    """
    path = _as_path(path, "out")
    if path.suffix != ".npz":
        raise ValueError(f"Argument `out` must be a file ending in .npz, but is {path}.")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType] - arrays by name
    write_atomically(path, buffer.getvalue())


def require_output(path: Path) -> None:
    """Refuse a file that predictions cannot be written to, before they have been paid for."""
    if path.suffix not in (".npy", ".csv"):
        raise ValueError(f"Argument `out` must be a file ending in .npy or .csv, but is {path}.")
    if not path.parent.is_dir():
        raise ValueError(f"Argument `out` must be in a folder that exists, but {path.parent} is none.")


def _as_path(path: Path | str, name: str) -> Path:
    if not isinstance(path, str | Path):
        raise TypeError(f"Argument `{name}` must be a path, but is {type(path).__name__}.")
    return Path(path)


def _npy(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    left = len(content) - file.tell()
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > left:  # before memory is taken for it
        raise ValueError(f"it must hold {math.prod(shape)} values of {dtype}, but is cut short")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _npz(content: bytes) -> np.ndarray:
    archive = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("it is a .npy file with another name")
    names = [name for name in archive.files if len(archive.files) == 1 or name == PREFERRED_ARRAY]
    if not names:
        raise ValueError(_not_one(archive.files))
    with archive.zip.open(f"{names[0]}.npy") as file:
        return _npy(file.read())


def _safetensors(content: bytes) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return _only(load(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _csv(content: bytes) -> np.ndarray:
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=None), strict=True)
    rows: list[list[float]] = []
    width, is_first = 0, True
    for row in reader:
        line, cells = reader.line_num, [cell.strip() for cell in row]
        if not any(cells) and len(cells) < 2:
            continue
        if is_first and cells[0].startswith("#") and not any(map(_is_number, cells)):
            continue
        header, is_first = is_first and not any(map(_is_number, cells)), False
        if header:
            _require_names(cells, line)
        if len(cells) != (width or len(cells)):
            raise ValueError(f"line {line} must have {width} cells, as the lines before, but has {len(cells)}")
        width = len(cells)
        if not header:
            rows.append([_number(cell, line) for cell in cells])
    if not rows:
        raise ValueError("it holds no numbers")
    return np.array(rows)


def _number(cell: str, line: int) -> float:
    if NUMBER.fullmatch(cell) is None:
        finite = "be finite" if cell.lower().lstrip("+-") in NOT_FINITE else "hold numbers only"
        hint = " Separate cells with commas." if ";" in cell or "\t" in cell else ""
        raise ValueError(f"line {line} must {finite}, but has {cell!r}.{hint}")
    return float(cell)


def _is_number(cell: str) -> bool:
    """Tell whether a cell is a number, or stands for one: complex, in another notation, missing."""
    word = cell.lower()
    letters = {letter for letter in word if letter.isalpha()}
    like = word.lstrip(MARKS)[:1].isdigit() and letters <= EXPONENTS
    return like or word.lstrip("+-") in (*NOT_FINITE, *MISSING) or HEXADECIMAL.fullmatch(word) is not None


def _require_names(cells: Sequence[str], line: int) -> None:
    """Refuse a line without numbers that is no line of names either."""
    if len(set(cells)) < len(cells):
        raise ValueError(f"line {line} must hold numbers, or a name for each column, but names repeat: {cells}")


def _only(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(arrays) != 1 and PREFERRED_ARRAY not in arrays:
        raise ValueError(_not_one(arrays))
    return arrays.get(PREFERRED_ARRAY, next(iter(arrays.values())))


def _not_one(names: Iterable[str]) -> str:
    return f"it must hold one array, or one called `{PREFERRED_ARRAY}`, but holds {sorted(names)}"


READERS: dict[str, Callable[[bytes], np.ndarray]] = {
    ".npy": _npy, ".npz": _npz, ".csv": _csv, ".safetensors": _safetensors,
}  # fmt: skip


def _checked(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Argument `data` must hold real numbers, but {path} holds {array.dtype}.")
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"Argument `data` must have shape (samples, features), at least one of each, but {path} has shape "
            f"{array.shape}. Reshape a single sample to (1, features)."
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"Argument `data` must be finite, but {path} holds NaN or infinity.")
    return values
