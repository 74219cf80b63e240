"""Drawings of circuits: what is drawn where. `_drawing_text` and `_drawing_mpl` put it on paper."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from circuits import _checks, gates
from circuits.operation import Operation
from circuits.slots import Angle, Slot

if TYPE_CHECKING:
    from circuits.circuit import Circuit


FIXED_LABELS = {"sdg": "S†", "tdg": "T†"}


LONGEST_LABEL = 80  # characters


FRACTIONS = (1, 2, 3, 4, 6, 8)  # denominators of pi that are written as such


@dataclass(frozen=True)
class Mark:
    """What an operation looks like on one row."""

    row: int
    kind: Literal["box", "control", "not", "swap"]
    label: str = ""


@dataclass(frozen=True)
class Item:
    """An operation in a drawing: its marks, ascending by row, joined by a vertical line."""

    marks: tuple[Mark, ...]
    colour: Literal["fixed", "constant", "data", "weight", "other"]


@dataclass(frozen=True)
class Layout:
    """A circuit arranged in columns; operations of one column do not overlap.

    Args:
        rows: the qubit of each row; None is the row that stands for those left out.
        columns: operations, packed to the left.
        notes: what was left out, in words, or empty.
    """

    rows: tuple[int | None, ...]
    columns: tuple[tuple[Item, ...], ...]
    notes: str


def layout(circuit: "Circuit", *, max_operations: int | None, max_qubits: int | None) -> Layout:
    """The circuit in columns, cut to the limits."""
    rows = _rows(circuit.n_qubits, max_qubits)
    row_of = {qubit: row for row, qubit in enumerate(rows) if qubit is not None}
    visible = [op for op in circuit.operations if set(op.all_qubits) <= row_of.keys()]
    if max_operations is not None:
        visible = visible[: _checks.as_int(max_operations, "max_operations", minimum=1)]
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
    notes = _notes((len(circuit) - len(visible), len(circuit)), (circuit.n_qubits - len(row_of), circuit.n_qubits))
    return Layout(rows, tuple(map(tuple, columns)), notes)


def _rows(n_qubits: int, max_qubits: int | None) -> tuple[int | None, ...]:
    limit = n_qubits if max_qubits is None else _checks.as_int(max_qubits, "max_qubits", minimum=1)
    if n_qubits <= limit:
        return tuple(range(n_qubits))
    last = limit // 2
    return (*range(limit - last), None, *range(n_qubits - last, n_qubits))


def _notes(operations: tuple[int, int], qubits: tuple[int, int]) -> str:
    parts = [(*operations, "operations"), (*qubits, "qubits")]
    words = [f"{hidden} of {total} {what}" for hidden, total, what in parts if hidden]
    return f"Not drawn: {' and '.join(words)}." if words else ""


def _item(op: Operation, row_of: dict[int, int]) -> Item:
    marks = [Mark(row_of[qubit], "control") for qubit in op.controls]
    if op.gate == gates.Fixed("swap"):
        marks += [Mark(row_of[qubit], "swap") for qubit in op.qubits]
    elif op.gate == gates.Fixed("x") and op.controls:
        marks.append(Mark(row_of[op.qubits[0]], "not"))
    else:
        marks += [Mark(row_of[q], "box", label) for q, label in zip(op.qubits, labels(op), strict=True)]
    kinds = {slot.kind for slot in op.slots}
    colour = "other"
    if op.is_unitary or op.is_preparation:
        colour = "data" if "data" in kinds else "weight" if kinds else "constant" if op.angles else "fixed"
    return Item(tuple(sorted(marks, key=lambda mark: mark.row)), colour)


def labels(op: Operation) -> list[str]:
    """The text in the box on each of the operation's own qubits."""
    title = _title(op)
    if len(op.qubits) == 1:
        return [title]
    if isinstance(op.gate, gates.PauliRotation):
        return [f"{op.gate.pauli[0]}: {title}", *op.gate.pauli[1:]]
    return [f"{title}:{place}" for place in range(len(op.qubits))]


def _title(op: Operation) -> str:  # noqa: C901, PLR0911 - one case a gate
    match op.gate:
        case gates.Fixed(name):
            return FIXED_LABELS.get(name, name.upper())
        case gates.PauliRotation(pauli, factor):
            return _rotation(pauli, factor, angle_text(op.angles[0]))
        case gates.Phase() | gates.U3():
            return f"{op.gate.name.upper()}({', '.join(map(angle_text, op.angles))})"
        case gates.Unitary(_, label):
            return _shown(label)
        case gates.StatePreparation() if op.angles:
            return f"ψ({angle_text(op.angles[0])}..{angle_text(op.angles[-1])})"
        case gates.StatePreparation():
            return "|ψ⟩"
        case gates.Reset():
            return "|0⟩"
        case gates.Measure(bit):
            return f"M→c{bit}"
        case gates.PostSelect(value):
            return f"keep {value}"
        case gates.Channel(_, label, strength):
            return _shown(label) if strength is None else f"{_shown(label)} {strength:g}"
    raise TypeError(f"Argument `circuit` must hold gates of circuits.gates, but holds {op.gate!r}.")


def _shown(label: str) -> str:
    """A label that may come from elsewhere, on one line, without control characters, in reasonable length."""
    cut = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)


def _rotation(pauli: str, factor: float, angle: str) -> str:
    if factor == -0.5:
        return f"R{pauli}({angle})"
    scale = {1.0: "i", -1.0: "-i"}.get(factor, f"{factor:.3g}i")
    return f"exp({scale} {angle} {pauli})"


def angle_text(angle: Angle) -> str:
    """An angle in few characters: data[0], w[0], 3π/4, 0.123."""
    if isinstance(angle, Slot):
        return f"{'w' if angle.kind == 'weight' else 'data'}[{angle.index}]"
    for denominator in FRACTIONS:
        numerator = round(angle * denominator / math.pi)
        if numerator and abs(numerator) <= 8 and math.isclose(angle, numerator * math.pi / denominator, rel_tol=1e-12):
            top = {1: "π", -1: "-π"}.get(numerator, f"{numerator}π")
            return top if denominator == 1 else f"{top}/{denominator}"
    return f"{angle:.3g}"
