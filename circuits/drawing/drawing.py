"""Draw a circuit as text or as a matplotlib figure."""

from typing import TYPE_CHECKING

from circuits.drawing.text import draw_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from circuits.circuit import Circuit
from circuits.drawing.layout import layout


def draw(
    circuit: "Circuit",
    output: str = "text",
    *,
    width: float | int | None = None,
    max_operations: int | None = 500,
    max_qubits: int | None = 50,
) -> "str | Figure":
    """The circuit as text, or as a matplotlib figure that no pyplot state knows of.

    Qubits run from top to bottom, time from left to right; operations are packed to the left. Slots are
    written data[0] and w[0]. What is left out is said below the drawing.

    Args:
        circuit: any circuit.
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
    drawn = layout(circuit, max_operations=max_operations, max_qubits=max_qubits)
    if output == "text":
        return draw_text(drawn, 110 if width is None else int(width))
    if output == "mpl":
        from circuits.drawing.figure import draw_figure

        return draw_figure(drawn, 12.0 if width is None else float(width))
    raise ValueError(f'Argument `output` must be "text" or "mpl", but is {output!r}.')
