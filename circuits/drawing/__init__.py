"""Drawings of circuits: a layout in columns, put on paper as text, as SVG or as a matplotlib figure."""

from circuits.drawing.drawing import draw as draw
from circuits.drawing.drawing import draw_for_notebook as draw_for_notebook
