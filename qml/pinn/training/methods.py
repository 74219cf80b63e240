"""Methods that training can switch on: weights of conditions, of times and of points, and points drawn anew."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

MIXTURE_STEPS = 500  # of the mixture's fit, which ends at a hundredth of a nat a point
EPSILONS = (1e-2, 1e-1, 1.0, 1e1, 1e2)


@dataclass(frozen=True)
class Annealing:
    """Weights of the conditions from statistics of gradients, renewed every few steps of Adam.

    lambda <- (1 - rate) lambda + rate max|grad L_equations| / mean|grad(lambda L_condition)|, over all weights.

    Args:
        every: steps between renewals.
        rate: of the running average, in (0, 1].

    Reference:
        Wang, Teng, Perdikaris, arXiv:2001.04536, algorithm 1.
    """

    every: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("every",), floats=("rate",))
        if self.every < 1 or not 0 < self.rate <= 1:
            raise ValueError(
                f"Arguments `every` and `rate` must be at least 1 and in (0, 1], but are {self.every} and {self.rate}."
            )


@dataclass(frozen=True)
class Causal:
    """Weights over slices of time that let a slice count once the earlier ones are solved.

    w_i = exp(-epsilon sum_{k < i} L_k), with the next larger epsilon as soon as every w_i is above the threshold.

    Args:
        coordinate: time.
        n_slices: equal slices of its interval.
        epsilons: in rising order.
        threshold: of the smallest weight, in (0, 1).

    Reference:
        Wang, Sankaran, Perdikaris, arXiv:2203.07404, equation 3.5 and algorithm 1.
    """

    coordinate: str = "t"
    n_slices: int = 16
    epsilons: tuple[float, ...] = EPSILONS
    threshold: float = 0.99

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_slices",), floats=("threshold",))
        checks.require_kind(self.epsilons, "epsilons", Sequence, " Pass for example (0.1, 1.0).")
        for place, epsilon in enumerate(self.epsilons):
            checks.as_number(epsilon, f"epsilons[{place}]")
        if self.n_slices < 2:
            raise ValueError(f"Argument `n_slices` must be at least 2, but is {self.n_slices}.")
        if not self.epsilons or self.epsilons[0] <= 0 or list(self.epsilons) != sorted(self.epsilons):
            raise ValueError(f"Argument `epsilons` must be positive and rise, but is {self.epsilons}.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"Argument `threshold` must be in (0, 1), but is {self.threshold}.")

    def slices(self, times: Float[Tensor, " batch"], interval: tuple[float, float]) -> Tensor:
        """Return the slice of each point."""
        low, high = interval
        return ((times - low) / (high - low) * self.n_slices).long().clamp(0, self.n_slices - 1)


@dataclass(frozen=True)
class Resampling:
    """Collocation points drawn anew where the residual is large.

    Each candidate is drawn with a chance proportional to r^power / mean(r^power) + floor, r the norm of the residuals.

    Args:
        every: steps of Adam or Levenberg-Marquardt between draws.
        n_candidates: points at which the residual is taken for a draw.
        power: larger is greedier.
        floor: chance that does not depend on the residual.
        overfit: the points stay as they are until the loss on the held-out points exceeds this times the loss on them;
            None draws every time. Above 1, and `Training` then needs `holdout`.
        weighted: whether a point counts 1 / its chance, so that the loss remains an estimate of that of uniform points.

    Reference:
        Wu, Zhu, Tan, Kartha, Lu, arXiv:2207.10289, the RAD method; for `overfit` TINN, arXiv:2601.20361, with 5.
    """

    every: int = 500
    n_candidates: int = 10_000
    power: float = 1.0
    floor: float = 1.0
    overfit: float | None = None
    weighted: bool = False

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("every", "n_candidates"), floats=("power", "floor"))
        if self.overfit is not None and not self.overfit > 1:
            raise ValueError(f"Argument `overfit` must be above 1 or None, but is {self.overfit}.")
        if self.every < 1 or self.n_candidates < 1 or not self.power > 0 or not self.floor >= 0:
            raise ValueError(
                "Arguments `every`, `n_candidates`, `power` and `floor` must be at least 1, 1, above 0 and at least 0, "
                f"but are {self.every}, {self.n_candidates}, {self.power} and {self.floor}."
            )

    def draw(self, residual: Float[Tensor, " batch"], n_points: int, seed: int) -> Tensor:
        """Draw indices of candidates, none of them twice."""
        generator = torch.Generator().manual_seed(seed)
        return torch.multinomial(self.chances(residual).cpu(), n_points, replacement=False, generator=generator)

    def chances(self, residual: Float[Tensor, " batch"]) -> Tensor:
        """Return the chance of each candidate, up to a factor, in float64."""
        powered = residual.detach().double() ** self.power
        return powered / powered.mean().clamp_min(torch.finfo(torch.float64).tiny) + self.floor


@dataclass(frozen=True)
class Holdout:
    """A fixed set of uniform points that training never sees; the weights that do best on it are kept.

    The loss on points that are trained on falls below that of the equation once a network fits the points and not what
    lies between; on points drawn by residual it is no mean over the domain at all.

    Args:
        n_points: Sobol points in the domain; conditions are taken at points of their own too.
        every: steps of Levenberg-Marquardt between judgements; SSBroyden is judged every 5 times as many, and Adam
            every 50 times.
    """

    n_points: int = 4096
    every: int = 10

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_points", "every"))
        if self.n_points < 1 or self.every < 1:
            raise ValueError(
                f"Arguments `n_points` and `every` must be at least 1, but are {self.n_points} and {self.every}."
            )


@dataclass(frozen=True)
class Geodesic:
    """A second-order term in the steps of Levenberg and Marquardt, which then follow a bent valley.

    With the step v the residuals' second derivative along it, r_vv, gives a = -(J^T J + mu I)^-1 J^T r_vv by the same
    Cholesky factor, and w <- w + v + a / 2. It costs an evaluation of the residuals and one more solve.

    Args:
        limit: of 2 |a| / |v|, above which the correction is left out, since the series cannot be trusted.
        probe: share of the step v at which the residuals are taken for r_vv.

    Reference:
        Transtrum, Sethna, arXiv:1201.5885, equations 15 and 17, with 0.75 and 0.1. They refuse a step above the limit.
    """

    limit: float = 0.75
    probe: float = 0.1

    def __post_init__(self) -> None:
        checks.settle_numbers(self, floats=("limit", "probe"))
        if not self.limit > 0 or not 0 < self.probe <= 1:
            raise ValueError(
                f"Arguments `limit` and `probe` must be above 0 and in (0, 1], but are {self.limit} and {self.probe}."
            )


@dataclass(frozen=True)
class Polish:
    """Steps of the self-scaled Broyden method after Levenberg-Marquardt, from the inverse of its last J^T J.

    A step takes one or two gradients and p^2 operations for p weights, a tenth of one of Levenberg-Marquardt or less.
    Use float64: in float32 the differences of gradients are rounding.

    Args:
        n_steps: at most.
        n_points: collocation points from here on; None keeps those there are.
        redraw_every: steps between draws, which are `resampling`'s; None keeps the points.

    Reference:
        Urban, Stefanou, Pons, arXiv:2405.04230; Kiyani, Shukla, Urban, Darbon, Karniadakis, arXiv:2501.16371.
    """

    n_steps: int = 1000
    n_points: int | None = None
    redraw_every: int | None = None

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_steps",), optional=("n_points", "redraw_every"))
        for name in ("n_steps", "n_points", "redraw_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Argument `{name}` must be at least 1, but is {value}.")


@dataclass(frozen=True)
class Curriculum:
    """Weights of collocation points by how hard they are, easy ones first: a Gaussian mixture sorts the residuals.

    Every few steps of Adam a mixture is fitted to log10 of the residuals. A component's difficulty runs from 0 for the
    least mean to 1 for the largest, that of a point is the mean of these over the components it may belong to, d. Its
    weight is (1 - tau) exp(-sharpness d) + tau exp(-sharpness (1 - d)), divided by the mean over all points; tau rises
    from 0 to 1. After Adam all weights are 1 again.

    Args:
        every: steps between fits.
        n_components: of the mixture.
        sharpness: beta.
        ramp: share of Adam's steps after which tau is 1, in (0, 1].

    Reference:
        arXiv:2605.19263: 4 components, every 200 steps, tau = 1 at 80 %. The logarithm and the division by the mean,
        which keeps the scale of the loss, are ours.
    """

    every: int = 200
    n_components: int = 4
    sharpness: float = 2.0
    ramp: float = 0.8

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("every", "n_components"), floats=("sharpness", "ramp"))
        if self.every < 1 or self.n_components < 2 or not self.sharpness > 0 or not 0 < self.ramp <= 1:
            raise ValueError(
                "Arguments `every`, `n_components`, `sharpness` and `ramp` must be at least 1, at least 2, above 0 and "
                f"in (0, 1], but are {self.every}, {self.n_components}, {self.sharpness} and {self.ramp}."
            )

    def weights(self, residual: Float[Tensor, " batch"], share: float, seed: int) -> Tensor:
        """Return weights of the points, of mean 1, from the norms of their residuals and the share of Adam done."""
        difficulty = torch.as_tensor(self.difficulty(residual.detach().double().cpu().numpy(), seed)).to(residual)
        tau = min(1.0, share / self.ramp)
        weights = (1 - tau) * torch.exp(-self.sharpness * difficulty)
        weights = weights + tau * torch.exp(-self.sharpness * (1 - difficulty))
        return weights / weights.mean()

    def difficulty(self, residual: Float[np.ndarray, " batch"], seed: int) -> Float[np.ndarray, " batch"]:
        """Return the difficulty of the points, in [0, 1]."""
        from sklearn.mixture import GaussianMixture

        logs = np.log10(np.abs(residual) + np.finfo(float).tiny)[:, None]
        mixture = GaussianMixture(
            self.n_components, max_iter=MIXTURE_STEPS, tol=1e-2, reg_covar=1e-4, random_state=seed
        )
        shares = mixture.fit(logs).predict_proba(logs)
        means = np.asarray(mixture.means_)[:, 0]
        return shares @ ((means - means.min()) / max(float(np.ptp(means)), np.finfo(float).tiny))
