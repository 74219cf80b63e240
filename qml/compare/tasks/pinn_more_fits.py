"""Methods that few problems allow: windows of time, a Kalman filter, an unknown term, weights of related tasks."""

import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from qml.baselines import count_parameters
from qml.compare.task import OnStep, Outcome, Preset
from qml.compare.tasks import pinn_fits as fits
from qml.compare.tasks import pinn_trunks as trunks
from qml.compare.tuning import one_thread
from qml.nn import QKAN
from qml.pinn import (
    MLP,
    WINDOW_RECIPES,
    CavityRecipe,
    EdgeJets,
    FourierFeatures,
    Pinn,
    Polynomial,
    Problem,
    Training,
    WithTerm,
    pinn_residuals,
    relative_l2,
    term_formula,
    train_by_kalman,
    train_in_windows,
    train_tasks,
)
from qml.pinn.problems.lorenz_windows import lorenz_window
from qml.pinn.problems.traffic import traffic
from qml.pinn.recipes.poses import reynolds_of

IN_WINDOWS = ("lorenz", *WINDOW_RECIPES)
N_LORENZ_WINDOWS = 5
CONTINUED, CAVITY = ("cavity-stream", "cavity-stream-1000"), CavityRecipe()
KALMAN_SHARE, KALMAN_MEMBERS, KALMAN_POINTS = 10, 2, 100  # epochs a step; members a weight; collocation points
ROADS = {road: (f"road {road}", f"detectors of {road}") for road in ("r", "s")}
TERM_THRESHOLD = 0.1


def in_windows(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train fixed random features window by window, each from the end of the one before."""
    with one_thread():
        if problem.name in WINDOW_RECIPES:
            recipe = WINDOW_RECIPES[problem.name]
            recipe = replace(recipe, n_steps=min(recipe.n_steps, preset.n_epochs))
            windows = recipe.train(problem, seed=seed, on_step=on_step)
        else:
            n_steps = max(1, min(30, preset.n_epochs))
            training = Training(n_adam=0, n_marquardt=n_steps, n_points=32, collocation="quadrature")
            edges = tuple(np.linspace(*problem.domain.intervals["t"], N_LORENZ_WINDOWS + 1).tolist())
            windows = train_in_windows(
                lorenz_window, _line_of_features, training, edges=edges, seed=seed, on_step=on_step
            )
    points = fits.judged_points(problem)
    expected = fits.reference_values(problem, points)
    error = float(np.linalg.norm(windows.predict(points)[:, : expected.shape[1]] - expected) / np.linalg.norm(expected))
    last = windows.solutions[-1]
    shown = windows.predict(fits.shown_points(problem))[:, 0]
    return Outcome(
        value=error,
        n_parameters=sum(
            sum(part.numel() for part in solution.model.parameters() if part.requires_grad)
            for solution in windows.solutions
        ),
        seconds=windows.seconds,
        extras={"windows": len(windows.solutions), "epoch": int(last.history["step"][-1])},
        details={"values": shown.round(6).tolist()},
    )


def by_continuation(problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train polynomials on the flow in a cavity from one Reynolds number to the next; the seed changes nothing."""
    recipe = replace(CAVITY, n_steps=min(CAVITY.n_steps, preset.n_epochs))
    with one_thread():
        solution = recipe.train(problem, seed=seed, on_step=on_step)
    error = relative_l2(solution.model, fits.judged_points(problem))
    outcome = fits.outcome_of(solution, error, problem)
    return replace(outcome, extras=outcome.extras | {"series": len(recipe.stages(reynolds_of(problem)))})


def by_kalman(build: trunks.Build, problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Move an ensemble of weights by a Kalman filter, with no derivative in the weights."""
    posed = fits.recipe_of(problem).posed(problem)
    model = Pinn(posed, build(posed, torch.Generator().manual_seed(seed)))
    training = Training(n_adam=0, n_points=KALMAN_POINTS, n_condition_points=32)
    n_members = KALMAN_MEMBERS * count_parameters(model)
    on_step(0.0, f"{n_members} members")
    started = time.perf_counter()
    with one_thread():
        losses = train_by_kalman(
            model,
            pinn_residuals(model, training, seed=seed),
            n_members=n_members,
            n_steps=max(1, preset.n_epochs // KALMAN_SHARE),
            seed=seed,
        )
    return Outcome(
        value=relative_l2(model, fits.judged_points(posed)),
        n_parameters=count_parameters(model),
        seconds=time.perf_counter() - started,
        extras={"members": n_members, "loss": min(losses), "epoch": len(losses) - 1},
        details={"values": model.predict(fits.shown_points(problem))[:, 0].round(6).tolist()},
    )


def with_term(kind: str, problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train u and an unknown f(u) on measurements, and read the formula of f off."""
    generator = torch.Generator().manual_seed(seed)
    term = {
        "polynomial": lambda: Polynomial(3, dtype=trunks.DTYPE, generator=generator),
        "qkan": lambda: EdgeJets(QKAN([1, 1], reps=4, dtype=trunks.DTYPE, generator=generator).layers[0]),
        "mlp": lambda: MLP(1, (8,), dtype=trunks.DTYPE, generator=generator),
    }[kind]()
    model = Pinn(problem, WithTerm(MLP(2, (16, 16), dtype=trunks.DTYPE, generator=generator), term))
    training = Training(n_adam=0, n_marquardt=max(1, min(60, preset.n_epochs)), n_points=400)
    outcome = fits.trained(model, training, seed, on_step)
    formula = term_formula(term, 0.0, 1.0, threshold=TERM_THRESHOLD, degree=3)
    said = " ".join(f"{value:+.3f} {name}" for name, value in formula.items()) or "0"
    return replace(outcome, extras=outcome.extras | {"formula": said})


def roads_together(rule: str, problem: Problem, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Train two roads as tasks of one network, with weights by a rule; the first one is judged."""
    both = traffic(roads=("r", "s"), seed=seed)
    model = Pinn(both, MLP(2, (16, 16), 2, dtype=trunks.DTYPE, generator=torch.Generator().manual_seed(seed)))
    training = Training(n_adam=0, n_marquardt=max(4, min(60, preset.n_epochs)), n_points=400, n_held=0)
    on_step(0.0, f"two roads, {rule}")
    with one_thread():
        found = train_tasks(model, training, ROADS, rule=rule, n_rounds=4, seed=seed)
    outcome = fits.outcome_of(found.solutions[-1], relative_l2(model, fits.judged_points(problem)), problem)
    weights = ", ".join(f"{entry['s']:.2f}" for entry in found.weights)
    return replace(outcome, seconds=found.seconds, extras=outcome.extras | {"weights_of_s": weights})


def _line_of_features(problem: Problem, generator: torch.Generator) -> nn.Module:
    features = FourierFeatures(1, 40, scale=7.0, dtype=trunks.DTYPE, generator=generator)
    read_out = MLP(80, (len(problem.fields),), dtype=trunks.DTYPE, generator=generator).layers[0]
    return nn.Sequential(features, read_out)
