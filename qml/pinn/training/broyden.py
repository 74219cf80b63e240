"""Self-scaled Broyden steps: a quasi-Newton method with a dense inverse Hessian, for the last digits of a loss."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

SUFFICIENT, CURVATURE = 1e-4, 0.9  # c1 and c2 of the strong Wolfe conditions
N_SEARCH_LIMIT = 25  # evaluations in one line search
FARTHEST = 1e3  # of the step along a direction

LossAndGradient = Callable[[], tuple[float, Tensor]]


class SSBroyden:
    """Weights w <- w - alpha H g, with an inverse Hessian H of the self-scaled Broyden family and alpha by Wolfe.

    H+ = (H - H y y^T H / (y^T H y) + phi v v^T) / tau + s s^T / (y^T s), where s and y are the changes of weights and
    gradient and v = sqrt(y^T H y) (s / (y^T s) - H y / (y^T H y)), so that H+ y = s. It takes p^2 numbers of memory for
    p weights, and a few p^2 operations a step beside one to two gradients.

    Args:
        parameters: the weights, in float64.
        loss_and_gradient: returns the loss and its gradient, (weights,), at the weights as they are.
        inverse: H at the beginning, symmetric and positive definite; None is the identity, scaled at the first step.

    Attributes:
        loss: at the weights as they are; NaN before the first step.
        inverse: H.

    Reference:
        Urban, Stefanou, Pons, arXiv:2405.04230, and Al-Baali, Comput. Optim. Appl. 9 (1998) 191, for phi and tau.
    """

    def __init__(
        self, parameters: Sequence[Tensor], loss_and_gradient: LossAndGradient, *, inverse: Tensor | None = None
    ) -> None:
        self.parameters, self.loss_and_gradient = list(parameters), loss_and_gradient
        self.inverse, self.loss = inverse, math.nan
        self._gradient: Tensor | None = None

    def step(self) -> bool:
        """Take one step; return False if none lowers the loss, as at a minimum to rounding."""
        if self._gradient is None:
            self.loss, self._gradient = self.loss_and_gradient()
        gradient = self._gradient
        if not (math.isfinite(self.loss) and float(gradient.norm()) > 0.0):
            return False
        direction = -gradient / gradient.norm() if self.inverse is None else -(self.inverse @ gradient)
        slope = float(gradient @ direction)
        if not slope < 0.0:  # rounding has spoilt H
            self.inverse = None
            direction, slope = -gradient / gradient.norm(), -float(gradient.norm())
        before = [part.detach().clone() for part in self.parameters]
        found = self._search(before, direction, slope)
        if found is None:
            self._move(before, direction, 0.0)
            return False
        self._move(before, direction, found.alpha)  # which need not be the last step that was tried
        self._update(found.alpha * direction, found.gradient - gradient, found.alpha * gradient)
        self.loss, self._gradient = found.loss, found.gradient
        return True

    def forget_loss(self) -> None:
        """Compute loss and gradient anew at the next step, as the points have changed."""
        self._gradient = None

    def state_dict(self) -> dict[str, Any]:
        """Return H, empty where there is none yet; the rest is in the weights."""
        return {"inverse": torch.empty(0) if self.inverse is None else self.inverse}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where a run stopped."""
        inverse = state["inverse"]
        self.inverse = inverse if inverse.numel() else None

    def _update(self, s: Tensor, y: Tensor, pull: Tensor) -> None:
        """Set H so that H y = s, where s = -H pull; leave it where the curvature along s is not positive."""
        curvature = float(y @ s)
        if not curvature > 0.0:
            return
        if self.inverse is None:
            self.inverse = torch.eye(len(s), dtype=s.dtype, device=s.device) * (curvature / float(y @ y))
            image, along = self.inverse @ y, float(s @ s) * float(y @ y) / curvature
        else:
            image = self.inverse @ y
            along = -float(s @ pull)  # s^T B s, since B s = -pull
        self.inverse = updated_inverse(self.inverse, s, y, image, along)

    def _search(self, before: list[Tensor], direction: Tensor, slope: float) -> "Probe | None":
        """Find a step that fulfils the strong Wolfe conditions, else the best that lowers the loss; None if none does.

        Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6, with cubic interpolation.
        """
        start = Probe(0.0, self.loss, slope, direction)
        low, high, alpha = start, None, 1.0
        best: Probe | None = None
        for _ in range(N_SEARCH_LIMIT):
            probe = self._probe(before, direction, alpha)
            if math.isfinite(probe.loss) and probe.loss < (self.loss if best is None else best.loss):
                best = probe
            falls = probe.loss <= self.loss + SUFFICIENT * alpha * slope
            if not falls or (low.alpha > 0.0 and probe.loss >= low.loss):
                high = probe
            elif abs(probe.slope) <= -CURVATURE * slope:
                return probe
            elif high is None and probe.slope < 0.0:
                low = probe
                if alpha >= FARTHEST:
                    break
            else:
                if high is None or probe.slope * (high.alpha - low.alpha) >= 0.0:
                    high = low
                low = probe
            alpha = 3.0 * alpha if high is None else _between(low, high)
            if high is not None and abs(high.alpha - low.alpha) < 1e-14:
                break
        return best

    def _probe(self, before: list[Tensor], direction: Tensor, alpha: float) -> "Probe":
        self._move(before, direction, alpha)
        loss, gradient = self.loss_and_gradient()
        return Probe(alpha, loss, float(gradient @ direction), gradient)

    def _move(self, before: list[Tensor], direction: Tensor, alpha: float) -> None:
        start = 0
        with torch.no_grad():
            for part, old in zip(self.parameters, before, strict=True):
                stop = start + part.numel()
                part.copy_(old + alpha * direction[start:stop].view_as(old))
                start = stop


class Probe(NamedTuple):
    """A point along a direction.

    Attributes:
        alpha: the step.
        loss: there.
        slope: of the loss along the direction.
        gradient: (weights,).
    """

    alpha: float
    loss: float
    slope: float
    gradient: Tensor


def updated_inverse(inverse: Tensor, s: Tensor, y: Tensor, image: Tensor, along: float) -> Tensor:
    """Return the inverse Hessian after a step; overwrites the one given.

    Args:
        inverse: H, (weights, weights).
        s: change of the weights.
        y: change of the gradient, with y^T s > 0.
        image: H y.
        along: s^T H^-1 s.
    """
    curvature, through = float(y @ s), float(y @ image)
    phi, tau = broyden_factors(along / curvature, through / curvature, len(s))
    v = math.sqrt(through) * (s / curvature - image / through)
    columns = torch.stack([image, v, s], 1)
    scales = columns.new_tensor([-1.0 / (tau * through), phi / tau, 1.0 / curvature])
    return torch.addmm(inverse, columns * scales, columns.T, beta=1.0 / tau, out=inverse)


def broyden_factors(b: float, h: float, size: int) -> tuple[float, float]:
    """Return phi and tau from b = s^T B s / y^T s and h = y^T H y / y^T s, by Al-Baali's safeguards.

    Here a = b h - 1 >= 0, theta is the factor of the update of B, phi = (1 - theta) / (1 + a theta) that of H.
    """
    a = max(b * h - 1.0, 1e-12)
    c = math.sqrt(a / (1.0 + a))
    less = min(1.0, h * (1.0 - c))
    theta = max((less - 1.0) / a, min(1.0 / less, (1.0 - b) / b))
    sigma = 1.0 + a * theta
    whole = abs(sigma) ** (-1.0 / (size - 1)) if size > 1 else 1.0
    more = min(1.0, 1.0 / b)
    tau = min(more * whole, sigma) if theta <= 0.0 else more * min(whole, 1.0 / theta)
    return (1.0 - theta) / (1.0 + a * theta), tau


def _between(low: Probe, high: Probe) -> float:
    """Return the minimum of the cubic through both ends, kept away from them; their middle where it has none."""
    width = high.alpha - low.alpha
    first = low.slope + high.slope - 3 * (high.loss - low.loss) / width
    root = first * first - low.slope * high.slope
    middle = low.alpha + width / 2
    if not (math.isfinite(root) and root >= 0.0):
        return middle
    second = math.copysign(math.sqrt(root), width)
    denominator = high.slope - low.slope + 2 * second
    share = 1 - (high.slope + second - first) / denominator if denominator else 0.5
    return low.alpha + width * min(max(share, 0.1), 0.9)
