"""Mid-circuit operations for devices that give exact expectation values of unitary circuits.

A measurement is deferred: its outcome is copied to a fresh qubit that no later operation acts on. A post-selection is
such a measurement whose outcome is projected in the observable, so that <O> = <O P> / <P>. A reset replaces the qubit
by a fresh one. Where channels can be simulated, measurement and reset are channels and need no qubit.
(Nielsen and Chuang, Quantum Computation and Quantum Information (2010), section 4.4.)
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from circuits import Circuit, Observable, Operation, channels
from circuits.gates import Measure, PostSelect, Reset

RESET = channels.kraus(np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]))
MEASUREMENT = channels.phase_damping(1.0)
MAX_POST_SELECTIONS = 12  # the projector on k of them has 2**k strings


@dataclass(frozen=True, eq=False)
class Deferred:
    """A circuit whose mid-circuit operations are replaced by gates and, where allowed, channels.

    Args:
        circuit: the replacement.
        places: for each original qubit, the qubit that holds its state at the end.
        selected: pairs (qubit, value) that post-selection keeps.
        recorded: for each classical bit the qubit that holds it; empty where nothing is recorded.
    """

    circuit: Circuit
    places: tuple[int, ...]
    selected: tuple[tuple[int, int], ...]
    recorded: tuple[int, ...] = ()

    @property
    def projector(self) -> Observable:
        """Return the product of (1 +- Z) / 2 over the selected qubits."""
        terms, count = [], len(self.selected)
        for size in range(count + 1):
            for chosen in combinations(self.selected, size):
                sign = (-1.0) ** sum(value for _, value in chosen)
                terms.append((0.5**count * sign, tuple((qubit, "Z") for qubit, _ in chosen)))
        return Observable(tuple(terms))

    def moved(self, observable: Observable) -> Observable:
        """Return the observable on the qubits that hold the original ones at the end."""
        return Observable(
            tuple(
                (coefficient, tuple((self.places[qubit], letter) for qubit, letter in factors))
                for coefficient, factors in observable.terms
            )
        )


def defer(circuit: Circuit, *, channels: bool, record: bool = False) -> Deferred:
    """Return the deferred form, which is made once and kept with the circuit.

    Args:
        circuit: any circuit.
        channels: whether resets, and measurements whose outcome is not read, may become channels.
        record: whether the outcomes of measurements are read, and no observable.

    Raises:
        ValueError: the circuit has more than 12 post-selections.
    """
    key = f"deferred, channels {channels}, record {record}"
    return circuit.derived(key, lambda: _defer(circuit, channels, record))


def _defer(circuit: Circuit, channels: bool, record: bool) -> Deferred:
    operations: list[Operation] = []
    places, selected, width = list(range(circuit.n_qubits)), [], circuit.n_qubits
    recorded: dict[int, int] = {}
    last = {qubit: number for number, op in enumerate(circuit.operations) for qubit in op.all_qubits}
    for number, operation in enumerate(circuit.operations):
        moved, gate = _moved(operation, places), operation.gate
        if record and isinstance(gate, Measure) and last[operation.qubits[0]] == number:
            recorded[gate.bit] = moved.qubits[0]  # no later operation acts on it
        elif isinstance(gate, Reset) or (isinstance(gate, Measure) and not record):
            if channels:
                operations.append(replace(moved, gate=RESET if isinstance(gate, Reset) else MEASUREMENT))
            elif isinstance(gate, Reset):
                places[operation.qubits[0]], width = width, width + 1
            else:
                operations, width = [*operations, *_copied(moved.qubits[0], width)], width + 1
        elif isinstance(gate, (Measure, PostSelect)):
            operations += _copied(moved.qubits[0], width)
            if isinstance(gate, Measure):
                recorded[gate.bit] = width
            else:
                selected.append((width, gate.value))
            width += 1
        else:
            operations.append(moved)
    if len(selected) > MAX_POST_SELECTIONS:
        raise ValueError(
            f"A circuit without shots must post-select at most {MAX_POST_SELECTIONS} times here, but does so "
            f"{len(selected)} times. Use shots, or Native()."
        )
    bits = tuple(recorded[bit] for bit in sorted(recorded))
    return Deferred(_circuit_of(width, operations), tuple(places), tuple(selected), bits)


def _copied(qubit: int, fresh: int) -> tuple[Operation, ...]:
    return Circuit(fresh + 1).cx(qubit, fresh).operations


def _moved(operation: Operation, places: list[int]) -> Operation:
    qubits, controls = (tuple(places[q] for q in group) for group in (operation.qubits, operation.controls))
    return replace(operation, qubits=qubits, controls=controls)


def _circuit_of(n_qubits: int, operations: Iterable[Operation]) -> Circuit:
    result = Circuit(n_qubits)
    for operation in operations:
        result.append(operation.gate, operation.qubits, controls=operation.controls, angles=operation.angles)
    return result
