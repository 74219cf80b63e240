"""The training loop of the estimators: Adam on batches that are drawn with replacement."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn


@dataclass(frozen=True)
class LoopOptions:
    """The options of a training loop, as the estimators document them."""

    learning_rate: float
    max_steps: int
    batch_size: int
    convergence_interval: int | None


@dataclass
class Fitted:
    """The course of a training.

    Attributes:
        losses: Mean loss of each step's batch.
        has_converged: Whether the loss had settled before the last step.
    """

    losses: list[float] = field(default_factory=list)
    has_converged: bool = False


@runtime_checkable
class Batches(Protocol):
    """A source of batches other than a generator of torch."""

    def batch(self, n_samples: int, size: int) -> Tensor:
        """Draw numbers of samples, with replacement."""
        ...


def train(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[Tensor], Tensor],
    n_samples: int,
    options: LoopOptions,
    generator: torch.Generator | Batches,
    log: Callable[[int, float], None] | None = None,
) -> Fitted:
    """Minimise the loss of random batches, until it has settled or the steps are used up.

    The loss has settled when the means of its last two intervals of n steps differ by at most s / (2 sqrt(n)), where s
    is the standard deviation of the last n: the rule of arXiv:2403.07059.

    Args:
        parameters: Parameters to train.
        loss: The mean loss of the samples with the given numbers.
        n_samples: Number of samples.
        options: The loop's options.
        generator: For the batches.
        log: Told of each step's number and loss.

    Raises:
        FloatingPointError: If a loss is NaN or infinite.
    """
    optimiser = torch.optim.Adam(parameters, options.learning_rate)
    course, interval = Fitted(), options.convergence_interval
    for _ in range(options.max_steps):
        chosen = drawn(n_samples, options, generator)
        optimiser.zero_grad()
        value = loss(chosen)
        value.backward()
        optimiser.step()
        course.losses.append(value.item())
        if not np.isfinite(course.losses[-1]):
            raise FloatingPointError(not_finite(course.losses))
        if log is not None:
            log(len(course.losses) - 1, course.losses[-1])
        if interval is not None and has_settled(course.losses, interval):
            course.has_converged = True
            return course
    if interval is not None:
        warnings.warn(not_settled(options), ConvergenceWarning, stacklevel=3)
    return course


def drawn(n_samples: int, options: LoopOptions, generator: torch.Generator | Batches) -> Tensor:
    """Draw the samples of a step."""
    size = min(options.batch_size, n_samples)
    if isinstance(generator, torch.Generator):
        return torch.randint(n_samples, (size,), generator=generator)
    return generator.batch(n_samples, size)


def has_settled(losses: list[float], interval: int) -> bool:
    """Tell whether the mean losses of the last two intervals differ by no more than their noise, see `train`."""
    if len(losses) <= 2 * interval:
        return False
    before, last = np.array(losses[-2 * interval : -interval]), np.array(losses[-interval:])
    return bool(abs(before.mean() - last.mean()) <= last.std() / (2.0 * np.sqrt(interval)))


def not_settled(options: LoopOptions) -> str:
    """Return the warning of a training whose steps were used up."""
    return (
        f"The loss had not settled after {options.max_steps} steps. Raise `max_steps`, or set "
        "`convergence_interval=None` to train a fixed number of steps."
    )


def not_finite(losses: list[float]) -> str:
    """Return the message of a training that failed at its last loss."""
    return f"The loss must be finite, but was {losses[-1]} at step {len(losses)}. Use a smaller learning rate."
