"""A training run in one file: tensors in safetensors, the rest as JSON in its header. Never pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qml.files import parse_json, parse_safetensors, write_atomically

FORMAT = 1
HEADER = "qml.pinn"
SUFFIX = ".safetensors"
PROGRESS: dict[str, Any] = {"step": int, "seconds": int | float, "epsilon_index": int, "history": dict, "weights": dict}


@dataclass(frozen=True)
class Checkpoint:
    """A training run at the moment of writing.

    Attributes:
        settings: whatever the run depends on, as JSON values; a run resumes from the same settings only.
        progress: steps, weights of the loss and its history, as JSON values.
        model: the state of the model.
        optimizer: the state of the optimiser.
        points: collocation points.
        point_weights: of these in the loss; None where all are 1.
        first: the state of the model that a restart begins from; empty where there is none.
        best: the state of the model that did best on held-out points; empty where there is none.
    """

    settings: Mapping[str, Any]
    progress: Mapping[str, Any]
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    points: Tensor
    point_weights: Tensor | None = None
    first: Mapping[str, Tensor] = field(default_factory=dict)
    best: Mapping[str, Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        ValueError: another suffix than .safetensors.
    """
    from safetensors.torch import save

    require_suffix(path)
    tensors = {f"model.{name}": value.detach().cpu().contiguous() for name, value in checkpoint.model.items()}
    tensors |= {f"first.{name}": value.detach().cpu().contiguous() for name, value in checkpoint.first.items()}
    tensors |= {f"best.{name}": value.detach().cpu().contiguous() for name, value in checkpoint.best.items()}
    tensors["points"] = checkpoint.points.detach().cpu().contiguous()
    if checkpoint.point_weights is not None:
        tensors["point_weights"] = checkpoint.point_weights.detach().cpu().contiguous()
    header = {
        "format": FORMAT,
        "settings": checkpoint.settings,
        "progress": checkpoint.progress,
        "optimizer": _encode(checkpoint.optimizer, "optimizer", tensors),
    }
    write_atomically(path, save(tensors, {HEADER: json.dumps(header)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read the file of `save_checkpoint`.

    Raises:
        ValueError: a file that is corrupt or that something else wrote.
    """
    require_suffix(path)
    metadata, tensors = parse_safetensors(path.read_bytes(), str(path))
    try:
        header = parse_json(metadata.get(HEADER, "null"))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is corrupt ({error}): it must be a file of a run. Delete it to train anew."
        ) from error
    if not isinstance(header, dict) or type(header.get("format")) is not int or header["format"] != FORMAT:
        raise ValueError(
            f"{path} is no training run of format {FORMAT} of this package, as it must be. Name another file."
        )
    try:
        _require_fields(header, tensors)
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is corrupt: it must have the fields of a run, but lacks or spoils one ({error!r:.200}). Delete it "
            "to train anew."
        ) from error
    return Checkpoint(
        settings=header["settings"],
        progress=header["progress"],
        model=_named("model.", tensors),
        optimizer=_decode(header["optimizer"], tensors),
        points=tensors["points"],
        point_weights=tensors.get("point_weights"),
        first=_named("first.", tensors),
        best=_named("best.", tensors),
    )


def _require_fields(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse a header or tensors of another form; whether they fit the run is for the run to say."""
    for name in ("settings", "progress", "optimizer"):
        if not isinstance(header[name], dict):
            raise TypeError(f"`{name}` must be an object, but is {type(header[name]).__name__}")
    optimizer = _decode(header["optimizer"], tensors)
    if not isinstance(optimizer, dict) or "points" not in tensors:
        raise TypeError("`optimizer` and `points` must be a state and a tensor")
    groups = optimizer.get("param_groups", [{}])
    if not isinstance(groups, list) or not groups or not isinstance(groups[0], dict):
        raise TypeError("`param_groups` must be a list of options")
    _require_progress(header["progress"])


def _require_progress(values: Mapping[str, Any]) -> None:
    """Refuse steps, seconds, a history or weights of another kind."""
    for name, kind in PROGRESS.items():
        if isinstance(values[name], bool) or not isinstance(values[name], kind):
            raise TypeError(f"`{name}` must be {kind}, but is {type(values[name]).__name__}")
    if min(values["step"], values["seconds"], values["epsilon_index"]) < 0:
        raise ValueError("`step`, `seconds` and `epsilon_index` must be at least 0")
    lists = list(values["history"].values())
    if not all(isinstance(items, list) for items in lists):
        raise TypeError("`history` must hold lists of numbers")
    for number in (*values["weights"].values(), *(item for items in lists for item in items)):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"`history` and `weights` must hold numbers, but hold {type(number).__name__}")


def require_suffix(path: Path) -> None:
    """Refuse another suffix than .safetensors."""
    if path.suffix != SUFFIX:
        raise ValueError(f"Argument `checkpoint` must end in {SUFFIX}, but is {path}.")


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}


def _encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Convert nested state to JSON; its tensors go to `tensors`, under names that tell where they were."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[key, _encode(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_encode(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"State of an optimiser must be tensors, numbers, strings and their containers, but has {value!r}.")


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _decode(item, tensors) for key, item in value["items"]}


def to_device(state: Any, device: torch.device) -> Any:
    """Move the tensors of nested state to a device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: to_device(item, device) for key, item in state.items()}
    if isinstance(state, list):
        return [to_device(item, device) for item in state]
    return state
