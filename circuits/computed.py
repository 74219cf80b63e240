"""A circuit together with the polynomials that compute the angles in its data slots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from circuits import _checks
from circuits.circuit import Circuit
from circuits.polynomials import Monomial, Polynomial
from circuits.slots import Slot
from circuits.steps import LinearAngle, LinearStep, circuit_of


@dataclass(frozen=True)
class ComputedCircuit:
    """A circuit whose data slot k holds the value of the polynomial `angles[k]` in the inputs.

    A `QuantumLayer` takes it in place of a circuit, and computes the angles by a `qml.nn.Angles`. Polynomials may hold
    weights of their own, numbered from 0; the circuit's weights are others.

    Args:
        circuit: a circuit that knows only angles.
        angles: a polynomial for each of its data slots.
        n_inputs: number of inputs, which may exceed those that occur.
        circuit_weights: the numbers that the circuit's weights had where both kinds were numbered together, in the
            source of a conversion; by default they come first.
        angle_weights: the same for the weights in the polynomials; by default they follow.

    Raises:
        ValueError: another number of polynomials than of data slots, an input beyond `n_inputs`, numbers that are
            missing or repeated.
    """

    circuit: Circuit
    angles: tuple[Polynomial, ...]
    n_inputs: int
    circuit_weights: tuple[int, ...] = ()
    angle_weights: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _checks.require_length(self.angles, self.circuit.n_data, "angles", "polynomials, one for each data slot")
        variables = frozenset[Slot]().union(*(angle.variables for angle in self.angles))
        used = max((variable.index + 1 for variable in variables if variable.kind == "data"), default=0)
        _checks.as_int(self.n_inputs, "n_inputs", used, " The angles use so many inputs.")
        n_own = _checks.require_no_gaps("weight", (item.index for item in variables if item.kind == "weight"))
        n_circuit = self.circuit.n_weights
        if not self.circuit_weights and not self.angle_weights:
            object.__setattr__(self, "circuit_weights", tuple(range(n_circuit)))
            object.__setattr__(self, "angle_weights", tuple(range(n_circuit, n_circuit + n_own)))
        _checks.require_length(self.circuit_weights, n_circuit, "circuit_weights", "numbers, one for each weight")
        _checks.require_length(self.angle_weights, n_own, "angle_weights", "numbers, one for each weight")
        if len({*self.circuit_weights, *self.angle_weights}) != n_circuit + n_own:
            raise ValueError("Arguments `circuit_weights` and `angle_weights` must hold every number once, but do not.")

    @property
    def n_qubits(self) -> int:
        """Return the number of qubits."""
        return self.circuit.n_qubits

    @property
    def n_weights(self) -> int:
        """Return the number of weights, those of the circuit and those in the polynomials."""
        return len(self.circuit_weights) + len(self.angle_weights)

    def data(self, inputs: Any, weights: Any = ()) -> np.ndarray:
        """Return the data of the circuit, shape (..., n_data), for inputs of shape (..., n_inputs).

        Args:
            inputs: real numbers.
            weights: of the polynomials, shape (len(angle_weights),).
        """
        samples = np.asarray(inputs, dtype=float)
        if samples.shape[-1:] != (self.n_inputs,):
            raise ValueError(
                f"Argument `inputs` must have shape (..., {self.n_inputs}), but has shape {samples.shape}."
            )
        values = [angle.values(samples, weights) for angle in self.angles]
        return np.stack(values, -1) if values else np.zeros((*samples.shape[:-1], 0))

    def bind(self, inputs: Any, weights: Any = ()) -> Circuit:
        """Return a circuit of constants: inputs of shape (n_inputs,), and all weights by their common numbers."""
        values = np.asarray(weights, dtype=float)
        own = values[list(self.angle_weights)] if self.angle_weights else ()
        others = values[list(self.circuit_weights)] if self.circuit_weights else ()
        return self.circuit.bind(self.data(inputs, own), others)

    def compose(self, other: "Circuit | ComputedCircuit", qubits: Iterable[int] | None = None) -> "ComputedCircuit":
        """Return this circuit with another one behind, whose weights are numbered after those that are here.

        Args:
            other: an ansatz without data slots, or a circuit with computed angles, which takes the same inputs.
            qubits: where it acts (default: the same numbers).

        Raises:
            ValueError: data slots in a plain circuit: nothing says how they are computed.
        """
        if isinstance(other, Circuit):
            if other.n_data:
                raise ValueError(
                    f"Argument `other` must hold weights only, but has {other.n_data} data slots. Make it a "
                    "ComputedCircuit, which says what they hold."
                )
            other = ComputedCircuit(other, (), 0)
        n_own, n_all = len(self.angle_weights), self.n_weights
        angles, numbers = list(self.angles), []
        for angle in other.angles:
            shifted = _shifted(angle, n_own)
            if shifted not in angles:
                angles.append(shifted)
            numbers.append(angles.index(shifted))
        renumbered = other.circuit.renumber(data=numbers)
        joined = self.circuit.copy().compose(renumbered, qubits, fresh_weights=True)
        return ComputedCircuit(
            joined,
            tuple(angles),
            max(self.n_inputs, other.n_inputs),
            (*self.circuit_weights, *(n_all + number for number in other.circuit_weights)),
            (*self.angle_weights, *(n_all + number for number in other.angle_weights)),
        )

    def repeat(self, n_times: int) -> "ComputedCircuit":
        """Return the circuit `n_times` in a row, of the same inputs, each time with weights of its own.

        Args:
            n_times: number of repetitions, at least 1.
        """
        result = self
        for _ in range(_checks.as_int(n_times, "n_times", minimum=1) - 1):
            result = result.compose(self)
        return result

    def draw(self, output: Literal["text", "svg", "mpl"] = "text", **options: Any) -> Any:
        """Draw the circuit, whose data slots hold the angles, as `Circuit.draw`."""
        return self.circuit.draw(output, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.circuit._repr_mimebundle_(include, exclude)


def _shifted(angle: Polynomial, n_weights: int) -> Polynomial:
    own = {item: Slot("weight", item.index + n_weights) for item in angle.variables if item.kind == "weight"}
    return angle.renamed(own)


@dataclass
class AngleTable:
    """The polynomials that a reader of a foreign circuit meets, each in a data slot behind those of the inputs.

    Args:
        n_inputs: number of inputs of the source, which have the slots before.
    """

    n_inputs: int
    slots: dict[Polynomial, Slot] = field(default_factory=dict)
    polynomials: dict[Slot, Polynomial] = field(default_factory=dict)  # the same, the other way

    def angle(self, polynomial: Polynomial) -> LinearAngle:
        """Return a polynomial as an angle: linear ones as they are, others as a slot of their own."""
        if not polynomial.is_linear:
            slot = self.slots.setdefault(polynomial, Slot("data", self.n_inputs + len(self.slots)))
            self.polynomials[slot] = polynomial
            return LinearAngle.of(slot)
        constant = sum((coefficient for coefficient, monomial in polynomial.terms if not monomial), 0.0)
        terms = ((monomial[0][0], value) for value, monomial in polynomial.terms if monomial)
        return LinearAngle(constant, tuple((slot, value) for slot, value in terms if isinstance(slot, Slot)))

    def polynomial(self, angle: LinearAngle) -> Polynomial:
        """Return an angle as a polynomial of inputs and weights, those of its slots put in."""
        terms: list[tuple[float, Monomial]] = [(angle.constant, ())]
        for slot, factor in angle.terms:
            known = self.polynomials.get(slot, Polynomial.of(slot))
            terms += [(factor * coefficient, monomial) for coefficient, monomial in known.terms]
        return Polynomial(tuple(terms))

    def circuit(self, n_qubits: int, steps: Sequence[LinearStep]) -> ComputedCircuit:
        """Return the circuit of the steps with the polynomials that it uses.

        A weight that occurs in a polynomial is computed with everywhere, so that it has one place.
        """
        circuit = circuit_of(n_qubits, steps)
        by_slot = self.polynomials
        used = sorted({slot for op in circuit for slot in op.slots}, key=lambda slot: (slot.kind, slot.index))
        moved = {item for slot in used for item in by_slot.get(slot, Polynomial(())).variables if item.kind == "weight"}
        own = {item: Slot("weight", k) for k, item in enumerate(sorted(moved, key=lambda slot: slot.index))}
        computed = [slot for slot in used if slot.kind == "data" or slot in moved]
        kept = [slot for slot in used if slot.kind == "weight" and slot not in moved]
        numbers = {slot: Slot("data", k) for k, slot in enumerate(computed)}
        numbers |= {slot: Slot("weight", k) for k, slot in enumerate(kept)}
        result = Circuit(n_qubits)
        for op in circuit:
            angles = tuple(numbers[angle] if isinstance(angle, Slot) else angle for angle in op.angles)
            result.append(op.gate, op.qubits, controls=op.controls, angles=angles)
        return ComputedCircuit(
            result,
            tuple(by_slot.get(slot, Polynomial.of(slot)).renamed(own) for slot in computed),
            self.n_inputs,
            tuple(slot.index for slot in kept),
            tuple(slot.index for slot in own),
        )
