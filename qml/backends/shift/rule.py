"""The vector-Jacobian product by the shift rule."""

import numpy as np

from qml.backends.shift.evaluation import Evaluation


def shifted(
    evaluation: Evaluation, grad: np.ndarray, data: np.ndarray, weights: np.ndarray, needs: tuple[bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the vector-Jacobian product by data and by weights, all shifts of all samples in one job.

    Samples to which no gradient comes back, and slots whose gradient nobody wants, are not run.

    Args:
        evaluation: of the circuit.
        grad: the incoming gradient, (batch, columns).
        data: (batch, slots).
        weights: (slots,).
        needs: whether the gradient by data, and that by weights, is wanted.
    """
    gradients = np.zeros_like(data), np.zeros_like(weights)
    samples = np.flatnonzero(np.abs(grad).sum(1))
    uses = evaluation.expanded.uses
    terms = [
        (column, shift, coefficient)
        for column, use in enumerate(uses)
        if needs[use.slot.kind == "weight"]
        for shift, coefficient in use.shifts()
    ]
    if not terms or not len(samples):
        return gradients
    base = evaluation.expanded.points(data[samples], weights)
    points = np.repeat(base[None], len(terms), axis=0)
    coefficients = np.array([coefficient for _, _, coefficient in terms])
    for number, (column, shift, _) in enumerate(terms):
        points[number, :, column] += shift
    importance, deviations = None, evaluation.deviations
    if deviations is not None:
        by_shift = np.array([deviations.at((column, shift)) for column, shift, _ in terms])
        importance = (np.abs(coefficients)[:, None] * (by_shift @ np.abs(grad[samples]).T)).reshape(-1)
    values, errors, shots = evaluation.measured(points.reshape(-1, base.shape[1]), importance)
    by_term = (len(terms), len(samples))
    if deviations is not None:
        measured = zip(terms, shots.reshape(by_term), errors.reshape(*by_term, -1), strict=True)
        for (column, shift, _), counts, standard_errors in measured:
            deviations.add((column, shift), counts, standard_errors)
    slopes = np.einsum("tbm,bm->tb", values.reshape(*by_term, -1), grad[samples])
    for (column, _, coefficient), slope in zip(terms, slopes, strict=True):
        slot = uses[column].slot
        if slot.kind == "data":
            gradients[0][samples, slot.index] += coefficient * slope
        else:
            gradients[1][slot.index] += coefficient * slope.sum()
    return gradients
