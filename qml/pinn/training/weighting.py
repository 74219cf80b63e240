"""Renewals during a training run: its points, their weights, and the weights of the conditions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qml.pinn.training.run import PinnRun


def redraw_points(run: PinnRun) -> None:
    """Draw other collocation points where the residual is large, when it is time."""
    resampling = run.training.resampling
    if resampling is None or run.step == 0 or run.step % resampling.every:
        return
    if resampling.overfit is not None and not run.judge.is_overfit(run, resampling.overfit):
        return
    draw_points(run, len(run.loss.points))


def draw_points(run: PinnRun, n_points: int) -> None:
    """Take other collocation points: where the residual is large, or uniform ones without `resampling`."""
    resampling, domain, seed = run.training.resampling, run.model.problem.domain, run.seed + run.step
    if resampling is None:
        run.loss.set_points(run.model.as_points(domain.sample(n_points, seed)))
        return
    candidates = run.model.as_points(domain.sample(max(resampling.n_candidates, n_points), seed))
    norms = _residual_norms(run, candidates)
    chosen = resampling.draw(norms, n_points, seed).to(candidates.device)
    run.loss.set_points(candidates[chosen])
    if resampling.weighted:
        rarity = 1 / resampling.chances(norms)[chosen]
        run.loss.point_weights = (rarity / rarity.mean()).to(candidates)


def grade_points(run: PinnRun) -> None:
    """Weight the points by difficulty, when it is time or other points were drawn."""
    curriculum = run.training.curriculum
    if curriculum is None or (run.step % curriculum.every and run.loss.point_weights is not None):
        return
    share = run.step / run.training.n_adam
    run.loss.point_weights = curriculum.weights(_residual_norms(run, run.loss.points), share, run.seed)


def anneal_conditions(run: PinnRun, parts: Mapping[str, Tensor]) -> None:
    """Renew the weights of the conditions from gradients of the loss parts, when it is time."""
    annealing = run.training.annealing
    if annealing is None or run.step % annealing.every:
        return
    of_equations = torch.stack([value for name, value in parts.items() if name not in run.weights]).sum()
    largest = float(_gradient(run, of_equations).abs().max())
    for name, weight in run.weights.items():
        mean = weight * float(_gradient(run, parts[name]).abs().mean())
        if mean > 0.0:
            run.weights[name] = (1 - annealing.rate) * weight + annealing.rate * largest / mean


def _residual_norms(run: PinnRun, points: Tensor) -> Tensor:
    residuals = torch.stack(list(run.loss.residuals(points).values())).detach()
    return residuals.norm(dim=0)


def _gradient(run: PinnRun, part: Tensor) -> Tensor:
    gradients = torch.autograd.grad(part, run.parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])
