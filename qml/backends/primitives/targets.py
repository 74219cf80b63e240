"""The working part of a device as a Qiskit target of its own."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qml.backends.primitives import calibration
from qml.backends.primitives.calibration import Faults
from qml.backends.primitives.layouts import IDLE_INSTRUCTIONS

try:
    from qiskit import QuantumCircuit, QuantumRegister
    from qiskit.transpiler import InstructionProperties, Target
except ImportError as error:
    raise ImportError('Backend Qiskit needs qiskit. Install it with: pip install "qiskit>=2.1"') from error


@dataclass(frozen=True, eq=False)
class Gates:
    """The gates that a simulator has, on any number of qubits."""

    name: str
    target: Target


@dataclass(frozen=True, eq=False)
class WorkingPart:
    """The part of a device that works.

    Args:
        target: the working operations, on the working qubits, which are numbered from 0.
        qubits: the device's number of each of them.
        faults: the broken part, which is left out.
    """

    target: Target
    qubits: tuple[int, ...]
    faults: Faults


@lru_cache(maxsize=64)
def working_part(device: Any) -> WorkingPart | None:
    """Return the part of a device that works, found once; None for simulators, whose qubits are all alike."""
    if device is None or isinstance(device, Gates) or device.target.num_qubits is None:
        return None
    faults = calibration.faults_of(device)
    qubits = tuple(qubit for qubit in range(device.target.num_qubits) if qubit not in faults.qubits)
    if not faults.qubits and not faults.operations:
        return WorkingPart(device.target, qubits, faults)
    return WorkingPart(part_of(device.target, qubits, faults), qubits, faults)


def part_of(
    target: Target,
    qubits: Sequence[int],
    faults: Faults | None = None,
    *,
    errors: bool = True,
    skip: Collection[str] = (),
) -> Target:
    """Return the target on some qubits, which are numbered from 0.

    Args:
        target: of a device.
        qubits: those that are kept.
        faults: operations to leave out; None for none.
        errors: whether error rates are kept; without them a layout follows from the couplings alone.
        skip: names of operations to leave out.
    """
    place, properties = {qubit: number for number, qubit in enumerate(qubits)}, target.qubit_properties
    of_qubits = None if properties is None else [properties[qubit] for qubit in qubits]
    result = Target(num_qubits=len(qubits), dt=target.dt, qubit_properties=of_qubits)
    for name in target.operation_names:
        if name in skip:
            continue
        where = target[name]
        inside = (
            None
            if where is None or None in where
            else {
                tuple(place[qubit] for qubit in item): entry if errors or entry is None else _duration(entry)
                for item, entry in where.items()
                if set(item) <= set(place) and (faults is None or faults.allow(name, item))
            }
        )
        if inside != {}:
            result.add_instruction(target.operation_from_name(name), inside, name=name)
    return result


def _duration(properties: InstructionProperties) -> InstructionProperties:
    return InstructionProperties(duration=properties.duration)


def compacted(isa: QuantumCircuit, places: Sequence[int], numbers: Sequence[int]) -> tuple[QuantumCircuit, list[int]]:
    """Return the circuit on only the qubits that an operation or the read-out uses, and the numbers of these."""
    items = [item for item in isa.data if item.operation.name not in IDLE_INSTRUCTIONS]
    index = {qubit: place for place, qubit in enumerate(isa.qubits)}
    used = sorted({index[qubit] for item in items for qubit in item.qubits} | set(places))
    qubits = [numbers[place] for place in used]
    return onto(isa, numbers, qubits, items), qubits


def onto(isa: QuantumCircuit, numbers: Sequence[int], qubits: list[int], items: Iterable[Any]) -> QuantumCircuit:
    """Write some instructions of a circuit, whose qubits have these numbers, on a register of `qubits`."""
    numbered = zip(isa.qubits, numbers[: isa.num_qubits], strict=True)
    place = {qubit: qubits.index(number) for qubit, number in numbered if number in qubits}
    result = QuantumCircuit(QuantumRegister(len(qubits), "q"), *isa.cregs)
    for item in items:
        result.append(item.operation, [place[qubit] for qubit in item.qubits], item.clbits)
    return result
