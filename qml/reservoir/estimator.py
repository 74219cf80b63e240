"""Reservoirs in scikit-learn's form. This module imports scikit-learn: it is loaded where it is named."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from qml.reservoir.forecaster import Forecaster
from qml.reservoir.reservoir import Reservoir
from qml.reservoir.ridge import DEFAULT_ALPHAS


class ReservoirRegressor(RegressorMixin, BaseEstimator):
    """A reservoir with a ridge read-out, for which the rows of X are the steps of one series, in order.

    It works in pipelines and searches; cut time with `TimeSeriesSplit`, which keeps the order. Every `fit` and
    `predict` starts from the reset state, so the first `washout` predictions are of a reservoir that has not settled.

    Args:
        reservoir: any `Reservoir` with as many inputs as X has columns.
        alphas: ridge penalties to choose from by leave-one-out.
        washout: steps at the beginning that are not fitted.

    Attributes:
        forecaster_: the fitted `Forecaster`.
        n_features_in_: columns of X.

    Example:
        >>> import numpy as np
        >>> from qml.baselines import EchoStateNetwork
        >>> x = np.sin(np.arange(200) / 5)[:, None]
        >>> model = ReservoirRegressor(EchoStateNetwork(1, 30), washout=20).fit(x[:-1], x[1:, 0])
        >>> model.predict(x).shape
        (200,)
    """

    def __init__(self, reservoir: Reservoir, *, alphas: Any = DEFAULT_ALPHAS, washout: int = 0) -> None:
        self.reservoir, self.alphas, self.washout = reservoir, alphas, washout

    def fit(self, X: Any, y: Any) -> "ReservoirRegressor":
        """Fit to a series X, (time, inputs), and what is to be predicted at each step, (time,) or (time, outputs)."""
        checked: Any = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        inputs, targets = checked
        columns = torch.from_numpy(targets.reshape(len(targets), -1).astype(np.float64))
        model = Forecaster(self.reservoir, n_outputs=columns.shape[1], alphas=self.alphas, washout=self.washout)
        self.forecaster_ = model.fit(torch.from_numpy(inputs), columns)
        self._is_flat = targets.ndim == 1
        return self

    def predict(self, X: Any) -> Float[np.ndarray, "..."]:
        """Predict at every step of a series."""
        check_is_fitted(self, "forecaster_")
        inputs: Any = validate_data(self, X, dtype=np.float64, reset=False)
        predicted = self.forecaster_.predict(torch.from_numpy(inputs))
        values = predicted.numpy() if isinstance(predicted, torch.Tensor) else np.stack([p.numpy() for p in predicted])
        return values[:, 0] if self._is_flat else values
