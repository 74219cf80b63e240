"""The study's random numbers and starts: trained models give its accuracies, or those of its released code."""

import numpy as np
import pytest
import torch

from qml.compare.study import stacks
from qml.compare.study.data import study_set
from qml.compare.study.draws import N_AHEAD, StudyDraws
from qml.compare.study.grids import settings
from qml.compare.study.published import published
from qml.compare.study.starts import STARTS
from qml.estimators import LayerClassifier

JAX_UNIFORM = [0.33285614105557637, 0.7611539316011331, 0.20849349127342823, 0.6349031498504729]
JAX_NORMAL = [-0.6121388065096295, -0.880341550425137, -0.06963446422094288, -0.25234701620779953]
JAX_FIRST_BATCH, JAX_THIRD_BATCH = [19, 38, 48, 11, 1, 46], [42, 35, 32, 11, 19, 28]


def test_numbers_are_those_of_jax() -> None:
    """JAX 0.4.23 drew them in double precision with the keys of seed 3; the numbers are the first and last ones."""
    draws = StudyDraws(3)
    found = draws.uniform(2, 6, 3).flatten()
    np.testing.assert_allclose(found[[0, 1, 2, -1]], JAX_UNIFORM, rtol=0, atol=1e-16)
    batches = [draws.batch(50, 32).tolist() for _ in range(3)]
    assert batches[0][:6] == JAX_FIRST_BATCH
    assert batches[2][-6:] == JAX_THIRD_BATCH
    found = StudyDraws(3).normal(14, 4).flatten()
    np.testing.assert_allclose(found[[0, 1, 2, -1]], JAX_NORMAL, rtol=0, atol=1e-14)


def test_the_whole_of_jax_draws_alike() -> None:
    jax = pytest.importorskip("jax")
    random = np.random.default_rng(7)
    draws, whole = StudyDraws(7), [(25, 16), (120, 32), (119, 32), (5421, 32)]
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        for n_samples, size in whole:
            key = jax.random.PRNGKey(random.integers(1_000_000))
            expected = jax.random.choice(key, jax.numpy.arange(n_samples), (size,), replace=False)
            assert draws.subset(n_samples, size).tolist() == expected.tolist()
            key = jax.random.PRNGKey(random.integers(1_000_000))
            expected = jax.random.choice(key, jax.numpy.arange(n_samples), (size,), replace=True)
            assert draws.batch(n_samples, size).tolist() == expected.tolist()
            key = jax.random.PRNGKey(random.integers(1_000_000))
            expected = np.asarray(jax.random.normal(key, (size, 3)))
            np.testing.assert_allclose(draws.normal(size, 3), expected, rtol=0, atol=1e-13)


def test_batches_that_are_made_at_once_are_those_of_one_by_one() -> None:
    once, again = StudyDraws(5), StudyDraws(5)
    batches = [once.batch(40, 8) for _ in range(N_AHEAD + 3)]
    for number, batch in enumerate(batches):
        if number == 7:
            again.uniform(2)  # uses the key of this batch up
            continue
        assert again.batch(40, 8).tolist() == batch.tolist()


def chosen_fits(family: str, parameter: int, model: str, seeds: range) -> list[stacks.Fitted]:
    theirs = published(family, parameter, model)
    assert theirs is not None
    setting = settings(model)[theirs.candidate or 0]
    return stacks.fit_seeds(model, setting, study_set(family, parameter).whole, seeds=seeds, is_published=True)


@pytest.mark.parametrize(
    ("family", "parameter", "model"),
    [
        ("two_curves", 2, "dressed"),
        ("two_curves", 3, "iqp"),
        ("two_curves", 2, "tree"),
        ("two_curves", 17, "tree"),
        ("two_curves", 2, "separable"),
        ("two_curves", 2, "boltzmann-separable"),
        pytest.param("two_curves", 3, "circuit-centric", marks=pytest.mark.slow),
        pytest.param("two_curves", 2, "boltzmann", marks=pytest.mark.slow),
        pytest.param("linearly_separable", 10, "iqp", marks=pytest.mark.slow),
    ],
)
def test_trained_models_give_the_published_accuracies(family: str, parameter: int, model: str) -> None:
    """Mean and deviation over five seeds are the published ones, but for one sample that rounding may move."""
    theirs = published(family, parameter, model)
    assert theirs is not None
    accuracies = [one.accuracy for one in chosen_fits(family, parameter, model, range(5))]
    assert np.mean(accuracies) == pytest.approx(theirs.accuracy, abs=1.01 / (5 * 60))
    assert np.std(accuracies) == pytest.approx(theirs.deviation, abs=0.01)


@pytest.mark.parametrize(
    ("family", "model", "expected"),
    [
        ("two_curves", "re-uploading", [(549, 150, 43), (603, 167, 44)]),
        ("linearly_separable", "metric", [(694, 230, 53), (445, 238, 57)]),
    ],
)
def test_others_give_the_accuracies_of_the_released_code(
    family: str, model: str, expected: list[tuple[int, int, int]]
) -> None:
    """The result files have others; the released code itself gave these steps and samples, with seeds 0 and 1."""
    fits = chosen_fits(family, 2, model, range(2))
    assert [(one.n_steps, round(240 * one.train_accuracy), round(60 * one.accuracy)) for one in fits] == expected


def test_a_start_differs_by_seed_and_is_the_same_again() -> None:
    from qml.compare.study.competitors import MAKERS, layer_of
    from qml.compare.study.grids import candidates

    for model in STARTS:
        if MAKERS[model] is not layer_of:
            continue
        n_features = 16 if model == "weinet" else 5
        inputs = np.random.default_rng(0).normal(size=(20, n_features))
        labels = np.where(inputs[:, 0] > 0, 1.0, -1.0)
        weights = []
        for seed in (0, 0, 1):
            made = layer_of(model, candidates(model)[0], n_features, seed, True)
            assert isinstance(made, LayerClassifier)
            (problem,), _ = made._begin(inputs, labels)
            weights.append(torch.cat([values.detach().flatten() for values in problem.layer.parameters()]))
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
