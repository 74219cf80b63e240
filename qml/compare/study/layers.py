"""Trained models that the study has beside those of `qml.nn`: own losses, batches and controls."""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from circuits import Circuit, data, feature_maps, weight
from qml import checks
from qml.compare.study.starts import start
from qml.estimators.layers import chosen_loss, fit_together
from qml.estimators.scaling import make_scaler, scaled
from qml.estimators.together import Problem, train_together
from qml.estimators.training import LoopOptions, train
from qml.nn import (
    CircuitCentricClassifier,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    IQPClassifier,
    QuantumMetricLearner,
    TreeTensorClassifier,
)
from qml.nn.classifiers.base import CircuitClassifier
from qml.nn.classifiers.metric import STATES

METRIC_BATCH = 16
N_EXAMPLES = 32
SINGLE_FROM = 10  # qubits
EIGHT = 8  # qubits, whose logarithm the study rounds down


class SinglePrecision(CircuitClassifier):
    """A mixin: circuits of ten qubits and more are simulated in single precision, for half the time.

    Their rounding, about 1e-6, is far below the noise of a batch of 32. Parameters, loss and optimiser stay in double
    precision, which is what the study has everywhere.
    """

    def evaluated(self, circuit: Circuit, angles: Tensor) -> Tensor:
        """Compute the expectation values of a circuit with the layer's weights."""
        if circuit.n_qubits < SINGLE_FROM:
            return super().evaluated(circuit, angles)
        values = self.backend.expectation(circuit, angles.float(), self.weights.float(), self.observables)
        return values.to(self.weights.dtype)


class StudyCircuitCentric(SinglePrecision, CircuitCentricClassifier):
    """The circuit-centric classifier as the study runs it."""


class StudyDressed(SinglePrecision, DressedQuantumCircuit):
    """The dressed circuit as the study runs it."""


class StudyIQP(SinglePrecision, IQPClassifier):
    """The IQP classifier as the study's text has it."""

    def embedded(self, inputs: Tensor) -> Tensor:
        """Compute the states of the embedding, kept in the precision in which the layers run."""
        amplitudes = super().embedded(inputs)
        return amplitudes if self.n_inputs < SINGLE_FROM else amplitudes.float()


class StudyMetricLearner(QuantumMetricLearner):
    """The metric learner as the study runs it, with the states of ten qubits and more in single precision."""

    def states(self, inputs: Tensor) -> Tensor:
        """Compute the states of samples."""
        if self.circuit.n_qubits < SINGLE_FROM:
            return super().states(inputs)
        return STATES.state(self.circuit, inputs.float(), self.weights.float())


class WeightedReuploading(DataReuploadingClassifier):
    """The re-uploading classifier whose class weights are trained with it.

    Attributes:
        class_weights: Factors of the fidelities, shape (2, n_readouts), 1 at first.
    """

    def __init__(self, n_inputs: int, n_layers: int = 4, **options: Any) -> None:
        super().__init__(n_inputs, n_layers, **options)
        self.class_weights = nn.Parameter(self.weights.new_ones(2, self.n_readouts))

    def loss(self, inputs: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Return the fidelity loss with the trained class weights."""
        return super().loss(inputs, labels, self.class_weights if class_weights is None else class_weights)


def published_iqp_map(n_inputs: int, n_repetitions: int) -> Circuit:
    """Build the IQP embedding as the study ran it: only the first repetition has gates on pairs.

    PennyLane 0.34 kept the pairs of its IQPEmbedding in an iterator, which the first repetition used up. With it all of
    the study's IQP kernels come out to the sample; with the formula only those of one repetition do.
    """
    circuit = feature_maps.iqp(n_inputs).circuit.copy()
    for _ in range(n_repetitions - 1):
        for qubit in range(n_inputs):
            circuit.h(qubit).rz(data(qubit), qubit)
    return circuit


class PublishedIQP(StudyIQP):
    """The variational classifier on the IQP embedding as the study ran it, see `published_iqp_map`."""

    def embedding_circuit(self) -> Circuit:
        """Build the circuit of the embedding."""
        return published_iqp_map(self.n_inputs, self.n_repetitions)


class PublishedTree(TreeTensorClassifier):
    """The tree as the study ran it: with eight qubits its last level is missing, and half of the qubits are never read.

    Its code takes the whole part of a logarithm for the number of levels, and JAX computes log2(8) as
    2.9999999999999996. With two levels and its random numbers the code has the published accuracies to the sample.
    """

    def __init__(self, n_inputs: int, **options: Any) -> None:
        super().__init__(n_inputs, **options)
        if self.circuit.n_qubits == EIGHT:
            self.circuit = _without_last_level()
            self.weights = nn.Parameter(self.weights.detach()[: self.circuit.n_weights].clone())


def _without_last_level() -> Circuit:
    """Build the amplitudes and two trees of four qubits, with RY at the first root; the last weights are idle."""
    circuit = Circuit(EIGHT).prepare_slots([data(k) for k in range(2**EIGHT)])
    for number in range(EIGHT):
        circuit.ry(weight(number), number)
    for qubit in range(0, EIGHT, 2):
        circuit.cx(qubit + 1, qubit).ry(weight(EIGHT + qubit // 2), qubit)
    return circuit.cx(2, 0).cx(6, 4).ry(weight(circuit.n_weights), 0)


class SeparableBoltzmann(nn.Module):
    r"""The Boltzmann machine without couplings: <Z_i> = -z_i / r_i tanh(r_i / T) with z_i = a_i x and x_i = b_i x.

    Here r_i = sqrt(z_i^2 + x_i^2): a product of thermal states of one qubit. The score is the mean over visible qubits.

    Args:
        n_inputs: Number of features and qubits.
        n_visible: Number of qubits that are read.
        temperature: T, above 0.
        dtype: Of the parameters.
        generator: For the initial parameters, all from N(0, 1).
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        n_visible: int,
        temperature: float,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_visible, self.temperature = n_visible, temperature
        self.fields = nn.Parameter(torch.randn(2, n_inputs, n_inputs, dtype=dtype, generator=generator))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the scores of samples, (batch, inputs) to (batch,)."""
        z, x = (inputs @ own[: self.n_visible].T for own in self.fields)
        length = (z.square() + x.square()).clamp_min(torch.finfo(z.dtype).tiny).sqrt()
        return -(z / length * torch.tanh(length / self.temperature)).mean(1)

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross entropy of the probability (1 + f) / 2, clipped one rounding step inside [0, 1]."""
        right = (1.0 + labels * self(inputs)) / 2.0
        return -right.clamp_min(torch.finfo(right.dtype).eps).log().mean()


class MetricClassifier:
    """The metric learner as the study trains it: 16 samples of each class a step, fresh examples at each prediction.

    Args:
        n_layers: Number of layers.
        learning_rate: Of Adam.
        max_steps: Number of steps at most.
        interval: Length of the intervals of the stopping rule.
        is_published: Whether a sample of class -1 is compared with the one of class +1 in the same place of the
            training set alone, the last one in place of those that are missing, as the study's code does, with its
            random numbers.
        seed: Seed of weights, batches and examples.
    """

    def __init__(
        self, *, n_layers: int, learning_rate: float, max_steps: int, interval: int, is_published: bool, seed: int
    ) -> None:
        self.n_layers, self.is_published = n_layers, is_published
        self.loop = LoopOptions(learning_rate, max_steps, METRIC_BATCH, interval)
        self.seed, self.generator = seed, torch.Generator().manual_seed(seed)

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> "MetricClassifier":
        """Train on samples with labels -1 and +1."""
        if self.is_published:
            problem = self.begin(inputs, labels)
            loss = partial(chosen_loss, problem)
            self.losses_ = train([self.layer.weights], loss, len(problem.rows), self.loop, problem.generator).losses
            return self
        first, second = self._classes(inputs, labels)

        def intended(chosen: Tensor) -> Tensor:
            others = second[torch.randint(len(second), chosen.shape, generator=self.generator)]
            signs = torch.cat([-torch.ones(len(chosen)), torch.ones(len(others))]).to(self.rows)
            return self.layer.loss(torch.cat([first[chosen], others]), signs)

        self.losses_ = train([self.layer.weights], intended, len(first), self.loop, self.generator).losses
        return self

    def begin(self, inputs: np.ndarray, labels: np.ndarray) -> Problem:
        """Return the training as it was published, whose samples are the pairs that are compared."""
        first, second = self._classes(inputs, labels)
        partners = second[torch.arange(len(first)).clamp_max(len(second) - 1)]
        pairs = torch.cat([first, partners], 1)
        self.draws = start("metric", self.layer, self.seed)
        return Problem(self.layer, pairs, pairs[:, 0], _overlap_of_pairs, self.draws)

    def _classes(self, inputs: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Scale the samples, make the layer, and return the samples of both classes."""
        self.scaler = make_scaler("minmax")
        self.rows = torch.from_numpy(np.asarray(self.scaler.fit_transform(inputs)))  # pyright: ignore[reportOptionalMemberAccess]
        self.labels = torch.from_numpy(labels)
        self.layer = StudyMetricLearner(
            inputs.shape[1], self.n_layers, n_examples=N_EXAMPLES, dtype=torch.float64, generator=self.generator
        )
        return self.rows[self.labels < 0], self.rows[self.labels > 0]

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Predict the labels of samples, by examples that are drawn for this call."""
        self.layer.remember(*self._examples(), self.generator)
        with torch.no_grad():
            scores = self.layer(torch.from_numpy(scaled(self.scaler, inputs)))
        return np.where(scores.numpy() > 0, 1.0, -1.0)

    def _examples(self) -> tuple[Tensor, Tensor]:
        """Return the samples that examples are drawn from; as published they are drawn already."""
        if not self.is_published:
            return self.rows, self.labels
        classes = [torch.nonzero(self.labels == sign)[:, 0] for sign in (-1.0, 1.0)]
        size = min(N_EXAMPLES, *map(len, classes))
        chosen = torch.cat([members[self.draws.subset(len(members), size)] for members in classes])
        return self.rows[chosen], self.labels[chosen]


def _overlap_of_pairs(layer: Any, pairs: Tensor, targets: Tensor) -> Tensor:
    return layer.overlaps(*pairs.chunk(2, 1)).mean()


NOT_SETTLED, NOT_FINITE = "not settled", "loss not finite"


def fit_layers_together(models: Sequence[Any], samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Fit estimators of equal layers in one training; return for each why it failed, or "" where its loss settled."""
    from sklearn.exceptions import ConvergenceWarning

    reasons = {None: "", FloatingPointError: NOT_FINITE, ConvergenceWarning: NOT_SETTLED}
    if not isinstance(models[0], MetricClassifier):
        return [reasons[course.error] for course in fit_together(models, samples)]
    problems = [model.begin(*pair) for model, pair in zip(models, samples, strict=True)]
    courses = train_together(problems, [model.loop for model in models])
    for model, course in zip(models, courses, strict=True):
        model.losses_ = course.losses
    return [reasons[course.error] for course in courses]


def fit_until_settled(model: Any, inputs: np.ndarray, labels: np.ndarray) -> str:
    """Fit a model; return why it failed, or "" where its loss settled."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(inputs, labels)
        except ConvergenceWarning:
            return NOT_SETTLED
        except FloatingPointError:
            return NOT_FINITE
    return ""


def read_out_count(kind: str, n_qubits: int) -> int:
    """Return how many qubits are read: one, half of them (at least one), or all."""
    checks.require_choice(kind, "kind", ("single", "half", "full"))
    return {"single": 1, "half": max(1, n_qubits // 2), "full": n_qubits}[kind]


def n_reuploading_qubits(n_features: int) -> int:
    """Return the number of qubits of the re-uploading classifier: three features each."""
    return math.ceil(n_features / 3)
