"""Where circuits run on a device: reports of the qubits that they take and of the errors there. No SDK is imported."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qml.jobs import CircuitCost, LayoutReport, OperationError, Pub

QUBITS = "qubits"  # in a compiled circuit's metadata: the device's number of each of its qubits
LAYOUT = "layout"  # its `LayoutReport`, as JSON; in the metadata of results too
SILENT = ("barrier", "delay")
REPETITION_DELAY = 250e-6  # seconds; IBM's default


def report_of(isa: Any, qubits: Sequence[int], places: Sequence[int], device: Any) -> LayoutReport:
    """The report on a compiled circuit; where it measures nothing itself, all qubits of the original are read.

    Args:
        isa: the compiled Qiskit circuit.
        qubits: the device's number of each of its qubits.
        places: which of its qubits holds each qubit of the original circuit at the end.
        device: a Qiskit backend.
    """
    index = dict(zip(isa.qubits, qubits, strict=True))
    items = [item for item in isa.data if item.operation.name not in SILENT]
    used = Counter((item.operation.name, tuple(index[qubit] for qubit in item.qubits)) for item in items)
    if not any(name == "measure" for name, _ in used):
        used.update(("measure", (qubits[place],)) for place in places)
    operations = [
        OperationError(name, where, _error(device.target, name, where), count)
        for (name, where), count in sorted(used.items())
    ]
    kept = tuple(item for item in operations if item.error != 0.0 or len(item.qubits) > 1)
    return LayoutReport(device.name, tuple(qubits[place] for place in places), kept)


@dataclass(frozen=True, eq=False)
class BestOf:
    """Runs several pass managers of Qiskit, and keeps the circuit with the highest expected fidelity.

    Args:
        managers: for one device; of equal results the first is kept.
        qubits: the device's number of each qubit that they know.
        device: a Qiskit backend.
    """

    managers: tuple[Any, ...]
    qubits: tuple[int, ...]
    device: Any

    def run(self, circuit: Any) -> Any:
        """The transpiled circuit."""
        return max((manager.run(circuit) for manager in self.managers), key=self._fidelity)

    def _fidelity(self, isa: Any) -> float:
        places = range(isa.num_qubits) if isa.layout is None else isa.layout.final_index_layout()
        return report_of(isa, self.qubits[: isa.num_qubits], places, self.device).expected_fidelity or 0.0


def report_in(isa: Any) -> LayoutReport | None:
    """The report that a compiled circuit carries; None without a device."""
    report = (isa.metadata or {}).get(LAYOUT)
    return None if report is None else LayoutReport.from_json(report)


def cost_of(isa: Any, device: Any) -> CircuitCost:
    """What one execution of a compiled circuit needs: on a device with its times, on a simulator (None) without any."""
    return CircuitCost(
        n_qubits=len({qubit for item in isa.data for qubit in item.qubits}),
        depth=isa.depth(),
        two_qubit_gates=sum(len(item.qubits) > 1 and item.operation.name != "barrier" for item in isa.data),
        seconds=0.0 if device is None else _seconds(isa, device),
        registers=tuple((register.name, register.size) for register in isa.cregs),
        layout=report_in(isa),
        device_qubits=tuple((isa.metadata or {}).get(QUBITS, ())),
    )


def report_of_pub(pub: Pub, report: LayoutReport | None, qubits: Sequence[int]) -> LayoutReport | None:
    """The report on a pub's circuit, where its observables say which qubits are read.

    Args:
        pub: its labels in Qiskit's order, the first qubit last.
        report: on its circuit.
        qubits: the device's number of each of the circuit's qubits.
    """
    if report is None or not pub.observables:
        return report
    labels = {label for terms in pub.observables for label, _ in terms}
    return report.reading(
        {qubits[place] for label in labels for place, letter in enumerate(label[::-1]) if letter != "I"}
    )


def _error(target: Any, name: str, where: tuple[int, ...]) -> float | None:
    """The calibrated error of an operation; None where the device tells none."""
    places = target[name] if name in target.operation_names else None
    known = None if places is None else places.get(where)
    return None if known is None else known.error


def _seconds(isa: Any, device: Any) -> float | None:
    """The time of the slowest qubit, each gate as soon as its qubits are free, and the delay between repetitions."""
    qubits = isa.metadata[QUBITS]
    index = {qubit: qubits[place] for place, qubit in enumerate(isa.qubits)}
    free = dict.fromkeys(qubits, 0.0)
    for item in isa.data:
        where = tuple(index[qubit] for qubit in item.qubits)
        known = device.target[item.operation.name].get(where) if item.operation.name in device.target else None
        if known is None or known.duration is None:
            if item.operation.name in SILENT:
                continue
            return None
        end = max(free[qubit] for qubit in where) + known.duration
        free |= dict.fromkeys(where, end)
    delay = getattr(device, "default_rep_delay", None)
    return max(free.values(), default=0.0) + (REPETITION_DELAY if delay is None else delay)
