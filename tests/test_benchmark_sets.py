import numpy as np
import pytest
import torch

from qml.data import bars_and_stripes, benchmark_set, parameters_of
from qml.data.benchmark_sets import DIGIT_FAMILIES, FAMILIES

# First row of the training part: two features, label; number of +1. From the files that the study's authors publish.
PUBLISHED = {
    ("linearly_separable", 2): (-0.283069, -0.768262, 1, 125),
    ("linearly_separable", 10): (-0.168156, 0.357248, 1, 128),
    ("linearly_separable", 20): (-0.228514, -0.111295, 1, 127),
    ("hidden_manifold", 2): (-0.641073, -0.856922, -1, 120),
    ("hidden_manifold", 20): (0.813024, 0.579518, 1, 121),
    ("hidden_manifold_diff", 2): (0.966807, -0.160624, -1, 121),
    ("hidden_manifold_diff", 20): (0.960724, -0.902782, 1, 124),
    ("two_curves", 2): (-0.611214, -1.22871, -1, 120),
    ("two_curves", 20): (-0.460093, 0.548103, 1, 127),
    ("two_curves_diff", 2): (0.0291689, -0.315212, 1, 118),
    ("two_curves_diff", 20): (-1.06764, 0.365638, -1, 114),
    ("hyperplanes_diff", 2): (-1.83056, -0.491457, -1, 121),
    ("hyperplanes_diff", 20): (0.0199117, -0.438387, 1, 119),
    ("bars_and_stripes", 4): (1.13952, 1.50526, 1, 1000 - 514),  # the published file counts the other sign
}


@pytest.mark.parametrize(("family", "parameter"), PUBLISHED)
def test_the_numbers_are_the_published_ones(family: str, parameter: int) -> None:
    train = benchmark_set(family, parameter).train
    *features, label, n_positive = PUBLISHED[family, parameter]
    np.testing.assert_allclose(train.inputs[0, :2], features, rtol=5e-6)  # six digits are printed
    assert train.labels[0] == label
    assert int((train.labels > 0).sum()) == n_positive


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in DIGIT_FAMILIES])
def test_all_sizes_have_the_published_shape(family: str) -> None:
    for parameter in parameters_of(family):
        made = benchmark_set(family, parameter)
        n_features = parameter if family in ("linearly_separable", "hidden_manifold", "two_curves") else 10
        sizes, width = ((1000, 200), parameter**2) if family == "bars_and_stripes" else ((240, 60), n_features)
        for part, size in zip((made.train, made.test), sizes, strict=True):
            assert part.inputs.shape == (size, width)
            assert part.inputs.dtype == torch.float64
            assert set(part.labels.tolist()) == {-1.0, 1.0}


def test_balanced_families_have_150_samples_of_each_label() -> None:
    for family in ("hidden_manifold", "two_curves_diff", "hyperplanes_diff"):
        made = benchmark_set(family, 7)
        assert float(made.train.labels.sum() + made.test.labels.sum()) == 0.0


def test_wide_sets_go_on_beyond_the_study() -> None:
    for family in ("linearly_separable", "hidden_manifold", "two_curves"):
        made = benchmark_set(family, 50)
        assert made.train.inputs.shape == (240, 50)
        assert set(made.test.labels.tolist()) == {-1.0, 1.0}
        assert parameters_of(family)[-1] == 20
        assert parameters_of(family, with_wide=True)[-2:] == (50, 100)
    assert bool((benchmark_set("linearly_separable", 100).test.inputs.sum(1).abs() > 2.0).all())  # the margin
    with pytest.raises(ValueError, match="but is 50"):
        benchmark_set("two_curves_diff", 50)


def test_the_plane_separates_what_is_called_separable() -> None:
    made = benchmark_set("linearly_separable", 6)
    assert bool((made.train.labels == -made.train.inputs.sum(1).sign()).all())


def test_bars_and_stripes_have_the_signs_of_either_version() -> None:
    paper, files = bars_and_stripes(4), bars_and_stripes(4, column_label=-1)
    torch.testing.assert_close(files.train.inputs, paper.train.inputs, rtol=0, atol=0)
    assert bool((files.test.labels == -paper.test.labels).all())
    assert (files.train.labels[0], int((files.train.labels > 0).sum())) == (-1, 514)  # as published
    assert bars_and_stripes(3).train.inputs.shape == (1000, 9)
    with pytest.raises(ValueError, match="`side` must be at least 2"):
        bars_and_stripes(1)
    with pytest.raises(ValueError, match="`column_label` must be one of"):
        bars_and_stripes(4, column_label=0)


def test_images_are_rows_or_columns() -> None:
    train = benchmark_set("bars_and_stripes", 8).train
    images = train.inputs.unflatten(1, (8, 8))
    along = {label: images[train.labels == label] for label in (-1.0, 1.0)}
    for label, across in ((-1.0, 1), (1.0, 2)):  # along a line the mean pixel is far from 0, across it near
        lines = along[label].mean(3 - across).abs().mean()
        others = along[label].mean(across).abs().mean()
        assert lines > 2 * others


def test_what_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"Argument `family` must be .*hidden_manifold"):
        benchmark_set("hyperplanes", 3)
    with pytest.raises(ValueError, match=r"Argument `parameter` must be one of 2, 3, .* for two_curves, but is 21"):
        benchmark_set("two_curves", 21)
    with pytest.raises(ValueError, match=r"`folder` must name the folder .* is None for mnist_cg"):
        benchmark_set("mnist_cg", 4)
    with pytest.raises(ValueError, match=r"`folder` must .* be left out for others"):
        benchmark_set("two_curves", 4, folder="images")
    with pytest.raises(ValueError, match="must be one of 4, 8, 16, 32 for bars_and_stripes"):
        benchmark_set("bars_and_stripes", 5)
