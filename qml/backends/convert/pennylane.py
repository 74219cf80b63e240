"""Circuits to and from PennyLane.

Qubit order: our qubit k is wire k, and both read the first as the most significant bit, so that nothing is
reversed. Post-selection is `measure(..., postselect=value)`, a reset is `measure(..., reset=True)`.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from circuits import Circuit, Operation, Slot, channels, gates, steps
from circuits.steps import LinearAngle, LinearStep
from qml.backends.convert.pennylane_observables import observable_from_pennylane as observable_from_pennylane  # noqa: PLC0414
from qml.backends.convert.pennylane_observables import observable_to_pennylane as observable_to_pennylane  # noqa: PLC0414

try:
    import pennylane
    from pennylane.ops import Adjoint, Conditional, Controlled
    from pennylane.tape import QuantumScript, make_qscript
except ImportError as error:
    raise ImportError(
        'Circuits in PennyLane\'s form need pennylane. Install it with: pip install "pennylane>=0.43"'
    ) from error

# PennyLane's name for a gate, and the factor of its angle there.
NAMES: dict[gates.UnitaryGate, tuple[Callable[..., Any], float]] = {
    gates.Fixed("x"): (pennylane.X, 1.0),
    gates.Fixed("y"): (pennylane.Y, 1.0),
    gates.Fixed("z"): (pennylane.Z, 1.0),
    gates.Fixed("h"): (pennylane.Hadamard, 1.0),
    gates.Fixed("s"): (pennylane.S, 1.0),
    gates.Fixed("sdg"): (lambda wires: pennylane.adjoint(pennylane.S(wires)), 1.0),
    gates.Fixed("t"): (pennylane.T, 1.0),
    gates.Fixed("tdg"): (lambda wires: pennylane.adjoint(pennylane.T(wires)), 1.0),
    gates.Fixed("swap"): (pennylane.SWAP, 1.0),
    gates.PauliRotation("X"): (pennylane.RX, 1.0),
    gates.PauliRotation("Y"): (pennylane.RY, 1.0),
    gates.PauliRotation("Z"): (pennylane.RZ, 1.0),
    gates.PauliRotation("XX"): (pennylane.IsingXX, 1.0),
    gates.PauliRotation("YY"): (pennylane.IsingYY, 1.0),
    gates.PauliRotation("ZZ"): (pennylane.IsingZZ, 1.0),
    gates.XXPlusYY(): (pennylane.IsingXY, -1.0),
    gates.Phase(): (pennylane.PhaseShift, 1.0),
    gates.U3(): (pennylane.U3, 1.0),
}
GATES = {name: (gate, factor) for gate, (name, factor) in NAMES.items()} | {pennylane.U1: (gates.Phase(), 1.0)}
IDENTITIES = (pennylane.Barrier, pennylane.Identity)
MARKERS = ("Snapshot", "WireCut", "MidMeasureMP", "PauliMeasure")  # have no decomposition, and yet are no identities
N_PROBES = 2  # points at which the angles of a quantum function are checked to be linear
LINEARITY_TOLERANCE = 1e-9
DATA_NAMES, WEIGHT_NAMES = ("data", "inputs", "features", "x"), ("weights", "params", "parameters", "theta")
"""What arguments of quantum functions are usually called; in the other place they are taken for a mistake."""

QuantumFunction = Callable[..., Any]


def to_pennylane(circuit: Circuit, *, wires: Sequence[Any] | None = None) -> QuantumFunction:
    """Return the circuit as a quantum function `function(data, weights)`, to be called inside a QNode.

    Data have shape (..., n_data) and may be broadcast, weights have shape (n_weights,). The function returns
    its mid-circuit measurements, one a classical bit. Amplitudes are prepared first, as devices want it; they
    are on fresh qubits, so nothing changes.

    Args:
        circuit: any circuit.
        wires: labels of the wires for qubits 0, 1, ... (default: 0, 1, ...).

    Example:
        >>> import pennylane
        >>> from circuits import Circuit, data
        >>> function = to_pennylane(Circuit(1).ry(data(0), 0))
        >>> @pennylane.qnode(pennylane.device("default.qubit"))
        ... def node(data):
        ...     function(data, [])
        ...     return pennylane.expval(pennylane.Z(0))
    """
    labels = list(range(circuit.n_qubits) if wires is None else wires)
    if len(labels) != circuit.n_qubits:
        raise ValueError(f"Argument `wires` must hold {circuit.n_qubits} labels, but holds {len(labels)}.")
    n_data, n_weights, n_bits = circuit.n_data, circuit.n_weights, circuit.n_bits
    ordered = sorted(circuit.operations, key=lambda op: not op.is_preparation)

    def function(data: Any = (), weights: Any = ()) -> tuple[Any, ...]:
        values = {"data": _checked(data, n_data, "data"), "weight": _checked(weights, n_weights, "weights")}
        outcomes: list[Any] = [None] * n_bits
        for op in ordered:
            outcome = _apply(op, labels, values)
            if isinstance(op.gate, gates.Measure):
                outcomes[op.gate.bit] = outcome
        return tuple(outcomes)

    return function


def _checked(values: Any, n_slots: int, name: str) -> Any:
    values = values if hasattr(values, "shape") else np.asarray(values)
    if n_slots and values.shape[-1:] != (n_slots,):
        raise ValueError(f"Argument `{name}` must have shape (..., {n_slots}), but has shape {tuple(values.shape)}.")
    return values


def _apply(  # noqa: PLR0911 - one return a kind of gate
    op: Operation, labels: list[Any], values: dict[str, Any]
) -> Any:
    angles = [values[angle.kind][..., angle.index] if isinstance(angle, Slot) else angle for angle in op.angles]
    wires = [labels[qubit] for qubit in op.qubits]
    match op.gate:
        case gates.Reset():
            return pennylane.measure(wires[0], reset=True)
        case gates.Measure():
            return pennylane.measure(wires[0])
        case gates.PostSelect(value):
            return pennylane.measure(wires[0], postselect=value)
        case gates.Channel(kraus):
            return pennylane.QubitChannel(list(kraus.values), wires=wires)
        case gates.StatePreparation():
            return pennylane.StatePrep(_amplitudes(op.gate, angles), wires=wires)
        case gates.UnitaryGate() as gate if op.slots and not _has_name(gate):
            for part in op.parts():
                _apply(part, labels, values)
            return None
    if not op.controls:
        return _gate(op.gate, angles, wires)
    with pennylane.QueuingManager.stop_recording():
        gate = _gate(op.gate, angles, wires)
    return pennylane.ctrl(gate, control=[labels[qubit] for qubit in op.controls])


def _amplitudes(gate: gates.StatePreparation, angles: list[Any]) -> Any:
    if gate.amplitudes is not None:
        return gate.amplitudes.values
    stacked = pennylane.math.stack(  # pyright: ignore[reportAttributeAccessIssue]
        angles, axis=-1
    )
    if not gate.is_complex:
        return stacked
    half = len(angles) // 2
    return stacked[..., :half] + 1j * stacked[..., half:]


def _has_name(gate: gates.UnitaryGate) -> bool:
    """Tell whether PennyLane has a gate for this one, at any angle."""
    return isinstance(gate, gates.PauliRotation) or gate.usual[0] in NAMES


def _gate(gate: gates.Gate, angles: list[Any], wires: list[Any]) -> Any:
    """Return a gate by PennyLane's name for it; one without a name as its matrix."""
    if not isinstance(gate, gates.UnitaryGate):
        raise TypeError(f"Argument `circuit` must hold gates of circuits.gates, but holds {gate!r}.")
    if isinstance(gate, gates.PauliRotation) and set(gate.pauli) == {"I"}:
        return pennylane.GlobalPhase(-gate.factor * angles[0], wires=wires)
    usual, scale = gate.usual
    if usual in NAMES:
        name, factor = NAMES[usual]
        return name(*(_scaled(angle, factor * scale) for angle in angles), wires=wires)
    if isinstance(gate, gates.PauliRotation):
        return pennylane.PauliRot(_scaled(angles[0], scale), gate.pauli, wires=wires)
    return pennylane.QubitUnitary(gate.matrix_at(*angles), wires=wires)


def _scaled(angle: Any, factor: float) -> Any:
    return angle if factor == 1.0 else factor * angle


def from_pennylane(
    source: Any,
    *,
    n_data: int | tuple[int, ...] = 0,
    n_weights: int | tuple[int, ...] = 0,
    wires: Sequence[Any] | None = None,
) -> Circuit:
    """Convert a PennyLane tape, quantum function or QNode into a circuit.

    A tape has numbers as its angles, and they stay constants. A function is called as `function(data,
    weights)`, or without arguments where `n_data` and `n_weights` are 0, at n_data + n_weights + 3 points:
    angles that are linear in its arguments become slots, exactly. Its return value (and a tape's final
    measurements) is a read-out, and is left out. Barriers and identities leave no operation.

    Args:
        source: a `QuantumScript`, a quantum function or a `QNode`.
        n_data: length of the function's first argument, or its shape, whose elements become slots row by row.
        n_weights: length or shape of its second, as (2, 3) for weights that are used as weights[layer, qubit].
        wires: the labels that become qubits 0, 1, ... (default: 0..max for integers, else in the order of
            their use).

    Raises:
        ValueError: a function of other arguments, or with the weights first; an operation that our circuits do not
            know (a conditional, for example), an angle that is not linear in the arguments, a circuit whose gates
            depend on the arguments' values, broadcast angles; an element that is not there.
    """
    tapes, slots = _tapes(source, _as_shape(n_data, "n_data"), _as_shape(n_weights, "n_weights"))
    labels = list(_wires(tapes[0]) if wires is None else wires)
    lowered = [PennyLaneReader(tape, labels).steps for tape in tapes]
    merged = [_merged(list(column), slots) for column in _aligned(lowered)]
    return steps.circuit_of(max(len(labels), 1), merged)


def _as_shape(size: Any, name: str) -> tuple[int, ...]:
    sizes = size if isinstance(size, tuple) else (size,)
    if not all(isinstance(length, (int, np.integer)) and length >= 0 for length in sizes):
        raise ValueError(f"Argument `{name}` must be a length or a tuple of lengths of at least 0, but is {size!r}.")
    return tuple(map(int, sizes))


def _tapes(source: Any, data: tuple[int, ...], weights: tuple[int, ...]) -> tuple[list[Any], list[Slot]]:
    """Return the tape at 0, at each unit vector, and at random points."""
    if isinstance(source, QuantumScript):
        return [source], []
    function = source.func if isinstance(source, pennylane.QNode) else source
    n_data = math.prod(data)
    slots = [Slot("data", k) for k in range(n_data)] + [Slot("weight", k) for k in range(math.prod(weights))]
    _require_arguments(function, bool(slots))
    if not slots:
        return [make_qscript(function)()], slots
    try:
        tapes = [
            make_qscript(function)(point[:n_data].reshape(data), point[n_data:].reshape(weights))
            for point in _points(len(slots))
        ]
    except IndexError as error:
        raise ValueError(
            f"Argument `source` must use elements of arguments of shapes {data} and {weights}, but takes others: "
            f"{error}. Pass the shapes that it expects, for example n_weights=(2, 3) for weights[layer, qubit]."
        ) from error
    return tapes, slots


def _require_arguments(function: Callable[..., Any], has_slots: bool) -> None:
    """Refuse a function of other arguments than `(data, weights)`, or of these in another order."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # of a function that is not written in Python
        return
    try:
        signature.bind(*(("data", "weights") if has_slots else ()))
    except TypeError as error:
        fix = (
            "Its first argument must be the data and its second the weights; wrap it, as in lambda data, weights: "
            "function(weights), where it takes one of them."
            if has_slots
            else "Pass the lengths or shapes of its two arguments, data and weights, as n_data= and n_weights=."
        )
        raise ValueError(
            f"Argument `source` must be a function of (data, weights), but is one of {signature}. {fix}"
        ) from error
    names = list(signature.parameters)[:2]
    if has_slots and len(names) == 2 and (names[0] in WEIGHT_NAMES or names[1] in DATA_NAMES):
        raise ValueError(
            f"Argument `source` must take the data first and the weights second, but takes ({names[0]}, {names[1]}). "
            "Pass lambda data, weights: function(weights, data)."
        )


def _points(n_slots: int) -> np.ndarray:
    random = np.random.default_rng(0).normal(size=(N_PROBES, n_slots))
    return np.concatenate([np.zeros((1, n_slots)), np.eye(n_slots), random])


def _wires(tape: Any) -> list[Any]:
    wires = list(tape.wires)
    if all(isinstance(wire, int) and wire >= 0 for wire in wires):
        return list(range(max(wires, default=0) + 1))
    return wires


def _aligned(lowered: list[list[LinearStep]]) -> Iterable[tuple[LinearStep, ...]]:
    shapes = [[(step.qubits, step.controls, step.gate) for step in tape] for tape in lowered]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            "Argument `source` must apply the same gates for every value of its arguments, but a gate, its "
            "wires or its matrix depends on them. Use gates whose angles are the arguments, and "
            "Circuit.prepare_slots for amplitudes."
        )
    return zip(*lowered, strict=True)


def _merged(column: list[LinearStep], slots: list[Slot]) -> LinearStep:
    """Return a step whose angles are linear in the slots, from the step's values at all points."""
    values = np.array([[angle.constant for angle in step.angles] for step in column])
    if not slots:
        return column[0]
    constant, slopes = values[0], values[1 : len(slots) + 1] - values[0]
    expected = constant + _points(len(slots))[-N_PROBES:] @ slopes
    if not np.allclose(values[-N_PROBES:], expected, rtol=0.0, atol=LINEARITY_TOLERANCE):
        raise ValueError(
            "Argument `source` must have angles linear in its arguments, but an angle of "
            f"{column[0].gate.name} is not. Compute the angle outside, and give the circuit one slot for it; "
            "qml.nn.Angles computes products and functions of inputs and weights within a QuantumLayer."
        )
    angles = (
        LinearAngle(float(offset), tuple(pair for pair in zip(slots, map(float, row), strict=True) if pair[1] != 0.0))
        for offset, row in zip(constant, slopes.T, strict=True)
    )
    return LinearStep(column[0].gate, column[0].qubits, column[0].controls, tuple(angles))


class PennyLaneReader:
    """The steps of one tape, all angles constants."""

    def __init__(self, tape: Any, labels: list[Any]) -> None:
        self.labels, self.used, self.bits = labels, set[int](), count()
        values = [value for final in tape.measurements for value in _outcomes(final)]
        self.read_later = {id(measurement) for value in values for measurement in value.measurements}
        self.steps: list[LinearStep] = []
        for op in tape.operations:
            self.steps += self.operation(op, pure=False)
            if type(op) not in IDENTITIES:
                self.used.update(self.qubits(op.wires))

    def qubits(self, wires: Iterable[Any]) -> tuple[int, ...]:
        """Return the qubits of wires."""
        for wire in wires:
            if wire not in self.labels:
                raise ValueError(f"Argument `wires` must hold every wire, but lacks {wire!r}.")
        return tuple(self.labels.index(wire) for wire in wires)

    def operation(self, op: Any, *, pure: bool) -> list[LinearStep]:
        """Return the steps of an operation; `pure` where only unitary gates may occur (controls, adjoints)."""
        if op.batch_size is not None:
            raise ValueError(
                f"Argument `source` must have one value an angle, but {op.name} has {op.batch_size}. Give a "
                "function with `n_data`, whose slots are broadcast when the circuit runs."
            )
        if isinstance(op, Controlled):
            values = [int(value) for value in op.control_values]
            return steps.controlled(self.operation(op.base, pure=True), self.qubits(op.control_wires), values=values)
        if isinstance(op, Adjoint):
            return steps.inverted(self.operation(op.base, pure=True), refuse=_refusal)
        result = self.gate(op)
        if result is None and not pure:
            result = self.not_unitary(op)
        return self.inlined(op, pure=pure) if result is None else result

    def gate(self, op: Any) -> list[LinearStep] | None:
        """Return the step of a gate that has a name here, None for any other operation."""
        kind, qubits = type(op), self.qubits(op.wires)
        if kind in IDENTITIES:
            return []
        if kind is pennylane.QubitUnitary:
            return [steps.unitary_step(np.array(op.data[0]), qubits)]
        if kind is pennylane.GlobalPhase:
            return [LinearStep(steps.GLOBAL_PHASE, angles=(LinearAngle(-float(op.data[0])),))]
        if kind is pennylane.PauliRot:
            gate, factor = gates.PauliRotation(op.hyperparameters["pauli_word"]), 1.0
        elif kind is pennylane.MultiRZ:
            gate, factor = gates.PauliRotation("Z" * len(qubits)), 1.0
        elif kind in GATES:
            gate, factor = GATES[kind]
        else:
            return None
        return [LinearStep(gate, qubits, angles=tuple(LinearAngle(factor * float(value)) for value in op.data))]

    def not_unitary(self, op: Any) -> list[LinearStep] | None:
        """Return the steps of a measurement, a channel or amplitudes, None for any other operation."""
        qubits = self.qubits(op.wires)
        if op.name == "MidMeasureMP":
            return self.measurement(op, qubits)
        if isinstance(op, pennylane.operation.Channel):
            return [LinearStep(channels.kraus(np.stack([np.array(matrix) for matrix in op.kraus_matrices()])), qubits)]
        if isinstance(op, pennylane.StatePrep) and self.used.isdisjoint(qubits):
            return [LinearStep(gates.StatePreparation(len(qubits), gates.Array.of(np.array(op.data[0]))), qubits)]
        return None

    def measurement(self, op: Any, qubits: tuple[int, ...]) -> list[LinearStep]:
        """Return the steps of a measurement, a post-selection or a reset."""
        if op.postselect is not None:
            result = [LinearStep(gates.PostSelect(int(op.postselect)), qubits)]
        elif id(op) in self.read_later or not op.reset:
            result = [LinearStep(gates.Measure(next(self.bits)), qubits)]
        else:
            result = []  # a reset is a measurement whose outcome nobody reads
        return result + ([LinearStep(gates.Reset(), qubits)] if op.reset else [])

    def inlined(self, op: Any, *, pure: bool) -> list[LinearStep]:
        """Return the steps of what an operation decomposes into, or of its matrix."""
        if isinstance(op, Conditional) or op.name in MARKERS:
            raise _refusal(op.name)
        if op.has_decomposition:  # an empty one, as of X**2, is an identity
            return [step for part in op.decomposition() for step in self.operation(part, pure=pure)]
        if getattr(op, "has_matrix", False):
            return [steps.unitary_step(np.asarray(pennylane.matrix(op)), self.qubits(op.wires), label=op.name)]
        raise _refusal(op.name)


def _outcomes(final: Any) -> list[Any]:
    if final.mv is None:
        return []
    return list(final.mv) if isinstance(final.mv, (list, tuple)) else [final.mv]


def _refusal(name: str) -> ValueError:
    return ValueError(
        "Argument `source` must hold gates, measurements, resets, channels and amplitudes only, but holds "
        f"{name}. Decompose it with PennyLane first, or leave it out."
    )
