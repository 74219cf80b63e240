"""Quantum kernels as covariance functions of scikit-learn's Gaussian processes."""

from typing import Any

import numpy as np
import torch
from sklearn.gaussian_process.kernels import Kernel
from torch import nn

from qml.estimators.kernel_machines import make_kernel
from qml.kernels import FidelityKernel, ProjectedKernel, nearest_positive


class GaussianProcessKernel(Kernel):
    """A quantum kernel for `GaussianProcessRegressor` and `GaussianProcessClassifier` of scikit-learn.

    It has no hyperparameters of its own; multiplied by a `ConstantKernel` and with a `WhiteKernel` added, scale and
    noise are found by the marginal likelihood. Inputs are taken as they are, so scale them before, in a pipeline.

    Args:
        kernel: `"iqp"`, `"angle"`, `"separable"`, `"projected"`, a feature map, a kernel module, or a function from a
            number of features to one; see `QuantumSVC`.
        n_repetitions: Number of times the IQP or the separable embedding is applied; 1 for other kernels.
        backend: A backend or its name, for kernels by name or by feature map. Measured matrices of one set of samples
            lose their negative eigenvalues.

    Reference:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 2.25 and 2.26.

    Example:
        >>> import numpy as np
        >>> from sklearn.gaussian_process import GaussianProcessRegressor
        >>> from sklearn.gaussian_process.kernels import WhiteKernel
        >>> X = np.linspace(-1, 1, 20)[:, None]
        >>> process = GaussianProcessRegressor(GaussianProcessKernel("angle") + WhiteKernel(0.01))
        >>> mean, deviation = process.fit(X, np.sin(X[:, 0])).predict(X, return_std=True)
        >>> deviation.shape
        (20,)
    """

    def __init__(self, kernel: Any = "iqp", *, n_repetitions: Any = 1, backend: Any = "native") -> None:
        self.kernel = kernel
        self.n_repetitions = n_repetitions
        self.backend = backend

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Compute the kernel between samples X, (n, features), and Y, (m, features), or X itself: (n, m).

        Args:
            X: Samples.
            Y: Other samples; None for X.
            eval_gradient: Whether derivatives in the hyperparameters follow, (n, n, 0), as there are none.

        Raises:
            ValueError: If derivatives are asked for between different samples.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        kernel = self._made(rows.shape[1])
        if Y is not None:
            if eval_gradient:
                raise ValueError("Argument `eval_gradient` must be False where `Y` is given, as scikit-learn has it.")
            return _matrix(kernel, rows, np.ascontiguousarray(Y, dtype=np.float64))
        weights = [part.detach().cpu().numpy().copy() for part in kernel.parameters()]
        matrix = self._remembered(kernel, [rows.copy(), *weights]).copy()
        return (matrix, np.empty((*matrix.shape, 0))) if eval_gradient else matrix

    def diag(self, X: Any) -> Any:  # Any, as the base has no annotation and is read as None
        """Compute the kernel of each sample with itself, (n,): 1 for states, and what another kernel has."""
        rows = np.ascontiguousarray(X, dtype=np.float64)
        kernel = self._made(rows.shape[1])
        if isinstance(kernel, FidelityKernel | ProjectedKernel):
            return np.ones(len(rows))
        return np.array([_matrix(kernel, row[None], row[None])[0, 0] for row in rows])

    def is_stationary(self) -> Any:
        """Return False: the kernel depends on more than the difference of two samples."""
        return False

    def _made(self, n_features: int) -> nn.Module:
        """Return the kernel module; one that the user trains is copied each time, with its weights of now."""
        key = self.kernel, self.n_repetitions, self.backend, n_features
        if getattr(self, "_key", None) != key or isinstance(self.kernel, nn.Module):
            self._key, self._kernel = key, make_kernel(self.kernel, n_features, self.n_repetitions, self.backend)
        return self._kernel

    def _remembered(self, kernel: nn.Module, parts: list[np.ndarray]) -> np.ndarray:
        """Return the matrix of samples and weights, which a search for hyperparameters asks for at each step."""
        known = getattr(self, "_parts", [])
        if len(known) != len(parts) or not all(map(np.array_equal, known, parts)):
            with torch.no_grad():
                own = nearest_positive(kernel(torch.from_numpy(parts[0])).double()).numpy()
            self._parts, self._own = parts, own
        return self._own


def _matrix(kernel: nn.Module, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return kernel(torch.from_numpy(rows), torch.from_numpy(others)).double().numpy()
