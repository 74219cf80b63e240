"""Trainings in one stack: each ends with the numbers that it would have alone, whatever becomes of the others."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml.backends import Native
from qml.compare.study import competitors, stacks
from qml.compare.study.data import Part
from qml.compare.study.grids import candidates
from qml.compare.study.layers import (
    SINGLE_FROM,
    PublishedIQP,
    StudyCircuitCentric,
    StudyDressed,
    StudyMetricLearner,
    WeightedReuploading,
)
from qml.estimators import LayerClassifier, together
from qml.estimators.layers import fit_together
from qml.estimators.training import LoopOptions
from qml.nn import (
    CircuitCentricClassifier,
    DressedQuantumCircuit,
    IQPClassifier,
    QuantumMetricLearner,
    SeparableClassifier,
)

ROUNDING = 1e-10
Samples = tuple[np.ndarray, np.ndarray]
LAYERS: dict[str, Any] = {
    "re-uploading": partial(WeightedReuploading, n_layers=2),
    "published iqp": partial(PublishedIQP, n_layers=2, n_repetitions=3),
    "iqp": partial(IQPClassifier, n_layers=2, n_repetitions=2),
    **{name: name for name in ("circuit-centric", "dressed", "separable", "tree", "boltzmann")},
}


def samples(n_sets: int, *, n_features: int = 3) -> list[Samples]:
    """Draw sets of unequal sizes."""
    generator = np.random.default_rng(5)
    sets = []
    for number in range(n_sets):
        rows = generator.normal(size=(40 + number, n_features))
        sets.append((rows, np.where(rows[:, 0] * rows[:, 1] > 0.1, 1.0, -1.0)))
    return sets


def alone(make: Any, sets: list[Samples]) -> list[LayerClassifier]:
    with pytest.warns(ConvergenceWarning):
        return [make().fit(*pair) for pair in sets]


def assert_same(first: LayerClassifier, second: LayerClassifier) -> None:
    np.testing.assert_allclose(first.losses_[0], second.losses_[0], rtol=0, atol=ROUNDING)
    assert first.n_iter_ == second.n_iter_
    for one, other in zip(live(first.layers_[0]), live(second.layers_[0]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=ROUNDING)


def live(layer: nn.Module) -> list[Tensor]:
    """Return the parameters, with 0 for RZ on |0>, whose derivative is rounding, which Adam divides by 1e-8."""
    parameters = [part.detach().clone() for part in layer.parameters()]
    if isinstance(layer, SeparableClassifier):
        parameters[0][: 3 * layer.n_inputs : 3] = 0.0
    return parameters


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_ends_as_it_would_alone(name: str) -> None:
    def make() -> LayerClassifier:
        options: dict[str, Any] = {"max_steps": 25, "batch_size": 8, "convergence_interval": 20, "learning_rate": 0.05}
        return LayerClassifier(LAYERS[name], random_state=1, **options)

    sets = samples(3)
    expected, models = alone(make, sets), [make() for _ in sets]
    courses = fit_together(models, sets)
    assert [course.error for course in courses] == [ConvergenceWarning] * 3
    for model, one in zip(models, expected, strict=True):
        assert_same(model, one)
        np.testing.assert_allclose(model.decision_function(sets[0][0]), one.decision_function(sets[0][0]), atol=1e-9)


def test_the_stopping_rule_is_given_the_last_losses_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all of them, a training that never settles would copy half of its 100,000 steps at each."""
    lengths: list[int] = []
    rule = together._settled

    def noted(losses: np.ndarray, interval: int) -> np.ndarray:
        lengths.append(losses.shape[1])
        return rule(losses, interval)

    monkeypatch.setattr(together, "_settled", noted)
    models = [LayerClassifier("separable", max_steps=60, convergence_interval=5, random_state=0) for _ in range(2)]
    fit_together(models, samples(2))
    assert max(lengths) == 2 * 5 + 1
    assert lengths[:12] == [*range(1, 12), 11]


def test_each_stops_when_its_own_loss_has_settled() -> None:
    def make() -> LayerClassifier:
        return LayerClassifier("separable", learning_rate=0.1, max_steps=400, convergence_interval=10, random_state=0)

    sets = samples(4)
    expected, models = [make().fit(*pair) for pair in sets], [make() for _ in sets]
    courses = fit_together(models, sets)
    assert all(course.has_converged and course.error is None for course in courses)
    assert len({model.n_iter_ for model in models}) > 1
    for model, one in zip(models, expected, strict=True):
        assert_same(model, one)


def test_each_has_its_own_learning_rate() -> None:
    def make(learning_rate: float) -> LayerClassifier:
        options: dict[str, Any] = {"max_steps": 400, "convergence_interval": 10, "random_state": 0}
        return LayerClassifier("separable", learning_rate=learning_rate, **options)

    sets, rates = samples(4), (0.1, 0.01, 0.03, 0.1)
    expected = [make(rate).fit(*pair) for rate, pair in zip(rates, sets, strict=True)]
    models = [make(rate) for rate in rates]
    fit_together(models, sets)
    assert len({model.n_iter_ for model in models}) == 3  # the stack shrinks twice
    for model, one in zip(models, expected, strict=True):
        assert_same(model, one)


def test_the_steps_are_those_of_adam_to_the_last_digit() -> None:
    """The gradient of a line is a sum of few products, the same in both, so that the rest is Adam's own rounding."""

    def make() -> nn.Module:
        return nn.Linear(2, 1, bias=False, dtype=torch.float64)

    generator, rates = torch.Generator().manual_seed(0), (0.001, 0.01, 0.3)
    rows = torch.randn(5, 2, dtype=torch.float64, generator=generator)
    layers = [make() for _ in rates]
    loss: together.Loss = lambda layer, rows, targets: layer(rows)[0, 0] * targets[0]  # noqa: E731
    problems = [together.Problem(layer, rows, rows[:, 0], loss, generator) for layer in layers]
    stack, alone = together.Stack(problems, rates), [make() for _ in rates]
    for layer, one in zip(layers, alone, strict=True):
        one.load_state_dict(layer.state_dict())
    optimisers = [torch.optim.Adam(one.parameters(), rate) for one, rate in zip(alone, rates, strict=True)]
    for step in range(20):
        chosen = torch.tensor([step % 5])
        stack.step([chosen] * len(rates))
        for one, optimiser in zip(alone, optimisers, strict=True):
            optimiser.zero_grad()
            loss(one, rows[chosen], rows[chosen, 0]).backward()
            optimiser.step()
    stack.keep(np.zeros(0, dtype=int))
    for layer, one in zip(layers, alone, strict=True):
        torch.testing.assert_close(layer.state_dict(), one.state_dict(), rtol=0, atol=0)


def test_loops_that_differ_in_more_than_the_learning_rate_are_refused() -> None:
    loops = [LoopOptions(0.1, max_steps, 8, None) for max_steps in (2, 3)]
    with pytest.raises(ValueError, match="must differ in the learning rate alone"):
        together.train_together([], loops)


class Fragile(nn.Module):
    """A line whose loss is NaN for large features."""

    def __init__(self, n_inputs: int, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.line = nn.Linear(n_inputs, 1, dtype=dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.line(inputs)[:, 0] + torch.where(inputs.abs() > 100.0, torch.nan, 0.0).sum(1)


def test_one_that_fails_does_not_touch_the_others() -> None:
    def make() -> LayerClassifier:
        return LayerClassifier(Fragile, scaling=None, max_steps=15, random_state=0)

    sets = samples(3)
    sets[1] = (1000.0 * sets[1][0], sets[1][1])
    models = [make() for _ in sets]
    courses = fit_together(models, sets)
    assert [course.error for course in courses] == [None, FloatingPointError, None]
    assert "The loss must be finite, but was nan at step 1." in courses[1].message
    for number in (0, 2):
        assert_same(models[number], make().fit(*sets[number]))


def test_layers_that_differ_are_refused() -> None:
    models = [LayerClassifier("separable", options={"n_layers": n}, max_steps=2) for n in (1, 2)]
    with pytest.raises(ValueError, match="must have equal layers"):
        fit_together(models, samples(2))


def test_candidates_of_one_architecture_are_those_of_single_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors, "USUAL_STEPS", 60)
    monkeypatch.setattr(competitors, "INTERVAL", 6)
    parts = [Part(*pair, *pair) for pair in samples(2)]
    settings = [candidates("tree")[number] for number in range(3)]
    options: dict[str, Any] = {"seed": 3, "is_published": True}
    together = stacks.fit_folds("tree", settings, parts, on_part=lambda number: None, **options)
    alone = [[competitors.fit("tree", setting, part, **options) for part in parts] for setting in settings]
    assert [[replace(one, seconds=0.0) for one in fits] for fits in together] == [
        [replace(one, seconds=0.0) for one in fits] for fits in alone
    ]
    assert len({one.n_steps for fits in together for one in fits}) > 2  # each has its own course


def test_folds_of_the_study_are_those_of_single_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors, "USUAL_STEPS", 40)
    monkeypatch.setattr(competitors, "INTERVAL", 6)
    parts = [Part(*pair, *pair) for pair in samples(3)]
    setting, started = candidates("re-uploading")[-1], []
    options: dict[str, Any] = {"seed": 3, "is_published": True}
    (fits,) = stacks.fit_folds("re-uploading", [setting], parts, on_part=started.append, **options)
    for fitted, part in zip(fits, parts, strict=True):
        expected = competitors.fit("re-uploading", setting, part, **options)
        assert (fitted.accuracy, fitted.n_steps, fitted.failure) == (
            expected.accuracy,
            expected.n_steps,
            expected.failure,
        )
    assert started == [0]


@pytest.mark.parametrize(
    ("single", "double", "n_inputs", "options"),
    [
        (StudyDressed, DressedQuantumCircuit, SINGLE_FROM, {"n_layers": 2}),
        (StudyCircuitCentric, CircuitCentricClassifier, 16, {"n_layers": 2, "n_copies": 3}),
        (StudyMetricLearner, QuantumMetricLearner, SINGLE_FROM - 1, {"n_layers": 2, "has_matched_pairs": True}),
    ],
)
def test_large_circuits_of_the_study_lose_less_than_a_millionth_to_single_precision(
    single: Any, double: Any, n_inputs: int, options: dict[str, int]
) -> None:
    """Losses and gradients beside those of double precision; parameters stay in double precision."""
    generator = np.random.default_rng(2)
    inputs = torch.from_numpy(generator.normal(size=(8, n_inputs)))
    labels = torch.from_numpy(np.where(generator.random(8) > 0.5, 1.0, -1.0))
    found = []
    for kind in (single, double):
        layer = kind(n_inputs, **options, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        assert all(part.dtype == torch.float64 for part in layer.parameters())
        loss = layer.loss(inputs, labels)
        found.append((loss, *torch.autograd.grad(loss, list(layer.parameters()))))
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.float64
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert not torch.equal(found[0][0], found[1][0])  # it is taken


def test_groups_of_weights_run_in_one_call_and_have_exact_derivatives() -> None:
    pytest.importorskip("numba")
    circuit = Circuit(3).ry(data(0), 0).rz(weight(0), 0).cx(0, 1).rx(weight(1), 1).cx(1, 2).rx(data(1), 2)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 5, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(4, 2, dtype=torch.float64, generator=generator, requires_grad=True)

    def mapped(backend: Native, places: tuple[int | None, int | None], *parts: Tensor) -> Tensor:
        def function(inputs: Tensor, weights: Tensor) -> Tensor:
            return backend.expectation(circuit, inputs, weights, [Z(0), Z(2)])

        return torch.vmap(function, places)(*parts)

    for places, parts in (
        ((0, 0), (inputs, weights)),
        ((1, None), (inputs.transpose(0, 1), weights[0])),
        ((None, 1), (inputs[0], weights.T)),
        ((0, 0), (inputs[:, :1], weights)),
    ):
        results = []
        for backend in (Native(compiled=True), Native(method="autograd")):
            values = mapped(backend, places, *parts)
            first = torch.autograd.grad(values.square().sum(), [inputs, weights], create_graph=True)
            second = torch.autograd.grad(torch.stack([part.square().sum() for part in first]).sum(), [inputs, weights])
            results.append((values, *first, *second))
        for found, plain in zip(*results, strict=True):
            torch.testing.assert_close(found, plain, atol=1e-11, rtol=0)
