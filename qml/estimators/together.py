"""Several trainings of equal layers at once: folds or seeds of one search, with an extra axis for all parameters.

On small batches a step is mostly overhead, which all trainings then share. Each has batches, optimiser and stopping rule
of its own, and ends with the numbers that it would have alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from qml.estimators.training import Fitted, LoopOptions, drawn, not_finite, not_settled

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
    generator: torch.Generator


@dataclass
class Course(Fitted):
    """The course of one of several trainings.

    Attributes:
        failure: The message of its failure: a loss that is not finite, or one that did not settle.
    """

    failure: str = ""
    error: type[Exception] | None = field(default=None, repr=False)


def train_together(problems: Sequence[Problem], options: LoopOptions) -> list[Course]:
    """Train equal layers, each until its own loss has settled or failed; see `qml.estimators.training.train`.

    Args:
        problems: Trainings of layers that differ in their parameters, samples and batches alone, and have one loss.
        options: The options of the loop, the same for all.
    """
    courses = [Course() for _ in problems]
    stack = _Stack(problems, options.learning_rate)
    losses = np.zeros((len(problems), options.max_steps))
    interval = options.convergence_interval
    for step in range(options.max_steps):
        losses[stack.running, step] = stack.step([drawn(len(p.rows), options, p.generator) for p in stack.problems])
        known = losses[stack.running, : step + 1]
        finite = np.isfinite(known[:, -1])
        settled = np.zeros(len(known), dtype=bool) if interval is None else _settled(known, interval)
        if finite.all() and not settled.any():
            continue
        for place, number in enumerate(stack.running):
            if not finite[place]:
                _fail(courses[number], FloatingPointError, not_finite(losses[number, : step + 1].tolist()))
            courses[number].has_converged = bool(finite[place] and settled[place])
            if courses[number].error or courses[number].has_converged:
                courses[number].losses = losses[number, : step + 1].tolist()
        stack.keep(np.flatnonzero(finite & ~settled))
        if not stack.running:
            return courses
    for number in stack.running:
        courses[number].losses = losses[number].tolist()
        if interval is not None:
            _fail(courses[number], RuntimeWarning, not_settled(options))
    stack.keep(np.zeros(0, dtype=int))
    return courses


def _fail(course: Course, error: type[Exception], message: str) -> None:
    course.error, course.failure = error, message


def _settled(losses: np.ndarray, interval: int) -> np.ndarray:
    """Apply the stopping rule to rows of losses."""
    if losses.shape[1] <= 2 * interval:
        return np.zeros(len(losses), dtype=bool)
    before, last = losses[:, -2 * interval : -interval], losses[:, -interval:]
    return np.abs(before.mean(1) - last.mean(1)) <= last.std(1) / (2.0 * np.sqrt(interval))


class _Bound(nn.Module):
    """A layer whose call is its loss, as `torch.func.functional_call` needs it."""

    def __init__(self, layer: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.layer, self.own_loss = layer, loss

    def forward(self, rows: Tensor, targets: Tensor) -> Tensor:
        return self.own_loss(self.layer, rows, targets)


class _Stack:
    """The trainings that still run, their parameters and the optimiser's state stacked."""

    def __init__(self, problems: Sequence[Problem], learning_rate: float) -> None:
        self.problems, self.running = list(problems), list(range(len(problems)))
        self._rate = learning_rate
        self._bound = _Bound(problems[0].layer, problems[0].loss)
        names = [name for name, _ in problems[0].layer.named_parameters()]
        parts = [dict(problem.layer.named_parameters()) for problem in problems]
        self._parameters = {
            f"layer.{name}": nn.Parameter(torch.stack([part[name].detach() for part in parts])) for name in names
        }
        self._optimiser = torch.optim.Adam(self._parameters.values(), learning_rate)
        self._join()
        self._mapped = torch.vmap(self._loss)

    def step(self, chosen: list[Tensor]) -> np.ndarray:
        """Take a step of each training on its chosen samples, and return the losses."""
        places = torch.stack(chosen) + self._starts
        self._optimiser.zero_grad()
        values = self._mapped(self._parameters, self._rows[places], self._targets[places])
        values.sum().backward()
        self._optimiser.step()
        return values.detach().numpy()

    def keep(self, places: np.ndarray) -> None:
        """Go on with the trainings at some places, and write the parameters of the others into their layers."""
        kept = set(places.tolist())
        for place, problem in enumerate(self.problems):
            if place not in kept:
                own = dict(problem.layer.named_parameters())
                with torch.no_grad():
                    for name, values in self._parameters.items():
                        own[name.removeprefix("layer.")].copy_(values[place])
        self.problems = [self.problems[place] for place in places]
        self.running = [self.running[place] for place in places]
        if self.problems:
            self._shrink(torch.from_numpy(places))
            self._join()

    def _shrink(self, places: Tensor) -> None:
        old = self._optimiser.state
        moments = {name: old[values] for name, values in self._parameters.items() if values in old}
        self._parameters = {name: nn.Parameter(values.detach()[places]) for name, values in self._parameters.items()}
        self._optimiser = torch.optim.Adam(self._parameters.values(), self._rate)
        for name, state in moments.items():
            self._optimiser.state[self._parameters[name]] = {
                key: value if value.ndim == 0 else value[places] for key, value in state.items()
            }

    def _join(self) -> None:
        """Put the samples of all trainings one after another."""
        sizes = torch.tensor([0, *(len(problem.rows) for problem in self.problems[:-1])])
        self._starts = sizes.cumsum(0)[:, None]
        self._rows = torch.cat([problem.rows for problem in self.problems])
        self._targets = torch.cat([problem.targets for problem in self.problems])

    def _loss(self, parameters: dict[str, Tensor], rows: Tensor, targets: Tensor) -> Tensor:
        return torch.func.functional_call(self._bound, parameters, (rows, targets))
