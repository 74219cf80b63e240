"""Reports of the qubits that a circuit takes when a backend runs it, made without running it."""

from collections.abc import Sequence

from circuits import Circuit, Z
from qml.backends.primitives.layouts import report_in
from qml.backends.primitives.submissions import loaded
from qml.backends.primitives.transpile import Compiler, transpiled_circuit
from qml.backends.shift.deferred import defer
from qml.backends.shift.expanded import expand
from qml.backends.shift.packing import Packing
from qml.backends.shift.sampled import with_bits
from qml.jobs import LayoutReport


def report_of_estimate(
    circuit: Circuit, qubits: Sequence[int], compiler: Compiler, *, channels: bool, n_copies: int
) -> LayoutReport | None:
    """Return the report on a circuit as an estimator runs it; None without a device.

    Args:
        circuit: any circuit.
        qubits: of the circuit, which are read at the end.
        compiler: of the backend.
        channels: whether the backend simulates channels; see `qml.backends.shift.deferred.defer`.
        n_copies: copies of the circuit side by side.
    """
    deferred = defer(circuit, channels=channels)
    pack = Packing(expand(deferred.circuit).circuit, n_copies)
    strings = [deferred.moved(Z(qubit)) for qubit in qubits] + [Z(qubit) for qubit, _ in deferred.selected]
    read = {qubit for item in pack.observables(strings) for qubit in item.qubits}
    report = _report(pack.circuit, compiler)
    return None if report is None else report.reading({report.qubits[qubit] for qubit in read})


def report_of_sampling(
    circuit: Circuit, qubits: Sequence[int], compiler: Compiler, *, n_copies: int
) -> LayoutReport | None:
    """Return the report on a circuit as a sampler runs it, its `qubits` measured in Z; None without a device."""
    measured, _ = with_bits(expand(circuit).circuit)
    for qubit in qubits:
        measured.measure(qubit)
    return _report(Packing(measured, n_copies).circuit, compiler)


def _report(circuit: Circuit, compiler: Compiler) -> LayoutReport | None:
    return report_in(loaded(transpiled_circuit(circuit, compiler).circuit))
