"""Poses of problems: conditions, symmetries and what else is known of a solution, built into its trial function."""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from qml.pinn.conditions import Face, Integral
from qml.pinn.domain import Box
from qml.pinn.names import Residual
from qml.pinn.problem import Problem
from qml.pinn.problems.cavity import near_corners
from qml.pinn.problems.cavity_reference import CornerVorticity, singular_stream
from qml.pinn.problems.electrothermal import known

PI = math.pi
SHOCK_SLOPE = 20.0  # of Burgers' trial function at x = 0, where the slope of the solution reaches 150
SMALL = 1e-24  # added to squares of lengths under a root, so that it has derivatives at 0
N_NODES = 12  # a coordinate, of the mean of a pressure
CORRECTION = 0.01  # of Allen-Cahn's trial function: how far diffusion moves the solution from the reaction's


def with_exact_faces(problem: Problem, trial: Residual, names: Collection[str] | None = None) -> Problem:
    """Give the problem a trial function that fulfils faces exactly; a `Pinn` checks that it does.

    Args:
        problem: without a trial function.
        trial: as in `Problem`.
        names: of the faces; None is all.
    """
    conditions = tuple(
        replace(item, exact=True) if isinstance(item, Face) and (names is None or item.name in names) else item
        for item in problem.conditions
    )
    return replace(problem, trial=trial, conditions=conditions)


def with_weight(problem: Problem, weight: float) -> Problem:
    """Return the problem with another weight on all faces."""
    conditions = tuple(
        replace(item, weight=weight) if isinstance(item, Face) and not item.exact else item
        for item in problem.conditions
    )
    return replace(problem, conditions=conditions)


def odd_half(problem: Problem) -> Problem:
    """Pose Burgers' equation on the half x >= 0: half of the work. A model continues u(-x, t) = -u(x, t) to the other.

    The trial function fixes u at x = 0, so that the shock cannot drift from there: on the whole domain to move it costs
    next to no residual, and error and loss part. The initial values and the end are exact too.
    """
    low, high = problem.domain.intervals["x"]
    if low != -high:
        raise ValueError(f"Argument `problem` must have x from -1 to 1, but has {low:g} to {high:g}.")
    conditions = (
        Face("middle", {"x": 0.0}, lambda u: u, exact=True),
        *(replace(item, exact=True) for item in problem.conditions if isinstance(item, Face) and item.name != "left"),
    )
    return replace(
        problem,
        domain=Box({"x": (0.0, high), "t": problem.domain.intervals["t"]}),
        conditions=conditions,
        odd="x",
        trial=lambda x, t, u: (1 - x) * t * torch.tanh(SHOCK_SLOPE * x) * u - torch.sin(PI * x),
    )


def odd_line(problem: Problem) -> Problem:
    """Pose an equation on [-1, 1] whose solution is odd, as its source and end values are, on [0, 1]: half of the work.

    The trial function is 0 at x = 0 and has the reference's value at x = 1; a model continues it.
    """
    if problem.reference is None or problem.domain.intervals["x"] != (-1.0, 1.0):
        raise ValueError(f"Problem {problem.name!r} must be on [-1, 1] and have a reference for its value at x = 1.")
    end = float(problem.reference(np.array([[1.0]]))[0, 0])
    right = next(item for item in problem.conditions if item.name == "right")
    return replace(
        problem,
        domain=Box({"x": (0.0, 1.0)}),
        conditions=(Face("middle", {"x": 0.0}, lambda u: u, exact=True), replace(right, exact=True)),  # pyright: ignore[reportArgumentType, reportCallIssue]
        odd="x",
        trial=lambda x, u: x * (end + (1 - x) * u),
    )


def odd_waves(problem: Problem) -> Problem:
    """Pose a problem on [-1, 1]^2 whose source is odd and 2-periodic in x and in y, and which is zero on all sides.

    So is its solution: u = sin(pi x) sin(pi y) N(cos(pi x), cos(pi y)).
    """
    waves = with_exact_faces(problem, lambda x, y, u: torch.sin(PI * x) * torch.sin(PI * y) * u)
    return replace(waves, features=lambda x, y: (torch.cos(PI * x), torch.cos(PI * y)))


def between_ends(problem: Problem) -> Problem:
    """Pose the Klein-Gordon equation with its data exact: those at x = 0 and 1 are interpolated linearly.

    The data at x = 1 hold all of the fast wave, so that what is left to the network is smooth: u = x (cos(5 pi t) +
    t^3) + x (1 - x) t^2 N fulfils u(x, 0) = x and u_t(x, 0) = 0 too.
    """
    return with_exact_faces(problem, lambda x, t, u: x * (torch.cos(5 * PI * t) + t**3) + x * (1 - x) * t**2 * u)


def along_reaction(problem: Problem) -> Problem:
    """Pose the Allen-Cahn equation u_t = 1e-4 u_xx + 5 u - 5 u^3 on top of the flow of its reaction.

    Without diffusion v(x) moves to R(v, t) = v e^(5 t) / sqrt(1 + v^2 (e^(10 t) - 1)). With u = R(v(x, t), t) the
    fronts, of width 0.01 at t = 1, come from R, and v differs by some 1e-3 from u(x, 0) + S. S is what diffusion does
    to the kink of the periodic initial values at x = 1, where their slope jumps by 4: with s for 2 cos(pi x / 2) / pi,
    the distance from the kink near it, S = 2 (sqrt(4 nu t / pi) exp(-z^2) + s erf(z) - s) for z = s / sqrt(4 nu t).
    Initial values, period and evenness are exact. The residual is weighed by 1 / sqrt(e^(-10 (1 - t)) + 27 u^2 / 4):
    that is how far the reaction amplifies an error by t = 1 at most, e^(5 (1 - t)) at u = 0 and 0.4 / |u| away from it.
    """

    def trial(x: Any, t: Any, u: Any) -> Any:
        squared = 4e-4 * t + SMALL
        inverse, distance = torch.rsqrt(squared), (2 / PI) * torch.cos(PI * x / 2)
        z = distance * inverse
        smoothed = squared * inverse * torch.exp(-z * z) / math.sqrt(PI) + distance * torch.erf(z) - distance
        value, _ = flow(x**2 * torch.cos(PI * x) + 2 * smoothed + CORRECTION * (t * u), t)
        return value

    def flow(v: Any, t: Any) -> tuple[Any, Any]:
        """Return R and its damping, 1 / sqrt(1 + v^2 (e^(10 t) - 1))."""
        growth = torch.exp(5 * t)
        damping = torch.rsqrt(1 + v * v * (growth * growth - 1))
        return v * growth * damping, damping

    def equation(u: Any, diffusion: Any, t: Any) -> Any:
        return torch.rsqrt(torch.exp(-10 * (1 - t)) + 6.75 * u * u) * (diffusion + 5 * u**3 - 5 * u)

    def features(x: Any, t: Any) -> tuple[Any, ...]:
        wave = torch.cos(PI * x)
        return (wave, 2 * t - 1, *flow((2 / PI**2) * (1 - wave) * wave, t))  # which is x^2 cos(pi x) near x = 0

    return replace(
        problem,
        equations={"allen-cahn": equation},
        conditions=tuple(replace(item, exact=True) for item in problem.conditions),  # pyright: ignore[reportArgumentType, reportCallIssue]
        trial=trial,
        features=features,
    )


def within_sides(problem: Problem) -> Problem:
    """Pose the vortices of Taylor and Green with exact velocities at the start and on all sides.

    On the sides they fade by e^(-2 nu t): what that takes from their values at t = 0 is interpolated linearly between
    opposite sides, and the network is left with what vanishes on all faces. A pressure
    that is given at a corner alone is fixed by next to nothing: a network bends to it there, and is wrong elsewhere. As
    velocities change sign from x to x + pi and from y to y + pi, the pressure does not change, and
    p = p(0, 0, t) + (sin(x)^2 + sin(y)^2) N holds it.
    """
    decay = problem.operators["move_u"]["u_xx"]  # -nu

    def trial(x: Any, y: Any, t: Any, u: Any, v: Any, p: Any) -> tuple[Any, Any, Any]:
        change = torch.exp(2 * decay * t) - 1
        inside = t * (x * (PI - x)) * (y * (PI - y))
        start_u, start_v = -torch.cos(x) * torch.sin(y), torch.sin(x) * torch.cos(y)
        side_u, side_v = (2 * x / PI - 1) * torch.sin(y) * change, (1 - 2 * y / PI) * torch.sin(x) * change
        pressure = (torch.sin(x) ** 2 + torch.sin(y) ** 2) * p - 0.5 * torch.exp(4 * decay * t)
        return start_u + side_u + inside * u, start_v + side_v + inside * v, pressure

    return with_exact_faces(problem, trial)


def between_walls(problem: Problem) -> Problem:
    """Pose electrothermal flow with temperature and potential exact on all four sides, as the velocity is already.

    Values on the sides are interpolated by the sum of the two linear interpolations between opposite sides, less that
    of the corners. The mean of the pressure is 0, in place of its value in a corner, which would hold there alone.

    Reference:
        Gordon and Hall, Numerische Mathematik 21 (1973) 109, for the interpolation.
    """

    def known_inside(field: str, x: Any, y: Any) -> Any:
        zero = 0 * x
        by_x = (1 - x) * known(field, zero, y) + x * known(field, zero + 1, y)
        by_y = (1 - y) * known(field, x, zero) + y * known(field, x, zero + 1)
        corners = [
            (x if right else 1 - x) * (y if top else 1 - y) * known(field, zero + right, zero + top)
            for right in (0, 1)
            for top in (0, 1)
        ]
        return by_x + by_y - sum(corners)

    def trial(x: Any, y: Any, u: Any, v: Any, p: Any, T: Any, P: Any) -> tuple[Any, ...]:
        inside = 16 * x * (1 - x) * (y * (1 - y))
        temperature, potential = (known_inside(field, x, y) + inside * free for field, free in (("T", T), ("P", P)))
        return inside * u, inside * v, p, temperature, potential

    mean = Integral("gauge", lambda p: p, 0.0, n_nodes=N_NODES)
    conditions = tuple(
        mean if item.name == "gauge" else replace(item, exact=True)  # pyright: ignore[reportArgumentType, reportCallIssue]
        for item in problem.conditions
    )
    return replace(problem, trial=trial, conditions=conditions)


def between_sides(problem: Problem) -> Problem:
    """Pose Kovasznay's flow with exact velocities at both ends in x; the trunk's inputs have the period 1 in y.

    Velocities at the ends are interpolated linearly. The other faces, which the period makes one, weigh tenfold.
    """
    (low, high), turn = problem.domain.intervals["x"], 2 * PI
    ends = {
        (field, place): next(face for face in problem.conditions if face.name == f"{field} at x = {place:g}")
        for field in ("u", "v")
        for place in (low, high)
    }

    def at_end(field: str, place: float, y: Any) -> Any:
        """Return a field's value at an end, whose condition is the field minus that."""
        return -ends[field, place].residual({field: 0.0, "x": 0.0 * y + place, "y": y})

    def trial(x: Any, y: Any, u: Any, v: Any, p: Any) -> tuple[Any, Any, Any]:
        share = (x - low) / (high - low)
        u, v = (
            (1 - share) * at_end(field, low, y) + share * at_end(field, high, y) + share * (1 - share) * value
            for field, value in (("u", u), ("v", v))
        )
        return u, v, p

    posed = with_exact_faces(problem, trial, [face.name for face in ends.values()])
    return with_weight(replace(posed, features=lambda x, y: (2 * x, torch.cos(turn * y), torch.sin(turn * y))), 10.0)


def beside_corners(problem: Problem) -> Problem:
    """Pose the cavity's stream function as its singular parts in the upper corners and a smooth rest.

    Near a corner psi = r f(theta) +- Re r^2 g(theta) + ..., in closed form: Taylor's flow under a scraper, which takes
    up the jump of the velocity, and what its inertia drives. With s for both, psi = s + (x (1 - x) y (1 - y))^2 N_psi
    has the walls' values and slopes exactly, and w stands for the vorticity of the rest, that of the flow plus
    Laplace s.

    Reference:
        Botella and Peyret, Computers and Fluids 27 (1998) 421, who take the same parts out of a spectral method.
    """
    reynolds = reynolds_of(problem)

    def trial(x: Any, y: Any, psi: Any, w: Any) -> tuple[Any, Any]:
        inside = x * (1 - x) * (y * (1 - y))
        return singular_stream(x, y, reynolds) + 16 * inside * inside * psi, 10 * w

    posed = with_exact_faces(problem, trial)
    return replace(
        posed, equations=_equations_of_the_rest(reynolds, near_corners, lambda x, y: near_corners(x, y) ** 2)
    )


def beside_corners_clamped(problem: Problem) -> Problem:
    """Pose the cavity as `beside_corners` does, for a trunk whose stream function is at rest on the walls by itself.

    Both residuals are multiplied by (16 x (1 - x) y (1 - y))^2, the factor by which such a trunk vanishes at the walls.
    In the mean square without it, what no trunk can follow near the corners outweighs the vorticity of the core, on
    which the residual depends by 1 / Re alone: at Re = 1000 the least squares of 32 x 32 polynomials are then wrong by
    20 to 30 % of the lid's speed, and with it by 0.6 %, also from the solution itself. `ClampedSeries` is such a trunk.
    """
    reynolds = reynolds_of(problem)

    def weight(x: Any, y: Any) -> Any:
        inside = 4 * x * (1 - x) * (4 * y * (1 - y))
        return inside * inside

    posed = with_exact_faces(problem, lambda x, y, psi, w: (singular_stream(x, y, reynolds) + psi, w))
    return replace(posed, features=None, equations=_equations_of_the_rest(reynolds, weight, weight))


def reynolds_of(problem: Problem) -> float:
    """Return the Reynolds number of `cavity_stream`.

    Raises:
        ValueError: a problem of other operators.
    """
    if "w_xx" not in problem.operators.get("friction", {}):
        raise ValueError(f"Argument `problem` must be a `cavity_stream`, but is {problem.name!r}.")
    return -1.0 / problem.operators["friction"]["w_xx"]


def _equations_of_the_rest(reynolds: float, of_vorticity: Residual, of_transport: Residual) -> dict[str, Residual]:
    """Return the equations of the flow beside the singular parts of its corners, w being the vorticity of that rest.

    Args:
        reynolds: the Reynolds number.
        of_vorticity: weight of its definition, from x and y.
        of_transport: weight of its transport.
    """
    parts = CornerVorticity(reynolds)

    def vorticity(laplacian: Any, w: Any, x: Any, y: Any) -> Any:
        return (laplacian - parts(x, y)[0] + w) * of_vorticity(x, y)

    def transport(psi_x: Any, psi_y: Any, w_x: Any, w_y: Any, friction: Any, x: Any, y: Any) -> Any:
        _, by_x, by_y, spread = parts(x, y)
        return (psi_y * (w_x - by_x) - psi_x * (w_y - by_y) + friction + spread / reynolds) * of_transport(x, y)

    return {"vorticity": vorticity, "transport": transport}
