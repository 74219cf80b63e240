"""Draw a circuit as text, as an SVG picture or as a matplotlib figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from circuits.drawing.layout import DrawingLayout, layout
from circuits.drawing.text import draw_text
from circuits.operation import Operation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTEBOOK_WIDTH, NOTEBOOK_HEIGHT = 9.5, 14.0  # inches
NOTEBOOK_OPERATIONS, NOTEBOOK_QUBITS = 300, 24


def draw(
    n_qubits: int,
    operations: Sequence[Operation],
    output: str = "text",
    *,
    width: float | int | None = None,
    max_operations: int | None = 500,
    max_qubits: int | None = 50,
) -> "str | Figure":
    """Draw a circuit as text, as an SVG picture, or as a matplotlib figure that no pyplot state knows of.

    A notebook shows both kinds of picture, and a circuit that is the last value of a cell, without more. Their
    background is transparent, and their colours can be read on a light and on a dark page.

    Qubits run from top to bottom, time from left to right; operations are packed to the left. Slots are
    written data[0] and w[0]. Operations and qubits left out are counted below the drawing.

    Args:
        n_qubits: number of qubits.
        operations: the circuit's, in order.
        output: `"text"`, `"svg"` or `"mpl"`; the last alone needs matplotlib.
        width: where lines are wrapped: characters of text (default 110), inches of a picture (default 12).
        max_operations: only the first so many operations are drawn; None draws all.
        max_qubits: of more qubits only the first and the last are drawn, so many in all; None draws all.

    Returns:
        A str of text or of SVG (save it with `Path("circuit.svg").write_text(picture)`), or a
        `matplotlib.figure.Figure` (save it with `figure.savefig(path)`).

    Raises:
        ValueError: another output, or a limit below 1.
        ImportError: matplotlib is missing.
    """
    drawn = layout(n_qubits, operations, max_operations=max_operations, max_qubits=max_qubits)
    if output == "text":
        return draw_text(drawn, 110 if width is None else int(width))
    if output == "svg":
        from circuits.drawing.svg import draw_svg

        return draw_svg(drawn, 12.0 if width is None else float(width))
    if output == "mpl":
        from circuits.drawing.figure import draw_figure

        return draw_figure(drawn, 12.0 if width is None else float(width))
    raise ValueError(f'Argument `output` must be "text", "svg" or "mpl", but is {output!r}.')


def draw_for_notebook(n_qubits: int, operations: Sequence[Operation]) -> dict[str, str]:
    """Return a drawing by MIME type, cut to a size that a cell can show; the drawing says what was cut."""
    from circuits.drawing.svg import draw_svg, n_columns_within

    def cut(max_columns: int | None) -> DrawingLayout:
        limits = {"max_operations": NOTEBOOK_OPERATIONS, "max_qubits": NOTEBOOK_QUBITS}
        return layout(n_qubits, operations, max_columns=max_columns, **limits)

    drawn = cut(n_columns_within(cut(None), NOTEBOOK_WIDTH, NOTEBOOK_HEIGHT))
    return {"image/svg+xml": str(draw_svg(drawn, NOTEBOOK_WIDTH)), "text/plain": draw_text(drawn, 110)}
