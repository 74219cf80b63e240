"""A tape as a program of the built-in simulator: built once a structure, run at any parameters."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from pennylane.measurements import DensityMatrixMP, StateMP
from pennylane.ops.functions import bind_new_parameters
from pennylane.wires import Wires
from torch import Tensor

from circuits import Circuit, Observable, Slot
from circuits.gates import PostSelect, StatePreparation
from circuits.steps import LinearAngle, LinearStep, circuit_of
from qml.backends import Native
from qml.backends.convert.pennylane_operations import operation_steps
from qml.plugins.pennylane.readings import Questions, Reading, measurement_key, reading_of
from qml.plugins.pennylane.structure import (
    NotKeyedError,
    Structure,
    is_amplitudes,
    is_by_value,
    operation_key,
    steps_of,
)
from qml.plugins.pennylane.untyped import math, pennylane
from qml.simulator.linear import is_mixed

MAX_PROGRAMS = 256  # kept, the one used last at the end
MAX_DENSITY_WIRES = 6  # of a density matrix that is put together from its Pauli components
NATIVE = Native()
PAULIS = {
    "I": torch.tensor([[1, 0], [0, 1]], dtype=torch.complex128),
    "X": torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128),
    "Y": torch.tensor([[0, -1j], [1j, 0]], dtype=torch.complex128),
    "Z": torch.tensor([[1, 0], [0, -1]], dtype=torch.complex128),
}


Rows = Literal["one", "samples", "tapes"]
"""The meaning of the rows of data: the only one of a tape, its samples, or tapes of one structure."""


@dataclass(frozen=True)
class Layout:
    """The place of each parameter among the slots.

    Attributes:
        amplitudes: for each parameter whether it is complex amplitudes (True), real ones (False) or angles (None).
        batched: for each parameter whether it has a batch axis.
    """

    amplitudes: tuple[bool | None, ...]
    batched: tuple[bool, ...]

    def inputs(self, values: Sequence[Tensor], batch: int | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the values of the data slots, (batch or 1, inputs), and of the weight slots, (weights,)."""
        rows: list[Tensor] = []
        shared: list[Tensor] = []
        for value, kind, batched in zip(values, self.amplitudes, self.batched, strict=True):
            if kind is not None:
                flat = torch.cat([value.real, value.imag], -1) if kind else value
                rows.append(flat if batched else flat[None])
            elif batched:
                rows.append(value.reshape(value.shape[0], value.shape[1:].numel()))
            else:
                shared.append(value)
        place = values[0].device if values else None
        return _joined_rows(rows, 1 if batch is None else batch, dtype, place), _joined(shared, dtype, place)


def _joined_rows(rows: list[Tensor], batch: int, dtype: torch.dtype, place: torch.device | None) -> Tensor:
    if not rows:
        return torch.zeros(batch, 0, dtype=dtype, device=place)
    if len(rows) == 1:
        return rows[0].expand(batch, -1).to(dtype)
    return torch.cat([row.expand(batch, -1) for row in _of_one_dtype(rows, dtype)], 1).to(dtype)


def _joined(values: list[Tensor], dtype: torch.dtype, place: torch.device | None) -> Tensor:
    if not values:
        return torch.zeros(0, dtype=dtype, device=place)
    if len(values) == 1:
        return values[0].reshape(-1).to(dtype)
    values = _of_one_dtype(values, dtype)
    if all(value.ndim == 0 for value in values):
        return torch.stack(values).to(dtype)
    return torch.cat([value.reshape(-1) for value in values]).to(dtype)


def _of_one_dtype(values: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return the values as they are if they have one dtype, so that they are converted once, when they are joined."""
    first = values[0].dtype
    return values if all(value.dtype == first for value in values) else [value.to(dtype) for value in values]


@dataclass(frozen=True, eq=False)
class Program:
    """A circuit and what is read from it.

    Attributes:
        circuit: with data slots for what has a batch axis and weight slots for the rest.
        layout: where the parameters of a tape go.
        labels: the wire of each qubit.
        readings: one a measurement.
        questions: what they ask.
    """

    circuit: Circuit
    layout: Layout
    labels: tuple[Any, ...]
    readings: tuple[Reading, ...]
    questions: Questions

    @cached_property
    def rotated(self) -> tuple[Circuit, ...]:
        """Return the circuit with the rotations of each distribution."""
        return tuple(
            with_rotations(self.circuit, rotations, self.labels) for rotations, _ in self.questions.distributions
        )

    @cached_property
    def places(self) -> dict[Any, int]:
        """Return the qubits by their wires."""
        return {label: qubit for qubit, label in enumerate(self.labels)}

    def read(self, data: Tensor, weights: Tensor, measurements: Sequence[Any], rows: Rows) -> list[Tensor]:
        """Compute the results of a tape's measurements, which have a batch axis in front.

        Args:
            data: the values of the data slots, (batch, inputs).
            weights: the values of the weight slots, (weights,).
            measurements: as they stand in the tape; coefficients that are trained are taken from them.
            rows: the meaning of the rows of `data`. Where they are tapes, the values of their weight slots stand
                behind the others.
        """
        answers = Run(self, data, weights, rows)
        return [reading(answers, current) for reading, current in zip(self.readings, measurements, strict=True)]


class Run:
    """The answers of the simulator at certain values of the slots; see `Answers`."""

    def __init__(self, program: Program, data: Tensor, weights: Tensor, rows: Rows) -> None:
        self._program, self._data, self._weights, self._rows = program, data, weights, rows
        self._circuit = self._suited(program.circuit)
        self._kept: dict[str, Tensor] = {}

    def _suited(self, circuit: Circuit) -> Circuit:
        return circuit.weights_as_data() if self._rows == "tapes" else circuit

    def means(self) -> Tensor:
        """Return all expectation values, (batch, observables)."""
        if "means" not in self._kept:
            observables = self._program.questions.observables
            self._kept["means"] = NATIVE.expectation(self._circuit, self._data, self._weights, observables)
        return self._kept["means"]

    def probabilities(self, number: int) -> Tensor:
        """Return the probabilities of a distribution, (batch, outcomes)."""
        circuit = self._suited(self._program.rotated[number])
        _, wires = self._program.questions.distributions[number]
        qubits = [self._program.places[wire] for wire in wires]
        if not qubits:
            return self._data.new_ones(len(self._data), 1)
        return NATIVE.probabilities(circuit, self._data, self._weights, qubits)

    def of_state(self, measurement: Any) -> Tensor:
        """Return what a measurement makes of the state, a batch axis in front."""
        if is_mixed(self._circuit):
            if type(measurement) is StateMP:
                measurement = DensityMatrixMP(measurement.wires)
            qubits = [self._program.places[wire] for wire in measurement.wires]
            states = density_matrix(self._circuit, self._data, self._weights, qubits)
            numbers = {wire: number for number, wire in enumerate(measurement.wires)}
            return self._processed(measurement.map_wires(numbers).process_density_matrix, states, len(qubits))
        if "state" not in self._kept:
            self._kept["state"] = NATIVE.state(self._circuit, self._data, self._weights)
        numbered = measurement.map_wires(self._program.places)
        return self._processed(numbered.process_state, self._kept["state"], len(self._program.labels))

    def _processed(self, process: Callable[[Any, Any], Any], states: Tensor, n_wires: int) -> Tensor:
        """Apply PennyLane's formula to the states, of wires 0, 1, ...: entropies take wires for places in the state."""
        wires = Wires(range(n_wires))
        if self._rows == "one":
            return torch.as_tensor(process(states[0], wires))[None]
        result = torch.as_tensor(process(states, wires))
        return result if result.ndim else result.expand(len(states))


def density_matrix(circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int]) -> Tensor:
    """Return the density matrices of some qubits, from the expectation values of all their Pauli strings.

    Raises:
        ValueError: more qubits than `MAX_DENSITY_WIRES`.
    """
    if len(qubits) > MAX_DENSITY_WIRES:
        raise ValueError(
            f"A density matrix after noise must be of at most {MAX_DENSITY_WIRES} wires, but is of {len(qubits)}. Ask "
            "for expectation values or probabilities, which have no such limit, or for a part of the wires."
        )
    words = ["".join(letters) for letters in product("IXYZ", repeat=len(qubits))]
    observables = [
        Observable(
            ((1.0, tuple((q, letter) for q, letter in sorted(zip(qubits, word, strict=True)) if letter != "I")),)
        )
        for word in words
    ]
    values = NATIVE.expectation(circuit, data, weights, observables)
    side = 2 ** len(qubits)
    matrices = torch.stack([_kron(word) for word in words]).to(values.dtype.to_complex())
    mixed = values.to(matrices.dtype) @ matrices.to(values.device).reshape(len(words), -1)
    return mixed.reshape(-1, side, side) / side


def _kron(word: str) -> Tensor:
    result = torch.ones(1, 1, dtype=torch.complex128)
    for letter in word:
        result = torch.kron(result, PAULIS[letter])
    return result


_programs: "OrderedDict[Hashable, Program]" = OrderedDict()
_LOCK = Lock()


def structure_of(tape: Any, labels: tuple[Any, ...] | None) -> Structure:
    """Return the structure of a tape of native operations.

    Args:
        tape: without conditionals and measurements on its way.
        labels: the wires of the device, None where it has none of its own.

    Raises:
        NotKeyedError: an operation whose values are trained or traced belongs to the structure.
    """
    keys: list[Hashable] = []
    parameters: list[Any] = []
    numbers: list[int] = []
    number, batch = 0, None
    for op in tape.operations:
        key, dimensions = operation_key(op)
        keys.append(key)
        if dimensions:
            parameters += op.data
            numbers += range(number, number + len(op.data))
            if op.batch_size is not None:
                batch = op.batch_size
        number += len(op.data)
    measured = tuple([measurement_key(measurement) for measurement in tape.measurements])
    return Structure((labels, tuple(keys), measured), parameters, numbers, batch)


def known_program(structure: Structure) -> Program | None:
    """Return the program of a structure, if it has been built before."""
    program = _programs.get(structure.key)
    if program is not None:
        _keep(structure.key, program)
    return program


def program_of(tape: Any, structure: Structure, labels: tuple[Any, ...]) -> Program:
    """Return the program of a tape, built at the first tape of its structure."""
    program = known_program(structure)
    if program is None:
        program = _built(tape, labels)
        _keep(structure.key, program)
    return program


def _keep(key: Hashable, program: Program) -> None:
    """Put what was used last at the end, and drop the oldest; QNodes may run in threads."""
    with _LOCK:
        _programs[key] = program
        _programs.move_to_end(key)
        while len(_programs) > MAX_PROGRAMS:
            _programs.popitem(last=False)


def _built(tape: Any, labels: tuple[Any, ...]) -> Program:
    builder = _Builder(labels)
    steps = [step for op in tape.operations for step in builder.operation(op)]
    circuit = circuit_of(max(1, len(labels)), steps)
    questions = Questions()
    readings = tuple(reading_of(measurement, builder.places, questions) for measurement in tape.measurements)
    return Program(circuit, Layout(tuple(builder.amplitudes), tuple(builder.batched)), labels, readings, questions)


class _Builder:
    """The steps of a tape, one operation after the other, and the layout of its slots."""

    def __init__(self, labels: Sequence[Any]) -> None:
        self.places = {label: qubit for qubit, label in enumerate(labels)}
        self.amplitudes: list[bool | None] = []
        self.batched: list[bool] = []
        self._n_slots = {"data": 0, "weight": 0}

    def operation(self, op: Any) -> list[LinearStep]:
        """Return the steps of an operation on the circuit's qubits."""
        if is_amplitudes(op):
            return [self._preparation(op)]
        if is_by_value(op):
            return self._placed(op, value_steps(op))
        slots = list(self._angles(op))
        return self._placed(op, [_with_slots(step, slots) for step in steps_of(op)])

    def _placed(self, op: Any, steps: Sequence[LinearStep]) -> list[LinearStep]:
        qubits = [self.places[wire] for wire in op.wires]
        return [
            replace(
                step, qubits=tuple(qubits[q] for q in step.qubits), controls=tuple(qubits[q] for q in step.controls)
            )
            for step in steps
        ]

    def _angles(self, op: Any) -> Iterator[Slot]:
        """Number the slots of an operation's parameters, one a number."""
        dimensions = op.ndim_params if op.data and op.batch_size is not None else None
        for place, value in enumerate(op.data):
            shape = np.shape(value)
            batched = dimensions is not None and len(shape) > dimensions[place]
            self.amplitudes.append(None)
            self.batched.append(batched)
            yield from self._new_slots("data" if batched else "weight", int(np.prod(shape[1:] if batched else shape)))

    def _preparation(self, op: Any) -> LinearStep:
        value = op.data[0]
        is_complex = "complex" in str(value.dtype)
        self.amplitudes.append(is_complex)
        self.batched.append(op.batch_size is not None)
        slots = self._new_slots("data", value.shape[-1] * (2 if is_complex else 1))
        qubits = tuple(self.places[wire] for wire in op.wires)
        gate = StatePreparation(len(qubits), is_complex=is_complex)
        return LinearStep(gate, qubits, angles=tuple(LinearAngle.of(slot) for slot in slots))

    def _new_slots(self, kind: Any, count: int) -> list[Slot]:
        first = self._n_slots[kind]
        self._n_slots[kind] += count
        return [Slot(kind, first + k) for k in range(count)]


def _with_slots(step: LinearStep, slots: Sequence[Slot]) -> LinearStep:
    """Return a step with the circuit's slots in place of the operation's own."""
    angles = tuple(
        LinearAngle(angle.constant, tuple((slots[slot.index], factor) for slot, factor in angle.terms))
        for angle in step.angles
    )
    return replace(step, angles=angles)


def value_steps(op: Any) -> list[LinearStep]:
    """Return the steps of an operation whose numbers belong to the structure, on qubits 0, 1, ... (its wires)."""
    if any(math.get_interface(value) != "numpy" for value in op.data):
        op = bind_new_parameters(op, [math.toarray(math.unwrap([value])[0]) for value in op.data])
    bits = _bits(op)
    if isinstance(op, pennylane.Projector):
        return [LinearStep(PostSelect(bit), (qubit,)) for qubit, bit in enumerate(bits)]
    if bits:
        flip = operation_steps(pennylane.X(0))
        return [replace(flip[0], qubits=(qubit,)) for qubit, bit in enumerate(bits) if bit]
    if isinstance(op, pennylane.DiagonalQubitUnitary):
        op = pennylane.QubitUnitary(np.diag(op.data[0]), wires=op.wires)
    return operation_steps(op)


def _bits(op: Any) -> tuple[int, ...]:
    """Return the bits of a basis state, () for another operation."""
    if not isinstance(op, (pennylane.BasisState, pennylane.BasisEmbedding, pennylane.Projector)):
        return ()
    return tuple(int(bit) for bit in np.asarray(op.data[0]))


def with_rotations(circuit: Circuit, rotations: Sequence[Any], labels: Sequence[Any]) -> Circuit:
    """Return a circuit with further operations of constant parameters behind it."""
    if not rotations:
        return circuit
    places = {label: qubit for qubit, label in enumerate(labels)}
    result = circuit.copy()
    for op in rotations:
        if isinstance(op, pennylane.Projector):
            raise NotKeyedError(f"{op.name} cannot rotate into the basis of a measurement.")
        extra = circuit_of(max(1, len(op.wires)), operation_steps(op))
        result.compose(extra, [places[wire] for wire in op.wires])
    return result
