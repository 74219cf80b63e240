"""Fits of the study's models: from a setting of the grid to an accuracy."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from qml.compare.study import ablations, images, layers
from qml.compare.study.data import Part
from qml.compare.study.grids import Setting

INTERVAL = 200  # steps whose mean losses the stopping rule compares
MAX_STEPS = {"dressed": 100_000, "dressed-separable": 100_000, "metric": 50_000}
USUAL_STEPS = 10_000
SEED_OF_SEARCH = 42
BOLTZMANN = ("boltzmann", "boltzmann-separable")


@dataclass(frozen=True)
class Fitted:
    """The result of one fit.

    Attributes:
        accuracy: On the samples to score on; 0 for a fit that failed.
        train_accuracy: On the samples that it was fitted to; 0 for a fit that failed.
        n_parameters: Number of trained numbers.
        n_steps: Number of steps; 0 where there are none.
        seconds: Processor time of the fit and both predictions.
        failure: Reason of a failure, or "".
    """

    accuracy: float
    train_accuracy: float
    n_parameters: int
    n_steps: int
    seconds: float
    failure: str = ""


def fit(model: str, setting: Setting, part: Part, *, seed: int, is_published: bool) -> Fitted:
    """Fit a model of the study, and measure its accuracy.

    Args:
        model: A name in `ENTRIES`.
        setting: A candidate of its grid.
        part: The samples.
        seed: Seed of weights, batches and shots.
        is_published: Whether the code of the study is followed where it parts from its text.
    """
    started = time.process_time()
    if model in KERNELS:
        return _fitted_kernel(KERNELS[model](setting, part, seed, is_published), setting, part, started)
    made = MAKERS[model](model, setting, part.n_features, seed, is_published)
    failure = layers.fit_until_settled(made, part.fit_inputs, part.fit_labels) if model in TRAINED else ""
    if model not in TRAINED:
        _fit_classical(made, part)
    return scored(made, part, failure, started)


def scored(made: Any, part: Part, failure: str, started: float) -> Fitted:
    """Measure the accuracy of a fitted model."""
    if failure:
        return Fitted(0.0, 0.0, 0, 0, time.process_time() - started, failure)
    scores = [
        float(np.mean(made.predict(inputs) == labels))
        for inputs, labels in ((part.fit_inputs, part.fit_labels), (part.score_inputs, part.score_labels))
    ]  # in the study's order, for models that draw anew at each prediction
    return Fitted(scores[1], scores[0], _n_parameters(made), _n_steps(made), time.process_time() - started)


def _fit_classical(made: Any, part: Part) -> None:
    """Fit a model of scikit-learn, whose limits on iterations are part of the study."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made.fit(part.fit_inputs, part.fit_labels)


def _n_steps(made: Any) -> int:
    return int(getattr(made, "n_iter_", 0)) if not hasattr(made, "losses_") else len(np.ravel(made.losses_))


def _n_parameters(made: Any) -> int:
    """Count the trained numbers of a layer, of a perceptron, or of a line on features."""
    if hasattr(made, "layers_"):
        return sum(parameter.numel() for parameter in made.layers_[0].parameters())
    if hasattr(made, "layer"):
        return sum(parameter.numel() for parameter in made.layer.parameters())
    last = made[-1] if hasattr(made, "steps") else made
    if hasattr(last, "coefs_"):
        return sum(array.size for array in (*last.coefs_, *last.intercepts_))
    return last.coef_.size + last.intercept_.size


# --- trained layers

SCALINGS = {
    "circuit-centric": None,
    "re-uploading": "minmax",
    "dressed": "standard",
    "iqp": "minmax",
    "tree": None,
    "separable": "minmax",
    "boltzmann": "standard",
    "boltzmann-separable": "standard",
    **{name: "standard" if name == "dressed-separable" else "minmax" for name in ablations.KINDS},
    "cnn": "standard",
    "weinet": None,
}
OPTIONS = {
    "n_layers": "n_layers",
    "encoding_layers": "n_layers",
    "n_input_copies": "n_copies",
    "repeats": "n_repetitions",
}
"""Arguments of our layers by the study's names."""


def layer_classifier(
    make: Callable[..., nn.Module],
    setting: Setting,
    seed: int,
    *,
    scaling: str | None,
    max_steps: int,
    start: str | None = None,
) -> Any:
    """Return an estimator that trains a layer by the study's loop; `start` names a model in `STARTS`, for its draws."""
    from qml.compare.study.starts import PublishedStart
    from qml.estimators import LayerClassifier

    made: Any = (LayerClassifier if start is None else PublishedStart)(
        make,
        scaling=scaling,
        learning_rate=setting["learning_rate"],
        max_steps=max_steps,
        convergence_interval=INTERVAL,
        random_state=seed,
    )
    if start is not None:
        made.model = start
    return made


def make_layer(model: str, setting: Setting, n_features: int, is_published: bool) -> tuple[Callable[..., Any], Any]:
    """Return a function that makes the layer of a setting, and the scaling of its inputs."""
    kind, options = _layer_kind(model, setting, n_features, is_published)
    return partial(kind, **options), SCALINGS[model]


def architecture(model: str, setting: Setting, n_features: int, is_published: bool) -> Hashable:
    """Return what decides a model but for its learning rate: equal for settings whose layers are the same.

    With few features some are: half of three qubits, rounded down, is a single one.
    """
    if MAKERS.get(model) is not layer_of:
        return tuple((name, value) for name, value in setting.items() if name != "learning_rate")
    kind, options = _layer_kind(model, setting, n_features, is_published)
    return kind, tuple(options.items())


def _layer_kind(
    model: str, setting: Setting, n_features: int, is_published: bool
) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    import qml.nn

    if model in BOLTZMANN:
        n_visible = layers.read_out_count(setting["visible_qubits"], n_features)
        options = {"n_visible": n_visible, "temperature": setting["temperature"]}
        if model == "boltzmann-separable":
            return layers.SeparableBoltzmann, options
        return qml.nn.QuantumBoltzmannClassifier, options | {"has_one_coupling": is_published}
    if model == "cnn":
        return images.StudyCNN, {"kernel_size": setting["kernel_shape"]}
    if model == "weinet":
        return images.WeiNet, {"is_published": is_published}
    if model.startswith("re-uploading"):
        kind, options = ablations.KINDS.get(model, (layers.WeightedReuploading, {}))
        read = setting.get("observable_type", "full")
        n_readouts = layers.read_out_count(read, layers.n_reuploading_qubits(n_features))
        return kind, {"n_layers": setting["n_layers"], "n_readouts": n_readouts, **options}
    kinds: dict[str, Any] = {
        "circuit-centric": layers.StudyCircuitCentric,
        "dressed": layers.StudyDressed,
        "dressed-separable": ablations.SeparableDressed,
        "iqp": layers.PublishedIQP if is_published else layers.StudyIQP,
        "tree": layers.PublishedTree if is_published else qml.nn.TreeTensorClassifier,
        "separable": qml.nn.SeparableClassifier,
    }
    return kinds[model], {OPTIONS[name]: value for name, value in setting.items() if name in OPTIONS}


def layer_of(model: str, setting: Setting, n_features: int, seed: int, is_published: bool) -> Any:
    """Return the estimator of a layer."""
    make, scaling = make_layer(model, setting, n_features, is_published)
    max_steps = MAX_STEPS.get(model, USUAL_STEPS)
    start = model if is_published and model != "cnn" else None
    return layer_classifier(make, setting, seed, scaling=scaling, max_steps=max_steps, start=start)


def _metric(model: str, setting: Setting, n_features: int, seed: int, is_published: bool) -> Any:
    return layers.MetricClassifier(
        n_layers=setting["n_layers"],
        learning_rate=setting["learning_rate"],
        max_steps=MAX_STEPS[model],
        interval=INTERVAL,
        is_published=is_published,
        seed=seed,
    )


def _quanvolutional(model: str, setting: Setting, n_features: int, seed: int, is_published: bool) -> Any:
    training = {
        "learning_rate": setting["learning_rate"],
        "max_steps": USUAL_STEPS,
        "convergence_interval": INTERVAL,
    }
    return images.QuanvolutionalClassifier(
        window=setting["qkernel_shape"],
        n_filters=setting["n_qchannels"],
        kernel_size=setting["kernel_shape"],
        is_published=is_published,
        training=training,
        seed=seed,
    )


# --- scikit-learn's models


def _mlp(model: str, setting: Setting, n_features: int, seed: int, is_published: bool) -> Any:
    from sklearn.neural_network import MLPClassifier

    options: dict[str, Any] = {"batch_size": 32, **setting}
    return MLPClassifier(max_iter=3000, random_state=seed, **options)


def _sinks(model: str, setting: Setting, n_features: int, seed: int, is_published: bool) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from qml.estimators import QuantumKitchenSinks

    n_qubits = n_features if setting["n_qfeatures"] == "full" else -(-n_features // 2)
    sinks = QuantumKitchenSinks(setting["n_episodes"], n_qubits=n_qubits, random_state=seed)
    return make_pipeline(sinks, LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-3))


TRAINED_IMAGES = ("cnn", "weinet", "quanvolutional")
TRAINED = (
    "circuit-centric", "re-uploading", "dressed", "iqp", "metric", "tree", "separable", *BOLTZMANN, *ablations.KINDS,
    *TRAINED_IMAGES,
)  # fmt: skip
MAKERS: dict[str, Callable[[str, Setting, int, int, bool], Any]] = {
    **dict.fromkeys(TRAINED, layer_of),
    "metric": _metric,
    "quanvolutional": _quanvolutional,
    "mlp": _mlp,
    "kitchen-sinks": _sinks,
}


# --- kernels

Grams = tuple[np.ndarray, np.ndarray]
"""Kernel matrices of the fitted samples with themselves, and of the scored samples with the fitted ones."""


def _fitted_kernel(grams: Grams, setting: Setting, part: Part, started: float) -> Fitted:
    from sklearn.svm import SVC

    machine = SVC(kernel="precomputed", C=setting["C"]).fit(grams[0], part.fit_labels)
    accuracy = float(machine.score(grams[1], part.score_labels))
    train_accuracy = float(machine.score(grams[0], part.fit_labels))
    return Fitted(accuracy, train_accuracy, int(machine.n_support_.sum()) + 1, 0, time.process_time() - started)


def _gaussian(setting: Setting, part: Part, seed: int, is_published: bool) -> Grams:
    from sklearn.metrics.pairwise import rbf_kernel

    fitted = part.fit_inputs
    return rbf_kernel(fitted, gamma=setting["gamma"]), rbf_kernel(part.score_inputs, fitted, gamma=setting["gamma"])


def _fidelity(circuit: Any, angles: Any, part: Part) -> Grams:
    from qml.kernels import FidelityKernel

    kernel = FidelityKernel(circuit, angles=angles, dtype=torch.float64)
    fitted, scored = scaled_rows(part)
    with torch.no_grad():
        return kernel(fitted).numpy(), kernel(scored, fitted).numpy()


def _iqp_kernel(setting: Setting, part: Part, seed: int, is_published: bool) -> Grams:
    from circuits import feature_maps
    from qml.nn import Angles

    def make() -> Grams:
        repeats, embedding = setting["repeats"], feature_maps.iqp(part.n_features, setting["repeats"])
        circuit = layers.published_iqp_map(part.n_features, repeats) if is_published else embedding.circuit
        return _fidelity(circuit, Angles(embedding.angles, dtype=torch.float64), part)

    return _remembered(part, ("iqp", setting["repeats"], is_published), make)


def _separable_kernel(setting: Setting, part: Part, seed: int, is_published: bool) -> Grams:
    from circuits import feature_maps

    n_layers = setting["encoding_layers"]
    circuit = feature_maps.separable(part.n_features, n_layers)
    return _remembered(part, ("separable", n_layers), lambda: _fidelity(circuit, None, part))


def _projected_kernel(setting: Setting, part: Part, seed: int, is_published: bool) -> Grams:
    key = ("projected", setting["t"], setting["trotter_steps"], seed)
    fitted, scored = _remembered(part, key, lambda: projected_features(setting, part, seed))
    own = bandwidth(fitted, part.n_features) * setting["gamma_factor"]
    other = bandwidth(scored if is_published else fitted, part.n_features) * setting["gamma_factor"]
    return np.exp(-own * _distances(fitted, fitted)), np.exp(-other * _distances(scored, fitted))


def projected_features(setting: Setting, part: Part, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute X, Y and Z of every qubit after the evolution, from initial rotations that the seed draws.

    The draws are those of the study, whose code takes them from NumPy after one number for the support vector machine:
    with them each of its accuracies comes out to the sample.
    """
    from circuits import feature_maps
    from qml.kernels import ProjectedKernel

    circuit = feature_maps.heisenberg(part.n_features, setting["trotter_steps"])
    kernel = ProjectedKernel(circuit, dtype=torch.float64)
    random = np.random.default_rng(seed)
    random.integers(100_000)
    angles = 2.0 * np.pi * random.uniform(size=circuit.n_weights)
    turn = setting["t"] * part.n_features / setting["trotter_steps"]
    with torch.no_grad():
        kernel.layer.weights.copy_(torch.from_numpy(angles))
        fitted, scored = (kernel.features(turn * rows).numpy() for rows in scaled_rows(part))
    return fitted, scored


def bandwidth(features: np.ndarray, n_features: int) -> float:
    """Return 1 / (d Var) of the expectation values of all samples and qubits together."""
    return float(1.0 / (n_features * features.var()))


def scaled_rows(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sets of samples, each feature mapped so that the fitted samples fill [-pi/2, pi/2]."""
    from qml.estimators.scaling import make_scaler, scaled

    scaler = make_scaler("minmax")
    fitted = np.asarray(scaler.fit_transform(part.fit_inputs))  # pyright: ignore[reportOptionalMemberAccess]
    return torch.from_numpy(fitted), torch.from_numpy(scaled(scaler, part.score_inputs))


def _distances(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(rows, columns, "sqeuclidean")


def _remembered(part: Part, key: Any, make: Callable[[], Any]) -> Any:
    if key not in part.memo:
        part.memo[key] = make()
    return part.memo[key]


KERNELS: dict[str, Callable[[Setting, Part, int, bool], Grams]] = {
    "svc": _gaussian,
    "iqp-kernel": _iqp_kernel,
    "separable-kernel": _separable_kernel,
    "projected-kernel": _projected_kernel,
}
