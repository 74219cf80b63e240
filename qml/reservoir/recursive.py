"""Recursive least squares: a read-out that learns while the series goes on."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.reservoir.series_checks import require_features, require_rows


class RecursiveLeastSquares(nn.Module):
    r"""A ridge regression that is updated sample by sample, with an exponentially fading memory.

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
        self.n_features = n_features = checks.as_int(n_features, "n_features", 1)
        self.n_outputs = n_outputs = checks.as_int(n_outputs, "n_outputs", 1)
        self.alpha = alpha = checks.as_number(alpha, "alpha", above=0.0)
        self.forgetting = checks.as_number(forgetting, "forgetting")
        if not 0.0 < self.forgetting <= 1.0:
            raise ValueError(f"Argument `forgetting` must lie in (0, 1], but is {forgetting}. 1 never forgets.")
        self.register_buffer("weight", torch.zeros(n_outputs, n_features, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(1 + n_features, dtype=torch.float64) / alpha)

    def forward(self, features: Any) -> Float[Tensor, "*batch outputs"]:
        """Predict with the weights as they are; features as in `RidgeReadout`."""
        require_features(features, self.n_features)
        return (features.to(self.weight.dtype) @ self.weight.mT + self.bias).to(features.dtype)

    @torch.no_grad()
    def update(
        self,
        features: Any,  # tensors that are checked below, with a message
        targets: Any,
    ) -> Float[Tensor, "time outputs"]:
        """Learn from samples one after another.

        Args:
            features: of every sample, (time, n_features), floating.
            targets: what was to be predicted, (time, n_outputs).

        Returns:
            What was predicted for each sample before it was learnt, (time, n_outputs).

        Raises:
            TypeError: no floating tensors.
            ValueError: other shapes, NaN.
        """
        require_rows(features, self.n_features, "features")
        require_rows(targets, self.n_outputs, "targets")
        if len(features) != len(targets):
            raise ValueError(
                f"Argument `targets` must hold {len(features)} rows as the features do, but holds {len(targets)}."
            )
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
