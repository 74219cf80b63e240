"""Drawings of the pages: where a page shows a circuit as text, the site shows the same circuit as a picture.

The block of code above the text runs while the documentation is built, and every circuit that it draws becomes an SVG
whose colours are those of the page's style sheet, for a light and a dark ground.
"""

import contextlib
import functools
import html
import io
import re
from typing import Any

LINES = r"(?:(?!```).*\n)*"
BLOCK = re.compile(rf"^```python\n({LINES})```\n+```text\n{LINES}?q0: {LINES}```$", re.MULTILINE)
ROW, BOX, CHARACTER, PADDING, GAP, LEAST = 38.0, 26.0, 6.9, 14.0, 12.0, 28.0  # pixels
TOP, BETWEEN = 20.0, 20.0
WIDTH, READABLE = 800.0, 620.0  # a line is wrapped at the first and never squeezed below the second
PLACEHOLDER = "CIRCUITS-{}"
MEANINGS = {"data": "data slot", "weight": "weight slot", "constant": "constant angle", "other": "not unitary"}


def with_pictures(markdown: str) -> tuple[str, list[str]]:
    """Return the page with a placeholder in place of each drawing in text, and the pictures to put there."""
    pictures: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        pictures.append("".join(f'<div class="circuit">{drawing}</div>' for drawing in drawings(match[1])))
        return f"```python\n{match[1]}```\n\n{PLACEHOLDER.format(len(pictures) - 1)}\n"

    return BLOCK.sub(replaced, markdown), pictures


@functools.cache
def drawings(code: str) -> tuple[str, ...]:
    """Run a block of code, and return each circuit that it draws as SVG.

    Raises:
        ValueError: nothing was drawn.
    """
    from circuits import Circuit

    drawn: list[str] = []
    draw = Circuit.draw

    def recording(circuit: Any, output: Any = "text", **options: Any) -> Any:
        drawn.append(svg(circuit))
        return draw(circuit, output, **options)

    Circuit.draw = recording  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "block of the documentation", "exec"), {"__name__": "page"})
    finally:
        Circuit.draw = draw
    if not drawn:
        raise ValueError(f"A block above a drawing must draw a circuit, but this one draws none:\n{code}")
    return tuple(drawn)


def svg(circuit: Any, width: float = WIDTH) -> str:
    """Return a circuit as SVG; its classes are coloured by the style sheet of the site."""
    from circuits.drawing.layout import layout

    plan = layout(circuit.n_qubits, circuit.operations, max_operations=500, max_qubits=50)
    names = ["⋮" if qubit is None else f"q{qubit}" for qubit in plan.rows]
    left = 10.0 + CHARACTER * max(map(len, names)) + 8.0
    sizes = [max(_size(mark) for item in column for mark in item.marks) + GAP for column in plan.columns]
    lines = _wrapped(sizes, width - left - 10)
    across = max([sum(sizes[k] for k in line) for line in lines] + [120.0])
    pitch = len(names) * ROW + BETWEEN
    parts: list[str] = []
    for number, line in enumerate(lines):
        top = TOP + number * pitch
        end = left + (across if number + 1 < len(lines) or len(lines) == 1 else sum(sizes[k] for k in line))
        parts += [_wire(name, left, end, top + row * ROW) for row, name in enumerate(names)]
        x = left
        for k in line:
            parts += [_item(item, x + sizes[k] / 2, top) for item in plan.columns[k]]
            x += sizes[k]
    high = TOP + len(lines) * pitch - BETWEEN
    legend, legend_width = _legend(plan, left, high + 4)
    size = (max(left + across, legend_width) + 10, high + 18)
    label = html.escape(f"Circuit of {circuit.n_qubits} qubits and {len(circuit.operations)} operations")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
        f'viewBox="0 0 {size[0]:g} {size[1]:g}" width="{size[0]:g}" height="{size[1]:g}" '
        f'style="min-width:{min(size[0], READABLE):g}px">{"".join(parts)}{legend}</svg>'
    )


def _size(mark: Any) -> float:
    return max(LEAST, CHARACTER * len(mark.label) + PADDING) if mark.kind == "box" else LEAST


def _wrapped(sizes: list[float], length: float) -> list[list[int]]:
    lines: list[list[int]] = [[]]
    used = 0.0
    for k, size in enumerate(sizes):
        if lines[-1] and used + size > length:
            lines.append([])
            used = 0.0
        lines[-1].append(k)
        used += size
    return lines


def _wire(name: str, left: float, end: float, y: float) -> str:
    text = f'<text class="name" x="{left - 8:g}" y="{y:g}" dy="0.33em" text-anchor="end">{name}</text>'
    return text if name == "⋮" else f'{text}<line class="wire" x1="{left:g}" y1="{y:g}" x2="{end:g}" y2="{y:g}"/>'


def _item(item: Any, x: float, top: float) -> str:
    ends = [top + item.marks[0].row * ROW, top + item.marks[-1].row * ROW]
    parts = [f'<g class="{item.colour}">']
    if ends[0] != ends[1]:
        parts.append(f'<line x1="{x:g}" y1="{ends[0]:g}" x2="{x:g}" y2="{ends[1]:g}"/>')
    parts += [_mark(mark, x, top + mark.row * ROW) for mark in item.marks]
    return "".join([*parts, "</g>"])


def _mark(mark: Any, x: float, y: float) -> str:
    if mark.kind == "control":
        return f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="4"/>'
    if mark.kind == "not":
        path = f"M{x - 9:g} {y:g}H{x + 9:g}M{x:g} {y - 9:g}V{y + 9:g}"
        return f'<circle cx="{x:g}" cy="{y:g}" r="9"/><path d="{path}"/>'
    if mark.kind == "swap":
        return f'<path d="M{x - 5:g} {y - 5:g}L{x + 5:g} {y + 5:g}M{x - 5:g} {y + 5:g}L{x + 5:g} {y - 5:g}"/>'
    wide = _size(mark)
    box = f'<rect x="{x - wide / 2:g}" y="{y - BOX / 2:g}" width="{wide:g}" height="{BOX:g}" rx="4"/>'
    return f'{box}<text x="{x:g}" y="{y:g}" dy="0.34em" text-anchor="middle">{html.escape(mark.label)}</text>'


def _legend(plan: Any, x: float, y: float) -> tuple[str, float]:
    colours = {item.colour for column in plan.columns for item in column}
    parts = []
    for colour, meaning in MEANINGS.items():
        if colour in colours:
            box = f'<rect x="{x:g}" y="{y - 5:g}" width="14" height="10" rx="2"/>'
            text = f'<text class="name" x="{x + 19:g}" y="{y:g}" dy="0.33em">{meaning}</text>'
            parts.append(f'<g class="{colour}">{box}{text}</g>')
            x += 36 + CHARACTER * len(meaning)
    if plan.notes:
        parts.append(f'<text class="name" x="{x:g}" y="{y:g}" dy="0.33em">{html.escape(plan.notes)}</text>')
        x += CHARACTER * len(plan.notes)
    return "".join(parts), x
