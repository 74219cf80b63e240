"""Activations and their slopes at given points: a schedule carried out in chunks that stay in cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from qml.buffers import stack_loan
from qml.nn.qkan._modes import outside_of_modes
from qml.nn.qkan.points.bloch import arccos, arccos_slope
from qml.nn.qkan.points.program import ActivationProgram
from qml.nn.qkan.points.schedule import Schedule, make_schedule

CHUNK = 2**17  # activations at a time on a CPU: a dozen such tensors stay in a cache of a few MiB
MIN_EDGES_BY_POINT = 2**11  # edges from which a call for every point costs less than memory for the products
CHUNK_ELSEWHERE = 2**22  # where launching a kernel costs more than memory


class SlopeTables(NamedTuple):
    """The linear maps of a program, from parameters to angles and back. Rows of rotations are in the schedule's order.

    Attributes:
        mixing: from the planes (weights, shifts, scales) to the offset of each rotation's angle, to the shift of each
            upload where an arccosine stands between, and to its scale.
        back: the transpose, with the signs of the slopes: from gradients by angles to gradients of the planes.
        places: the plane that each row is, where rows are planes as they are; else None.
        constants: of each rotation, (rotations, 1, 1), or None where all are 0.
        factors: of each upload, (uploads, 1, 1).
        signs: of each upload's slope, (uploads, 1, 1).
    """

    mixing: Tensor
    back: Tensor
    places: Tensor | None
    constants: Tensor | None
    factors: Tensor
    signs: Tensor


@dataclass(frozen=True)
class Edges:
    """The parameters of a set of edges as a program uses them.

    Attributes:
        program: the rotations.
        trained: True for pre-activations scale * x + shift, False if x itself is uploaded.
        tables: of the program.
        offsets: of each rotation's angle, in the schedule's order, shape (rotations, inputs, outputs).
        shift: of each upload, shape (uploads, inputs, outputs), where an arccosine stands between; else in `offsets`.
        scale: of each upload, shape (uploads, inputs, outputs), or (uploads, 1, 1) where not trained.
    """

    program: ActivationProgram
    trained: bool
    tables: SlopeTables
    offsets: Tensor
    shift: Tensor | None
    scale: Tensor

    @property
    def n_wide(self) -> int:
        """Return the number of uploads."""
        return self.tables.factors.shape[0]

    @property
    def n_rows(self) -> int:
        """Count the slopes: by each rotation's angle, and by each pre-activation where an arccosine stands between."""
        return self.offsets.shape[0] + (0 if self.shift is None else self.n_wide)


def as_planes(parameter: Tensor) -> Tensor:
    """Permute (outputs, inputs, slots) or (inputs, slots) to (slots, inputs, outputs), the latter with one output."""
    return (parameter if parameter.ndim == 3 else parameter.unsqueeze(0)).permute(2, 1, 0)


def make_edges(
    program: ActivationProgram, weights: Tensor, scale: Tensor | None, shift: Tensor | None, *, arccos: bool
) -> Edges:
    """Make the edges from parameters as a module holds them, (outputs, inputs, slots) or (inputs, slots)."""
    trained = scale is not None and shift is not None
    tables = make_tables(program, trained, arccos, weights.dtype, weights.device)
    parts = [weights] if scale is None or shift is None else [weights, shift, scale]
    mixed = _mixed(tables, parts)
    n_rotations, n_wide = len(program.rotations), tables.factors.shape[0]
    offsets = mixed[:n_rotations] if tables.constants is None else mixed[:n_rotations] + tables.constants
    shifts = mixed[n_rotations : n_rotations + n_wide] if arccos else None
    return Edges(program, trained, tables, offsets, shifts, mixed[-n_wide:] if trained else tables.factors)


def _mixed(tables: SlopeTables, parts: list[Tensor]) -> Tensor:
    """Apply `mixing` to parameters as a module holds them; the result has shape (rows, inputs, outputs)."""
    if tables.places is not None and parts[0].ndim == 3:
        outputs, inputs, slots = parts[0].shape
        rows = parts[0].reshape(outputs, inputs * slots).mT.contiguous()  # a plain transpose is quicker than a permute
        return rows.view(inputs, slots, outputs).transpose(0, 1).index_select(0, tables.places)
    planes = torch.cat([as_planes(part) for part in parts])
    return (tables.mixing @ planes.flatten(1)).unflatten(1, planes.shape[1:])


def values_and_slopes(edges: Edges, points: Tensor, *, slopes: bool) -> tuple[Tensor, Tensor | None]:
    """Compute <Z> at points (points, inputs or 1, 1), shape (points, inputs, outputs), and its slopes, or None.

    The slopes, shape (rows, points, inputs, outputs), are those by the angles in the schedule's order, without the
    schedule's signs; behind them, where an arccosine is uploaded, those by the pre-activations.
    """
    values = points.new_empty(points.shape[0], *edges.offsets.shape[1:])  # memory of its own: autograd guards it
    kept = values.new_empty(edges.n_rows if slopes else 0, *values.shape)
    for _ in _sweep(edges, points, (values, kept), slopes=slopes):
        pass
    return values, kept if slopes else None


def gradients(
    edges: Edges, points: Tensor, slopes: Tensor | None, gradient: Tensor, *, of_points: bool
) -> tuple[Tensor | None, Tensor]:
    """Compute the gradients of points (None unless asked for) and of planes (slots, inputs, outputs) from that of <Z>.

    Args:
        edges: that the slopes belong to.
        points: (points, inputs or 1, 1).
        slopes: from `values_and_slopes`; None to compute them again.
        gradient: (points, inputs, outputs).
        of_points: True to compute the gradient of the points.
    """
    n_wide, n_rows, shape = edges.n_wide, edges.n_rows, edges.offsets.shape[1:]
    totals = points.new_zeros(edges.tables.mixing.shape[0], *shape)
    point_gradient = torch.empty_like(points) if of_points else None
    scale = edges.scale * edges.tables.signs if of_points else None
    of_angles, of_scales = totals[:n_rows], totals[-n_wide:] if edges.trained else None
    again = slopes is None
    for start, stop, rows in _sweep(edges, points, None, slopes=True) if again else _cut(edges, points, slopes):
        chunk, of_values = points[start:stop], gradient[start:stop]
        uploads = rows[-n_wide:] if edges.shift is not None else rows[:n_wide]
        if shape.numel() >= MIN_EDGES_BY_POINT:
            _add_by_point(rows, of_values, of_angles)
            if of_scales is not None:
                _add_by_point(uploads, of_values * chunk, of_scales)
        else:
            of_angles += (rows * of_values).sum(1)
            if of_scales is not None:
                of_scales += (uploads * (of_values * chunk)).sum(1)
        if point_gradient is not None and scale is not None:
            of_chunk = (uploads * scale[:, None]).sum(0).mul_(of_values)
            point_gradient[start:stop] = of_chunk.sum_to_size(chunk.shape)
    return point_gradient, (edges.tables.back @ totals.flatten(1)).unflatten(1, shape)


def _add_by_point(rows: Tensor, weights: Tensor, totals: Tensor) -> None:
    """Add sum_p rows_p weights_p to `totals`, without memory for the products."""
    for row, weight in zip(rows.unbind(1), weights.unbind(), strict=True):
        totals.addcmul_(row, weight)


def _chunks(edges: Edges, n_points: int) -> Iterator[tuple[int, int]]:
    limit = CHUNK if edges.offsets.device.type == "cpu" else CHUNK_ELSEWHERE
    size = max(1, limit // max(1, edges.offsets.shape[1:].numel()))
    for start in range(0, n_points, size):
        yield start, min(start + size, n_points)


def _cut(edges: Edges, points: Tensor, slopes: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    for start, stop in _chunks(edges, points.shape[0]):
        yield start, stop, slopes[:, start:stop]


def _sweep(
    edges: Edges, points: Tensor, results: tuple[Tensor, Tensor] | None, *, slopes: bool
) -> Iterator[tuple[int, int, Tensor]]:
    """Run the schedule chunk by chunk; yields ranges of points and their slopes.

    `results` takes <Z>, (points, inputs, outputs), and the slopes, (rows, points, inputs, outputs); where it is None
    they are in memory that the next chunk uses again.
    """
    schedule, n_wide = make_schedule(edges.program, slopes=slopes), edges.n_wide
    cosines, sines = edges.offsets.cos(), edges.offsets.sin()
    narrow = _narrow_slots(schedule, cosines[n_wide:].unbind(), sines[n_wide:].unbind())
    n_registers, n_results = schedule.n_registers, 1 + (edges.n_rows if slopes else 0)
    for start, stop in _chunks(edges, points.shape[0]):
        some, shape = points[start:stop], (stop - start, *edges.offsets.shape[1:])
        with stack_loan(n_registers + (n_results if results is None else 0), shape, points) as loan:
            stack = loan.buffer()
            block, slots = stack.block, [*narrow, *stack.parts]
            if results is None:
                rows = block[n_registers + 1 :]
            else:
                values, rows = results[0][start:stop], results[1][:, start:stop]
                slots += [values, *rows.unbind()]
            _upload(edges, some, block[:n_wide], block[n_wide : 2 * n_wide], cosines, sines)
            _multiply_add(schedule, slots)
            if edges.shift is not None and slopes:
                torch.mul(rows[:n_wide], _arccos_slopes(edges, some), out=rows[-n_wide:])
            yield start, stop, rows


def _upload(edges: Edges, points: Tensor, cosines: Tensor, sines: Tensor, *narrow: Tensor) -> None:
    """Compute cosines and sines of the angles that points enter, each (uploads, points, inputs, outputs)."""
    n_wide = edges.n_wide
    if not edges.trained:  # cos(a + x) from a of each edge and x of each point: far fewer of either than of both
        angles = edges.scale[:, None] * points
        cos_x, sin_x, cos_a, sin_a = angles.cos(), angles.sin(), *(part[:n_wide, None] for part in narrow)
        torch.addcmul(torch.mul(cos_a, cos_x, out=cosines), sin_a, sin_x, value=-1, out=cosines)
        torch.addcmul(torch.mul(sin_a, cos_x, out=sines), cos_a, sin_x, out=sines)
        return
    offsets = edges.offsets[:n_wide, None]
    if edges.shift is None:
        torch.addcmul(offsets, edges.scale[:, None], points, out=cosines)
    else:
        pre = torch.addcmul(edges.shift[:, None], edges.scale[:, None], points)
        torch.addcmul(offsets, edges.tables.factors[:, None], arccos(pre), out=cosines)
    torch.sin(cosines, out=sines)
    cosines.cos_()


def _arccos_slopes(edges: Edges, points: Tensor) -> Tensor:
    """Compute the derivative of each upload by its pre-activation, shape (uploads, points, inputs, outputs)."""
    if edges.shift is None:
        raise ValueError("Only uploads of an arccosine have one.")
    pre = torch.addcmul(edges.shift[:, None], edges.scale[:, None], points)
    return edges.tables.factors[:, None] * arccos_slope(pre)


def _narrow_slots(schedule: Schedule, cosines: Sequence[Tensor], sines: Sequence[Tensor]) -> list[Tensor]:
    """Compute cosines and sines of the rotations that do not upload, and the steps that depend on them alone."""
    slots = [part for pair in zip(cosines, sines, strict=True) for part in pair]
    for _, first, second, third, factor in schedule.narrow:
        if second is None:
            slots.append(slots[first] * factor)
        elif third is None:
            slots.append(slots[first] * slots[second])
        else:
            slots.append(torch.addcmul(slots[first], slots[second], slots[third], value=factor))
    return slots


def _multiply_add(schedule: Schedule, slots: list[Tensor]) -> None:
    """Carry out the wide steps, in place."""
    for out, first, second, third, factor in schedule.wide:
        if second is None:
            slots[out].copy_(slots[first])
            if factor != 1:
                slots[out].mul_(factor)
        elif third is None:
            torch.mul(slots[first], slots[second], out=slots[out])
        else:
            torch.addcmul(slots[first], slots[second], slots[third], value=factor, out=slots[out])


@lru_cache(maxsize=256)
def make_tables(
    program: ActivationProgram, trained: bool, arccos: bool, dtype: torch.dtype, device: torch.device
) -> SlopeTables:
    """Make the matrices of a program, once."""
    schedule = make_schedule(program, slopes=True)
    rotations = [program.rotations[place] for place in schedule.order]
    uploads = [rotation.upload for rotation in rotations if rotation.upload]
    n_weights, n_uploads = program.n_weights, program.n_uploads
    angles = [[0.0] * (n_weights + 2 * n_uploads) for _ in rotations]
    for row, rotation in zip(angles, rotations, strict=True):
        for slot, factor in rotation.weights:
            row[slot] += factor
        if rotation.upload and trained and not arccos:
            row[n_weights + rotation.upload[0]] += rotation.upload[1]
    of_shifts = [[0.0] * len(angles[0]) for _ in uploads]
    of_scales = [[0.0] * len(angles[0]) for _ in uploads]
    for row, (slot, _) in zip(of_shifts, uploads, strict=True):
        row[n_weights + slot] = 1.0
    for row, (slot, factor) in zip(of_scales, uploads, strict=True):
        row[n_weights + n_uploads + slot] = 1.0 if arccos else factor
    n_wide = len(uploads)
    rows, signs = angles, list(schedule.signs)
    if arccos:
        rows, signs = rows + of_shifts, signs + signs[:n_wide]
    if trained:
        rows, signs = rows + of_scales, signs + signs[:n_wide]
    constants = [rotation.constant for rotation in rotations]
    plain = not trained and all(row.count(1.0) == 1 and row.count(0.0) == len(row) - 1 for row in rows)

    def tensor(values: list) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device).to(dtype)

    with outside_of_modes():
        mixing = tensor(rows) if trained else tensor(rows)[:, :n_weights]
        return SlopeTables(
            mixing,
            (mixing * tensor(signs)[:, None]).mT.contiguous(),
            torch.tensor([row.index(1.0) for row in rows], device=device) if plain else None,
            tensor(constants)[:, None, None] if any(constants) else None,
            tensor([factor for _, factor in uploads])[:, None, None],
            tensor(signs[:n_wide])[:, None, None],
        )
