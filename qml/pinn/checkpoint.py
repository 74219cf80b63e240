"""A training run in one file: tensors in safetensors, the rest as JSON in its header. Never pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qml.files import write_atomically

FORMAT = 1
HEADER = "qml.pinn"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Where a training run stands.

    Attributes:
        settings: whatever the run depends on, as JSON values; a run resumes from the same settings only.
        progress: steps, weights of the loss and its history, as JSON values.
        model: the state of the model.
        optimizer: the state of the optimiser.
        points: collocation points.
        point_weights: of these in the loss; None where all are 1.
        first: the state of the model that a restart begins from; empty where there is none.
    """

    settings: Mapping[str, Any]
    progress: Mapping[str, Any]
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    points: Tensor
    point_weights: Tensor | None = None
    first: Mapping[str, Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        ValueError: another suffix than .safetensors.
    """
    from safetensors.torch import save

    require_suffix(path)
    tensors = {f"model.{name}": value.detach().cpu().contiguous() for name, value in checkpoint.model.items()}
    tensors |= {f"first.{name}": value.detach().cpu().contiguous() for name, value in checkpoint.first.items()}
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
    from safetensors import SafetensorError, safe_open

    require_suffix(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        header = json.loads(metadata.get(HEADER, "null"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is corrupt ({error}). Delete it to train anew.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path} is no training run of format {FORMAT} of this package. Name another file.")
    return Checkpoint(
        settings=header["settings"],
        progress=header["progress"],
        model=_named("model.", tensors),
        optimizer=_decode(header["optimizer"], tensors),
        points=tensors["points"],
        point_weights=tensors.get("point_weights"),
        first=_named("first.", tensors),
    )


def require_suffix(path: Path) -> None:
    """Refuse another suffix than .safetensors."""
    if path.suffix != SUFFIX:
        raise ValueError(f"Argument `checkpoint` must end in {SUFFIX}, but is {path}.")


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}


def _encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON of nested state; its tensors go to `tensors`, under names that tell where they were."""
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
    """Nested state with its tensors on a device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: to_device(item, device) for key, item in state.items()}
    if isinstance(state, list):
        return [to_device(item, device) for item in state]
    return state
