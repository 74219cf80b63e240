"""Circuits as OpenQASM 2 text.

The language has neither inputs nor global phases nor controls on gates. A global phase is written as four gates that
multiply the state by it, so that the unitary is kept to the last digit; gates under many controls as gates under one
or two (`circuits.multi_controlled`). Only gates of the first qelib1.inc (arXiv:1707.03429) are written, which every
tool has.
"""

from dataclasses import replace

from circuits import gates
from circuits.circuit import Circuit
from circuits.multi_controlled import with_few_controls
from circuits.multiplexed import prepare_by_rotations
from circuits.openqasm.definitions import Definitions
from circuits.openqasm.gates import FIXED, rotation_definition
from circuits.operation import Operation
from circuits.two_level import unitary_by_gates

NAMES: dict[gates.Gate, str] = {**{gate: name for name, gate in FIXED.items()}, gates.Phase(): "u1"}
BIND_ADVICE = "Call Circuit.bind first, or write version 3."


class Version2Writer:
    """Writes a circuit statement by statement, and keeps the definitions that they need."""

    def __init__(self) -> None:
        self.definitions = Definitions()

    def text(self, circuit: Circuit) -> str:
        """Return the program."""
        names = [f"q[{k}]" for k in range(circuit.n_qubits)]
        body = [line for op in circuit for line in self.lines(op, names)]
        bits = [f"creg c[{circuit.n_bits}];"] if circuit.n_bits else []
        head = ["OPENQASM 2.0;", 'include "qelib1.inc";', *self.definitions.values()]
        return "\n".join([*head, f"qreg q[{circuit.n_qubits}];", *bits, *body]) + "\n"

    def lines(self, op: Operation, names: list[str]) -> list[str]:
        """Return the statements of an operation on qubits called `names`."""
        place = names[op.qubits[0]]
        if op.slots:
            raise ValueError(
                "Argument `circuit` must be free of slots to be written as OpenQASM 2, which has no inputs, but has "
                f"{op.slots[0]}. {BIND_ADVICE}"
            )
        match op.gate:
            case gates.UnitaryGate():
                return [line for part in op.elementary() for line in self.unitary(part, names)]
            case gates.Reset():
                return [f"reset {place};"]
            case gates.Measure(bit):
                return [f"measure {place} -> c[{bit}];"]
            case gates.StatePreparation(_, gates.Array() as amplitudes):
                parts = prepare_by_rotations(Circuit(len(names)), amplitudes.values, op.qubits)
                return [line for part in parts for line in self.lines(part, names)]
        raise ValueError(
            "Argument `circuit` must be free of noise and post-selection to be written as OpenQASM 2, but has "
            f"{op.name} on {op.qubits}. Post-selection can be written in version 3."
        )

    def unitary(self, op: Operation, names: list[str]) -> list[str]:
        """Return the statements of an elementary gate."""
        gate = op.gate
        if isinstance(gate, gates.PauliRotation) or gate in NAMES:
            return [line for part in with_few_controls(op) for line in self.simple(part, names)]
        if not isinstance(gate, gates.ConstantGate):
            return [line for part in op.parts() for line in self.lines(part, names)]
        if op.controls:
            parts = unitary_by_gates(gate.matrix_at())
            moved = [_moved(part, op) for part in parts]
            return [line for part in moved for line in self.lines(part, names)]
        return [_call(self.definitions.unitary(gate, self.lines), (), op.qubits, names)]

    def simple(self, op: Operation, names: list[str]) -> list[str]:
        """Return the statements of a gate under at most two controls."""
        gate = op.gate
        if not isinstance(gate, gates.PauliRotation):
            return [_call("c" * len(op.controls) + NAMES[gate], op.angles, op.all_qubits, names)]
        angle = float(op.angles[0])  # pyright: ignore[reportArgumentType]  # no slot: `lines` has seen to it
        pairs = [(letter, qubit) for letter, qubit in zip(gate.pauli, op.qubits, strict=True) if letter != "I"]
        letters, qubits = "".join(letter for letter, _ in pairs), tuple(qubit for _, qubit in pairs)
        if not letters:  # exp(i t): P(t), X, P(t), X
            phase = _call("u1", (gate.factor * angle,), op.qubits[:1], names)
            return [phase, f"x {names[op.qubits[0]]};"] * 2
        if len(letters) > 1:
            self.definitions[letters] = rotation_definition(letters)
        name = "c" * len(op.controls) + f"r{letters.lower()}"
        return [_call(name, (-2.0 * gate.factor * angle,), (*op.controls, *qubits), names)]


def _moved(part: Operation, whole: Operation) -> Operation:
    """Return a part of a gate on the qubits of the gate, and under its controls."""
    qubits, controls = (tuple(whole.qubits[place] for place in places) for places in (part.qubits, part.controls))
    return replace(part, qubits=qubits, controls=(*whole.controls, *controls))


def _call(name: str, angles: tuple[object, ...], qubits: tuple[int, ...], names: list[str]) -> str:
    written = f"({', '.join(repr(float(angle)) for angle in angles)})" if angles else ""  # pyright: ignore[reportArgumentType]
    return f"{name}{written} {', '.join(names[qubit] for qubit in qubits)};"
