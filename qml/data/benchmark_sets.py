"""The data sets of "Better than classical?" (Bowles, Ahmed and Schuld, arXiv:2403.07059), as published.

Each family draws from one stream of NumPy's legacy generator that runs on through its sweep, the shuffling of the split
included. A data set therefore depends on all smaller ones of its family, which are made with it and kept.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.plain_checks import as_int, require_choice
from qml.data.dataset import BenchmarkSet, Dataset
from qml.data.digit_sets import KINDS, digit_parameters, digit_set

N_SAMPLES = 300
TEST_SHARE = 0.2
SWEEP = range(2, 21)
WIDE = (50, 100)
WIDE_FAMILIES = ("linearly_separable", "hidden_manifold", "two_curves")
SIDES = (4, 8, 16, 32)
N_FEATURES = 10  # of families that sweep another parameter

Inputs = Float[np.ndarray, "batch inputs"]
Labels = Float[np.ndarray, " batch"]


def benchmark_set(family: str, parameter: int, *, folder: Any = None) -> BenchmarkSet:
    """Return a data set of the study: 118 synthetic ones and MNIST with the very numbers of its authors, or digits.

    | family | `parameter` | data |
    |---|---|---|
    | `linearly_separable` | features, 2 to 20 | the cube, cut by the plane through 0 across its diagonal |
    | `hidden_manifold` | features, 2 to 20 | a six-dimensional manifold; labels by a neural network on it |
    | `hidden_manifold_diff` | manifold's dimension, 2 to 20 | ten features |
    | `two_curves` | features, 2 to 20 | a noisy Fourier curve of degree 5, and its copy shifted by 0.1 |
    | `two_curves_diff` | degree D, 2 to 20 | ten features, copies shifted by 1/(2 D) |
    | `hyperplanes_diff` | number of planes, 2 to 20 | parity of the planes that a point is above; 3 of 10 dimensions |
    | `bars_and_stripes` | side of the image, 4, 8, 16 or 32 | noisy images of rows (-1) or columns (+1) |
    | `mnist_pca`, `mnist_pca-` | components, 2 to 20 | MNIST, 3 against 5, see `digit_set` |
    | `mnist_cg` | side of the image, 4, 8, 16 or 32 | the same, coarse-grained |
    | `digits_pca`, `digits_pca-`, `digits_cg` | components, or side 4 or 8 | the same, of the images that ship |

    The three families that sweep features have sizes beyond the study too, 50 and 100, from streams of their own.

    Args:
        family: Name of a family, as the study's files have it.
        parameter: Number that the family is swept over.
        folder: A folder with the four files of MNIST, for its families alone.

    Shape:
        240 samples to train on and 60 to test on; 1000 and 200 images of side**2 pixels, row by row.

    Raises:
        ValueError: If there is no such family, it has no such parameter, or a folder is given or missing.
        FileNotFoundError: If the folder or a file in it is missing.

    Reference:
        Bowles, Ahmed and Schuld, "Better than classical?", arXiv:2403.07059, appendix on data sets. Bars and
        stripes carry the signs of the study's first version, see `bars_and_stripes`.
    """
    name, _, kind = family.partition("_") if isinstance(family, str) else ("", "", "")
    require_choice(family, "family", tuple(FAMILIES))
    parameter = as_int(parameter, "parameter", 0)
    allowed = parameters_of(family, with_wide=True)
    if parameter not in allowed:
        raise ValueError(
            f"Argument `parameter` must be one of {', '.join(map(str, allowed))} for {family}, but is {parameter}."
        )
    if (name == "mnist") != (folder is not None):
        raise ValueError(
            "Argument `folder` must name the folder with the files of MNIST for its families, and be left out for "
            f"others, but is {folder!r} for {family}."
        )
    if family in DIGIT_FAMILIES:
        return digit_set(kind, parameter, folder=folder)
    if family == "bars_and_stripes":
        return bars_and_stripes(parameter)
    if parameter in WIDE:
        return _wide(family, parameter)
    return _sweep(FAMILIES[family])[family, parameter]


def parameters_of(family: str, *, with_wide: bool = False) -> tuple[int, ...]:
    """Return the parameters that a family of data sets is swept over, smallest first.

    Args:
        family: Name of a family.
        with_wide: Whether sizes beyond the study's are among them.

    Raises:
        ValueError: If there is no such family.
    """
    require_choice(family, "family", tuple(FAMILIES))
    source, _, kind = family.partition("_")
    if family in DIGIT_FAMILIES:
        return digit_parameters(kind, source)
    if family == "bars_and_stripes":
        return SIDES
    return (*SWEEP, *WIDE) if with_wide and family in WIDE_FAMILIES else tuple(SWEEP)


def bars_and_stripes(side: int, *, column_label: int = 1) -> BenchmarkSet:
    """Return 1000 and 200 noisy images of bars or stripes: some rows, or some columns, are +1 and the others -1.

    A row or column is chosen with probability 1/2, and each pixel has noise N(0, 0.5). Images without any, or with
    all, occur for both labels, a fraction 2**(1 - side) of them.

    Args:
        side: Side of the image in pixels, 2 or more; the study has 4, 8, 16 and 32.
        column_label: Label of columns, and rows have the other one: +1 as in the study's first version and paper, -1
            as in its files since.

    Shape:
        (1000, side**2) and (200, side**2), row by row.

    Raises:
        ValueError: If the side is below 2, or the label is neither -1 nor +1.

    Reference:
        Bowles, Ahmed and Schuld, arXiv:2403.07059, appendix on data sets.

    Example:
        >>> from qml.data import bars_and_stripes
        >>> bars_and_stripes(4).test.inputs.shape
        torch.Size([200, 16])
    """
    side = as_int(side, "side", 2)
    require_choice(column_label, "column_label", (-1, 1))
    made = _bars_and_stripes(side)
    if column_label == 1:
        return made
    return BenchmarkSet(*(Dataset(part.inputs, -part.labels) for part in (made.train, made.test)))


@cache
def _sweep(stream: Callable[[], Iterator[tuple[str, int, BenchmarkSet]]]) -> dict[tuple[str, int], BenchmarkSet]:
    return {(family, parameter): made for family, parameter, made in stream()}


@cache
def _wide(family: str, n_features: int) -> BenchmarkSet:
    """Return a data set beyond the study's sizes, from a stream that its number of features seeds."""
    random = np.random.RandomState(n_features)
    if family == "linearly_separable":
        return _separable(n_features, random)
    return _manifold(n_features, 6, random) if family == "hidden_manifold" else _curves(n_features, 5, 0.1, random)


def _linearly_separable() -> Iterator[tuple[str, int, BenchmarkSet]]:
    random = np.random.RandomState(42)
    for n_features in SWEEP:
        yield "linearly_separable", n_features, _separable(n_features, random)


def _separable(n_features: int, random: np.random.RandomState) -> BenchmarkSet:
    """Draw points of the cube on both sides of the plane across its diagonal, with a margin."""
    inputs = 2.0 * random.rand(2 * N_SAMPLES, n_features) - 1.0
    sums = inputs.sum(1)
    kept = np.flatnonzero(np.abs(sums) > 0.02 * n_features)[:N_SAMPLES]
    return _split(inputs[kept], np.where(sums[kept] > 0, -1.0, 1.0), random)


def _hidden_manifold() -> Iterator[tuple[str, int, BenchmarkSet]]:
    random = np.random.RandomState(3)
    for n_features in SWEEP:
        yield "hidden_manifold", n_features, _manifold(n_features, 6, random)
    for dimension in SWEEP:
        yield "hidden_manifold_diff", dimension, _manifold(N_FEATURES, dimension, random)


def _manifold(n_features: int, dimension: int, random: np.random.RandomState) -> BenchmarkSet:
    """Embed normal coordinates by one layer of tanh, and label them by another network of one hidden layer."""
    directions = random.randn(dimension, n_features)
    coordinates = random.randn(N_SAMPLES, dimension)
    biases = 2.0 * random.rand(n_features) - 1.0
    inputs = np.tanh(coordinates @ directions / np.sqrt(dimension) - biases)
    hidden, outer = random.randn(dimension, dimension), random.randn(dimension)
    scores = np.tanh(coordinates @ hidden.T) @ outer / np.sqrt(dimension)
    scores -= np.median(scores)
    return _split(inputs, np.where(scores < 0, -1.0, 1.0), random)


def _two_curves() -> Iterator[tuple[str, int, BenchmarkSet]]:
    random = np.random.RandomState(3)
    for n_features in SWEEP:
        yield "two_curves", n_features, _curves(n_features, 5, 0.1, random)
    for degree in SWEEP:
        yield "two_curves_diff", degree, _curves(N_FEATURES, degree, 1.0 / (2.0 * degree), random)


def _curves(n_features: int, degree: int, offset: float, random: np.random.RandomState) -> BenchmarkSet:
    """Draw noisy points along half a period of one Fourier series a feature, and along its shifted copy."""
    coefficients = random.rand(n_features, degree + 1, 2)
    coefficients /= np.linalg.norm(coefficients)
    frequencies = np.pi * np.arange(degree + 1)
    points = np.empty((N_SAMPLES, n_features))
    for point in points:
        angles = frequencies * random.rand()
        waves = np.stack([np.cos(angles), np.where(frequencies == 0, 1.0, np.sin(angles))], axis=-1)
        point[:] = (coefficients * waves).sum((1, 2)) + random.normal(0.0, 0.01, n_features)
    points[N_SAMPLES // 2 :] += offset
    return _split(_standardised(points), np.repeat([-1.0, 1.0], N_SAMPLES // 2), random)


def _hyperplanes() -> Iterator[tuple[str, int, BenchmarkSet]]:
    random = np.random.RandomState(1)
    for n_planes in SWEEP:
        normals, offsets = random.rand(n_planes, 3), random.rand(n_planes)
        points = random.randn(4 * N_SAMPLES, 3)
        odd = (points @ normals.T + offsets > 0).sum(1) % 2
        kept = np.concatenate([np.flatnonzero(odd == parity)[: N_SAMPLES // 2] for parity in (0, 1)])
        inputs = points[kept] @ random.rand(3, N_FEATURES)
        yield "hyperplanes_diff", n_planes, _split(_standardised(inputs), np.where(odd[kept], 1.0, -1.0), random)


@cache
def _bars_and_stripes(side: int) -> BenchmarkSet:
    random = np.random.RandomState(42)
    parts = []
    for n_samples in (1000, 200):
        images, labels = np.full((n_samples, side, side), -1.0), np.empty(n_samples)
        for number, image in enumerate(images):
            rows = random.rand() > 0.5
            lines = random.rand(side) > 0.5
            (image if rows else image.T)[lines] = 1.0
            images[number] += random.normal(0.0, 0.5, (side, side))
            labels[number] = -1.0 if rows else 1.0
        parts.append(_dataset(images.reshape(n_samples, -1), labels))
    return BenchmarkSet(*parts)


def _standardised(inputs: Inputs) -> Inputs:
    """Scale training and test samples together, as the study does."""
    return (inputs - inputs.mean(0)) / inputs.std(0)


def _split(inputs: Inputs, labels: Labels, random: np.random.RandomState) -> BenchmarkSet:
    """Shuffle samples by the family's own stream, and set the first fifth apart for the test."""
    order = random.permutation(len(labels))
    n_test = round(TEST_SHARE * len(labels))
    test, train = order[:n_test], order[n_test:]
    return BenchmarkSet(_dataset(inputs[train], labels[train]), _dataset(inputs[test], labels[test]))


def _dataset(inputs: Inputs, labels: Labels) -> Dataset:
    return Dataset(torch.from_numpy(inputs), torch.from_numpy(labels))


DIGIT_FAMILIES = tuple(f"{source}_{kind}" for source in ("mnist", "digits") for kind in KINDS)
FAMILIES: dict[str, Any] = {
    "linearly_separable": _linearly_separable,
    "hidden_manifold": _hidden_manifold,
    "hidden_manifold_diff": _hidden_manifold,
    "two_curves": _two_curves,
    "two_curves_diff": _two_curves,
    "hyperplanes_diff": _hyperplanes,
    "bars_and_stripes": None,
    **dict.fromkeys(DIGIT_FAMILIES),
}
