"""The reader of Qiskit's instructions, and the table of gates that both directions of the conversion share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from circuits import Slot, channels, gates, steps
from circuits.computed import AngleTable
from circuits.steps import LinearAngle, LinearStep
from qml.backends.convert.qiskit_angles import (
    control_values,
    evolution,
    linear_angle,
    polynomial,
    prepared,
    refusal,
)

try:
    from qiskit import QuantumCircuit
    from qiskit.circuit import (
        AnnotatedOperation,
        Clbit,
        ControlledGate,
        ControlModifier,
        Delay,
        InverseModifier,
        ParameterExpression,
        PowerModifier,
        library,
    )
    from qiskit.circuit.exceptions import CircuitError
except ImportError as error:
    raise ImportError('Circuits in Qiskit\'s form need qiskit. Install it with: pip install "qiskit>=2.1"') from error

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


@dataclass
class QiskitReader:
    """A reader of Qiskit's instructions, each as steps on our qubits; the primitives of `qml.plugins.qiskit` extend it.

    Args:
        slots: the slot of each parameter.
        bits: the meaning of each classical bit: a measured bit, or a post-selection.
        computed: takes angles that are polynomials; without it angles are linear.
        used: qubits that have been acted on.
    """

    slots: dict[Any, Slot]
    bits: dict[Clbit, gates.Measure | gates.PostSelect]
    computed: AngleTable | None = None
    used: set[int] = field(default_factory=set)

    def circuit(
        self, source: QuantumCircuit, qubits: Sequence[int], bits: Sequence[Any], *, pure: bool
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
        self, op: Any, qubits: list[int], bits: list[Any], *, pure: bool
    ) -> list[LinearStep]:
        """Return the steps of an instruction."""
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
            return evolution(op, qubits, self.angle(op.time))
        if isinstance(op, (ControlledGate, AnnotatedOperation)):
            return self.modified(op, qubits)
        if not pure and (result := self.not_unitary(op, kind, qubits, bits)) is not None:
            return result
        return self.inlined(op, qubits, bits, pure=pure)

    def modified(self, op: Any, qubits: list[int]) -> list[LinearStep]:
        """Return the steps of a gate under controls, inverses and powers."""
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
                result = steps.inverted(result, refuse=refusal)
            elif isinstance(modifier, ControlModifier):
                start = end - modifier.num_ctrl_qubits
                values = control_values(modifier.ctrl_state, modifier.num_ctrl_qubits)
                result = steps.controlled(result, qubits[start:end], values=values)
                end = start
            elif isinstance(modifier, PowerModifier):
                result = steps.powered(result, modifier.power, refuse=refusal)
            else:
                raise refusal(f"{op.name}, an unknown modifier")
        return result

    def not_unitary(self, op: Any, kind: type, qubits: list[int], bits: list[Any]) -> list[LinearStep] | None:
        """Return the steps of a measurement, a reset, Kraus operators or amplitudes; None for anything else."""
        if kind is library.Measure:
            return [LinearStep(self.bits[bits[0]], tuple(qubits))]
        if kind is library.Reset:
            return [LinearStep(gates.Reset(), tuple(qubits))]
        if op.name == "kraus":
            return [LinearStep(channels.kraus(np.array(op.params)), tuple(qubits[::-1]))]
        if op.name in ("state_preparation", "initialize") and self.used.isdisjoint(qubits):
            return prepared(op.params, qubits[::-1])
        return None

    def inlined(self, op: Any, qubits: list[int], bits: list[Any], *, pure: bool) -> list[LinearStep]:
        """Return the steps of an instruction's definition, or its matrix."""
        if isinstance(op, library.GlobalPhaseGate):
            return [LinearStep(steps.GLOBAL_PHASE, angles=self.angles(op))]
        definition = None if getattr(op, "blocks", None) else getattr(op, "definition", None)
        if definition is not None:
            return self.circuit(definition, qubits, bits, pure=pure)
        if hasattr(op, "to_matrix") and not isinstance(op, Delay):
            try:
                matrix = op.to_matrix()
            except CircuitError as error:  # a gate of which nothing is known but its name
                raise refusal(op.name) from error
            return [steps.unitary_step(matrix, qubits[::-1], label=op.label or op.name)]
        raise refusal(op.name)

    def angles(self, op: Any) -> tuple[LinearAngle, ...]:
        """Return the angles of a gate."""
        return tuple(self.angle(value) for value in op.params)

    def angle(self, value: Any) -> LinearAngle:
        """Return an angle."""
        if not isinstance(value, ParameterExpression):
            return LinearAngle(float(value))
        linear = linear_angle(value, self.slots)
        if linear is not None:
            return linear
        if self.computed is not None:
            return self.computed.angle(polynomial(value, self.slots))
        raise ValueError(
            f"Argument `circuit` must have angles linear in its parameters, but has {value}. Compute the angle "
            "outside, and give the circuit one parameter for it. Polynomials, and functions such as acos, are read by "
            "computed_from_qiskit."
        )
