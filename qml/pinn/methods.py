"""What may be switched on in training: annealed weights, causal weights, points where the residual is large."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

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
        if self.n_slices < 2:
            raise ValueError(f"Argument `n_slices` must be at least 2, but is {self.n_slices}.")
        if not self.epsilons or self.epsilons[0] <= 0 or list(self.epsilons) != sorted(self.epsilons):
            raise ValueError(f"Argument `epsilons` must be positive and rise, but is {self.epsilons}.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"Argument `threshold` must be in (0, 1), but is {self.threshold}.")

    def slices(self, times: Float[Tensor, " batch"], interval: tuple[float, float]) -> Tensor:
        """The slice of each point."""
        low, high = interval
        return ((times - low) / (high - low) * self.n_slices).long().clamp(0, self.n_slices - 1)


@dataclass(frozen=True)
class Resampling:
    """Collocation points drawn anew where the residual is large.

    Each candidate is drawn with a chance proportional to r^power / mean(r^power) + floor, r the norm of the residuals.

    Args:
        every: steps of Adam between draws.
        n_candidates: points at which the residual is taken for a draw.
        power: larger is greedier.
        floor: chance that does not depend on the residual.

    Reference:
        Wu, Zhu, Tan, Kartha, Lu, arXiv:2207.10289, the RAD method.
    """

    every: int = 500
    n_candidates: int = 10_000
    power: float = 1.0
    floor: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1 or self.n_candidates < 1 or not self.power > 0 or not self.floor >= 0:
            raise ValueError(
                "Arguments `every`, `n_candidates`, `power` and `floor` must be at least 1, 1, above 0 and at least 0, "
                f"but are {self.every}, {self.n_candidates}, {self.power} and {self.floor}."
            )

    def draw(self, residual: Float[Tensor, " batch"], n_points: int, seed: int) -> Tensor:
        """Indices of the candidates drawn, none of them twice."""
        powered = residual.detach().double() ** self.power
        chances = powered / powered.mean().clamp_min(torch.finfo(torch.float64).tiny) + self.floor
        generator = torch.Generator().manual_seed(seed)
        return torch.multinomial(chances.cpu(), n_points, replacement=False, generator=generator)
