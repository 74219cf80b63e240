"""Handwritten 3 against 5 as the study has it: principal components, a sample of them, or coarse-grained images."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

from circuits.plain_checks import as_int, require_choice
from qml.data.dataset import BenchmarkSet, Dataset
from qml.data.idx import read_mnist

NEGATIVE, POSITIVE = 3, 5
COMPONENTS = range(2, 21)
SIDES = {"mnist": (4, 8, 16, 32), "digits": (4, 8)}
KINDS = ("pca", "pca-", "cg")
N_SUBSET = 250
MOST_FULL = 500  # images or pixels, up to which scikit-learn 1.4 took an exact decomposition
MOST_OF_ALL = 0.8  # of all components, from which on it did so too
OVERSAMPLES = 10  # of its randomised one
SEED = 42
TEST_SHARE = 0.2  # of the images that ship, which have no partition of their own
BRIGHTEST = 255

Images = np.ndarray
Rows = Float[np.ndarray, "batch inputs"]
Part = tuple[Images, Float[np.ndarray, " _"]]
"""Images (samples, height, width), uint8, and their labels."""


def digit_set(kind: str, parameter: int, *, folder: Any = None) -> BenchmarkSet:
    """Return images of 3 (label -1) and 5 (+1), reduced as in the study, from MNIST or from images that ship.

    | `kind` | `parameter` | data |
    |---|---|---|
    | `"pca"` | components, 2 to 20 | pixels standardised on the training images, then projected on their components |
    | `"pca-"` | components, 2 to 20 | 250 training and 250 test samples of these, drawn with replacement |
    | `"cg"` | side in pixels, 4, 8, 16 or 32 | bilinear images of that side, not antialiased, each pixel standardised |

    With a `folder`, images are those of MNIST in the partition of its files. Without, they are the 365 images of 8 x 8
    pixels of scikit-learn's `load_digits`: another data set, far smaller, of which a fifth is kept for the test at
    random. There `"pca-"` is 250 different training images and all test images, and `"cg"` has sides 4 and 8.

    Args:
        kind: The reduction.
        parameter: Number of components, or side.
        folder: A folder with the four files of MNIST, see `read_mnist`; None takes the images that ship.

    Shape:
        MNIST: 11552 samples to train on and 1902 to test on. The images that ship: 292 and 73.

    Raises:
        ValueError: If there is no such kind or parameter, or the files hold too few images of a digit.
        FileNotFoundError: If the folder or a file is missing.

    Reference:
        Bowles, Ahmed and Schuld, arXiv:2403.07059, appendix on data sets. Components of MNIST are the study's to
        rounding: approximate ones from the randomised singular value decomposition that scikit-learn 1.4 took for so
        many images, with the numbers of one stream over all sizes. What differs here: the study drew `"pca-"` from an
        unseeded generator, so that its sample is lost, and ours has seed 42.

    Example:
        >>> from qml.data import digit_set
        >>> digit_set("cg", 4).train.inputs.shape
        torch.Size([292, 16])
    """
    require_choice(kind, "kind", KINDS)
    source = "digits" if folder is None else "mnist"
    parameter = as_int(parameter, "parameter", 0)
    allowed = digit_parameters(kind, source)
    if parameter not in allowed:
        raise ValueError(
            f"Argument `parameter` must be one of {', '.join(map(str, allowed))} for {kind} of "
            f"{'the images that ship' if folder is None else 'MNIST'}, but is {parameter}."
        )
    place = None if folder is None else Path(folder) if isinstance(folder, str | Path) else folder
    if kind == "cg":
        return _coarse(place, parameter)
    train, test = _components(place, parameter)
    return BenchmarkSet(train, test) if kind == "pca" else _subset(train, test, has_all_tests=folder is None)


def digit_parameters(kind: str, source: str) -> tuple[int, ...]:
    """Return the parameters of a kind of `digit_set`, from `"mnist"` or `"digits"`."""
    return SIDES[source] if kind == "cg" else tuple(COMPONENTS)


@cache
def _components(folder: Path | None, n_components: int) -> tuple[Dataset, Dataset]:
    """Return the first principal components of the training images, of both parts, each with its largest entry above 0.

    The study computed all sizes one after another from one stream of random numbers.
    """
    from sklearn.utils.extmath import randomized_svd

    train, test = _images(folder)
    if len(train[1]) < max(COMPONENTS):
        raise ValueError(
            f"Argument `folder` must hold at least {max(COMPONENTS)} training images of {NEGATIVE} and {POSITIVE}, but "
            f"{folder} holds {len(train[1])}."
        )
    rows, others = _standardised(_flat(train[0]), _flat(test[0]))
    if max(rows.shape) <= MOST_FULL or n_components >= MOST_OF_ALL * min(rows.shape):
        left, lengths, directions = np.linalg.svd(rows, full_matrices=False)
    else:
        random = np.random.RandomState(SEED)
        for size in range(COMPONENTS[0], n_components):
            random.normal(size=(min(rows.shape), size + OVERSAMPLES))
        left, lengths, directions = randomized_svd(rows, n_components, n_oversamples=OVERSAMPLES, random_state=random)
    left, lengths, directions = left[:, :n_components], lengths[:n_components], directions[:n_components]
    projections = left * lengths  # as scikit-learn has those of the training images, approximate ones too
    signs = np.sign(np.take_along_axis(projections, np.abs(projections).argmax(0)[None], 0))
    return _dataset(projections * signs, train[1]), _dataset(others @ directions.T * signs, test[1])


@cache
def _coarse(folder: Path | None, side: int) -> BenchmarkSet:
    train, test = (_grouped(part) for part in _images(folder))
    rows, others = _standardised(*(_flat(_resized(images, side)) for images in (train[0], test[0])))
    return BenchmarkSet(_dataset(rows, train[1]), _dataset(others, test[1]))


def _subset(train: Dataset, test: Dataset, *, has_all_tests: bool) -> BenchmarkSet:
    random = np.random.RandomState(SEED)
    if has_all_tests:
        return BenchmarkSet(train[torch.from_numpy(random.permutation(len(train))[:N_SUBSET])], test)
    chosen = [torch.from_numpy(random.randint(0, len(part), N_SUBSET)) for part in (train, test)]
    return BenchmarkSet(train[chosen[0]], test[chosen[1]])


def _images(folder: Path | None) -> tuple[Part, Part]:
    """Return the training and the test images of both digits, in the order of their source."""
    if folder is None:
        return _images_that_ship()
    parts = []
    for name, (images, digits) in read_mnist(folder).items():
        kept = np.isin(digits, (NEGATIVE, POSITIVE))
        labels = np.where(digits[kept] == POSITIVE, 1.0, -1.0)
        if len(np.unique(labels)) < 2:
            raise ValueError(
                f"Argument `folder` must hold images of both {NEGATIVE} and {POSITIVE}, but the {name} part of "
                f"{folder} does not."
            )
        parts.append((images[kept], labels))
    return parts[0], parts[1]


def _images_that_ship() -> tuple[Part, Part]:
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    kept = np.isin(digits, (NEGATIVE, POSITIVE))
    images = np.round(pixels[kept] * (BRIGHTEST / 16.0)).astype(np.uint8).reshape(-1, 8, 8)
    labels = np.where(digits[kept] == POSITIVE, 1.0, -1.0)
    order = np.random.RandomState(SEED).permutation(len(labels))
    n_test = round(TEST_SHARE * len(labels))
    test, train = order[:n_test], order[n_test:]
    return (images[train], labels[train]), (images[test], labels[test])


def _grouped(part: Part) -> Part:
    """Put all images of 3 before those of 5, as the study does for coarse grains."""
    order = np.argsort(part[1], kind="stable")
    return part[0][order], part[1][order]


def _resized(images: Images, side: int) -> Images:
    pixels = torch.from_numpy(images.astype(np.float32))[:, None]
    made = functional.interpolate(pixels, (side, side), mode="bilinear", align_corners=False)
    return made.round().clamp(0, BRIGHTEST)[:, 0].numpy()


def _flat(images: Images) -> Rows:
    return images.reshape(len(images), -1).astype(np.float64)


def _standardised(rows: Rows, others: Float[np.ndarray, "others inputs"]) -> tuple[np.ndarray, np.ndarray]:
    """Scale both to mean 0 and deviation 1 of the first; pixels that are always the same become 0 there."""
    mean, deviation = rows.mean(0), rows.std(0)
    deviation = np.where(deviation > 0.0, deviation, 1.0)
    return (rows - mean) / deviation, (others - mean) / deviation


def _dataset(inputs: np.ndarray, labels: np.ndarray) -> Dataset:
    return Dataset(torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(labels))
