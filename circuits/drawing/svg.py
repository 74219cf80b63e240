"""A layout as an SVG picture, written without matplotlib, for notebooks and pages."""

from html import escape
from typing import TYPE_CHECKING

from circuits.drawing.layout import wrapped
from circuits.drawing.palette import COLOURS, INK, MEANINGS, WIRE, WORDS

if TYPE_CHECKING:
    from circuits.drawing.layout import DrawingLayout, Item, Mark

PER_INCH = 96.0  # pixels of CSS
ROW_HEIGHT = 44.0  # all lengths in pixels
BOX_HEIGHT = 28.0
CHARACTER_WIDTH = 7.25  # a monospaced letter at FONT_SIZE
FONT_SIZE = 12
PADDING = 14.0
GAP = 14.0
MIN_BOX = 30.0
MARGIN, BETWEEN, LEGEND_LINE = 10.0, 34.0, 20.0
SWATCH = 21.0  # a colour of the legend with its gap
LEGEND = 5 * LEGEND_LINE  # at most: each meaning and the notes on a line of their own


class Svg(str):
    """The text of an SVG picture, which a notebook shows as that picture.

    Example:
        >>> from pathlib import Path
        >>> from circuits import Circuit
        >>> picture = Circuit(2).h(0).cx(0, 1).draw("svg")
        >>> picture.startswith("<svg")
        True
    """

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def draw_svg(layout: "DrawingLayout", width: float) -> Svg:
    """Draw a picture at most `width` inches wide, or as wide as its widest gate."""
    names = _names(layout)
    left = _left(names)
    sizes = [_column_size(column) for column in layout.columns]
    blocks = wrapped(sizes, width * PER_INCH - left - MARGIN)
    across = max(sum(sizes[k] for k in block) for block in blocks)
    parts: list[str] = []
    pitch = len(names) * ROW_HEIGHT + BETWEEN
    for number, block in enumerate(blocks):
        top = MARGIN + number * pitch + ROW_HEIGHT / 2
        parts += _wires(names, top, left, max(across, MIN_BOX))
        x = left
        for k in block:
            for item in layout.columns[k]:
                parts += _item(item, x + sizes[k] / 2, top)
            x += sizes[k]
    bottom = MARGIN + len(blocks) * pitch - BETWEEN + LEGEND_LINE
    legend, end, bottom = _legend(layout, bottom, left, max(left + across, width * PER_INCH - MARGIN))
    wide, high = max(left + max(across, MIN_BOX), end) + MARGIN, bottom
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{wide:g}" height="{high:g}" '
        f'viewBox="0 0 {wide:g} {high:g}" style="max-width:100%;height:auto" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT_SIZE}">'
        f"<title>Quantum circuit</title>{''.join(parts + legend)}</svg>"
    )


def n_columns_within(layout: "DrawingLayout", width: float, height: float) -> int:
    """Return how many columns fit into so many inches; the first block is always whole."""
    sizes = [_column_size(column) for column in layout.columns]
    blocks = wrapped(sizes, width * PER_INCH - _left(_names(layout)) - MARGIN)
    pitch = len(layout.rows) * ROW_HEIGHT + BETWEEN
    n_blocks = max(1, int((height * PER_INCH - LEGEND - MARGIN) // pitch))
    return sum(map(len, blocks[:n_blocks]))


def _names(layout: "DrawingLayout") -> list[str]:
    return ["⋮" if qubit is None else f"q{qubit}" for qubit in layout.rows]


def _left(names: list[str]) -> float:
    """Return where the wires begin."""
    return MARGIN + CHARACTER_WIDTH * max(map(len, names)) + 8


def _column_size(column: "tuple[Item, ...]") -> float:
    return max(_size(mark) for item in column for mark in item.marks) + GAP


def _size(mark: "Mark") -> float:
    return max(MIN_BOX, CHARACTER_WIDTH * len(mark.label) + PADDING) if mark.kind == "box" else MIN_BOX


def _line(x: tuple[float, float], y: tuple[float, float], colour: str, width: float) -> str:
    return f'<line x1="{x[0]:g}" y1="{y[0]:g}" x2="{x[1]:g}" y2="{y[1]:g}" stroke="{colour}" stroke-width="{width:g}"/>'


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    # A shift of the baseline centres letters in every renderer; `dominant-baseline` is not known to all.
    return f'<text x="{x:g}" y="{y + 4:g}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'


def _wires(names: list[str], top: float, left: float, length: float) -> list[str]:
    parts = []
    for row, name in enumerate(names):
        y = top + row * ROW_HEIGHT
        if name != "⋮":
            parts.append(_line((left, left + length), (y, y), WIRE, 1.2))
        parts.append(_text(left - 6, y, name, WORDS, "end"))
    return parts


def _item(item: "Item", x: float, top: float) -> list[str]:
    face, edge = COLOURS[item.colour]
    heights = [top + mark.row * ROW_HEIGHT for mark in item.marks]
    parts = [_line((x, x), (heights[0], heights[-1]), edge, 1.6)] if len(heights) > 1 else []
    for mark, y in zip(item.marks, heights, strict=True):
        if mark.kind == "box":
            parts.append(_box(x, y, mark, face, edge))
        else:
            parts.append(SYMBOLS[mark.kind](x, y, edge))
    return parts


def _box(x: float, y: float, mark: "Mark", face: str, edge: str) -> str:
    wide = _size(mark)
    return (
        f'<rect x="{x - wide / 2:g}" y="{y - BOX_HEIGHT / 2:g}" width="{wide:g}" height="{BOX_HEIGHT:g}" rx="4" '
        f'fill="{face}" stroke="{edge}" stroke-width="1.3"/>{_text(x, y, mark.label, INK, "middle")}'
    )


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" fill="{colour}"/>'


def _plus(x: float, y: float, colour: str) -> str:
    ring = f'<circle cx="{x:g}" cy="{y:g}" r="10" fill="#ffffff" stroke="{colour}" stroke-width="1.6"/>'
    return f"{ring}{_line((x - 10, x + 10), (y, y), colour, 1.6)}{_line((x, x), (y - 10, y + 10), colour, 1.6)}"


def _cross(x: float, y: float, colour: str) -> str:
    ends = (x - 6, x + 6)
    return _line(ends, (y - 6, y + 6), colour, 1.8) + _line(ends, (y + 6, y - 6), colour, 1.8)


SYMBOLS = {"control": _dot, "not": _plus, "swap": _cross}


def _legend(layout: "DrawingLayout", top: float, left: float, right: float) -> tuple[list[str], float, float]:
    """Write the meaning of the colours that occur and the notes, in lines; return them, their right end and bottom."""
    colours = {item.colour for column in layout.columns for item in column}
    entries = [(colour, meaning) for colour, meaning in MEANINGS.items() if colour in colours]
    entries += [("", layout.notes)] if layout.notes else []
    parts, x, y, end = [], left, top, left
    for colour, words in entries:
        indent = SWATCH if colour else 0.0
        length = indent + CHARACTER_WIDTH * len(words)
        if x > left and x + length > right:
            x, y = left, y + LEGEND_LINE
        if colour:
            face, edge = COLOURS[colour]
            parts.append(f'<rect x="{x:g}" y="{y - 6:g}" width="15" height="12" rx="3" fill="{face}" stroke="{edge}"/>')
        parts.append(_text(x + indent, y, words, WORDS, "start"))
        end = max(end, x + length)
        x += length + 20
    return parts, end, y + LEGEND_LINE if entries else top - LEGEND_LINE
