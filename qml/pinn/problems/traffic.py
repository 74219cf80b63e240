"""Traffic density on roads: Lighthill, Whitham and Richards' equation, measured by a few detectors."""

from functools import cache

import numpy as np

from qml.pinn.conditions import Observations
from qml.pinn.domain import Box
from qml.pinn.problem import Problem

VISCOSITY = 0.01
SPEED = 0.8  # free-flow speed v of all roads: flow is v r (1 - r) at density r (Greenshields)
N_CELLS = 500
ROADS = {"r": (0.25, 0.35, 0.45), "s": (0.35, 0.25, 0.6)}  # base density, height and place of the first queue, by road
WIDTH = 0.08  # of the queues
DETECTORS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def traffic(
    *,
    roads: tuple[str, ...] = ("r",),
    noise: float = 0.01,
    n_times: int = 12,
    seed: int = 0,
    weights: tuple[float, ...] | None = None,
) -> Problem:
    """Pose r_t + (v r (1 - r))_x = 0.01 r_xx on [0, 1]^2 for one road or two, with v unknown and shared by all.

    Six detectors a road measure the density with noise at a few times; nothing else is given, no initial density.
    Roads that are trained together are tasks of one network: they share its hidden layers and the speed v. By MLPs of
    16-16 and 60 steps of Levenberg-Marquardt the density of r is right to 2.3 % and 2.0 % alone (seeds 0 and 1) and to
    2.8 % and 2.1 % together with s, so the second road did not help; v was 0.75 in place of 0.8 alone, 0.73 and 0.75
    together. Measurements of weight 0.01 were worse: 5 to 6 %.

    Args:
        roads: "r", "s" or both; the first is the task that is judged.
        noise: standard deviation of the measured densities, which lie between 0.2 and 0.7.
        n_times: measurements of each detector.
        seed: of times and noise.
        weights: of each road's measurements in the loss; None is 1 each.

    Raises:
        ValueError: a road that does not exist, or another number of weights.

    Reference:
        Multi-task optimisation of traffic networks: arXiv:2307.03920. The equation with viscosity: Huang and Agarwal,
        arXiv:2103.03339.
    """
    weights = weights or (1.0,) * len(roads)
    if not roads or len(weights) != len(roads) or any(road not in ROADS for road in roads):
        raise ValueError(
            f"Arguments `roads` and `weights` must be some of r, s and a weight each, but are {roads}, {weights}."
        )
    box = Box({"x": (0.0, 1.0), "t": (0.0, 1.0)})
    rng = np.random.default_rng(seed)
    x, t = np.meshgrid(DETECTORS, (np.arange(n_times) + rng.random(n_times)) / n_times, indexing="ij")
    where = np.column_stack([x.ravel(), t.ravel()])
    seen = [
        Observations(
            f"detectors of {road}",
            road,
            where,
            density(road, where[:, 0], where[:, 1]) + noise * rng.standard_normal(len(where)),
            weight,
        )
        for road, weight in zip(roads, weights, strict=True)
    ]
    equations = {
        "r": lambda r, r_x, diffuse_r, v: diffuse_r + v * (1 - 2 * r) * r_x,
        "s": lambda s, s_x, diffuse_s, v: diffuse_s + v * (1 - 2 * s) * s_x,
    }
    return Problem(
        name="traffic",
        domain=box,
        fields=roads,
        equations={f"road {road}": equations[road] for road in roads},
        operators={f"diffuse_{road}": {f"{road}_t": 1.0, f"{road}_xx": -VISCOSITY} for road in roads},
        conditions=tuple(seen),
        scalars={"v": 0.5},
        states={"v": None},  # a coefficient, though all equations are homogeneous
        features=lambda x, t: (2 * x - 1, 2 * t - 1),
        reference=lambda points: density(roads[0], points[:, 0], points[:, 1])[:, None],
        judged=roads[:1],
        reference_scalars={"v": SPEED},
        source=f"Godunov's scheme with {N_CELLS} cells",
    )


def density(road: str, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the density of a road at points, by linear interpolation of Godunov's solution."""
    from scipy.interpolate import RegularGridInterpolator

    centres, times, values = godunov(road, N_CELLS)
    return RegularGridInterpolator((times, centres), values)(np.column_stack([t, x]))


@cache
def godunov(road: str, n_cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cell centres, times and densities (times, cells), by Godunov's fluxes and central diffusion.

    Cells outside the road continue it on both sides, so far that the ends of the computation do not reach the road.

    Reference:
        Godunov, Mat. Sb. 47 (1959) 271, with the flux's supply and demand: Lebacque, ISTTT 13 (1996) 647.
    """
    base, height, place = ROADS[road]
    margin = 2 * n_cells
    centres = (np.arange(-margin, n_cells + margin) + 0.5) / n_cells
    density = base + height * np.exp(-((centres - place) ** 2) / (2 * WIDTH**2))
    n_steps = int(np.ceil(1.0 / min(0.4 / n_cells / SPEED, 0.4 / (n_cells**2 * VISCOSITY))))
    step, every = 1.0 / n_steps, max(1, n_steps // n_cells)
    times, kept = [0.0], [density]
    for index in range(1, n_steps + 1):
        demand = SPEED * np.minimum(density, 0.5) * (1 - np.minimum(density, 0.5))
        supply = SPEED * np.maximum(density, 0.5) * (1 - np.maximum(density, 0.5))
        flux = np.minimum(demand[:-1], supply[1:]) - VISCOSITY * n_cells * np.diff(density)
        density = density.copy()
        density[1:-1] -= step * n_cells * np.diff(flux)
        if index % every == 0 or index == n_steps:
            times.append(index * step)
            kept.append(density)
    inner = slice(margin - 2, n_cells + margin + 2)
    return centres[inner], np.array(times), np.array(kept)[:, inner]
