"""Expectation values from shots: which Pauli strings are measured together, and how bits become values.

Strings that agree on every qubit where both act are measured in one basis. One circuit serves all bases: before the
final measurement each qubit that is read in several bases is rotated by two angles, so that a basis is a choice of
angles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from circuits import Circuit, Observable, Slot
from circuits import data as data_slot
from circuits.gates import Measure, PostSelect
from circuits.observables import PauliFactors
from qml.backends.shift.evaluation import Means

QUARTER_TURN = np.pi / 2
ROTATIONS_TO_Z = {"X": (0.0, -QUARTER_TURN), "Y": (-QUARTER_TURN, -QUARTER_TURN), "Z": (0.0, 0.0)}
"""Angles of RZ and then RY that rotate a Pauli matrix to Z."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A circuit that ends in measurements of every string of some observables.

    Args:
        circuit: gates, resets and measurements; its first slots are the original's, the others choose the basis.
        bases: the angles of each basis, (bases, further slots).
        terms: for each basis, its strings as (coefficients (observables,), bits whose parity is the string's value).
        kept: pairs (bit, value) that post-selection keeps.
    """

    circuit: Circuit
    bases: np.ndarray
    terms: tuple[tuple[tuple[np.ndarray, tuple[int, ...]], ...], ...]
    kept: tuple[tuple[int, int], ...]

    @property
    def n_bases(self) -> int:
        """Return the number of circuits that a row of angles takes."""
        return len(self.bases)

    def rows(self, angles: np.ndarray, basis: int) -> np.ndarray:
        """Append the angles of a basis to angles (rows, slots); return (rows, all slots)."""
        return np.concatenate([angles, np.repeat(self.bases[basis : basis + 1], len(angles), axis=0)], axis=1)

    def shots(self, shots: int, *, equal: bool) -> list[int]:
        """Return the shots of each basis, `shots` on average: equal, or in proportion to the deviations' bounds.

        Strings are taken as independent, each with the largest deviation that it can have, its coefficient.
        """
        bounds = np.array([np.sqrt(sum((c**2).sum() for c, read in terms if read)) for terms in self.terms])
        if equal or not bounds.any():
            return [shots] * self.n_bases
        return np.maximum(1, np.floor(shots * self.n_bases * bounds / bounds.sum())).astype(int).tolist()

    def values(self, bits: np.ndarray, basis: int) -> np.ndarray:
        """Return the contribution of each shot in a basis, (..., shots, observables); 0 if post-selection drops it."""
        total = np.zeros((*bits.shape[:-1], len(self.terms[basis][0][0]) if self.terms[basis] else 0))
        for coefficients, read in self.terms[basis]:
            parity = np.bitwise_xor.reduce(bits[..., read], axis=-1) if read else np.zeros(bits.shape[:-1], np.uint8)
            total += coefficients * (1.0 - 2.0 * parity)[..., None]
        return total * self.keeps(bits)[..., None]

    def means(self, bits: Sequence[np.ndarray]) -> Means:
        """Compute means and standard errors (rows, columns) of bits (rows, shots, n_bits) in each basis.

        Columns are the observables, summed over the bases. Where there is post-selection, they are the observables of
        one basis after the other, and the last observable of a basis is the probability of success.
        """
        values, squares = [], []
        for basis, basis_bits in enumerate(bits):
            outcomes = self.values(basis_bits, basis)
            if self.kept:
                outcomes[..., -1] = self.keeps(basis_bits)
            values.append(outcomes.mean(1))
            squares.append(outcomes.var(1) / outcomes.shape[1])
        if self.kept:
            return np.concatenate(values, axis=1), np.sqrt(np.concatenate(squares, axis=1))
        return sum(values[1:], values[0]), np.sqrt(sum(squares[1:], squares[0]))

    def keeps(self, bits: np.ndarray) -> np.ndarray:
        """Return 1 for each shot that post-selection keeps, 0 for the others, (..., shots)."""
        result = np.ones(bits.shape[:-1])
        for bit, value in self.kept:
            result *= bits[..., bit] == value
        return result


def measure_observables(circuit: Circuit, observables: Sequence[Observable]) -> Measured:
    """Append the measurements that the observables need, in as few bases as a greedy search finds."""
    groups = _groups(observables)
    result, kept = with_bits(circuit)
    read = sorted({qubit for basis, _ in groups for qubit in basis})
    columns: list[list[float]] = [[] for _ in groups]
    first, bit_of = circuit.n_data, {}
    for qubit in read:
        letters = {basis[qubit] for basis, _ in groups if qubit in basis}
        rotations = [ROTATIONS_TO_Z[basis.get(qubit, min(letters))] for basis, _ in groups]
        for axis, place in (("Z", 0), ("Y", 1)):
            angles = [rotation[place] for rotation in rotations]
            angle: float | Slot = angles[0]
            if len(set(angles)) > 1:
                angle = data_slot(first + len(columns[0]))
                for column, value in zip(columns, angles, strict=True):
                    column.append(value)
            if isinstance(angle, Slot) or angle != 0.0:
                result.pauli_rotation(angle, axis, qubit)
    for qubit in read:
        bit_of[qubit] = result.n_bits
        result.measure(qubit)
    terms = tuple(
        tuple((coefficients, tuple(bit_of[qubit] for qubit, _ in factors)) for factors, coefficients in strings)
        for _, strings in groups
    )
    return Measured(result, np.array(columns).reshape(len(groups), -1), terms, kept)


def with_bits(circuit: Circuit) -> tuple[Circuit, tuple[tuple[int, int], ...]]:
    """Return the circuit with post-selections as measurements into further bits, and the pairs (bit, value) to keep."""
    result, kept, bit = Circuit(circuit.n_qubits), [], circuit.n_bits
    for op in circuit.operations:
        gate = op.gate
        if isinstance(gate, PostSelect):
            kept.append((bit, gate.value))
            gate, bit = Measure(bit), bit + 1
        result.append(gate, op.qubits, controls=op.controls, angles=op.angles)
    return result, tuple(kept)


Group = tuple[dict[int, str], list[tuple[PauliFactors, np.ndarray]]]


def _groups(observables: Sequence[Observable]) -> list[Group]:
    """Return bases (qubit to letter), at least one, with strings and each string's coefficients (observables,)."""
    coefficients: dict[PauliFactors, np.ndarray] = {}
    for place, observable in enumerate(observables):
        for coefficient, factors in observable.terms:
            coefficients.setdefault(factors, np.zeros(len(observables)))[place] += coefficient
    groups: list[Group] = []
    for factors in sorted(coefficients, key=lambda factors: (-len(factors), factors)):  # long strings fix the bases
        for basis, strings in groups:
            if all(basis.get(qubit, letter) == letter for qubit, letter in factors):
                basis.update(factors)
                strings.append((factors, coefficients[factors]))
                break
        else:
            groups.append((dict(factors), [(factors, coefficients[factors])]))
    return groups or [({}, [])]
