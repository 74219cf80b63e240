"""Support vector machines and ridge regression on quantum kernels, in scikit-learn's form."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC, SVR
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from circuits import Circuit, ComputedCircuit, feature_maps
from circuits.lazy import suggestion
from circuits.plain_checks import as_int
from qml.backends import Backend, Native, resolve
from qml.estimators.scaling import make_scaler, scaled
from qml.kernels import FidelityKernel, ProjectedKernel, nearest_positive

KERNELS = ("iqp", "angle", "separable", "projected")


def make_kernel(kernel: Any, n_features: int, n_repetitions: int, backend: Backend | str) -> nn.Module:
    """Return the kernel of a name or of a feature map, a copy of a kernel, or what a function makes, in float64.

    Raises:
        ValueError: If there is no kernel of the name, or the kernel has no repetitions or a backend of its own.
        TypeError: If `kernel` is of another kind, or the function returns no module.
    """
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            raise ValueError(
                f"Argument `kernel` must be one of {', '.join(KERNELS)}, or a function that makes a kernel, but is "
                f"{kernel!r}.{suggestion(kernel, KERNELS)}"
            )
        n_repetitions = as_int(n_repetitions, "n_repetitions", 1)
        if kernel == "angle":
            _require_no_repetitions(n_repetitions, "'angle'")
            return FidelityKernel(feature_maps.angle(n_features, axis="y"), dtype=torch.float64, backend=backend)
        if kernel == "separable":
            circuit = feature_maps.separable(n_features, n_repetitions)
            return FidelityKernel(circuit, dtype=torch.float64, backend=backend)
        make = FidelityKernel if kernel == "iqp" else ProjectedKernel
        return make(feature_maps.iqp(n_features, n_repetitions), dtype=torch.float64, backend=backend)
    _require_no_repetitions(n_repetitions, f"a {type(kernel).__name__}")
    if isinstance(kernel, Circuit | ComputedCircuit):
        return FidelityKernel(kernel, dtype=torch.float64, backend=backend)
    if isinstance(kernel, nn.Module) or callable(kernel):
        _require_own_backend(backend, kernel)
    if isinstance(kernel, nn.Module):
        return copy.deepcopy(kernel).to(torch.float64)
    if not callable(kernel):
        raise TypeError(
            "Argument `kernel` must be a name, a feature map, a kernel, or a function from a number of features to a "
            f"kernel, but is {type(kernel).__name__}."
        )
    made = kernel(n_features)
    if not isinstance(made, nn.Module):
        raise TypeError(f"Argument `kernel` must make a torch module, but made {type(made).__name__}.")
    return made.to(torch.float64)


def _require_no_repetitions(n_repetitions: Any, kernel: str) -> None:
    if n_repetitions != 1:
        raise ValueError(
            f"Argument `n_repetitions` must be 1 where `kernel` is {kernel}, which has none to set, but is "
            f"{n_repetitions!r}."
        )


def _require_own_backend(backend: Backend | str, kernel: Any) -> None:
    if backend != "native" and resolve(backend) != Native():
        raise ValueError(
            f"Argument `backend` must be 'native' where `kernel` is a {type(kernel).__name__}, whose kernel has a "
            f"backend of its own, but is {backend!r}. Move the kernel by its method to_backend."
        )


class KernelMachine(BaseEstimator):
    """The base of the machines: scaling, and the kernel matrix between samples and training samples."""

    kernel: str | Circuit | ComputedCircuit | nn.Module | Callable[[int], nn.Module]
    n_repetitions: int
    scaling: str | None
    backend: Backend | str

    def _fit_kernel(self, inputs: np.ndarray) -> np.ndarray:
        self.__dict__.pop("machine_", None)  # of an earlier `fit`; it would not go with this kernel if this one fails
        self.scaler_ = make_scaler(self.scaling)
        if self.scaler_ is not None:
            self.scaler_.fit(inputs)
        self.kernel_ = make_kernel(self.kernel, inputs.shape[1], self.n_repetitions, self.backend)
        self.X_fit_ = scaled(self.scaler_, inputs)
        with torch.no_grad():
            return nearest_positive(self.kernel_(torch.from_numpy(self.X_fit_)).double()).numpy()

    def _kernel_with_training(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "machine_")
        inputs: Any = validate_data(self, X, dtype=np.float64, reset=False)
        rows = torch.from_numpy(scaled(self.scaler_, inputs))
        with torch.no_grad():
            return self.kernel_(rows, torch.from_numpy(self.X_fit_)).double().numpy()


class QuantumSVC(ClassifierMixin, KernelMachine):
    """A support vector machine on a quantum kernel.

    Args:
        kernel: `"iqp"`, the fidelity of the IQP embedding; `"angle"`, of RY on a qubit a feature; `"separable"`, of
            RX(pi/4) and RY in turns; `"projected"`, the projected kernel of the IQP embedding; a feature map, whose
            fidelity is taken; a kernel module, of which a copy is fitted; or a function from a number of features to a
            kernel module. All run in float64.
        C: Penalty of misclassified samples, above 0.
        n_repetitions: Number of times the IQP or the separable embedding is applied; 1 for other kernels.
        scaling: Scaling of the features by the training set: `"minmax"` to [-pi/2, pi/2], `"standard"`, or None.
        backend: A backend or its name, for kernels by name or by feature map. Measured matrices lose their
            negative eigenvalues.

    Attributes:
        kernel_: The kernel.
        machine_: The fitted `sklearn.svm.SVC` on its matrix.
        X_fit_: The scaled training samples.
        classes_: The classes.
        n_features_in_: Number of features.

    Reference:
        Havlicek et al., arXiv:1804.11326.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, y = make_moons(40, noise=0.1, random_state=0)
        >>> QuantumSVC().fit(X, y).predict(X).shape
        (40,)
    """

    def __init__(  # of any kind, as scikit-learn asks; `fit` checks them
        self,
        kernel: Any = "iqp",
        *,
        C: Any = 1.0,
        n_repetitions: Any = 1,
        scaling: Any = "minmax",
        backend: Any = "native",
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.n_repetitions = n_repetitions
        self.scaling = scaling
        self.backend = backend

    def fit(self, X: Any, y: Any) -> "QuantumSVC":
        """Fit to samples X, (batch, inputs), with classes y, (batch,)."""
        checked: Any = validate_data(self, X, y, dtype=np.float64)
        inputs, targets = checked
        check_classification_targets(targets)
        self.machine_ = SVC(kernel="precomputed", C=self.C).fit(self._fit_kernel(inputs), targets)
        self.classes_ = self.machine_.classes_
        return self

    def decision_function(self, X: Any) -> Float[np.ndarray, "batch ..."]:
        """Compute scores: (batch,), above 0 for the second class, or (batch, classes)."""
        matrix = self._kernel_with_training(X)
        return self.machine_.decision_function(matrix)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each sample."""
        matrix = self._kernel_with_training(X)
        return self.machine_.predict(matrix)


class QuantumSVR(RegressorMixin, KernelMachine):
    """Support vector regression on a quantum kernel.

    Args:
        kernel: `"iqp"`, `"angle"`, `"separable"`, `"projected"`, a feature map, a kernel module, or a function from a
            number of features to one; see `QuantumSVC`.
        C: Penalty of errors beyond `epsilon`, above 0.
        epsilon: Half the width of the tube in which errors cost nothing, in units of the target, at least 0.
        n_repetitions: Number of times the IQP or the separable embedding is applied; 1 for other kernels.
        scaling: Scaling of the features by the training set: `"minmax"` to [-pi/2, pi/2], `"standard"`, or None.
        backend: A backend or its name, for kernels by name or by feature map.

    Attributes:
        kernel_: The kernel.
        machine_: The fitted `sklearn.svm.SVR` on its matrix.
        X_fit_: The scaled training samples.
        n_features_in_: Number of features.

    Reference:
        Drucker et al., Support Vector Regression Machines, Advances in Neural Information Processing Systems 9 (1996).

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1, 1, 30)[:, None]
        >>> QuantumSVR("angle", C=10.0, epsilon=0.01).fit(X, np.sin(3 * X[:, 0])).predict(X).shape
        (30,)
    """

    def __init__(  # of any kind, as scikit-learn asks; `fit` checks them
        self,
        kernel: Any = "iqp",
        *,
        C: Any = 1.0,
        epsilon: Any = 0.1,
        n_repetitions: Any = 1,
        scaling: Any = "minmax",
        backend: Any = "native",
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.epsilon = epsilon
        self.n_repetitions = n_repetitions
        self.scaling = scaling
        self.backend = backend

    def fit(self, X: Any, y: Any) -> "QuantumSVR":
        """Fit to samples X, (batch, inputs), with targets y, (batch,)."""
        checked: Any = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        inputs, targets = checked
        machine = SVR(kernel="precomputed", C=self.C, epsilon=self.epsilon)
        self.machine_ = machine.fit(self._fit_kernel(inputs), targets)
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " batch"]:
        """Predict the target of each sample."""
        matrix = self._kernel_with_training(X)
        return self.machine_.predict(matrix)


class QuantumKernelRidge(MultiOutputMixin, RegressorMixin, KernelMachine):
    """Ridge regression on a quantum kernel; the mean of the targets is added.

    Args:
        kernel: `"iqp"`, `"angle"`, `"separable"`, `"projected"`, a feature map, a kernel module, or a function from a
            number of features to one; see `QuantumSVC`.
        alpha: Penalty of the weights, at least 0.
        n_repetitions: Number of times the IQP or the separable embedding is applied; 1 for other kernels.
        scaling: Scaling of the features by the training set: `"minmax"` to [-pi/2, pi/2], `"standard"`, or None.
        backend: A backend or its name, for kernels by name or by feature map.

    Attributes:
        kernel_: The kernel.
        machine_: The fitted `sklearn.kernel_ridge.KernelRidge` on its matrix.
        X_fit_: The scaled training samples.
        n_features_in_: Number of features.

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1, 1, 30)[:, None]
        >>> QuantumKernelRidge("angle", alpha=1e-3).fit(X, np.sin(3 * X[:, 0])).predict(X).shape
        (30,)
    """

    def __init__(  # of any kind, as scikit-learn asks; `fit` checks them
        self,
        kernel: Any = "iqp",
        *,
        alpha: Any = 1.0,
        n_repetitions: Any = 1,
        scaling: Any = "minmax",
        backend: Any = "native",
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.n_repetitions = n_repetitions
        self.scaling = scaling
        self.backend = backend

    def fit(self, X: Any, y: Any) -> "QuantumKernelRidge":
        """Fit to samples X, (batch, inputs), with targets y, (batch,) or (batch, outputs)."""
        checked: Any = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        inputs, targets = checked
        self._mean = targets.mean(0)
        machine = KernelRidge(kernel="precomputed", alpha=self.alpha)  # pyright: ignore[reportArgumentType]
        self.machine_ = machine.fit(self._fit_kernel(inputs), targets - self._mean)
        return self

    def predict(self, X: Any) -> Float[np.ndarray, "batch ..."]:
        """Predict the targets of each sample."""
        matrix = self._kernel_with_training(X)
        return self.machine_.predict(matrix) + self._mean
