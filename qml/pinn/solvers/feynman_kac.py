"""Values of a solution at single points as means over random paths: labels for a network."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from qml.pinn.conditions import Observations
from qml.pinn.domain import Box

OfPoints = Callable[[np.ndarray], np.ndarray]
"""Points (batch, coordinates) to values (batch,)."""
MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class FeynmanKac:
    """Monte-Carlo values of the solution of D (sum of second derivatives) - V u = f with u = g on the faces of a box.

    u(x) = E[ e^{-A(T)} g(X_T) - int_0^T e^{-A(s)} f(X_s) ds ] with A(s) = int_0^s V(X) and X a Brownian motion from x,
    of variance 2 D s in every coordinate, until it leaves the box at T. Paths go by Euler steps; between two steps
    inside, a path has left through a face at distances a and b with probability exp(-a b / (D step)), which is drawn
    too, so that the bias is of the order of the step, not of its root. V = 0, f = -1, g = 0 give mean exit times.

    Args:
        source: f.
        boundary: g; None is 0.
        potential: V, at least 0; None is 0.
        diffusion: D.
        n_paths: from each point.
        time_step: of Euler's method.

    Reference:
        The Feynman-Kac formula, e.g. B. Oksendal, Stochastic Differential Equations, chapter 9; labels for a
        physics-informed loss as in arXiv:2606.00643. The crossing between steps: E. Gobet, Stochastic Processes and
        their Applications 87 (2000) 167.
    """

    source: OfPoints
    boundary: OfPoints | None = None
    potential: OfPoints | None = None
    diffusion: float = 1.0
    n_paths: int = 4096
    time_step: float = 1e-3

    def __post_init__(self) -> None:
        if not self.diffusion > 0 or not self.time_step > 0 or self.n_paths < 2:
            raise ValueError(
                "Arguments `diffusion`, `time_step` and `n_paths` must be above 0, above 0 and at least 2, but are "
                f"{self.diffusion}, {self.time_step} and {self.n_paths}."
            )

    def values(
        self, domain: Box, points: Float[np.ndarray, "batch inputs"], seed: int
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Return the means over paths, and their standard errors.

        Raises:
            ValueError: points outside the domain, or a negative potential on the way.
        """
        domain.require_inside(points, "Argument `points`")
        generator = np.random.default_rng(seed)
        means, errors = np.empty(len(points)), np.empty(len(points))
        for index, point in enumerate(points):
            scores = self._scores(domain, np.repeat(point[None], self.n_paths, 0), generator)
            means[index], errors[index] = scores.mean(), scores.std(ddof=1) / math.sqrt(self.n_paths)
        return means, errors

    def labels(self, name: str, of: str, domain: Box, n_points: int, *, seed: int, weight: float = 1.0) -> Observations:
        """Return a condition that holds the values at Sobol points in the domain."""
        points = domain.sample(n_points, seed)
        return Observations(name, of, points, self.values(domain, points, seed)[0], weight)

    def _scores(self, domain: Box, places: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the score of each path."""
        lows, highs = np.array(list(domain.intervals.values())).T
        scores, alive = np.zeros(len(places)), np.arange(len(places))
        log_factor = np.zeros(len(places))
        spread = math.sqrt(2 * self.diffusion * self.time_step)
        for _ in range(MAX_STEPS):
            scores[alive] -= np.exp(log_factor) * self.source(places) * self.time_step
            log_factor = log_factor - self._rate(places) * self.time_step
            moved = places + spread * generator.standard_normal(places.shape)
            left = self._left(places, moved, lows, highs, generator)
            if left.any() and self.boundary is not None:
                edge = np.clip(moved[left], lows, highs)
                scores[alive[left]] += np.exp(log_factor[left]) * self.boundary(edge)
            places, log_factor, alive = moved[~left], log_factor[~left], alive[~left]
            if not len(alive):
                return scores
        raise ValueError(
            f"Argument `time_step` must let paths leave within {MAX_STEPS} steps, but is {self.time_step}."
        )

    def _rate(self, places: np.ndarray) -> np.ndarray | float:
        if self.potential is None:
            return 0.0
        rate = self.potential(places)
        if (rate < 0).any():
            raise ValueError("Argument `potential` must be at least 0, but is negative in the domain.")
        return rate

    def _left(
        self, before: np.ndarray, after: np.ndarray, lows: np.ndarray, highs: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Tell which paths were outside, at the end of a step or within it."""
        outside = ((after <= lows) | (after >= highs)).any(1)
        scale = self.diffusion * self.time_step
        chances = [np.exp(-np.maximum((before - end) * (after - end), 0.0) / scale) for end in (lows, highs)]
        stays = np.prod([1 - chance for chance in chances], axis=(0, 2))
        return outside | (generator.random(len(before)) > stays)
