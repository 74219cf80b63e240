"""Quantum machine learning layers for torch, on a fast simulator of their own and on other backends."""

from qml import backends as backends
from qml import nn as nn

__version__ = "0.1.0"
