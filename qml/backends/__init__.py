"""Backends, which run circuits."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use
from qml.backends import exported  # noqa: F401 - at once, as it registers the operator of exported programs
from qml.backends.resolve import resolve as resolve  # at once, as its module has the same name

if TYPE_CHECKING:
    from qml.backends.aer import Aer as Aer
    from qml.backends.front import CheckedBackend as CheckedBackend
    from qml.backends.ibm import IBM as IBM
    from qml.backends.native import Native as Native
    from qml.backends.noisy_native import NoisyNative as NoisyNative
    from qml.backends.pennylane import PennyLane as PennyLane
    from qml.backends.protocol import Backend as Backend
    from qml.backends.protocol import Capabilities as Capabilities
    from qml.backends.protocol import Samples as Samples
    from qml.backends.provider import Provider as Provider
    from qml.backends.qiskit import Qiskit as Qiskit
    from qml.backends.resolve import NamedBackend as NamedBackend
    from qml.backends.shift.spsa import SPSA as SPSA
    from qml.simulator.pauli.options import PauliPropagation as PauliPropagation
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.backends.aer": ("Aer",),
            "qml.backends.front": ("CheckedBackend",),
            "qml.backends.ibm": ("IBM",),
            "qml.backends.native": ("Native",),
            "qml.backends.noisy_native": ("NoisyNative",),
            "qml.backends.pennylane": ("PennyLane",),
            "qml.backends.protocol": ("Backend", "Capabilities", "Samples"),
            "qml.backends.provider": ("Provider",),
            "qml.backends.qiskit": ("Qiskit",),
            "qml.backends.resolve": ("NamedBackend", "resolve"),
            "qml.backends.shift.spsa": ("SPSA",),
            "qml.simulator.pauli.options": ("PauliPropagation",),
        },
    )
