"""Related tasks that share a network: weights of their losses by two rules, renewed between rounds of training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks
from qml.pinn.model import Pinn
from qml.pinn.names import Residual, arguments_of, named
from qml.pinn.problem import Problem
from qml.pinn.training.loss import LossParts
from qml.pinn.training.options import Training
from qml.pinn.training.points import collocation_points
from qml.pinn.training.train import Solution, train

LEAST_WEIGHT, LARGEST_WEIGHT = 1e-3, 1e3
Tasks = Mapping[str, Sequence[str]]
"""Name of a task to the names of its equations and conditions; the first task is the main one."""


@dataclass(frozen=True)
class TaskSolution:
    """A network that was trained on several tasks.

    Attributes:
        model: the trained one, with the weights of the last round.
        solutions: of each round.
        weights: of the tasks in each round, by name.
    """

    model: Pinn
    solutions: tuple[Solution, ...]
    weights: tuple[dict[str, float], ...]

    @property
    def seconds(self) -> float:
        """Return the seconds of training of all rounds."""
        return sum(solution.seconds for solution in self.solutions)


def train_tasks(
    model: Pinn, training: Training, tasks: Tasks, *, rule: str = "similarity", n_rounds: int = 4, seed: int
) -> TaskSolution:
    """Train the tasks of one problem together, with weights that a rule renews between rounds.

    The rules:

    - "equal" leaves all weights at 1.
    - "similarity" weighs an auxiliary task by the cosine of its gradient and that of the main task, over the network's
      weights that both depend on, and by nothing where it is negative: what pulls the other way does not count. The
      first round, whose weights are random, counts all alike. At a minimum of the sum gradients are opposite, so that a
      round that converges turns the task off: use few steps a round.
    - "variance" weighs each task by 1 / its mean squared residual, over that of the main task, as if residuals were
      normal with a variance of each task's own.

    Args:
        model: its trunk and scalars are trained in place.
        training: its steps of each kind are split among the rounds.
        tasks: names of the parts of the loss by task, the main task first; a part that belongs to none has weight 1.
        rule: "equal", "similarity" or "variance".
        n_rounds: at least 1.
        seed: of all points.

    Raises:
        ValueError: a rule, a part of the loss or a number of rounds that does not exist, a part of two tasks, or fewer
            than two tasks.

    Reference:
        Tasks solved beside a main one that help it adaptively: Wang et al., arXiv:2307.03920. Cosine of gradients: Du
        et al., arXiv:1812.02224. Variances: Kendall, Gal, Cipolla, arXiv:1705.07115, here in closed form once a round.
    """
    checks.require_choice(rule, "rule", tuple(RULES))
    n_rounds = checks.as_int(n_rounds, "n_rounds", 1)
    tasks = _require_tasks(model.problem, tasks)
    problem, solutions, history = model.problem, [], []
    trained = model
    for index in range(n_rounds):
        weights = dict.fromkeys(tasks, 1.0)
        if index:
            weights = RULES[rule](trained, _loss(trained, problem, training, seed), tasks)
        history.append(weights)
        before, trained = trained, Pinn(weighted_tasks(problem, tasks, weights), model.trunk)
        trained.scalars.load_state_dict(before.scalars.state_dict())
        solutions.append(train(trained, _share(training, index, n_rounds), seed=seed + index))
    model.scalars.load_state_dict(trained.scalars.state_dict())
    return TaskSolution(trained, tuple(solutions), tuple(history))


def weighted_tasks(problem: Problem, tasks: Tasks, weights: Mapping[str, float]) -> Problem:
    """Return a problem whose equations and conditions count as much more as their tasks weigh.

    Raises:
        ValueError: a task without a weight, or a weight below 0.
    """
    of_part = {part: weights.get(task, -1.0) for task, parts in tasks.items() for part in parts}
    if any(not weight >= 0 for weight in of_part.values()):
        raise ValueError(f"Argument `weights` must have a weight of at least 0 for each task, but is {dict(weights)}.")
    return replace(
        problem,
        equations={
            name: _scaled(equation, of_part.get(name, 1.0) ** 0.5) for name, equation in problem.equations.items()
        },
        conditions=tuple(
            item if item.exact or item.name not in of_part else replace(item, weight=item.weight * of_part[item.name])  # pyright: ignore[reportArgumentType, reportCallIssue]
            for item in problem.conditions
        ),
    )


def _by_similarity(model: Pinn, loss: LossParts, tasks: Tasks) -> dict[str, float]:
    parts, shared = _parts(model, loss), list(model.trunk.parameters())
    gradients = {
        task: _gradient(sum((parts[name] for name in of), start=torch.zeros(())), shared) for task, of in tasks.items()
    }
    main, *others = tasks
    weights = {main: 1.0}
    for other in others:
        both = (gradients[main] != 0) & (gradients[other] != 0)
        one, two = gradients[main][both], gradients[other][both]
        size = float(one.norm() * two.norm())
        weights[other] = max(0.0, float(one @ two) / size) if size else 0.0
    return weights


def _by_variance(model: Pinn, loss: LossParts, tasks: Tasks) -> dict[str, float]:
    parts = _parts(model, loss)
    sizes = {task: float(sum(float(parts[name].detach()) for name in of)) / len(of) for task, of in tasks.items()}
    main = sizes[next(iter(tasks))]
    tiny = torch.finfo(torch.float64).tiny
    return {task: min(LARGEST_WEIGHT, max(LEAST_WEIGHT, (main + tiny) / (size + tiny))) for task, size in sizes.items()}


def _equal(model: Pinn, loss: LossParts, tasks: Tasks) -> dict[str, float]:
    return dict.fromkeys(tasks, 1.0)


RULES: dict[str, Callable[[Pinn, LossParts, Tasks], dict[str, float]]] = {
    "equal": _equal,
    "similarity": _by_similarity,
    "variance": _by_variance,
}


def _parts(model: Pinn, loss: LossParts) -> dict[str, Tensor]:
    """Return the parts of the loss, each with the condition's own weight."""
    weights = {item.name: item.weight for item in loss.conditions}
    return {name: weights.get(name, 1.0) * part for name, part in loss.parts().items()}


def _loss(trained: Pinn, problem: Problem, training: Training, seed: int) -> LossParts:
    """Return the loss of the problem as it was given, at the weights as they are."""
    plain = Pinn(problem, trained.trunk)
    plain.scalars.load_state_dict(trained.scalars.state_dict())
    points = collocation_points(problem, training, seed)
    return LossParts(plain, points, n_condition_points=training.n_condition_points, seed=seed)


def _gradient(part: Tensor, parameters: Sequence[Tensor]) -> Float[Tensor, " weights"]:
    gradients = torch.autograd.grad(part, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])


def _scaled(equation: Residual, factor: float) -> Residual:
    """Return a residual times a factor, under the same names."""
    if factor == 1.0:
        return equation
    names = arguments_of(equation, "equation")
    return named(lambda *values: factor * equation(**dict(zip(names, values, strict=True))), names)


def _share(training: Training, index: int, n_rounds: int) -> Training:
    """Return a round's part of the steps; earlier rounds get one more where they do not divide."""

    def part(n_steps: int) -> int:
        return n_steps // n_rounds + (index < n_steps % n_rounds)

    return replace(
        training,
        n_adam=part(training.n_adam),
        n_lbfgs=part(training.n_lbfgs),
        n_marquardt=part(training.n_marquardt),
        n_held=training.n_held if index == 0 or training.n_held is None else 0,
    )


def _require_tasks(problem: Problem, tasks: Tasks) -> dict[str, tuple[str, ...]]:
    checks.require_kind(tasks, "tasks", Mapping, ' Pass for example {"r": ("road r", "detectors of r"), ...}.')
    known = {*problem.equations, *(item.name for item in problem.conditions if not item.exact)}
    listed = [name for parts in tasks.values() for name in parts]
    wrong = [name for name in listed if name not in known or listed.count(name) > 1]
    if len(tasks) < 2 or any(not parts or isinstance(parts, str) for parts in tasks.values()) or wrong:
        raise ValueError(
            f"Argument `tasks` must hold two tasks at least, each of parts of the loss ({', '.join(sorted(known))}) "
            f"that belong to no other, but is {dict(tasks)}."
        )
    return {name: tuple(parts) for name, parts in tasks.items()}
