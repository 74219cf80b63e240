"""Recursive least squares: a read-out that learns while the series goes on."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks


class RecursiveLeastSquares(nn.Module):
    r"""Ridge regression updated sample by sample, with an exponentially fading memory.

    After n samples the weights minimise sum_i lambda^(n-i) |y_i - W (1, x_i)|^2 + lambda^n alpha |W|^2, intercept
    included. Cost: 3 p^2 a sample.

    Args:
        n_features: p.
        n_outputs: numbers to predict.
        alpha: penalty at the start, above 0.
        forgetting: lambda in (0, 1]; 1 never forgets.

    Attributes:
        weight: shape (n_outputs, n_features), float64, zero at the start.
        bias: shape (n_outputs,).
        covariance: the inverse of the weighted Gram matrix, (1 + n_features) squared.

    Reference:
        Haykin, Adaptive Filter Theory (2014), chapter 10. The covariance is kept symmetric by construction.
    """

    weight: Tensor
    bias: Tensor
    covariance: Tensor

    def __init__(self, n_features: int, n_outputs: int, *, alpha: float = 1e-4, forgetting: float = 1.0) -> None:
        super().__init__()
        checks.as_int(n_features, "n_features", 1)
        checks.as_int(n_outputs, "n_outputs", 1)
        if not alpha > 0.0:
            raise ValueError(f"Argument `alpha` must be above 0, but is {alpha}. Use for example 1e-4.")
        if not 0.0 < forgetting <= 1.0:
            raise ValueError(f"Argument `forgetting` must lie in (0, 1], but is {forgetting}. 1 never forgets.")
        self.n_features, self.n_outputs, self.alpha, self.forgetting = n_features, n_outputs, alpha, forgetting
        self.register_buffer("weight", torch.zeros(n_outputs, n_features, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(1 + n_features, dtype=torch.float64) / alpha)

    def forward(self, features: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch outputs"]:
        """Predictions with the weights as they are."""
        return (features.to(self.weight.dtype) @ self.weight.mT + self.bias).to(features.dtype)

    @torch.no_grad()
    def update(
        self, features: Float[Tensor, "time features"], targets: Float[Tensor, "time outputs"]
    ) -> Float[Tensor, "time outputs"]:
        """Learn from samples one after another; returns what was predicted for each before it was learnt."""
        if len(features) != len(targets):
            raise ValueError(
                f"Argument `targets` must hold {len(features)} rows as the features do, but holds {len(targets)}."
            )
        checks.require_finite(features, "features")
        checks.require_finite(targets, "targets")
        rows = torch.cat([features.new_ones(len(features), 1), features], 1).to(self.covariance)
        joined = torch.cat([self.bias[:, None], self.weight], 1)
        predictions = []
        for row, target in zip(rows, targets.to(self.covariance), strict=True):
            predicted = joined @ row
            spread = self.covariance @ row
            gain = spread / (self.forgetting + row @ spread)
            joined = joined + torch.outer(target - predicted, gain)
            covariance = (self.covariance - torch.outer(gain, spread)) / self.forgetting
            self.covariance = (covariance + covariance.mT) / 2
            predictions.append(predicted)
        self.bias, self.weight = joined[:, 0].clone(), joined[:, 1:].clone()
        if not predictions:
            return targets.new_zeros(0, self.n_outputs)
        return torch.stack(predictions).to(targets.dtype)
