"""Models of the study of arXiv:2403.07059: where they give its published numbers, and where its code and text part."""

from typing import Any

import numpy as np
import pennylane as pl
import pytest
import torch

from circuits import feature_maps
from qml.compare.study import competitors, layers
from qml.compare.study.data import Part, study_set
from qml.compare.study.estimate import fit_seconds
from qml.compare.study.grids import ENTRIES, IMAGE, candidates
from qml.compare.study.published import published
from qml.nn import IQPClassifier, QuantumBoltzmannClassifier, TreeTensorClassifier

DOUBLE = torch.float64


def chosen_fit(family: str, parameter: int, model: str, *, is_published: bool = True) -> competitors.Fitted:
    theirs = published(family, parameter, model)
    assert theirs is not None
    setting = candidates(model)[theirs.candidate or 0]
    return competitors.fit(model, setting, study_set(family, parameter).whole, seed=0, is_published=is_published)


@pytest.mark.parametrize("model", ["svc", "separable-kernel", "iqp-kernel"])
@pytest.mark.parametrize(
    ("family", "parameter"),
    [("hidden_manifold", 6), ("linearly_separable", 3), ("two_curves", 2), ("two_curves", 4), ("two_curves", 6)],
)
def test_deterministic_models_give_the_published_accuracy(family: str, parameter: int, model: str) -> None:
    theirs = published(family, parameter, model)
    assert theirs is not None
    assert chosen_fit(family, parameter, model).accuracy == pytest.approx(theirs.accuracy, abs=1e-6)


def test_some_published_accuracies_of_the_champions_are_those_on_the_training_samples() -> None:
    theirs, ours = published("two_curves_diff", 17, "svc"), chosen_fit("two_curves_diff", 17, "svc")
    assert theirs is not None
    assert ours.train_accuracy == pytest.approx(theirs.accuracy, abs=1e-6)
    assert round(60 * ours.accuracy) == 51


@pytest.mark.parametrize(("family", "parameter"), [("two_curves", 2), ("hidden_manifold", 3)])
def test_the_projected_kernel_draws_as_the_study_does(family: str, parameter: int) -> None:
    """Each of the five accuracies comes from a seed; mean and deviation are the published ones to the last digit."""
    theirs = published(family, parameter, "projected-kernel")
    assert theirs is not None
    setting, part = candidates("projected-kernel")[theirs.candidate or 0], study_set(family, parameter).whole
    fits = [competitors.fit("projected-kernel", setting, part, seed=seed, is_published=True) for seed in range(5)]
    accuracies = [one.accuracy for one in fits]
    assert np.mean(accuracies) == pytest.approx(theirs.accuracy, abs=1e-6)
    assert np.std(accuracies) == pytest.approx(theirs.deviation, abs=1e-4)


def test_the_iqp_kernel_as_its_text_has_it_differs_where_the_embedding_is_repeated() -> None:
    """At 5 repetitions, hidden manifold 6: 47 of 60 as PennyLane 0.34 ran it, 38 by the formula."""
    accuracy = chosen_fit("hidden_manifold", 6, "iqp-kernel", is_published=False).accuracy
    assert round(60 * accuracy) == 38
    once, thrice = layers.published_iqp_map(3, 1), layers.published_iqp_map(3, 3)
    assert once == feature_maps.iqp(3).circuit
    assert len(thrice) == len(once) + 2 * 6


def test_the_published_iqp_classifier_is_the_usual_one_for_one_repetition() -> None:
    inputs = torch.rand(5, 3, dtype=DOUBLE)
    made = [
        kind(3, 2, n_repetitions=1, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
        for kind in (layers.PublishedIQP, IQPClassifier)
    ]
    torch.testing.assert_close(made[0](inputs), made[1](inputs), rtol=0, atol=1e-14)
    assert layers.PublishedIQP(3, 2, n_repetitions=2)(inputs.float()).shape == (5,)


def tree_of_levels(n_levels: int, layer: TreeTensorClassifier, weights: list[float], inputs: np.ndarray) -> float:
    """Compute the study's tree on 8 qubits gate by gate in PennyLane."""

    @pl.qnode(pl.device("default.qubit", wires=8))
    def circuit() -> Any:
        pl.AmplitudeEmbedding(inputs, wires=range(8), pad_with=1.0 / 2**8, normalize=True)
        angles = iter(weights)
        for level in range(n_levels):
            for wire in range(0, 8, 2**level):
                pl.RY(next(angles), wire)
            for wire in range(0, 8, 2 ** (level + 1)):
                pl.CNOT([wire + 2**level, wire])
        pl.RY(next(angles), 0)
        return pl.expval(pl.Z(0))

    return float(circuit()) + layer.bias.item()


def test_the_published_tree_has_two_levels_of_three_with_eight_qubits() -> None:
    inputs, generator = torch.rand(3, 17, dtype=DOUBLE), torch.Generator().manual_seed(0)
    layer = layers.PublishedTree(17, dtype=DOUBLE, generator=generator)
    expected = [tree_of_levels(2, layer, layer.weights.tolist(), row.numpy()) for row in inputs]
    torch.testing.assert_close(layer(inputs), torch.tensor(expected, dtype=DOUBLE), rtol=0, atol=1e-12)
    whole = TreeTensorClassifier(17, dtype=DOUBLE, generator=generator)
    expected = [tree_of_levels(3, whole, whole.weights.tolist(), row.numpy()) for row in inputs]
    torch.testing.assert_close(whole(inputs), torch.tensor(expected, dtype=DOUBLE), rtol=0, atol=1e-12)
    assert (len(layer.weights), len(whole.weights)) == (13, 15)


@pytest.mark.parametrize("n_features", [2, 5, 16])
def test_the_published_tree_is_the_usual_one_with_four_qubits_and_less(n_features: int) -> None:
    made = [
        competitors.make_layer("tree", candidates("tree")[0], n_features, is_published)[0](
            n_features, generator=torch.Generator().manual_seed(0)
        )
        for is_published in (True, False)
    ]
    assert [type(layer) for layer in made] == [layers.PublishedTree, TreeTensorClassifier]
    inputs = torch.rand(4, n_features)
    torch.testing.assert_close(made[0](inputs), made[1](inputs), rtol=0, atol=0)


def small_part() -> Part:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(48, 3))
    labels = np.where(inputs.sum(1) > 0, 1.0, -1.0)
    return Part(inputs[:40], labels[:40], inputs[40:], labels[40:])


def test_the_published_projected_kernel_has_another_bandwidth_for_the_test_samples() -> None:
    part, setting = small_part(), candidates("projected-kernel")[40]
    features = competitors.projected_features(setting, part, 3)
    grams = [competitors.KERNELS["projected-kernel"](setting, part, 3, is_published) for is_published in (True, False)]
    np.testing.assert_array_equal(grams[0][0], grams[1][0])
    for gram, own in ((grams[0][1], features[1]), (grams[1][1], features[0])):
        width = setting["gamma_factor"] / (3 * np.var(own))
        expected = np.exp(-width * ((features[1][:, None] - features[0][None]) ** 2).sum(-1))
        np.testing.assert_allclose(gram, expected, atol=1e-12)
    assert features[0].shape == (40, 12)  # X, Y and Z of 4 qubits


def test_the_boltzmann_machine_without_couplings_is_that_with_couplings_of_zero() -> None:
    generator = torch.Generator().manual_seed(1)
    whole = QuantumBoltzmannClassifier(3, n_visible=2, temperature=2.0, dtype=DOUBLE, generator=generator)
    part = layers.SeparableBoltzmann(3, n_visible=2, temperature=2.0, dtype=DOUBLE, generator=generator)
    with torch.no_grad():
        whole.couplings.zero_()
        part.fields.copy_(whole.fields)
    inputs, labels = torch.randn(6, 3, dtype=DOUBLE), torch.tensor([1.0, -1.0] * 3, dtype=DOUBLE)
    torch.testing.assert_close(part(inputs), whole(inputs), rtol=0, atol=1e-12)
    torch.testing.assert_close(part.loss(inputs, labels), whole.loss(inputs, labels), rtol=0, atol=1e-12)
    zero = torch.zeros(1, 3, dtype=DOUBLE, requires_grad=True)
    part(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()  # pyright: ignore[reportArgumentType]


def test_read_outs_of_the_study() -> None:
    assert [layers.read_out_count(kind, 5) for kind in ("single", "half", "full")] == [1, 2, 5]
    assert layers.read_out_count("half", 1) == 1


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("model", [name for name, entry in ENTRIES.items() if entry.family != IMAGE])
def test_every_model_fits_or_says_that_it_has_not_settled(
    model: str, is_published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(competitors, "USUAL_STEPS", 6)
    monkeypatch.setattr(competitors, "MAX_STEPS", dict.fromkeys(competitors.MAX_STEPS, 6))
    part = small_part()
    fitted = competitors.fit(model, candidates(model)[-1], part, seed=0, is_published=is_published)
    if model in competitors.TRAINED:
        assert fitted.failure == "not settled"
        assert (fitted.accuracy, fitted.train_accuracy) == (0.0, 0.0)
        assert fit_seconds(model, candidates(model)[0], part, 3) > 0.0
        monkeypatch.setattr(competitors, "INTERVAL", 2)  # settles after the fifth step at a rate of next to nothing
        setting = {**candidates(model)[0], "learning_rate": 1e-12}
        fitted = competitors.fit(model, setting, part, seed=0, is_published=is_published)
        assert fitted.failure == "" or fitted.n_steps == 0
    if not fitted.failure:
        assert 0.0 <= fitted.accuracy <= 1.0
        assert fitted.n_parameters > 0


def test_a_loss_that_is_no_number_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        layers.SeparableBoltzmann, "loss", lambda self, inputs, labels: self(inputs).sum() * float("nan")
    )
    fitted = competitors.fit(
        "boltzmann-separable", candidates("boltzmann-separable")[0], small_part(), seed=0, is_published=True
    )
    assert fitted.failure == "loss not finite"
