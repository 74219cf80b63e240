"""The standard deviations of single runs, as backward passes measure them, and their memory by circuit.

Before a circuit's first backward pass the deviation of an observable is its bound, the observable's norm.
"""

from dataclasses import dataclass, field

import numpy as np

from circuits import Circuit, Observable, Operation

Shift = tuple[int, float]
"""A use of a slot, and how far it is shifted."""

PRIOR_SHOTS = 1.0  # weight of the bound, in shots, so that a few equal outcomes do not give a deviation of zero
DECAY_PER_PASS = 0.5  # older measurements count less, because the weights have changed
MAX_REMEMBERED_CIRCUITS = 64


@dataclass(eq=False)
class Deviations:
    """The deviations of one run at each shift of one circuit, one for each column of its values.

    Args:
        bounds: of the deviations, (columns,).
    """

    bounds: np.ndarray
    _measured: dict[Shift, tuple[float, np.ndarray]] = field(default_factory=dict)

    def at(self, shift: Shift) -> np.ndarray:
        """Return the deviations at a shift, (columns,)."""
        n_shots, squares = self._measured.get(shift, (0.0, np.zeros_like(self.bounds)))
        return np.sqrt((squares + PRIOR_SHOTS * self.bounds**2) / (n_shots + PRIOR_SHOTS))

    def add(self, shift: Shift, shots: np.ndarray, errors: np.ndarray) -> None:
        """Take in the standard errors (rows, columns) of means over `shots` (rows,) runs."""
        n_shots, squares = self._measured.get(shift, (0.0, np.zeros_like(self.bounds)))
        # errors**2 * shots is the variance of one run, and it is weighed by the number of runs
        new_squares = (errors**2 * shots[:, None] ** 2).sum(0)
        self._measured[shift] = DECAY_PER_PASS * n_shots + float(shots.sum()), DECAY_PER_PASS * squares + new_squares


@dataclass(eq=False)
class DeviationMemory:
    """A cache of `Deviations` by circuit and observables; the oldest is dropped where there are too many."""

    _known: dict[tuple[int, tuple[Operation, ...], tuple[Observable, ...]], Deviations] = field(default_factory=dict)

    def of(self, circuit: Circuit, observables: tuple[Observable, ...], n_copies: int) -> Deviations:
        """Return the deviations of a circuit, with `n_copies` columns for each observable."""
        key = (circuit.n_qubits, circuit.operations, observables)
        if key not in self._known:
            if len(self._known) == MAX_REMEMBERED_CIRCUITS:
                del self._known[next(iter(self._known))]
            norms = [sum(abs(coefficient) for coefficient, _ in item.terms) for item in observables]
            self._known[key] = Deviations(np.array(norms * n_copies))
        return self._known[key]
