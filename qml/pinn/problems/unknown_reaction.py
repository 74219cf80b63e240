"""Fisher's equation with a reaction that is unknown: a field of its own, to be found from noisy measurements."""

import math

import numpy as np

from qml.pinn.conditions import Observations
from qml.pinn.domain import Box
from qml.pinn.problem import Problem


def unknown_reaction(*, noise: float | int = 0.01, n_observations: int = 100, seed: int = 0) -> Problem:
    """Pose u_t = u_xx + f on [-10, 20] x [0, 4], with u measured at few points and f unknown; it is u (1 - u).

    `WithTerm` makes f a function of u, which the measurements then tell; a trunk with two free outputs may put any f
    that its own u needs.

    Args:
        noise: standard deviation of the measurements of u, which lies between 0 and 1.
        n_observations: at Sobol points.
        seed: of points and noise.

    Reference:
        Universal PINNs, arXiv:2212.04630, section 3. The front: Ablowitz and Zeppetella, Bull. Math. Biol. 41 (1979)
        835.
    """
    box = Box({"x": (-10.0, 20.0), "t": (0.0, 4.0)})

    def reference(points: np.ndarray) -> np.ndarray:
        return fisher_front(points[:, 0], points[:, 1])[:, None]

    measured = Observations.simulated("u", box, reference, noise=noise, n_observations=n_observations, seed=seed)
    return Problem(
        name="unknown-reaction",
        domain=box,
        fields=("u", "f"),
        equations={"diffusion": lambda u_t, u_xx, f: u_t - u_xx - f},
        conditions=(measured,),
        features=lambda x, t: ((x - 5) / 15, t / 2 - 1),
        reference=reference,
        judged=("u",),
        source="closed form of a front of Fisher's equation",
    )


def fisher_front(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the front of u_t = u_xx + u (1 - u) that travels at speed 5 / sqrt(6)."""
    return (1 + np.exp((x - 5 / math.sqrt(6) * t) / math.sqrt(6))) ** -2
