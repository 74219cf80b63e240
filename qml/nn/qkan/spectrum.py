"""Activations written as finite sums of cosines."""

from dataclasses import dataclass

import numpy as np

from qml.nn.qkan.points.program import ActivationProgram

MAX_EXPONENTIALS = 3**9  # of one activation: with trained pre-activations it has 3**reps of them


@dataclass(frozen=True)
class ActivationSpectrum:
    """phi(x) = sum_m amplitudes[..., m] cos(frequencies[..., m] x + phases[..., m]) for every activation.

    Attributes:
        frequencies: not negative, ascending, shape (*edges, terms).
        amplitudes: not negative; 0 fills up where an activation has fewer terms than another.
        phases: radians.
    """

    frequencies: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray

    def evaluate(self, inputs: np.ndarray) -> np.ndarray:
        """Compute phi at inputs of shape (...) for every edge, shape (..., *edges)."""
        points = np.asarray(inputs, dtype=float)
        points = points.reshape(points.shape + (1,) * self.frequencies.ndim)
        return (self.amplitudes * np.cos(self.frequencies * points + self.phases)).sum(-1)


def spectrum_of(
    program: ActivationProgram, weights: np.ndarray, scale: np.ndarray | None, shift: np.ndarray | None
) -> ActivationSpectrum:
    """Compute the spectrum of every activation, exactly, in float64.

    Args:
        program: the rotations.
        weights: angles, shape (*edges, n_weights), float64.
        scale: of the pre-activation scale * x + shift, shape (*edges, n_uploads); None for x itself.
        shift: of the pre-activation.

    Raises:
        ValueError: too many terms.
    """
    uploads = sum(1 for rotation in program.rotations if rotation.upload)
    if 3**uploads > MAX_EXPONENTIALS:
        raise ValueError(
            f"A spectrum must have at most {MAX_EXPONENTIALS} exponentials, but {uploads} uploads give {3**uploads}. "
            "Use fewer uploads."
        )
    edges = weights.shape[:-1]
    frequencies = np.zeros((*edges, 1))
    vector = np.broadcast_to(np.array(program.start, dtype=complex)[:, None], (*edges, 3, 1))
    for rotation in program.rotations:
        constant = rotation.constant + sum((f * weights[..., k] for k, f in rotation.weights), np.zeros(edges))
        slope = np.zeros(edges)
        if rotation.upload:
            slot, factor = rotation.upload
            slope = slope + (factor if scale is None else factor * scale[..., slot])
            constant = constant + (0.0 if shift is None else factor * shift[..., slot])
            along, plus, minus = (_part(rotation.axis, sign) @ vector for sign in (0, 1, -1))
            phase = np.exp(1j * constant)[..., None, None]
            vector = np.concatenate([along, phase * plus, minus / phase], -1)
            frequencies = np.concatenate(
                [frequencies, frequencies + slope[..., None], frequencies - slope[..., None]], -1
            )
        else:
            phase = np.exp(1j * constant)[..., None, None]
            vector = sum(
                factor * (_part(rotation.axis, sign) @ vector)
                for sign, factor in ((0, 1.0), (1, phase), (-1, 1 / phase))
            )
    return _merged(frequencies, np.asarray(vector)[..., 2, :])


def _part(axis: int, sign: int) -> np.ndarray:
    """Return P_sign of a rotation about an axis, R(t) = P_0 + exp(i t) P_1 + exp(-i t) P_-1."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    result = np.zeros((3, 3), dtype=complex)
    if sign == 0:
        result[axis, axis] = 1.0
    else:
        result[first, first] = result[second, second] = 0.5
        result[first, second], result[second, first] = 0.5j * sign, -0.5j * sign
    return result


def _merged(frequencies: np.ndarray, coefficients: np.ndarray) -> ActivationSpectrum:
    """Merge exponentials of f and -f into one cosine, and equal frequencies into one term."""
    edges = frequencies.shape[:-1]
    merged_rows = []
    for row_f, row_c in zip(
        frequencies.reshape(-1, frequencies.shape[-1]), coefficients.reshape(-1, coefficients.shape[-1]), strict=True
    ):
        folded = np.where(row_f < 0, row_c.conj(), row_c)  # Re(c e^{ift}) = Re(c* e^{-ift})
        distinct, term = np.unique(np.abs(row_f).round(12), return_inverse=True)
        total = np.zeros(len(distinct), dtype=complex)
        np.add.at(total, term, folded)
        merged_rows.append((distinct, total))
    size = max(len(distinct) for distinct, _ in merged_rows)
    result = np.zeros((3, len(merged_rows), size))
    for index, (distinct, total) in enumerate(merged_rows):
        result[0, index, : len(distinct)] = distinct
        result[1, index, : len(distinct)] = np.abs(total)
        result[2, index, : len(distinct)] = np.angle(total)
    return ActivationSpectrum(*result.reshape(3, *edges, size))
