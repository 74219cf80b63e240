"""Where circuits run on a device: reports of the qubits that they take and of the errors there. No SDK is imported."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from circuits import Circuit, Z
from qml.backends.deferred import defer
from qml.backends.expanded import expand
from qml.backends.packing import Packing
from qml.backends.sampled import with_bits
from qml.jobs import LayoutReport, OperationError

QUBITS = "qubits"  # in a compiled circuit's metadata: the device's number of each of its qubits
PLACES = "places"  # which of its qubits holds each qubit of the original at the end
LAYOUT = "layout"  # its `LayoutReport`, as JSON; in the metadata of results too
SILENT = ("barrier", "delay")


def report_of(
    isa: Any, qubits: Sequence[int], places: Sequence[int], device: Any, read: Sequence[int] | None = None
) -> LayoutReport:
    """The report on a compiled circuit.

    Args:
        isa: the compiled Qiskit circuit.
        qubits: the device's number of each of its qubits.
        places: which of its qubits holds each qubit of the original circuit at the end.
        device: a Qiskit backend.
        read: qubits of the original circuit that are read at the end; None for all where the circuit measures nothing
            itself.
    """
    index = {qubit: number for qubit, number in zip(isa.qubits, qubits, strict=True)}
    items = [item for item in isa.data if item.operation.name not in SILENT]
    used = Counter((item.operation.name, tuple(index[qubit] for qubit in item.qubits)) for item in items)
    if read is None:
        read = () if any(name == "measure" for name, _ in used) else range(len(places))
    used.update(("measure", (qubits[places[qubit]],)) for qubit in read)
    operations = (
        OperationError(name, where, _error(device.target, name, where), count)
        for (name, where), count in sorted(used.items())
    )
    return LayoutReport(device.name, tuple(qubits[place] for place in places), tuple(operations))


def reported(isa: Any) -> LayoutReport | None:
    """The report that a compiled circuit carries; None without a device."""
    found = (isa.metadata or {}).get(LAYOUT)
    return None if found is None else LayoutReport.from_json(found)


def report_of_run(backend: Any, circuit: Circuit, qubits: Sequence[int]) -> LayoutReport:
    """The report on a circuit as a backend of rows runs it, where `qubits` are read at the end.

    Args:
        backend: a `qml.backends.pubs.PubBackend`.
        circuit: any that it runs.
        qubits: of the circuit.

    Raises:
        ValueError: the backend has no device.
    """
    from qml.backends import qiskit_run

    compiler = backend.compiler()
    if qiskit_run.working_part(compiler.device) is None:
        raise ValueError(
            f"Backend {backend.name} must have a device for a layout, but has none. Name one, as in "
            'Aer(noise="fake_torino").'
        )
    if not backend._estimates(circuit):
        measured, _ = with_bits(expand(circuit).circuit)
        for qubit in qubits:
            measured.measure(qubit)
        pack, read = Packing(measured, backend.pack), None
    else:
        deferred = defer(circuit, channels=backend._channels)
        pack = Packing(expand(deferred.circuit).circuit, backend.pack)
        wanted = [deferred.moved(Z(qubit)) for qubit in qubits]
        selected = [Z(qubit) for qubit, _ in deferred.selected]
        read = sorted({qubit for item in pack.observables([*wanted, *selected]) for qubit in item.qubits})
    isa = qiskit_run.loaded(qiskit_run.compiled(pack.circuit, compiler).circuit)
    return report_of(isa, isa.metadata[QUBITS], isa.metadata[PLACES], compiler.device, read)


def _error(target: Any, name: str, where: tuple[int, ...]) -> float | None:
    """The calibrated error of an operation; None where the device tells none."""
    places = target[name] if name in target.operation_names else None
    known = None if places is None else places.get(where)
    return None if known is None else known.error
