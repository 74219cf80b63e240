"""A reservoir's memory: memory capacity, information processing capacity, and the echo state property."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.reservoir import Reservoir

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANK_TOLERANCE = 1e-11  # smallest relative singular value of the features: float64, a sum over thousands of steps
SIGNIFICANCE = 4.0  # standard deviations by which a capacity must exceed that of an unrelated target


@dataclass(frozen=True, eq=False)
class Capacities(ShowsPlot):
    """The capacities of a reservoir to compute functions of its past inputs, each in [0, 1].

    Args:
        terms: The (delay, degree) pairs of every function, a product of Legendre polynomials of u_{t - delay}.
        values: Capacity of each function; 0 where chance explains it.
        n_features: Number of linearly independent features, the bound of the sum of all capacities.
    """

    terms: tuple[tuple[tuple[int, int], ...], ...]
    values: np.ndarray
    n_features: int

    @property
    def total(self) -> float:
        """Return the sum of all capacities."""
        return float(self.values.sum())

    def by_degree(self) -> dict[int, float]:
        """Return the sum for each total degree; that of degree 1 is the linear memory capacity."""
        degrees = [sum(degree for _, degree in term) for term in self.terms]
        return {d: float(self.values[np.array(degrees) == d].sum()) for d in sorted(set(degrees))}

    def by_delay(self) -> np.ndarray:
        """Return the sum for each longest delay from 0 on."""
        longest = np.array([max(delay for delay, _ in term) for term in self.terms])
        return np.array([self.values[longest == delay].sum() for delay in range(longest.max() + 1)])

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw capacity against the longest delay, stacked by degree."""
        axes = axes_of(ax)
        longest = np.array([max(delay for delay, _ in term) for term in self.terms])
        degrees = np.array([sum(degree for _, degree in term) for term in self.terms])
        bottom = np.zeros(longest.max() + 1)
        for degree in sorted(set(degrees.tolist())):
            heights = np.bincount(longest[degrees == degree], self.values[degrees == degree], len(bottom))
            axes.bar(range(len(bottom)), heights, bottom=bottom, width=1.0, label=f"degree {degree}")
            bottom += heights
        axes.set(xlabel="longest delay (steps)", ylabel="capacity")
        axes.set_title(f"Capacity {self.total:.2f} of at most {self.n_features}")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]


def memory_capacity(
    reservoir: Reservoir, max_delay: int, *, n_steps: int = 5000, washout: int = 500, seed: int = 0
) -> Capacities:
    """Measure linear memory capacity: how well u_{t-k} is a linear function of features at t, for k = 0..max_delay.

    An N-unit linear echo state network has at most N in all.

    Args:
        reservoir: A reservoir with one input.
        max_delay: The longest delay.
        n_steps: Length of the uniform series in [-1, 1] that drives it.
        washout: Number of steps before that.
        seed: Seed of the series.

    Reference:
        Jaeger, GMD report 152 (2001). Delay 0 is counted too, which Jaeger leaves out.
    """
    return information_capacity(reservoir, {1: max_delay}, n_steps=n_steps, washout=washout, seed=seed)


def information_capacity(
    reservoir: Reservoir, max_delays: Mapping[int, int], *, n_steps: int = 5000, washout: int = 500, seed: int = 0
) -> Capacities:
    r"""Measure information processing capacity: capacities of all products of Legendre polynomials of past inputs.

    C(z) = |Q^T z|^2 / |z|^2 with Q an orthonormal basis of the centred features. For a target without relation to them
    it is not 0 but about r / n, with r features and n steps, and standard deviation sqrt(2 r) / n. Capacities that do
    not exceed this mean by 4 standard deviations count as 0; it is subtracted from those that do.

    A reservoir in float32 is measured with its rounding, which makes dependent features independent and costs capacity:
    a linear network of 30 units has 24 independent features and a total of 23.9 in float64, and 30 and 19.2 in float32.

    Args:
        reservoir: A reservoir with one input.
        max_delays: From total degree to the longest delay of its terms; {1: 20, 2: 10} has 21 + 66 terms.
        n_steps: Length of the uniform series in [-1, 1].
        washout: Number of steps before that.
        seed: Seed of the series.

    Raises:
        ValueError: If the reservoir has more inputs, there are no degrees, or the series is not longer than the number
            of features.

    Reference:
        Dambre, Verstraeten, Schrauwen and Massar, doi:10.1038/srep00514.
    """
    _require_one_input(reservoir)
    checks.require_kind(max_delays, "max_delays", Mapping, " Use {1: 20} for example.")
    n_steps, washout = checks.as_int(n_steps, "n_steps", 1), checks.as_int(washout, "washout", 0)
    seed = checks.as_int(seed, "seed", 0)
    if not max_delays:
        raise ValueError("Argument `max_delays` must hold at least one degree, but is empty. Use {1: 20} for example.")
    for degree, delay in max_delays.items():
        checks.as_int(degree, "max_delays", 1)
        checks.as_int(delay, "max_delays", 0)
    if n_steps <= reservoir.n_features + 1:
        raise ValueError(
            f"Argument `n_steps` must exceed the {reservoir.n_features} features by far, but is {n_steps}."
        )
    longest = max(max_delays.values())
    start = max(washout, longest)
    inputs = np.random.default_rng(seed).uniform(-1.0, 1.0, start + n_steps)
    basis = _basis(_features(reservoir, inputs)[start:])
    highest = max(max_delays)
    polynomials = {d: np.polynomial.legendre.Legendre.basis(d)(inputs) for d in range(1, highest + 1)}
    terms = [term for degree, delay in max_delays.items() for term in _terms(degree, delay)]
    values = np.empty(len(terms))
    for number, term in enumerate(terms):
        target = np.ones(n_steps)
        for delay, degree in term:
            target = target * polynomials[degree][start - delay : start - delay + n_steps]
        target = target - target.mean()
        values[number] = np.square(basis.T @ target).sum() / np.square(target).sum()
    rank = basis.shape[1]
    chance, spread = rank / n_steps, np.sqrt(2.0 * rank) / n_steps
    corrected = (values - chance) / (1.0 - chance)
    values = np.where(values > chance + SIGNIFICANCE * spread, corrected, 0.0)
    return Capacities(tuple(terms), values, rank)


@dataclass(frozen=True, eq=False)
class EchoCheck(ShowsPlot):
    """The speed at which a reservoir forgets its start, as distances between several starts.

    Args:
        distances: Largest distance of the features of any two starts at each step, shape (steps,).
        rate: Factor by which the distance changes in a step, by a fit to its logarithm; below 1 the start fades.
    """

    distances: np.ndarray
    rate: float

    @property
    def holds(self) -> bool:
        """Tell whether the echo state property holds on this series: the distance fell to a tenth, and is falling."""
        return self.rate < 1.0 and bool(self.distances[-1] < 0.1 * self.distances[0])

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the distance against steps."""
        axes = axes_of(ax)
        axes.semilogy(np.maximum(self.distances, np.finfo(float).tiny))
        axes.set(xlabel="step", ylabel="distance of the features", title=f"Factor {self.rate:.3f} a step")
        return axes.figure  # pyright: ignore[reportReturnType]


def echo_check(
    reservoir: Reservoir, *, n_starts: int = 6, n_steps: int = 200, prefix: int = 20, seed: int = 0
) -> EchoCheck:
    """Drive several starts with one series, uniform in [-1, 1], and follow how their features come together.

    A start is the state after a series of its own, so that the reservoir can reach it.

    Args:
        reservoir: Any reservoir.
        n_starts: Number of starts, at least 2.
        n_steps: Length of the common series.
        prefix: Length of each start's own series.
        seed: Seed of all series.

    Reference:
        Jaeger, GMD report 148 (2001), definition 3; the property is checked on one series here, not for all.
    """
    checks.require_kind(reservoir, "reservoir", Reservoir)
    n_starts, n_steps = checks.as_int(n_starts, "n_starts", 2), checks.as_int(n_steps, "n_steps", 2)
    prefix, seed = checks.as_int(prefix, "prefix", 1), checks.as_int(seed, "seed", 0)
    generator = np.random.default_rng(seed)
    own = torch.from_numpy(generator.uniform(-1.0, 1.0, (n_starts, prefix, reservoir.n_inputs)))
    common = torch.from_numpy(generator.uniform(-1.0, 1.0, (1, n_steps, reservoir.n_inputs)))
    with torch.no_grad():
        _, state = reservoir(own)
        features, _ = reservoir(common.expand(n_starts, -1, -1), state)
    gaps = features[:, None] - features[None]
    distances = torch.linalg.vector_norm(gaps, dim=-1).amax((0, 1)).double().numpy()
    floor = 1e-12 * max(float(features.abs().max()), 1.0)  # below, it is rounding
    kept = np.flatnonzero(distances > floor)
    if len(kept) < 2 or kept[-1] == kept[0]:
        return EchoCheck(distances, 0.0)
    slope = np.polyfit(kept, np.log(distances[kept]), 1)[0]
    return EchoCheck(distances, float(np.exp(slope)))


def _terms(degree: int, max_delay: int) -> list[tuple[tuple[int, int], ...]]:
    """Return all ways to give a total degree to delays 0..max_delay."""
    terms = []
    for chosen in combinations_with_replacement(range(max_delay + 1), degree):
        terms.append(tuple((delay, chosen.count(delay)) for delay in sorted(set(chosen))))
    return terms


def _features(reservoir: Reservoir, inputs: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time features"]:
    with torch.no_grad():
        chunks = [part[0] for part in reservoir.stream(torch.from_numpy(inputs)[None, :, None], chunk=1000)]
    return torch.cat(chunks).double().numpy()


def _basis(features: Float[np.ndarray, "time features"]) -> Float[np.ndarray, "time rank"]:
    """Return an orthonormal basis of the centred features."""
    left, singular, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    return left[:, singular > RANK_TOLERANCE * max(float(singular[0]), np.finfo(float).tiny)]


def _require_one_input(reservoir: Reservoir) -> None:
    checks.require_kind(reservoir, "reservoir", Reservoir)
    if reservoir.n_inputs != 1:
        raise ValueError(f"Argument `reservoir` must have one input for a capacity, but has {reservoir.n_inputs}.")
