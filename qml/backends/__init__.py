"""Where circuits run."""

from qml.backends.aer import Aer as Aer
from qml.backends.ibm import IBM as IBM
from qml.backends.native import Native as Native
from qml.backends.noisy_native import NoisyNative as NoisyNative
from qml.backends.pennylane import PennyLane as PennyLane
from qml.backends.protocol import Backend as Backend
from qml.backends.protocol import Capabilities as Capabilities
from qml.backends.protocol import Samples as Samples
from qml.backends.qiskit import Qiskit as Qiskit
from qml.backends.resolve import resolve as resolve
from qml.backends.shift.spsa import SPSA as SPSA
from qml.simulator.pauli.options import PauliPropagation as PauliPropagation
