"""Where circuits run."""

from qml.backends.native import Native as Native
from qml.backends.protocol import Backend as Backend
from qml.backends.protocol import Capabilities as Capabilities
from qml.backends.protocol import Samples as Samples
from qml.backends.resolve import resolve as resolve
