"""A family of linear equations in a square with solutions that were chosen first."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from qml import checks
from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

PI = math.pi
SQUARE = Box({"x": (0.0, 1.0), "y": (0.0, 1.0)})
TERMS = ("u", "u_x", "u_y", "u_xx", "u_yy")
LOW, HIGH = (-2.0, -2.0, -2.0, 0.5, 0.5), (2.0, 2.0, 2.0, 1.5, 1.5)


@dataclass(frozen=True)
class LinearFamily:
    """Equations c_0 u + c_1 u_x + c_2 u_y + c_3 u_xx + c_4 u_yy = f on [0, 1]^2 with u = 0 on all sides.

    u = sum_mn a_mn sin(m pi x) sin(n pi y), from which f follows. Every sample is scaled to a mean square of f of 1.

    Args:
        coefficients: c of each sample, (samples, 5).
        amplitudes: a, (samples, modes, modes).

    Raises:
        ValueError: other shapes, or numbers that are not finite.
    """

    coefficients: np.ndarray
    amplitudes: np.ndarray

    def __post_init__(self) -> None:
        c, a = self.coefficients, self.amplitudes
        fits = (
            c.ndim == 2 and c.shape[1] == len(TERMS) and a.ndim == 3 and len(a) == len(c) and a.shape[1] == a.shape[2]
        )
        if not fits or not (np.isfinite(c).all() and np.isfinite(a).all()):
            raise ValueError(
                f"Arguments `coefficients` and `amplitudes` must be finite and of shapes (samples, {len(TERMS)}) and "
                f"(samples, modes, modes), but are of shapes {c.shape} and {a.shape}."
            )

    @classmethod
    def drawn(cls, n_samples: int, *, seed: int, n_modes: int = 4) -> "LinearFamily":
        """Draw samples: c uniform (elliptic), a normal over (m^2 + n^2), so that sources have all waves alike."""
        n_samples, n_modes = checks.as_int(n_samples, "n_samples", 1), checks.as_int(n_modes, "n_modes", 1)
        rng = np.random.default_rng(seed)
        coefficients = rng.uniform(LOW, HIGH, (n_samples, len(TERMS)))
        waves = np.arange(1, n_modes + 1) ** 2
        amplitudes = rng.standard_normal((n_samples, n_modes, n_modes)) / (waves[:, None] + waves)
        drawn = cls(coefficients, amplitudes)
        sizes = np.sqrt((drawn.source(SQUARE.grid(33)) ** 2).mean(1))
        return cls(coefficients, amplitudes / sizes[:, None, None])

    def __len__(self) -> int:
        return len(self.coefficients)

    def solution(self, points: Float[np.ndarray, "batch 2"], term: str = "u") -> Float[np.ndarray, "samples batch"]:
        """Return u or one of its derivatives at points."""
        waves = np.arange(1, self.amplitudes.shape[1] + 1) * PI
        parts = []
        for axis, column in zip("xy", points.T, strict=True):
            order = term.partition("_")[2].count(axis)
            turned = np.sin(np.outer(column, waves) + order * PI / 2)  # sin' = sin(. + pi / 2)
            parts.append(turned * waves**order)
        return np.einsum("smn,bm,bn->sb", self.amplitudes, *parts, optimize=True)

    def source(self, points: Float[np.ndarray, "batch 2"]) -> Float[np.ndarray, "samples batch"]:
        """Return f at points."""
        return sum(
            (c[:, None] * self.solution(points, term) for c, term in zip(self.coefficients.T, TERMS, strict=True)),
            start=np.zeros((1, 1)),
        )

    def problem(self, index: int) -> Problem:
        """Return one of the equations, with the sides built in: u = 16 x (1 - x) y (1 - y) N."""
        index = checks.as_int(index, "index", 0)
        if index >= len(self):
            raise ValueError(f"Argument `index` must be less than {len(self)}, but is {index}.")
        c = [float(value) for value in self.coefficients[index]]
        one = LinearFamily(self.coefficients[index : index + 1], self.amplitudes[index : index + 1])
        size = self.amplitudes.shape[1]
        waves = torch.arange(1, size + 1, dtype=torch.float64) * PI
        a = torch.as_tensor(one.amplitudes[0])

        def equation(u: Any, move: Any, x: Any, y: Any) -> Any:
            shift = torch.arange(3, dtype=torch.float64)[:, None, None] * PI / 2
            along_x = torch.sin(x.double()[:, None] * waves + shift) * waves ** (2 / PI * shift)
            along_y = torch.sin(y.double()[:, None] * waves + shift) * waves ** (2 / PI * shift)
            orders = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
            source = sum(
                value * ((along_x[i] @ a) * along_y[j]).sum(1) for value, (i, j) in zip(c, orders, strict=True)
            )
            return c[0] * u + move - source.to(x)  # pyright: ignore[reportAttributeAccessIssue]

        sides = (("left", "x", 0.0), ("right", "x", 1.0), ("bottom", "y", 0.0), ("top", "y", 1.0))
        return Problem(
            name="linear",
            domain=SQUARE,
            fields=("u",),
            equations={"linear": equation},
            operators={"move": dict(zip(TERMS[1:], c[1:], strict=True))},
            conditions=tuple(Face(name, {axis: end}, lambda u: u, exact=True) for name, axis, end in sides),
            trial=lambda x, y, u: 16 * x * (1 - x) * y * (1 - y) * u,
            reference=lambda points: one.solution(points).T,
            source="manufactured: sums of sines, all sides 0; the operator of arXiv:2509.05117",
        )
