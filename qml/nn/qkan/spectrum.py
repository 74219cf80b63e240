"""Activations as what they are: finite sums of cosines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qml import checks

if TYPE_CHECKING:
    from qml.nn.qkan.activations import Activations


MOST_TERMS = 3**9  # an activation of trained pre-activations has 3**reps exponentials


@dataclass(frozen=True)
class Spectrum:
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
        """phi at inputs of shape (...), for every edge: shape (..., *edges)."""
        points = np.asarray(inputs, dtype=float)
        points = points.reshape(points.shape + (1,) * self.frequencies.ndim)
        return (self.amplitudes * np.cos(self.frequencies * points + self.phases)).sum(-1)


def spectrum_of(module: "Activations") -> Spectrum:
    """Exact, in float64.

    Raises:
        ValueError: a read-out that is no finite sum; arccosines of trained pre-activations; too many terms; parameters
            that are not finite, or on the meta device.
    """
    if module.readout != "z":
        raise ValueError(f'Argument `readout` must be "z" for a finite spectrum, but is {module.readout!r}.')
    if module.uploads_arccos and module.input_weight is not None:
        raise ValueError(
            'Ansatz "px" has a finite spectrum only with train_preactivation=False (in arccos x), but w and b are '
            "trained."
        )
    uploads = sum(1 for rotation in module.program.rotations if rotation.upload)
    if 3**uploads > MOST_TERMS:
        raise ValueError(
            f"A spectrum must have at most {MOST_TERMS} exponentials, but {uploads} uploads give {3**uploads}. "
            "Use fewer uploads."
        )
    checks.require_values(module)
    checks.require_finite_parameters(module)
    weights, scale, shift = (
        None if value is None else value.detach().double().cpu().numpy()
        for value in (module.weights, module.input_weight, module.input_bias)
    )
    if weights is None:
        raise ValueError("A module must have weights.")
    edges = weights.shape[:-1]
    frequencies = np.zeros((*edges, 1))
    vector = np.broadcast_to(np.array(module.program.start, dtype=complex)[:, None], (*edges, 3, 1))
    for rotation in module.program.rotations:
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
    """R(t) = P_0 + exp(i t) P_1 + exp(-i t) P_-1: the projectors of a rotation about an axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    result = np.zeros((3, 3), dtype=complex)
    if sign == 0:
        result[axis, axis] = 1.0
    else:
        result[first, first] = result[second, second] = 0.5
        result[first, second], result[second, first] = 0.5j * sign, -0.5j * sign
    return result


def _merged(frequencies: np.ndarray, coefficients: np.ndarray) -> Spectrum:
    """Real form: exponentials of f and -f are one cosine, and equal frequencies one term."""
    edges = frequencies.shape[:-1]
    rows = []
    for row_f, row_c in zip(
        frequencies.reshape(-1, frequencies.shape[-1]), coefficients.reshape(-1, coefficients.shape[-1]), strict=True
    ):
        kept = np.where(row_f < 0, row_c.conj(), row_c)  # Re(c e^{ift}) = Re(c* e^{-ift})
        found, place = np.unique(np.abs(row_f).round(12), return_inverse=True)
        total = np.zeros(len(found), dtype=complex)
        np.add.at(total, place, kept)
        rows.append((found, total))
    size = max(len(found) for found, _ in rows)
    result = np.zeros((3, len(rows), size))
    for index, (found, total) in enumerate(rows):
        result[0, index, : len(found)] = found
        result[1, index, : len(found)] = np.abs(total)
        result[2, index, : len(found)] = np.angle(total)
    return Spectrum(*result.reshape(3, *edges, size))
