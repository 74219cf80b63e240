"""Files that are written whole or not at all, and files that may come from anyone."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

HEADER_BYTES_LIMIT = 100_000_000  # bytes, safetensors' own limit
DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
}
"""What a tensor of ours can be; complex and eight-bit floating ones are in none of our files."""


def as_path(path: Any, name: str = "path") -> Path:
    """Return `path` as a Path; what is neither text nor a path is refused by name."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"Argument `{name}` must be a str or a pathlib.Path, but is {type(path).__name__}.")
    return Path(path)


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON: no name twice in an object, no NaN or infinity, no nesting that Python cannot follow.

    Raises:
        ValueError: anything else.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("JSON must not be nested as deeply as this") from error


def parse_safetensors(content: bytes, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return metadata and tensors of a safetensors file; `name` stands for it in errors.

    Raises:
        ValueError: a file that is cut or damaged, whose header lies about it, or with tensors that are not real.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(HEADER_BYTES_LIMIT, len(content) - 8):
        raise ValueError(f"{name} is corrupt, or no safetensors file: its header must be as long as it says.")
    try:
        header = parse_json(content[8 : 8 + length])
        if not isinstance(header, dict):
            raise ValueError("its header must be a JSON object")
        metadata = header.get("__metadata__", {})
        if not isinstance(metadata, dict):
            raise ValueError("its metadata must be a JSON object")
        tensors = load(content)
    except (SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} is corrupt, or no safetensors file: it must be whole, but {reason}.") from error
    for key, value in tensors.items():
        if value.dtype not in DTYPES:
            raise ValueError(f"{name} must hold real tensors, but `{key[:60]}` is {value.dtype}.")
    return metadata, tensors


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a JSON object must have each name once")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON must hold finite numbers, but holds {name}")


def write_atomically(path: Path, content: bytes) -> None:
    """Write so that a crash leaves the old file or the new one, never half of either.

    Raises:
        FileNotFoundError: the file's folder is not there.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} must lie in a folder that exists, but {path.parent} does not. Make it first.")
    with (
        naming_file(path),
        tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}-", delete=False) as file,
    ):
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Name the file in errors that do not, such as that of a write onto a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
