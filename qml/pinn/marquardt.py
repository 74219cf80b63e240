"""Steps of Levenberg and Marquardt on the residual vector."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qml.pinn.jacobian import Residuals
from qml.pinn.methods import Geodesic

FIRST_DAMPING = 1e-3  # of the largest diagonal entry of J^T J
LEAST_DAMPING = 1e-15
N_TRIALS_LIMIT = 25
FIRST_POLISH_DAMPING = 1e-10  # of the largest diagonal entry of 2 J^T J


class Marquardt:
    """Weights w <- w - (J^T J + mu I)^-1 J^T r, with mu by Nielsen's rule.

    J (residuals, weights) is exact. A step is taken if the loss falls; mu then shrinks by up to 3, the more the better
    the linear model foretold the fall, and else grows, ever faster. The smaller one of J^T J and J J^T is factorised
    (Cholesky): min(n, p)^2 max(n, p) operations a step. scipy's `least_squares` decomposes J itself, by QR or SVD; that
    stays exact where J is worse conditioned than 1e8, and takes about ten times as long.

    Args:
        residuals: the vector and its Jacobian.
        geodesic: options of a second-order term; None leaves it out.

    Attributes:
        loss: at the weights as they are.
        damping: mu.

    Reference:
        H. B. Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05, equation 2.4. For physics-informed
        networks: Jnini, Vella, Zeinhofer, arXiv:2402.10680.
    """

    def __init__(self, residuals: Residuals, geodesic: Geodesic | None = None) -> None:
        self.residuals, self.geodesic = residuals, geodesic
        self.damping, self.growth = 0.0, 2.0
        self.loss = math.nan

    def step(self) -> bool:
        """Take one step; return False if none lowers the loss, as at a minimum to rounding."""
        values, jacobian = self.residuals.values_and_jacobian()
        self.loss = float(values @ values)
        if not math.isfinite(self.loss):
            return False
        here = Linearised(values, jacobian, jacobian.T @ values, _gram(jacobian if _is_tall(jacobian) else jacobian.T))
        if self.damping == 0.0:
            self.damping = FIRST_DAMPING * float(here.matrix.diagonal().max())
        before = [part.detach().clone() for part in self.residuals.parameters]
        for _ in range(N_TRIALS_LIMIT):
            change = here.step(self.damping)
            if change is not None:
                foretold = float(change @ (self.damping * change + here.gradient))
                if self._accept(before, self._bent(before, here, change), foretold):
                    return True
            self.damping, self.growth = self.damping * self.growth, 2 * self.growth
        self._move(before, None)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the damping; the rest is in the weights."""
        return {"damping": self.damping, "growth": self.growth}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where a run stopped."""
        self.damping, self.growth = float(state["damping"]), float(state["growth"])

    def _bent(self, before: list[Tensor], here: "Linearised", change: Tensor) -> Tensor:
        """Return the change with its second-order term, w - change = w + v + a / 2, unless that is too large."""
        if self.geodesic is None:
            return change
        h = self.geodesic.probe
        self._move(before, h * change)
        second = (
            2 / h * ((self.residuals.values() - here.values) / h + here.jacobian @ change)
        )  # r_vv, with v = -change
        bend = here.solve(self.damping, second)
        if bend is None or not 2 * float(bend.norm()) <= self.geodesic.limit * float(change.norm()):
            return change
        return change + bend / 2

    def _accept(self, before: list[Tensor], change: Tensor, foretold: float) -> bool:
        self._move(before, change)
        values = self.residuals.values()
        loss = float(values @ values)
        if not (loss < self.loss and foretold > 0.0):
            return False
        gain = (self.loss - loss) / foretold
        self.damping = max(self.damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), LEAST_DAMPING)
        self.growth, self.loss = 2.0, loss
        return True

    def _move(self, before: list[Tensor], change: Tensor | None) -> None:
        """Set the weights to those before, minus the change."""
        start = 0
        with torch.no_grad():
            for part, old in zip(self.residuals.parameters, before, strict=True):
                stop = start + part.numel()
                part.copy_(old if change is None else old - change[start:stop].view_as(old))
                start = stop


class Linearised(NamedTuple):
    """The residuals near the weights as they are: r - J change.

    Attributes:
        values: r, (residuals,).
        jacobian: J, (residuals, weights).
        gradient: J^T r, (weights,).
        matrix: J^T J or J J^T, whichever is smaller; its lower triangle.
    """

    values: Tensor
    jacobian: Tensor
    gradient: Tensor
    matrix: Tensor

    def step(self, damping: float) -> Tensor | None:
        """Return the change by a damping, (J^T J + mu I)^-1 J^T r."""
        return self.solve(damping, self.values)

    def solve(self, damping: float, values: Tensor) -> Tensor | None:
        """Return (J^T J + mu I)^-1 J^T v = J^T (J J^T + mu I)^-1 v; None if rounding leaves the matrix indefinite."""
        damped = self.matrix.clone()
        damped.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if int(failed):
            return None
        if _is_tall(self.jacobian):
            return torch.cholesky_solve((self.jacobian.T @ values)[:, None], factor)[:, 0]
        return self.jacobian.T @ torch.cholesky_solve(values[:, None], factor)[:, 0]


def inverse_hessian(residuals: Residuals, damping: float = 0.0) -> Tensor:
    """Return (2 J^T J + 2 mu I)^-1, the inverse Hessian of the loss by Gauss and Newton, (weights, weights).

    Args:
        residuals: of the loss.
        damping: mu, as of Levenberg and Marquardt's last step, so that the first quasi-Newton step is one of theirs;
            from 1e-10 of the largest diagonal entry of 2 J^T J it grows tenfold until the Cholesky factor exists.
    """
    _, jacobian = residuals.values_and_jacobian()
    matrix = 2 * _gram(jacobian)
    largest = float(matrix.diagonal().max())
    share = max(FIRST_POLISH_DAMPING, 2 * damping / largest) if largest > 0 else FIRST_POLISH_DAMPING
    while share < 1.0:
        damped = matrix.clone()
        damped.diagonal().add_(share * largest)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if not int(failed):
            return torch.cholesky_inverse(factor).contiguous()  # as in a checkpoint, whose sums round alike
        share *= 10
    return torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)  # of a loss that is not finite


def _is_tall(jacobian: Tensor) -> bool:
    return jacobian.shape[0] >= jacobian.shape[1]


def _gram(jacobian: Tensor) -> Tensor:
    """Compute the lower triangle of J^T J; on the CPU by BLAS's syrk, which leaves out the other half."""
    if jacobian.device.type != "cpu":
        return jacobian.T @ jacobian
    from scipy.linalg import blas

    columns = jacobian.numpy().T
    multiply = getattr(blas, "dsyrk" if jacobian.dtype == torch.float64 else "ssyrk")
    return torch.from_numpy(multiply(1.0, columns, lower=1))
