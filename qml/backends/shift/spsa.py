"""Gradients by simultaneous perturbation, the cheap and noisy alternative to the shift rule."""

from dataclasses import dataclass, field

import numpy as np
import torch

from qml.backends.shift.evaluation import Evaluation


@dataclass(frozen=True, eq=False)
class SPSA:
    """The gradient by simultaneous perturbation: all angles of a sample move together, in random directions.

    It takes two rows a sample and direction, whatever the number of angles; it is unbiased up to O(radius**2), with a
    variance that grows with the number of angles.

    Args:
        generator: of the directions.
        directions: how many are averaged.
        radius: length of a step along each angle, in radians.

    Reference:
        Spall, IEEE Trans. Autom. Control 37, 332 (1992), equation 2.2.
    """

    generator: torch.Generator = field(default_factory=torch.Generator)
    directions: int = 1
    radius: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.directions, bool) or not isinstance(self.directions, int) or self.directions < 1:
            raise ValueError(f"Argument `directions` must be an int of at least 1, but is {self.directions!r}.")
        if not 0.0 < self.radius < np.inf:
            raise ValueError(f"Argument `radius` must be positive and finite, but is {self.radius!r}.")


def perturbed(
    evaluation: Evaluation,
    spsa: SPSA,
    grad: np.ndarray,
    data: np.ndarray,
    weights: np.ndarray,
    needs: tuple[bool, bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the vector-Jacobian product from both sides of random directions, one for each sample, in one job."""
    shapes = (spsa.directions, *data.shape), (spsa.directions, len(data), len(weights))
    signs = [
        (2.0 * torch.randint(0, 2, shape, generator=spsa.generator) - 1.0).double().numpy() * float(needed)
        for shape, needed in zip(shapes, needs, strict=True)
    ]
    points = [
        evaluation.expanded.points(data + side * spsa.radius * by_data, weights + side * spsa.radius * by_weights)
        for by_data, by_weights in zip(*signs, strict=True)
        for side in (1.0, -1.0)
    ]
    values = evaluation.values(np.concatenate(points)).reshape(spsa.directions, 2, len(data), -1)
    slopes = np.einsum("dbm,bm->db", values[:, 0] - values[:, 1], grad) / (2.0 * spsa.radius)
    by_data, by_weights = (slopes[..., None] * sign for sign in signs)
    return by_data.mean(0), by_weights.sum(1).mean(0)
