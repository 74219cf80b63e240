"""Fitted forecasters in files: safetensors with JSON metadata, written whole or not at all."""

import json
import os
from os import PathLike
from pathlib import Path

from qml.files import write_atomically
from qml.reservoir.description import build, describe
from qml.reservoir.forecaster import Forecaster

FORMAT = "qml-circuits forecaster 1"


def save(model: Forecaster, path: str | PathLike[str]) -> None:
    """Write a forecaster with its reservoir; an existing file is replaced whole or stays as it was.

    A quantum reservoir's backend is not written: a loaded one runs on the built-in simulator until `to_backend`.

    Raises:
        TypeError: a reservoir of a class that is not this package's.
    """
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    description = json.dumps({"reservoir": describe(model.reservoir), "forecaster": model.config()})
    content = to_bytes(tensors, {"format": FORMAT, "description": description})
    write_atomically(Path(path), content)


def load(path: str | PathLike[str]) -> Forecaster:
    """The forecaster of a file that `save` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise ValueError(f"Argument `path` must be a file that save wrote, but {path} is none: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"Argument `path` must be a file of format {FORMAT!r}, but {path} has {metadata.get('format')!r}."
        )
    description = json.loads(metadata["description"])
    options = description["forecaster"]
    online = options.pop("online", None)
    model = Forecaster(build(description["reservoir"]), **options)
    if online is not None:
        model.learn_online(**online)
    model.load_state_dict(tensors)
    return model
