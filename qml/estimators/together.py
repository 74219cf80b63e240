"""Several trainings of equal layers at once: folds, seeds or learning rates, with an extra axis for all parameters.

On small batches a step is mostly overhead, which all trainings then share. Each has batches and a stopping rule of its
own, and ends with the numbers that it would have alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from qml.estimators.training import Batches, Fitted, LoopOptions, drawn, not_finite, not_settled
from qml.plain_pullback import mapped

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of torch.optim.Adam
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass
class Problem:
    """A training.

    Attributes:
        layer: The layer that is trained in place.
        rows: Its samples.
        targets: What the loss compares them with, one a sample.
        loss: The mean loss of a layer, rows and targets.
        generator: For the batches.
    """

    layer: nn.Module
    rows: Tensor
    targets: Tensor
    loss: Loss
    generator: torch.Generator | Batches


@dataclass
class Course(Fitted):
    """The course of one of several trainings.

    Attributes:
        error: Kind of its failure: FloatingPointError for a loss that is not finite, ConvergenceWarning for one that
            did not settle, or None.
        message: Message of the failure.
    """

    error: type[Exception] | None = None
    message: str = ""


def train_together(problems: Sequence[Problem], loops: Sequence[LoopOptions]) -> list[Course]:
    """Train equal layers, each until its own loss has settled or failed; see `qml.estimators.training.train`.

    Args:
        problems: Trainings of layers that differ in their parameters, samples and batches alone, and have one loss.
        loops: The options of each loop, which differ in the learning rate alone.

    Raises:
        ValueError: If they differ in more.
    """
    options = loops[0]
    if any(replace(one, learning_rate=options.learning_rate) != options for one in loops):
        raise ValueError("Argument `loops` must differ in the learning rate alone, but differ in more.")
    courses = [Course() for _ in problems]
    stack = Stack(problems, [one.learning_rate for one in loops])
    losses = np.zeros((len(problems), options.max_steps))
    interval = options.convergence_interval
    for step in range(options.max_steps):
        losses[stack.running, step] = stack.step([drawn(len(p.rows), options, p.generator) for p in stack.problems])
        first = max(0, step - 2 * (interval or 0))  # the rule reads no more, and all of them would be copied each step
        known = losses[stack.running, first : step + 1]
        finite = np.isfinite(known[:, -1])
        settled = np.zeros(len(known), dtype=bool) if interval is None else _settled(known, interval)
        if finite.all() and not settled.any():
            continue
        for place, number in enumerate(stack.running):
            if not finite[place]:
                courses[number].error = FloatingPointError
                courses[number].message = not_finite(losses[number, : step + 1].tolist())
            courses[number].has_converged = bool(finite[place] and settled[place])
            if courses[number].error or courses[number].has_converged:
                courses[number].losses = losses[number, : step + 1].tolist()
        stack.keep(np.flatnonzero(finite & ~settled))
        if not stack.running:
            return courses
    for number in stack.running:
        courses[number].losses = losses[number].tolist()
        if interval is not None:
            courses[number].error, courses[number].message = ConvergenceWarning, not_settled(options)
    stack.keep(np.zeros(0, dtype=int))
    return courses


def _settled(losses: np.ndarray, interval: int) -> np.ndarray:
    """Apply the stopping rule to rows of losses."""
    if losses.shape[1] <= 2 * interval:
        return np.zeros(len(losses), dtype=bool)
    before, last = losses[:, -2 * interval : -interval], losses[:, -interval:]
    return np.abs(before.mean(1) - last.mean(1)) <= last.std(1) / (2.0 * np.sqrt(interval))


class Stack:
    """The trainings that still run, with their parameters and Adam's moments stacked, (trainings, ...).

    All parameters lie in one tensor, and all gradients in another, so that Adam is a few operations.
    """

    def __init__(self, problems: Sequence[Problem], learning_rates: Sequence[float]) -> None:
        self.problems, self.running = list(problems), list(range(len(problems)))
        self._learning_rates, self._n_steps = list(learning_rates), 0
        self._layer, self._loss = problems[0].layer, problems[0].loss
        self._places = [(module, name) for module in self._layer.modules() for name in module._parameters]
        self._places = [(module, name) for module, name in self._places if module._parameters[name] is not None]
        own = [[part.detach() for part in _parameters(problem.layer)] for problem in problems]
        self._load([torch.stack(parts) for parts in zip(*own, strict=True)])
        self._first, self._second = torch.zeros_like(self._flat), torch.zeros_like(self._flat)

    def step(self, chosen: list[Tensor]) -> np.ndarray:
        """Take a step of each training on its chosen samples, and return the losses."""
        losses = self.differentiate(chosen)
        self._adam()
        return losses

    def differentiate(self, chosen: list[Tensor]) -> np.ndarray:
        """Compute the losses of the chosen samples of each training, and their gradients; return the losses."""
        places = torch.stack(chosen) + self._starts
        self._gradient.zero_()
        originals = [module._parameters[name] for module, name in self._places]
        try:
            values = mapped(
                self._mapped_loss, len(places), self._rows[places], self._targets[places], *self._parameters
            )
        finally:
            for (module, name), original in zip(self._places, originals, strict=True):
                module._parameters[name] = original
        torch.autograd.backward(values, torch.ones_like(values))  # of their sum
        return values.detach().numpy()

    @property
    def gradients(self) -> Tensor:
        """Return the gradients that were computed last, (trainings, parameters)."""
        return torch.cat(
            [values.grad.reshape(len(values), -1) for values in self._parameters if values.grad is not None], 1
        )

    def _mapped_loss(self, rows: Tensor, targets: Tensor, *parameters: Tensor) -> Tensor:
        for (module, name), values in zip(self._places, parameters, strict=True):
            module._parameters[name] = values  # pyright: ignore[reportArgumentType]
        return self._loss(self._layer, rows, targets)

    def _adam(self) -> None:
        """Take the step of `torch.optim.Adam`, with its operations in its order."""
        self._n_steps += 1
        gradient, first, second = self._gradient, self._first, self._second
        first.lerp_(gradient, 1.0 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
        corrections = [1.0 - beta**self._n_steps for beta in BETAS]
        scale = (second.sqrt() / corrections[1] ** 0.5).add_(EPSILON)
        self._flat.addcdiv_(first * (self._negative_rates / corrections[0]), scale)

    def keep(self, places: np.ndarray) -> None:
        """Go on with the trainings at some places, and write the parameters of the others into their layers."""
        kept = set(places.tolist())
        with torch.no_grad():
            for place, problem in enumerate(self.problems):
                if place not in kept:
                    for own, values in zip(_parameters(problem.layer), self._parameters, strict=True):
                        own.copy_(values[place])
        chosen, shapes = torch.from_numpy(places), [values.shape for values in self._parameters]
        self.problems = [self.problems[place] for place in places]
        self.running = [self.running[place] for place in places]
        self._learning_rates = [self._learning_rates[place] for place in places]
        if not self.problems:
            return
        sizes = [shape.numel() for shape in shapes]
        moments = []
        for moment in (self._first, self._second):
            parts = (part.view(shape) for part, shape in zip(moment.split(sizes), shapes, strict=True))
            moments.append(torch.cat([part[chosen].reshape(-1) for part in parts]))
        self._first, self._second = moments
        self._load([values.detach()[chosen] for values in self._parameters])

    def _load(self, parameters: list[Tensor]) -> None:
        """Take stacked parameters, and the samples of the trainings one after another."""
        sizes = [values.numel() for values in parameters]
        self._flat = torch.cat([values.reshape(-1) for values in parameters])
        self._gradient = torch.zeros_like(self._flat)
        self._parameters = []
        for part, gradient, values in zip(
            self._flat.split(sizes), self._gradient.split(sizes), parameters, strict=True
        ):
            leaf = part.view(values.shape).requires_grad_()
            leaf.grad = gradient.view(values.shape)
            self._parameters.append(leaf)
        rates = -torch.tensor(self._learning_rates, dtype=torch.float64)[:, None]
        parts = [rates.expand(len(rates), values[0].numel()).reshape(-1) for values in parameters]
        self._negative_rates = torch.cat(parts).to(self._flat)
        counts = torch.tensor([0, *(len(problem.rows) for problem in self.problems[:-1])])
        self._starts = counts.cumsum(0)[:, None]
        self._rows = torch.cat([problem.rows for problem in self.problems])
        self._targets = torch.cat([problem.targets for problem in self.problems])


def _parameters(layer: nn.Module) -> list[nn.Parameter]:
    """Return the parameters in the order of the modules that hold them."""
    return [part for module in layer.modules() for part in module._parameters.values() if part is not None]
