"""Descriptions of quantum circuits, which say nothing of how they are run."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from circuits import ansatzes as ansatzes
    from circuits import channels as channels
    from circuits import classifier as classifier
    from circuits import daruan as daruan
    from circuits import feature_maps as feature_maps
    from circuits import neuron as neuron
    from circuits import reservoir as reservoir
    from circuits.circuit import Circuit as Circuit
    from circuits.observables import Observable as Observable
    from circuits.observables import X as X
    from circuits.observables import Y as Y
    from circuits.observables import Z as Z
    from circuits.observables import observable as observable
    from circuits.observables import pauli_string as pauli_string
    from circuits.openqasm import from_openqasm as from_openqasm
    from circuits.openqasm import to_openqasm as to_openqasm
    from circuits.operation import Operation as Operation
    from circuits.slots import Slot as Slot
    from circuits.slots import data as data
    from circuits.slots import weight as weight
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "circuits": ("ansatzes", "channels", "classifier", "daruan", "feature_maps", "neuron", "reservoir"),
            "circuits.circuit": ("Circuit",),
            "circuits.observables": ("Observable", "X", "Y", "Z", "observable", "pauli_string"),
            "circuits.openqasm": ("from_openqasm", "to_openqasm"),
            "circuits.operation": ("Operation",),
            "circuits.slots": ("Slot", "data", "weight"),
        },
    )
