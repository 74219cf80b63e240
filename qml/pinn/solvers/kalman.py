"""Training without derivatives: an ensemble Kalman filter on the weights, for networks, circuits and shots."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qml import checks
from qml.pinn.model import Pinn
from qml.pinn.training.loss import LossParts
from qml.pinn.training.options import Training
from qml.pinn.training.points import collocation_points


def train_by_kalman(
    module: nn.Module,
    residuals: Callable[[], Tensor],
    *,
    n_members: int,
    n_steps: int,
    spread: float = 0.3,
    damping: float = 0.1,
    seed: int = 0,
) -> list[float]:
    """Move an ensemble of weights towards residuals of zero; leave the module with the best mean that was met.

    Each member j has weights w_j and residuals r_j. With the deviations W and R of both from their means, as columns
    over sqrt(members - 1), a step is w_j <- w_j - W (R^T R + g I)^-1 R^T (r_j + e_j), e_j normal of variance g. The
    variance g is `damping` times the mean squared residual of the mean, so that the filter trusts residuals more the
    smaller they are. A step costs a forward pass for each member, and the solution
    of as many equations as there are members or residuals, whichever are fewer; no derivative in the
    weights is taken, so that noise of shots is as good as any other. The weights stay in the span of the ensemble.

    Args:
        module: whose trainable weights are moved.
        residuals: what must vanish at the module's present weights, (rows,); may be noisy.
        n_members: of the ensemble, at least 3; more than weights for a full span.
        n_steps: of the filter.
        spread: standard deviation of the first members about the module's weights.
        damping: g as a share of the mean squared residual.
        seed: of members and noise.

    Returns:
        The mean squared residual of the ensemble's mean before every step and at the end.

    Raises:
        ValueError: fewer than three members, or residuals that are not finite; the best mean so far then stays.

    Reference:
        Iglesias, Law, Stuart, ensemble Kalman methods for inverse problems, arXiv:1209.2736, equations 6 to 9; for
        networks: Kovachki and Stuart, arXiv:1808.03620. The choice of g is ours.
    """
    n_members, n_steps = checks.as_int(n_members, "n_members", 3), checks.as_int(n_steps, "n_steps", 0)
    checks.as_number(spread, "spread", above=0)
    checks.as_number(damping, "damping", above=0)
    parameters = [part for part in module.parameters() if part.requires_grad]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        start = nn.utils.parameters_to_vector(parameters)
        noise = torch.randn(n_members, len(start), generator=generator, dtype=torch.float64)
        members = start + spread * noise.to(start)

        def at(weights: Tensor) -> Tensor:
            _set(parameters, weights)
            values = residuals().detach()
            if not bool(torch.isfinite(values).all()):
                _set(parameters, best)
                raise ValueError("The residuals must be finite, but are not. Lower `spread`, or raise `damping`.")
            return values

        losses, best, best_loss = list[float](), start, math.inf
        for _ in range(n_steps + 1):
            mean = members.mean(0)
            loss = float(at(mean).square().mean())
            losses.append(loss)
            if loss < best_loss:
                best, best_loss = mean, loss
            if len(losses) > n_steps:
                break
            rows = torch.stack([at(weights) for weights in members])
            members = _moved(members, rows, max(damping * loss, torch.finfo(rows.dtype).tiny), generator)
        _set(parameters, best)
    return losses


def pinn_residuals(model: Pinn, training: Training, *, seed: int) -> Callable[[], Tensor]:
    """Return all residuals of a model as a function of its weights: of equations and conditions, each over sqrt(n).

    They are scaled so that their squares sum to the loss of `train` at the same points.
    """
    loss = LossParts(
        model,
        collocation_points(model.problem, training, seed),
        n_condition_points=training.n_condition_points,
        seed=seed,
    )
    weights = {condition.name: condition.weight for condition in loss.conditions}

    def residuals() -> Tensor:
        parts = []
        for term in loss.terms():
            values = model.evaluate(term.points, term.names)
            for name, function in term.functions.items():
                residual = function(**values).detach()
                parts.append(residual * math.sqrt(weights.get(name, 1.0) / len(residual)))
        return torch.cat(parts)

    return residuals


def _set(parameters: Sequence[nn.Parameter], weights: Tensor) -> None:
    """Copy a vector of weights into parameters, each of which keeps a memory of its own."""
    for parameter, part in zip(parameters, weights.split([each.numel() for each in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))


def _moved(members: Tensor, rows: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    scale = 1 / math.sqrt(len(members) - 1)
    of_weights, of_rows = (members - members.mean(0)) * scale, (rows - rows.mean(0)) * scale
    noise = torch.randn(rows.shape, generator=generator, dtype=torch.float64).to(rows)
    seen = rows + math.sqrt(variance) * noise
    if rows.shape[1] < len(members):  # the smaller one of R R^T and R^T R
        gram = of_rows.T @ of_rows
        gram.diagonal().add_(variance)
        return members - torch.linalg.solve(gram, seen.T).T @ (of_rows.T @ of_weights)
    gram = of_rows @ of_rows.T
    gram.diagonal().add_(variance)
    return members - torch.linalg.solve(gram, of_rows @ seen.T).T @ of_weights
