"""Figures and results that a notebook shows as pictures, also where nobody has imported pyplot.

Jupyter knows how to show a matplotlib figure only after pyplot was imported. A figure of this package is drawn without
pyplot, so it says by itself how it looks; nothing is registered anywhere.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from circuits.shown_figure import ShownFigure


def new_figure(**options: Any) -> "ShownFigure":
    """Return an empty figure that belongs to no window system and shows itself in a notebook.

    Args:
        options: those of `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from circuits.shown_figure import ShownFigure
    except ImportError as error:
        raise ImportError("Drawing a figure needs matplotlib. Install it with: pip install matplotlib") from error
    return ShownFigure(**options)


def axes_of(ax: "Axes | None") -> "Axes":
    """Return the given axes, or those of a new figure that belongs to no window system."""
    if ax is not None:
        return ax
    return new_figure(figsize=(6.0, 3.6), layout="constrained").subplots()


class ShowsPlot:
    """A result that a notebook shows as the figure of its method `plot`; a terminal shows its text as ever."""

    def _repr_png_(self) -> bytes | None:
        return self.plot()._repr_png_() if self._is_shown() else None  # type: ignore[attr-defined]

    def _is_shown(self) -> bool:
        """Return whether the figure is small enough to be drawn without being asked for."""
        return True
