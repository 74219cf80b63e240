"""The study's random numbers: NumPy draws a key for each use, and Threefry makes numbers of it, as JAX 0.4 does.

With them a trained model starts from the study's weights and sees its batches, so that it takes the study's steps.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int, UInt32, UInt64
from scipy.special import erfinv
from torch import Tensor

N_KEYS = 1_000_000  # numbers that a key is drawn from
N_AHEAD = 128  # batches that are made at once
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
MANTISSA_BITS, ONE = np.uint64(12), np.uint64(0x3FF0000000000000)  # of a float64 in [1, 2)
SHUFFLES_A_DIGIT = 3.0  # sorts of a permutation for each factor of 2**32 in its length
Keys = UInt32[np.ndarray, "2 keys"]


class StudyDraws:
    """The draws of one fit, in the order in which the study's code asks for them.

    Args:
        seed: The study's `random_state`: 0 to 4 of the fits, 42 of its searches.
        n_keys: Number of numbers that a key is drawn from.

    Reference:
        Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011: Threefry-2x32 of 20 rounds.
    """

    def __init__(self, seed: int, n_keys: int = N_KEYS) -> None:
        self._random, self._n_keys = np.random.default_rng(seed), n_keys
        self._keys: list[int] = []
        self._batches: tuple[tuple[int, int], list[Tensor]] = ((0, 0), [])

    def uniform(self, *shape: int) -> Tensor:
        """Draw numbers from [0, 1)."""
        return torch.from_numpy(self._unit(math.prod(shape)).reshape(shape))

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers."""
        low = np.nextafter(-1.0, 0.0)
        values = np.maximum(low, self._unit(math.prod(shape)) * (1.0 - low) + low)
        return torch.from_numpy((np.sqrt(2.0) * erfinv(values)).reshape(shape))

    def batch(self, n_samples: int, size: int) -> Tensor:
        """Draw numbers of samples, with replacement."""
        if self._batches[0] != (n_samples, size) or not self._batches[1]:
            self._draw_ahead(N_AHEAD)
            drawn = _integers(_keys(self._keys), size, n_samples)
            self._batches = (n_samples, size), list(torch.from_numpy(drawn).flip(0))
        self._keys.pop(0)
        return self._batches[1].pop()

    def subset(self, n_samples: int, size: int) -> Tensor:
        """Draw numbers of different samples."""
        order = np.arange(n_samples)
        key = _keys([self._next()])
        for _ in range(math.ceil(SHUFFLES_A_DIGIT * math.log(max(1, n_samples)) / math.log(2.0**32 - 1.0))):
            key, own = _split(key)
            order = order[np.argsort(_bits(own, n_samples)[0], kind="stable")]
        return torch.from_numpy(order[:size].copy())

    def _next(self) -> int:
        self._draw_ahead(1)
        self._batches = (0, 0), []
        return self._keys.pop(0)

    def _draw_ahead(self, n_keys: int) -> None:
        missing = max(0, n_keys - len(self._keys))
        self._keys += self._random.integers(self._n_keys, size=missing).tolist()

    def _unit(self, size: int) -> np.ndarray:
        bits = _long_bits(_keys([self._next()]), size)[0]
        return ((bits >> MANTISSA_BITS) | ONE).view(np.float64) - 1.0


def _keys(numbers: Sequence[int]) -> Keys:
    """Return keys of numbers below 2**32."""
    return np.stack([np.zeros(len(numbers)), np.asarray(numbers)]).astype(np.uint32)


def _bits(keys: Keys, n_numbers: int) -> UInt32[np.ndarray, "keys numbers"]:
    """Encrypt 0, 1, ... with each key, the first half of them paired with the second, and an odd one with 0."""
    n_pairs = (n_numbers + 1) // 2
    counts = np.arange(2 * n_pairs, dtype=np.uint32)
    counts[n_numbers:] = 0
    first, second = (part[:, None] for part in keys)
    schedule = (first, second, first ^ second ^ PARITY)
    left, right = counts[:n_pairs] + schedule[0], counts[n_pairs:] + schedule[1]
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            left = left + right
            right = ((right << np.uint32(bits)) | (right >> np.uint32(32 - bits))) ^ left
        left = left + schedule[(group + 1) % 3]
        right = right + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return np.concatenate([left, right], 1)[:, :n_numbers]


def _split(keys: Keys) -> tuple[Keys, Keys]:
    """Make two keys of each."""
    bits = _bits(keys, 4).T
    return bits[:2], bits[2:]


def _long_bits(keys: Keys, size: int) -> UInt64[np.ndarray, "keys size"]:
    """Draw 64 bits for each of some numbers."""
    high, low = np.split(_bits(keys, 2 * size).astype(np.uint64), 2, axis=1)
    return (high << np.uint64(32)) | low


def _integers(keys: Keys, size: int, span: int) -> Int[np.ndarray, "keys size"]:
    """Draw integers below the span from 128 bits each."""
    high, low = (_long_bits(own, size) for own in _split(keys))
    count = np.uint64(span)
    factor = np.uint64(pow(2, 64, span))
    return ((high % count * factor + low % count) % count).astype(np.int64)
