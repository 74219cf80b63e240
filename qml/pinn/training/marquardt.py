"""Steps of Levenberg and Marquardt on the residual vector."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.linearised import KINDS, Linearisation, gram, rises, sketched
from qml.pinn.training.methods import Geodesic
from qml.pinn.training.second_order import Momentum, Orthogonal, Probing, RowSketch

FIRST_DAMPING = 1e-3  # of the largest diagonal entry of J^T J
N_TRIALS_LIMIT = 25
FIRST_POLISH_DAMPING = 1e-10  # of the largest diagonal entry of 2 J^T J


class Marquardt:
    """Weights w <- w - (J^T J + mu I)^-1 J^T r, with mu by Nielsen's rule unless `probing` chooses it.

    J (residuals, weights) is exact. A step is taken if the loss falls; mu then shrinks by up to 3, the more the better
    the linear model foretold the fall, and else grows, ever faster. The smaller one of J^T J and J J^T is factorised
    (Cholesky): min(n, p)^2 max(n, p) operations a step. `orthogonal` decomposes J itself, which stays exact where J is
    worse conditioned than 1e8, and takes about four times as long.

    Args:
        residuals: the vector and its Jacobian.
        geodesic: options of a second-order term; None leaves it out.
        orthogonal: QR in place of the normal equations; None never.
        momentum: of the steps; None has none.
        probing: mu by gain ratios at several of them, in place of Nielsen's rule.
        sketch: of the rows of J; None takes them all.
        seed: of the sketches.

    Attributes:
        loss: at the weights as they are.
        damping: mu.
        target: gain ratio that probing asks for.

    Reference:
        H. B. Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05, equation 2.4. For physics-informed
        networks: Jnini, Vella, Zeinhofer, arXiv:2402.10680.
    """

    def __init__(
        self,
        residuals: Residuals,
        geodesic: Geodesic | None = None,
        *,
        orthogonal: Orthogonal | None = None,
        momentum: Momentum | None = None,
        probing: Probing | None = None,
        sketch: RowSketch | None = None,
        seed: int = 0,
    ) -> None:
        self.residuals, self.geodesic, self.orthogonal = residuals, geodesic, orthogonal
        self.momentum, self.probing, self.sketch, self.seed = momentum, probing, sketch, seed
        self.damping, self.growth = 0.0, 2.0
        self.loss, self.n_steps = math.nan, 0
        self.target = probing.first if probing else math.nan
        self._last: Tensor | None = None  # change, for momentum
        self._logarithms: list[float] = []  # of the last dampings, for probing

    def step(self) -> bool:
        """Take one step; return False if none lowers the loss, as at a minimum to rounding."""
        here = self._linearise()
        if here is None:
            return False
        if self.damping == 0.0:
            share = self.orthogonal.damping if self.orthogonal else None
            self.damping = (share or FIRST_DAMPING) * here.largest
        self.n_steps += 1
        before = [part.detach().clone() for part in self.residuals.parameters]
        if self.probing is not None:
            return self._probe(before, here, self.probing)
        pull = self._pull()
        for _ in range(N_TRIALS_LIMIT):
            change = self._change(here, self.damping, pull)
            if change is not None:
                foretold = self._foretold(here, self.damping, change, pull)
                if self._accept(before, here, self._bent(before, here, change), foretold):
                    return True
            if pull is None:
                self.damping, self.growth = self.damping * self.growth, 2 * self.growth
            pull = None
        self._move(before, None)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the damping and what the options remember; the rest is in the weights."""
        state: dict[str, Any] = {"damping": self.damping, "growth": self.growth}
        if self.sketch is not None or self.probing is not None:
            state["n_steps"] = self.n_steps
        if self.momentum is not None:
            state["last"] = torch.zeros(0) if self._last is None else self._last
        if self.probing is not None:
            state |= {"target": self.target, "logarithms": list(self._logarithms)}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where a run stopped."""
        self.damping, self.growth = float(state["damping"]), float(state["growth"])
        if self.sketch is not None or self.probing is not None:
            self.n_steps = int(state["n_steps"])
        if self.momentum is not None:
            self._last = state["last"] if state["last"].numel() else None
        if self.probing is not None:
            self.target, self._logarithms = float(state["target"]), [float(value) for value in state["logarithms"]]

    def _linearise(self) -> Linearisation | None:
        """Return the residuals and their Jacobian, or sketches of both; None where the loss is not finite."""
        if self.sketch is None:
            values, jacobian = self.residuals.values_and_jacobian()
            self.loss = float(values @ values)
        else:
            generator = torch.Generator().manual_seed(self.seed + self.n_steps)
            pieces = self.residuals.pieces(self.sketch.n_rows)
            self.loss, values, jacobian = sketched(pieces, self.sketch, generator)
        if not math.isfinite(self.loss):
            return None
        is_orthogonal = self.orthogonal is not None and self.orthogonal.is_due(self.loss)
        return KINDS[is_orthogonal, self.probing is not None](values, jacobian)

    def _pull(self) -> Tensor | None:
        """Return the change that a step is damped towards; None where it is none."""
        if self.momentum is None or self._last is None or self.momentum.share == 0.0:
            return None
        return self.momentum.share * self._last

    def _change(self, here: Linearisation, damping: float, pull: Tensor | None) -> Tensor | None:
        """Return the change that minimises |r - J change|^2 + mu |change - pull|^2."""
        if pull is None:
            return here.solve(damping, here.values)
        rest = here.solve(damping, here.values - here.jacobian @ pull)
        return None if rest is None else rest + pull

    def _foretold(self, here: Linearisation, damping: float, change: Tensor, pull: Tensor | None) -> float:
        """Return |r|^2 - |r - J change|^2 without a difference of squares."""
        damped = change if pull is None else change - pull
        return float(change @ (damping * damped + here.gradient))

    def _probe(self, before: list[Tensor], here: Linearisation, probing: Probing) -> bool:
        """Take the longest of several steps whose gain ratio is the target, or else the shortest that lowers the loss.

        Gain ratios are taken from the largest damping on, and their running minimum falls with it.
        """
        pull, gain, chosen = self._pull(), math.inf, None
        for _ in range(N_TRIALS_LIMIT):
            for factor in reversed(probing.factors):
                damping = max(factor * self.damping, here.least)
                change = self._change(here, damping, pull)
                if change is None:
                    break
                self._move(before, change)
                values = self.residuals.values()
                loss, foretold = float(values @ values), self._foretold(here, damping, change, pull)
                gain = min(gain, (self.loss - loss) / foretold if foretold > 0.0 and math.isfinite(loss) else -1.0)
                if gain <= 0.0 or (chosen is not None and gain < self.target):
                    break
                chosen = (damping, change, loss)
                if gain < self.target or damping == here.least:
                    break
            if chosen is not None:
                break
            pull, gain, self.damping = None, math.inf, probing.spread**2 * self.damping
        if chosen is None:
            self._move(before, None)
            return False
        self.damping, change, self.loss = chosen
        self._move(before, change)
        self._last = change if self.momentum else None
        self._logarithms = [*self._logarithms[1 - probing.memory :], math.log10(self.damping)]
        if self.n_steps >= probing.patience and len(self._logarithms) == probing.memory and rises(self._logarithms):
            self.target = probing.last
        return True

    def _bent(self, before: list[Tensor], here: Linearisation, change: Tensor) -> Tensor:
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

    def _accept(self, before: list[Tensor], here: Linearisation, change: Tensor, foretold: float) -> bool:
        self._move(before, change)
        values = self.residuals.values()
        loss = float(values @ values)
        if not (loss < self.loss and foretold > 0.0):
            return False
        gain = (self.loss - loss) / foretold
        self.damping = max(self.damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), here.least)
        self.growth, self.loss = 2.0, loss
        self._last = change if self.momentum else None
        return True

    def _move(self, before: list[Tensor], change: Tensor | None) -> None:
        """Set the weights to those before, minus the change."""
        start = 0
        with torch.no_grad():
            for part, old in zip(self.residuals.parameters, before, strict=True):
                stop = start + part.numel()
                part.copy_(old if change is None else old - change[start:stop].view_as(old))
                start = stop


def inverse_hessian(residuals: Residuals, damping: float = 0.0) -> Tensor:
    """Return (2 J^T J + 2 mu I)^-1, the inverse Hessian of the loss by Gauss and Newton, (weights, weights).

    Args:
        residuals: of the loss.
        damping: mu, as of Levenberg and Marquardt's last step, so that the first quasi-Newton step is one of theirs;
            from 1e-10 of the largest diagonal entry of 2 J^T J it grows tenfold until the Cholesky factor exists.
    """
    _, jacobian = residuals.values_and_jacobian()
    matrix = 2 * gram(jacobian)
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
