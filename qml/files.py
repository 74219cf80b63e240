"""Files that are whole or not there, and JSON that may come from anyone."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn


def as_path(path: Any, name: str = "path") -> Path:
    """`path` as a Path; what is neither text nor a path is refused by name."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"Argument `{name}` must be a str or a pathlib.Path, but is {type(path).__name__}.")
    return Path(path)


def parse_json(text: str | bytes) -> Any:
    """The value of strict JSON: no name twice in an object, no NaN or infinity, no nesting that Python cannot follow.

    Raises:
        ValueError: anything else.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("JSON must not be nested as deeply as this") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a JSON object must have each name once")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON must hold finite numbers, but holds {name}")


def write_atomically(path: Path, content: bytes) -> None:
    """Write so that a crash leaves the old file or the new one, never half of either."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
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
