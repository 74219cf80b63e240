"""Transport in the frame that moves with the flow: paths and the values along them, read in the frame at rest."""

import math
from collections.abc import Callable

import numpy as np
import torch

from qml.jets.jet import Array
from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem

PERIOD = 2 * math.pi
N_LABELS = 2048  # on which paths are inverted, before Newton's steps
N_NEWTON = 4
DIFFERENCE_STEP = 1e-6  # of the differences in these


def lagrangian_convection(speed: float = 50.0) -> Problem:
    """Pose u_t + c u_x = 0, u(x, 0) = sin(x), as two fields of the label a and t: paths x_t = c, values u_t = 0.

    The label is where a path starts, so x(a, 0) = a is built in, and so is the period. In the frame at rest a network
    has to follow a wave that passes 8 times; here it finds straight paths and values that stay. `in_frame_at_rest`
    gives u(x, t).

    Args:
        speed: c.

    Reference:
        Mojgani, Balajewicz, Hassanzadeh, Lagrangian PINNs, arXiv:2205.02902, equations 7 and 8 with no viscosity: one
        network for the paths and one for the values, as two outputs of one trunk here.
    """

    def solution(points: np.ndarray) -> np.ndarray:
        label, t = points.T
        return np.stack([label + speed * t, np.sin(label)], 1)

    return Problem(
        name="convection-lagrangian",
        domain=Box({"a": (0.0, PERIOD), "t": (0.0, 1.0)}),
        fields=("x", "u"),
        equations={"paths": lambda x_t: x_t / speed - 1, "values": lambda u_t: u_t},
        conditions=(
            Face("start of paths", {"t": 0.0}, lambda x, a: x - a, exact=True),
            Face("initial", {"t": 0.0}, lambda u, a: u - torch.sin(a)),
        ),
        trial=lambda a, t, x, u: (a + speed * (t * x), u),
        features=_around,
        reference=solution,
        source="closed form, arXiv:2205.02902",
    )


def _around(a: Array, t: Array) -> tuple[Array, ...]:
    return torch.cos(a), torch.sin(a), t  # pyright: ignore[reportArgumentType, reportReturnType]


def in_frame_at_rest(model: Pinn, points: np.ndarray) -> np.ndarray:
    """Compute u(x, t) at points (batch, 2) from a model of paths x(a, t) and values u(a, t), periodic in a.

    The label of (x, t) is found on a grid of labels and then by Newton's method with differences.

    Raises:
        ValueError: paths that cross, so that a place has more than one value.
    """

    def fields(label: np.ndarray, t: np.ndarray) -> np.ndarray:
        return model.predict(np.stack([np.mod(label, PERIOD), t], 1))

    def place(label: np.ndarray, t: np.ndarray) -> np.ndarray:
        return fields(label, t)[:, 0] + label - np.mod(label, PERIOD)

    result = np.empty(len(points))
    for time in np.unique(points[:, 1]):
        rows = points[:, 1] == time
        result[rows] = _values_at(points[rows, 0], time, place, fields)
    return result[:, None]


def _values_at(
    x: np.ndarray,
    time: float,
    place: Callable[[np.ndarray, np.ndarray], np.ndarray],
    fields: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    labels = np.linspace(0.0, PERIOD, N_LABELS + 1)
    places = place(labels, np.full_like(labels, time))
    if (np.diff(places) <= 0).any():
        raise ValueError(f"Argument `model` must have paths that do not cross, but at t = {time:g} they do.")
    turns = np.floor((x - places[0]) / PERIOD)
    target, t = x - turns * PERIOD, np.full_like(x, time)
    label = np.interp(target, places, labels)
    for _ in range(N_NEWTON):
        slope = (place(label + DIFFERENCE_STEP, t) - place(label - DIFFERENCE_STEP, t)) / (2 * DIFFERENCE_STEP)
        label = label - (place(label, t) - target) / slope
    return fields(label, t)[:, 1]
