"""Where circuits run."""

from qml.backends.aer import Aer as Aer
from qml.backends.ibm import IBM as IBM
from qml.backends.native import Native as Native
from qml.backends.noise import NoisyNative as NoisyNative
from qml.backends.pennylane_device import PennyLane as PennyLane
from qml.backends.primitives import Qiskit as Qiskit
from qml.backends.protocol import Backend as Backend
from qml.backends.protocol import Capabilities as Capabilities
from qml.backends.protocol import Samples as Samples
from qml.backends.pullback import SPSA as SPSA
from qml.backends.resolve import resolve as resolve
