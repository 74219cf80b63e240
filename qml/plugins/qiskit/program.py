"""A circuit of Qiskit as a program of the built-in simulator: converted once a structure, run at any parameters."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from qiskit.circuit import QuantumCircuit
from torch import Tensor

from circuits import Circuit, Slot
from circuits.gates import Channel
from circuits.steps import LinearStep, circuit_of
from qml.backends import Native
from qml.plugins.qiskit.expressions import Expressions
from qml.plugins.qiskit.noise import DeviceNoise, PlacedNoise
from qml.plugins.qiskit.reading import DynamicReader
from qml.plugins.qiskit.structure import circuit_key, template_of
from qml.simulator.linear import is_mixed

MAX_PROGRAMS = 256  # kept, the one used last at the end
MAX_VARIANTS = 16  # of a program, by which slots the whole batch shares
MAX_DENSITY_GATE = 5  # qubits of a gate on a density matrix
MAX_AMPLITUDES = 2**24  # of all rows that run at once
NATIVE = Native()
_LOCK = Lock()  # of the caches of this file


@dataclass(frozen=True, eq=False)
class Program:
    """A circuit without measurements, and where its qubits and bits are.

    Attributes:
        circuit: with a data slot for each expression.
        expressions: what fills the slots.
        wires: the wire of each qubit that something acts on; the others are in |0>.
        bit_wires: the wire of each bit that is written; the others are 0.
        dephased: qubits that are measured at the end, so that X and Y have no value.
        registers: the numbers of the bits of each classical register, by its name.
        n_bits: number of classical bits.
        last: the qubit of each bit that a last measurement writes.
        noise: the device's noise; its read-out errors of last measurements are no part of the circuit.
    """

    circuit: Circuit
    expressions: Expressions
    wires: dict[int, int]
    bit_wires: dict[int, int]
    dephased: frozenset[int]
    registers: dict[str, tuple[int, ...]]
    n_bits: int
    last: dict[int, int]
    noise: PlacedNoise | None
    _variants: "OrderedDict[tuple[int, ...], Circuit]" = field(default_factory=OrderedDict)

    @cached_property
    def max_rows(self) -> int:
        """Return how many rows run at once."""
        levels = 4 if is_mixed(self.circuit) else 2
        return max(1, MAX_AMPLITUDES // levels**self.circuit.n_qubits)

    def split(self, values: Tensor) -> tuple[Circuit, Tensor, Tensor]:
        """Return a circuit, its data, (batch, inputs), and its weights: the slots that all rows share.

        The simulator fuses gates of weights into one matrix for the batch.

        Args:
            values: of the slots, (batch, slots).
        """
        shared = (values == values[:1]).all(0) & (len(values) > 0)
        key = tuple(shared.nonzero()[:, 0].tolist())
        variant = self._variants.get(key)
        if variant is None:
            variant = _with_weights(self.circuit, key)
        _keep(self._variants, key, variant, MAX_VARIANTS)
        return variant, values[:, ~shared], values[:1, shared].reshape(-1)

    def errors_of(self, bit: int) -> tuple[float, float]:
        """Return the read-out errors of a bit that are not in the circuit."""
        if self.noise is None or bit not in self.last:
            return 0.0, 0.0
        return self.noise.readout_errors(self.last[bit])


def _with_weights(circuit: Circuit, shared: tuple[int, ...]) -> Circuit:
    """Return the circuit with weight slots in place of some data slots."""
    if not shared:
        return circuit
    renamed = {number: Slot("weight", place) for place, number in enumerate(shared)}
    others = [number for number in range(circuit.n_data) if number not in renamed]
    renamed |= {number: Slot("data", place) for place, number in enumerate(others)}
    result = Circuit(circuit.n_qubits)
    for op in circuit.operations:
        angles = [renamed[angle.index] if isinstance(angle, Slot) else angle for angle in op.angles]
        result.append(op.gate, op.qubits, controls=op.controls, angles=angles)
    return result


_programs: "OrderedDict[Hashable, Program]" = OrderedDict()


def program_of(circuit: QuantumCircuit, noise: DeviceNoise | None = None) -> Program:
    """Return the program of a circuit, converted at the first circuit of its structure.

    Raises:
        ValueError: an instruction, a condition or an angle that cannot be read.
    """
    return _kept((circuit_key(circuit), noise), lambda: _converted(circuit, noise))


def lifted_program_of(circuit: QuantumCircuit, noise: DeviceNoise | None) -> tuple[Program, list[float]]:
    """Return the program of a circuit at any numbers in its standard gates, and the numbers that it has.

    Circuits that come from one circuit with bound parameters share a program.
    """
    numbers: list[float] = []
    key = ("lifted", circuit_key(circuit, lifted=numbers), noise)
    return _kept(key, lambda: _converted(template_of(circuit, len(numbers)), noise)), numbers


def _kept(key: Hashable, make: Callable[[], Program]) -> Program:
    program = _programs.get(key)
    if program is None:
        program = make()
    _keep(_programs, key, program, MAX_PROGRAMS)
    return program


def _keep(cache: "OrderedDict[Any, Any]", key: Hashable, value: Any, most: int) -> None:
    """Put what was used last at the end of a cache, and drop the oldest; jobs of Qiskit run in threads."""
    with _LOCK:
        cache[key] = value
        cache.move_to_end(key)
        while len(cache) > most:
            cache.popitem(last=False)


def _converted(circuit: QuantumCircuit, noise: DeviceNoise | None) -> Program:
    placed = None if noise is None else noise.on(_used_qubits(circuit))
    reader, steps = _read(circuit, placed)
    plain = circuit_of(max(1, reader.n_wires), steps)
    used = sorted({slot.index for op in plain for slot in op.slots})
    numbers = {number: place for place, number in enumerate(used)}
    result = Circuit(plain.n_qubits)
    for op in plain:
        angles = [Slot("data", numbers[angle.index]) if isinstance(angle, Slot) else angle for angle in op.angles]
        result.append(op.gate, op.qubits, controls=op.controls, angles=angles)
    expressions = list(reader.expressions)
    places: dict[Any, int] = {bit: number for number, bit in enumerate(circuit.clbits)}
    return Program(
        result,
        Expressions.of([expressions[number] for number in used], list(circuit.parameters)),
        reader.wires,
        reader.bit_wires,
        frozenset(reader.dephased),
        {register.name: tuple(places[bit] for bit in register) for register in circuit.cregs},
        circuit.num_clbits,
        reader.last,
        placed,
    )


def _read(circuit: QuantumCircuit, noise: PlacedNoise | None) -> tuple[DynamicReader, list[LinearStep]]:
    """Read a circuit with fresh wires, or with wires that are used again where that takes less memory."""
    recycling = DynamicReader(recycles=True, noise=noise)
    steps = recycling.read(circuit)
    if noise is not None or any(isinstance(step.gate, Channel) for step in steps):
        return recycling, steps
    fresh = DynamicReader(recycles=False)
    fresh_steps = fresh.read(circuit)
    widest = max((len(step.qubits) + len(step.controls) for step in steps), default=0)
    if fresh.n_wires <= 2 * recycling.n_wires or widest > MAX_DENSITY_GATE:
        return fresh, fresh_steps
    return recycling, steps


def _used_qubits(circuit: QuantumCircuit) -> list[int]:
    """Return the qubits that an instruction acts on."""
    used = {qubit for item in circuit.data if item.name != "barrier" for qubit in item.qubits}
    return [number for number, qubit in enumerate(circuit.qubits) if qubit in used]


def rows_of(values: Any) -> Tensor:
    """Return values of parameters as rows, (rows, parameters)."""
    array = np.asarray(values, dtype=np.float64)
    return torch.from_numpy(np.ascontiguousarray(array.reshape(math.prod(array.shape[:-1]), array.shape[-1])))
