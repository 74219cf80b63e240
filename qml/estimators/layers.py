"""Layers as scikit-learn estimators."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from torch import Tensor, nn

import qml.nn
from qml.estimators.base import LayerEstimator
from qml.estimators.scaling import make_scaler, scaled
from qml.estimators.together import Course, Problem, train_together
from qml.estimators.training import Fitted, LoopOptions, train
from qml.nn.classifiers.base import hit_loss
from qml.nn.curves import Log
from qml.nn.modes import in_evaluation

MAX_EMBEDDED = 2**23  # amplitudes of all samples that a training keeps


def _one_score(layer: nn.Module, rows: Tensor) -> Tensor:
    """Return a score for each sample, (batch,), also of a layer with one output, (batch, 1)."""
    scores = layer(rows)
    scores = scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores
    if scores.shape != rows.shape[:1]:
        raise ValueError(
            f"Argument `layer` must make a layer with one score per sample, but {type(layer).__name__} returns shape "
            f"{tuple(scores.shape)} for {len(rows)} samples. Give it one observable."
        )
    return scores


class LayerClassifier(ClassifierMixin, LayerEstimator):
    """A classifier that trains a quantum layer, or any other layer with one score a sample.

    Two classes are told apart by the sign of one score; more classes by one layer each, against the rest, or by one
    layer with as many logits where it has them (`"dressed"`).

    Args:
        layer: A name of `LAYERS`, or a class or function from the number of features to a module from (batch, features)
            to scores, (batch,) or (batch, 1). It is given `dtype=` and `generator=` where it takes them. A module's own
            `loss(inputs, labels)` is minimised where it has one, else (1 - y f) / 2.
        options: More arguments of the layer, such as `{"n_layers": 5}`; searches reach them as `options__n_layers`.
        scaling: Scaling of the features by the training set: `"minmax"` to [-pi/2, pi/2], `"standard"`, or None.
        learning_rate: Of Adam.
        max_steps: Number of steps at most.
        batch_size: Samples a step, drawn with replacement.
        convergence_interval: Stop when the loss has settled between two intervals of so many steps, and warn where it
            never does; None trains `max_steps` steps. The study has 200.
        backend: A backend or its name.
        random_state: Seed of weights and batches.

    Attributes:
        layers_: The trained layers: one for two classes, else one a class (or one in all).
        classes_: The classes.
        scaler_: The fitted scaler, or None.
        losses_: The loss of each step; of each layer in turn.
        n_iter_: Largest number of steps of a layer.
        n_features_in_: Number of features.

    Reference:
        Protocol of Bowles et al., arXiv:2403.07059, appendix on training.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, y = make_moons(40, noise=0.1, random_state=0)
        >>> LayerClassifier("separable", max_steps=20, random_state=0).fit(X, y).predict(X).shape
        (40,)
    """

    def fit(self, X: Any, y: Any, *, callback: Log | None = None) -> "LayerClassifier":
        """Train on samples X, (batch, inputs), with classes y, (batch,).

        `callback(step, {"loss": value})` is told of each step, see `qml.nn.curves_to`; of many layers by
        `"loss/CLASS"`.
        """
        problems, loop = self._begin(X, y)
        courses: list[Fitted] = []
        for number, one in enumerate(problems):
            name = "loss" if len(problems) == 1 else f"loss/{self.classes_[number]}"
            loss = partial(chosen_loss, one)
            parameters, log = one.layer.parameters(), _log_as(name, callback)
            courses.append(train(parameters, loss, len(one.rows), loop, one.generator, log))
        self._end(problems, courses)
        return self

    def _begin(self, X: Any, y: Any) -> tuple[list[Problem], LoopOptions]:
        """Check the samples, and return the trainings."""
        self._forget()
        checked: Any = validate_data(self, X, y, dtype=np.float64)
        inputs, targets = checked
        check_classification_targets(targets)
        self.classes_, members = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Argument `y` must hold two classes or more, but holds one class: {self.classes_[0]!r}.")
        self.scaler_ = make_scaler(self.scaling)
        if self.scaler_ is not None:
            self.scaler_.fit(inputs)
        rows, classes = torch.from_numpy(scaled(self.scaler_, inputs)), torch.from_numpy(members)
        generator, loop = self._generator(), self._loop()
        return self._problems(rows, classes, generator), loop

    def _end(self, problems: Sequence[Problem], courses: Sequence[Fitted]) -> None:
        self.layers_ = [problem.layer.eval() for problem in problems]
        self.losses_ = [course.losses for course in courses]
        self.n_iter_ = max(map(len, self.losses_))

    def decision_function(self, X: Any) -> Float[np.ndarray, "batch ..."]:
        """Compute scores: (batch,), above 0 for the second class, or (batch, classes)."""
        inputs = self._inputs(X)
        with torch.no_grad():
            scores = [layer(inputs) if self._has_logits() else _one_score(layer, inputs) for layer in self.layers_]
        if self._has_logits():
            logits = scores[0]
            return (logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits).numpy()
        return (scores[0] if len(scores) == 1 else torch.stack(scores, 1)).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each sample."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]

    def predict_proba(self, X: Any) -> Float[np.ndarray, "batch classes"]:
        """Compute the probability of each class: (1 + f) / 2, cut at 0 and 1, or the softmax of logits."""
        scores = self.decision_function(X)
        if self._has_logits():
            logits = np.stack([-scores / 2, scores / 2], 1) if scores.ndim == 1 else scores
            weights = np.exp(logits - logits.max(1, keepdims=True))
            return weights / weights.sum(1, keepdims=True)
        likely = np.clip((1.0 + scores) / 2.0, 0.0, 1.0)
        if scores.ndim == 1:
            return np.stack([1.0 - likely, likely], 1)
        likely = likely + np.finfo(float).tiny  # so that samples which no layer takes have equal probabilities
        return likely / likely.sum(1, keepdims=True)

    def _has_logits(self) -> bool:
        return isinstance(self.layers_[0], qml.nn.DressedQuantumCircuit)

    def _problems(self, rows: Tensor, classes: Tensor, generator: torch.Generator) -> list[Problem]:
        """Return the training of each layer."""
        n_classes = len(self.classes_)
        if self.layer == "dressed" or self.layer is qml.nn.DressedQuantumCircuit:
            layer = self._on_backend(self._make(rows.shape[1], generator, n_classes))
            return [Problem(layer, rows, classes, _cross_entropy, generator)]
        problems = []
        for number in [1] if n_classes == 2 else range(n_classes):
            labels = torch.where(classes == number, 1.0, -1.0).to(rows)
            layer = self._make(rows.shape[1], generator)
            remember: Any = getattr(layer, "remember", None)
            if remember is not None:  # its scores compare samples with examples of both classes
                remember(rows, labels, generator)
            loss = _score_loss if getattr(layer, "loss", None) is None else _own_loss
            problems.append(_embedded(Problem(self._on_backend(layer), rows, labels, loss, generator)))
        return problems


def _embedded(problem: Problem) -> Problem:
    """Compute what no weight changes once, in place of the rows, for a layer that can."""
    layer: Any = problem.layer
    if not isinstance(layer, qml.nn.IQPClassifier) or not layer.backend.capabilities.closed_form:
        return problem
    if len(problem.rows) * 2**layer.n_inputs > MAX_EMBEDDED:
        return problem
    return replace(problem, rows=layer.embedded(problem.rows), loss=_embedded_loss)


def _embedded_loss(layer: Any, amplitudes: Tensor, labels: Tensor) -> Tensor:
    return layer.loss_of_embedded(amplitudes, labels)


def chosen_loss(problem: Problem, chosen: Tensor) -> Tensor:
    """Return the loss of the samples with the given numbers."""
    return problem.loss(problem.layer, problem.rows[chosen], problem.targets[chosen])


def _cross_entropy(layer: nn.Module, rows: Tensor, classes: Tensor) -> Tensor:
    return nn.functional.cross_entropy(layer(rows), classes)


def _own_loss(layer: Any, rows: Tensor, labels: Tensor) -> Tensor:
    return layer.loss(rows, labels)


def _score_loss(layer: nn.Module, rows: Tensor, labels: Tensor) -> Tensor:
    return hit_loss(_one_score(layer, rows), labels)


class LayerRegressor(RegressorMixin, LayerEstimator):
    """A regressor that trains a quantum layer and a line through its score: y = a f(x) + b, by the squared error.

    Args:
        layer: A name of `LAYERS`, or a class or function from the number of features to a module from
            (batch, n_inputs) to (batch,) or (batch, outputs).
        options: More arguments of the layer; searches reach them as `options__NAME`.
        scaling: Scaling of the features by the training set: `"minmax"` to [-pi/2, pi/2], `"standard"`, or None.
            Targets are scaled to mean 0 and deviation 1 within.
        learning_rate: Of Adam.
        max_steps: Number of steps at most.
        batch_size: Samples a step, drawn with replacement.
        convergence_interval: Stop when the loss has settled between two intervals of so many steps; None trains
            `max_steps` steps.
        backend: A backend or its name.
        random_state: Seed of weights and batches.

    Attributes:
        layers_: The trained layer and the line, in one list.
        scaler_: The fitted scaler of the features, or None.
        losses_: The loss of each step.
        n_iter_: Number of steps.
        n_features_in_: Number of features.

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1, 1, 30)[:, None]
        >>> LayerRegressor(max_steps=20, random_state=0).fit(X, np.sin(3 * X[:, 0])).predict(X).shape
        (30,)
    """

    def fit(self, X: Any, y: Any, *, callback: Log | None = None) -> "LayerRegressor":
        """Train on samples X, (batch, inputs), with targets y, (batch,); `callback(step, {"loss": value})` is told."""
        self._forget()
        checked: Any = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        inputs, targets = checked
        self.scaler_ = make_scaler(self.scaling)
        if self.scaler_ is not None:
            self.scaler_.fit(inputs)
        rows = torch.from_numpy(scaled(self.scaler_, inputs))
        self._mean, self._deviation = float(targets.mean()), float(targets.std()) or 1.0
        wanted = torch.from_numpy((targets - self._mean) / self._deviation)
        generator = self._generator()
        layer = self._on_backend(self._make(rows.shape[1], generator))
        width = _width(layer, rows)
        line = nn.Linear(width, 1, dtype=torch.float64)
        with torch.no_grad():
            line.weight.fill_(1.0 / width)
            line.bias.zero_()

        def loss(chosen: Tensor) -> Tensor:
            return nn.functional.mse_loss(_through_line(layer, line, rows[chosen]), wanted[chosen])

        both = [*layer.parameters(), *line.parameters()]
        self.losses_ = train(both, loss, len(rows), self._loop(), generator, _log_as("loss", callback)).losses
        self.n_iter_ = len(self.losses_)
        self.layers_ = [layer.eval(), line.eval()]
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " batch"]:
        """Predict the target of each sample."""
        inputs = self._inputs(X)
        with torch.no_grad():
            layer, line = self.layers_
            return self._mean + self._deviation * _through_line(layer, line, inputs).numpy()


def _through_line(layer: nn.Module, line: nn.Module, rows: Tensor) -> Tensor:
    return line(layer(rows).reshape(len(rows), -1))[:, 0]


@torch.no_grad()
def _width(layer: nn.Module, rows: Tensor) -> int:
    """Return the number of outputs a sample, of one sample in evaluation, which changes no statistics of batches."""
    with in_evaluation(layer):
        return layer(rows[:1]).reshape(1, -1).shape[1]


def fit_together(models: Sequence[LayerClassifier], samples: Sequence[tuple[Any, Any]]) -> list[Course]:
    """Fit classifiers of equal layers and options, each to its own samples X and classes y, in one training.

    Each model ends as it would by its own `fit`, but for rounding. A model that fails does not stop the others.

    Args:
        models: Classifiers that differ in `random_state` and `learning_rate` alone.
        samples: X and y of each, with two classes.

    Returns:
        The course of each training, with the kind of its failure.

    Raises:
        ValueError: If their layers or loops are not equal.
    """
    problems, loops = begin_together(models, samples)
    courses = train_together(problems, loops)
    for model, problem, course in zip(models, problems, courses, strict=True):
        model._end([problem], [course])
    return courses


def begin_together(
    models: Sequence[LayerClassifier], samples: Sequence[tuple[Any, Any]]
) -> tuple[list[Problem], list[LoopOptions]]:
    """Return the trainings of classifiers and the options of their loops; see `fit_together`."""
    begun = [model._begin(*pair) for model, pair in zip(models, samples, strict=True)]
    shapes = {tuple((k, v.shape) for k, v in p.layer.named_parameters()) for parts, _ in begun for p in parts}
    kinds = {
        (type(p.layer), p.rows.shape[1], min(len(p.rows), o.batch_size), replace(o, learning_rate=0.0))
        for parts, o in begun
        for p in parts
    }
    if len(shapes) != 1 or len(kinds) != 1 or any(len(parts) != 1 for parts, _ in begun):
        raise ValueError("Classifiers that are fitted together must have equal layers, options and two classes.")
    return [parts[0] for parts, _ in begun], [loop for _, loop in begun]


def _log_as(name: str, callback: Log | None) -> Callable[[int, float], None] | None:
    if callback is None:
        return None
    return lambda step, loss: callback(step, {name: loss})
