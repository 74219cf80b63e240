"""Ridge regression that streams: a triangular factor updated by orthogonal transformations."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.reservoir.series_checks import require_features, require_rows

Chunks = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Gives the same (features, targets) at each call: (rows, features) and (rows, outputs)."""

DEFAULT_ALPHAS = tuple(10.0**power for power in range(-12, 3))
MAX_FACTOR = 1e150  # whose square is finite in float64
MIN_ROWS = 512  # of a block that is worth a QR decomposition
LEAST_FREEDOM = 1e-10  # 1 - leverage, of which rounding leaves five digits


class RidgeReadout(nn.Module):
    r"""A linear read-out that ridge regression fits: min_{W, c} sum_i |y_i - W x_i - c|^2 + alpha |W|^2.

    The factor R of the QR decomposition of (1, X, Y) is updated block by block, in float64: memory does not grow with
    the number of samples, and unlike with normal equations the condition number is not squared. Its first row is the
    intercept, which is not penalised; the rest is R of the centred data. An SVD of that part gives the weights for
    every alpha, and a second pass over the data the exact leave-one-out error of each
    e_i = (y_i - yhat_i) / (1 - h_ii), from which the best alpha is chosen. Cost: 2 n p^2 for n samples of p features.
    Samples that the features can fit exactly, such as all of them where n <= p + 1, have both parts of that quotient
    without the factor alpha, by which both vanish.

    Features that are linearly dependent are no error: with alpha = 0 the solution of least norm is taken, and with
    constant targets the weights are 0 and the intercept is their mean.

    Args:
        n_features: p.
        n_outputs: numbers to predict.
        alphas: penalties to choose from, each at least 0, or one of them; lists, arrays and tensors are taken.

    Shape:
        features (..., n_features) to predictions (..., n_outputs), in the dtype of the features.

    Attributes:
        weight: shape (n_outputs, n_features), float64, zero until `fit`.
        bias: shape (n_outputs,).
        alpha: the chosen penalty, NaN until `fit`.
        noise: standard deviation of each output's leave-one-out residuals, what `Ensemble` adds to forecasts. With one
            alpha it is that of generalised cross-validation, sqrt(n) |y - yhat| / (n - degrees of freedom), which needs
            no second pass: every 1 - h_ii is replaced by their mean. NaN where the read-out was fitted to one sample.
        errors: mean squared leave-one-out error of each alpha; NaN where there was no choice.

    Raises:
        ValueError: no samples, or NaN among them; a negative alpha.

    Reference:
        Golub and Van Loan, Matrix Computations (2013), sections 5.3 and 6.1; leave-one-out: Allen,
        doi:10.1080/00401706.1974.10489157; generalised cross-validation: Golub, Heath and Wahba,
        doi:10.1080/00401706.1979.10489751, equation 1.4.
    """

    weight: Tensor
    bias: Tensor
    alpha: Tensor
    noise: Tensor
    errors: Tensor

    def __init__(self, n_features: int, n_outputs: int, *, alphas: Any = DEFAULT_ALPHAS) -> None:
        super().__init__()
        self.n_features = n_features = checks.as_int(n_features, "n_features", 1)
        self.n_outputs = n_outputs = checks.as_int(n_outputs, "n_outputs", 1)
        self.alphas = as_alphas(alphas)
        kind = torch.float64
        self.register_buffer("weight", torch.zeros(n_outputs, n_features, dtype=kind))
        self.register_buffer("bias", torch.zeros(n_outputs, dtype=kind))
        self.register_buffer("alpha", torch.tensor(math.nan, dtype=kind))
        self.register_buffer("noise", torch.zeros(n_outputs, dtype=kind))
        self.register_buffer("errors", torch.full((len(self.alphas),), math.nan, dtype=kind))

    def forward(self, features: Any) -> Float[Tensor, "*batch outputs"]:
        """Compute predictions, (..., n_outputs), from a floating tensor of shape (..., n_features)."""
        require_features(features, self.n_features)
        return (features.to(self.weight.dtype) @ self.weight.mT + self.bias).to(features.dtype)

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride] - torch calls it so
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """Load as `nn.Module`, and refuse the errors of another choice of penalties with words."""
        errors = state_dict.get(f"{prefix}errors")
        if isinstance(errors, Tensor) and errors.shape != self.errors.shape:
            rest[-1].append(
                f"{prefix}errors must be of as many penalties as this read-out chooses from, {len(self.alphas)}, but "
                f"is of {errors.numel()}. Build it with the same `alphas`."
            )
            return
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def fit(self, chunks: Chunks) -> "RidgeReadout":
        """Fit to all samples of `chunks()`, which is called a second time where there is an alpha to choose."""
        if not callable(chunks):
            raise TypeError(
                f"Argument `chunks` must be a function that gives the samples, but is {type(chunks).__name__}. Pass "
                "lambda: [(features, targets)]."
            )
        factor = self._factor(chunks())
        p = self.n_features
        n_rows = round(float(factor[0, 0]) ** 2)
        x, y = factor[1:, 1 : p + 1], factor[1:, p + 1 :]
        left, singular, right = torch.linalg.svd(x, full_matrices=False)
        means = factor[0, 1:] / factor[0, 0]
        # singular values within rounding of 0 belong to dependent features
        independent = singular > torch.finfo(torch.float64).eps * max(n_rows, p) * singular[:1].sum()
        basis = left[:, independent]
        solver = _Solver(means[:p], means[p:], singular[independent], right[independent], basis.mT @ y, n_rows)
        if len(self.alphas) == 1:
            best = 0
            outside = (y - basis @ solver.projected).square().sum(0)
            self.noise = solver.generalised_error(outside, self.alphas[0]).sqrt()
        else:
            squares = solver.leave_one_out(chunks(), self.alphas)
            self.errors = squares.mean(1)
            best = int(self.errors.argmin())
            self.noise = squares[best].sqrt()
        if n_rows == 1:
            self.noise = torch.full_like(self.noise, math.nan)
        self.alpha = torch.tensor(self.alphas[best], dtype=torch.float64, device=x.device)
        self.weight = solver.weight(self.alphas[best]).mT.contiguous()
        self.bias = solver.target_mean - self.weight @ solver.feature_mean
        return self

    def _factor(self, chunks: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Compute R of (1, X, Y), at most 1 + p + q rows, its first diagonal entry positive."""
        factor: Tensor | None = None
        pending: list[Tensor] = []
        n_pending, width = 0, 1 + self.n_features + self.n_outputs
        for features, targets in chunks:
            rows = self._rows(features, targets)
            pending.append(rows)
            n_pending += len(rows)
            if n_pending >= max(width, MIN_ROWS):
                factor = _triangular([*([] if factor is None else [factor]), *pending])
                pending, n_pending = [], 0
        if n_pending:
            factor = _triangular([*([] if factor is None else [factor]), *pending])
        if factor is None or not bool(factor[0, 0] != 0):
            raise ValueError(
                "The series must hold at least one step to fit to, but none is left. Pass longer series, or a shorter "
                "washout."
            )
        if not bool((factor.abs() < MAX_FACTOR).all()):  # NaN too
            raise ValueError(
                "Features and targets must be small enough to be squared in float64, but are not. Scale the series "
                "with qml.data.Scaler."
            )
        return factor * factor[0, 0].sign()

    def _rows(self, features: Tensor, targets: Tensor) -> Tensor:
        for name, values, width in (("features", features, self.n_features), ("targets", targets, self.n_outputs)):
            require_rows(values, width, name)
        if len(features) != len(targets):
            raise ValueError(
                f"Argument `targets` must hold {len(features)} rows as the features do, but holds {len(targets)}."
            )
        columns = [features.new_ones(len(features), 1), features, targets]
        return torch.cat([column.to(self.weight) for column in columns], 1)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"n_features={self.n_features}, n_outputs={self.n_outputs}, alpha={float(self.alpha):g}"


def as_alphas(alphas: Any) -> tuple[float, ...]:
    """Return ridge penalties as a tuple of floats: one number, or a sequence, array or tensor of them."""
    values = alphas.tolist() if isinstance(alphas, (Tensor, np.ndarray)) else alphas
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        values = [values]
    checked = tuple(checks.as_number(value, f"alphas[{place}]") for place, value in enumerate(values))
    if not checked or min(checked) < 0.0:
        raise ValueError(f"Argument `alphas` must hold numbers of at least 0, but is {alphas!r}.")
    return checked


def _triangular(blocks: list[Tensor]) -> Tensor:
    return torch.linalg.qr(torch.cat(blocks), mode="r").R


class _Solver:
    """The centred problem in the basis of its singular vectors: X - mean = U S V, projected targets U^T Y."""

    def __init__(
        self, feature_mean: Tensor, target_mean: Tensor, singular: Tensor, right: Tensor, projected: Tensor, n_rows: int
    ) -> None:
        self.feature_mean, self.target_mean, self.n_rows = feature_mean, target_mean, n_rows
        self.singular, self.right, self.projected = singular, right, projected

    def weight(self, alpha: float) -> Tensor:
        """Return the weights, shape (features, outputs)."""
        shrunk = (self.singular / (self.singular.square() + alpha))[:, None] * self.projected
        return self.right.mT @ shrunk

    def generalised_error(self, outside: Tensor, alpha: float) -> Tensor:
        """Compute n |y - yhat|^2 / (n - degrees of freedom)^2, shape (outputs,).

        Where the features can fit every sample, the factor alpha of both is left out, as in `leave_one_out`.

        Args:
            outside: squared norm of the part of each target that no features can fit, (outputs,).
            alpha: the penalty.
        """
        n_outside = self.n_rows - 1 - len(self.singular)
        shrinkage = 1.0 / (self.singular.square() + alpha)
        missed, freedom = (shrinkage[:, None] * self.projected).square().sum(0), shrinkage.sum()
        if n_outside > 0:
            missed, freedom = outside + alpha**2 * missed, n_outside + alpha * freedom
        return self.n_rows * missed / freedom.square()

    def leave_one_out(self, chunks: Iterable[tuple[Tensor, Tensor]], alphas: Sequence[float]) -> Tensor:
        """Compute mean squared leave-one-out residuals, shape (alphas, outputs)."""
        total = torch.zeros(len(alphas), len(self.target_mean), dtype=torch.float64, device=self.singular.device)
        for features, targets in chunks:
            scores = (features.to(total) - self.feature_mean) @ self.right.mT
            deviations = targets.to(total) - self.target_mean
            for k, alpha in enumerate(alphas):
                shrinkage = 1.0 / (self.singular.square() + alpha)
                predicted = scores @ ((shrinkage * self.singular)[:, None] * self.projected)
                freedom = 1.0 - 1.0 / self.n_rows - scores.square() @ shrinkage
                residuals = (deviations - predicted) / freedom[:, None]
                exact = (freedom < LEAST_FREEDOM) | (len(self.singular) >= self.n_rows - 1)
                if bool(exact.any()):
                    residuals = torch.where(exact[:, None], self._residuals_of_exact_fits(scores, shrinkage), residuals)
                total[k] += residuals.square().sum(0)
        return total / self.n_rows

    def _residuals_of_exact_fits(self, scores: Tensor, shrinkage: Tensor) -> Tensor:
        """Compute leave-one-out residuals, (rows, outputs), of samples that weights without a penalty would meet.

        With U = scores / singular, y_i - yhat_i = alpha sum_k U_ik (U^T y)_k / (s_k^2 + alpha), and 1 - h_ii the same
        of U_ik^2. The factor alpha cancels, which 1 - h_ii by subtraction has lost to rounding.
        """
        basis = scores / self.singular
        freedom = (basis.square() @ shrinkage).clamp_min(torch.finfo(basis.dtype).tiny)  # of one sample alone it is 0
        return (basis @ (shrinkage[:, None] * self.projected)) / freedom[:, None]
