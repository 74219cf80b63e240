"""Two machines on a network of three buses: a network takes each machine's step, Newton's method the buses' balance."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from qml import checks
from qml.pinn.conditions import Face
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.training.options import Training
from qml.pinn.training.train import train

REACTANCE = 4.0  # of both machines: power is 4 sin(angle - angle of its bus)
LINES = ((0, 2, 5.0), (1, 2, 3.0))  # from bus, to bus, susceptance
LOAD = 1.6  # drawn at bus 2
POWERS = (0.9, 0.7)
INERTIAS, DAMPINGS = (0.4, 0.4), (0.15, 0.15)  # of both alike, so that one network serves for both
REFERENCE_TOLERANCE, BALANCE_TOLERANCE, MAX_NEWTON, MAX_COUPLING = 1e-11, 1e-13, 30, 60
START = (0.6, -0.2, 0.0, 0.0)  # angles, then speeds


class Run(NamedTuple):
    """States of a simulation.

    Attributes:
        times: (steps + 1,).
        states: angles and speeds of both machines, (steps + 1, 4).
    """

    times: np.ndarray
    states: np.ndarray


Machine = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
"""Angles, speeds, bus angles before and after, and a step, to angles and speeds after it; entry k is machine k."""


def bus_angles(angles: Float[np.ndarray, " machines"], guess: Float[np.ndarray, " buses"] | None = None) -> np.ndarray:
    """Solve the balance of power at the three buses for their angles, at given angles of the machines, by Newton.

    Machines feed buses 0 and 1 through their reactances, lines lead to bus 2, where a load draws 1.6. Voltages are 1.

    Raises:
        ValueError: there is no balance, or none that Newton's method finds.
    """
    buses = np.full(3, float(np.mean(angles))) if guess is None else guess.astype(float)
    for _ in range(MAX_NEWTON):
        balance, jacobian = np.zeros(3), np.zeros((3, 3))
        for k, angle in enumerate(angles):
            balance[k] += REACTANCE * math.sin(buses[k] - angle)
            jacobian[k, k] += REACTANCE * math.cos(buses[k] - angle)
        for i, j, susceptance in LINES:
            flow, slope = susceptance * math.sin(buses[i] - buses[j]), susceptance * math.cos(buses[i] - buses[j])
            balance += flow * _between(i, j)
            jacobian += slope * np.outer(_between(i, j), _between(i, j))
        balance[2] += LOAD
        change = np.linalg.solve(jacobian, balance)
        buses = buses - change
        if np.abs(change).max() < BALANCE_TOLERANCE:
            return buses
    raise ValueError(f"Argument `angles` must allow a balance of power, but Newton's method finds none at {angles}.")


def simulate(machine: Machine, step: float, n_steps: int, start: tuple[float, ...] = START) -> Run:
    """Step both machines and the network together: bus angles at the step's end by repeated substitution.

    Raises:
        ValueError: the repeated substitution does not converge, as for too long a step.
    """
    states = [np.asarray(start, dtype=float)]
    buses = bus_angles(states[0][:2])
    for _ in range(checks.as_int(n_steps, "n_steps", 0)):
        angles, speeds = states[-1][:2], states[-1][2:]
        after = buses
        for _ in range(MAX_COUPLING):
            new_angles, new_speeds = machine(angles, speeds, buses, after, step)
            better = bus_angles(new_angles, after)
            change, after = np.abs(better - after).max(), better
            if change < REFERENCE_TOLERANCE:
                break
        else:
            raise ValueError(f"Argument `step` must let machines and buses agree, but they do not at {step:g} s.")
        new_angles, new_speeds = machine(angles, speeds, buses, after, step)
        buses = after
        states.append(np.concatenate([new_angles, new_speeds]))
    return Run(step * np.arange(n_steps + 1), np.array(states))


def reference(times: Float[np.ndarray, " times"], start: tuple[float, ...] = START) -> np.ndarray:
    """Return the states at times, (times, 4), by DOP853 with the balance solved in every evaluation."""
    from scipy.integrate import solve_ivp

    def slope(time: float, state: np.ndarray) -> np.ndarray:
        return np.concatenate([state[2:], _accelerations(state[:2], state[2:], bus_angles(state[:2]))])

    tight = REFERENCE_TOLERANCE
    return solve_ivp(slope, (0.0, float(times[-1])), start, "DOP853", t_eval=times, rtol=tight, atol=tight).y.T


def trapezoidal_machine(
    angles: np.ndarray, speeds: np.ndarray, before: np.ndarray, after: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Take a step of both machines by the implicit trapezoidal rule: the `Machine` that simulators use."""
    first = _accelerations(angles, speeds, before)
    new_angles, new_speeds = angles + step * speeds, speeds + step * first
    inertia, damping = np.array(INERTIAS), np.array(DAMPINGS)
    for _ in range(MAX_NEWTON):
        residual_a = new_angles - angles - step / 2 * (speeds + new_speeds)
        residual_s = new_speeds - speeds - step / 2 * (first + _accelerations(new_angles, new_speeds, after))
        stiffness = REACTANCE * np.cos(new_angles - after[:2]) / inertia
        pivot = 1 + step / 2 * damping / inertia + (step / 2) ** 2 * stiffness
        change_s = (residual_s - step / 2 * stiffness * residual_a) / pivot
        change_a = residual_a + step / 2 * change_s
        new_angles, new_speeds = new_angles - change_a, new_speeds - change_s
        if max(np.abs(change_a).max(), np.abs(change_s).max()) < BALANCE_TOLERANCE:
            break
    return new_angles, new_speeds


def machine_step_problem(longest: float) -> Problem:
    """Pose a machine's swing equation over a step for all states and all bus angles that move evenly.

    The coordinates are time t, angle b (from the bus angle) and speed s at the beginning, power m, and the speed c of
    the bus angle; the fields are angle a and speed w.
    """
    longest = checks.as_number(longest, "longest", above=0)
    box = Box({"t": (0.0, longest), "b": (-1.2, 1.2), "s": (-3.5, 3.5), "m": (0.6, 1.0), "c": (-2.5, 2.5)})
    ends = list(box.intervals.values())

    def features(t: Any, b: Any, s: Any, m: Any, c: Any) -> tuple[Any, ...]:
        return tuple(
            (2 * axis - low - high) / (high - low) for axis, (low, high) in zip((t, b, s, m, c), ends, strict=True)
        )

    def equation(a: Any, w: Any, w_t: Any, t: Any, m: Any, c: Any) -> Any:
        return w_t - (m - DAMPINGS[0] * w - REACTANCE * torch.sin(a - c * t)) / INERTIAS[0]

    return Problem(
        name="machine-step",
        domain=box,
        fields=("a", "w"),
        equations={"angle": lambda a_t, w: a_t - w, "speed": equation},
        conditions=(
            Face("angle at the start", {"t": 0.0}, lambda a, b: a - b, exact=True),
            Face("speed at the start", {"t": 0.0}, lambda w, s: w - s, exact=True),
        ),
        trial=lambda t, b, s, a, w: (b + t * s + t**2 * a, s + t * w),
        features=features,
        source="the swing equation; arXiv:2404.13325",
    )


def train_machine(
    trunk: Callable[[Problem], nn.Module], training: Training, *, longest: float = 0.2, seed: int = 0
) -> Machine:
    """Train a network as a `Machine`; it refuses steps beyond the longest, and states out of what it was trained on.

    Reference:
        Ventura Nadal, Chatzivasileiadis et al., arXiv:2404.13325: networks of machines within a simulation loop, whose
        bus voltages they get before and after the step.
    """
    problem = machine_step_problem(longest)
    model = Pinn(problem, trunk(problem))
    train(model, training, seed=seed)

    def machine(
        angles: np.ndarray, speeds: np.ndarray, before: np.ndarray, after: np.ndarray, step: float
    ) -> tuple[np.ndarray, np.ndarray]:
        if not 0 < step <= longest:
            raise ValueError(f"Argument `step` must be above 0 and at most {longest:g} s, but is {step:g}.")
        own = before[:2]
        points = np.column_stack([np.full(2, step), angles - own, speeds, POWERS, (after[:2] - own) / step])
        problem.domain.require_inside(points, "The states of the machines")
        found = model.predict(points)
        return own + found[:, 0], found[:, 1]

    return machine


def _accelerations(angles: np.ndarray, speeds: np.ndarray, buses: np.ndarray) -> np.ndarray:
    power = REACTANCE * np.sin(angles - buses[:2])
    return (np.array(POWERS) - np.array(DAMPINGS) * speeds - power) / np.array(INERTIAS)


def _between(i: int, j: int) -> np.ndarray:
    way = np.zeros(3)
    way[i], way[j] = 1.0, -1.0
    return way
