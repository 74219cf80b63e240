"""Draw a circuit as text or as a matplotlib figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from circuits.drawing.layout import layout
from circuits.drawing.text import draw_text
from circuits.operation import Operation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(
    n_qubits: int,
    operations: Sequence[Operation],
    output: str = "text",
    *,
    width: float | int | None = None,
    max_operations: int | None = 500,
    max_qubits: int | None = 50,
) -> "str | Figure":
    """Draw a circuit as text, or as a matplotlib figure that no pyplot state knows of.

    Qubits run from top to bottom, time from left to right; operations are packed to the left. Slots are
    written data[0] and w[0]. Operations and qubits left out are counted below the drawing.

    Args:
        n_qubits: number of qubits.
        operations: the circuit's, in order.
        output: `"text"` or `"mpl"`.
        width: where lines are wrapped: characters of text (default 110), inches of a figure (default 12).
        max_operations: only the first so many operations are drawn; None draws all.
        max_qubits: of more qubits only the first and the last are drawn, so many in all; None draws all.

    Returns:
        A str, or a `matplotlib.figure.Figure` (save it with `figure.savefig(path)`).

    Raises:
        ValueError: another output, or a limit below 1.
        ImportError: matplotlib is missing.
    """
    drawn = layout(n_qubits, operations, max_operations=max_operations, max_qubits=max_qubits)
    if output == "text":
        return draw_text(drawn, 110 if width is None else int(width))
    if output == "mpl":
        from circuits.drawing.figure import draw_figure

        return draw_figure(drawn, 12.0 if width is None else float(width))
    raise ValueError(f'Argument `output` must be "text" or "mpl", but is {output!r}.')
