"""The figures of this package. The module imports matplotlib, and is itself loaded at first use."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A `matplotlib.figure.Figure` that a notebook shows as a picture, whether or not pyplot was imported.

    Where pyplot was imported, Jupyter asks its own printer first, with the format and the resolution set there.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()
