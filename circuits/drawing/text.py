"""A layout as text with box-drawing characters."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from circuits.drawing.layout import DrawingLayout, Item

SYMBOLS = {"control": "●", "not": "⊕", "swap": "╳"}


def draw_text(layout: "DrawingLayout", width: int) -> str:
    """Draw one line a qubit and one between, wrapped at `width` characters (a longer gate stands alone)."""
    names = ["⋮" if qubit is None else f"q{qubit}" for qubit in layout.rows]
    margin = max(map(len, names)) + 2
    blocks: list[list[list[str]]] = [[]]
    used = margin
    for column in layout.columns:
        cells = _cells(column, layout.rows)
        if blocks[-1] and used + len(cells[0]) + 2 > width:
            blocks.append([])
            used = margin
        blocks[-1].append(cells)
        used += len(cells[0])
    drawn = [_block(columns, names, margin, (k > 0, k + 1 < len(blocks))) for k, columns in enumerate(blocks)]
    return "\n\n".join(drawn + ([layout.notes] if layout.notes else []))


def _block(columns: list[list[str]], names: list[str], margin: int, goes_on: tuple[bool, bool]) -> str:
    lines = []
    for line in range(2 * len(names) - 1):
        is_wire = line % 2 == 0 and names[line // 2] != "⋮"
        name = f"{names[line // 2]}: ".ljust(margin) if is_wire else (names[line // 2] if line % 2 == 0 else "")
        before, after = ("«" if goes_on[0] else "", "»" if goes_on[1] else "")
        body = "".join(cells[line] for cells in columns) or ("─" if is_wire else "")
        text = f"{name}{before}{body}{after}" if is_wire else f"{name.ljust(margin)}{' ' * len(before)}{body}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def _cells(column: "tuple[Item, ...]", rows: tuple[int | None, ...]) -> list[str]:
    """Return the lines of one column, all equally long: even lines are rows, odd ones lie between."""
    texts: dict[int, str] = {}
    joined: set[int] = set()
    for item in column:
        for mark in item.marks:
            texts[2 * mark.row] = f"┤{mark.label}├" if mark.kind == "box" else SYMBOLS[mark.kind]
        joined.update(range(2 * item.marks[0].row + 1, 2 * item.marks[-1].row))
    size = max(map(len, texts.values())) + 2
    cells = []
    for line in range(2 * len(rows) - 1):
        is_wire = line % 2 == 0 and rows[line // 2] is not None
        text = texts.get(line, ("┼" if is_wire else "│") if line in joined else "")
        cells.append(_centred(text, size, "─" if is_wire else " "))
    return cells


def _centred(text: str, size: int, fill: str) -> str:
    left = (size - len(text)) // 2
    return fill * left + text + fill * (size - len(text) - left)
