"""Ways to train a network on a problem: each a function of `(problem, seed, preset, on_step)` to an outcome."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from qml.baselines import count_parameters
from qml.compare.task import OnStep, Outcome, Preset
from qml.compare.tasks import pinn_trunks as trunks
from qml.compare.tuning import one_thread
from qml.pinn import (
    MLP,
    FeynmanKac,
    Interface,
    Observations,
    Pinn,
    Problem,
    Recipe,
    Solution,
    Training,
    bayesian_posterior,
    in_frame_at_rest,
    lagrangian_convection,
    recipe_of,
    relative_l2,
    resampled,
    solve_by_process,
    train_ensemble,
)
from qml.pinn.training.train import solve

N_LINE, N_PLANE = 401, 61  # points for each coordinate of the grid that errors are taken on
N_SHOWN = 41  # points for each coordinate that are kept for the figures of plane problems
# Of Levenberg-Marquardt for trunks of one size: the steps of Adam that one stands for in a preset's amount of work, the
# most there are, and points in a plane, of which a longer training gets more.
EPOCHS_A_STEP, MOST_STEPS, POINTS_A_STEP = 2, 300, 4
BROYDEN_A_STEP = 10  # steps of SSBroyden that are at most taken for one of the preset
N_LABELS, N_MEMBERS = 16, 5
N_PROCESS_LINE, N_PROCESS_PLANE, N_PROCESS_STEPS = 400, 20, 40  # points a coordinate, and steps
N_LAGRANGIAN = 60
SEED_OF_POINTS = 77  # of points in more than two dimensions
PI = math.pi


def of_equal_size(build: trunks.Build, problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train a small trunk of any kind by Levenberg-Marquardt, on the problem as its recipe poses it."""
    recipe, on_a_line = recipe_of(problem), len(problem.coordinates) == 1
    posed, n_steps = recipe.posed(problem), max(1, min(MOST_STEPS, preset.n_epochs // EPOCHS_A_STEP))
    training = Training(
        n_adam=0,
        n_marquardt=n_steps,
        n_held=recipe.training.n_held and min(10, n_steps),
        n_points=24 if on_a_line else POINTS_A_STEP * n_steps,
        n_condition_points=64,
        collocation="quadrature" if on_a_line else "sobol",
    )
    return trained(Pinn(posed, build(posed, _drawn(seed))), training, seed, on_step)


def by_adam(
    build: trunks.Build, methods: Mapping[str, Any], problem: Problem, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    """Train by Adam, then half as many iterations of L-BFGS; the error is taken once, at the end."""
    training = replace(_adam(problem, preset), **methods)
    return trained(Pinn(problem, build(problem, _drawn(seed))), training, seed, on_step)


def by_recipe(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train by the problem's own recipe, in a small preset with fewer steps."""
    recipe = _recipe(problem, preset)
    posed = recipe.posed(problem)
    return trained(Pinn(posed, recipe.trunk(posed, _drawn(seed))), recipe.training, seed, on_step)


def in_pieces(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train a network for each piece between the breaks; values and slopes are equal where they meet."""
    axis = problem.coordinates[0]
    equal = tuple(name + tail for name in problem.fields for tail in ("", f"_{axis}"))
    places = problem.domain.breaks[axis]
    joints = tuple(Interface(f"joint {index}", axis, place, equal) for index, place in enumerate(places))
    posed = replace(problem, features=None, conditions=(*problem.conditions, *joints))
    training = _recipe(problem, preset).training
    return trained(Pinn(posed, trunks.pieces(posed, _drawn(seed))), training, seed, on_step)


def with_labels(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train by Adam and L-BFGS with Monte-Carlo values of u_xx + u_yy = -2 pi^2 sin(pi x) sin(pi y) in the loss."""
    paths = FeynmanKac(source=lambda z: -2 * PI**2 * np.sin(PI * z[:, 0]) * np.sin(PI * z[:, 1]))
    labels = paths.labels("paths", "u", problem.domain, N_LABELS, seed=seed, weight=0.1)
    posed = replace(problem, conditions=(*problem.conditions, labels))
    return trained(Pinn(posed, trunks.mlp(posed, _drawn(seed))), _adam(posed, preset), seed, on_step)


def lagrangian(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train convection in the frame that moves; solution and error are those in the frame at rest."""
    posed = lagrangian_convection()
    model = Pinn(posed, MLP(posed.n_features, (16, 16), 2, dtype=trunks.DTYPE, generator=_drawn(seed)))
    training = Training(n_adam=0, n_marquardt=min(N_LAGRANGIAN, preset.n_epochs), n_points=400)
    with one_thread():
        solution = solve(model, training, seed=seed, on_step=on_step)
    points = problem.domain.grid(N_PLANE)
    expected = reference_values(problem, points)
    error = float(np.linalg.norm(in_frame_at_rest(model, points) - expected) / np.linalg.norm(expected))
    return _outcome(solution, error, in_frame_at_rest(model, shown_points(problem))[:, 0])


def ensemble(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train members by the recipe, each on a bootstrap sample; judge the mean, and keep the deviations."""
    recipe = _recipe(problem, preset)
    (seen,) = (item for item in problem.conditions if isinstance(item, Observations))
    others = tuple(item for item in problem.conditions if item is not seen)
    seeds = [N_MEMBERS * seed + member for member in range(N_MEMBERS)]

    def build(member: int) -> Pinn:
        on_step((member - seeds[0]) / N_MEMBERS, f"member {member - seeds[0]}")
        posed = replace(problem, conditions=(*others, resampled(seen, member)))
        return Pinn(posed, recipe.trunk(posed, _drawn(member)))

    with one_thread():
        trained = train_ensemble(build, recipe.training, seeds)
    points = problem.domain.grid(N_PLANE)
    expected = reference_values(problem, points)
    mean, deviation = trained.predict(points)
    outcome = _outcome(
        trained.solutions[0],
        float(np.linalg.norm(mean - expected) / np.linalg.norm(expected)),
        trained.predict(shown_points(problem))[0][:, 0],
    )
    scalars = _with_deviations(problem, trained.scalars)
    shown = {"members": N_MEMBERS, "mean_deviation": float(deviation.mean())}
    seconds = sum(solution.seconds for solution in trained.solutions)
    return replace(outcome, seconds=seconds, extras=outcome.extras | scalars | shown)


def bayes(weights: str, problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train the recipe's network, and take the posterior of its weights or of those of its read-out."""
    recipe = _recipe(problem, preset)
    model = Pinn(problem, recipe.trunk(problem, _drawn(seed)))
    with one_thread():
        solution = solve(model, recipe.training, seed=seed, on_step=on_step)
        posterior = bayesian_posterior(solution, seed=seed, weights=weights)
    _, deviation = posterior.predict(shown_points(problem))
    outcome = _outcome(solution, _error(model), _shown(model))
    shown = {"noise": posterior.noise, "mean_deviation": float(deviation.mean())}
    return replace(outcome, extras=outcome.extras | _with_deviations(problem, posterior.scalars) | shown)


def by_process(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Condition a Gaussian process on the equation, and train its spectrum; the seed changes nothing."""
    n_points = N_PROCESS_LINE if len(problem.coordinates) == 1 else N_PROCESS_PLANE
    started = time.perf_counter()
    with one_thread():
        solution = solve_by_process(problem, n_points=n_points, n_steps=min(N_PROCESS_STEPS, preset.n_epochs))
    seconds = time.perf_counter() - started
    points = judged_points(problem)
    mean, deviation = solution.predict(points)
    expected = reference_values(problem, points)
    return Outcome(
        value=float(np.linalg.norm(mean - expected) / np.linalg.norm(expected)),
        n_parameters=count_parameters(solution.kernel),
        seconds=seconds,
        extras={"mean_deviation": float(deviation.mean()), "log_likelihood": solution.log_likelihood[1]},
        details={"values": solution.predict(shown_points(problem))[0][:, 0].round(6).tolist()},
    )


def shown_points(problem: Problem) -> np.ndarray:
    """Return the grid of the figures; points that are not drawn in more than two dimensions."""
    if len(problem.coordinates) > 2:
        return problem.whole.sample(N_SHOWN**2, SEED_OF_POINTS)
    return problem.whole.grid(N_LINE if len(problem.coordinates) == 1 else N_SHOWN)


def trained(model: Pinn, training: Training, seed: int, on_step: OnStep) -> Outcome:
    """Train and judge on the whole problem, also where the model was posed on a half."""
    with one_thread():
        solution = solve(model, training, seed=seed, on_step=on_step)
    return _outcome(solution, _error(model), _shown(model))


def outcome_of(solution: Solution, error: float, problem: Problem) -> Outcome:
    """Return the outcome of a solution whose error was taken already, with values on the problem's own grid."""
    return _outcome(solution, error, solution.model.predict(shown_points(problem))[:, 0])


def _outcome(solution: Solution, error: float, shown: np.ndarray) -> Outcome:
    model = solution.model
    references = model.problem.reference_scalars
    scalars = solution.scalars
    errors = {f"{name}_error": abs(value / references[name] - 1) for name, value in scalars.items()}
    states = {f"{name}_state": str(state) for name, state in solution.states.items()}
    return Outcome(
        value=error,
        n_parameters=count_parameters(model),
        seconds=solution.seconds,
        extras={
            "derivatives": model.derivatives,
            "epoch": int(solution.history["step"][-1]),
            **scalars,
            **errors,
            **states,
        },
        details={"curves": _curves(solution), "values": shown.round(6).tolist()},
    )


def _with_deviations(problem: Problem, scalars: Mapping[str, tuple[float, float]]) -> dict[str, float | int | str]:
    """Return means, their errors and standard deviations of trained scalars."""
    extras: dict[str, float | int | str] = {}
    for name, (mean, deviation) in scalars.items():
        error = abs(mean / problem.reference_scalars[name] - 1)
        extras |= {name: mean, f"{name}_error": error, f"{name}_deviation": deviation}
    return extras


def _recipe(problem: Problem, preset: Preset) -> Recipe:
    recipe = recipe_of(problem)
    training, n_epochs = recipe.training, preset.n_epochs
    n_held = training.n_held and min(training.n_held, n_epochs)
    polish = training.polish and replace(
        training.polish, n_steps=min(training.polish.n_steps, BROYDEN_A_STEP * n_epochs)
    )
    shorter = replace(training, n_marquardt=min(training.n_marquardt, n_epochs), n_held=n_held, polish=polish)
    return replace(recipe, training=shorter)


def _adam(problem: Problem, preset: Preset) -> Training:
    on_a_line = len(problem.coordinates) == 1
    return Training(
        n_adam=preset.n_epochs,
        learning_rate=5e-3,
        n_lbfgs=preset.n_epochs // 2,
        n_points=64 if on_a_line else 2048,
        collocation="quadrature" if on_a_line else "sobol",
    )


def _curves(solution: Solution) -> dict[str, list[float]]:
    """Return decadic logarithms of the loss: of the equations, and of the conditions."""
    history, names = solution.history, solution.model.problem.equations
    conditions = [name for name in history if name not in names and name != "step"]
    parts = {"log10_of_equations": list(names), "log10_of_conditions": conditions}
    return {
        title: [
            round(math.log10(max(sum(values), 1e-30)), 4)
            for values in zip(*(history[name] for name in named), strict=True)
        ]
        for title, named in parts.items()
        if named
    }


def _error(model: Pinn) -> float:
    return relative_l2(model, judged_points(model.problem))


def judged_points(problem: Problem) -> np.ndarray:
    """Return the points that errors are taken on: a grid, and Sobol points in more than two dimensions."""
    n_dimensions = len(problem.coordinates)
    if n_dimensions > 2:
        return problem.whole.sample(N_PLANE**2, SEED_OF_POINTS)
    return problem.whole.grid(N_LINE if n_dimensions == 1 else N_PLANE)


def _shown(model: Pinn) -> np.ndarray:
    """Return the first field on the grid of the figures, with the sign of the reference."""
    problem = model.problem
    points = shown_points(problem)
    field = model.predict(points)[:, 0]
    if problem.sign_free and problem.reference is not None and float(field @ problem.reference(points)[:, 0]) < 0:
        return -field
    return field


def reference_values(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Return the reference at points, and refuse a problem without one."""
    if problem.reference is None:
        raise ValueError(f"Problem {problem.name!r} must have a reference for an error, but has none.")
    return problem.reference(points)


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
