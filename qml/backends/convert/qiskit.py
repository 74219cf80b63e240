"""Circuits to and from Qiskit.

Qubit order: our qubit k is Qiskit's qubit k. The circuits look alike and device layouts read as expected;
what differs is how results are written. Our qubit 0 is the most significant bit of a basis index (and the
first letter of a bit string), Qiskit's is the least significant (and the last letter). `reverse_qubits` turns
one into the other; whatever reads a state vector, a probability vector or a matrix from Qiskit goes through
it.

Post-selection cannot be said in a Qiskit circuit. It is written as a measurement into the classical register
`post_select`, bit k for the k-th post-selection, and the values to keep stand in
`circuit.metadata["post_select"]`; whoever reads the shots drops the others. A state-vector simulator does not
do that by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from circuits import Circuit, ComputedCircuit, Operation, Slot, gates, steps
from circuits.computed import AngleTable
from circuits.steps import LinearStep
from qml.backends.convert.qiskit_angles import expression_of, flattened

try:
    from qiskit import ClassicalRegister, QuantumCircuit
    from qiskit.circuit import Clbit, Instruction, ParameterVector, ParameterVectorElement, library
    from qiskit.quantum_info import Kraus, Pauli
except ImportError as error:
    raise ImportError('Circuits in Qiskit\'s form need qiskit. Install it with: pip install "qiskit>=2.1"') from error
from qml.backends.convert.qiskit_control import ControlFlowReader
from qml.backends.convert.qiskit_flow import flattened_flow, has_control_flow
from qml.backends.convert.qiskit_observables import observable_from_qiskit as observable_from_qiskit  # noqa: PLC0414
from qml.backends.convert.qiskit_observables import observable_to_qiskit as observable_to_qiskit  # noqa: PLC0414
from qml.backends.convert.qiskit_reader import CLASSES, QiskitReader

POST_SELECT = "post_select"
MEASURED = "measured"


def reverse_qubits(values: Any, *, axis: int = -1) -> np.ndarray:
    """Reverse the bits of one index of an array: from Qiskit's qubit order to ours, and back.

    Args:
        values: an array with 2**n entries along `axis`: amplitudes, probabilities, or one side of a matrix.
        axis: the axis of the basis index.

    Raises:
        ValueError: the axis has no power of two as its length.
    """
    array = np.asarray(values)
    side = array.shape[axis]
    n_qubits = side.bit_length() - 1
    if side != 2**n_qubits:
        raise ValueError(f"Argument `values` must have 2**n entries along axis {axis}, but has {side}.")
    order = np.arange(side).reshape((2,) * n_qubits).transpose().reshape(-1)
    return np.take(array, order, axis=axis)


def to_qiskit(
    circuit: Circuit | ComputedCircuit, *, parameters: Sequence[ParameterVector] | None = None
) -> QuantumCircuit:
    """Convert the circuit into Qiskit's form: our qubit k is Qiskit's qubit k, see the head of this module.

    Data and weight slots become the parameter vectors `data` and `weight`; mid-circuit measurements write the
    register `measured`; noise becomes Kraus instructions; exp(i t I) becomes the global phase.

    Args:
        circuit: any circuit without amplitudes from slots. The angles of a `ComputedCircuit` become expressions of
            its inputs, the vector `data`, and of all its weights by their common numbers.
        parameters: the two vectors (data, weight) to use instead of new ones, at least as long as the circuit
            needs.

    Raises:
        ValueError: amplitudes from slots, which Qiskit cannot prepare before they are bound; vectors that are
            too short.
    """
    return _QiskitWriter(circuit, parameters).target


class _QiskitWriter:
    def __init__(self, source: Circuit | ComputedCircuit, parameters: Sequence[ParameterVector] | None) -> None:
        computed = source if isinstance(source, ComputedCircuit) else None
        circuit = source.circuit if isinstance(source, ComputedCircuit) else source
        counts = (circuit.n_data if computed is None else computed.n_inputs, source.n_weights)
        vectors = parameters or [ParameterVector("data", counts[0]), ParameterVector("weight", counts[1])]
        lengths = tuple(len(vector) for vector in vectors)
        if len(lengths) != 2 or any(has < needs for has, needs in zip(lengths, counts, strict=True)):
            raise ValueError(
                f"Argument `parameters` must hold two vectors of at least {counts} elements, but holds {lengths}."
            )
        self.slots: dict[Slot, Any] = {Slot("data", k): vectors[0][k] for k in range(counts[0])}
        self.slots |= {Slot("weight", k): vectors[1][k] for k in range(counts[1])}
        if computed is not None:
            self.slots = _computed_slots(computed, vectors)
        self.target = QuantumCircuit(circuit.n_qubits)
        if circuit.n_bits:
            self.target.add_register(ClassicalRegister(circuit.n_bits, MEASURED))
        selected = [op.gate.value for op in circuit if isinstance(op.gate, gates.PostSelect)]
        post_select = ClassicalRegister(len(selected), POST_SELECT)
        if selected:
            self.target.add_register(post_select)
            self.target.metadata = {POST_SELECT: selected}
        self.free_bits = iter(post_select)
        for op in circuit:
            self.add(op)

    def angle(self, angle: Slot | float, scale: float = 1.0) -> Any:
        value = self.slots[angle] if isinstance(angle, Slot) else angle
        return value if scale == 1.0 else scale * value

    def add(self, op: Operation) -> None:
        qubits = list(op.qubits)
        match op.gate:
            case gates.PauliRotation() if set(op.gate.pauli) == {"I"}:
                self.add_phase(op, op.gate.factor)
            case gates.Reset():
                self.target.reset(qubits)
            case gates.Measure(bit):
                self.target.measure(qubits[0], bit)
            case gates.PostSelect():
                self.target.measure(qubits[0], next(self.free_bits))
            case gates.Channel(kraus):
                self.target.append(_kraus(kraus.values), qubits[::-1])
            case gates.StatePreparation(_, gates.Array() as amplitudes):
                self.target.append(library.StatePreparation(amplitudes.values.tolist()), qubits[::-1])
            case gates.StatePreparation():
                raise ValueError(
                    "Argument `circuit` must have constant amplitudes to be written for Qiskit, but "
                    "prepares them from slots. Call Circuit.bind first."
                )
            case gates.UnitaryGate():
                self.add_unitary(op, op.gate)
            case _:
                raise TypeError(f"Argument `circuit` must hold gates of circuits.gates, but holds {op.gate!r}.")

    def add_unitary(self, op: Operation, gate: gates.UnitaryGate) -> None:
        """Append a gate by Qiskit's name for it; one without a name as its matrix, or as its parts by parameters."""
        usual, scale = gate.usual
        if usual in CLASSES:
            written = CLASSES[usual](*(self.angle(angle, scale) for angle in op.angles))
            self.add_gate(written, list(op.qubits), op.controls)
        elif isinstance(gate, gates.PauliRotation):
            word = Pauli(gate.pauli[::-1])
            evolution = library.PauliEvolutionGate(word, self.angle(op.angles[0], -gate.factor))
            self.add_gate(evolution, list(op.qubits), op.controls)
        elif op.slots:
            for part in op.parts():
                self.add(part)
        else:
            matrix = replace(op, controls=()).matrix()
            label = gate.label if isinstance(gate, gates.Unitary) else gate.name
            # A matrix's first qubit is our most and Qiskit's least significant.
            self.add_gate(library.UnitaryGate(matrix, label=label), list(op.qubits[::-1]), op.controls)

    def add_gate(self, gate: Any, qubits: list[int], controls: Sequence[int]) -> None:
        # annotated=False: built at once, and about a third shorter once transpiled than a deferred control.
        written = gate.control(len(controls), annotated=False) if controls else gate
        self.target.append(written, [*controls, *qubits])

    def add_phase(self, op: Operation, factor: float) -> None:
        phase = self.angle(op.angles[0], factor)
        if op.controls:
            self.add_gate(library.PhaseGate(phase), [op.controls[-1]], op.controls[:-1])
        else:
            self.target.global_phase += phase


def _computed_slots(circuit: ComputedCircuit, vectors: Sequence[ParameterVector]) -> dict[Slot, Any]:
    """Return what stands for each slot of a circuit."""
    inputs, weights = vectors
    own: dict[Slot, Any] = {Slot("data", k): inputs[k] for k in range(circuit.n_inputs)}
    own |= {Slot("weight", k): weights[number] for k, number in enumerate(circuit.angle_weights)}
    result: dict[Slot, Any] = {Slot("weight", k): weights[number] for k, number in enumerate(circuit.circuit_weights)}
    return result | {Slot("data", k): expression_of(angle, own) for k, angle in enumerate(circuit.angles)}


def from_qiskit(circuit: QuantumCircuit, *, data: Iterable[Any] = ()) -> Circuit:
    """Convert a Qiskit circuit into our form, Qiskit's qubit k into our qubit k.

    Elements of parameter vectors called `data` and `weight` become the slots of their index. Other parameters
    become weight slots in the order of `circuit.parameters`, after those of the vector `weight`. Rotations
    may have angles linear in the parameters. Barriers and identities leave nothing; final measurements stay
    measurements (use `circuit.remove_final_measurements(inplace=False)` for a circuit without).

    What stands under a condition on measured bits (`if_else`, `switch`) is controlled by the measured qubit, or by a
    fresh qubit behind the others to which the outcome is copied, as in `from_openqasm`. Loops are written out, with
    `break` and `continue` by branches; a `while` on measured bits needs a variable that bounds its runs.

    Args:
        circuit: the circuit; its global phase is kept.
        data: parameters or vectors, or their names, that become data slots, in this order; lists of them, such as
            `circuit.parameters`, count item by item.

    Raises:
        ValueError: an instruction that our circuits do not know, a loop without a known bound, an angle that is not
            linear in the parameters, a name in `data` that the circuit does not have.
    """
    return steps.circuit_of(*_read(circuit, _slots_of(circuit, flattened(data)), None))


def computed_from_qiskit(circuit: QuantumCircuit, *, data: Iterable[Any] = ()) -> ComputedCircuit:
    """Convert a Qiskit circuit whose angles are polynomials of its parameters and of functions of them.

    The circuit knows only angles; each angle that is not linear in the parameters, such as (pi - x[0]) * (pi - x[1]),
    w * x or sin(x[0]) / x[1], becomes a data slot with a polynomial, of a degree of at most 32. Functions are sin, cos,
    tan, their inverses, exp, log, abs, powers and quotients. A weight that occurs in a polynomial is a weight of the
    polynomials.

    Args:
        circuit: the circuit; see `from_qiskit`.
        data: parameters or vectors, or their names, that become inputs, in this order. Others become weights, but for
            the elements of a vector called `data`.

    Raises:
        ValueError: as `from_qiskit`; an angle with another function, such as sign(x).

    Example:
        >>> from qiskit.circuit.library import zz_feature_map
        >>> computed_from_qiskit(zz_feature_map(2, reps=1), data=["x"]).n_inputs
        2
    """
    slots = _slots_of(circuit, flattened(data))
    n_inputs = max((slot.index + 1 for slot in slots.values() if slot.kind == "data"), default=0)
    table = AngleTable(n_inputs)
    return table.circuit(*_read(circuit, slots, table))


def _read(circuit: QuantumCircuit, slots: dict[Any, Slot], computed: AngleTable | None) -> tuple[int, list[LinearStep]]:
    """Return the number of qubits and the steps of a circuit."""
    if circuit.num_qubits == 0:
        raise ValueError("Argument `circuit` must have at least one qubit, but has none. Add a qubit.")
    reader = QiskitReader(slots, _bits_of(circuit), computed)
    if has_control_flow(circuit):
        return ControlFlowReader(reader, circuit.num_qubits).circuit(flattened_flow(circuit), circuit.clbits)
    return circuit.num_qubits, reader.circuit(circuit, range(circuit.num_qubits), circuit.clbits, pure=False)


def _slots_of(circuit: QuantumCircuit, data: list[Any]) -> dict[Any, Slot]:
    slots: dict[Any, Slot] = {}
    others = []
    for parameter in circuit.parameters:
        vector = parameter.vector.name if isinstance(parameter, ParameterVectorElement) else ""
        if vector in ("data", "weight"):
            slots[parameter] = Slot(vector, parameter.index)
        else:
            others.append((parameter, vector))
    counts = {"data": 0, "weight": 0}
    for slot in slots.values():
        counts[slot.kind] = max(counts[slot.kind], slot.index + 1)
    for item in data:
        name = item if isinstance(item, str) else item.name
        chosen = [pair for pair in others if name in (pair[0].name, pair[1])]
        if not chosen:
            names = sorted({vector or parameter.name for parameter, vector in others})
            raise ValueError(f"Argument `data` must name parameters of the circuit, {names}, but names {name!r}.")
        for pair in chosen:
            slots[pair[0]] = Slot("data", counts["data"])
            counts["data"] += 1
            others.remove(pair)
    for parameter, _ in others:
        slots[parameter] = Slot("weight", counts["weight"])
        counts["weight"] += 1
    return slots


def _bits_of(circuit: QuantumCircuit) -> dict[Clbit, gates.Measure | gates.PostSelect]:
    selected = (circuit.metadata or {}).get(POST_SELECT, [])
    register = next((register for register in circuit.cregs if register.name == POST_SELECT), ())
    bits: dict[Clbit, gates.Measure | gates.PostSelect] = {
        bit: gates.PostSelect(value) for bit, value in zip(register, selected, strict=False)
    }
    free = [bit for bit in circuit.clbits if bit not in bits]
    return bits | {bit: gates.Measure(place) for place, bit in enumerate(free)}


def _kraus(operators: np.ndarray) -> Instruction:
    matrices: Any = list(operators)  # the constructor's annotation leaves lists out
    return Kraus(matrices).to_instruction()
