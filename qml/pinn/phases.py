"""The three phases of a training run: Adam, L-BFGS and Levenberg-Marquardt, each first with held scalars.

A scalar that is an eigenvalue is held at first; `Training.held` says for how many steps of which phase.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from qml.pinn.jacobian import Residuals
from qml.pinn.loss import weighed_total
from qml.pinn.marquardt import Marquardt
from qml.pinn.options import N_RESTARTS
from qml.pinn.run import PinnRun
from qml.pinn.weighting import anneal_conditions, grade_points, redraw_points

LBFGS_CHUNK = 50  # iterations between checkpoints and renewals of causal weights
LBFGS_HISTORY = 50
MARQUARDT_CHUNK = 20  # steps between checkpoints, at most: each costs as much as many of Adam's
HISTORY_LENGTH = 200  # entries of the history a phase, about


def run_all_phases(run: PinnRun) -> None:
    """Train by all phases, once more from other weights while an eigenvalue ends on a state that was not asked for."""
    run.begin()
    while True:
        train_by_adam(run)
        train_by_lbfgs(run)
        train_by_marquardt(run)
        run.states = run.eigenstates.identify()
        wrong = [name for name, state in run.states.items() if state.asked is not None and not state.is_asked]
        levels = run.eigenstates.asked_levels() if wrong else {}
        known = all(math.isfinite(levels.get(name, math.nan)) for name in wrong)
        if not wrong or not known or run.training.n_held == 0 or run.n_restarts == N_RESTARTS:
            break
        run.restart(levels)
    run.save()


def train_by_adam(run: PinnRun) -> None:
    """Take the steps of the first phase."""
    training, n_steps, n_held = run.training, run.training.n_adam, run.n_held("n_adam")
    if run.step >= n_steps:
        return
    optimizer = torch.optim.Adam(run.parameters, training.learning_rate, fused=True)
    run.use(optimizer)
    every = max(1, n_steps // HISTORY_LENGTH)
    while run.step < n_steps:
        redraw_points(run)
        grade_points(run)
        optimizer.param_groups[0]["lr"] = training.learning_rate * training.decay ** (run.step / n_steps)
        parts = run.loss.parts()
        anneal_conditions(run, parts)
        total = weighed_total(parts, run.weights)
        if not math.isfinite(float(total.detach())):
            raise run.divergence(_as_numbers(parts))
        for part in run.parameters:
            part.grad = None
        total.backward()
        if run.step < n_held:
            for scalar in run.model.scalars.values():
                scalar.grad = None
        optimizer.step()
        if run.step % every == 0 or run.step == n_steps - 1:
            run.record("Adam", _as_numbers(parts))
        run.step += 1
        if run.step % training.checkpoint_every == 0 and run.path is not None:
            _require_finite_loss(run)
            run.save()


def train_by_lbfgs(run: PinnRun) -> None:
    """Take the iterations of the second phase, in chunks."""
    start = run.training.n_adam
    run.loss.point_weights = None
    _lbfgs_stage(run, start + run.n_held("n_lbfgs"), hold_scalars=True)
    _lbfgs_stage(run, start + run.training.n_lbfgs, hold_scalars=False)


def train_by_marquardt(run: PinnRun) -> None:
    """Take the steps of the third phase."""
    training = run.training
    start = training.n_adam + training.n_lbfgs
    if training.n_marquardt:
        run.step = max(run.step, start)  # L-BFGS may have ended early
        _marquardt_stage(run, min(start + run.n_held("n_marquardt"), run.n_steps), hold_scalars=True)
        _marquardt_stage(run, run.n_steps, hold_scalars=False)


def _lbfgs_stage(run: PinnRun, end: int, *, hold_scalars: bool) -> None:
    """Iterate up to step `end`, or until the loss no longer falls."""
    if run.is_over(end, hold_scalars=hold_scalars):
        return
    optimizer = torch.optim.LBFGS(
        run.trained(hold_scalars=hold_scalars),
        max_iter=LBFGS_CHUNK,
        history_size=LBFGS_HISTORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
    run.use(optimizer)

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = weighed_total(run.loss.parts(), run.weights)
        total.backward()
        return total

    last = math.inf
    while run.step < end:
        optimizer.param_groups[0]["max_iter"] = min(LBFGS_CHUNK, end - run.step)
        with run.loss.fixed_causal_weights(renew=True):
            optimizer.step(closure)  # pyright: ignore[reportArgumentType]
            numbers = _as_numbers(run.loss.parts())
        total = sum(run.weights.get(name, 1.0) * value for name, value in numbers.items())
        if not math.isfinite(total):
            raise run.divergence(numbers)
        run.step += optimizer.param_groups[0]["max_iter"]
        run.record("L-BFGS", numbers)
        run.save()
        if not total < last and run.training.causal is None:
            break
        last = total
    if hold_scalars:
        run.step = end


def _marquardt_stage(run: PinnRun, end: int, *, hold_scalars: bool) -> None:
    """Take steps up to step `end`, or until none lowers the loss of points that stay."""
    training = run.training
    if run.is_over(end, hold_scalars=hold_scalars):
        return
    optimizer = Marquardt(Residuals(run.loss, run.weights, only=run.trained(hold_scalars=hold_scalars)))
    run.use(optimizer)
    every = max(1, training.n_marquardt // HISTORY_LENGTH)
    stuck = False
    while run.step < end and not stuck:
        redraw_points(run)
        with run.loss.fixed_causal_weights(renew=True):
            moved = optimizer.step()
            if not math.isfinite(optimizer.loss):
                raise run.divergence(_as_numbers(run.loss.parts()))
            run.step += 1
            stuck = not moved and training.causal is None and training.resampling is None
            if stuck or run.step % every == 0 or run.step == end:
                run.record("Levenberg-Marquardt", _as_numbers(run.loss.parts()))
        if run.step % min(training.checkpoint_every, MARQUARDT_CHUNK) == 0:
            run.save()
    if stuck and hold_scalars:
        run.step = end


def _require_finite_loss(run: PinnRun) -> None:
    """Refuse a checkpoint at whose weights the loss is not finite."""
    with run.loss.fixed_causal_weights(renew=False), torch.no_grad():
        numbers = _as_numbers(run.loss.parts())
    if not all(map(math.isfinite, numbers.values())):
        raise run.divergence(numbers)


def _as_numbers(parts: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in parts.items()}
