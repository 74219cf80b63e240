"""Reports of the qubits that circuits take on a device and of the errors there. No SDK is imported."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qml.jobs import CircuitCost, LayoutReport, OperationError, Pub

QUBITS = "qubits"
"""Key in a transpiled circuit's metadata: the device's number of each of its qubits."""
LAYOUT = "layout"
"""Key in its metadata, and in that of results: the `LayoutReport`, as JSON."""
IDLE_INSTRUCTIONS = ("barrier", "delay")
REPETITION_DELAY = 250e-6  # seconds; IBM's default


def report_of(isa: Any, qubits: Sequence[int], places: Sequence[int], device: Any) -> LayoutReport:
    """Make the report on a transpiled circuit; where it has no measurement, all qubits of the original are read.

    Args:
        isa: the transpiled Qiskit circuit.
        qubits: the device's number of each of its qubits.
        places: which of its qubits holds each qubit of the original circuit at the end.
        device: a Qiskit backend.
    """
    index = dict(zip(isa.qubits, qubits, strict=True))
    items = [item for item in isa.data if item.operation.name not in IDLE_INSTRUCTIONS]
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
    """A transpiler that runs several pass managers of Qiskit and keeps the circuit of highest expected fidelity.

    Args:
        managers: for one device; of equal results the first is kept.
        qubits: the device's number of each qubit of their target.
        device: a Qiskit backend.
    """

    managers: tuple[Any, ...]
    qubits: tuple[int, ...]
    device: Any

    def run(self, circuit: Any) -> Any:
        """Return the transpiled circuit of highest expected fidelity."""
        return max((manager.run(circuit) for manager in self.managers), key=self._fidelity)

    def _fidelity(self, isa: Any) -> float:
        places = range(isa.num_qubits) if isa.layout is None else isa.layout.final_index_layout()
        return report_of(isa, self.qubits[: isa.num_qubits], places, self.device).expected_fidelity or 0.0


def report_in(isa: Any) -> LayoutReport | None:
    """Return the report that a transpiled circuit carries; None without a device."""
    report = (isa.metadata or {}).get(LAYOUT)
    return None if report is None else LayoutReport.from_json(report)


def cost_of(isa: Any, device: Any) -> CircuitCost:
    """Compute the cost of one execution of a transpiled circuit; on a simulator (None) it takes no time."""
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
    """Return the report on a pub's circuit, reading only the qubits that its observables act on.

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
    """Return the calibrated error of an operation; None where the device gives none."""
    places = target[name] if name in target.operation_names else None
    properties = None if places is None else places.get(where)
    return None if properties is None else properties.error


def _seconds(isa: Any, device: Any) -> float | None:
    """Compute the time of the slowest qubit, with each gate as early as possible, and the delay between repetitions."""
    qubits = isa.metadata[QUBITS]
    index = {qubit: qubits[place] for place, qubit in enumerate(isa.qubits)}
    free = dict.fromkeys(qubits, 0.0)
    for item in isa.data:
        where = tuple(index[qubit] for qubit in item.qubits)
        name = item.operation.name
        properties = device.target[name].get(where) if name in device.target else None
        if properties is None or properties.duration is None:
            if name in IDLE_INSTRUCTIONS:
                continue
            return None
        end = max(free[qubit] for qubit in where) + properties.duration
        free |= dict.fromkeys(where, end)
    delay = getattr(device, "default_rep_delay", None)
    return max(free.values(), default=0.0) + (REPETITION_DELAY if delay is None else delay)
