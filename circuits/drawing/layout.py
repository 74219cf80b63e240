"""The layout of a drawing: which operation is drawn where. `text` and `figure` put it on paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from circuits import _checks, gates
from circuits.operation import Operation
from circuits.slots import Angle, Slot

FRACTIONS = (1, 2, 3, 4, 6, 8)  # denominators of pi that are written as such


@dataclass(frozen=True)
class Mark:
    """A sign on one row that belongs to an operation."""

    row: int
    kind: Literal["box", "control", "not", "swap"]
    label: str = ""


@dataclass(frozen=True)
class Item:
    """An operation in a drawing: its marks, ascending by row, joined by a vertical line."""

    marks: tuple[Mark, ...]
    colour: Literal["fixed", "constant", "data", "weight", "other"]


@dataclass(frozen=True)
class DrawingLayout:
    """A circuit arranged in columns; operations of one column do not overlap.

    Args:
        rows: the qubit of each row; None is the row that stands for the qubits left out.
        columns: operations, packed to the left.
        notes: the number of operations and qubits left out, in words, or empty.
    """

    rows: tuple[int | None, ...]
    columns: tuple[tuple[Item, ...], ...]
    notes: str


def layout(
    n_qubits: int,
    operations: Sequence[Operation],
    *,
    max_operations: int | None,
    max_qubits: int | None,
    max_columns: int | None = None,
) -> DrawingLayout:
    """Arrange operations in columns, cut to the limits."""
    rows = _rows(n_qubits, max_qubits)
    row_of = {qubit: row for row, qubit in enumerate(rows) if qubit is not None}
    limit = None if max_operations is None else _checks.as_int(max_operations, "max_operations", minimum=1)
    visible = islice((op for op in operations if set(op.all_qubits) <= row_of.keys()), limit)
    columns: list[list[Item]] = []
    free = [0] * len(rows)  # the first column where nothing lies on the row
    for op in visible:
        item = _item(op, row_of)
        span = range(item.marks[0].row, item.marks[-1].row + 1)
        place = max(free[row] for row in span)
        columns.extend([] for _ in range(place + 1 - len(columns)))
        columns[place].append(item)
        for row in span:
            free[row] = place + 1
    columns = columns[:max_columns]
    hidden = len(operations) - sum(map(len, columns))
    notes = _notes((hidden, len(operations)), (n_qubits - len(row_of), n_qubits))
    return DrawingLayout(rows, tuple(map(tuple, columns)), notes)


def wrapped(sizes: Sequence[float], length: float) -> list[list[int]]:
    """Return the columns of each block of a drawing; a column wider than `length` has a block of its own."""
    blocks: list[list[int]] = [[]]
    used = 0.0
    for k, size in enumerate(sizes):
        if blocks[-1] and used + size > length:
            blocks.append([])
            used = 0.0
        blocks[-1].append(k)
        used += size
    return blocks


def _rows(n_qubits: int, max_qubits: int | None) -> tuple[int | None, ...]:
    limit = n_qubits if max_qubits is None else _checks.as_int(max_qubits, "max_qubits", minimum=1)
    if n_qubits <= limit:
        return tuple(range(n_qubits))
    last = limit // 2
    return (*range(limit - last), None, *range(n_qubits - last, n_qubits))


def _notes(operations: tuple[int, int], qubits: tuple[int, int]) -> str:
    parts = [(*operations, "operations"), (*qubits, "qubits")]
    words = [f"{hidden} of {total} {noun}" for hidden, total, noun in parts if hidden]
    return f"Not drawn: {' and '.join(words)}." if words else ""


def _item(op: Operation, row_of: dict[int, int]) -> Item:
    marks = [Mark(row_of[qubit], "control") for qubit in op.controls]
    if op.gate == gates.Fixed("swap"):
        marks += [Mark(row_of[qubit], "swap") for qubit in op.qubits]
    elif op.gate == gates.Fixed("x") and op.controls:
        marks.append(Mark(row_of[op.qubits[0]], "not"))
    else:
        labels = op.gate.labels([angle_text(angle) for angle in op.angles])
        marks += [Mark(row_of[qubit], "box", label) for qubit, label in zip(op.qubits, labels, strict=True)]
    kinds = {slot.kind for slot in op.slots}
    colour = "other"
    if op.is_unitary or op.is_preparation:
        colour = "data" if "data" in kinds else "weight" if kinds else "constant" if op.angles else "fixed"
    return Item(tuple(sorted(marks, key=lambda mark: mark.row)), colour)


def angle_text(angle: Angle) -> str:
    """Write an angle in few characters: data[0], w[0], 3π/4, 0.123."""
    if isinstance(angle, Slot):
        return f"{'w' if angle.kind == 'weight' else 'data'}[{angle.index}]"
    for denominator in FRACTIONS:
        numerator = round(angle * denominator / math.pi)
        if numerator and abs(numerator) <= 8 and math.isclose(angle, numerator * math.pi / denominator, rel_tol=1e-12):
            top = {1: "π", -1: "-π"}.get(numerator, f"{numerator}π")
            return top if denominator == 1 else f"{top}/{denominator}"
    return f"{angle:.3g}"
