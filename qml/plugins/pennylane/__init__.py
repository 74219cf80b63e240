"""The built-in simulator as the PennyLane device `"qml.native"`: `pennylane.device("qml.native", wires=4)`."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.plugins.pennylane.device import NativeDevice as NativeDevice

__getattr__, __dir__ = load_at_first_use(__name__, {"qml.plugins.pennylane.device": ["NativeDevice"]})
