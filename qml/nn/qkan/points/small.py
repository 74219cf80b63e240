"""Few activations at a time: the work of `slopes`, in NumPy.

Where tensors have a few thousand entries a call costs more than its arithmetic, and NumPy's calls cost a third of
torch's. Arrays share the tensors' memory.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qml.nn.qkan.points.program import ActivationProgram
from qml.nn.qkan.points.schedule import Schedule, ScheduleStep, make_schedule
from qml.nn.qkan.points.slopes import SlopeTables, make_tables

MAX_NUMPY_ACTIVATIONS = 2**13  # of more activations torch's threads and fused operations are quicker
Array = np.ndarray


class SmallEdges(NamedTuple):
    """The parameters of a set of edges as NumPy arrays, edges along one axis; see `slopes.Edges`."""

    program: ActivationProgram
    trained: bool
    tables: SlopeTables
    offsets: Array
    shift: Array | None
    scale: Array
    shape: torch.Size


def is_small(points: Tensor, weights: Tensor) -> bool:
    """Tell whether NumPy can read the tensors and there are few activations."""
    return weights.device.type == "cpu" and points.shape[0] * weights.shape[:-1].numel() <= MAX_NUMPY_ACTIVATIONS


def make_edges(
    program: ActivationProgram, weights: Tensor, scale: Tensor | None, shift: Tensor | None, *, arccos: bool
) -> SmallEdges:
    """Make the edges from parameters as a module holds them, (outputs, inputs, slots) or (inputs, slots)."""
    trained = scale is not None and shift is not None
    tables = make_tables(program, trained, arccos, weights.dtype, weights.device)
    parts = [weights] if scale is None or shift is None else [weights, shift, scale]
    planes = np.concatenate([_as_planes(part) for part in parts])
    mixed = tables.mixing.numpy() @ planes.reshape(planes.shape[0], -1)
    n_rotations, n_wide = len(program.rotations), tables.factors.shape[0]
    offsets = mixed[:n_rotations]
    if tables.constants is not None:
        offsets = offsets + tables.constants.numpy()[:, 0]
    scales = mixed[-n_wide:] if trained else tables.factors.numpy()[:, 0]
    shifts = mixed[n_rotations : n_rotations + n_wide] if arccos else None
    return SmallEdges(program, trained, tables, offsets, shifts, scales, torch.Size(planes.shape[1:]))


def _as_planes(parameter: Tensor) -> Array:
    """See `slopes.as_planes`."""
    array = parameter.detach().numpy()
    return array.T if array.ndim == 3 else array.T[:, :, None]


def values_and_slopes(edges: SmallEdges, points: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
    """See `slopes.values_and_slopes`."""
    schedule, n_wide = make_schedule(edges.program, slopes=slopes), edges.tables.factors.shape[0]
    x = _spread(edges, points)
    n_rotations = edges.offsets.shape[0]
    n_rows = n_rotations + (n_wide if edges.shift is not None else 0) if slopes else 0
    values = points.new_empty(points.shape[0], *edges.shape)  # memory of its own: autograd guards it against changes
    kept = points.new_empty(n_rows, *values.shape)
    rows = kept.numpy().reshape(n_rows, points.shape[0], edges.shape.numel())
    registers = np.empty((schedule.n_registers, *rows.shape[1:]), rows.dtype)
    angles = registers[:n_wide]
    np.multiply(x, edges.scale[:, None], out=angles)
    pre = None
    if edges.shift is not None:
        pre = angles + edges.shift[:, None]
        np.multiply(np.arccos(np.clip(pre, -1, 1)), edges.tables.factors.numpy(), out=angles)
    np.add(angles, edges.offsets[:n_wide, None], out=angles)
    np.sin(angles, out=registers[n_wide : 2 * n_wide])
    np.cos(angles, out=angles)
    slots = [
        *_narrow_slots(schedule, edges.offsets[n_wide:]),
        *registers,
        values.numpy().reshape(rows.shape[1:]),
        *rows,
    ]
    product = np.empty_like(slots[-1 - n_rows])
    _carry_out(schedule.wide, slots, product)
    if pre is not None and slopes:
        inside = np.abs(pre) < 1
        by_pre = np.where(inside, -1 / np.sqrt(1 - np.where(inside, pre, 0) ** 2), 0) * edges.tables.factors.numpy()
        np.multiply(rows[:n_wide], by_pre, out=rows[-n_wide:])
    return values, kept if slopes else None


def gradients(
    edges: SmallEdges, points: Tensor, slopes: Tensor, gradient: Tensor, *, of_points: bool
) -> tuple[Tensor | None, Tensor]:
    """See `slopes.gradients`."""
    n_wide, n_rows, n_points = edges.tables.factors.shape[0], slopes.shape[0], points.shape[0]
    size = edges.shape.numel()
    rows, of_values = slopes.numpy().reshape(n_rows, n_points, size), gradient.numpy().reshape(n_points, size)
    uploads = rows[-n_wide:] if edges.shift is not None else rows[:n_wide]
    totals = np.einsum("rpe,pe->re", rows, of_values)
    if edges.trained:
        totals = np.concatenate([totals, np.einsum("kpe,pe->ke", uploads, of_values * _spread(edges, points))])
    planes = torch.from_numpy(edges.tables.back.numpy() @ totals).unflatten(1, edges.shape)
    if not of_points:
        return None, planes
    slope = np.einsum("kpe,ke->pe", uploads, (edges.scale * edges.tables.signs.numpy()[:, 0]) + 0 * edges.offsets[:1])
    return torch.from_numpy(slope * of_values).view(n_points, *edges.shape).sum_to_size(points.shape), planes


def _spread(edges: SmallEdges, points: Tensor) -> Array:
    """Return points (points, inputs or 1, 1) as (points, edges or 1)."""
    x = points.detach().numpy()[:, :, 0]
    return x if x.shape[1] == 1 or edges.shape[1] == 1 else np.repeat(x, edges.shape[1], axis=1)


def _narrow_slots(schedule: Schedule, angles: Array) -> list[Array]:
    """Compute cosines and sines of the rotations that do not upload, and the steps that depend on them alone."""
    slots = [part for pair in zip(np.cos(angles), np.sin(angles), strict=True) for part in pair]
    if schedule.narrow:
        slots += [np.empty_like(angles[0]) for _ in schedule.narrow]
        _carry_out(schedule.narrow, slots, np.empty_like(angles[0]))
    return slots


def _carry_out(steps: Sequence[ScheduleStep], slots: list[Array], product: Array) -> None:
    """Carry out the steps, in place; `product` is memory for one array."""
    add, subtract, multiply = np.add, np.subtract, np.multiply
    for out, first, second, third, factor in steps:
        if second is None:
            multiply(slots[first], factor, slots[out])
        elif third is None:
            multiply(slots[first], slots[second], slots[out])
        else:
            multiply(slots[second], slots[third], product)
            (add if factor > 0 else subtract)(slots[first], product, slots[out])
