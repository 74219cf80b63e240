import pickle
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from pytest_mock import MockerFixture
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from circuits import Circuit, Z, ansatzes, feature_maps, weight
from qml.backends import Native
from qml.estimators import (
    GaussianProcessKernel,
    LayerClassifier,
    LayerRegressor,
    QuantumKernelRidge,
    QuantumKitchenSinks,
    QuantumSVC,
    QuantumSVR,
)
from qml.estimators.base import LAYERS
from qml.kernels import FidelityKernel
from qml.nn import QNNClassifier, QuantumLayer, SeparableClassifier

MOONS = make_moons(60, noise=0.1, random_state=0)
CHECKED = [
    LayerClassifier("separable", learning_rate=0.2, max_steps=40),
    LayerRegressor("dressed", learning_rate=0.05, max_steps=100),
    QuantumSVC("angle", C=10.0),
    QuantumSVR("angle", C=10.0),
    QuantumKernelRidge("angle", alpha=1e-2),
    QuantumKitchenSinks(20),
]


@pytest.mark.slow
@parametrize_with_checks(CHECKED)
def test_scikit_learn_accepts_the_estimator(estimator: BaseEstimator, check: Callable[..., None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite provokes warnings of its own
        check(estimator)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_by_name(layer: str) -> None:
    X, y = make_blobs(40, centers=2, n_features=2, cluster_std=0.3, center_box=(-1.0, 1.0), random_state=1)
    model = LayerClassifier(layer, learning_rate=0.1, max_steps=30, scaling="minmax", random_state=0).fit(X, y)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(probabilities.argmax(1), model.predict(X))
    assert type(model.layers_[0]).__name__ == LAYERS[layer]


def test_three_classes_with_names() -> None:
    X, classes = make_blobs(60, centers=3, n_features=2, random_state=3)
    y = np.array(["ash", "birch", "cedar"])[classes]
    for layer, n_layers in (("separable", 3), ("dressed", 1)):
        model = LayerClassifier(layer, learning_rate=0.1, max_steps=100, random_state=0).fit(X, y)
        assert len(model.layers_) == n_layers
        assert model.score(X, y) > 0.9
        assert model.predict_proba(X).shape == (60, 3)


def test_searches_reach_the_options_of_the_layer() -> None:
    search = GridSearchCV(
        LayerClassifier("separable", learning_rate=0.2, max_steps=20, random_state=0),
        {"options__n_layers": [1, 2], "learning_rate": [0.1]},
        cv=2,
    ).fit(*MOONS)
    assert set(search.cv_results_["param_options__n_layers"]) == {1, 2}
    best = search.best_estimator_
    assert best.layers_[0].n_layers == search.best_params_["options__n_layers"]
    copy = clone(best)
    assert copy.get_params()["options__n_layers"] == best.options["n_layers"]
    assert not hasattr(copy, "layers_")


def test_the_same_seed_trains_the_same_model_and_a_copy_predicts_alike() -> None:
    models = [LayerClassifier(max_steps=10, random_state=3).fit(*MOONS) for _ in range(2)]
    scores = [model.decision_function(MOONS[0]) for model in models]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(models[0])).decision_function(MOONS[0]), scores[0])
    other = LayerClassifier(max_steps=10, random_state=4).fit(*MOONS)
    assert np.abs(other.decision_function(MOONS[0]) - scores[0]).max() > 1e-3


def test_a_pipeline_with_an_own_layer() -> None:
    def make(n_inputs: int, **options: Any) -> nn.Module:
        return QNNClassifier(n_inputs, "zxyzxy", **options)

    pipeline = make_pipeline(StandardScaler(), LayerClassifier(make, learning_rate=0.1, max_steps=60, random_state=0))
    assert cross_val_score(pipeline, *MOONS, cv=2).mean() > 0.6


def test_training_stops_when_the_loss_has_settled_and_says_when_it_never_does() -> None:
    model = LayerClassifier("separable", learning_rate=0.1, max_steps=2000, convergence_interval=30, random_state=0)
    assert 60 < model.fit(*MOONS).n_iter_ < 2000
    with pytest.warns(ConvergenceWarning, match="had not settled after 40 steps. Raise `max_steps`"):
        model.set_params(max_steps=40).fit(*MOONS)


def test_other_backends_predict_the_same() -> None:
    model = LayerClassifier("separable", max_steps=3, random_state=0).fit(*MOONS)
    scores = model.decision_function(MOONS[0][:4])
    model.layers_[0].to_backend("pennylane")
    np.testing.assert_allclose(model.decision_function(MOONS[0][:4]), scores, atol=1e-10)
    rows = torch.from_numpy(MOONS[0])
    kernels = [
        QuantumSVC("iqp", backend=backend).fit(*MOONS).kernel_ for backend in ("native", Native(method="adjoint"))
    ]
    assert kernels[1].backend == Native(method="adjoint")
    # not their decisions: libsvm stops at 1e-3, and where it stops depends on rounding
    torch.testing.assert_close(kernels[1](rows), kernels[0](rows), rtol=0.0, atol=1e-10)
    with pytest.raises(ValueError, match="`backend` must be 'native' for QuantumBoltzmannClassifier"):
        LayerClassifier("boltzmann", backend="pennylane").fit(*MOONS)


def test_a_support_vector_machine_on_the_matrix_of_the_kernel() -> None:
    X, y = MOONS
    model = QuantumSVC(lambda n: FidelityKernel(feature_maps.angle(n), dtype=torch.float64), C=10.0, scaling=None)
    model.fit(X[:40], y[:40])
    differences = X[:, None, :] - X[None, :, :]
    gram = (np.cos(differences / 2) ** 2).prod(-1)
    expected = SVC(kernel="precomputed", C=10.0).fit(gram[:40, :40], y[:40]).decision_function(gram[40:, :40])
    np.testing.assert_allclose(model.decision_function(X[40:]), expected, atol=5e-3)  # libsvm stops at 1e-3


def test_own_kernels_come_as_maps_as_modules_or_from_functions_in_any_precision() -> None:
    X, y = MOONS
    scores = [
        QuantumSVC(kernel).fit(X, y).decision_function(X)
        for kernel in (
            lambda n: FidelityKernel(feature_maps.zz(n)),  # in float32, as a user writes it
            feature_maps.zz(2),
            FidelityKernel(feature_maps.zz(2)),
        )
    ]
    for others in scores[1:]:
        np.testing.assert_allclose(others, scores[0], atol=1e-6)
    kernel = FidelityKernel(feature_maps.angle(2))
    assert QuantumSVC(kernel).fit(X, y).kernel_ is not kernel
    assert kernel.weights.dtype == torch.float32
    search = GridSearchCV(QuantumSVC(feature_maps.zz(2)), {"C": [1.0, 10.0]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.6


def test_a_function_of_the_number_of_features_alone_makes_a_layer() -> None:
    model = LayerClassifier(lambda n: QuantumLayer(feature_maps.angle(n).compose(ansatzes.real_amplitudes(n)), [Z(0)]))
    model.set_params(max_steps=2, random_state=0).fit(*MOONS)
    assert next(model.layers_[0].parameters()).dtype == torch.float64
    scores, state = model.decision_function(MOONS[0]), torch.random.get_rng_state()
    np.testing.assert_array_equal(model.fit(*MOONS).decision_function(MOONS[0]), scores)
    assert torch.equal(torch.random.get_rng_state(), state)
    model.set_params(layer=lambda n: QuantumLayer(feature_maps.angle(n), [Z(0), Z(1)]))
    with pytest.raises(ValueError, match=r"one score per sample, .* Give it one observable"):
        model.fit(*MOONS)


def test_ridge_regression_fits_a_wave_that_the_kernel_spans() -> None:
    X = np.linspace(-1.0, 1.0, 40)[:, None]
    y = 5.0 + np.sin(np.pi / 2 * X[:, 0])  # the scaled feature is an angle, whose sine RY brings into the state
    assert QuantumKernelRidge("angle", alpha=1e-8).fit(X, y).score(X, y) > 1.0 - 1e-8
    both = QuantumKernelRidge("projected", alpha=1e-4).fit(X, np.stack([y, -y], 1)).predict(X)
    np.testing.assert_allclose(both[:, 0], -both[:, 1], atol=1e-6)


def test_support_vector_regression_is_that_of_the_kernel_in_closed_form() -> None:
    """RY of one feature has the fidelity cos((x - x') / 2)^2 = (1 + cos(x - x')) / 2."""
    X, y = np.linspace(-1.5, 1.5, 30)[:, None], np.sin(np.linspace(-1.5, 1.5, 30))
    gram = (1.0 + np.cos(X - X.T)) / 2.0
    expected = SVR(kernel="precomputed", C=10.0, epsilon=0.02).fit(gram, y).predict(gram)
    found = QuantumSVR("angle", C=10.0, epsilon=0.02, scaling=None).fit(X, y)
    np.testing.assert_allclose(found.predict(X), expected, atol=2e-3)  # the solver stops at violations of 1e-3
    np.testing.assert_allclose(found.predict(X), y, atol=0.03)


def test_a_gaussian_process_is_that_of_the_kernel_in_closed_form() -> None:
    X, y = np.linspace(-1.5, 1.5, 12)[:, None], np.sin(np.linspace(-1.5, 1.5, 12))
    new, noise = np.array([[0.3], [0.9]]), 0.01
    process = GaussianProcessRegressor(GaussianProcessKernel("angle") + WhiteKernel(noise, "fixed")).fit(X, y)
    gram = (1.0 + np.cos(X - X.T)) / 2.0 + noise * np.eye(12)
    cross = (1.0 + np.cos(new - X.T)) / 2.0
    mean, deviation = process.predict(new, return_std=True)
    np.testing.assert_allclose(mean, cross @ np.linalg.solve(gram, y), atol=1e-8)
    variance = 1.0 + noise - np.einsum("ij,ji->i", cross, np.linalg.solve(gram, cross.T))
    np.testing.assert_allclose(deviation, np.sqrt(variance), atol=1e-6)


def test_the_circuit_of_a_gaussian_process_runs_once_while_its_noise_is_found(mocker: MockerFixture) -> None:
    run = mocker.spy(FidelityKernel, "forward")
    kernel = ConstantKernel() * GaussianProcessKernel("angle") + WhiteKernel(1.0)
    X = np.linspace(-1.5, 1.5, 25)[:, None]
    y = np.sin(X[:, 0]) + 0.1 * np.random.default_rng(0).normal(size=25)
    process = GaussianProcessRegressor(kernel).fit(X, y)
    assert run.call_count == 1
    assert 0.05 < np.sqrt(process.kernel_.k2.noise_level) < 0.2
    process.predict(X + 0.1)
    assert run.call_count == 2


def test_a_gaussian_process_classifies_and_takes_kernels_of_any_diagonal() -> None:
    model = make_pipeline(MinMaxScaler((-1, 1)), GaussianProcessClassifier(4.0 * GaussianProcessKernel("projected")))
    assert model.fit(*MOONS).score(*MOONS) > 0.9
    kernel = GaussianProcessKernel(lambda n: TwiceTheProduct())
    np.testing.assert_allclose(kernel.diag(MOONS[0]), 2.0 * (MOONS[0] ** 2).sum(1), atol=1e-12)
    with pytest.raises(ValueError, match="`eval_gradient` must be False where `Y` is given"):
        kernel(MOONS[0], MOONS[0], eval_gradient=True)
    with pytest.raises(ValueError, match="`kernel` must be one of iqp, angle"):
        GaussianProcessKernel("rbf")(MOONS[0])


def test_a_gaussian_process_sees_a_kernel_that_was_trained_in_between() -> None:
    module = FidelityKernel(
        feature_maps.angle(2, axis="y")
        .compose(Circuit(2).rz(weight(0), 0).cx(0, 1))
        .compose(feature_maps.angle(2, axis="y")),
        dtype=torch.float64,
    )
    kernel, rows = GaussianProcessKernel(module), MOONS[0][:5]
    before = kernel(rows)
    with torch.no_grad():
        for part in module.parameters():
            part.add_(0.7)
    after = kernel(rows)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, module(torch.from_numpy(rows)).detach(), atol=1e-12)


class TwiceTheProduct(nn.Module):
    def forward(self, rows: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        return 2.0 * rows @ (rows if others is None else others).T


def test_a_regressor_fits_a_wave() -> None:
    X = np.linspace(-1.0, 1.0, 40)[:, None]
    y = 100.0 + 7.0 * np.sin(3.0 * X[:, 0])
    model = LayerRegressor(options={"n_layers": 3}, learning_rate=0.1, max_steps=200, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9


def _with_batches_and_chance(n_inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))


@pytest.mark.parametrize("kind", [LayerClassifier, LayerRegressor])
def test_a_layer_predicts_in_evaluation_mode_sample_by_sample(kind: Any) -> None:
    X, y = MOONS
    model = kind(_with_batches_and_chance, max_steps=20, learning_rate=0.05, random_state=0).fit(X, y.astype(float))
    predict = model.decision_function if kind is LayerClassifier else model.predict
    together = predict(X)
    np.testing.assert_array_equal(predict(X), together)
    np.testing.assert_allclose([predict(X[k : k + 1])[0] for k in range(5)], together[:5], atol=1e-12)
    assert float(model.layers_[0][1].running_mean.abs().sum()) > 0.0  # it was trained in the other mode


def test_a_model_whose_second_fit_fails_is_not_fitted() -> None:
    """The scaler and classes of the second fit would go with the weights of the first."""
    X, y = MOONS
    classifier = LayerClassifier(max_steps=2, random_state=0).fit(X, y).set_params(layer=Broken)
    regressor = LayerRegressor(max_steps=2, random_state=0).fit(X, y).set_params(learning_rate=1e308, max_steps=5)
    machine = QuantumSVC("angle").fit(X, y).set_params(C=-1.0)
    for model in (classifier, regressor, machine):
        with pytest.raises((FloatingPointError, ValueError)):
            model.fit(10.0 * X, y)
        with pytest.raises(NotFittedError):
            model.predict(X)


def test_bad_options_are_refused_by_name() -> None:
    X, y = MOONS
    for model, kind, message in (
        (LayerClassifier("no such"), ValueError, "`layer` must be one of circuit-centric"),
        (LayerClassifier(lambda n, **options: n), TypeError, "must make a torch module"),
        (LayerClassifier(scaling="log"), ValueError, "scaling"),
        (LayerClassifier(max_steps=0), ValueError, "max_steps"),
        (LayerClassifier(batch_size=0), ValueError, "batch_size"),
        (LayerClassifier(convergence_interval=1), ValueError, "convergence_interval"),
        (QuantumSVC("rbf"), ValueError, "`kernel` must be one of iqp"),
        (QuantumSVC(lambda n: n), TypeError, "must make a torch module"),
        (QuantumSVC(3), TypeError, "`kernel` must be a name, a feature map, a kernel, or a function"),
        (LayerClassifier(3), TypeError, "`layer` must be a name, or a function"),
        (QuantumSVC(n_repetitions=0), ValueError, "n_repetitions"),
        (QuantumSVC("angle", n_repetitions=2), ValueError, "`n_repetitions` must be 1 where `kernel` is 'angle'"),
        (QuantumSVC(feature_maps.angle(2), n_repetitions=3), ValueError, "must be 1 where `kernel` is a Circuit"),
        (QuantumSVC(FidelityKernel(feature_maps.angle(2)), backend="aer"), ValueError, "a backend of its own"),
        (QuantumSVC(lambda n: FidelityKernel(feature_maps.angle(n)), backend="aer"), ValueError, "by its method"),
    ):
        with pytest.raises(kind, match=message):
            model.fit(X, y)
    with pytest.raises(ValueError, match="one class"):
        LayerClassifier().fit(X, np.zeros(len(X)))
    with pytest.raises(FloatingPointError, match="smaller learning rate"):
        LayerClassifier(partial(Broken)).fit(X, y)


class Broken(SeparableClassifier):
    def loss(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().loss(inputs, labels) * float("nan")
