"""Bound states of one particle on a line, -psi'' + V psi = E psi, with hbar^2 / 2m = 1 (arXiv:2504.05367)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from qml.jets.jet import Array
from qml.pinn.conditions import Condition, Face, Integral
from qml.pinn.domain import Box
from qml.pinn.model import Pinn
from qml.pinn.names import renamed
from qml.pinn.problem import Problem

PI = math.pi
ROOT_TOLERANCE = 1e-14
TINY = 1e-12

WELL_DEPTH, WELL_HALF, WELL_WALL = 20.0, 1.0, 3.0
BARRIER_HEIGHT, BARRIER_WIDTH = 50.0, 0.2
OSCILLATOR_WALL = 6.0

WELL_SOURCE = "roots of k tan(k) = kappa coth(2 kappa) and k cot(k) = -kappa coth(2 kappa), k^2 + kappa^2 = 20"

Wave = Callable[[np.ndarray], np.ndarray]


def infinite_well(*, find_energy: bool = False) -> Problem:
    """Pose the ground state of the box [0, 1]: sqrt(2) sin(pi x) and E = pi^2, given unless it is to be found.

    Args:
        find_energy: whether E is trained, from 8.
    """

    def given(psi: Tensor, psi_xx: Tensor) -> Tensor:
        return (psi_xx + PI**2 * psi) / PI**2

    def free(psi: Tensor, psi_xx: Tensor, E: Tensor) -> Tensor:
        return (psi_xx + E * psi) / PI**2

    return Problem(
        name="infinite-well-energy" if find_energy else "infinite-well",
        domain=Box({"x": (0.0, 1.0)}),
        fields=("psi",),
        equations={"schroedinger": free if find_energy else given},
        conditions=_bound("x", 0.0, 1.0),
        scalars={"E": 8.0} if find_energy else {},
        states={"E": 0} if find_energy else {},
        trial=lambda x, psi: x * (1 - x) * psi,
        reference=lambda points: math.sqrt(2) * np.sin(PI * points),
        reference_scalars={"E": PI**2} if find_energy else {},
        sign_free=True,
        source="closed form",
    )


def finite_well(state: int = 0, *, lower: Sequence[Pinn] = ()) -> Problem:
    """Pose a bound state of the well of depth 20 on [-1, 1], with walls at +-3.

    The walls move the ground energy by 1e-7 of it, the third one by 2e-5; the reference has them too.

    psi'' jumps with the potential, so two features are tanh(max(0, |x| - 1))^2 on either side, which do the same.

    Args:
        state: 0, 1 or 2; there are no more.
        lower: models of all lower states, which it is orthogonal to.

    Raises:
        ValueError: another state, or another number of lower ones.
    """
    energies = well_energies()
    _require_state(state, len(energies), lower)
    energy, wall = energies[state], WELL_WALL
    box = Box({"x": (-wall, wall)}, breaks={"x": (-WELL_HALF, WELL_HALF)})
    return Problem(
        name="finite-well" if state == 0 else f"finite-well-{state}",
        domain=box,
        fields=("psi",),
        equations={
            "schroedinger": lambda psi, psi_xx, x, E: (
                (psi_xx - (WELL_DEPTH * (x.abs() > WELL_HALF).to(x.dtype) - E) * psi) / WELL_DEPTH
            )
        },
        conditions=(*_bound("x", -wall, wall), *_orthogonal(lower)),
        scalars={"E": 1.0 if state == 0 else lower[-1].found_scalars()["E"] + 2.0 * state + 1.0},
        states={"E": state},
        trial=lambda x, psi: (1 - (x / wall) ** 2) * psi,
        features=_well_features,
        reference=_normalised(_well_wave(energy, odd=state % 2 == 1), box),
        reference_scalars={"E": energy},
        sign_free=True,
        source=WELL_SOURCE,
    )


def finite_well_states() -> Problem:
    """Pose all three bound states of the finite well at once, orthogonal to each other.

    Each energy starts from that of an infinite well as wide as the finite one and two penetration depths 1 / sqrt(V).
    """
    energies, wall, names = well_energies(), WELL_WALL, ("psi0", "psi1", "psi2")
    box = Box({"x": (-wall, wall)}, breaks={"x": (-WELL_HALF, WELL_HALF)})
    width = 2 * WELL_HALF + 2 / math.sqrt(WELL_DEPTH)
    waves = [_normalised(_well_wave(energy, odd=state % 2 == 1), box) for state, energy in enumerate(energies)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    return Problem(
        name="finite-well-states",
        domain=box,
        fields=names,
        equations={f"schroedinger {state}": _in_the_well(state) for state in range(len(names))},
        conditions=(
            *(
                Face(f"{side} {name}", {"x": place}, _itself(name), exact=True)
                for name in names
                for side, place in (("left", -wall), ("right", wall))
            ),
            *(Integral(f"norm of {name}", _product(name, name), 1.0) for name in names),
            *(Integral(f"{one}-{two}", _product(names[one], names[two]), 0.0) for one, two in pairs),
        ),
        scalars={f"E{state}": (PI * (state + 1) / width) ** 2 for state in range(len(names))},
        states={f"E{state}": state for state in range(len(names))},
        trial=lambda x, psi0, psi1, psi2: tuple((1 - (x / wall) ** 2) * psi for psi in (psi0, psi1, psi2)),
        features=_well_features,
        reference=lambda points: np.concatenate([wave(points) for wave in waves], 1),
        reference_scalars={f"E{state}": energy for state, energy in enumerate(energies)},
        sign_free=True,
        source=WELL_SOURCE,
    )


def barrier() -> Problem:
    """Pose the ground state of the box [0, 1] with a barrier of height 50 and width 0.2 in its middle."""
    low, high = 0.5 - BARRIER_WIDTH / 2, 0.5 + BARRIER_WIDTH / 2
    energy = barrier_energy()
    return Problem(
        name="barrier",
        domain=Box({"x": (0.0, 1.0)}, breaks={"x": (low, high)}),
        fields=("psi",),
        equations={
            "schroedinger": lambda psi, psi_xx, x, E: (
                (psi_xx - (BARRIER_HEIGHT * ((x > low) & (x < high)).to(x.dtype) - E) * psi) / BARRIER_HEIGHT
            )
        },
        conditions=_bound("x", 0.0, 1.0),
        scalars={"E": 15.0},
        states={"E": 0},
        trial=lambda x, psi: 4 * x * (1 - x) * psi,
        features=lambda x: (2 * x - 1, 20 * torch.relu(x - low) ** 2, 20 * torch.relu(x - high) ** 2),
        reference=_normalised(_barrier_wave(energy), Box({"x": (0.0, 1.0)}, breaks={"x": (low, high)})),
        reference_scalars={"E": energy},
        sign_free=True,
        source="root of k cot(k b) = -kappa tanh(kappa w / 2)",
    )


def oscillator() -> Problem:
    """Pose the ground state in the potential x^2: pi^(-1/4) exp(-x^2 / 2) and E = 1, with walls at +-6."""
    wall = OSCILLATOR_WALL
    return Problem(
        name="oscillator",
        domain=Box({"x": (-wall, wall)}),
        fields=("psi",),
        equations={"schroedinger": lambda psi, psi_xx, x, E: psi_xx - (x**2 - E) * psi},
        conditions=_bound("x", -wall, wall),
        scalars={"E": 0.5},
        states={"E": 0},
        trial=lambda x, psi: (1 - (x / wall) ** 2) * psi,
        reference=lambda points: PI**-0.25 * np.exp(-(points**2) / 2),
        reference_scalars={"E": 1.0},
        sign_free=True,
        source="closed form on the whole line; psi(6) is 1e-8",
    )


def well_energies() -> list[float]:
    """Return the energies of the bound states of the finite well between its walls at distance d, below its depth.

    Roots of k tan(k a) = kappa coth(kappa d) and k cot(k a) = -kappa coth(kappa d), with the half width a.
    """
    from scipy.optimize import brentq

    strength, energies = math.sqrt(WELL_DEPTH) * WELL_HALF, []

    def mismatch(angle: float, shift: float) -> float:
        # Even states have shift 0: z sin z = a kappa coth(kappa d) cos z. Odd ones are the same a quarter turn on.
        kappa = math.sqrt(max(TINY, strength**2 - angle**2)) / WELL_HALF
        slope = WELL_HALF * kappa / math.tanh(kappa * (WELL_WALL - WELL_HALF))
        return angle * math.sin(angle - shift) - slope * math.cos(angle - shift)

    for state in range(math.ceil(2 * strength / PI)):
        low, high = state * PI / 2, min((state + 1) * PI / 2, strength)
        root = float(brentq(mismatch, low, high, args=(state * PI / 2,), xtol=ROOT_TOLERANCE))  # pyright: ignore[reportArgumentType]
        energies.append((root / WELL_HALF) ** 2)
    return energies


def barrier_energy() -> float:
    """Return the ground energy of the box with a barrier, below its height: psi is sin(k x), then a cosh."""
    from scipy.optimize import brentq

    well = (1 - BARRIER_WIDTH) / 2

    def mismatch(k: float) -> float:
        kappa = math.sqrt(max(0.0, BARRIER_HEIGHT - k * k))
        return k * math.cos(k * well) + kappa * math.tanh(kappa * BARRIER_WIDTH / 2) * math.sin(k * well)

    k = brentq(mismatch, PI / (2 * well), math.sqrt(BARRIER_HEIGHT), xtol=ROOT_TOLERANCE)
    return float(k) ** 2  # pyright: ignore[reportArgumentType]


def _bound(axis: str, low: float, high: float) -> tuple[Condition, ...]:
    """Return the conditions of a wave that is zero at both walls by the trial function, and of norm 1."""
    return (
        Face("left", {axis: low}, lambda psi: psi, exact=True),
        Face("right", {axis: high}, lambda psi: psi, exact=True),
        Integral("norm", lambda psi: psi**2, 1.0),
    )


def _well_features(x: Array) -> tuple[Array, ...]:
    return (x / 2, *(torch.tanh(torch.relu(side * x - WELL_HALF)) ** 2 for side in (-1, 1)))  # pyright: ignore[reportArgumentType]


def _in_the_well(state: int) -> Callable[..., Tensor]:
    """Return the equation of one of three states."""

    def residual(psi: Tensor, psi_xx: Tensor, x: Tensor, E: Tensor) -> Tensor:
        return (psi_xx - (WELL_DEPTH * (x.abs() > WELL_HALF).to(x.dtype) - E) * psi) / WELL_DEPTH

    return renamed(residual, {"psi": f"psi{state}", "psi_xx": f"psi{state}_xx", "E": f"E{state}"})


def _itself(name: str) -> Callable[..., Tensor]:
    return renamed(lambda psi: psi, {"psi": name})


def _product(one: str, two: str) -> Callable[..., Tensor]:
    if one == two:
        return renamed(lambda psi: psi**2, {"psi": one})
    return renamed(lambda psi, other: psi * other, {"psi": one, "other": two})


def _orthogonal(lower: Sequence[Pinn]) -> tuple[Condition, ...]:
    def overlap_with(model: Pinn) -> Callable[..., Tensor]:
        def overlap(psi: Tensor, x: Tensor) -> Tensor:
            with torch.no_grad():
                other = model(x[:, None])[:, 0]
            return psi * other

        return overlap

    return tuple(Integral(f"orthogonal to {index}", overlap_with(model), 0.0) for index, model in enumerate(lower))


def _well_wave(energy: float, *, odd: bool) -> Wave:
    k, kappa = math.sqrt(energy), math.sqrt(WELL_DEPTH - energy)
    inside = np.sin if odd else np.cos

    def wave(x: np.ndarray) -> np.ndarray:
        edge = float(inside(k * WELL_HALF))
        tail = edge * np.sinh(kappa * (WELL_WALL - np.abs(x))) / math.sinh(kappa * (WELL_WALL - WELL_HALF))
        tail = tail * (np.sign(x) if odd else 1.0)
        return np.where(np.abs(x) < WELL_HALF, inside(k * x), tail)

    return wave


def _barrier_wave(energy: float) -> Wave:
    k, kappa, well = math.sqrt(energy), math.sqrt(BARRIER_HEIGHT - energy), (1 - BARRIER_WIDTH) / 2

    def wave(x: np.ndarray) -> np.ndarray:
        folded = np.minimum(x, 1 - x)  # an even state about the middle
        under = math.sin(k * well) * np.cosh(kappa * (folded - 0.5)) / math.cosh(kappa * BARRIER_WIDTH / 2)
        return np.where(folded < well, np.sin(k * folded), under)

    return wave


def _normalised(wave: Wave, box: Box) -> Wave:
    """Return the wave of norm 1 in a box that has breaks where the wave bends."""
    nodes, weights = box.quadrature(400)
    norm = math.sqrt(float((weights * wave(nodes)[:, 0] ** 2).sum()))
    return lambda points: wave(points) / norm


def _require_state(state: int, n_states: int, lower: Sequence[Pinn]) -> None:
    if not 0 <= state < n_states:
        raise ValueError(
            f"Argument `state` must be in 0..{n_states - 1}, the bound states of this well, but is {state}."
        )
    if len(lower) != state:
        raise ValueError(f"Argument `lower` must hold models of the {state} lower states, but holds {len(lower)}.")
