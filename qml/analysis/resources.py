"""The resources that a circuit needs of the machine that runs it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from circuits import Circuit, Operation
from qml import checks


@dataclass(frozen=True)
class Resources:
    """Counts of a circuit as it is written, before any compilation for a device.

    Args:
        n_qubits: qubits.
        n_data: data slots, one value a sample each.
        n_weights: weight slots, the trainable angles.
        gates: number of occurrences of each operation, by name; noise channels are left out.
        n_two_qubit: operations on exactly two qubits.
        n_wider: operations on more than two.
        depth: the longest chain of operations that have to wait for each other.
        two_qubit_depth: the same, counting operations on two and more qubits only.
    """

    n_qubits: int
    n_data: int
    n_weights: int
    gates: Mapping[str, int]
    n_two_qubit: int
    n_wider: int
    depth: int
    two_qubit_depth: int

    @property
    def n_gates(self) -> int:
        """Count all operations."""
        return sum(self.gates.values())


def resources(circuit: Circuit) -> Resources:
    """Count gates, depth and parameters of a circuit.

    Args:
        circuit: any circuit; of a layer, its `circuit`.

    Example:
        >>> from circuits import Circuit, data, weight
        >>> counts = resources(Circuit(2).ry(data(0), 0).ry(weight(0), 1).cx(0, 1))
        >>> counts.n_gates, counts.depth, counts.n_two_qubit
        (3, 2, 1)
    """
    checks.require_kind(circuit, "circuit", Circuit)
    operations = [op for op in circuit.operations if not op.is_noise]
    widths = Counter(len(op.all_qubits) for op in operations)
    return Resources(
        n_qubits=circuit.n_qubits,
        n_data=circuit.n_data,
        n_weights=circuit.n_weights,
        gates=dict(Counter(op.name for op in operations)),
        n_two_qubit=widths[2],
        n_wider=sum(count for width, count in widths.items() if width > 2),
        depth=_depth(operations, circuit.n_qubits, lambda op: True),
        two_qubit_depth=_depth(operations, circuit.n_qubits, lambda op: len(op.all_qubits) > 1),
    )


def _depth(operations: list[Operation], n_qubits: int, counts: Callable[[Operation], bool]) -> int:
    reached = [0] * n_qubits
    for op in operations:
        end = max(reached[qubit] for qubit in op.all_qubits) + counts(op)
        for qubit in op.all_qubits:
            reached[qubit] = end
    return max(reached)
