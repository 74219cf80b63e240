"""The check that a checkpoint fits the run that takes it up."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qml.pinn.training.broyden import SSBroyden
from qml.pinn.training.checkpoint import Checkpoint
from qml.pinn.training.marquardt import Marquardt


def require_fit(checkpoint: Checkpoint, model: Mapping[str, Tensor], points: Tensor, path: Path) -> None:
    """Refuse a checkpoint whose tensors are not those of this run: others, of other shapes or dtypes, or with NaN.

    Raises:
        ValueError: what does not fit, by name.
    """
    wanted = {f"model.{name}": value for name, value in model.items()}
    given = {f"model.{name}": value for name, value in checkpoint.model.items()} | {"points": checkpoint.points}
    if len(checkpoint.points) and checkpoint.points.ndim == points.ndim:
        wanted["points"] = points[:1].expand(len(checkpoint.points), *points.shape[1:])  # as many as there are
    if checkpoint.point_weights is not None:
        given["point_weights"], wanted["point_weights"] = (
            checkpoint.point_weights,
            checkpoint.points[:, 0].to(points.dtype),
        )
    for name in sorted({*wanted, *given}):
        shapes = [
            f"{value.dtype} of shape {tuple(value.shape)}" if (value := of.get(name)) is not None else "none"
            for of in (wanted, given)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{path} must hold `{name}` as {shapes[0]}, but holds {shapes[1]}. Delete it to train anew."
            )
        if not bool(torch.isfinite(given[name]).all()):
            raise ValueError(f"{path} must be finite, but `{name}` holds NaN or infinity. Delete it to train anew.")


def restore(
    optimizer: torch.optim.Optimizer | Marquardt | SSBroyden, state: Mapping[str, Any], parameters: Sequence[Tensor]
) -> None:
    """Give an optimiser the state of a checkpoint.

    Raises:
        ValueError: a state of another form, of other parameters, or with NaN.
    """
    sizes = {parameter.numel() for parameter in parameters}
    n_weights = sum(parameter.numel() for parameter in parameters)
    allowed = sizes | {0, 1, n_weights, n_weights**2}
    for value in _tensors(state):
        if value.numel() not in allowed or not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"A checkpoint must hold the optimiser's state of this model, but has a tensor of shape "
                f"{tuple(value.shape)}, or NaN. Delete it to train anew."
            )
    try:
        optimizer.load_state_dict(dict(state))
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"A checkpoint must hold the state of its optimiser, but does not: {error!r:.200}. Delete it to train anew."
        ) from error


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping | list | tuple):
        for item in state.values() if isinstance(state, Mapping) else state:
            yield from _tensors(item)
