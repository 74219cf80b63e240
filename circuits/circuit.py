"""The circuit: a list of operations whose angles are constants, data slots or weight slots.

Conventions, for the whole package: qubit 0 is the most significant bit of a basis index, RX(t) = exp(-i t X / 2),
angles are in radians, Pauli strings read qubit 0 first. Every circuit starts in |0...0>.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from circuits import _checks, channels, drawing
from circuits.gates import Array, Channel, Gate, GateMethods, Measure, PostSelect, Qubits, Reset, StatePreparation
from circuits.operation import Operation
from circuits.slots import Angle, Slot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_DERIVED = 64  # results that a circuit keeps, such as narrower circuits for sets of qubits that were read
T = TypeVar("T")


class Circuit(GateMethods):
    """A quantum circuit on `n_qubits`, built by appending operations.

    Every gate method returns the circuit, so that calls can be chained, and every unitary gate takes `controls=`.

    Args:
        n_qubits: number of qubits, at least 1.

    Attributes:
        operations: the operations so far, in order.

    Raises:
        ValueError: a qubit out of range or named twice, an angle that is not finite, a matrix that is not unitary.

    Example:
        >>> from circuits import Circuit, data, weight
        >>> circuit = Circuit(2).ry(data(0), 0).cx(0, 1).rz(weight(0), 1)
        >>> circuit.n_data, circuit.n_weights
        (1, 1)
    """

    def __init__(self, n_qubits: int) -> None:
        self._n_qubits = _checks.as_int(n_qubits, "n_qubits", minimum=1)
        self._operations: list[Operation] = []
        self._derived: dict[str, tuple[int, Any]] = {}

    # --- properties -------------------------------------------------------------------------------------------------

    @property
    def n_qubits(self) -> int:
        """Return the number of qubits."""
        return self._n_qubits

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return the operations in order."""
        return self.derived("operations", lambda: tuple(self._operations))

    @property
    def n_data(self) -> int:
        """Return the number of data slots; refuse numbers with gaps."""
        return self._n_slots("data")

    @property
    def n_weights(self) -> int:
        """Return the number of weight slots; refuse numbers with gaps."""
        return self._n_slots("weight")

    @property
    def n_bits(self) -> int:
        """Return the number of classical bits that mid-circuit measurements write."""
        return max((op.gate.bit + 1 for op in self._operations if isinstance(op.gate, Measure)), default=0)

    @property
    def is_unitary(self) -> bool:
        """Tell whether only unitary gates (and state preparations) occur."""
        return all(op.is_unitary or op.is_preparation for op in self._operations)

    def _n_slots(self, kind: Literal["data", "weight"]) -> int:
        return self.derived(
            kind,
            lambda: _checks.require_no_gaps(
                kind, (slot.index for op in self._operations for slot in op.slots if slot.kind == kind)
            ),
        )

    def derived(self, key: str, make: Callable[[], T]) -> T:
        """Return `make()`, computed once and kept until the circuit grows or 32 other keys were used since."""
        entry = self._derived.get(key)
        if entry is None or entry[0] != len(self._operations):
            self._derived.pop(key, None)
            self._derived[key] = entry = (len(self._operations), make())
        elif len(self._derived) > MAX_DERIVED // 2:  # the most recently used come last; few stay where they are, since
            self._derived.pop(key, None)  # torch.compile takes a change of order for a change of the circuit
            self._derived[key] = entry
        while len(self._derived) > MAX_DERIVED:
            self._derived.pop(next(iter(self._derived)), None)
        return entry[1]

    def __len__(self) -> int:
        return len(self._operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return self._n_qubits == other._n_qubits and self._operations == other._operations

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # it can still grow

    def __repr__(self) -> str:
        return f"Circuit(n_qubits={self._n_qubits}, operations={len(self._operations)})"

    def __str__(self) -> str:
        return str(self.draw())

    # --- building ---------------------------------------------------------------------------------------------------

    def append(self, gate: Gate, qubits: Qubits, *, controls: Qubits = (), angles: Sequence[Any] = ()) -> "Circuit":
        """Append any entry of the gate table; the named methods below are shorthands for it.

        Args:
            gate: an entry of `circuits.gates`.
            qubits: where it acts, the most significant bit of its matrix first.
            controls: further qubits that must read 1 for the gate to act.
            angles: radians, as many as the gate takes: numbers, data slots or weight slots.

        Raises:
            ValueError: a qubit out of range or named twice, a wrong number of qubits or angles, an angle that is not
                finite, controls on something that is not unitary.
            TypeError: an angle that is neither a number nor a slot, or a tensor that requires gradients.
        """
        targets = _checks.as_qubits(qubits, self._n_qubits)
        control_qubits: tuple[int, ...] = ()
        if controls != ():
            control_qubits = _checks.as_qubits(controls, self._n_qubits, "controls")
            _checks.as_qubits(control_qubits + targets, self._n_qubits)
        if not targets:
            raise ValueError(f"Argument `qubits` must name at least one qubit for gate {gate.name}, but is empty.")
        fix = " Call the method once for each qubit." if gate.n_qubits == 1 else ""
        _checks.require_length(targets, gate.n_qubits, "qubits", f"qubits for gate {gate.name}", fix)
        _checks.require_length(angles, gate.n_angles, "angles", f"angles for gate {gate.name}")
        operation = Operation(gate, targets, control_qubits, tuple(_checks.as_angle(angle) for angle in angles))
        if control_qubits and not operation.is_unitary:
            raise ValueError(f"Argument `controls` must be empty for `{gate.name}`, but is {control_qubits}.")
        if operation.is_preparation:
            self._require_fresh(targets)
            _require_data_slots(operation.angles)
        self._operations.append(operation)
        return self

    def _require_fresh(self, qubits: tuple[int, ...]) -> None:
        used = sorted({qubit for op in self._operations for qubit in op.all_qubits} & set(qubits))
        if used:
            raise ValueError(
                f"Amplitudes must be prepared on qubits that are still |0>, but qubits {used} already have operations. "
                "Prepare them first."
            )

    def prepare(self, amplitudes: Any, qubits: Qubits | None = None) -> "Circuit":
        """Prepare constant amplitudes, shape (2**k,) and norm 1, on k qubits that are still |0> (default: all)."""
        targets = _checks.as_qubits(range(self._n_qubits) if qubits is None else qubits, self._n_qubits)
        values = _checks.as_amplitudes(amplitudes, len(targets))
        return self.append(StatePreparation(len(targets), Array.of(values)), targets)

    def prepare_slots(self, slots: Sequence[Slot], qubits: Qubits | None = None) -> "Circuit":
        """Prepare amplitudes that come in with each sample, on qubits that are still |0> (default: all).

        Their norm is 1, so only derivatives along the sphere have a meaning: those along the amplitudes themselves
        differ from one way of simulating to another.

        Args:
            slots: `2**k` data slots for real amplitudes; or `2 * 2**k`, all real parts and then all imaginary parts.
            qubits: k qubits.
        """
        targets = _checks.as_qubits(range(self._n_qubits) if qubits is None else qubits, self._n_qubits)
        side = 2 ** len(targets)
        if len(slots) not in (side, 2 * side):
            raise ValueError(
                f"Argument `slots` must hold {side} (real) or {2 * side} (complex) slots for {len(targets)} qubits, "
                f"but holds {len(slots)}."
            )
        gate = StatePreparation(len(targets), is_complex=len(slots) == 2 * side)
        return self.append(gate, targets, angles=slots)

    def reset(self, qubit: int) -> "Circuit":
        """Put the qubit back to |0>, whatever its state."""
        return self.append(Reset(), qubit)

    def measure(self, qubit: int, *, bit: int | None = None) -> "Circuit":
        """Measure in the Z basis and go on; the outcome is classical bit `bit` (default: the next free one)."""
        place = self.n_bits if bit is None else _checks.as_int(bit, "bit", minimum=0)
        return self.append(Measure(place), qubit)

    def post_select(self, qubit: int, value: int) -> "Circuit":
        """Keep only the runs in which the qubit reads `value`, 0 or 1, and renormalise."""
        if value not in (0, 1):
            raise ValueError(f"Argument `value` must be 0 or 1, but is {value!r}.")
        return self.append(PostSelect(int(value)), qubit)

    def noise(self, channel: Channel, qubits: Qubits) -> "Circuit":
        """Append a noise channel from `circuits.channels`."""
        if not isinstance(channel, Channel):
            raise TypeError(f"Argument `channel` must come from circuits.channels, but is {type(channel).__name__}.")
        return self.append(channel, qubits)

    def kraus(self, operators: Any, qubits: Qubits) -> "Circuit":
        """Append a noise channel by its Kraus operators, shape (operators, 2**k, 2**k)."""
        return self.noise(channels.kraus(operators), qubits)

    # --- making others ----------------------------------------------------------------------------------------------

    def copy(self) -> "Circuit":
        """Return a circuit with the same operations that grows on its own."""
        result = Circuit(self._n_qubits)
        result._operations = list(self._operations)
        return result

    def compose(
        self, other: "Circuit", qubits: Iterable[int] | None = None, *, fresh_weights: bool = False
    ) -> "Circuit":
        """Append `other` here, its qubit k on `qubits[k]` (default: the same numbers); slots keep their numbers.

        Args:
            other: what is appended.
            qubits: where it acts.
            fresh_weights: number its weights after those that are here, so that none is shared.
        """
        if not isinstance(other, Circuit):
            raise TypeError(
                f"Argument `other` must be a Circuit, but is {type(other).__name__}. Put computed angles first: "
                "ComputedCircuit(circuit, (), 0).compose(other) where this circuit has no data slots."
                if hasattr(other, "circuit")
                else f"Argument `other` must be a Circuit, but is {type(other).__name__}."
            )
        if _checks.as_flag(fresh_weights, "fresh_weights"):
            other = other.shift_slots(weights=self.n_weights)
        places = _checks.as_qubits(range(other.n_qubits) if qubits is None else qubits, self._n_qubits)
        _checks.require_length(places, other.n_qubits, "qubits", "qubits, one for each of the other circuit")
        extended = self.copy()  # so that a refusal half-way leaves this circuit as it was
        for op in other.operations:
            targets, controls = ([places[q] for q in group] for group in (op.qubits, op.controls))
            extended.append(op.gate, targets, controls=controls, angles=op.angles)
        self._operations = extended._operations
        return self

    def control(self, n_controls: int = 1, *, values: Sequence[int] | None = None) -> "Circuit":
        """Return the circuit under controls, which are the qubits 0..n_controls-1; the circuit's own follow.

        The global phase counts: it becomes a phase of the controls. Slots keep their numbers.

        Args:
            n_controls: number of controls, at least 1.
            values: 0 or 1 for each control, what it must read (default: 1 everywhere).

        Raises:
            ValueError: an operation that is not unitary, or a preparation of amplitudes; values other than 0 and 1.
        """
        n_controls = _checks.as_int(n_controls, "n_controls", minimum=1)
        values = [1] * n_controls if values is None else list(values)
        _checks.require_length(values, n_controls, "values", "values, one for each control")
        for value in values:
            _checks.require_choice(value, "values", (0, 1))
        self._require_unitary("control")
        result = Circuit(n_controls + self._n_qubits)
        zeros = [control for control, value in enumerate(values) if not value]
        for control in zeros:
            result.x(control)
        for op in self._operations:
            targets, controls = ([n_controls + q for q in group] for group in (op.qubits, op.controls))
            result.append(op.gate, targets, controls=[*range(n_controls), *controls], angles=op.angles)
        for control in zeros:
            result.x(control)
        return result

    def power(self, exponent: int) -> "Circuit":
        """Return the circuit `exponent` times in a row with the same slots; a negative power inverts, 0 is empty.

        Raises:
            ValueError: an operation that is not unitary; a negative power of a circuit that is not unitary.
        """
        exponent = _checks.as_int(exponent, "exponent", minimum=-math.inf)
        self._require_unitary("power")
        base = self.inverse() if exponent < 0 else self
        result = Circuit(self._n_qubits)
        result._operations = base._operations * abs(exponent)
        return result

    def repeat(self, n_times: int, *, fresh_data: bool = False) -> "Circuit":
        """Return the circuit `n_times` in a row, each time with weights of its own.

        Repetition r has `weight(r * n_weights + k)` for `weight(k)`, and bits of its own for mid-circuit measurements.

        Args:
            n_times: number of repetitions, at least 1.
            fresh_data: give each repetition data slots of its own too; else all upload the same data.
        """
        n_times = _checks.as_int(n_times, "n_times", minimum=1)
        n_data = self.n_data if _checks.as_flag(fresh_data, "fresh_data") else 0
        result = Circuit(self._n_qubits)
        for repetition in range(n_times):
            copy = self.shift_slots(data=repetition * n_data, weights=repetition * self.n_weights)
            for op in copy._operations:
                gate = Measure(op.gate.bit + repetition * self.n_bits) if isinstance(op.gate, Measure) else op.gate
                result.append(gate, op.qubits, controls=op.controls, angles=op.angles)
        return result

    def shift_slots(self, *, data: int = 0, weights: int = 0) -> "Circuit":
        """Return the circuit with `data(k + data)` for `data(k)`, and with `weight(k + weights)` for `weight(k)`."""
        shifts = {
            "data": _checks.as_int(data, "data", minimum=0),
            "weight": _checks.as_int(weights, "weights", minimum=0),
        }
        return self._with_slots(lambda slot: Slot(slot.kind, slot.index + shifts[slot.kind]))

    def renumber(self, *, data: Sequence[int] | None = None, weights: Sequence[int] | None = None) -> "Circuit":
        """Return the circuit with other numbers of slots; equal numbers let slots share a value.

        Args:
            data: the new number of each data slot (default: as they are).
            weights: the new number of each weight slot (default: as they are).

        Raises:
            ValueError: another count of numbers than the circuit has slots.

        Example:
            >>> from circuits import Circuit, weight
            >>> Circuit(2).rx(weight(0), 0).rx(weight(1), 1).renumber(weights=[0, 0]).n_weights
            1
        """
        numbers: dict[str, Sequence[int]] = {}
        for kind, given, count in (("data", data, self.n_data), ("weight", weights, self.n_weights)):
            name = "data" if kind == "data" else "weights"
            numbers[kind] = range(count) if given is None else _checks.as_ints(given, name, 0, at_least=0)
            _checks.require_length(numbers[kind], count, name, f"numbers, one for each {kind} slot")
        return self._with_slots(lambda slot: Slot(slot.kind, numbers[slot.kind][slot.index]))

    def _with_slots(self, renamed: Callable[[Slot], Slot]) -> "Circuit":
        result = Circuit(self._n_qubits)
        for op in self._operations:
            angles = tuple(renamed(angle) if isinstance(angle, Slot) else angle for angle in op.angles)
            result._operations.append(replace(op, angles=angles))
        return result

    def _require_unitary(self, method: str) -> None:
        for op in self._operations:
            if not op.is_unitary:
                raise ValueError(f"Circuit.{method} must find only unitary gates, but found `{op.name}`. Leave it out.")

    def bind(self, data: Any = (), weights: Any = ()) -> "Circuit":
        """Return a new circuit with every slot filled: data shape (n_data,), weights shape (n_weights,).

        Raises:
            ValueError: a wrong number of values, or a value that is not finite.
        """
        values = {"data": np.asarray(data, dtype=float), "weight": np.asarray(weights, dtype=float)}
        for kind, count in (("data", self.n_data), ("weight", self.n_weights)):
            if values[kind].shape != (count,):
                name = "data" if kind == "data" else "weights"
                raise ValueError(f"Argument `{name}` must have shape ({count},), but has shape {values[kind].shape}.")
        result = Circuit(self._n_qubits)
        for op in self._operations:
            angles = tuple(
                _checks.as_angle(values[angle.kind][angle.index]) if isinstance(angle, Slot) else angle
                for angle in op.angles
            )
            result._operations.append(op.with_angles(angles))
        return result

    def weights_as_data(self) -> "Circuit":
        """Return the same circuit with a weight vector a sample: `weight(k)` becomes `data(n_data + k)`."""

        def make() -> Circuit:
            n_data = self.n_data
            return self._with_slots(lambda slot: Slot("data", n_data + slot.index) if slot.kind == "weight" else slot)

        return self.derived("weights as data", make)

    def inverse(self) -> "Circuit":
        """Return the inverse circuit, with the same slots.

        A slot's angle cannot change sign inside a circuit, so a rotation about P by a slot turns into a rotation with
        the opposite factor; see `Operation.inverse`.

        Raises:
            ValueError: an operation that is not unitary.
        """
        result = Circuit(self._n_qubits)
        for op in reversed(self._operations):
            result._operations.extend(op.inverse())
        return result

    def draw(self, output: Literal["text", "svg", "mpl"] = "text", **options: Any) -> "str | Figure":
        """Draw the circuit as text, as an SVG picture or as a matplotlib figure; see `circuits.drawing`."""
        return drawing.draw(self._n_qubits, self.operations, output, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the circuit's picture, and its text for terminals, to IPython, which picks what it can show."""
        return drawing.draw_for_notebook(self._n_qubits, self.operations)


def _require_data_slots(angles: Sequence[Angle]) -> None:
    if not all(isinstance(slot, Slot) and slot.kind == "data" for slot in angles):
        raise ValueError(
            "Argument `slots` must hold data slots only, because amplitudes need norm 1 in each sample. "
            "For constant amplitudes use Circuit.prepare; for trained states use rotations."
        )
