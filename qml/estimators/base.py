"""The base of estimators that train a layer: their options, the layer by its name, and their samples."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

import qml.nn
from circuits.lazy import suggestion
from circuits.plain_checks import as_int, as_number
from qml.estimators.scaling import scaled
from qml.estimators.training import LoopOptions
from qml.nn.move import layers_with_backends, to_backend

LAYERS = {
    "circuit-centric": "CircuitCentricClassifier",
    "dressed": "DressedQuantumCircuit",
    "iqp": "IQPClassifier",
    "metric": "QuantumMetricLearner",
    "qcnn": "QCNNClassifier",
    "boltzmann": "QuantumBoltzmannClassifier",
    "re-uploading": "DataReuploadingClassifier",
    "separable": "SeparableClassifier",
    "tree": "TreeTensorClassifier",
}
"""Layers by the names that estimators take."""

SEED_LIMIT = 2**31 - 1


class LayerEstimator(BaseEstimator):
    """The base of estimators that train a layer: options, scaling, and the training itself."""

    scaler_: Any

    def __init__(  # noqa: PLR0913 - scikit-learn takes options nowhere else, of any kind; `fit` checks them
        self,
        layer: Any = "re-uploading",
        *,
        options: Any = None,
        scaling: Any = "minmax",
        learning_rate: Any = 0.01,
        max_steps: Any = 1000,
        batch_size: Any = 32,
        convergence_interval: Any = None,
        backend: Any = "native",
        random_state: Any = None,
    ) -> None:
        self.layer = layer
        self.options = options
        self.scaling = scaling
        self.learning_rate = learning_rate
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.convergence_interval = convergence_interval
        self.backend = backend
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; `deep` adds the layer's options as `options__NAME`."""
        params = super().get_params(deep=deep)
        if deep and isinstance(self.options, Mapping):
            params |= {f"options__{name}": value for name, value in self.options.items()}
        return params

    def set_params(self, **params: Any) -> "LayerEstimator":
        """Set parameters; `options__NAME=value` sets one option of the layer."""
        prefix = "options__"
        own = {name: value for name, value in params.items() if not name.startswith(prefix)}
        super().set_params(**own)
        changed = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
        if changed:
            self.options = {**(self.options or {}), **changed}
        return self

    def _make(self, n_inputs: int, generator: torch.Generator, *sizes: int, **more: Any) -> nn.Module:
        make: Any = self.layer
        if self.options is not None and not isinstance(self.options, Mapping):
            raise TypeError(f"Argument `options` must be a mapping or None, but is {type(self.options).__name__}.")
        if isinstance(make, str):
            if make not in LAYERS:
                raise ValueError(
                    f"Argument `layer` must be one of {', '.join(LAYERS)}, or a function that makes a layer, but is "
                    f"{make!r}.{suggestion(make, LAYERS)}"
                )
            make = getattr(qml.nn, LAYERS[make])
        if isinstance(make, nn.Module):
            raise TypeError(
                "Argument `layer` must be a name, or a function from the number of features to a layer, but is a "
                f"{type(make).__name__} that is made already. Every fit starts from a new one: pass lambda n_features: "
                f"{type(make).__name__}(n_features, ...)."
            )
        if not callable(make):
            raise TypeError(
                "Argument `layer` must be a name, or a function from the number of features to a layer, but is "
                f"{type(make).__name__}."
            )
        places = _taken(make, {"dtype": torch.float64, "generator": generator})
        with torch.random.fork_rng(devices=[]):  # the global generator is afterwards as it was
            if "generator" not in places:  # torch's own layers draw from no other, and `random_state` is to seed them
                torch.manual_seed(int(torch.randint(SEED_LIMIT, (), generator=generator)))
            made = make(n_inputs, *sizes, **{**(self.options or {}), **more}, **places)
        if not isinstance(made, nn.Module):
            raise TypeError(f"Argument `layer` must make a torch module, but made {type(made).__name__}.")
        return made.to(torch.float64)

    def _on_backend(self, module: nn.Module) -> nn.Module:
        """Move a layer to the estimator's backend; a layer without one runs in torch alone."""
        if isinstance(self.backend, str) and self.backend == "native":
            return module
        if not layers_with_backends(module):
            raise ValueError(
                f"Argument `backend` must be 'native' for {type(module).__name__}, which runs in torch alone, but is "
                f"{self.backend!r}."
            )
        return to_backend(module, self.backend)

    def _loop(self) -> LoopOptions:
        interval = self.convergence_interval
        return LoopOptions(
            as_number(self.learning_rate, "learning_rate", at_least=0.0),
            as_int(self.max_steps, "max_steps", 1),
            as_int(self.batch_size, "batch_size", 1),
            None if interval is None else as_int(interval, "convergence_interval", 2),
        )

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(int(check_random_state(self.random_state).randint(SEED_LIMIT)))

    def _forget(self) -> None:
        """Drop the layers of an earlier `fit`, which would not go with the scaler and classes of one that fails."""
        self.__dict__.pop("layers_", None)

    def _inputs(self, X: Any) -> Tensor:
        check_is_fitted(self, "layers_")
        checked: Any = validate_data(self, X, dtype=np.float64, reset=False)
        return torch.from_numpy(scaled(self.scaler_, checked))


def _taken(make: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a function or class has parameters for."""
    parameters = inspect.signature(make).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return options
    return {name: value for name, value in options.items() if name in parameters}
