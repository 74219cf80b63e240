"""Drawings of the pages: where a page shows a circuit as text, the site shows the same circuit as a picture.

The block of code above the text runs while the documentation is built, and every circuit that it draws becomes an SVG.
The style sheet of the site gives its boxes other colours on a dark ground.
"""

import contextlib
import functools
import io
import re
from typing import Any

LINES = r"(?:(?!```).*\n)*"
BLOCK = re.compile(rf"^```python\n({LINES})```\n+```text\n{LINES}?q0: {LINES}```$", re.MULTILINE)
WIDTH, READABLE = 8.3, 620.0  # inches at which a line is wrapped, and pixels below which it is never squeezed
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
        if output == "text":
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


def svg(circuit: Any) -> str:
    """Return a circuit as SVG, at least as wide as can be read; a narrow page scrolls it."""
    picture = str(circuit.draw("svg", width=WIDTH))
    wide = float(re.search(r'width="([0-9.]+)"', picture)[1])  # pyright: ignore[reportOptionalSubscript]
    return picture.replace('style="max-width:100%;', f'style="max-width:100%;min-width:{min(wide, READABLE):g}px;', 1)
