"""Files of samples, checked at the door, and files of predictions."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from qml.files import write_atomically

PREFERRED = "inputs"  # the array that is taken from a file with several


def read_inputs(path: Path) -> np.ndarray:
    """The samples of a file, float64, shape (..., features), at least two dimensions.

    Args:
        path: `.npy`; `.npz` or `.safetensors` with one array, or one called `inputs`; `.csv` with commas, one sample a
            line, with or without a line of names at its head.

    Raises:
        ValueError: another kind of file, one that cannot be read, that is empty, that holds other things than finite
            real numbers, or has fewer than two dimensions.
        FileNotFoundError: no such file.
    """
    if path.suffix not in READERS:
        raise ValueError(f"Argument `data` must be a file ending in {', '.join(READERS)}, but is {path}.")
    content = path.read_bytes()
    try:
        array = READERS[path.suffix](content)
    except (EOFError, KeyError, OSError, ValueError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Argument `data` must be a readable {path.suffix} file, but {path} is not: {reason}"
        ) from error
    return _checked(array, path)


def write_outputs(path: Path, outputs: np.ndarray) -> None:
    """Write predictions as `.npy` or `.csv`, whole or not at all.

    Raises:
        ValueError: another suffix, or more than two dimensions for `.csv`.
    """
    require_output(path)
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, outputs, allow_pickle=False)
    elif outputs.ndim > 2:
        raise ValueError(f"Argument `out` must end in .npy for shape {outputs.shape}, but is {path}.")
    else:
        np.savetxt(buffer, outputs, delimiter=",", fmt="%.9g" if outputs.dtype == np.float32 else "%.17g")
    write_atomically(path, buffer.getvalue())


def require_output(path: Path) -> None:
    """Refuse a file that predictions cannot be written to, before they have been paid for."""
    if path.suffix not in (".npy", ".csv"):
        raise ValueError(f"Argument `out` must be a file ending in .npy or .csv, but is {path}.")
    if not path.parent.is_dir():
        raise ValueError(f"Argument `out` must be in a folder that exists, but {path.parent} is none.")


def _npy(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)


def _npz(content: bytes) -> np.ndarray:
    archive = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("it is a .npy file with another name")
    return _only({name: archive[name] for name in archive.files})


def _safetensors(content: bytes) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return _only(load(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _csv(content: bytes) -> np.ndarray:
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if lines and not _is_row(lines[0]):
        del lines[0]
    if not lines:
        raise ValueError("it holds no numbers")
    return np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)


def _is_row(line: str) -> bool:
    try:
        [float(cell) for cell in line.split(",")]
    except ValueError:
        return False
    return True


def _only(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(arrays) != 1 and PREFERRED not in arrays:
        raise ValueError(f"it must hold one array, or one called `{PREFERRED}`, but holds {sorted(arrays)}")
    return arrays.get(PREFERRED, next(iter(arrays.values())))


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
