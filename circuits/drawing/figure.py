"""A layout as a matplotlib figure."""

from typing import TYPE_CHECKING, Any, NamedTuple

from circuits.drawing.layout import wrapped
from circuits.drawing.palette import COLOURS, INK, MEANINGS, WIRE, WORDS
from circuits.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from circuits.drawing.layout import DrawingLayout, Item, Mark

ROW_HEIGHT = 0.46  # all lengths in inches
BOX_HEIGHT = 0.31
CHARACTER_WIDTH = 0.082
PADDING = 0.16
GAP = 0.14
MIN_BOX = 0.34
FONT_SIZE = 9.0
TOP, BOTTOM, RIGHT, BETWEEN = 0.2, 0.42, 0.2, 0.4


class _Page(NamedTuple):
    axes: Any
    left: float
    pitch: float

    def height(self, block: int, row: int) -> float:
        return -(block * self.pitch + row * ROW_HEIGHT)


def draw_figure(layout: "DrawingLayout", width: float) -> "Figure":
    """Draw a figure at most `width` inches wide (or as wide as its widest gate), without pyplot."""
    names = ["⋮" if qubit is None else f"q{qubit}" for qubit in layout.rows]
    left = 0.2 + CHARACTER_WIDTH * max(map(len, names)) + 0.12
    sizes = [max(_size(mark) for item in column for mark in item.marks) + GAP for column in layout.columns]
    blocks = wrapped(sizes, width - left - RIGHT)
    across = max([sum(sizes[k] for k in block) for block in blocks] + [2.2])
    pitch = len(names) * ROW_HEIGHT + BETWEEN
    size = (left + across + RIGHT, TOP + len(blocks) * pitch - BETWEEN + BOTTOM)
    figure = new_figure(figsize=size, facecolor="none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    top = TOP + ROW_HEIGHT / 2
    axes.set(xlim=(0.0, size[0]), ylim=(top - size[1], top))
    axes.axis("off")
    page = _Page(axes, left, pitch)
    for number, block in enumerate(blocks):
        _wires(page, number, names, across)
        x = left
        for k in block:
            for item in layout.columns[k]:
                _item(page, number, item, x + sizes[k] / 2)
            x += sizes[k]
    _legend(page, layout, top - size[1] + 0.2)
    return figure


def _size(mark: "Mark") -> float:
    return max(MIN_BOX, CHARACTER_WIDTH * len(mark.label) + PADDING) if mark.kind == "box" else MIN_BOX


def _wires(page: _Page, block: int, names: list[str], length: float) -> None:
    for row, name in enumerate(names):
        y = page.height(block, row)
        if name != "⋮":
            page.axes.plot([page.left, page.left + length], [y, y], color=WIRE, linewidth=0.9, zorder=1)
        page.axes.text(page.left - 0.1, y, name, ha="right", va="center", fontsize=FONT_SIZE, color=WORDS)


def _item(page: _Page, block: int, item: "Item", x: float) -> None:
    face, edge = COLOURS[item.colour]
    ends = [page.height(block, item.marks[0].row), page.height(block, item.marks[-1].row)]
    if ends[0] != ends[1]:
        page.axes.plot([x, x], ends, color=edge, linewidth=1.3, zorder=2)
    for mark in item.marks:
        y = page.height(block, mark.row)
        if mark.kind == "box":
            _box(page, (x, y), mark, (face, edge))
        else:
            SYMBOLS[mark.kind](page.axes, x, y, edge)


def _box(page: _Page, centre: tuple[float, float], mark: "Mark", colours: tuple[str, str]) -> None:
    from matplotlib.patches import FancyBboxPatch

    wide = _size(mark)
    corner = (centre[0] - wide / 2, centre[1] - BOX_HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.05"
    page.axes.add_patch(
        FancyBboxPatch(corner, wide, BOX_HEIGHT, style, facecolor=colours[0], edgecolor=colours[1], lw=1.1, zorder=3)
    )
    style = {"ha": "center", "va": "center", "fontsize": FONT_SIZE, "color": INK, "zorder": 4}
    page.axes.text(*centre, mark.label, parse_math=False, **style)  # "$" in a label is no formula


def _dot(axes: Any, x: float, y: float, colour: str) -> None:
    axes.plot([x], [y], "o", color=colour, markersize=6.0, zorder=3)


def _plus(axes: Any, x: float, y: float, colour: str) -> None:
    axes.plot(
        [x],
        [y],
        "o",
        markerfacecolor="white",
        markeredgecolor=colour,
        markersize=13.0,
        markeredgewidth=1.3,
        zorder=3,
    )
    axes.plot([x], [y], "+", color=colour, markersize=13.0, markeredgewidth=1.3, zorder=4)


def _cross(axes: Any, x: float, y: float, colour: str) -> None:
    axes.plot([x], [y], "x", color=colour, markersize=8.0, markeredgewidth=1.5, zorder=3)


SYMBOLS = {"control": _dot, "not": _plus, "swap": _cross}


def _legend(page: _Page, layout: "DrawingLayout", y: float) -> None:
    """Write the meaning of the colours that occur, and the notes."""
    from matplotlib.patches import FancyBboxPatch

    colours = {item.colour for column in layout.columns for item in column}
    x = page.left
    for colour, meaning in MEANINGS.items():
        if colour in colours:
            face, edge = COLOURS[colour]
            style = "round,pad=0,rounding_size=0.03"
            page.axes.add_patch(
                FancyBboxPatch((x, y - 0.06), 0.16, 0.12, style, facecolor=face, edgecolor=edge, lw=0.9)
            )
            page.axes.text(x + 0.22, y, meaning, va="center", fontsize=FONT_SIZE - 1.0, color=WORDS)
            x += 0.42 + 0.07 * len(meaning)
    page.axes.text(x, y, layout.notes, va="center", fontsize=FONT_SIZE - 1.0, color=WORDS, style="italic")
