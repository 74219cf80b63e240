"""Drawings of circuits: a layout in columns, put on paper as text or as a matplotlib figure."""

from circuits.drawing.drawing import draw as draw
