"""The phases of a training run: Adam, L-BFGS and Levenberg-Marquardt, each first with held scalars, then SSBroyden.

A scalar that is an eigenvalue is held at first; `Training.held` says for how many steps of which phase.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from qml.pinn.training.broyden import SSBroyden
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.loss import weighed_total
from qml.pinn.training.marquardt import Marquardt, inverse_hessian
from qml.pinn.training.options import N_RESTARTS
from qml.pinn.training.run import PinnRun
from qml.pinn.training.weighting import anneal_conditions, draw_points, grade_points, redraw_points

LBFGS_CHUNK = 50  # iterations between checkpoints and renewals of causal weights
LBFGS_HISTORY = 50
MARQUARDT_CHUNK = 20  # steps between checkpoints, at most: each costs as much as many of Adam's
ADAM_STRIDE, BROYDEN_STRIDE = 50, 5  # their steps that one of Levenberg-Marquardt stands for in a judgement
HISTORY_LENGTH = 200  # entries of the history a phase, about


def run_all_phases(run: PinnRun) -> None:
    """Train by all phases, once more from other weights while an eigenvalue ends on a state that was not asked for."""
    run.begin()
    while True:
        train_by_adam(run)
        train_by_lbfgs(run)
        train_by_marquardt(run)
        train_by_broyden(run)
        run.judge.keep_best(run)
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
        run.judge.see(run, run.step, stride=ADAM_STRIDE)
        if run.step % training.checkpoint_every == 0 and run.path is not None:
            _require_finite_loss(run)
            run.save()


def train_by_lbfgs(run: PinnRun) -> None:
    """Take the iterations of the second phase, in chunks."""
    start = run.training.n_adam
    if run.training.curriculum:  # whose weights are Adam's
        run.loss.point_weights = None
    _lbfgs_stage(run, start + run.n_held("n_lbfgs"), hold_scalars=True)
    _lbfgs_stage(run, start + run.training.n_lbfgs, hold_scalars=False)


def train_by_marquardt(run: PinnRun) -> None:
    """Take the steps of the third phase."""
    training = run.training
    start = training.n_adam + training.n_lbfgs
    if training.n_marquardt:
        run.step = max(run.step, start)  # L-BFGS may have ended early
        end = start + training.n_marquardt
        _marquardt_stage(run, min(start + run.n_held("n_marquardt"), end), hold_scalars=True)
        _marquardt_stage(run, end, hold_scalars=False)


def train_by_broyden(run: PinnRun) -> None:
    """Take the quasi-Newton steps of the last phase, from the inverse Hessian of Gauss and Newton."""
    polish, start = run.training.polish, run.n_steps - run.training.n_polish
    if polish is None or run.step >= run.n_steps:
        return
    fresh = run.step <= start
    run.step = max(run.step, start)
    if fresh and polish.n_points is not None:
        draw_points(run, polish.n_points)

    def loss_and_gradient() -> tuple[float, Tensor]:
        total = weighed_total(run.loss.parts(), run.weights)
        gradient = torch.autograd.grad(total, run.parameters, allow_unused=True, materialize_grads=True)
        return float(total.detach()), torch.cat([part.flatten() for part in gradient])

    damping = run.damping
    optimizer = SSBroyden(run.parameters, loss_and_gradient)
    run.use(optimizer)
    every, n_stuck = max(1, polish.n_steps // HISTORY_LENGTH), 0
    while run.step < run.n_steps and n_stuck < 2:
        done = run.step - start
        if polish.redraw_every and done and done % polish.redraw_every == 0:
            draw_points(run, len(run.loss.points))
            optimizer.forget_loss()
        if optimizer.inverse is None or n_stuck:
            optimizer.inverse = inverse_hessian(Residuals(run.loss, run.weights, only=run.parameters), damping)
        n_stuck = 0 if optimizer.step() else n_stuck + 1
        if not math.isfinite(optimizer.loss):
            raise run.divergence(_as_numbers(run.loss.parts()))
        run.step += 1
        run.judge.see(run, run.step, stride=BROYDEN_STRIDE)
        if n_stuck == 2 or done % every == 0 or run.step == run.n_steps:
            run.record("SSBroyden", _as_numbers(run.loss.parts()))
        if run.step % run.training.checkpoint_every == 0:
            run.save()


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
        run.judge.see(run, run.step, stride=LBFGS_CHUNK)
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
    residuals = Residuals(run.loss, run.weights, only=run.trained(hold_scalars=hold_scalars))
    optimizer = Marquardt(
        residuals,
        training.geodesic,
        orthogonal=training.orthogonal,
        momentum=training.momentum,
        probing=training.probing,
        sketch=training.sketch,
        seed=run.seed,
    )
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
            run.judge.see(run, run.step)
            stays = training.causal is None and training.resampling is None and training.sketch is None
            stuck = not moved and stays
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
