"""Fitted forecasters in files: safetensors with JSON metadata, written whole or not at all."""

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from qml.files import as_path, parse_json, parse_safetensors, write_atomically
from qml.reservoir._file_sizes import require_forecaster
from qml.reservoir.description import build, describe
from qml.reservoir.forecaster import Forecaster

FORMAT = "qml-circuits forecaster 1"
MAY_BE_NAN = ("readout.alpha", "readout.errors", "trained_range")  # before a fit


def save(model: Forecaster, path: str | PathLike[str]) -> None:
    """Write a forecaster with its reservoir; an existing file is replaced whole or stays as it was.

    A quantum reservoir's backend is not written: a loaded one runs on the built-in simulator until `to_backend`.

    Raises:
        TypeError: something that is no forecaster, a reservoir of a class that is not this package's.
        ValueError: weights that are not finite.
    """
    if not isinstance(model, Forecaster):
        raise TypeError(f"Argument `model` must be a Forecaster, but is {type(model).__name__}.")
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    for name, tensor in tensors.items():
        if not name.endswith(MAY_BE_NAN) and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"Weights must be finite to be saved, but `{name}` holds NaN or infinity.")
    description = json.dumps({"reservoir": describe(model.reservoir), "forecaster": model.config()}, allow_nan=False)
    content = to_bytes(tensors, {"format": FORMAT, "description": description})
    write_atomically(as_path(path), content)


def load(path: str | PathLike[str]) -> Forecaster:
    """Load the forecaster of a file that `save` wrote, on the CPU.

    The file may come from anyone: its sizes are compared with its tensors before anything is built.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind, one that is damaged, or whose tensors do not fit its description.
    """
    name = f"Argument `path` must be a file that save wrote, but {path}"
    metadata, tensors = parse_safetensors(as_path(path).read_bytes(), name)
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"Argument `path` must be a file of format {FORMAT!r}, but {path} has {str(metadata.get('format'))[:60]!r}."
        )
    try:
        description = parse_json(metadata["description"])
        require_forecaster(description, tensors)
        model = _build(description)
        _require_kinds(model, tensors)
        model.load_state_dict(tensors)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:500]
        raise ValueError(
            f"{name} cannot be made into a forecaster again: {reason} ({type(error).__name__})."
        ) from error
    return model


def _build(description: Mapping[str, Any]) -> Forecaster:
    """Build the forecaster of a description; files of earlier versions lack `alphas` where it learns online."""
    options = dict(description["forecaster"])
    online = options.pop("online", None)
    model = Forecaster(build(description["reservoir"]), **options)
    return model if online is None else model.learn_online(**online)


def _require_kinds(model: Forecaster, tensors: Mapping[str, Tensor]) -> None:
    """Refuse integers for weights and the reverse, and weights that are not finite."""
    own = model.state_dict()
    for key, value in tensors.items():
        if key in own and value.is_floating_point() != own[key].is_floating_point():
            raise ValueError(f"`{key}` must be {own[key].dtype}, but is {value.dtype}")
        if key.endswith(MAY_BE_NAN):
            continue
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"`{key}` must be finite, but holds NaN or infinity")
