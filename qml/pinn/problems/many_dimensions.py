"""Poisson's equation in many dimensions, with solutions in closed form."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.names import named
from qml.pinn.problem import Problem

LETTERS = "abcdefghijklmnopqrs"
PI = math.pi


def poisson_cosines(n_dimensions: int = 5) -> Problem:
    """Pose lap u = -pi^2 sum_i cos(pi x_i) on [0, 1]^n with the values of u = sum_i cos(pi x_i) on all faces."""
    axes = _axes(n_dimensions)

    def solution(columns: Sequence[Any], cos: Callable[[Any], Any]) -> Any:
        return sum(cos(PI * column) for column in columns)

    return _poisson(
        f"poisson-{n_dimensions}d",
        axes,
        lambda *columns: solution(columns, torch.cos),
        lambda laplacian, *columns: laplacian / PI**2 + solution(columns, torch.cos),
        source="closed form; the five-dimensional case of arXiv:2302.13163, section 4.2",
    )


def poisson_harmonic(n_dimensions: int = 10) -> Problem:
    """Pose lap u = 0 on [0, 1]^n with the values of u = sum_i x_{2i-1} x_{2i} on all faces.

    Raises:
        ValueError: an odd number of dimensions.
    """
    if n_dimensions % 2:
        raise ValueError(f"Argument `n_dimensions` must be even, but is {n_dimensions}.")
    return _poisson(
        f"harmonic-{n_dimensions}d",
        _axes(n_dimensions),
        lambda *columns: sum(columns[index] * columns[index + 1] for index in range(0, n_dimensions, 2)),
        lambda laplacian: laplacian,
        source="closed form; E and Yu, arXiv:1710.00211, section 3.1, in ten dimensions",
    )


def _poisson(
    name: str, axes: str, solution: Callable[..., Any], equation: Callable[..., Any], *, source: str
) -> Problem:
    asks = len(inspect.signature(equation).parameters) > 1
    faces = [
        Face(f"{axis} = {end:g}", {axis: end}, named(lambda u, *columns: u - solution(*columns), ("u", *axes)))
        for axis in axes
        for end in (0.0, 1.0)
    ]

    def reference(points: np.ndarray) -> np.ndarray:
        return solution(*torch.as_tensor(points).T).numpy()[:, None]

    return Problem(
        name=name,
        domain=Box(dict.fromkeys(axes, (0.0, 1.0))),
        fields=("u",),
        equations={"poisson": named(equation, ("laplacian", *axes) if asks else ("laplacian",))},
        operators={"laplacian": {f"u_{axis}{axis}": 1.0 for axis in axes}},
        conditions=tuple(faces),
        reference=reference,
        source=source,
    )


def _axes(n_dimensions: int) -> str:
    if not 1 <= n_dimensions <= len(LETTERS):
        raise ValueError(
            f"Argument `n_dimensions` must lie between 1 and {len(LETTERS)}, since coordinates are single letters, but "
            f"is {n_dimensions}."
        )
    return LETTERS[:n_dimensions]
