"""A bandit that learns which of a few options suits which problem of a family."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from qml import checks

LENGTHS, SIMILARITIES, NOISES = (0.15, 0.3, 0.6, 1.2), (0.3, 1.0, 3.0), (0.01, 0.1, 0.4)


class GaussianBandit:
    """A contextual bandit whose rewards are a Gaussian process of context and arm.

    An arm is a row of features, as the conditions it holds (0 or 1). With the number h of features in which two arms
    differ, the covariance of two rewards is exp(-|c - c'|^2 / (2 l^2)) exp(-s h). Rewards are standardised; l, s and
    the variance of the noise are those of the largest likelihood on a small grid, chosen anew with every reward. The
    arm chosen is the one with the largest mean plus `exploration` standard deviations; of equal ones, the first.
    After n rewards a choice costs n^3 operations for each of 36 settings.

    Args:
        arms: features, (arms, features), no two rows alike.
        exploration: of the upper confidence bound; 0 takes the largest mean.

    Attributes:
        n_rewards: rewards it was told of.

    Raises:
        ValueError: fewer than two arms, arms that are alike, contexts that change their length or are not finite, a
            reward that is not finite, an arm that does not exist.

    Reference:
        METALIC, Li, Penwarden et al., arXiv:2210.12669: a Gaussian process over parameters of an equation and sets of
        interface conditions. Upper confidence bound: Krause and Ong, Contextual Gaussian process bandit optimization,
        NeurIPS 2011. The constant factor of the bound and the grid are ours.
    """

    def __init__(self, arms: Sequence[Sequence[float | int]], *, exploration: float | int = 0.5) -> None:
        checks.require_kind(arms, "arms", Sequence, " Pass a row of numbers for each arm.")
        try:
            self.arms = np.array(arms, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError("Argument `arms` must hold rows of numbers of one length, but does not.") from error
        if self.arms.ndim != 2 or len(self.arms) < 2 or not np.isfinite(self.arms).all():
            raise ValueError(
                "Argument `arms` must hold finite features of two arms at least, (arms, features), but has shape "
                f"{self.arms.shape}."
            )
        if len(np.unique(self.arms, axis=0)) < len(self.arms):
            raise ValueError("Argument `arms` must hold rows that differ, but two of them are alike.")
        self.exploration = checks.as_number(exploration, "exploration")
        if self.exploration < 0:
            raise ValueError(f"Argument `exploration` must be at least 0, but is {self.exploration}.")
        self._contexts: list[np.ndarray] = []
        self._chosen: list[int] = []
        self._rewards: list[float] = []

    @property
    def n_rewards(self) -> int:
        """Return the number of rewards it was told of."""
        return len(self._rewards)

    def choose(self, context: Sequence[float | int]) -> int:
        """Return the arm with the largest upper confidence bound at a context."""
        mean, deviation = self.predict(context)
        return int(np.argmax(mean + self.exploration * deviation))

    def tell(self, context: Sequence[float | int], arm: int, reward: float | int) -> None:
        """Learn the reward of an arm at a context."""
        at, arm, reward = self._context(context), checks.as_int(arm, "arm", 0), float(reward)
        if arm >= len(self.arms):
            raise ValueError(f"Argument `arm` must be less than {len(self.arms)}, but is {arm}.")
        if not math.isfinite(reward):
            raise ValueError(f"Argument `reward` must be finite, but is {reward}.")
        self._contexts.append(at)
        self._chosen.append(arm)
        self._rewards.append(reward)

    def predict(self, context: Sequence[float | int]) -> tuple[Float[np.ndarray, " arms"], Float[np.ndarray, " arms"]]:
        """Return mean and standard deviation of each arm's reward at a context; 0 and 1 before the first reward."""
        at = self._context(context)
        if not self._rewards:
            return np.zeros(len(self.arms)), np.ones(len(self.arms))
        rewards = np.array(self._rewards)
        centre, scale = float(rewards.mean()), float(rewards.std()) or 1.0
        target = (rewards - centre) / scale
        seen, chosen = np.array(self._contexts), self.arms[self._chosen]
        far, apart = _squares(seen, seen), _differences(chosen, chosen)
        fits = [
            (*_fitted(np.exp(-far / (2 * length**2) - similarity * apart), noise, target), length, similarity)
            for length in LENGTHS
            for similarity in SIMILARITIES
            for noise in NOISES
        ]
        _, factor, solved, length, similarity = max(fits, key=lambda fit: fit[0])
        towards = np.exp(-_squares(at[None], seen) / (2 * length**2) - similarity * _differences(self.arms, chosen))
        from scipy.linalg import solve_triangular

        half = solve_triangular(factor, towards.T, lower=True)
        variance = np.clip(1 - (half**2).sum(0), 0.0, None)
        return centre + scale * (towards @ solved), scale * np.sqrt(variance)

    def _context(self, context: Sequence[float | int]) -> np.ndarray:
        try:
            at = np.array(context, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Argument `context` must hold numbers, but is {context!r}.") from error
        if at.ndim != 1 or not at.size or not np.isfinite(at).all():
            raise ValueError(f"Argument `context` must hold finite numbers, but is {context!r}.")
        if self._contexts and len(self._contexts[0]) != len(at):
            raise ValueError(
                f"Argument `context` must have {len(self._contexts[0])} entries, as those before, but has {len(at)}."
            )
        return at


def run_bandit(
    bandit: GaussianBandit, contexts: Sequence[Sequence[float | int]], reward: Callable[[int, int], float]
) -> list[int]:
    """Choose an arm at each context in turn, and tell the bandit its reward.

    Args:
        bandit: learns on the way.
        contexts: of the problems, one after the other.
        reward: from the number of the problem and the arm.

    Returns:
        The chosen arms.
    """
    chosen = []
    for index, context in enumerate(contexts):
        arm = bandit.choose(context)
        bandit.tell(context, arm, reward(index, arm))
        chosen.append(arm)
    return chosen


def regret(rewards: Float[np.ndarray, "problems arms"], chosen: Sequence[int]) -> Float[np.ndarray, " problems"]:
    """Return the sum up to each problem of what the best arm of each would have gained more.

    Args:
        rewards: of every arm on every problem.
        chosen: the arm of each problem.

    Raises:
        ValueError: another number of choices than of problems, or an arm that does not exist.
    """
    rewards, arms = np.asarray(rewards, dtype=float), np.asarray(chosen, dtype=int)
    if rewards.ndim != 2 or arms.shape != (len(rewards),) or not ((arms >= 0) & (arms < rewards.shape[1])).all():
        raise ValueError(
            f"Arguments `rewards` and `chosen` must be of shape (problems, arms) and one arm a problem, but are of "
            f"shapes {rewards.shape} and {arms.shape}."
        )
    return np.cumsum(rewards.max(1) - rewards[np.arange(len(arms)), arms])


def _squares(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one[:, None] - other[None]) ** 2).sum(-1)


def _differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one[:, None] != other[None]).sum(-1)


def _fitted(covariance: np.ndarray, noise: float, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the log likelihood, the Cholesky factor and the solved system of a covariance with noise."""
    from scipy.linalg import cho_solve

    factor = np.linalg.cholesky(covariance + noise * np.eye(len(target)))
    solved = cho_solve((factor, True), target)
    return float(-target @ solved / 2 - np.log(np.diag(factor)).sum()), factor, solved
