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
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from circuits import Circuit, Operation, Slot, channels, gates, steps
from circuits.steps import LinearAngle, LinearStep

try:
    from qiskit import ClassicalRegister, QuantumCircuit
    from qiskit.circuit import (
        AnnotatedOperation,
        Clbit,
        ControlledGate,
        ControlModifier,
        Delay,
        Instruction,
        InverseModifier,
        ParameterExpression,
        ParameterVector,
        ParameterVectorElement,
        PowerModifier,
        library,
    )
    from qiskit.quantum_info import Kraus, Pauli
except ImportError as error:
    raise ImportError('Circuits in Qiskit\'s form need qiskit. Install it with: pip install "qiskit>=2.1"') from error

POST_SELECT = "post_select"
MEASURED = "measured"

CLASSES: dict[gates.UnitaryGate, Any] = {
    gates.Fixed("x"): library.XGate,
    gates.Fixed("y"): library.YGate,
    gates.Fixed("z"): library.ZGate,
    gates.Fixed("h"): library.HGate,
    gates.Fixed("s"): library.SGate,
    gates.Fixed("sdg"): library.SdgGate,
    gates.Fixed("t"): library.TGate,
    gates.Fixed("tdg"): library.TdgGate,
    gates.Fixed("swap"): library.SwapGate,
    gates.PauliRotation("X"): library.RXGate,
    gates.PauliRotation("Y"): library.RYGate,
    gates.PauliRotation("Z"): library.RZGate,
    gates.PauliRotation("XX"): library.RXXGate,
    gates.PauliRotation("YY"): library.RYYGate,
    gates.PauliRotation("ZZ"): library.RZZGate,
    gates.PauliRotation("ZX"): library.RZXGate,
    gates.XXPlusYY(): library.XXPlusYYGate,
    gates.Phase(): library.PhaseGate,
    gates.U3(): library.UGate,
}
GATES = {kind: gate for gate, kind in CLASSES.items()} | {library.U1Gate: gates.Phase(), library.U3Gate: gates.U3()}


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


def to_qiskit(circuit: Circuit, *, parameters: Sequence[ParameterVector] | None = None) -> QuantumCircuit:
    """Convert the circuit into Qiskit's form: our qubit k is Qiskit's qubit k, see the head of this module.

    Data and weight slots become the parameter vectors `data` and `weight`; mid-circuit measurements write the
    register `measured`; noise becomes Kraus instructions; exp(i t I) becomes the global phase.

    Args:
        circuit: any circuit without amplitudes from slots.
        parameters: the two vectors (data, weight) to use instead of new ones, at least as long as the circuit
            needs.

    Raises:
        ValueError: amplitudes from slots, which Qiskit cannot prepare before they are bound; vectors that are
            too short.
    """
    return _QiskitWriter(circuit, parameters).target


class _QiskitWriter:
    def __init__(self, circuit: Circuit, parameters: Sequence[ParameterVector] | None) -> None:
        counts = (circuit.n_data, circuit.n_weights)
        vectors = parameters or [ParameterVector("data", counts[0]), ParameterVector("weight", counts[1])]
        lengths = tuple(len(vector) for vector in vectors)
        if len(lengths) != 2 or any(has < needs for has, needs in zip(lengths, counts, strict=True)):
            raise ValueError(
                f"Argument `parameters` must hold two vectors of at least {counts} elements, but holds {lengths}."
            )
        self.vectors = {"data": vectors[0], "weight": vectors[1]}
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
        value = self.vectors[angle.kind][angle.index] if isinstance(angle, Slot) else angle
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


def from_qiskit(circuit: QuantumCircuit, *, data: Iterable[Any] = ()) -> Circuit:
    """Convert a Qiskit circuit into our form, Qiskit's qubit k into our qubit k.

    Elements of parameter vectors called `data` and `weight` become the slots of their index. Other parameters
    become weight slots in the order of `circuit.parameters`, after those of the vector `weight`. Rotations
    may have angles linear in the parameters. Barriers and identities leave nothing; final measurements stay
    measurements (use `circuit.remove_final_measurements(inplace=False)` for a circuit without).

    Args:
        circuit: the circuit; its global phase is kept.
        data: parameters or vectors, or their names, that become data slots, in this order; lists of them, such as
            `circuit.parameters`, count item by item.

    Raises:
        ValueError: an instruction that our circuits do not know (control flow, for example), an angle that is
            not linear in the parameters, a name in `data` that the circuit does not have.
    """
    if circuit.num_qubits == 0:
        raise ValueError("Argument `circuit` must have at least one qubit, but has none. Add a qubit.")
    reader = _QiskitReader(_slots_of(circuit, _flat(data)), _bits_of(circuit))
    read = reader.circuit(circuit, range(circuit.num_qubits), circuit.clbits, pure=False)
    return steps.circuit_of(circuit.num_qubits, read)


def _flat(data: Any) -> list[Any]:
    """Return parameters, vectors and names, those of lists one after another.

    Raises:
        TypeError: something else.
    """
    if isinstance(data, str) or hasattr(data, "name"):  # a vector is iterable too
        return [data]
    if not isinstance(data, Iterable):
        raise TypeError(
            f"Argument `data` must hold parameters, parameter vectors or their names, but holds a "
            f"{type(data).__name__}. Pass for example data=[parameter]."
        )
    return [item for part in data for item in _flat(part)]


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


@dataclass
class _QiskitReader:
    slots: dict[Any, Slot]
    bits: dict[Clbit, gates.Measure | gates.PostSelect]
    used: set[int] = field(default_factory=set)

    def circuit(
        self, source: QuantumCircuit, qubits: Sequence[int], bits: Sequence[Clbit], *, pure: bool
    ) -> list[LinearStep]:
        """Return the steps of a circuit or a definition; `pure` where only unitary gates may occur."""
        places = dict(zip(source.qubits, qubits, strict=True))
        outcomes = dict(zip(source.clbits, bits, strict=True))
        result = []
        phase = self.angle(source.global_phase)
        if phase != LinearAngle():
            result.append(LinearStep(steps.GLOBAL_PHASE, angles=(phase,)))
        for item in source.data:
            targets = [places[qubit] for qubit in item.qubits]
            result += self.instruction(item.operation, targets, [outcomes[bit] for bit in item.clbits], pure=pure)
            if item.operation.name != "barrier":
                self.used.update(targets)
        return result

    def instruction(  # noqa: PLR0911 - one return a kind of gate
        self, op: Any, qubits: list[int], bits: list[Clbit], *, pure: bool
    ) -> list[LinearStep]:
        kind = getattr(op, "base_class", type(op))
        gate = GATES.get(kind)
        # A further angle is 0 here, as XXPlusYY's beta; but that of U within a CU is read with the control.
        if gate is not None and (kind is library.UGate or not any(op.params[gate.n_angles :])):
            return [LinearStep(gate, tuple(qubits), angles=self.angles(op)[: gate.n_angles])]
        if kind in (library.Barrier, library.IGate):
            return []
        if kind is library.UnitaryGate:
            return [steps.unitary_step(op.params[0], qubits[::-1], label=op.label or "U")]
        if isinstance(op, library.PauliEvolutionGate):
            return _evolution(op, qubits, self.angle(op.time))
        if isinstance(op, (ControlledGate, AnnotatedOperation)):
            return self.modified(op, qubits)
        if not pure and (result := self.not_unitary(op, kind, qubits, bits)) is not None:
            return result
        return self.inlined(op, qubits, bits, pure=pure)

    def modified(self, op: Any, qubits: list[int]) -> list[LinearStep]:
        if isinstance(op, AnnotatedOperation):
            base, modifiers = op.base_op, list(op.modifiers)
        else:
            base, modifiers = op.base_gate, [ControlModifier(op.num_ctrl_qubits, op.ctrl_state)]
            if op.num_qubits != op.num_ctrl_qubits + base.num_qubits:
                return self.inlined(op, qubits, [], pure=True)  # ancillas behind the target, as in MCXVChain
        result = self.instruction(base, qubits[len(qubits) - base.num_qubits :], [], pure=True)
        if isinstance(base, library.UGate) and len(op.params) == 4:  # CUGate: the last angle is a phase
            result.append(LinearStep(steps.GLOBAL_PHASE, angles=(self.angle(op.params[3]),)))
        end = len(qubits) - base.num_qubits
        for modifier in modifiers:
            if isinstance(modifier, InverseModifier):
                result = steps.inverted(result, refuse=_refusal)
            elif isinstance(modifier, ControlModifier):
                start = end - modifier.num_ctrl_qubits
                values = _bits(modifier.ctrl_state, modifier.num_ctrl_qubits)
                result = steps.controlled(result, qubits[start:end], values=values)
                end = start
            elif isinstance(modifier, PowerModifier):
                result = steps.powered(result, modifier.power, refuse=_refusal)
            else:
                raise _refusal(f"{op.name}, an unknown modifier")
        return result

    def not_unitary(self, op: Any, kind: type, qubits: list[int], bits: list[Clbit]) -> list[LinearStep] | None:
        if kind is library.Measure:
            return [LinearStep(self.bits[bits[0]], tuple(qubits))]
        if kind is library.Reset:
            return [LinearStep(gates.Reset(), tuple(qubits))]
        if op.name == "kraus":
            return [LinearStep(channels.kraus(np.array(op.params)), tuple(qubits[::-1]))]
        if op.name in ("state_preparation", "initialize") and self.used.isdisjoint(qubits):
            return _prepared(op.params, qubits[::-1])
        return None

    def inlined(self, op: Any, qubits: list[int], bits: list[Clbit], *, pure: bool) -> list[LinearStep]:
        if isinstance(op, library.GlobalPhaseGate):
            return [LinearStep(steps.GLOBAL_PHASE, angles=self.angles(op))]
        definition = None if getattr(op, "blocks", None) else getattr(op, "definition", None)
        if definition is not None:
            return self.circuit(definition, qubits, bits, pure=pure)
        if hasattr(op, "to_matrix") and not isinstance(op, Delay):
            return [steps.unitary_step(op.to_matrix(), qubits[::-1], label=op.label or op.name)]
        raise _refusal(op.name)

    def angles(self, op: Any) -> tuple[LinearAngle, ...]:
        return tuple(self.angle(value) for value in op.params)

    def angle(self, value: Any) -> LinearAngle:
        if not isinstance(value, ParameterExpression):
            return LinearAngle(float(value))
        terms = []
        for parameter in value.parameters:
            slope = value.gradient(parameter)
            if isinstance(slope, ParameterExpression):
                raise ValueError(
                    f"Argument `circuit` must have angles linear in its parameters, but has {value}. Compute "
                    "the angle outside, and give the circuit one parameter for it."
                )
            terms.append((self.slots[parameter], float(slope)))
        constant = float(value.bind(dict.fromkeys(value.parameters, 0.0)))
        return LinearAngle(constant, tuple(sorted(terms, key=lambda term: (term[0].kind, term[0].index))))


def _bits(state: Any, n_bits: int) -> list[int]:
    """Return the values of controls, Qiskit's first control the least significant; a whole number by now."""
    return [int(state) >> place & 1 for place in range(n_bits)]


def _prepared(amplitudes: list[Any], qubits: list[int]) -> list[LinearStep] | None:
    """Return amplitudes as such; None for labels and integers, which Qiskit's own definition spells out."""
    if len(amplitudes) != 2 ** len(qubits) or not all(isinstance(value, (complex, float)) for value in amplitudes):
        return None
    return [LinearStep(gates.StatePreparation(len(qubits), gates.Array.of(np.array(amplitudes))), tuple(qubits))]


def _evolution(op: Any, qubits: list[int], time: LinearAngle) -> list[LinearStep]:
    operators = op.operator if isinstance(op.operator, list) else [op.operator]
    terms = [term for operator in operators for term in operator.to_sparse_list()]
    words = [dict(zip(places, letters, strict=True)) for letters, places, _ in terms]
    if not all(_commute(left, right) for left, right in combinations(words, 2)):
        raise _refusal(f"{op.name} of terms that do not commute, which Qiskit only approximates,")
    result = []
    for word, (_, _, coefficient) in zip(words, terms, strict=True):
        paulis = {qubits[place]: letter for place, letter in sorted(word.items()) if letter in "XYZ"}
        values = {qubits[place]: int(letter) for place, letter in sorted(word.items()) if letter in "01"}
        if len(paulis) + len(values) != len(word) or abs(complex(coefficient).imag) > 0.0:
            raise _refusal(f"{op.name} of {op.operator}")
        factor, angle = complex(coefficient).real, time.scaled(2.0 * complex(coefficient).real)
        gate = gates.PauliRotation("".join(paulis.values()))
        step = LinearStep(gate, tuple(paulis), angles=(angle,))
        if not paulis:
            step = LinearStep(steps.GLOBAL_PHASE, angles=(time.scaled(-factor),))
        result += steps.controlled([step], list(values), values=list(values.values()))
    return result


def _commute(left: dict[int, str], right: dict[int, str]) -> bool:
    clashes = [(left[q], right[q]) for q in left.keys() & right.keys() if left[q] != right[q]]
    clashes = [pair for pair in clashes if not set(pair) <= set("Z01")]
    return not clashes or (len(clashes) % 2 == 0 and set("".join(map("".join, clashes))) <= set("XYZ"))


def _kraus(operators: np.ndarray) -> Instruction:
    matrices: Any = list(operators)  # the constructor's annotation leaves lists out
    return Kraus(matrices).to_instruction()


def _refusal(name: str) -> ValueError:
    return ValueError(
        "Argument `circuit` must hold gates, resets, measurements, Kraus instructions and amplitudes only, "
        f"but holds {name}. Decompose it with Qiskit first, or leave it out."
    )
