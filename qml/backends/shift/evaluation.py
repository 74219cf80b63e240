"""One circuit and the function that runs its rows: everything that a derivative from values needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from qml.backends.shift.allocation import split_shots
from qml.backends.shift.deviations import Deviations
from qml.backends.shift.expanded import Expanded

Part = tuple[np.ndarray, int | None]
"""Rows (rows, slots) of angles for one circuit, and the shots of each; None where values are exact."""
Means = tuple[np.ndarray, np.ndarray | None]
"""Means (rows, columns) of a part, and their standard errors, where there are shots."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A circuit whose rows can be run.

    Args:
        expanded: the circuit.
        run: from parts of rows to the means and standard errors of each part, in one job.
        shots: of each row; None where values are exact.
        deviations: measured in earlier backward passes, to divide shots by them; None divides shots equally.
    """

    expanded: Expanded
    run: Callable[[Sequence[Part]], list[Means]]
    shots: int | None
    deviations: Deviations | None

    def values(self, points: np.ndarray) -> np.ndarray:
        """Compute values (points, columns) in one job; equal points are run once."""
        return self.measured(points, None)[0]

    def measured(self, points: np.ndarray, importance: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute values (points, columns) in one job, their standard errors, and the shots (points,) they took.

        Equal points are run once.

        Args:
            points: angles and amplitudes.
            importance: (points,), |coefficient| times deviation; None divides the shots equally.
        """
        rows, scale = self.expanded.rows(points)
        distinct, place = _distinct(rows)
        indices = [np.arange(len(distinct))]
        shots: list[int | None] = [self.shots]
        if importance is not None and self.shots is not None:
            weight = np.zeros(len(distinct))
            np.add.at(weight, place, importance * scale)
            indices, shots = split_shots(weight, self.shots)
        results = self.run([(distinct[part], count) for part, count in zip(indices, shots, strict=True)])
        values = np.empty((len(distinct), results[0][0].shape[1]))
        errors, taken = np.zeros_like(values), np.zeros(len(distinct))
        for part, (means, standard_errors), count in zip(indices, results, shots, strict=True):
            values[part], taken[part] = means, count or 0
            errors[part] = 0.0 if standard_errors is None else standard_errors
        return values[place] * scale[:, None], errors[place], taken[place]


def as_arrays(data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return data and weights as arrays of float64."""
    return data.detach().cpu().double().numpy(), weights.detach().cpu().double().numpy()


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different rows, and which of them each row is."""
    if rows.shape[1] == 0:
        return rows[:1], np.zeros(len(rows), int)
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    return distinct, place.reshape(-1)
