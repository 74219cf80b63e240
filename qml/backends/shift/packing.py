"""Packing: k rows of a small circuit side by side on one wide register, for a k-th of the circuits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from circuits import Circuit, Observable
from circuits import data as data_slot
from circuits.gates import Measure
from qml.backends.shift.evaluation import Means, Part


class Packing:
    """A wide circuit of `copies` copies of a circuit, with the conversion of rows and results to and from it.

    Args:
        circuit: with data slots only.
        copies: number of rows that run at once; the last register is filled up with copies of the last row.
    """

    def __init__(self, circuit: Circuit, copies: int) -> None:
        self.copies, self._n_qubits, self._n_bits = copies, circuit.n_qubits, circuit.n_bits
        self.circuit = circuit if copies == 1 else circuit.derived(f"packed {copies}", lambda: _wide(circuit, copies))

    def parts(self, parts: Sequence[Part]) -> list[Part]:
        """Convert parts with rows (rows, slots) to parts with (ceil(rows / copies), copies * slots)."""
        return [(self._pack(rows), shots) for rows, shots in parts]

    def observables(self, observables: Sequence[Observable]) -> list[Observable]:
        """Return every observable on every copy, copy by copy."""
        return [
            Observable(
                tuple(
                    (coefficient, tuple((qubit + copy * self._n_qubits, letter) for qubit, letter in factors))
                    for coefficient, factors in observable.terms
                )
            )
            for copy in range(self.copies)
            for observable in observables
        ]

    def means(self, means: Means, rows: np.ndarray) -> Means:
        """Convert means and standard errors (wide rows, copies * observables) to (rows, observables)."""
        values, errors = means
        return self._split(values, rows), None if errors is None else self._split(errors, rows)

    def bits(self, bits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Convert bits (wide rows, shots, copies * n_bits) to (rows, shots, n_bits)."""
        split = bits.reshape(*bits.shape[:2], self.copies, self._n_bits).swapaxes(1, 2)
        return split.reshape(-1, bits.shape[1], self._n_bits)[: len(rows)]

    def _split(self, wide: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return wide.reshape(len(wide) * self.copies, -1)[: len(rows)]

    def _pack(self, rows: np.ndarray) -> np.ndarray:
        missing = -len(rows) % self.copies
        padded = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
        return padded.reshape(len(padded) // self.copies, self.copies * rows.shape[1])


def _wide(circuit: Circuit, copies: int) -> Circuit:
    result = Circuit(copies * circuit.n_qubits)
    for copy in range(copies):
        for op in circuit.operations:
            gate = (
                replace(op.gate, bit=op.gate.bit + copy * circuit.n_bits) if isinstance(op.gate, Measure) else op.gate
            )
            qubits, controls = ([q + copy * circuit.n_qubits for q in group] for group in (op.qubits, op.controls))
            angles = [
                angle if isinstance(angle, (float, int)) else data_slot(angle.index + copy * circuit.n_data)
                for angle in op.angles
            ]
            result.append(gate, qubits, controls=controls, angles=angles)
    return result
